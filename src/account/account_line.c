/* SPDX-License-Identifier: MIT */
/* Dovecot's passwd-file, read as Dovecot 2.3 reads it:
 *
 *     name:{SCHEME}hash:uid:gid:gecos:home:shell:extra fields
 *
 * The extra fields are key=value, parted by spaces, and keep their colons (extra_fields.h). */
#include "account/account_line.h"

#include "base/number.h"
#include "base/user_name.h"

enum {
    FIELD_UID = 2,
    FIELD_GID = 3,
    FIELD_HOME = 5,
    FIELD_EXTRA = 7,
    MAILDROP_OCTETS_MAX = 4095,
};

bool account_line_is_blank(struct bytes line)
{
    if (line.size > 0 && line.data[0] == '#') {
        return true;
    }
    for (size_t i = 0; i < line.size; i++) {
        if (line.data[i] != ' ' && line.data[i] != '\t') {
            return false;
        }
    }
    return true;
}

/* The value of userdb_mail: "maildir:/path", options of Dovecot's behind a ':', or a plain "/path". */
static int parse_mail(struct bytes value, struct account_line *account, struct error *error)
{
    bool is_typed = bytes_take_prefix(&value, "maildir:");
    struct bytes path = is_typed ? bytes_take(&value, ':') : value;
    while (is_typed && value.size > 0) {
        struct bytes option = bytes_take(&value, ':');
        if (bytes_take_prefix(&option, "INBOX=")) {
            path = option;
        }
    }
    account->is_in_home = bytes_take_prefix(&path, "~/");
    if (account->is_in_home) {
        if (account->home.size == 0) {
            return error_set(error, ERROR_CONFIGURATION, 0,
                             "userdb_mail begins with ~/ but the home field is no absolute path: "
                             "write userdb_mail=maildir:/path");
        }
    } else if (path.size == 0 || path.data[0] != '/') {
        return error_set(error, ERROR_CONFIGURATION, 0,
                         "userdb_mail is no Maildir: write userdb_mail=maildir:/path");
    }
    struct bytes before = account->is_in_home ? account->home : (struct bytes){0};
    if (bytes_find(path, '%') < path.size || bytes_find(before, '%') < before.size) {
        return error_set(error, ERROR_CONFIGURATION, 0,
                         "userdb_mail has a %% variable: write the path out, or set `path` in "
                         "[maildrop]");
    }
    if (before.size + 1 + path.size > MAILDROP_OCTETS_MAX) {
        return error_set(error, ERROR_CONFIGURATION, 0, "the path in userdb_mail is too long");
    }
    account->maildrop = path;
    return 0;
}

/* A check of an account whose app passwords have a salt of their own makes one derivation more. */
static void add_cost_of_app_passwords(struct account_line *account)
{
    struct scram_keys main_keys, app_keys;
    if (extra_fields_scram(&account->fields, &app_keys) &&
        !(verifier_scram_keys(account->password, SCRAM_SHA_256, &main_keys) &&
          scram_keys_have_one_salt(&main_keys, &app_keys))) {
        account->cost.work_of_app_passwords = app_keys.iterations;
    }
}

static int parse_extra(struct bytes extra, struct account_line *account, struct error *error)
{
    if (extra_fields_parse(extra, &account->fields, error) < 0 ||
        (account->fields.has_mail && parse_mail(account->fields.mail, account, error) < 0)) {
        return -1;
    }
    account->extra = extra;
    account->is_locked = account->is_locked || account->fields.is_locked;
    add_cost_of_app_passwords(account);
    return 0;
}

static int parse_password(struct account_line *account, struct error *error)
{
    struct bytes hash = account->password;
    if (hash.size > 0 && hash.data[0] == '{') {
        hash = bytes_from(hash, bytes_find(hash, '}') + 1);
    }
    bool is_plain = bytes_equal_ignoring_case(
        (struct bytes){account->password.data, account->password.size - hash.size},
        bytes_of("{PLAIN}"));
    if (account->password.size == 0 ||
        (!is_plain && hash.size > 0 && (hash.data[0] == '!' || hash.data[0] == '*'))) {
        account->is_locked = true;
        return 0;
    }
    return verifier_examine(account->password, &account->cost, error);
}

/* A name in the place of a number is Dovecot's business, not ours: it counts as none. */
static uint32_t parse_id(struct bytes value)
{
    uint64_t id;
    return number_parse(value, ACCOUNT_NO_ID - 1, &id) < 0 ? ACCOUNT_NO_ID : (uint32_t)id;
}

static void take_field(struct account_line *account, int field, struct bytes value)
{
    if (field == FIELD_UID) {
        account->uid = parse_id(value);
    } else if (field == FIELD_GID) {
        account->gid = parse_id(value);
    } else if (field == FIELD_HOME && value.size > 0 && value.data[0] == '/') {
        account->home = value;
    }
}

int account_line_parse(struct bytes line, struct account_line *account_out, struct error *error)
{
    struct error inner;
    *account_out = (struct account_line){.uid = ACCOUNT_NO_ID, .gid = ACCOUNT_NO_ID};
    if (bytes_find(line, 0) < line.size) {
        return error_set(error, ERROR_CONFIGURATION, 0,
                         "a NUL octet: is this a text file? remove it");
    }
    struct bytes rest = line;
    struct bytes name = bytes_take(&rest, ':');
    if (user_name_check(name, &inner) < 0) {
        return error_set(error, ERROR_CONFIGURATION, 0, "%s: correct the name before the first ':'",
                         inner.text);
    }
    if (name.size == line.size) {
        return error_set(error, ERROR_CONFIGURATION, 0,
                         "no ':' after the name: write name:{SCHEME}hash, or # before a comment");
    }
    account_out->name = name;
    account_out->password = bytes_take(&rest, ':');
    if (parse_password(account_out, error) < 0) {
        return -1;
    }
    for (int field = FIELD_UID; field < FIELD_EXTRA; field++) {
        take_field(account_out, field, bytes_take(&rest, ':'));
    }
    return parse_extra(rest, account_out, error);
}

int account_line_complete(struct account_line *account, bool has_password, struct bytes mail,
                          struct bytes extra, struct error *error)
{
    if (account->home.size > 0 && account->home.data[0] != '/') {
        account->home.size = 0;
    }
    if (has_password && parse_password(account, error) < 0) {
        return -1;
    }
    if (mail.size > 0 && parse_mail(mail, account, error) < 0) {
        return -1;
    }
    return parse_extra(extra, account, error);
}
