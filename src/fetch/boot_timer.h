/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_FETCH_BOOT_TIMER_H
#define RESTANTE_FETCH_BOOT_TIMER_H

/* A timer of a loop on CLOCK_BOOTTIME, which goes on while the machine is suspended: what has become due meanwhile
 * is told once, when it wakes. The timers of libuv stand still for so long. */

#include <uv.h>

#include "base/attributes.h"

struct boot_timer {
    uv_poll_t poll;
    int descriptor;
    void (*due)(struct boot_timer *timer);
};

/* Milliseconds since the machine was started. */
uint64_t boot_now_ms(void);

/* 0 or a negative libuv error. */
int boot_timer_init(struct boot_timer *timer, uv_loop_t *loop,
                    void (*due)(struct boot_timer *timer)) MUST_CHECK;
/* `due` is called at this time, or in the next turn of the loop if it is past; it replaces what was set. */
void boot_timer_set(struct boot_timer *timer, uint64_t when_ms);
/* Once, after init has succeeded; the memory is the owner's when the loop has run on. */
void boot_timer_close(struct boot_timer *timer);

#endif
