/* SPDX-License-Identifier: MIT */
/* fetch.conf and conf.d, read by inih (base/ini_lines.h). */
#include "fetch/configuration.h"

#include <dirent.h>
#include <errno.h>
#include <ini.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/container_of.h"
#include "base/file.h"
#include "base/ini_lines.h"

enum { OCTETS_MOST = 1 << 20 };

struct parser {
    struct ini_lines lines;
    const char *name;
    struct fetch_configuration *out;
    size_t first; /* account of this file */
    unsigned section_line;
    bool section_is_used;
};

static void note(struct fetch_configuration *out, const char *file, unsigned line,
                 const char *format, ...) PRINTF_LIKE(4, 5);

static void note(struct fetch_configuration *out, const char *file, unsigned line,
                 const char *format, ...)
{
    char text[1024];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    char place[16] = "";
    if (line != 0) {
        (void)snprintf(place, sizeof place, "%u:", line);
    }
    size_t room = sizeof out->mistakes - out->mistakes_size;
    int size = snprintf(out->mistakes + out->mistakes_size, room, "%s:%s %s\n", file, place, text);
    if (size > 0 && (size_t)size < room) {
        out->mistakes_size += (size_t)size;
    } else {
        out->mistakes[out->mistakes_size] = '\0'; /* what does not fit is not there at all */
    }
}

static void note_line(struct ini_lines *lines, const char *text)
{
    struct parser *parser = CONTAINER_OF(lines, struct parser, lines);
    note(parser->out, parser->name, lines->line, "%s", text);
}

struct fetch_account *fetch_configuration_find(const struct fetch_configuration *configuration,
                                               const char *name)
{
    for (size_t i = 0; i < configuration->count; i++) {
        if (strcmp(configuration->accounts[i]->name, name) == 0) {
            return configuration->accounts[i];
        }
    }
    return NULL;
}

/* NULL, and noted, if there can be no such account. */
static struct fetch_account *add_account(struct parser *parser, const char *section)
{
    struct fetch_configuration *out = parser->out;
    struct fetch_account *account = fetch_account_create(section);
    struct fetch_account **accounts =
        reallocarray(out->accounts, out->count + 1, sizeof(struct fetch_account *));
    if (accounts != NULL) {
        out->accounts = accounts;
    }
    if (account != NULL) {
        account->file = strdup(parser->name);
    }
    if (accounts == NULL || account == NULL || account->file == NULL) {
        note(out, parser->name, parser->lines.line, "out of memory");
        fetch_account_free(account);
        return NULL;
    }
    account->line = parser->section_line;
    out->accounts[out->count++] = account;
    return account;
}

static struct fetch_account *account_of(struct parser *parser, const char *section)
{
    struct fetch_configuration *out = parser->out;
    if (*section == '\0') {
        note(out, parser->name, parser->lines.line,
             "an option before the first section; write [NAME], the account's name, above it");
        return NULL;
    }
    struct fetch_account *account = fetch_configuration_find(out, section);
    if (account == NULL) {
        return add_account(parser, section);
    }
    for (size_t i = parser->first; i < out->count; i++) {
        if (out->accounts[i] == account) {
            return account;
        }
    }
    note(out, parser->name, parser->lines.line,
         "there is an account [%s] in %s already; give one of them another name", section,
         account->file);
    return NULL;
}

static void note_unknown(struct parser *parser, const char *key)
{
    bool password = strcmp(key, "password") == 0 || strcmp(key, "pass") == 0;
    note(parser->out, parser->name, parser->lines.line,
         password ? "%s: a password does not stand in this file; write password-command, "
                    "password-file or keyring"
                  : "there is no option %s; restante-fetch(1) lists the options",
         key);
}

static int take_option(void *user, const char *section, const char *key, const char *value)
{
    struct parser *parser = user;
    struct fetch_account *account = account_of(parser, section);
    size_t index = fetch_option_find(key);
    parser->section_is_used = true;
    if (account == NULL) {
        return 1;
    }
    if (index == FETCH_OPTIONS) {
        note_unknown(parser, key);
    } else if (account->lines[index] != 0) {
        note(parser->out, parser->name, parser->lines.line,
             "%s was given in line %u already; remove one of the two", key, account->lines[index]);
    } else if (fetch_option_set(account, index, value, parser->lines.line) < 0) {
        char escaped[256];
        note(parser->out, parser->name, parser->lines.line, "%s = %s: not a value for it; write %s",
             key, bytes_escape(bytes_of(value), escaped, sizeof escaped),
             fetch_option_row(index).remedy);
    }
    return 1;
}

static void end_section(struct parser *parser)
{
    if (parser->section_line != 0 && !parser->section_is_used) {
        note(parser->out, parser->name, parser->section_line,
             "an account without options; write host and user below it, or remove it");
    }
}

