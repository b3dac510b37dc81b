/* SPDX-License-Identifier: MIT */
/* A getmail6 rc file, by its documentation, "Creating a getmail rc file": the INI format of Python's
 * RawConfigParser, so nothing is interpolated, and a value goes on in lines that are indented. */
#include <ctype.h>
#include <stdlib.h>

#include "base/number.h"
#include "switching/foreign.h"

enum { VALUES_MOST = 64 };

struct value {
    char *section, *name, *text;
    unsigned line;
};

struct parser {
    const char *file;
    struct error *error;
    struct value values[VALUES_MOST];
    size_t count;
    char *section;
    struct foreign_account *account;
};

static bool is_blank(uint8_t octet)
{
    return octet == ' ' || octet == '\t' || octet == '\r';
}

static struct bytes trim(struct bytes text)
{
    while (text.size != 0 && is_blank(text.data[0])) {
        text = bytes_from(text, 1);
    }
    while (text.size != 0 && is_blank(text.data[text.size - 1])) {
        text.size--;
    }
    return text;
}

static const struct value *find(const struct parser *parser, const char *section, const char *name)
{
    for (size_t i = 0; i < parser->count; i++) {
        if (strcmp(parser->values[i].section, section) == 0 &&
            strcmp(parser->values[i].name, name) == 0) {
            return &parser->values[i];
        }
    }
    return NULL;
}

static const char *text_of(const struct parser *parser, const char *section, const char *name)
{
    const struct value *value = find(parser, section, name);
    return value == NULL ? NULL : value->text;
}

static int mistake(struct parser *parser, unsigned line, const char *text)
{
    return foreign_mistake(parser->error, parser->file, line, "%s", text);
}

static int continue_value(struct parser *parser, struct bytes line, unsigned number)
{
    if (parser->count == 0 || parser->section == NULL) {
        return mistake(parser, number,
                       "an indented line goes on with a value, and there is none; begin it "
                       "in the first column");
    }
    struct value *value = &parser->values[parser->count - 1];
    AUTO_FREE char *more = foreign_copy(trim(line));
    char *longer = foreign_format("%s\n%s", value->text, more);
    foreign_replace(&value->text, longer);
    foreign_replace(&longer, NULL);
    return 0;
}

static int add_value(struct parser *parser, struct bytes line, unsigned number)
{
    size_t at = 0;
    while (at < line.size && line.data[at] != '=' && line.data[at] != ':') {
        at++;
    }
    if (parser->section == NULL || at == line.size) {
        return mistake(parser, number,
                       "neither a section nor a value; write [retriever] or name = value");
    }
    if (parser->count == VALUES_MOST) {
        return mistake(parser, number,
                       "over 64 values are too many; remove what getmail does not need");
    }
    struct value *value = &parser->values[parser->count++];
    *value = (struct value){.section = foreign_format("%s", parser->section),
                            .name = foreign_copy(trim((struct bytes){line.data, at})),
                            .text = foreign_copy(trim(bytes_from(line, at + 1))),
                            .line = number};
    for (char *octet = value->name; *octet != '\0'; octet++) {
        *octet = (char)tolower((unsigned char)*octet);
    }
    return 0;
}

static int take_line(struct parser *parser, struct bytes line, unsigned number)
{
    struct bytes text = trim(line);
    if (text.size == 0 || text.data[0] == '#' || text.data[0] == ';') {
        return 0;
    }
    if (is_blank(line.data[0])) {
        return continue_value(parser, line, number);
    }
    if (text.data[0] != '[') {
        return add_value(parser, text, number);
    }
    size_t end = bytes_find(text, ']');
    if (end == text.size) {
        return mistake(parser, number, "a section's name is not closed; write its ]");
    }
    free(parser->section);
    parser->section = foreign_copy((struct bytes){text.data + 1, end - 1});
    return 0;
}

/* 1, 0, or -1: no boolean of Python's. */
static int boolean_of(const char *text)
{
    static const char *const words[] = {"0", "no", "false", "off", "1", "yes", "true", "on"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (strcasecmp(text, words[i]) == 0) {
            return i > 3;
        }
    }
    return -1;
}

static int take_boolean(struct parser *parser, const char *section, const char *name, bool fallback,
                        bool *yes_out)
{
    const struct value *value = find(parser, section, name);
    int result = value == NULL ? fallback : boolean_of(value->text);
    if (result < 0) {
        return foreign_mistake(parser->error, parser->file, value->line,
                               "%s takes true or false; write one", name);
    }
    *yes_out = result == 1;
    return 0;
}

