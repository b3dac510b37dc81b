/* SPDX-License-Identifier: MIT */
#include "fetch/schedule.h"

static uint64_t larger(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

enum schedule_end schedule_end_of(enum error_kind kind)
{
    switch ((unsigned)kind) {
    case ERROR_NONE:
        return SCHEDULE_WELL;
    case ERROR_IN_USE:
        return SCHEDULE_IN_USE;
    case ERROR_LOGIN_DELAY:
        return SCHEDULE_TOO_SOON;
    case ERROR_BAD_CREDENTIALS:
        return SCHEDULE_REFUSED;
    default:
        return SCHEDULE_FAILED;
    }
}

void schedule_add(struct schedule *schedule, enum schedule_end end)
{
    bool grows = end != SCHEDULE_WELL && end != SCHEDULE_IN_USE;
    if (!grows) {
        schedule->in_a_row = 0;
    } else if (end != schedule->last) {
        schedule->in_a_row = 1;
    } else if (schedule->in_a_row < UINT32_MAX) {
        schedule->in_a_row++;
    }
    schedule->last = end;
}

uint64_t schedule_interval_ms(const struct schedule *schedule)
{
    return larger(schedule->interval_ms, schedule->login_delay_ms);
}

/* `first`, then twice as long each time, up to `most`. */
static uint64_t grown(uint64_t first, uint32_t times, uint64_t most)
{
    most = larger(first, most);
    for (uint32_t i = 1; i < times && first < most; i++) {
        first *= 2;
    }
    return first < most ? first : most;
}

static uint64_t base_ms(const struct schedule *schedule)
{
    switch (schedule->last) {
    case SCHEDULE_WELL:
    case SCHEDULE_IN_USE:
        break;
    case SCHEDULE_TOO_SOON:
    case SCHEDULE_FAILED:
        return grown(schedule->interval_ms, schedule->in_a_row, SCHEDULE_MOST_MS);
    case SCHEDULE_REFUSED:
        return grown(larger(schedule->interval_ms, SCHEDULE_REFUSED_LEAST_MS), schedule->in_a_row,
                     SCHEDULE_REFUSED_MOST_MS);
    }
    return schedule->interval_ms;
}

uint64_t schedule_wait_ms(const struct schedule *schedule, uint32_t random)
{
    uint64_t base = base_ms(schedule);
    uint64_t delay = schedule->login_delay_ms;
    uint64_t least = larger(base - base * SCHEDULE_JITTER_PERCENT / 100, delay);
    uint64_t most = larger(base, delay);
    most += most * SCHEDULE_JITTER_PERCENT / 100;
    return least + (most - least) * random / UINT32_MAX;
}
