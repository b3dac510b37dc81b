/* SPDX-License-Identifier: MIT */
/* All first lines of replies, in all languages. Nothing else writes +OK or -ERR, so that no line can be
 * longer than RFC 2449 section 4 allows and none can lack its response code. */
#include "pop3/replies.h"

#include <assert.h>

enum status { STATUS_OK, STATUS_ERR, STATUS_BAD };

struct row {
    enum status status;
    const char *code;
    const char *texts[LANGUAGE_COUNT];
};

static const struct row rows[TEXT_COUNT] = {
#define TEXT(name, status, code, ...) [TEXT_##name] = {STATUS_##status, code, {__VA_ARGS__}},
#include "pop3/texts.def"
#undef TEXT
};

/* A row of texts.def with a text missing or one too many does not build. */
#define TEXT(name, status, code, ...)                                                              \
    _Static_assert(sizeof((const char *const[]){__VA_ARGS__}) / sizeof(const char *) ==            \
                       LANGUAGE_COUNT,                                                             \
                   "a text a language: " #name);
#include "pop3/texts.def"
#undef TEXT

static const struct {
    const char *tag;
    const char *name;
} languages[LANGUAGE_COUNT] = {
#define LANGUAGE(tag, name) {#tag, name},
#include "pop3/languages.def"
#undef LANGUAGE
};

struct reply reply_of_failure(enum pop3_failure failure)
{
    static const enum text texts[POP3_FAILURE_COUNT] = {
        [POP3_FAILURE_TEMPORARY] = TEXT_TEMPORARY,
        [POP3_FAILURE_PERMANENT] = TEXT_PERMANENT,
        [POP3_FAILURE_IN_USE] = TEXT_IN_USE,
        [POP3_FAILURE_CREDENTIALS] = TEXT_CREDENTIALS,
        [POP3_FAILURE_LOGIN_DELAY] = TEXT_LOGIN_DELAY,
        [POP3_FAILURE_GONE] = TEXT_GONE,
        [POP3_FAILURE_UNREADABLE] = TEXT_UNREADABLE,
        [POP3_FAILURE_NOT_REMOVED] = TEXT_NOT_REMOVED,
        [POP3_FAILURE_SYNTAX] = TEXT_SYNTAX,
    };
    assert(failure > POP3_FAILURE_NONE && failure < POP3_FAILURE_COUNT);
    return reply_of(texts[failure]);
}

bool reply_is_bad(const struct reply *reply)
{
    return rows[reply->text].status == STATUS_BAD;
}

/* Appends a part that is not empty, after a space; what has no room in the line is cut. */
static void append_part(struct buffer *line, struct bytes part)
{
    if (part.size == 0 || buffer_room(line) < 2) {
        return;
    }
    if (line->written != 0) {
        buffer_append_octet(line, ' ');
    }
    if (part.size > buffer_room(line)) {
        part.size = buffer_room(line);
    }
    buffer_append(line, part);
}

static void finish_line(struct buffer *out, const struct buffer *line)
{
    buffer_append(out, buffer_pending(line));
    buffer_append_text(out, "\r\n");
    assert(!out->overflow);
}

/* The text with its numbers. No text of ours comes near the capacity. */
static void fill_in(struct buffer *filled, const char *text, const uint64_t *numbers)
{
    for (;;) {
        size_t size = strcspn(text, "#");
        buffer_append(filled, (struct bytes){.data = (const uint8_t *)text, .size = size});
        if (text[size] == '\0') {
            break;
        }
        buffer_append_number(filled, *numbers++);
        text += size + 1;
    }
    assert(!filled->overflow);
}

void reply_append(struct buffer *out, enum language language, const struct reply *reply)
{
    const struct row *row = &rows[reply->text];
    UNINITIALIZED uint8_t line_memory[REPLY_OCTETS - 2];
    UNINITIALIZED uint8_t filled_memory[256];
    struct buffer line;
    struct buffer filled;
    buffer_init(&line, line_memory, sizeof line_memory);
    buffer_init(&filled, filled_memory, sizeof filled_memory);
    fill_in(&filled, row->texts[language], reply->numbers);
    append_part(&line, bytes_of(row->status == STATUS_OK ? "+OK" : "-ERR"));
    append_part(&line, bytes_of(row->code));
    append_part(&line, bytes_of(reply->prefix == NULL ? "" : reply->prefix));
    append_part(&line, buffer_pending(&filled));
    append_part(&line, reply->suffix);
    finish_line(out, &line);
}

void reply_append_line(struct buffer *out, struct bytes head, struct bytes tail)
{
    UNINITIALIZED uint8_t memory[REPLY_OCTETS - 2];
    struct buffer line;
    buffer_init(&line, memory, sizeof memory);
    append_part(&line, head);
    append_part(&line, tail);
    finish_line(out, &line);
}

void reply_append_terminator(struct buffer *out)
{
    buffer_append_text(out, ".\r\n");
    assert(!out->overflow);
}

const char *language_tag(enum language language)
{
    return languages[language].tag;
}

const char *language_name(enum language language)
{
    return languages[language].name;
}

static bool is_subtag(struct bytes subtag)
{
    if (subtag.size == 0 || subtag.size > 8) {
        return false;
    }
    for (size_t i = 0; i < subtag.size; i++) {
        uint8_t octet = subtag.data[i];
        bool letter = (octet >= 'a' && octet <= 'z') || (octet >= 'A' && octet <= 'Z');
        if (!letter && !(octet >= '0' && octet <= '9')) {
            return false;
        }
    }
    return true;
}

enum language language_find(struct bytes range)
{
    if (bytes_equal(range, bytes_of("*"))) {
        return 0;
    }
    struct bytes primary = {.data = range.data, .size = bytes_find(range, '-')};
    struct bytes rest = range;
    for (bool more = true; more;) {
        size_t end = bytes_find(rest, '-');
        if (!is_subtag((struct bytes){.data = rest.data, .size = end})) {
            return LANGUAGE_COUNT;
        }
        more = end < rest.size;
        rest = bytes_from(rest, end + 1);
    }
    enum language language = 0;
    while (language < LANGUAGE_COUNT &&
           !bytes_equal_ignoring_case(primary, bytes_of(languages[language].tag))) {
        language++;
    }
    return language;
}
