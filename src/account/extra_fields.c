/* SPDX-License-Identifier: MIT */
/* Fields are read from left to right; each key of ours may be there once, but for app passwords, whose names
 * may. A value that is not known is an error, never a rule that does not count. */
#include "account/extra_fields.h"

#include "base/network.h"

static int mistake(struct error *error, const char *text)
{
    return error_set(error, ERROR_CONFIGURATION, 0, "%s", text);
}

/* Dovecot's "local" stands for connections that have no address; there are none here. */
static int parse_networks(struct bytes value, struct account_rules *rules, struct error *error)
{
    struct network network;
    struct bytes rest = value;
    if (rules->allow_nets.size > 0) {
        return mistake(error, "allow_nets stands there twice: join the networks by commas");
    }
    if (value.size == 0) {
        return mistake(error, "allow_nets is empty: write networks, or nologin where nobody may");
    }
    while (rest.size > 0) {
        struct bytes text = bytes_take(&rest, ',');
        if (network_parse(text, &network) < 0 && !bytes_equal(text, bytes_of("local"))) {
            char escaped[64];
            return error_set(error, ERROR_CONFIGURATION, 0,
                             "allow_nets: %s is no network: write ADDRESS or ADDRESS/BITS, whose "
                             "other bits are 0, with commas between",
                             bytes_escape(text, escaped, sizeof escaped));
        }
    }
    rules->allow_nets = value;
    return 0;
}

static int parse_tls(struct bytes value, const char *right, struct account_rules *rules,
                     struct error *error)
{
    if (!bytes_equal(value, bytes_of("required"))) {
        return error_set(error, ERROR_CONFIGURATION, 0, "write %s, or leave it out", right);
    }
    rules->needs_tls = true;
    return 0;
}

static bool may_be_in_name(uint8_t octet)
{
    return (octet >= 'a' && octet <= 'z') || (octet >= 'A' && octet <= 'Z') ||
           (octet >= '0' && octet <= '9') || octet == '.' || octet == '_' || octet == '-';
}

int app_password_check_name(struct bytes name, struct error *error)
{
    bool is_good = name.size > 0 && name.size <= APP_PASSWORD_NAME_MAX;
    for (size_t i = 0; is_good && i < name.size; i++) {
        is_good = may_be_in_name(name.data[i]);
    }
    if (!is_good) {
        return error_set(error, ERROR_USAGE, 0,
                         "the name of an app password is 1 to %d letters, digits, '.', '_' or '-'",
                         APP_PASSWORD_NAME_MAX);
    }
    return 0;
}

bool extra_fields_scram(const struct extra_fields *fields, struct scram_keys *keys_out)
{
    for (size_t i = 0; i < fields->app_password_count; i++) {
        if (verifier_scram_keys(fields->app_passwords[i].verifier, SCRAM_SHA_256, keys_out)) {
            return true;
        }
    }
    return false;
}

static int check_verifier(const struct extra_fields *fields, struct bytes verifier,
                          struct error *error)
{
    struct verifier_cost cost;
    struct scram_keys first, own;
    if (verifier_examine(verifier, &cost, error) < 0) {
        return -1;
    }
    if (cost.scheme == VERIFIER_PLAIN) {
        return 0;
    }
    if (!verifier_scram_keys(verifier, SCRAM_SHA_256, &own)) {
        return mistake(error, "an app password is kept as {SCRAM-SHA-256} or {PLAIN}: revoke it "
                              "and make another");
    }
    if (extra_fields_scram(fields, &first) && !scram_keys_have_one_salt(&first, &own)) {
        return mistake(error, "the app passwords of an account have one salt and one count of "
                              "iterations: revoke the one that differs and make another");
    }
    return 0;
}

