/* SPDX-License-Identifier: MIT */
#include "fetch/boot_timer.h"

#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "base/container_of.h"

uint64_t boot_now_ms(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_BOOTTIME, &now); /* cannot fail for this clock */
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
    struct boot_timer *timer = CONTAINER_OF(poll, struct boot_timer, poll);
    uint64_t times;
    (void)status; /* a timer has no errors */
    (void)events;
    if (read(timer->descriptor, &times, sizeof times) > 0) {
        timer->due(timer);
    }
}

int boot_timer_init(struct boot_timer *timer, uv_loop_t *loop,
                    void (*due)(struct boot_timer *timer))
{
    timer->due = due;
    timer->descriptor = timerfd_create(CLOCK_BOOTTIME, TFD_NONBLOCK | TFD_CLOEXEC);
    if (timer->descriptor < 0) {
        return UV_EMFILE;
    }
    int result = uv_poll_init(loop, &timer->poll, timer->descriptor);
    if (result == 0) {
        result = uv_poll_start(&timer->poll, UV_READABLE, on_readable);
        if (result < 0) {
            uv_close((uv_handle_t *)&timer->poll, NULL);
        }
    }
    if (result < 0) {
        (void)close(timer->descriptor);
    }
    return result;
}

void boot_timer_set(struct boot_timer *timer, uint64_t when_ms)
{
    /* 0 would disarm it. */
    struct itimerspec when = {.it_value = {.tv_sec = (time_t)(when_ms / 1000),
                                           .tv_nsec = (long)(when_ms % 1000) * 1000000 + 1}};
    (void)timerfd_settime(timer->descriptor, TFD_TIMER_ABSTIME, &when, NULL);
}

void boot_timer_close(struct boot_timer *timer)
{
    uv_close((uv_handle_t *)&timer->poll, NULL);
    (void)close(timer->descriptor);
}