static int take_number(struct parser *parser, const char *section, const char *name, uint64_t most,
                       uint64_t *number_out)
{
    const struct value *value = find(parser, section, name);
    *number_out = 0;
    if (value != NULL && number_parse(bytes_of(value->text), most, number_out) < 0) {
        return foreign_mistake(parser->error, parser->file, value->line,
                               "%s takes a number of at most %llu; write one", name,
                               (unsigned long long)most);
    }
    return 0;
}

/* A string of Python's at the beginning of *text, which goes behind it; NULL: there is none that is closed. */
static char *take_string(struct bytes *text)
{
    uint8_t quote = text->data[0];
    char *string = foreign_format("%s", "");
    char *out = realloc(string, text->size + 1);
    size_t size = 0;
    if (out == NULL) {
        abort();
    }
    for (size_t i = 1; i < text->size; i++) {
        uint8_t octet = text->data[i];
        if (octet == quote) {
            out[size] = '\0';
            *text = bytes_from(*text, i + 1);
            return out;
        }
        if (octet == '\\' && i + 1 < text->size) {
            octet = text->data[++i];
            bool is_plain = octet == '\\' || octet == '\'' || octet == '"';
            if (!is_plain) {
                out[size++] = '\\'; /* as Python leaves an escape that it does not know */
            }
        }
        out[size++] = (char)octet;
    }
    free(out);
    return NULL;
}

/* ("a", 'b', ...) as words for a shell, after what is in *command. How many; -1: it is no such tuple. */
static int take_tuple(const char *value, char **command)
{
    struct bytes text = trim(bytes_of(value));
    int count = 0;
    if (text.size < 2 || text.data[0] != '(' || text.data[text.size - 1] != ')') {
        return -1;
    }
    text = (struct bytes){text.data + 1, text.size - 2};
    for (;;) {
        while (text.size != 0 &&
               (is_blank(text.data[0]) || text.data[0] == '\n' || text.data[0] == ',')) {
            text = bytes_from(text, 1);
        }
        if (text.size == 0) {
            return count;
        }
        char *string = text.data[0] == '"' || text.data[0] == '\'' ? take_string(&text) : NULL;
        if (string == NULL) {
            return -1;
        }
        foreign_append_quoted(command, string);
        free(string);
        count++;
    }
}

/* A path with ~ or variables in front, as os.path.expandvars would; only $HOME is known here. */
static void take_path(struct parser *parser, const char *section, const char *name,
                      const char *option)
{
    const struct value *value = find(parser, section, name);
    if (value == NULL) {
        return;
    }
    static const char *const homes[] = {"$HOME/", "${HOME}/"};
    const char *path = value->text;
    for (size_t i = 0; i < sizeof homes / sizeof homes[0]; i++) {
        if (strncmp(path, homes[i], strlen(homes[i])) == 0) {
            foreign_set(parser->account, option, "~/%s", path + strlen(homes[i]));
            return;
        }
    }
    if (foreign_is_path(path) && strchr(path, '$') == NULL) {
        foreign_set(parser->account, option, "%s", path);
    } else {
        foreign_note(&parser->account->notes, value->line, "%s: write %s = and its whole path",
                     name, option);
    }
}

static int take_password(struct parser *parser)
{
    struct foreign_account *account = parser->account;
    const struct value *command = find(parser, "retriever", "password_command");
    const char *password = text_of(parser, "retriever", "password");
    if (password != NULL) {
        foreign_replace(&account->password, password);
    } else if (command != NULL) {
        AUTO_FREE char *quoted = NULL;
        if (take_tuple(command->text, &quoted) < 1) {
            return mistake(
                parser, command->line,
                "password_command takes a tuple of strings; write (\"COMMAND\", \"ARGUMENT\")");
        }
        foreign_set(account, "password-command", "%s", quoted);
    } else {
        foreign_note(
            &account->notes, 0,
            "getmail takes the password from the keyring, from .netrc, or asks for it: write "
            "password-command, password-file or keyring");
    }
    return 0;
}

