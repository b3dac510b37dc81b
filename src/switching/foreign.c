/* SPDX-License-Identifier: MIT */
#include "switching/foreign.h"

#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SECTION_OCTETS_MOST = 48 /* inih cuts longer ones */ };

static void *must(void *memory)
{
    if (memory == NULL) {
        abort();
    }
    return memory;
}

static char *format_text(const char *format, va_list arguments) PRINTF_LIKE(1, 0);

static char *format_text(const char *format, va_list arguments)
{
    char *text = NULL;
    return must(vasprintf(&text, format, arguments) < 0 ? NULL : text);
}

char *foreign_format(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    char *text = format_text(format, arguments);
    va_end(arguments);
    return text;
}

char *foreign_copy(struct bytes text)
{
    char *copy = must(malloc(text.size + 1));
    size_t size = 0;
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] != '\0') {
            copy[size++] = (char)text.data[i];
        }
    }
    copy[size] = '\0';
    return copy;
}

void foreign_replace(char **text, const char *value)
{
    char *copy = value == NULL ? NULL : must(strdup(value));
    if (*text != NULL) {
        sodium_memzero(*text, strlen(*text));
        free(*text);
    }
    *text = copy;
}

int foreign_mistake(struct error *error, const char *file, unsigned line, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    AUTO_FREE char *text = format_text(format, arguments);
    va_end(arguments);
    return error_set(error, ERROR_CONFIGURATION, 0, "%s:%u: %s", file, line, text);
}

static void add_note(struct foreign_notes *notes, char *line)
{
    notes->lines = must(reallocarray(notes->lines, notes->count + 1, sizeof *notes->lines));
    notes->lines[notes->count++] = line;
}

void foreign_note(struct foreign_notes *notes, unsigned line, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    AUTO_FREE char *text = format_text(format, arguments);
    va_end(arguments);
    /* A word of the file may contain anything; a note is one line. */
    for (char *octet = text; *octet != '\0'; octet++) {
        if ((unsigned char)*octet < ' ' || *octet == 0x7f) {
            *octet = '?';
        }
    }
    add_note(notes,
             line == 0 ? foreign_format("%s", text) : foreign_format("line %u: %s", line, text));
}

static void free_notes(struct foreign_notes *notes)
{
    for (size_t i = 0; i < notes->count; i++) {
        free(notes->lines[i]);
    }
    free(notes->lines);
    *notes = (struct foreign_notes){0};
}

struct foreign_account *foreign_account_create(const char *name)
{
    struct foreign_account *account = must(calloc(1, sizeof *account));
    account->name = must(strdup(name));
    return account;
}

struct foreign_account *foreign_account_free(struct foreign_account *account)
{
    if (account != NULL) {
        for (size_t i = 0; i < account->option_count; i++) {
            free(account->options[i].value);
        }
        foreign_replace(&account->password, NULL);
        free_notes(&account->notes);
        free(account->ids_file);
        free(account->ids_host);
        free(account->ids_user);
        free(account->name);
        free(account);
    }
    return NULL;
}

static size_t find_option(const struct foreign_account *account, const char *option)
{
    size_t i = 0;
    while (i < account->option_count && strcmp(account->options[i].name, option) != 0) {
        i++;
    }
    return i;
}

const char *foreign_get(const struct foreign_account *account, const char *option)
{
    size_t at = find_option(account, option);
    return at == account->option_count ? NULL : account->options[at].value;
}

void foreign_unset(struct foreign_account *account, const char *option)
{
    size_t at = find_option(account, option);
    if (at < account->option_count) {
        free(account->options[at].value);
        account->option_count--;
        memmove(&account->options[at], &account->options[at + 1],
                (account->option_count - at) * sizeof account->options[0]);
    }
}

static void set_value(struct foreign_account *account, const char *option, char *value)
{
    size_t at = find_option(account, option);
    if (at == FOREIGN_OPTIONS_MOST) {
        abort(); /* there are not so many options */
    }
    if (at == account->option_count) {
        account->options[account->option_count++].name = option;
    } else {
        free(account->options[at].value);
    }
    account->options[at].value = value;
}

