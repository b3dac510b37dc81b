/* SPDX-License-Identifier: MIT */
#include "dialogue.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/number.h"

static int fault(struct dialogue *dialogue, unsigned line, const char *what)
{
    (void)snprintf(dialogue->error, sizeof dialogue->error, "line %u: %s", line, what);
    return -1;
}

static int hex(char digit)
{
    if (digit >= '0' && digit <= '9') {
        return digit - '0';
    }
    return digit >= 'a' && digit <= 'f' ? digit - 'a' + 10 : -1;
}

static int put(struct dialogue *dialogue, char octet)
{
    if (dialogue->arena_used == dialogue->arena_size) {
        return -1;
    }
    dialogue->arena[dialogue->arena_used++] = octet;
    return 0;
}

/* One escape after its backslash; returns the octets of the notation, or -1. */
static int put_escape(struct dialogue *dialogue, struct bytes rest)
{
    static const char names[] = "rnt0\\s";
    static const char octets[] = "\r\n\t\0\\ ";
    const char *text = (const char *)rest.data;
    if (rest.size >= 3 && text[0] == 'x' && hex(text[1]) >= 0 && hex(text[2]) >= 0) {
        return put(dialogue, (char)(hex(text[1]) * 16 + hex(text[2]))) < 0 ? -1 : 3;
    }
    const char *found = rest.size == 0 ? NULL : memchr(names, text[0], sizeof names - 1);
    return found == NULL || put(dialogue, octets[found - names]) < 0 ? -1 : 1;
}

static int unescape(struct dialogue *dialogue, struct bytes text, bool nested);

/* \{N*TEXT} after its backslash; returns the octets of the notation, or -1. */
static int put_repeated(struct dialogue *dialogue, struct bytes rest)
{
    size_t end = bytes_find(rest, '}');
    size_t star = bytes_find(rest, '*');
    uint64_t times;
    struct bytes digits = {.data = rest.data + 1, .size = star - 1};
    if (end == rest.size || star >= end || number_parse(digits, 1000000, &times) < 0) {
        return -1;
    }
    struct bytes once = {.data = rest.data + star + 1, .size = end - star - 1};
    for (uint64_t i = 0; i < times; i++) {
        if (unescape(dialogue, once, true) < 0) {
            return -1;
        }
    }
    return (int)end + 1;
}

static int unescape(struct dialogue *dialogue, struct bytes text, bool nested)
{
    for (size_t i = 0; i < text.size;) {
        if (text.data[i] != '\\') {
            if (put(dialogue, (char)text.data[i++]) < 0) {
                return -1;
            }
            continue;
        }
        struct bytes rest = bytes_from(text, i + 1);
        int used = rest.size != 0 && rest.data[0] == '{' && !nested ? put_repeated(dialogue, rest)
                                                                    : put_escape(dialogue, rest);
        if (used < 0) {
            return -1;
        }
        i += 1 + (size_t)used;
    }
    return 0;
}

/* The text with its escapes resolved, in the arena. */
static int text_of(struct dialogue *dialogue, struct bytes text, struct bytes *out)
{
    size_t start = dialogue->arena_used;
    if (unescape(dialogue, text, false) < 0) {
        return -1;
    }
    *out = (struct bytes){.data = (const uint8_t *)dialogue->arena + start,
                          .size = dialogue->arena_used - start};
    return 0;
}

/* A line `|TEXT` of the last message. */
static int add_message_line(struct dialogue *dialogue, struct bytes text)
{
    bool whole = true;
    if (text.size >= 2 && memcmp(text.data + text.size - 2, "\\c", 2) == 0) {
        whole = false;
        text.size -= 2;
    }
    struct bytes added;
    if (dialogue->message_count == 0 || text_of(dialogue, text, &added) < 0) {
        return -1;
    }
    struct bytes *message = &dialogue->messages[dialogue->message_count - 1];
    message->size += added.size;
    if (whole) {
        message->size++;
        return put(dialogue, '\n');
    }
    return 0;
}

static int begin_message(struct dialogue *dialogue, struct bytes value)
{
    if (dialogue->message_count == DIALOGUE_MESSAGES_MOST) {
        return -1;
    }
    unsigned index = dialogue->message_count++;
    dialogue->messages[index] =
        (struct bytes){.data = (const uint8_t *)dialogue->arena + dialogue->arena_used};
    return value.size == 0 ? 0 : number_parse(value, 1000000, &dialogue->message_octets[index]);
}

static int add_to(struct dialogue *dialogue, struct bytes *list, unsigned *count,
                  struct bytes value)
{
    return *count == DIALOGUE_CONFIG_MOST ? -1 : text_of(dialogue, value, &list[(*count)++]);
}

static int choose(struct bytes value, const char *const *names)
{
    for (int i = 0; names[i] != NULL; i++) {
        if (bytes_equal(value, bytes_of(names[i]))) {
            return i;
        }
    }
    return -1;
}

