/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_POP3_SURROGATE_FIELD_H
#define RESTANTE_POP3_SURROGATE_FIELD_H

#include "base/bytes.h"

/* One header field on its way into a surrogate (RFC 6858 section 2), in pieces, for it may become much longer.
 * `field` is all its lines, as stored, and stays where it is meanwhile. */

enum { SURROGATE_ADDRESS_OCTETS = 320, SURROGATE_PIECE_OCTETS = SURROGATE_ADDRESS_OCTETS + 8 };

/* Text on its way into encoded words: what of it is left. */
struct surrogate_text {
    struct bytes rest;
    bool unquotes; /* quotes and backslashes are no text */
    bool blank;    /* a space is due */
    bool begun;
};

struct surrogate_field {
    enum {
        SURROGATE_AS_IT_IS,
        SURROGATE_ADDRESSES,  /* section 2.1 */
        SURROGATE_PARAMETERS, /* section 2.2 */
        SURROGATE_TEXT,       /* section 2.3 */
        SURROGATE_NOTHING     /* section 2.4 */
    } manner;
    enum {
        SURROGATE_AT_NAME,
        SURROGATE_AT_ELEMENT, /* an address, a group's name, a parameter */
        SURROGATE_AT_WORDS,
        SURROGATE_AT_ADDRESS,
        SURROGATE_AT_DELIMITER,
        SURROGATE_AT_END
    } step;
    struct bytes rest;          /* of the value */
    struct bytes delimiter;     /* behind the element; empty: the value's end */
    struct surrogate_text text; /* of the element */
    bool begun;                 /* there is an element before */
    bool words_begun;
    bool ended;          /* its line end was given */
    size_t address_size; /* the element's, if it can be shown; 0: it cannot */
    uint8_t address[SURROGATE_ADDRESS_OCTETS];
    uint8_t piece[SURROGATE_PIECE_OCTETS];
};

/* True: the field has to change. */
bool surrogate_field_begin(struct surrogate_field *rewriting, struct bytes field);

/* The next piece, valid until the next call; empty: that was all. */
struct bytes surrogate_field_next(struct surrogate_field *rewriting);

#endif