/* What inih would read otherwise: blanks at an end, a comment after " ;", long lines. */
static bool fits_in_a_line(const char *value)
{
    size_t size = strlen(value);
    bool has_blank_end =
        size != 0 && (strchr(" \t", value[0]) != NULL || strchr(" \t", value[size - 1]) != NULL);
    bool has_control = false, has_comment = value[0] == ';';
    for (size_t i = 0; i < size; i++) {
        has_control = has_control || ((unsigned char)value[i] < ' ' && value[i] != '\t');
        has_comment = has_comment || ((value[i] == ' ' || value[i] == '\t') && value[i + 1] == ';');
    }
    return size != 0 && size < 900 && !has_blank_end && !has_control && !has_comment;
}

void foreign_set(struct foreign_account *account, const char *option, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    char *value = format_text(format, arguments);
    va_end(arguments);
    if (fits_in_a_line(value)) {
        set_value(account, option, value);
        return;
    }
    foreign_note(
        &account->notes, 0,
        "the value for %s cannot stand in fetch.conf as it is; write it there in another way, "
        "a long command as a script",
        option);
    free(value);
}

void foreign_merge(struct foreign_account *account, const struct foreign_account *from)
{
    for (size_t i = 0; i < from->option_count; i++) {
        set_value(account, from->options[i].name, must(strdup(from->options[i].value)));
    }
    for (size_t i = 0; i < from->notes.count; i++) {
        add_note(&account->notes, must(strdup(from->notes.lines[i])));
    }
    struct {
        char **to;
        const char *value;
    } texts[] = {{&account->password, from->password},
                 {&account->ids_file, from->ids_file},
                 {&account->ids_host, from->ids_host},
                 {&account->ids_user, from->ids_user}};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        if (texts[i].value != NULL) {
            foreign_replace(texts[i].to, texts[i].value);
        }
    }
    account->deletes_retrieved = account->deletes_retrieved || from->deletes_retrieved;
}

static bool is_taken(const struct foreign *out, const char *name)
{
    for (size_t i = 0; i < out->count; i++) {
        if (strcmp(out->accounts[i]->name, name) == 0) {
            return true;
        }
    }
    return false;
}

/* Letters, digits and "._@+-": that is plain in a section's line, in a file's name, and on a command line. */
static void make_plain(char *name)
{
    for (char *octet = name; *octet != '\0'; octet++) {
        bool is_letter = (*octet >= 'a' && *octet <= 'z') || (*octet >= 'A' && *octet <= 'Z');
        bool is_digit = *octet >= '0' && *octet <= '9';
        bool is_other =
            strchr("_@+", *octet) != NULL || (strchr(".-", *octet) != NULL && octet != name);
        if (!is_letter && !is_digit && !is_other) {
            *octet = '_';
        }
    }
}

struct foreign_account *foreign_add(struct foreign *out, const char *name)
{
    AUTO_FREE char *plain =
        foreign_format("%.*s", SECTION_OCTETS_MOST - 6, name[0] == '\0' ? "mail" : name);
    make_plain(plain);
    AUTO_FREE char *unique = must(strdup(plain));
    for (unsigned i = 2; is_taken(out, unique); i++) {
        free(unique);
        unique = foreign_format("%s-%u", plain, i);
    }
    struct foreign_account *account = foreign_account_create(unique);
    out->accounts =
        must(reallocarray(out->accounts, out->count + 1, sizeof(struct foreign_account *)));
    out->accounts[out->count++] = account;
    return account;
}

struct foreign_account *foreign_add_like(struct foreign *out, const char *name,
                                         const struct foreign_account *from)
{
    struct foreign_account *account = foreign_add(out, name);
    foreign_merge(account, from);
    return account;
}