/* NAME[;allow_nets=...][;tls=required];{SCHEME}hash: the hash may have a ';' in it if it is {PLAIN}. */
static int parse_app_password(struct bytes value, struct extra_fields *fields, struct error *error)
{
    struct app_password made = {.name = bytes_take(&value, ';')};
    struct error inner;
    if (app_password_check_name(made.name, &inner) < 0) {
        return mistake(error, inner.text);
    }
    for (size_t i = 0; i < fields->app_password_count; i++) {
        if (bytes_equal(fields->app_passwords[i].name, made.name)) {
            return mistake(error, "two app passwords have one name: revoke it and make another");
        }
    }
    if (fields->app_password_count == APP_PASSWORDS_MAX) {
        return error_set(error, ERROR_CONFIGURATION, 0,
                         "an account has at most %d app passwords: revoke those that are not used",
                         APP_PASSWORDS_MAX);
    }
    while (value.size > 0 && value.data[0] != '{') {
        struct bytes rule = bytes_take(&value, ';');
        int result;
        if (bytes_take_prefix(&rule, "allow_nets=")) {
            result = parse_networks(rule, &made.rules, error);
        } else if (bytes_take_prefix(&rule, "tls=")) {
            result = parse_tls(rule, "tls=required", &made.rules, error);
        } else {
            result = mistake(error, "an app password has a rule that is not known: write "
                                    "NAME;allow_nets=NETWORK;tls=required;{SCHEME}hash");
        }
        if (result < 0) {
            return -1;
        }
    }
    made.verifier = value;
    if (check_verifier(fields, value, error) < 0) {
        return -1;
    }
    fields->app_passwords[fields->app_password_count++] = made;
    return 0;
}

static int parse_field(struct bytes field, struct extra_fields *fields, struct error *error)
{
    if (bytes_take_prefix(&field, "userdb_mail=")) {
        fields->has_mail = true;
        fields->mail = field;
        return 0;
    }
    if (bytes_take_prefix(&field, "allow_nets=")) {
        return parse_networks(field, &fields->rules, error);
    }
    if (bytes_take_prefix(&field, "restante_tls=")) {
        return parse_tls(field, "restante_tls=required", &fields->rules, error);
    }
    if (bytes_take_prefix(&field, "restante_app_password=")) {
        return parse_app_password(field, fields, error);
    }
    if (bytes_take_prefix(&field, "restante_main_password=")) {
        fields->refuses_main_password = true;
        return bytes_equal(field, bytes_of("no"))
                   ? 0
                   : mistake(error, "write restante_main_password=no, or leave it out");
    }
    if (bytes_take_prefix(&field, "restante_")) {
        return mistake(error, "a field that begins with restante_ is none that is known: see "
                              "restante-user(1)");
    }
    if (bytes_take_prefix(&field, "nologin") && (field.size == 0 || field.data[0] == '=')) {
        fields->is_locked = true;
    }
    return 0;
}

int extra_fields_parse(struct bytes text, struct extra_fields *fields_out, struct error *error)
{
    *fields_out = (struct extra_fields){0};
    while (text.size > 0) {
        if (parse_field(bytes_take(&text, ' '), fields_out, error) < 0) {
            return -1;
        }
    }
    return 0;
}

static bool is_from_one_of(struct bytes networks, const struct sockaddr *peer)
{
    struct network network;
    while (networks.size > 0) {
        if (network_parse(bytes_take(&networks, ','), &network) == 0 &&
            network_contains(&network, peer)) {
            return true;
        }
    }
    return false;
}

enum account_rule account_rules_refusal(const struct account_rules *rules,
                                        const struct account_connection *connection)
{
    if (rules->needs_tls && !connection->is_tls) {
        return ACCOUNT_RULE_TLS;
    }
    if (rules->allow_nets.size > 0 && !is_from_one_of(rules->allow_nets, connection->peer)) {
        return ACCOUNT_RULE_NETWORK;
    }
    return ACCOUNT_RULE_NONE;
}

const char *account_rule_name(enum account_rule rule)
{
    switch (rule) {
    case ACCOUNT_RULE_NONE:
        break;
    case ACCOUNT_RULE_NETWORK:
        return "network";
    case ACCOUNT_RULE_TLS:
        return "tls";
    case ACCOUNT_RULE_MAIN_PASSWORD:
        return "main-password";
    }
    return "none";
}