/* inih tells of options only. */
static char *read_line(char *out, int capacity, void *stream)
{
    struct parser *parser = stream;
    char *line = ini_lines_read(out, capacity, &parser->lines);
    if (line == NULL || line[0] == '[') {
        end_section(parser);
        parser->section_line = parser->lines.line;
        parser->section_is_used = line == NULL;
    }
    return line;
}

int fetch_configuration_parse(struct fetch_configuration *configuration, const char *name,
                              struct bytes text)
{
    struct parser parser = {.lines = {.rest = text, .mistake = note_line},
                            .name = name,
                            .out = configuration,
                            .first = configuration->count};
    int line = ini_parse_stream(read_line, &parser, take_option, &parser);
    if (line > 0) {
        note(configuration, name, (unsigned)line,
             "neither an account nor an option; write [NAME] or option = value");
    }
    return configuration->mistakes_size == 0 ? 0 : -1;
}

int fetch_configuration_complete(struct fetch_configuration *configuration,
                                 struct fetch_account *account)
{
    size_t index;
    const char *text = fetch_account_complete(account, &index);
    if (text == NULL) {
        return 0;
    }
    if (account->file == NULL || account->lines[index] == FETCH_LINE_OF_COMMAND_LINE) {
        note(configuration, "command line", 0, "%s", text);
    } else {
        note(configuration, account->file,
             account->lines[index] != 0 ? account->lines[index] : account->line, "[%s] %s",
             account->name, text);
    }
    return -1;
}

/* 1: it was read; 0: it does not exist; -1: noted. */
static int read_file(struct fetch_configuration *out, const char *path)
{
    struct bytes text;
    int result = file_read(path, OCTETS_MOST, &text);
    if (result == -ENOENT) {
        return 0;
    }
    if (result == -EFBIG) {
        note(out, path, 0, "over 1 MiB is no configuration");
        return -1;
    }
    if (result < 0) {
        note(out, path, 0, "it cannot be read: %s", strerror(-result));
        return -1;
    }
    result = fetch_configuration_parse(out, path, text);
    free((void *)(uintptr_t)text.data);
    return result < 0 ? -1 : 1;
}

static int is_configuration(const struct dirent *entry)
{
    size_t size = strlen(entry->d_name);
    return entry->d_name[0] != '.' && size > 5 && strcmp(entry->d_name + size - 5, ".conf") == 0;
}

/* Files that somebody or something drops in, in the order of their names. */
static void read_folder(struct fetch_configuration *out, const char *folder)
{
    struct dirent **entries;
    int count = scandir(folder, &entries, is_configuration, alphasort);
    for (int i = 0; i < count; i++) {
        char *path = NULL;
        if (asprintf(&path, "%s/%s", folder, entries[i]->d_name) >= 0) {
            (void)read_file(out, path); /* what is wrong is noted */
            free(path);
        }
        free(entries[i]);
    }
    if (count >= 0) {
        free(entries);
    } else if (errno != ENOENT) {
        note(out, folder, 0, "it cannot be read: %s", strerror(errno));
    }
}

char *fetch_configuration_path(void)
{
    char *path = NULL;
    const char *configuration = getenv("XDG_CONFIG_HOME");
    const char *home = getenv("HOME");
    int size = -1;
    if (configuration != NULL && configuration[0] == '/') {
        size = asprintf(&path, "%s/restante/fetch.conf", configuration);
    } else if (home != NULL && home[0] == '/') {
        size = asprintf(&path, "%s/.config/restante/fetch.conf", home);
    }
    return size < 0 ? NULL : path;
}

int fetch_configuration_load(struct fetch_configuration *configuration, const char *path)
{
    AUTO_FREE char *found = path == NULL ? fetch_configuration_path() : strdup(path);
    if (found == NULL) {
        note(configuration, "fetch.conf", 0,
             "there is no home folder to look for it; write -c FILE");
        return -1;
    }
    if (read_file(configuration, found) == 0 && path != NULL) {
        note(configuration, path, 0, "there is no such file");
    }
    const char *slash = strrchr(found, '/');
    char *folder = NULL;
    int size = slash == NULL ? asprintf(&folder, "conf.d")
                             : asprintf(&folder, "%.*s/conf.d", (int)(slash - found), found);
    if (size >= 0) {
        read_folder(configuration, folder);
        free(folder);
    }
    return configuration->mistakes_size == 0 ? 0 : -1;
}

void fetch_configuration_finish(struct fetch_configuration *configuration)
{
    for (size_t i = 0; i < configuration->count; i++) {
        fetch_account_free(configuration->accounts[i]);
    }
    free(configuration->accounts);
    *configuration = (struct fetch_configuration){0};
}
