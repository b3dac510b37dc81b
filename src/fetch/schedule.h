/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_FETCH_SCHEDULE_H
#define RESTANTE_FETCH_SCHEDULE_H

/* When a watcher asks an account's server again: pure functions. */

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

enum {
    SCHEDULE_MOST_MS = 3600 * 1000, /* between attempts that fail */
    SCHEDULE_REFUSED_LEAST_MS =
        15 * 60 * 1000, /* a login was refused: some servers lock who insists */
    SCHEDULE_REFUSED_MOST_MS = 24 * 3600 * 1000,
    SCHEDULE_JITTER_PERCENT = 10
};

enum schedule_end {
    SCHEDULE_WELL,     /* the session was whole, whatever became of single messages */
    SCHEDULE_IN_USE,   /* another session has the mailbox */
    SCHEDULE_TOO_SOON, /* the server wants more time between logins */
    SCHEDULE_FAILED,
    SCHEDULE_REFUSED /* the login */
};

struct schedule {
    uint64_t interval_ms;
    uint64_t login_delay_ms; /* LOGIN-DELAY of the server (RFC 2449 section 6.5) */
    enum schedule_end last;
    uint32_t in_a_row; /* ends of that kind, if it is one that makes the wait longer */
};

/* How a run ended whose session ended with an error of this kind, or ERROR_NONE. */
enum schedule_end schedule_end_of(enum error_kind kind);

/* A run has ended. */
void schedule_add(struct schedule *schedule, enum schedule_end end);

/* The least that may be between two runs: what the person said, or the server if that is more. */
uint64_t schedule_interval_ms(const struct schedule *schedule);

/* From the end of a run until the next one. Doubles with each failure; `random` spreads it evenly between 10 % less
 * and 10 % more, so that clients which were started together do not stay together; never below LOGIN-DELAY. */
uint64_t schedule_wait_ms(const struct schedule *schedule, uint32_t random);

#endif
