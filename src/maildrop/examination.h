/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_MAILDROP_EXAMINATION_H
#define RESTANTE_MAILDROP_EXAMINATION_H

#include "base/bytes.h"

/* Does a message need UTF-8, and how many octets are sent of its surrogate (<pop3/surrogate.h>)? */
struct examination;

/* On the heap; free() it. NULL without memory. */
struct examination *examination_create(void);

/* Takes octets of the message as stored, in turn. */
void examination_feed(struct examination *examination, struct bytes octets);

/* After the last: true if it needs UTF-8; `octets_out` is then the surrogate's, as LIST says them. */
bool examination_end(struct examination *examination, uint64_t *octets_out);

#endif
