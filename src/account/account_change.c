/* SPDX-License-Identifier: MIT */
/* Each change makes a new line out of the old one under the file's lock, and reads it before it is written:
 * what would be a mistake is told to who asked for it, and never gets into the file. */
#include "account/account_change.h"

#include <stdio.h>

#include <sodium.h>

#include "account/account_line.h"
#include "account/accounts.h"
#include "account/accounts_edit.h"

enum { FIELDS_BEFORE_EXTRA = 7, FIELD_OCTETS_MAX = 2048 };

#define APP_PASSWORD_KEY "restante_app_password="

/* Copies what is before the extra fields, and the colons that are missing there; returns the fields. */
static struct bytes copy_head(struct bytes line, struct buffer *out)
{
    struct bytes rest = line;
    for (int i = 0; i < FIELDS_BEFORE_EXTRA; i++) {
        buffer_append(out, bytes_take(&rest, ':'));
        buffer_append_octet(out, ':');
    }
    return rest;
}

/* Copies the line with `field` in place of the one that begins with `prefix`, or behind all if there is none;
 * an empty field takes it away. */
static void put_field(struct bytes line, struct bytes prefix, struct bytes field,
                      struct buffer *out)
{
    struct bytes extra = copy_head(line, out);
    bool is_put = field.size == 0;
    bool is_first = true;
    bool is_last = extra.size == 0;
    while (!is_last) {
        size_t size = bytes_find(extra, ' ');
        struct bytes old = {extra.data, size};
        is_last = size == extra.size;
        extra = (struct bytes){extra.data + size + !is_last, extra.size - size - !is_last};
        if (bytes_begin(old, prefix)) {
            if (is_put) {
                continue;
            }
            old = field;
            is_put = true;
        }
        if (!is_first) {
            buffer_append_octet(out, ' ');
        }
        is_first = false;
        buffer_append(out, old);
    }
    if (!is_put) {
        if (!is_first && out->data[out->written - 1] != ' ') {
            buffer_append_octet(out, ' ');
        }
        buffer_append(out, field);
    }
}

/* What the field of an app password begins with. */
static void append_key(struct buffer *out, struct bytes name)
{
    buffer_append_text(out, APP_PASSWORD_KEY);
    buffer_append(out, name);
    buffer_append_octet(out, ';');
}

/* Would the new line be one that counts? */
static int check_new_line(const struct buffer *line, struct error *error)
{
    struct account_line account;
    struct error inner;
    if (line->overflow) {
        return error_set(error, ERROR_USAGE, 0, "the account's line would be over %d octets",
                         ACCOUNT_LINE_OCTETS_MAX);
    }
    if (account_line_parse(buffer_pending(line), &account, &inner) < 0) {
        return error_set(error, ERROR_USAGE, 0, "%s", inner.text);
    }
    return 0;
}

struct password_change {
    const char *scheme;
    const struct secret *secret;
};

static int rewrite_password(struct bytes line, struct buffer *out, void *context,
                            struct error *error)
{
    const struct password_change *change = context;
    struct account_line account;
    struct scram_keys keys;
    char verifier[VERIFIER_MADE_OCTETS];
    struct bytes rest = line;
    /* of a line with a mistake the password may be it */
    bool is_shared =
        account_line_parse(line, &account, NULL) == 0 && extra_fields_scram(&account.fields, &keys);
    if (verifier_make(change->scheme, change->secret, is_shared ? &keys : NULL, verifier, error) <
        0) {
        return -1;
    }
    buffer_append(out, bytes_take(&rest, ':'));
    buffer_append_octet(out, ':');
    buffer_append_text(out, verifier);
    size_t old = bytes_find(rest, ':');
    buffer_append(out, (struct bytes){rest.data + old, rest.size - old});
    return 0;
}

int account_change_password(const char *path, struct bytes name, const char *scheme,
                            const struct secret *secret, struct error *error)
{
    struct password_change change = {.scheme = scheme, .secret = secret};
    return accounts_edit_line(path, name, rewrite_password, &change, error);
}

int account_make_secret(struct secret **secret_out, struct error *error)
{
    /* Crockford's base 32: no letter looks like a digit. */
    static const char letters[] = "0123456789abcdefghjkmnpqrstvwxyz";
    uint8_t text[APP_PASSWORD_SECRET_SIZE - 1];
    if (sodium_init() < 0) {
        return error_set(error, ERROR_TEMPORARY, 0, "libsodium does not start");
    }
    for (size_t i = 0; i < sizeof text; i++) {
        text[i] = i % 5 == 4 ? '-' : (uint8_t)letters[randombytes_uniform(32)];
    }
    int result = secret_create((struct bytes){text, sizeof text}, secret_out, error);
    sodium_memzero(text, sizeof text);
    return result;
}

struct addition {
    const struct app_password_change *change;
    const struct secret *secret;
};

/* Salt and iterations of the account's SCRAM secrets; false: it has none yet. */
static bool find_salt(const struct account_line *account, struct scram_keys *keys_out)
{
    return extra_fields_scram(&account->fields, keys_out) ||
           verifier_scram_keys(account->password, SCRAM_SHA_256, keys_out);
}

