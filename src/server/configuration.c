/* SPDX-License-Identifier: MIT */
/* The configuration file: INI, read by inih through a reader of ours that counts the lines and refuses
 * what inih would silently misread: continuation lines and lines over its limit. One table of settings
 * (settings.def); each kind of value has one parser and one sentence that says what would be right. */
#include "server/configuration.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <ini.h>
#include <limits.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/number.h"
#include "net/address.h"
#include "sasl/mechanism.h"

typedef int (*parse_function)(const char *value, void *field);

struct kind {
    parse_function parse;
    const char *remedy; /* completes "write ..." */
};

struct setting {
    const char *section;
    const char *key;
    size_t offset;
    const struct kind *kind;
    const char *fallback;
};

static int parse_text(const char *value, void *field)
{
    if (*value == '\0' || strlen(value) >= CONFIGURATION_VALUE_SIZE) {
        return -1;
    }
    memcpy(field, value, strlen(value) + 1);
    return 0;
}

static int parse_path(const char *value, void *field)
{
    return value[0] == '/' ? parse_text(value, field) : -1;
}

static int parse_name(const char *value, void *field)
{
    static const char letters[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-@$";
    bool good = value[0] != '-' && value[strspn(value, letters)] == '\0';
    return good ? parse_text(value, field) : -1;
}

static int parse_template(const char *value, void *field)
{
    const char *percent = strchr(value, '%');
    if (percent == NULL) {
        return -1;
    }
    for (; percent != NULL; percent = strchr(percent + 2, '%')) {
        if (percent[1] == '\0' || strchr("und", percent[1]) == NULL) {
            return -1;
        }
    }
    return parse_path(value, field);
}

static int parse_unsigned(const char *value, uint64_t least, uint64_t most, uint32_t *out)
{
    uint64_t number;
    if (number_parse(bytes_of(value), most, &number) < 0 || number < least) {
        return -1;
    }
    *out = (uint32_t)number;
    return 0;
}

static int parse_number(const char *value, void *field)
{
    return parse_unsigned(value, 0, 1000000, field);
}

static int parse_positive(const char *value, void *field)
{
    return parse_unsigned(value, 1, 1000000, field);
}

static int parse_workers(const char *value, void *field)
{
    if (strcmp(value, "auto") != 0) {
        return parse_unsigned(value, 1, CONFIGURATION_MOST_WORKERS, field);
    }
    cpu_set_t cpus;
    int count = sched_getaffinity(0, sizeof cpus, &cpus) == 0 ? CPU_COUNT(&cpus) : 1;
    *(uint32_t *)field =
        (uint32_t)(count > CONFIGURATION_MOST_WORKERS ? CONFIGURATION_MOST_WORKERS : count);
    return 0;
}

static int parse_duration(const char *value, void *field)
{
    return number_parse_duration(bytes_of(value), field);
}

static int parse_timeout(const char *value, void *field)
{
    uint64_t *milliseconds = field;
    return number_parse_duration(bytes_of(value), milliseconds) < 0 || *milliseconds == 0 ? -1 : 0;
}

static int parse_size(const char *value, void *field)
{
    uint64_t *octets = field;
    return number_parse_size(bytes_of(value), octets) < 0 || *octets < (1U << 20) ? -1 : 0;
}

static int parse_boolean(const char *value, void *field)
{
    bool yes = strcmp(value, "yes") == 0;
    *(bool *)field = yes;
    return yes || strcmp(value, "no") == 0 ? 0 : -1;
}

/* The position of `value` in a NULL-terminated list. */
static int parse_choice(const char *value, const char *const *choices, unsigned *out)
{
    for (unsigned i = 0; choices[i] != NULL; i++) {
        if (strcmp(value, choices[i]) == 0) {
            *out = i;
            return 0;
        }
    }
    return -1;
}

static int parse_plaintext_login(const char *value, void *field)
{
    static const char *const choices[] = {"never", "loopback", "always", NULL};
    return parse_choice(value, choices, field);
}

static int parse_store(const char *value, void *field)
{
    static const char *const choices[] = {"maildir", NULL};
    return parse_choice(value, choices, field);
}

static int parse_log_level(const char *value, void *field)
{
    static const char *const choices[] = {"error", "warning", "info", "debug", NULL};
    return parse_choice(value, choices, field);
}

static int parse_log_target(const char *value, void *field)
{
    return strcmp(value, "stderr") == 0 ? parse_text(value, field) : parse_path(value, field);
}

static int parse_expire(const char *value, void *field)
{
    if (strcmp(value, "never") == 0) {
        return parse_text("NEVER", field);
    }
    uint32_t days;
    return parse_unsigned(value, 0, 36500, &days) < 0 ? -1 : parse_text(value, field);
}

static int parse_tls_minimum(const char *value, void *field)
{
    static const char *const choices[] = {"1.2", "1.3", NULL};
    return parse_choice(value, choices, field);
}

static int parse_file(const char *value, void *field)
{
    if (strcmp(value, "none") == 0) {
        *(char *)field = '\0';
        return 0;
    }
    return parse_path(value, field);
}

/* The next of a list with commas between, without the blanks around it; NULL at the end. */
static char *next_part(char **rest)
{
    char *part = strsep(rest, ",");
    if (part != NULL) {
        part += strspn(part, " \t");
        size_t size = strlen(part);
        while (size > 0 && strchr(" \t", part[size - 1]) != NULL) {
            part[--size] = '\0';
        }
    }
    return part;
}

static int parse_client_name(const char *value, void *field)
{
    static const char *const choices[] = {"none", "common-name", "email", NULL};
    return parse_choice(value, choices, field);
}

static int parse_mechanisms(const char *value, void *field)
{
    uint32_t *mechanisms = field;
    char copy[CONFIGURATION_VALUE_SIZE];
    *mechanisms = 0;
    if (strcmp(value, "auto") == 0) {
        return 0;
    }
    if (strcmp(value, "none") == 0) {
        *mechanisms = 1U << SASL_MECHANISM_COUNT; /* a choice, and of nothing that there is */
        return 0;
    }
    if (parse_text(value, copy) < 0) {
        return -1;
    }
    char *rest = copy;
    for (char *part = next_part(&rest); part != NULL; part = next_part(&rest)) {
        enum sasl_mechanism mechanism = sasl_mechanism_find(bytes_of(part));
        if (mechanism == SASL_MECHANISM_COUNT) {
            return -1;
        }
        *mechanisms |= 1U << mechanism;
    }
    return 0;
}

static int parse_files(const char *value, void *field)
{
    struct configuration_files *files = field;
    char copy[CONFIGURATION_VALUE_SIZE];
    files->count = 0;
    if (strcmp(value, "none") == 0) {
        return 0;
    }
    if (parse_text(value, copy) < 0) {
        return -1;
    }
    char *rest = copy;
    for (char *part = next_part(&rest); part != NULL; part = next_part(&rest)) {
        if (files->count == CONFIGURATION_MOST_FILES ||
            parse_path(part, files->list[files->count++]) < 0) {
            return -1;
        }
    }
    return 0;
}

static int parse_addresses(const char *value, void *field)
{
    struct configuration_addresses *addresses = field;
    char copy[CONFIGURATION_VALUE_SIZE];
    if (parse_text(value, copy) < 0) {
        return -1;
    }
    addresses->count = 0;
    if (strcmp(value, "none") == 0) {
        return 0;
    }
    char *rest = copy;
    for (char *part = next_part(&rest); part != NULL; part = next_part(&rest)) {
        if (addresses->count == CONFIGURATION_MOST_LISTEN) {
            return -1;
        }
        struct configuration_address *address = &addresses->list[addresses->count++];
        if (address_parse(part, &address->address, &address->size) < 0) {
            return -1;
        }
    }
    return 0;
}

static const struct kind kind_path = {parse_path, "an absolute path, like /var/lib/restante"};
static const struct kind kind_name = {parse_name, "the name of a system user"};
static const struct kind kind_workers = {parse_workers, "auto or a number from 1 to 64"};
static const struct kind kind_duration = {parse_duration,
                                          "a number with a unit (ms, s, m, h, d), like 30s"};
static const struct kind kind_timeout = {
    parse_timeout,
    "a number with a unit (ms, s, m, h, d), like 10m; 0 is no timeout that can be kept"};
static const struct kind kind_addresses = {
    parse_addresses, "up to 16 of ADDRESS:PORT, like 127.0.0.1:1110, [::1]:1110"};
static const struct kind kind_plaintext_login = {parse_plaintext_login,
                                                 "never, loopback or always"};
static const struct kind kind_tls_minimum = {parse_tls_minimum, "1.2 or 1.3"};
static const struct kind kind_client_name = {parse_client_name, "none, common-name or email"};
static const struct kind kind_mechanisms = {
    parse_mechanisms,
    "auto, none or a list of names, like SCRAM-SHA-256-PLUS, SCRAM-SHA-256, PLAIN"};
static const struct kind kind_file = {parse_file, "none or the absolute path of a file"};
static const struct kind kind_files = {
    parse_files, "none or up to 8 absolute paths, like /etc/ssl/one.pem, /etc/ssl/two.pem"};
static const struct kind kind_number = {parse_number, "a number from 0 to 1000000"};
static const struct kind kind_positive = {parse_positive, "a number from 1 to 1000000"};
static const struct kind kind_expire = {parse_expire, "never or a number of days"};
static const struct kind kind_boolean = {parse_boolean, "yes or no"};
static const struct kind kind_size = {parse_size, "a size of at least 1M, like 256M"};
static const struct kind kind_store = {parse_store, "maildir"};
static const struct kind kind_template = {
    parse_template, "an absolute path with %u, %n or %d in it, like /var/vmail/%u"};
static const struct kind kind_log_target = {parse_log_target,
                                            "stderr or the absolute path of a file"};
static const struct kind kind_log_level = {parse_log_level, "error, warning, info or debug"};

static const struct setting settings[] = {
#define SETTING(section, key, field, kind, fallback)                                               \
    {section, key, offsetof(struct configuration, field), &kind_##kind, fallback},
#include "server/settings.def"
#undef SETTING
};

struct parser {
    const char *name;
    struct bytes rest;
    unsigned line; /* of what the reader gave last */
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

/* As fgets, for inih: a line that it would misread is noted and given as an empty one. */
static char *read_line(char *out, int capacity, void *stream)
{
    struct parser *parser = stream;
    if (parser->rest.size == 0) {
        return NULL;
    }
    size_t size = bytes_find(parser->rest, '\n');
    struct bytes line = {.data = parser->rest.data, .size = size};
    parser->rest = bytes_from(parser->rest, size + 1);
    parser->line++;
    bool blank = true;
    for (size_t i = 0; i < line.size; i++) {
        blank = blank && strchr(" \t\r", line.data[i]) != NULL && line.data[i] != '\0';
    }
    if (line.size + 3 > (size_t)capacity) {
        configuration_note(parser->notes, true, parser->name, parser->line,
                           "the line is too long; write at most %d octets", capacity - 3);
        line.size = 0;
    } else if (bytes_find(line, '\0') < line.size) {
        configuration_note(parser->notes, true, parser->name, parser->line,
                           "the line contains a NUL octet; write plain text");
        line.size = 0;
    } else if (!blank && (line.data[0] == ' ' || line.data[0] == '\t')) {
        configuration_note(parser->notes, true, parser->name, parser->line,
                           "the line is indented; begin it in the first column");
        line.size = 0;
    }
    memcpy(out, line.data, line.size);
    out[line.size] = '\n';
    out[line.size + 1] = '\0';
    return out;
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

/* The setting of that key in another section, for a hint; NULL if there is none. */
static const struct setting *find_elsewhere(const char *key)
{
    for (size_t i = 0; i < CONFIGURATION_SETTINGS; i++) {
        if (strcmp(settings[i].key, key) == 0) {
            return &settings[i];
        }
    }
    return NULL;
}

static void note_unknown(struct parser *parser, const char *section, const char *key)
{
    const struct setting *elsewhere = find_elsewhere(key);
    if (elsewhere != NULL) {
        configuration_note(parser->notes, true, parser->name, parser->line,
                           "[%s] has no setting %s; write it in section [%s]", section, key,
                           elsewhere->section);
    } else if (!section_exists(section)) {
        configuration_note(parser->notes, true, parser->name, parser->line,
                           "there is no section [%s]; the sections are [server], [pop3], [tls], "
                           "[limits], [maildrop], "
                           "[accounts] and [log]",
                           section);
    } else {
        configuration_note(parser->notes, true, parser->name, parser->line,
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
        configuration_note(parser->notes, true, parser->name, parser->line,
                           "%s was set in line %u already; remove one of the two", key,
                           parser->out->lines[i]);
    } else {
        parser->out->lines[i] = parser->line;
        if (settings[i].kind->parse(value, (char *)parser->out + settings[i].offset) < 0) {
            char escaped[CONFIGURATION_VALUE_SIZE];
            configuration_note(parser->notes, true, parser->name, parser->line,
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

static void check_meaning(struct parser *parser)
{
    const struct configuration *out = parser->out;
    if (out->listen.count + out->listen_tls.count == 0) {
        configuration_note(parser->notes, true, parser->name, configuration_line(out, "listen"),
                           "nothing is listened on; write listen or listen-tls = ADDRESS:PORT");
    }
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
    if (out->failures_per_address == 0 && out->failure_delay_ms == 0) {
        configuration_note(
            parser->notes, false, parser->name, configuration_line(out, "failure-delay"),
            "nothing slows down guessing of passwords; give failure-delay or failures-per-address");
    }
}

int configuration_parse(const char *name, struct bytes text, struct configuration *out,
                        struct configuration_notes *notes)
{
    struct parser parser = {.name = name, .rest = text, .out = out, .notes = notes};
    *out = (struct configuration){0};
    *notes = (struct configuration_notes){0};
    int line = ini_parse_stream(read_line, &parser, take_setting, &parser);
    if (line > 0) {
        configuration_note(parser.notes, true, parser.name, (unsigned)line,
                           "neither a section nor a setting; write [section] or key = value");
    }
    take_defaults(&parser);
    if (notes->mistakes == 0) {
        check_meaning(&parser);
    }
    return notes->mistakes == 0 ? 0 : -1;
}

int configuration_read(const char *path, struct bytes *text_out, struct error *error)
{
    enum { MOST = 1 << 20 };
    AUTO_CLOSE int file = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (file < 0) {
        return error_set(error, ERROR_CONFIGURATION, errno, "the configuration cannot be opened");
    }
    uint8_t *data = malloc(MOST);
    if (data == NULL) {
        return error_set(error, ERROR_TEMPORARY, ENOMEM, "%s", path);
    }
    size_t size = 0;
    while (size < MOST) {
        ssize_t got = read(file, data + size, MOST - size);
        if (got < 0) {
            int number = errno;
            free(data);
            return error_set(error, ERROR_CONFIGURATION, number,
                             "the configuration cannot be read");
        }
        if (got == 0) {
            *text_out = (struct bytes){.data = data, .size = size};
            return 0;
        }
        size += (size_t)got;
    }
    free(data);
    return error_set(error, ERROR_CONFIGURATION, 0, "over 1 MiB is no configuration");
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

const char *configuration_setting(size_t index)
{
    static const char *const names[] = {
#define SETTING(section, key, field, kind, fallback) section "." key,
#include "server/settings.def"
#undef SETTING
    };
    return index < CONFIGURATION_SETTINGS ? names[index] : NULL;
}

unsigned configuration_line(const struct configuration *configuration, const char *key)
{
    for (size_t i = 0; i < CONFIGURATION_SETTINGS; i++) {
        if (strcmp(settings[i].key, key) == 0) {
            return configuration->lines[i];
        }
    }
    return 0;
}
