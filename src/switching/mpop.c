/* SPDX-License-Identifier: MIT */
/* mpop's configuration, by mpop(1), "Usage": one command a line, its argument perhaps between double quotes. An
 * account has the defaults that stood above it and what the accounts that it names have. */
#include <sodium.h>
#include <stdlib.h>

#include "base/number.h"
#include "switching/foreign.h"

struct parser {
    const char *file;
    unsigned line;
    struct foreign *out;
    struct error *error;
    struct foreign_account *defaults;
    struct foreign_account
        *current; /* the defaults, or the account that was begun last; NULL: none */
};

/* Of an account: what is told by more than one command, kept as options of names that fetch.conf has not until
 * the end. */
static const char starttls[] = "mpop tls_starttls", tls[] = "mpop tls", uidls[] = "mpop uidls_file",
                  evaluated[] = "mpop passwordeval";

static bool is_off(const char *argument)
{
    return strcmp(argument, "off") == 0;
}

static bool is_on(const char *argument)
{
    return argument[0] == '\0' || strcmp(argument, "on") == 0;
}

static int needs_switch(struct parser *parser, const char *command)
{
    return foreign_mistake(parser->error, parser->file, parser->line,
                           "%s takes on or off; write one", command);
}

static void take_path(struct parser *parser, const char *option, const char *command,
                      const char *path)
{
    if (foreign_is_path(path)) {
        foreign_set(parser->current, option, "%s", path);
    } else {
        foreign_note(&parser->current->notes, parser->line, "%s: write %s = and its whole path",
                     command, option);
    }
}

static void take_command(struct parser *parser, const char *option, const char *command)
{
    AUTO_FREE char *text = foreign_format("%s", command);
    char *sender;
    while ((sender = strstr(text, "%F")) != NULL) {
        char *replaced =
            foreign_format("%.*sMAILER-DAEMON%s", (int)(sender - text), text, sender + 2);
        free(text);
        text = replaced;
        foreign_note(&parser->current->notes, parser->line,
                     "a command is not told the sender (%%F)");
    }
    while ((sender = strstr(text, "%S")) != NULL) {
        char *replaced =
            foreign_format("%.*s$RESTANTE_OCTETS%s", (int)(sender - text), text, sender + 2);
        free(text);
        text = replaced;
    }
    if (strcmp(option, "filter") == 0) {
        /* mpop's tells by its exit status, ours by a word. */
        foreign_set(
            parser->current, option,
            "( %s ) >/dev/null; case $? in 0) echo take;; 1) echo delete;; 2) echo leave;; esac",
            text);
    } else {
        foreign_set(parser->current, option, "%s", text);
    }
}

/* A copy without the double quotes around it. */
static char *unquoted(struct bytes text)
{
    bool is_quoted = text.size >= 2 && text.data[0] == '"' && text.data[text.size - 1] == '"';
    return foreign_copy(is_quoted ? (struct bytes){text.data + 1, text.size - 2} : text);
}

static int take_delivery(struct parser *parser, const char *argument)
{
    static const struct {
        const char *method, *option;
    } methods[] = {{"mda", "pipe"}, {"maildir", "maildir"}, {"mbox", "mbox"}};
    size_t size = strcspn(argument, " \t,");
    AUTO_FREE char *place = unquoted(bytes_of(argument + size + strspn(argument + size, " \t,")));
    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++) {
        foreign_unset(parser->current, methods[i].option);
    }
    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++) {
        if (strlen(methods[i].method) == size && memcmp(methods[i].method, argument, size) == 0) {
            if (i == 0) {
                take_command(parser, methods[i].option, place);
            } else {
                take_path(parser, methods[i].option, "delivery", place);
            }
            return 0;
        }
    }
    foreign_note(&parser->current->notes, parser->line,
                 "delivery: restante has maildir, mbox, pipe and lmtp; write one");
    return 0;
}

static int take_auth(struct parser *parser, const char *method)
{
    static const char *const known[] = {"user",          "plain",       "login",
                                        "apop",          "cram-md5",    "scram-sha-1",
                                        "scram-sha-256", "oauthbearer", "xoauth2"};
    foreign_unset(parser->current, "auth");
    if (is_on(method)) {
        return 0;
    }
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (strcmp(method, known[i]) == 0) {
            foreign_set(parser->current, "auth", "%s", method);
            return 0;
        }
    }
    foreign_note(&parser->current->notes, parser->line,
                 "auth: restante has no such way to log in; auth = auto");
    return 0;
}

static int take_fingerprint(struct parser *parser, const char *text)
{
    foreign_unset(parser->current, "fingerprint");
    if (strlen(text) == 95) { /* 32 octets with colons between them: SHA-256 */
        foreign_set(parser->current, "fingerprint", "%s", text);
    } else if (text[0] != '\0') {
        foreign_note(&parser->current->notes, parser->line,
                     "tls_fingerprint: it is not of SHA-256; write that as fingerprint");
    }
    return 0;
}

