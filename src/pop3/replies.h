/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_POP3_REPLIES_H
#define RESTANTE_POP3_REPLIES_H

#include <pop3/reply.h>

#include "base/buffer.h"

enum language {
#define LANGUAGE(tag, name) LANGUAGE_##tag,
#include "pop3/languages.def"
#undef LANGUAGE
    LANGUAGE_COUNT
};

enum text {
    TEXT_NONE = 0, /* no reply, or none yet */
#define TEXT(name, status, code, ...) TEXT_##name,
#include "pop3/texts.def"
#undef TEXT
    TEXT_COUNT
};

/* One first line: status, response code, prefix, text, suffix, with single spaces between those that are
 * not empty. Handlers return it; only replies.c makes octets of it. */
struct reply {
    enum text text;
    uint64_t numbers[2]; /* for the text's '#', in order */
    const char *prefix;  /* may be NULL */
    struct bytes suffix;
};

enum {
    REPLY_OCTETS = 512 /* the room that a line may need: RFC 2449 section 4 */
};

static inline struct reply reply_of(enum text text)
{
    return (struct reply){.text = text};
}

struct reply reply_of_failure(enum pop3_failure failure);

/* Is it an -ERR that counts as a bad command? */
bool reply_is_bad(const struct reply *reply);

/* Appends the line, cut at 512 octets; there is room for as many. */
void reply_append(struct buffer *out, enum language language, const struct reply *reply);

/* Appends a line of a multi-line response: `head` and, after a space, `tail`, if they are not empty; cut
 * likewise. */
void reply_append_line(struct buffer *out, struct bytes head, struct bytes tail);

/* The line that ends a multi-line response. */
void reply_append_terminator(struct buffer *out);

const char *language_tag(enum language language);
const char *language_name(enum language language);

/* The language that a basic language range means (RFC 4647 section 3.4: "ru-RU" finds "ru"), or
 * LANGUAGE_COUNT. "*" is the first. */
enum language language_find(struct bytes range);

#endif
