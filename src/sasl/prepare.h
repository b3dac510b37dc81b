/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_SASL_PREPARE_H
#define RESTANTE_SASL_PREPARE_H

/* SASLprep (RFC 4013): names and passwords that look alike to a person become the same octets. Printable ASCII
 * is its own preparation and costs nothing but a look at it. Any thread. */

#include "base/attributes.h"
#include "base/bytes.h"
#include "base/error.h"

enum sasl_prepare_use {
    SASL_PREPARE_QUERY, /* what somebody presents: code points without a character in Unicode 3.2 pass */
    SASL_PREPARE_STORED /* what is kept, and compared with queries: they do not (RFC 3454 section 7) */
};

enum {
    SASL_PREPARED_OCTETS = 1024, /* the most, before and after */
    SASL_PREPARE_MARKS = 16      /* the most combining marks in a row */
};

/* Gives the prepared form: `text` itself where nothing changes in printable ASCII, else in `memory`, which is
 * the caller's to wipe. An empty text stays empty. ERROR_USAGE, with the reason, where there is no prepared form:
 * not UTF-8, a character that SASLprep prohibits, directions of writing mixed, nothing left of it, too long. */
int sasl_prepare(struct bytes text, enum sasl_prepare_use use, uint8_t memory[SASL_PREPARED_OCTETS],
                 struct bytes *prepared_out, struct error *error) MUST_CHECK;

#endif