static int take_size(struct parser *parser, const char *command, const char *argument)
{
    size_t size = strlen(argument);
    uint64_t octets;
    AUTO_FREE char *text = foreign_format("%s", argument);
    if (size != 0 && (text[size - 1] == 'k' || text[size - 1] == 'm')) {
        text[size - 1] = text[size - 1] == 'k' ? 'K' : 'M';
    }
    if (!is_off(argument) && number_parse_size(bytes_of(text), &octets) < 0) {
        return foreign_mistake(parser->error, parser->file, parser->line,
                               "%s takes a size or off; write one", command);
    }
    if (strcmp(command, "killsize") == 0) {
        if (!is_off(argument)) {
            foreign_note(&parser->current->notes, parser->line,
                         "killsize has no counterpart: nothing is deleted that is not stored");
        }
    } else if (is_off(argument)) {
        foreign_unset(parser->current, "max-size");
    } else {
        foreign_set(parser->current, "max-size", "%s", text);
    }
    return 0;
}

/* on or off */
static int take_switch(struct parser *parser, const char *command, const char *argument)
{
    struct foreign_account *account = parser->current;
    if (!is_on(argument) && !is_off(argument)) {
        return needs_switch(parser, command);
    }
    bool on = is_on(argument);
    if (strcmp(command, "tls") == 0) {
        foreign_set(account, tls, "%s", on ? "on" : "off");
    } else if (strcmp(command, "tls_starttls") == 0) {
        foreign_set(account, starttls, "%s", on ? "on" : "off");
    } else if (strcmp(command, "keep") == 0 && on) {
        foreign_set(account, "keep", "yes");
    } else if (strcmp(command, "keep") == 0) {
        foreign_unset(account, "keep");
    } else if (strcmp(command, "only_new") == 0 && !on) {
        foreign_note(&account->notes, parser->line,
                     "only_new off: restante fetches each message once");
    } else if (strcmp(command, "tls_certcheck") == 0 && !on) {
        foreign_note(
            &account->notes, parser->line,
            "tls_certcheck off: restante checks certificates; if that fails, write ca-file or "
            "fingerprint");
    } else if (strcmp(command, "received_header") == 0) {
        foreign_set(account, "trace", "%s", on ? "yes" : "no");
    }
    return 0;
}

static int take_simple(struct parser *parser, const char *command, const char *argument)
{
    struct foreign_account *account = parser->current;
    uint64_t number;
    if (strcmp(command, "host") == 0 || strcmp(command, "user") == 0) {
        const char *option = strcmp(command, "host") == 0 ? "host" : "user";
        foreign_unset(account, option);
        if (argument[0] != '\0') {
            foreign_set(account, option, "%s", argument);
        }
        return 0;
    }
    if (strcmp(command, "port") == 0) {
        if (number_parse(bytes_of(argument), 65535, &number) < 0 || number == 0) {
            return foreign_mistake(parser->error, parser->file, parser->line,
                                   "port takes a number from 1 to 65535; write one");
        }
        foreign_set(account, "port", "%s", argument);
        return 0;
    }
    if (number_parse(bytes_of(argument), 86400, &number) == 0 && number != 0) { /* timeout */
        foreign_set(account, "timeout", "%llus",
                    (unsigned long long)(number > 3600 ? 3600 : number));
    } else if (!is_off(argument)) {
        return foreign_mistake(parser->error, parser->file, parser->line,
                               "timeout takes seconds or off; write one");
    }
    return 0;
}

static int take_password(struct parser *parser, const char *command, const char *argument)
{
    if (strcmp(command, "password") == 0) {
        foreign_replace(&parser->current->password, argument[0] == '\0' ? NULL : argument);
    } else {
        foreign_unset(parser->current, evaluated);
        if (argument[0] != '\0') {
            foreign_set(parser->current, evaluated, "%s", argument);
        }
    }
    return 0;
}

static int take_file(struct parser *parser, const char *command, const char *argument)
{
    if (strcmp(command, "uidls_file") == 0) {
        foreign_set(parser->current, uidls, "%s", argument);
        return 0;
    }
    foreign_unset(parser->current, "ca-file");
    if (argument[0] == '\0') {
        foreign_note(&parser->current->notes, parser->line,
                     "tls_trust_file: restante trusts the system's CAs");
    } else if (strcmp(argument, "system") != 0) {
        take_path(parser, "ca-file", command, argument);
    }
    return 0;
}

static int take_filter(struct parser *parser, const char *command, const char *argument)
{
    (void)command;
    foreign_unset(parser->current, "filter");
    if (argument[0] != '\0') {
        take_command(parser, "filter", argument);
    }
    return 0;
}

