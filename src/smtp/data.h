/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_SMTP_DATA_H
#define RESTANTE_SMTP_DATA_H

#include "base/buffer.h"

/* A message on its way into DATA: CR LF at the end of each line and nowhere else, dots doubled (RFC 5321 sections
 * 2.3.8 and 4.5.2). */
struct smtp_data {
    bool in_line; /* the last octet was no line end */
    bool after_cr;
};

/* Takes octets as long as `out` has room for whatever they become; returns how many. */
size_t smtp_data_put(struct smtp_data *data, struct bytes octets, struct buffer *out);

enum { SMTP_DATA_END_OCTETS = 7 };
/* Ends the last line, then the message; `out` has that much room. */
void smtp_data_end(struct smtp_data *data, struct buffer *out);

#endif