static int append_verifier(const struct account_line *account, const struct addition *addition,
                           struct buffer *field, struct error *error)
{
    struct scram_keys keys;
    char verifier[VERIFIER_MADE_OCTETS];
    if (addition->change->is_plain) {
        buffer_append_text(field, "{PLAIN}");
        buffer_append(field, secret_octets(addition->secret));
        return 0;
    }
    if (verifier_make("scram-sha-256", addition->secret, find_salt(account, &keys) ? &keys : NULL,
                      verifier, error) < 0) {
        return -1;
    }
    buffer_append_text(field, verifier);
    return 0;
}

static int rewrite_addition(struct bytes line, struct buffer *out, void *context,
                            struct error *error)
{
    const struct addition *addition = context;
    const struct app_password_change *change = addition->change;
    struct account_line account;
    struct buffer field;
    uint8_t memory[FIELD_OCTETS_MAX];
    if (account_line_parse(line, &account, error) < 0) {
        return -1;
    }
    for (size_t i = 0; i < account.fields.app_password_count; i++) {
        if (bytes_equal(account.fields.app_passwords[i].name, change->name)) {
            return error_set(error, ERROR_USAGE, 0,
                             "there is an app password of that name already: revoke it first, or "
                             "give this one another name");
        }
    }
    buffer_init(&field, memory, sizeof memory);
    append_key(&field, change->name);
    size_t key_size = field.written;
    if (change->allow_nets != NULL) {
        buffer_append_text(&field, "allow_nets=");
        buffer_append_text(&field, change->allow_nets);
        buffer_append_octet(&field, ';');
    }
    if (change->needs_tls) {
        buffer_append_text(&field, "tls=required;");
    }
    int result = append_verifier(&account, addition, &field, error);
    if (result == 0) {
        out->overflow = field.overflow;
        put_field(line, (struct bytes){memory, key_size}, buffer_pending(&field), out);
        result = check_new_line(out, error);
    }
    sodium_memzero(memory, sizeof memory);
    return result;
}

static int check_rule_text(const char *text, struct error *error)
{
    if (text != NULL && strpbrk(text, " \t\r\n;") != NULL) {
        return error_set(error, ERROR_USAGE, 0,
                         "networks are ADDRESS or ADDRESS/BITS, with commas and no blanks between");
    }
    return 0;
}

int account_add_app_password(const char *path, struct bytes name,
                             const struct app_password_change *change, const struct secret *secret,
                             struct error *error)
{
    struct addition addition = {.change = change, .secret = secret};
    if (app_password_check_name(change->name, error) < 0 ||
        check_rule_text(change->allow_nets, error) < 0) {
        return -1;
    }
    return accounts_edit_line(path, name, rewrite_addition, &addition, error);
}

static bool has_field(struct bytes line, struct bytes prefix)
{
    struct bytes rest = line;
    for (int i = 0; i < FIELDS_BEFORE_EXTRA; i++) {
        (void)bytes_take(&rest, ':');
    }
    while (rest.size > 0) {
        if (bytes_begin(bytes_take(&rest, ' '), prefix)) {
            return true;
        }
    }
    return false;
}

/* Of a line with a mistake too: what is revoked may be it. */
static int rewrite_revocation(struct bytes line, struct buffer *out, void *context,
                              struct error *error)
{
    const struct bytes *name = context;
    struct buffer key;
    uint8_t memory[sizeof APP_PASSWORD_KEY + APP_PASSWORD_NAME_MAX + 1];
    buffer_init(&key, memory, sizeof memory);
    append_key(&key, *name);
    if (!has_field(line, buffer_pending(&key))) {
        return error_set(error, ERROR_USAGE, 0, "there is no app password of that name");
    }
    put_field(line, buffer_pending(&key), (struct bytes){0}, out);
    return 0;
}

int account_revoke_app_password(const char *path, struct bytes name, struct bytes app_password,
                                struct error *error)
{
    if (app_password_check_name(app_password, error) < 0) {
        return -1;
    }
    return accounts_edit_line(path, name, rewrite_revocation, &app_password, error);
}

static int put_rule(struct buffer *line, const char *key, const char *value, struct error *error)
{
    uint8_t field_memory[FIELD_OCTETS_MAX], old[ACCOUNT_LINE_OCTETS_MAX];
    struct bytes before = buffer_pending(line);
    struct buffer field;
    if (value == NULL || line->overflow) {
        return 0;
    }
    if (check_rule_text(value, error) < 0) {
        return -1;
    }
    buffer_init(&field, field_memory, sizeof field_memory);
    if (value[0] != '\0') {
        buffer_append_text(&field, key);
        buffer_append_text(&field, value);
    }
    memcpy(old, before.data, before.size);
    buffer_consume(line, before.size);
    line->overflow = field.overflow;
    put_field((struct bytes){old, before.size}, bytes_of(key), buffer_pending(&field), line);
    sodium_memzero(old, sizeof old);
    return 0;
}

static int rewrite_rules(struct bytes line, struct buffer *out, void *context, struct error *error)
{
    const struct account_rules_change *change = context;
    buffer_append(out, line);
    if (put_rule(out, "allow_nets=", change->allow_nets, error) < 0 ||
        put_rule(out, "restante_tls=", change->tls, error) < 0 ||
        put_rule(out, "restante_main_password=", change->main_password, error) < 0) {
        return -1;
    }
    return check_new_line(out, error);
}

int account_change_rules(const char *path, struct bytes name,
                         const struct account_rules_change *change, struct error *error)
{
    struct account_rules_change copy = *change;
    return accounts_edit_line(path, name, rewrite_rules, &copy, error);
}