static int take_other(struct parser *parser, const char *command, const char *argument)
{
    if (strcmp(command, "delivery") == 0) {
        return take_delivery(parser, argument);
    }
    return strcmp(command, "auth") == 0 ? take_auth(parser, argument)
                                        : take_fingerprint(parser, argument);
}

static int take_noted(struct parser *parser, const char *command, const char *argument)
{
    if (argument[0] != '\0') {
        foreign_note(&parser->current->notes, parser->line, "%s has no counterpart", command);
    }
    return 0;
}

static int take_ignored(struct parser *parser, const char *command, const char *argument)
{
    (void)parser;
    (void)command;
    (void)argument;
    return 0;
}

static const struct {
    const char *command;
    int (*take)(struct parser *parser, const char *command, const char *argument);
} commands[] = {
    {"host", take_simple},
    {"port", take_simple},
    {"timeout", take_simple},
    {"user", take_simple},
    {"password", take_password},
    {"passwordeval", take_password},
    {"auth", take_other},
    {"tls", take_switch},
    {"tls_starttls", take_switch},
    {"tls_trust_file", take_file},
    {"tls_fingerprint", take_other},
    {"tls_certcheck", take_switch},
    {"delivery", take_other},
    {"uidls_file", take_file},
    {"only_new", take_switch},
    {"keep", take_switch},
    {"killsize", take_size},
    {"skipsize", take_size},
    {"filter", take_filter},
    {"received_header", take_switch},
    {"pipelining", take_ignored},
    {"tls_crl_file", take_noted},
    {"tls_priorities", take_noted},
    {"tls_min_dh_prime_bits", take_ignored},
    {"tls_key_file", take_noted},
    {"tls_cert_file", take_noted},
    {"tls_host_override", take_noted},
    {"tls_force_sslv3", take_ignored},
    {"ntlmdomain", take_noted},
    {"source_ip", take_noted},
    {"proxy_host", take_noted},
    {"proxy_port", take_ignored},
    {"socket", take_noted},
};

static struct foreign_account *find(const struct foreign *out, struct bytes name)
{
    for (size_t i = 0; i < out->count; i++) {
        if (bytes_equal(bytes_of(out->accounts[i]->name), name)) {
            return out->accounts[i];
        }
    }
    return NULL;
}

static struct bytes trim(struct bytes text)
{
    while (text.size != 0 && strchr(" \t\r", text.data[0]) != NULL && text.data[0] != '\0') {
        text = bytes_from(text, 1);
    }
    while (text.size != 0 && text.data[text.size - 1] != '\0' &&
           strchr(" \t\r", text.data[text.size - 1]) != NULL) {
        text.size--;
    }
    return text;
}

/* NAME [: NAME, NAME ...] */
static int begin_account(struct parser *parser, const char *argument)
{
    struct bytes rest = bytes_of(argument);
    size_t colon = bytes_find(rest, ':');
    AUTO_FREE char *name = foreign_copy(trim((struct bytes){rest.data, colon}));
    if (name[0] == '\0' || find(parser->out, bytes_of(name)) != NULL ||
        parser->out->count >= FOREIGN_ACCOUNTS_MOST) {
        return foreign_mistake(parser->error, parser->file, parser->line,
                               "an account needs a name, and one of its own; write another");
    }
    parser->current = foreign_add_like(parser->out, name, parser->defaults);
    for (rest = bytes_from(rest, colon + 1); rest.size != 0;) {
        size_t comma = bytes_find(rest, ',');
        struct foreign_account *from = find(parser->out, trim((struct bytes){rest.data, comma}));
        if (from == NULL || from == parser->current) {
            return foreign_mistake(
                parser->error, parser->file, parser->line,
                "this account is to be like one that is not above it; move that up, or "
                "correct its name");
        }
        foreign_merge(parser->current, from);
        rest = bytes_from(rest, comma + 1);
    }
    return 0;
}

