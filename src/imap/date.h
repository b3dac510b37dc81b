/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_IMAP_DATE_H
#define RESTANTE_IMAP_DATE_H

#include "base/attributes.h"
#include "base/bytes.h"

/* A time, and what local clocks showed where it was written. */
struct imap_date {
    int64_t seconds;  /* since the epoch */
    int zone_minutes; /* east of UTC */
};

/* A date of a header field (RFC 5322 section 3.3, with the obsolete forms of section 4.3): comments and line ends
 * are blanks. -1: it is none, or lies outside the years 1970 to 9999. */
int imap_date_parse(struct bytes text, struct imap_date *date_out) MUST_CHECK;

/* What a message's header says of its arrival: the date of the topmost Received, else Date. `header`: its
 * beginning, with CR LF; may be cut. -1: it says nothing that makes sense. */
int imap_date_of_header(struct bytes header, struct imap_date *date_out) MUST_CHECK;

/* The value of the first field of that name, with its folds; empty: there is none. */
struct bytes imap_header_field(struct bytes header, const char *name);

enum { IMAP_DATE_OCTETS = 32 };
/* As APPEND wants it, without quotes: RFC 9051 section 9, date-time. */
void imap_date_write(const struct imap_date *date, char out[IMAP_DATE_OCTETS]);

#endif