static int take_security(struct parser *parser, bool has_tls)
{
    struct foreign_account *account = parser->account;
    const struct value *fingerprints = find(parser, "retriever", "ssl_fingerprints");
    bool apop;
    if (take_boolean(parser, "retriever", "use_apop", false, &apop) < 0) {
        return -1;
    }
    if (apop) {
        foreign_set(account, "auth", "APOP");
    }
    if (!has_tls) {
        foreign_set(account, "tls", "never");
        return 0;
    }
    take_path(parser, "retriever", "ca_certs", "ca-file");
    if (fingerprints != NULL) {
        AUTO_FREE char *one = NULL;
        int count = take_tuple(fingerprints->text, &one);
        if (count == 1 && (strlen(one) == 64 || strlen(one) == 95)) {
            foreign_set(account, "fingerprint", "%s", one);
        } else {
            foreign_note(&account->notes, fingerprints->line,
                         "ssl_fingerprints: write one SHA-256 as fingerprint");
        }
    } else if (text_of(parser, "retriever", "ca_certs") == NULL) {
        foreign_note(
            &account->notes, 0,
            "without ca_certs getmail checks no certificate; restante does. If that fails, write "
            "ca-file or fingerprint");
    }
    static const char *const noted[] = {"keyfile", "certfile", "ssl_ciphers", "ssl_version",
                                        "ssl_cert_hostname"};
    for (size_t i = 0; i < sizeof noted / sizeof noted[0]; i++) {
        const struct value *value = find(parser, "retriever", noted[i]);
        if (value != NULL) {
            foreign_note(&account->notes, value->line, "%s has no counterpart", noted[i]);
        }
    }
    return 0;
}

static int take_external(struct parser *parser)
{
    struct foreign_account *account = parser->account;
    const struct value *arguments = find(parser, "destination", "arguments");
    const char *path = text_of(parser, "destination", "path");
    AUTO_FREE char *command = NULL;
    foreign_append_quoted(&command, path == NULL ? "" : path);
    if (arguments != NULL && take_tuple(arguments->text, &command) < 0) {
        return mistake(parser, arguments->line,
                       "arguments takes a tuple of strings; write (\"ARGUMENT\",)");
    }
    if (arguments != NULL && strstr(arguments->text, "%(") != NULL) {
        foreign_note(&account->notes, arguments->line,
                     "arguments: a pipe is not told %%(sender) or %%(recipient); correct them");
    }
    foreign_set(account, "pipe", "%s", command);
    return 0;
}

static int take_destination(struct parser *parser)
{
    struct foreign_account *account = parser->account;
    const struct value *type = find(parser, "destination", "type");
    if (type == NULL) {
        return mistake(parser, 1, "there is no destination; write [destination] and its type");
    }
    if (strcmp(type->text, "Maildir") == 0) {
        take_path(parser, "destination", "path", "maildir");
    } else if (strcmp(type->text, "Mboxrd") == 0) {
        take_path(parser, "destination", "path", "mbox");
    } else if (strcmp(type->text, "MDA_external") == 0) {
        return take_external(parser);
    } else if (strcmp(type->text, "MDA_lmtp") == 0) {
        const char *host = text_of(parser, "destination", "host");
        const char *port = text_of(parser, "destination", "port");
        const char *recipient = text_of(parser, "destination", "override");
        bool is_socket = host != NULL && host[0] == '/';
        foreign_set(account, "lmtp", is_socket ? "%s" : "%s:%s", host == NULL ? "127.0.0.1" : host,
                    port == NULL ? "2003" : port);
        foreign_set(account, "rcpt", "%s",
                    recipient == NULL ? text_of(parser, "retriever", "username") : recipient);
    } else {
        foreign_note(
            &account->notes, type->line,
            "destination: restante has one place for an account, maildir, mbox, pipe or lmtp; "
            "write one");
    }
    return 0;
}

static int take_options(struct parser *parser)
{
    struct foreign_account *account = parser->account;
    bool deletes, reads_all;
    uint64_t days, octets, bigger;
    if (take_boolean(parser, "options", "delete", false, &deletes) < 0 ||
        take_boolean(parser, "options", "read_all", true, &reads_all) < 0 ||
        take_number(parser, "options", "delete_after", 36500, &days) < 0 ||
        take_number(parser, "options", "delete_bigger_than", INT64_MAX, &bigger) < 0 ||
        take_number(parser, "options", "max_message_size", INT64_MAX, &octets) < 0) {
        return -1;
    }
    if (!deletes && days != 0) {
        foreign_set(account, "keep", "%llud", (unsigned long long)days);
    } else if (!deletes) {
        foreign_set(account, "keep", "yes");
    }
    account->deletes_retrieved = deletes;
    if (octets != 0) {
        foreign_set(account, "max-size", "%llu", (unsigned long long)octets);
    }
    if (bigger != 0 && !deletes) {
        foreign_note(&account->notes, 0, "delete_bigger_than has no counterpart");
    }
    if (reads_all && !deletes) {
        foreign_note(&account->notes, 0, "read_all: restante fetches each message once");
    }
    return 0;
}