static int set_start(struct dialogue *dialogue, struct bytes value)
{
    static const char *const names[] = {"connected", "authorization", "transaction", NULL};
    int start = choose(value, names);
    if (start >= 0) {
        dialogue->start = (unsigned)start;
    }
    return start;
}

static int set_header(struct dialogue *dialogue, struct bytes key, struct bytes value)
{
    static const char *const keys[] = {"Why",       "RFC",     "Start",      "User",
                                       "Password",  "Config",  "Connection", "Drivers",
                                       "Pipelined", "Message", NULL};
    static const char *const drivers[] = {"engine wire", "engine", NULL};
    static const char *const answers[] = {"yes", "no", NULL};
    int chosen;
    switch (choose(key, keys)) {
    case 0:
        dialogue->has_why = value.size != 0;
        return 0;
    case 1:
        dialogue->has_rfc = value.size != 0;
        return 0;
    case 2:
        return set_start(dialogue, value);
    case 3:
        return text_of(dialogue, value, &dialogue->user);
    case 4:
        return text_of(dialogue, value, &dialogue->password);
    case 5:
        return add_to(dialogue, dialogue->config, &dialogue->config_count, value);
    case 6:
        return add_to(dialogue, dialogue->connection, &dialogue->connection_count, value);
    case 7:
        chosen = choose(value, drivers);
        dialogue->engine_only = chosen == 1;
        return chosen;
    case 8:
        chosen = choose(value, answers);
        dialogue->pipelined = chosen == 0;
        return chosen;
    case 9:
        return begin_message(dialogue, value);
    default:
        return -1;
    }
}

static int add_statement(struct dialogue *dialogue, struct bytes line, unsigned number)
{
    if (dialogue->statement_count == DIALOGUE_STATEMENTS_MOST) {
        return -1;
    }
    struct dialogue_statement *statement = &dialogue->statements[dialogue->statement_count++];
    statement->line = number;
    statement->kind = (char)line.data[0];
    if (line.data[1] == '-') {
        statement->kind = line.data[0] == 'S' ? '-' : '!';
        return line.size == 2 && (line.data[0] == 'S' || line.data[0] == 'C') ? 0 : -1;
    }
    bool has_space = line.size > 2 && line.data[2] == ' ';
    if (strchr("CcSsLA", line.data[0]) == NULL || (line.size > 2 && !has_space)) {
        return -1;
    }
    if (text_of(dialogue, bytes_from(line, 3), &statement->text) < 0) {
        return -1;
    }
    if (statement->kind == 'C') {
        statement->text.size += 2;
        return put(dialogue, '\r') < 0 ? -1 : put(dialogue, '\n');
    }
    return 0;
}

static int add_line(struct dialogue *dialogue, struct bytes line, unsigned number)
{
    if (line.size == 0 || line.data[0] == '#') {
        return 0;
    }
    if (line.data[0] == '|') {
        return add_message_line(dialogue, bytes_from(line, 1));
    }
    if (line.size >= 2 && (line.data[1] == ':' || line.data[1] == '-')) {
        return add_statement(dialogue, line, number);
    }
    size_t colon = bytes_find(line, ':');
    struct bytes key = {.data = line.data, .size = colon};
    struct bytes value = bytes_from(line, colon + 1);
    if (value.size != 0 && value.data[0] == ' ') {
        value = bytes_from(value, 1);
    }
    return set_header(dialogue, key, value);
}

static char *read_file(const char *path, size_t *size_out)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        return NULL;
    }
    char *text = malloc(1U << 20);
    *size_out = text == NULL ? 0 : fread(text, 1, 1U << 20, file);
    (void)fclose(file);
    return text;
}

int dialogue_read(struct dialogue *dialogue, const char *path)
{
    *dialogue = (struct dialogue){.pipelined = true, .arena_size = 1U << 20};
    dialogue->user = bytes_of("alice");
    dialogue->password = bytes_of("secret");
    size_t size;
    char *text = read_file(path, &size);
    dialogue->arena = malloc(dialogue->arena_size);
    if (text == NULL || dialogue->arena == NULL) {
        free(text);
        return fault(dialogue, 0, "cannot read the file");
    }
    struct bytes rest = {.data = (const uint8_t *)text, .size = size};
    int result = 0;
    for (unsigned number = 1; rest.size != 0 && result == 0; number++) {
        size_t end = bytes_find(rest, '\n');
        if (add_line(dialogue, (struct bytes){.data = rest.data, .size = end}, number) < 0) {
            result = fault(dialogue, number, "not in the notation");
        }
        rest = bytes_from(rest, end + 1);
    }
    free(text);
    if (result == 0 && (!dialogue->has_why || !dialogue->has_rfc)) {
        result = fault(dialogue, 0, "Why: and RFC: are needed");
    }
    return result;
}

void dialogue_free(struct dialogue *dialogue)
{
    free(dialogue->arena);
    dialogue->arena = NULL;
}