static int take_line(struct parser *parser, struct bytes line)
{
    size_t size = 0;
    line = trim(line);
    if (line.size == 0 || line.data[0] == '#') {
        return 0;
    }
    while (size < line.size && line.data[size] != ' ' && line.data[size] != '\t') {
        size++;
    }
    struct bytes value = trim(bytes_from(line, size));
    AUTO_FREE char *command = foreign_copy((struct bytes){line.data, size});
    char *argument = unquoted(value);
    int result = -1;
    size_t i = 0;
    while (i < sizeof commands / sizeof commands[0] && strcmp(commands[i].command, command) != 0) {
        i++;
    }
    if (strcmp(command, "defaults") == 0) {
        parser->current = parser->defaults;
        result = 0;
    } else if (strcmp(command, "account") == 0) {
        result = begin_account(parser, argument);
    } else if (strcmp(command, "eval") == 0) {
        result = foreign_mistake(parser->error, parser->file, parser->line,
                                 "eval is not run here; write what it prints, or passwordeval");
    } else if (i == sizeof commands / sizeof commands[0]) {
        result = foreign_mistake(parser->error, parser->file, parser->line,
                                 "mpop has no such command; mpop(1) lists them");
    } else if (parser->current == NULL) {
        result = foreign_mistake(parser->error, parser->file, parser->line,
                                 "a command before the first account; write account NAME above it");
    } else {
        result = commands[i].take(parser, command, argument);
    }
    foreign_replace(&argument, NULL); /* it may be a password */
    return result;
}

static char *replace_all(char *text, const char *what, const char *by)
{
    for (char *at = strstr(text, what); at != NULL;) {
        size_t before = (size_t)(at - text);
        char *replaced = foreign_format("%.*s%s%s", (int)before, text, by, at + strlen(what));
        free(text);
        text = replaced;
        at = strstr(text + before + strlen(by), what);
    }
    return text;
}

/* What several commands said together. */
static void finish_account(struct foreign_account *account)
{
    const char *host = foreign_get(account, "host");
    const char *user = foreign_get(account, "user");
    const char *file = foreign_get(account, uidls);
    const char *command = foreign_get(account, evaluated);
    const char *with_tls = foreign_get(account, tls);
    const char *with_stls = foreign_get(account, starttls);
    char *path = foreign_format("%s", file == NULL ? "~/.mpop_uidls/%U_at_%H" : file);
    path = replace_all(path, "%U", user == NULL ? "" : user);
    path = replace_all(path, "%H", host == NULL ? "" : host);
    free(account->ids_file);
    account->ids_file = path;
    foreign_replace(&account->ids_host, host);
    foreign_replace(&account->ids_user, user);
    account->deletes_retrieved = foreign_get(account, "keep") == NULL;
    if (with_tls == NULL || is_off(with_tls)) {
        foreign_set(account, "tls", "never");
    } else if (with_stls == NULL || !is_off(with_stls)) {
        foreign_set(account, "tls", "stls");
    }
    const char *auth = foreign_get(account, "auth");
    bool by_token =
        auth != NULL && (strcmp(auth, "oauthbearer") == 0 || strcmp(auth, "xoauth2") == 0);
    if (command != NULL && account->password == NULL) {
        foreign_set(account, by_token ? "token-command" : "password-command", "%s", command);
    } else if (account->password == NULL) {
        foreign_note(
            &account->notes, 0,
            "mpop takes the password from the keyring, from .netrc, or asks for it; for the "
            "keyring "
            "write password-command = secret-tool lookup service pop3 host HOST user USER");
    }
    foreign_unset(account, uidls);
    foreign_unset(account, evaluated);
    foreign_unset(account, tls);
    foreign_unset(account, starttls);
}

/* `account default : other` is a name for another, not one more. */
static void drop_aliases(struct foreign *out)
{
    for (size_t i = out->count; i-- > 0;) {
        const struct foreign_account *one = out->accounts[i];
        bool is_alias = false;
        for (size_t j = 0; j < out->count && strcmp(one->name, "default") == 0; j++) {
            const struct foreign_account *other = out->accounts[j];
            const char *hosts[] = {foreign_get(one, "host"), foreign_get(other, "host")};
            const char *users[] = {foreign_get(one, "user"), foreign_get(other, "user")};
            is_alias =
                is_alias || (j != i && hosts[0] != NULL && hosts[1] != NULL && users[0] != NULL &&
                             users[1] != NULL && strcmp(hosts[0], hosts[1]) == 0 &&
                             strcmp(users[0], users[1]) == 0);
        }
        if (is_alias) {
            (void)foreign_account_free(out->accounts[i]);
            memmove(&out->accounts[i], &out->accounts[i + 1],
                    (out->count - i - 1) * sizeof(struct foreign_account *));
            out->count--;
        }
    }
}

int foreign_parse_mpop(struct bytes text, const char *file, struct foreign *out,
                       struct error *error)
{
    struct parser parser = {.file = file, .out = out, .error = error};
    int result = 0;
    parser.defaults = foreign_account_create("defaults");
    while (result == 0 && text.size != 0) {
        struct bytes line = {text.data, bytes_find(text, '\n')};
        parser.line++;
        result = take_line(&parser, line);
        text = bytes_from(text, line.size + 1);
    }
    (void)foreign_account_free(parser.defaults);
    if (result == 0) {
        for (size_t i = 0; i < out->count; i++) {
            finish_account(out->accounts[i]);
        }
        drop_aliases(out);
    }
    return result;
}
