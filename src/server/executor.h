/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_SERVER_EXECUTOR_H
#define RESTANTE_SERVER_EXECUTOR_H

#include <uv.h>

#include "maildrop/maildrop.h"

/* The store's work on libuv's pool of threads. One device never has more than half of the threads, so
 * that a disk that hangs leaves the others to everybody else. */

enum { EXECUTOR_THREADS = 8, EXECUTOR_MOST_DEVICES = 16 };

struct executor_device {
    uint64_t device;
    uint32_t running;
    struct maildrop_job *first, **last; /* waiting */
};

struct executor {
    struct maildrop_executor interface;
    uv_loop_t *loop;
    struct executor_device devices[EXECUTOR_MOST_DEVICES];
    uint32_t device_count;
};

/* Before the process has used the pool: it also sets the pool's size. `loop` is borrowed. */
void executor_init(struct executor *executor, uv_loop_t *loop);

#endif
