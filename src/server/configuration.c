/* SPDX-License-Identifier: MIT */
/* The configuration file: INI, read by inih (base/ini_lines.h). One table of settings
 * (settings.def); the kinds of values are setting_kinds.c's. */
#include "server/configuration.h"

#include <errno.h>
#include <ini.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "account/source.h"
#include "base/container_of.h"
#include "base/file.h"
#include "base/ini_lines.h"
#include "maildrop/path.h"
#include "net/address.h"
#include "server/setting_kinds.h"
#include "server/token_settings.h"

enum { CONFIGURATION_OCTETS_MOST = 1 << 20 };

struct setting {
    const char *section;
    const char *key;
    size_t offset;
    const struct kind *kind;
    const char *fallback;
};

static const struct setting settings[] = {
#define SETTING(section, key, field, kind, fallback)                                               \
    {section, key, offsetof(struct configuration, field), &kind_##kind, fallback},
#include "server/settings.def"
#undef SETTING
};

struct parser {
    const char *name;
    struct ini_lines lines;
    struct configuration *out;
    struct configuration_notes *notes;
};

static void note_text(struct configuration_notes *notes, const char *place, const char *format,
                      va_list arguments) PRINTF_LIKE(3, 0);

static void note_text(struct configuration_notes *notes, const char *place, const char *format,
                      va_list arguments)
{
    size_t room = sizeof notes->text - notes->size;
    char *at = notes->text + notes->size;
    int head = snprintf(at, room, "%s", place);
    if (head >= 0 && (size_t)head < room) {
        int rest = vsnprintf(at + head, room - (size_t)head, format, arguments);
        if (rest >= 0 && (size_t)(head + rest) + 1 < room) {
            at[head + rest] = '\n';
            notes->size += (size_t)(head + rest) + 1;
        }
    }
    notes->text[notes->size] = '\0'; /* what does not fit is not there at all */
}

void configuration_note(struct configuration_notes *notes, bool mistake, const char *file,
                        unsigned line, const char *format, ...)
{
    char place[PATH_MAX + 16];
    if (line == 0) {
        (void)snprintf(place, sizeof place, "%s: ", file);
    } else {
        (void)snprintf(place, sizeof place, "%s:%u: ", file, line);
    }
    *(mistake ? &notes->mistakes : &notes->warnings) += 1;
    va_list arguments;
    va_start(arguments, format);
    note_text(notes, place, format, arguments);
    va_end(arguments);
}

static void note_line(struct ini_lines *lines, const char *text)
{
    struct parser *parser = CONTAINER_OF(lines, struct parser, lines);
    configuration_note(parser->notes, true, parser->name, lines->line, "%s", text);
}

static bool section_exists(const char *section)
{
    for (size_t i = 0; i < CONFIGURATION_SETTINGS; i++) {
        if (strcmp(settings[i].section, section) == 0) {
            return true;
        }
    }
    return false;
}

/* Sections that have a setting of that key, for a hint: "[a] or [b]"; empty if there is none. */
static const char *find_elsewhere(const char *key, char *out, size_t capacity)
{
    size_t used = 0;
    out[0] = '\0';
    for (size_t i = 0; i < CONFIGURATION_SETTINGS && used < capacity; i++) {
        if (strcmp(settings[i].key, key) == 0) {
            used += (size_t)snprintf(out + used, capacity - used, "%s[%s]", used == 0 ? "" : " or ",
                                     settings[i].section);
        }
    }
    return out;
}

static void note_unknown(struct parser *parser, const char *section, const char *key)
{
    char elsewhere[64];
    if (find_elsewhere(key, elsewhere, sizeof elsewhere)[0] != '\0') {
        configuration_note(parser->notes, true, parser->name, parser->lines.line,
                           "[%s] has no setting %s; write it in section %s", section, key,
                           elsewhere);
    } else if (!section_exists(section)) {
        configuration_note(parser->notes, true, parser->name, parser->lines.line,
                           "there is no section [%s]; the sections are [server], [pop3], [tls], "
                           "[proxy], [limits], [maildrop], "
                           "[accounts], [oauth] and [log]",
                           section);
    } else {
        configuration_note(parser->notes, true, parser->name, parser->lines.line,
                           "[%s] has no setting %s; restante.conf(5) lists the settings", section,
                           key);
    }
}

static int take_setting(void *user, const char *section, const char *key, const char *value)
{
    struct parser *parser = user;
    size_t i = 0;
    while (i < CONFIGURATION_SETTINGS &&
           (strcmp(settings[i].section, section) != 0 || strcmp(settings[i].key, key) != 0)) {
        i++;
    }
    if (i == CONFIGURATION_SETTINGS) {
        note_unknown(parser, section, key);
    } else if (parser->out->lines[i] != 0) {
        configuration_note(parser->notes, true, parser->name, parser->lines.line,
                           "%s was set in line %u already; remove one of the two", key,
                           parser->out->lines[i]);
    } else {
        parser->out->lines[i] = parser->lines.line;
        if (settings[i].kind->parse(value, (char *)parser->out + settings[i].offset) < 0) {
            char escaped[CONFIGURATION_VALUE_SIZE];
            configuration_note(parser->notes, true, parser->name, parser->lines.line,
                               "%s = %s: not a value for it; write %s", key,
                               bytes_escape(bytes_of(value), escaped, sizeof escaped),
                               settings[i].kind->remedy);
        }
    }
    return 1;
}

static void take_defaults(struct parser *parser)
{
    for (size_t i = 0; i < CONFIGURATION_SETTINGS; i++) {
        const struct setting *setting = &settings[i];
        if (parser->out->lines[i] != 0) {
            continue;
        }
        if (setting->fallback == NULL) {
            configuration_note(parser->notes, true, parser->name, 0,
                               "%s is missing in section [%s]; write %s", setting->key,
                               setting->section, setting->kind->remedy);
        } else if (setting->kind->parse(setting->fallback, (char *)parser->out + setting->offset) <
                   0) {
            abort(); /* the table is wrong: a bug, and every test finds it */
        }
    }
}

/* What a source cannot be without. */
static void check_needs(struct parser *parser, const char *source)
{
    static const struct {
        const char *source;
        const char *key;
        size_t offset;
        const char *remedy;
    } needs[] = {
        {"file", "file", offsetof(struct configuration, accounts_file), "an absolute path"},
        {"command", "command", offsetof(struct configuration, source_command),
         "the absolute path of a checkpassword program"},
        {"sqlite", "sqlite-file", offsetof(struct configuration, sqlite_file),
         "the absolute path of the database"},
        {"sqlite", "sqlite-query", offsetof(struct configuration, sqlite_query),
         "SELECT name, password FROM accounts WHERE name = :user, with your own names"},
        {"postgresql", "postgresql-connection",
         offsetof(struct configuration, postgresql_connection),
         "host=/run/postgresql dbname=mail user=restante, or what libpq needs there"},
        {"postgresql", "postgresql-query", offsetof(struct configuration, postgresql_query),
         "SELECT name, password FROM accounts WHERE name = :user, with your own names"},
    };
    for (size_t i = 0; i < sizeof needs / sizeof needs[0]; i++) {
        const char *value = (const char *)parser->out + needs[i].offset;
        if (strcmp(needs[i].source, source) == 0 && value[0] == '\0') {
            configuration_note(
                parser->notes, true, parser->name, configuration_line(parser->out, "source"),
                "%s is missing in section [accounts]; write %s", needs[i].key, needs[i].remedy);
        }
    }
}

static void check_sources(struct parser *parser)
{
    const struct configuration *out = parser->out;
    unsigned line = configuration_line(out, "source");
    for (uint32_t i = 0; i < out->sources.count; i++) {
        const char *name = out->sources.list[i];
        if (!configuration_is_file(out, i) && source_type_find(bytes_of(name)) == NULL) {
            configuration_note(parser->notes, true, parser->name, line,
                               "source = %s: this build is without it; build with -D%s=enabled, or "
                               "leave it out",
                               name, name);
        } else {
            check_needs(parser, name);
        }
    }
    if (!configuration_has_file(out) && configuration_line(out, "file") != 0 &&
        out->accounts_file[0] != '\0') {
        configuration_note(parser->notes, false, parser->name, configuration_line(out, "file"),
                           "file is not read, for source does not name it; write source = file, "
                           "%s or leave it out",
                           out->sources.list[0]);
    }
}

static bool are_equal(const struct configuration_address *a, const struct configuration_address *b)
{
    return a->size == b->size && memcmp(&a->address, &b->address, a->size) == 0 &&
           address_port(&a->address) != 0;
}

/* The first address that both lists have; those whose port the kernel chooses are never the same. */
static const struct configuration_address *find_common(const struct configuration_addresses *a,
                                                       const struct configuration_addresses *b)
{
    for (uint32_t i = 0; i < a->count; i++) {
        for (uint32_t j = 0; j < b->count; j++) {
            if (are_equal(&a->list[i], &b->list[j])) {
                return &a->list[i];
            }
        }
    }
    return NULL;
}

/* Nothing but the header tells the one kind of connection from the other. */
static void check_addresses_differ(struct parser *parser)
{
    const struct configuration *out = parser->out;
    const struct configuration_addresses *lists[] = {&out->listen, &out->listen_tls,
                                                     &out->proxy_listen, &out->proxy_listen_tls};
    static const char *const names[] = {"pop3.listen", "pop3.listen-tls", "proxy.listen",
                                        "proxy.listen-tls"};
    for (size_t i = 1; i < sizeof lists / sizeof lists[0]; i++) {
        for (size_t j = 0; j < i; j++) {
            const struct configuration_address *twice = find_common(lists[i], lists[j]);
            char address[ADDRESS_TEXT_SIZE];
            if (twice != NULL) {
                configuration_note(
                    parser->notes, true, parser->name, configuration_line(out, names[i]),
                    "%s stands in line %u too; write an address and port in one "
                    "list only",
                    address_format(&twice->address, address), configuration_line(out, names[j]));
            }
        }
    }
}

static void check_proxies(struct parser *parser)
{
    const struct configuration *out = parser->out;
    bool listens = out->proxy_listen.count + out->proxy_listen_tls.count > 0;
    if (listens && out->proxies.count == 0) {
        const char *key = out->proxy_listen.count > 0 ? "proxy.listen" : "proxy.listen-tls";
        configuration_note(parser->notes, true, parser->name, configuration_line(out, key),
                           "no proxy may connect there; write its address or network in from = "
                           "in [proxy]");
    }
}

static void check_meaning(struct parser *parser)
{
    const struct configuration *out = parser->out;
    token_settings_check(out, parser->name, parser->notes);
    if (out->listen.count + out->listen_tls.count + out->proxy_listen.count +
            out->proxy_listen_tls.count ==
        0) {
        configuration_note(parser->notes, true, parser->name, configuration_line(out, "listen"),
                           "nothing is listened on; write listen or listen-tls = ADDRESS:PORT");
    }
    if (maildrop_path_in_home(out->path) != NULL && !out->as_user) {
        configuration_note(
            parser->notes, true, parser->name, configuration_line(out, "path"),
            "path = %s: homes are only entered as their owners; write as-user = yes, "
            "or a path that begins with / and has %%u in it",
            out->path);
    }
    check_addresses_differ(parser);
    check_proxies(parser);
    if (out->tls_certificates.count != out->tls_keys.count) {
        const char *given = out->tls_keys.count != 0 ? "key" : "certificate";
        configuration_note(
            parser->notes, true, parser->name, configuration_line(out, given),
            "%u certificates and %u keys; write one key for each certificate, in the "
            "same order",
            out->tls_certificates.count, out->tls_keys.count);
    }
    if (out->idle_timeout_ms < 600000) {
        configuration_note(
            parser->notes, false, parser->name, configuration_line(out, "idle-timeout"),
            "idle-timeout is less than the 10 minutes that RFC 1939 section 3 asks for; a client "
            "that is slow loses its session; write 10m or more");
    }
    if (out->log_format == LOG_FORMAT_JSON && strcmp(out->log_target, "journal") == 0) {
        configuration_note(
            parser->notes, false, parser->name, configuration_line(out, "format"),
            "the journal has fields of its own, format = json changes nothing there; "
            "leave it out");
    }
    if (out->failures_per_address == 0 && out->failure_delay_ms == 0) {
        configuration_note(
            parser->notes, false, parser->name, configuration_line(out, "failure-delay"),
            "nothing slows down guessing of passwords; give failure-delay or failures-per-address");
    }
}

static void add_token_source(struct configuration *out)
{
    struct configuration_sources *sources = &out->sources;
    sources->asked = sources->count;
    if (configuration_has_tokens(out) && sources->asked < CONFIGURATION_MOST_SOURCES) {
        (void)snprintf(sources->list[sources->asked++], CONFIGURATION_SOURCE_NAME_SIZE, "oauth");
    }
}

int configuration_parse(const char *name, struct bytes text, struct configuration *out,
                        struct configuration_notes *notes)
{
    struct parser parser = {
        .name = name, .lines = {.rest = text, .mistake = note_line}, .out = out, .notes = notes};
    *out = (struct configuration){0};
    *notes = (struct configuration_notes){0};
    int line = ini_parse_stream(ini_lines_read, &parser.lines, take_setting, &parser);
    if (line > 0) {
        configuration_note(parser.notes, true, parser.name, (unsigned)line,
                           "neither a section nor a setting; write [section] or key = value");
    }
    take_defaults(&parser);
    add_token_source(out);
    check_sources(&parser);
    if (notes->mistakes == 0) {
        check_meaning(&parser);
    }
    return notes->mistakes == 0 ? 0 : -1;
}

int configuration_read(const char *path, struct bytes *text_out, struct error *error)
{
    int result = file_read(path, CONFIGURATION_OCTETS_MOST, text_out);
    if (result == -EFBIG) {
        return error_set(error, ERROR_CONFIGURATION, 0, "over 1 MiB is no configuration");
    }
    return result < 0
               ? error_set(error, ERROR_CONFIGURATION, -result, "the configuration cannot be read")
               : 0;
}

int configuration_load(const char *path, struct configuration *out, struct error *error)
{
    struct bytes text;
    struct error reading;
    if (configuration_read(path, &text, &reading) < 0) {
        return error_set(error, reading.kind, 0, "%s: %s", path, reading.text);
    }
    struct configuration_notes notes;
    int result = configuration_parse(path, text, out, &notes);
    free((void *)(uintptr_t)text.data);
    if (result < 0) {
        return error_set(error, ERROR_CONFIGURATION, 0, "%.*s", (int)strcspn(notes.text, "\n"),
                         notes.text);
    }
    return 0;
}

bool configuration_has_tokens(const struct configuration *configuration)
{
    return configuration->token_keys_file[0] != '\0' ||
           configuration->token_introspection_url[0] != '\0';
}

bool configuration_is_file(const struct configuration *configuration, uint32_t source)
{
    return strcmp(configuration->sources.list[source], "file") == 0;
}

bool configuration_has_source(const struct configuration *configuration, const char *name)
{
    uint32_t i = 0;
    while (i < configuration->sources.count && strcmp(configuration->sources.list[i], name) != 0) {
        i++;
    }
    return i < configuration->sources.count;
}

bool configuration_has_file(const struct configuration *configuration)
{
    return configuration_has_source(configuration, "file");
}

const char *configuration_setting(size_t index)
{
    static const char *const names[] = {
#define SETTING(section, key, field, kind, fallback) section "." key,
#include "server/settings.def"
#undef SETTING
    };
    return index < CONFIGURATION_SETTINGS ? names[index] : NULL;
}

static bool is_called(const struct setting *setting, const char *name)
{
    size_t size = strlen(setting->section);
    return strcmp(setting->key, name) == 0 ||
           (strncmp(setting->section, name, size) == 0 && name[size] == '.' &&
            strcmp(setting->key, name + size + 1) == 0);
}

unsigned configuration_line(const struct configuration *configuration, const char *key)
{
    for (size_t i = 0; i < CONFIGURATION_SETTINGS; i++) {
        if (is_called(&settings[i], key)) {
            return configuration->lines[i];
        }
    }
    return 0;
}
