/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_POP3_MULTILINE_H
#define RESTANTE_POP3_MULTILINE_H

#include "base/buffer.h"

/* A message on its way from the store's octets to those of a multi-line response: line ends as CR LF,
 * dots at line starts doubled (RFC 1939 section 3). Zeroed, it begins a message sent whole. */
struct multiline {
    uint64_t octets; /* made so far, without doubled dots: what LIST counts */
    uint64_t lines;  /* TOP: body lines that are still wanted */
    uint32_t line;   /* enum in multiline.c: where in a line the next octet stands */
    bool top;        /* stop after the header, the blank line and `lines` body lines */
    bool body;       /* TOP: the blank line has been sent */
    bool enough;     /* TOP: nothing more is wanted */
};

enum {
    MULTILINE_RESERVE_OCTETS = 16 /* multiline_feed leaves as much room for multiline_end */
};

/* Begins what TOP with `lines` sends. */
void multiline_begin_top(struct multiline *message, uint64_t lines);

/* Takes octets as stored and appends what is sent; returns how many were taken: fewer than there are if
 * the room is used up or nothing more is wanted. */
size_t multiline_feed(struct multiline *message, struct buffer *out, struct bytes stored);

/* Ends the message and the response: the line end that a last line lacks, TOP's blank line, the dot. */
void multiline_end(struct multiline *message, struct buffer *out);

#endif
