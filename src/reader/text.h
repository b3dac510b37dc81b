/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_READER_TEXT_H
#define RESTANTE_READER_TEXT_H

#include <glib.h>
#include <stdint.h>

#include "base/bytes.h"

/* Text of strangers, made harmless for a terminal. All text within this room is UTF-8. */

enum text_mode {
    TEXT_LINE, /* one line: line ends and tabs become blanks */
    TEXT_BODY  /* line ends (as LF) and tabs stay */
};

/* Takes one character off the front: how many octets it has (at least 1), and U+FFFD for an octet that is
 * not UTF-8. `octets` is not empty. */
size_t text_decode(struct bytes octets, uint32_t *code_out);

/* Appends `octets` as valid UTF-8 that moves no cursor and turns no text round: C0 controls become their
 * pictures (U+2400...), C1 controls, bidirectional overrides, embeddings and isolates, and octets that are
 * not UTF-8 become U+FFFD. */
void text_append(GString *out, struct bytes octets, enum text_mode mode);

/* The same for a stream in pieces: what may be the beginning of a character is not taken, unless `is_last`.
 * How many octets were taken; at most 3 are left. */
size_t text_append_piece(GString *out, struct bytes octets, enum text_mode mode, bool is_last);

/* How many columns a terminal needs for it (wcwidth, in the locale of the process). */
unsigned text_columns(const char *text);

/* Appends as much of `text` as fits into `columns`; where something is cut, its last column is U+2026.
 * `pad`: blanks fill what is left. A character never has more than 4 combining ones. */
void text_append_fitted(GString *out, const char *text, unsigned columns, bool pad);

/* A new string: `text` in the charset `codeset`; what that cannot say becomes '?', or plain ASCII for
 * dashes, quotes and the like. */
GString *text_to_codeset(const GString *text, const char *codeset);

/* Appends `text` as a JSON string, in ASCII: what is not, is escaped. */
void text_append_json(GString *out, struct bytes text);

/* Appends a size for people: 512, 4K, 1.5M. */
void text_append_size(GString *out, uint64_t octets);

#endif