void foreign_finish(struct foreign *foreign)
{
    for (size_t i = 0; i < foreign->count; i++) {
        (void)foreign_account_free(foreign->accounts[i]);
    }
    free(foreign->accounts);
    free_notes(&foreign->notes);
    foreign->accounts = NULL;
    foreign->count = 0;
}

void foreign_append_quoted(char **command, const char *word)
{
    static const char plain[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789@%+=:,./_-";
    char *before = *command;
    size_t size = strlen(word);
    char *quoted = must(malloc(4 * size + 3));
    size_t used = 0;
    if (size != 0 && strspn(word, plain) == size) {
        memcpy(quoted, word, size);
        used = size;
    } else {
        quoted[used++] = '\'';
        for (size_t i = 0; i < size; i++) {
            if (word[i] == '\'') {
                memcpy(quoted + used, "'\\''", 4);
                used += 4;
            } else {
                quoted[used++] = word[i];
            }
        }
        quoted[used++] = '\'';
    }
    quoted[used] = '\0';
    *command =
        foreign_format("%s%s%s", before == NULL ? "" : before, before == NULL ? "" : " ", quoted);
    free(before);
    free(quoted);
}

bool foreign_is_path(const char *path)
{
    return path[0] == '/' || strncmp(path, "~/", 2) == 0;
}

static const char *const names[FOREIGN_PROGRAMS] = {"fetchmail", "getmail", "mpop", "fdm"};

const char *foreign_program_name(enum foreign_program program)
{
    return program < FOREIGN_PROGRAMS ? names[program] : NULL;
}

enum foreign_program foreign_program_find(const char *name)
{
    unsigned i = 0;
    while (i < FOREIGN_PROGRAMS && strcmp(names[i], name) != 0) {
        i++;
    }
    return strcmp(name, "getmail6") == 0 ? FOREIGN_GETMAIL : (enum foreign_program)i;
}

static struct bytes first_word(struct bytes line)
{
    size_t from = 0;
    while (from < line.size && (line.data[from] == ' ' || line.data[from] == '\t')) {
        from++;
    }
    struct bytes word = bytes_from(line, from);
    size_t size = 0;
    while (size < word.size && strchr(" \t\r\"'", word.data[size]) == NULL) {
        size++;
    }
    return (struct bytes){word.data, size};
}

enum foreign_program foreign_program_guess(struct bytes text)
{
    static const struct {
        const char
            *word; /* that stands first in a line of that program's, and of none of the others' */
        enum foreign_program program;
    } signs[] = {
        {"[retriever]", FOREIGN_GETMAIL}, {"poll", FOREIGN_FETCHMAIL}, {"skip", FOREIGN_FETCHMAIL},
        {"match", FOREIGN_FDM},           {"action", FOREIGN_FDM},     {"host", FOREIGN_MPOP},
        {"delivery", FOREIGN_MPOP},       {"tls", FOREIGN_MPOP},       {"uidls_file", FOREIGN_MPOP},
    };
    while (text.size != 0) {
        struct bytes line = {text.data, bytes_find(text, '\n')};
        struct bytes word = first_word(line);
        for (size_t i = 0; i < sizeof signs / sizeof signs[0]; i++) {
            if (bytes_equal(word, bytes_of(signs[i].word))) {
                return signs[i].program;
            }
        }
        text = bytes_from(text, line.size + 1);
    }
    return FOREIGN_PROGRAMS;
}

int foreign_parse(struct bytes text, const char *file, struct foreign *out, struct error *error)
{
    static int (*const parsers[FOREIGN_PROGRAMS])(struct bytes, const char *, struct foreign *,
                                                  struct error *) = {
        [FOREIGN_FETCHMAIL] = foreign_parse_fetchmail,
        [FOREIGN_GETMAIL] = foreign_parse_getmail,
        [FOREIGN_MPOP] = foreign_parse_mpop,
        [FOREIGN_FDM] = foreign_parse_fdm,
    };
    return parsers[out->program](text, file, out, error);
}
