/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_SWITCHING_WORDS_H
#define RESTANTE_SWITCHING_WORDS_H

/* Words of configurations that do not care for lines: fetchmail's and fdm's. */

#include <stdbool.h>

#include "base/bytes.h"

enum word_type {
    WORD_END,
    WORD_PLAIN,
    WORD_QUOTED, /* what is between quotes, escapes as they stand */
    WORD_MARK,   /* one octet that is a word by itself */
    WORD_OPEN    /* a quote that nothing closes */
};

struct word {
    enum word_type type;
    struct bytes text;
    char quote;
    unsigned line; /* where it begins, from 1 */
};

struct words {
    struct bytes text;
    size_t at;
    unsigned line;
    const char *marks;   /* octets that are words */
    const char *ignored; /* octets that separate, as blanks do */
    bool escapes;        /* a backslash between "" saves the octet after it from closing */
    bool joins;          /* a backslash before the end of a line is nothing */
};

struct word words_next(struct words *words);
/* The same without going on. */
struct word words_peek(const struct words *words);
bool word_is(const struct word *word, const char *text);

#endif
