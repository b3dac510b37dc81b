/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_SERVER_BUFFERS_H
#define RESTANTE_SERVER_BUFFERS_H

#include <stddef.h>
#include <stdint.h>

/* Memory that sessions borrow while they have something to send. The last one given back is the next one
 * lent, for it is still in the processor's cache. When many are out, because many peers read slowly, small
 * ones are lent, so that what slow readers can cost is bounded. */

enum { BUFFERS_LARGE = 65536, BUFFERS_SMALL = 4096, BUFFERS_MOST_LARGE = 256, BUFFERS_KEPT = 16 };

struct buffers {
    uint8_t *kept[BUFFERS_KEPT];
    uint32_t kept_count;
    uint32_t large_lent;
};

struct loan {
    uint8_t *memory; /* NULL: nothing is lent */
    size_t size;
};

/* memory is NULL where there is none. */
struct loan buffers_lend(struct buffers *buffers);
/* Takes back; *loan is nothing then. */
void buffers_return(struct buffers *buffers, struct loan *loan);

#endif
