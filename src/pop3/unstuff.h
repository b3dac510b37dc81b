/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_POP3_UNSTUFF_H
#define RESTANTE_POP3_UNSTUFF_H

#include "base/bytes.h"

/* A message as it comes in a multi-line response: the dots that were stuffed are taken out, the terminator
 * is found. Only CR LF ends a line, and only CR LF `.` CR LF ends the message (RFC 1939 section 3). */
enum unstuff {
    UNSTUFF_LINE_START, /* the zero: the first line begins here */
    UNSTUFF_INSIDE,     /* of a line, and its last octet is no CR */
    UNSTUFF_CR,         /* of a line, and its last octet is a CR */
    UNSTUFF_DOT,        /* at a line's start came a dot, which is held back */
    UNSTUFF_DOT_CR,     /* and a CR, held back too */
    UNSTUFF_END         /* the terminator has come */
};

/* Takes octets up to the end of one piece, of the input, or of the message; returns how many. *piece, empty
 * if there is none, points into the input or to a constant. Takes none only if it has a piece, or at the end. */
size_t unstuff(enum unstuff *state, struct bytes input, struct bytes *piece);

#endif
