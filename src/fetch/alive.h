/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_FETCH_ALIVE_H
#define RESTANTE_FETCH_ALIVE_H

/* A sign of life: a GET of a URL whose owner misses it, if it stops to come. It is asked on libuv's threads, few of
 * which it may keep waiting: look-ups of names need them too. */

#include <uv.h>

#include "base/error.h"

enum { ALIVE_MS = 10000, ALIVE_AT_ONCE = 2 };

struct alive;

/* Of a loop; zero-initialised. */
struct alive_queue {
    unsigned asking;
    struct alive *first, *last; /* those that wait */
};

/* NULL: the answer was a success. From the loop, once. */
typedef void alive_done(void *owner, const struct error *error);

/* `url` is borrowed until then: as http_url_check wants it. NULL, and no call: no memory. */
struct alive *alive_start(uv_loop_t *loop, struct alive_queue *queue, const char *url,
                          alive_done *done, void *owner);
/* It ends soon; `done` follows. */
void alive_cancel(struct alive *alive);

#endif