static void note_filters(struct parser *parser)
{
    const char *last = "";
    for (size_t i = 0; i < parser->count; i++) {
        const char *section = parser->values[i].section;
        if (strncmp(section, "filter", 6) == 0 && strcmp(section, last) != 0) {
            foreign_note(&parser->account->notes, parser->values[i].line,
                         "a filter has no counterpart: it can stand before the command of a pipe");
            last = section;
        }
    }
}

/* Octets that getmail takes out of the name of what it remembers. */
static void set_ids_file(struct parser *parser, const char *server, const char *port,
                         const char *user)
{
    const char *slash = strrchr(parser->file, '/');
    int size = slash == NULL ? 0 : (int)(slash - parser->file) + 1;
    AUTO_FREE char *name = foreign_format("oldmail-%s-%s-%s", server, port, user);
    size_t used = 0;
    for (size_t i = 0; name[i] != '\0'; i++) {
        bool is_stripped = strchr("/\\:;<>|", name[i]) != NULL;
        bool was_stripped = i != 0 && strchr("/\\:;<>|", name[i - 1]) != NULL;
        if (!is_stripped || !was_stripped) {
            name[used++] = is_stripped ? '-' : name[i];
        }
    }
    name[used] = '\0';
    free(parser->account->ids_file);
    parser->account->ids_file = foreign_format("%.*s%s", size, parser->file, name);
}

static int take_account(struct parser *parser, struct foreign *out)
{
    const struct value *type = find(parser, "retriever", "type");
    const char *server = text_of(parser, "retriever", "server");
    const char *user = text_of(parser, "retriever", "username");
    uint64_t port, timeout;
    if (type == NULL || server == NULL || server[0] == '\0') {
        return mistake(parser, 1, "there is no retriever; write [retriever], its type and server");
    }
    bool is_pop3 = strstr(type->text, "POP3") != NULL;
    bool has_tls = strstr(type->text, "POP3SSL") != NULL;
    if (!is_pop3) {
        foreign_note(&out->notes, type->line, "%s is not fetched by POP3: left out", server);
        return 0;
    }
    if (take_number(parser, "retriever", "port", 65535, &port) < 0 ||
        take_number(parser, "retriever", "timeout", 86400, &timeout) < 0) {
        return -1;
    }
    const char *slash = strrchr(parser->file, '/');
    const char *name = slash == NULL ? parser->file : slash + 1;
    parser->account = foreign_add(out, strcmp(name, "getmailrc") == 0 ? server : name);
    foreign_set(parser->account, "host", "%s", server);
    if (port != 0) {
        foreign_set(parser->account, "port", "%llu", (unsigned long long)port);
    }
    if (user != NULL) {
        foreign_set(parser->account, "user", "%s", user);
    }
    if (timeout != 0) {
        foreign_set(parser->account, "timeout", "%llus",
                    (unsigned long long)(timeout > 3600 ? 3600 : timeout));
    }
    if (strncmp(type->text, "Multidrop", 9) == 0) {
        foreign_note(&parser->account->notes, type->line,
                     "Multidrop: restante does not sort by recipient; sort in the pipe, or at the "
                     "LMTP server");
    }
    AUTO_FREE char *digits = foreign_format("%llu", (unsigned long long)(port != 0 ? port
                                                                         : has_tls ? 995
                                                                                   : 110));
    if (strncmp(type->text, "BrokenUIDL", 10) != 0) {
        set_ids_file(parser, server, digits, user == NULL ? "" : user);
    }
    if (take_password(parser) < 0 || take_security(parser, has_tls) < 0 ||
        take_destination(parser) < 0 || take_options(parser) < 0) {
        return -1;
    }
    note_filters(parser);
    return 0;
}

int foreign_parse_getmail(struct bytes text, const char *file, struct foreign *out,
                          struct error *error)
{
    struct parser *parser = calloc(1, sizeof *parser);
    unsigned number = 0;
    int result = 0;
    if (parser == NULL) {
        abort();
    }
    parser->file = file;
    parser->error = error;
    while (result == 0 && text.size != 0) {
        struct bytes line = {text.data, bytes_find(text, '\n')};
        result = take_line(parser, line, ++number);
        text = bytes_from(text, line.size + 1);
    }
    if (result == 0) {
        result = take_account(parser, out);
    }
    for (size_t i = 0; i < parser->count; i++) {
        free(parser->values[i].section);
        free(parser->values[i].name);
        foreign_replace(&parser->values[i].text, NULL);
    }
    free(parser->section);
    free(parser);
    return result;
}
