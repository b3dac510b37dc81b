/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_SERVER_EXECUTOR_H
#define RESTANTE_SERVER_EXECUTOR_H

#include <uv.h>

#include "maildrop/maildrop.h"

/* The store's work on libuv's pool of threads. One device never has more than half of the threads, so
 * that a disk that hangs leaves the others to everybody else. */

enum { EXECUTOR_MOST_DEVICES = 16 };

struct executor_device {
    uint64_t device;
    uint32_t running;
    struct maildrop_job *first, **last; /* waiting */
};

struct executor {
    struct maildrop_executor interface;
    uv_loop_t *loop;
    uint32_t most_running; /* jobs of one device */
    struct executor_device devices[EXECUTOR_MOST_DEVICES];
    uint32_t device_count;
};

/* Before the process has used the pool: its size is set to `threads` (1 to 99). `loop` is borrowed. */
void executor_init(struct executor *executor, uv_loop_t *loop, uint32_t threads);

#endif
