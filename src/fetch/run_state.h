/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_FETCH_RUN_STATE_H
#define RESTANTE_FETCH_RUN_STATE_H

/* Between run.c, which runs accounts on a loop, and watch.c, which runs them again. */

#include "fetch/aftermath.h"
#include "fetch/boot_timer.h"
#include "fetch/run.h"
#include "fetch/said.h"
#include "fetch/schedule.h"
#include "fetch/task.h"

enum { RUN_SIGNALS_MOST = 4 };

/* A run_set, and how many slots use its accounts. */
struct run_generation {
    struct run_generation *next;
    struct run_set *set;
    const char **names;
    unsigned users;
    bool borrowed; /* it is not to be released */
};

enum slot_phase {
    SLOT_WAITING, /* for its time; of a run that is not watched: for a place */
    SLOT_RUNNING, /* its task */
    SLOT_ENDING,  /* its aftermath */
    SLOT_OVER
};

/* An account. */
struct slot {
    struct run *run;
    enum slot_phase phase;
    const struct fetch_account *account;
    struct run_generation *generation;
    struct secret *password; /* that the person was asked for */
    struct task *task;
    struct aftermath *aftermath;
    struct fetch_result result; /* of the run that is under way */
    bool bad_messages_told;     /* one of them is the result's reason */
    struct fetch_status status; /* after the last run */

    /* When it is watched: */
    uint64_t due_ms;     /* on CLOCK_BOOTTIME */
    uint64_t allowed_ms; /* not before, as LOGIN-DELAY says */
    struct schedule schedule;
    struct said said;
    bool retired; /* it is no longer in the configuration */
    /* What replaces account and generation when it is idle; NULL: nothing. */
    const struct fetch_account *next_account;
    struct run_generation *next_generation;
};

struct run {
    const struct run_options *options;
    uv_loop_t loop;
    struct stream_loop shared;
    struct alive_queue alive;
    uv_signal_t signals[RUN_SIGNALS_MOST];
    size_t signal_count;
    struct slot **slots;
    size_t count, running;
    struct run_generation *generations;
    int status;
    bool stopping, closed;
    int stop;            /* an eventfd: readable once it is stopping */
    struct watch *watch; /* NULL: each runs once */
};

/* run.c */
int run_add_signal(struct run *run, int number, uv_signal_cb handler) MUST_CHECK;
/* Takes the set; all its accounts are for slots that exist or are made. */
struct run_generation *run_add_generation(struct run *run, struct run_set *set);
void run_drop_generation(struct run *run, struct run_generation *generation);
/* NULL: no memory. */
struct slot *run_add_slot(struct run *run, struct run_generation *generation,
                          struct run_account *account);
/* Starts what is due and has a place; ends the loop's handles when all is over. */
void run_continue(struct run *run);
/* Ends what runs; the second time, without waiting for what can be done without. */
void run_stop(struct run *run);
void run_tell(struct slot *slot, enum report_type type, const char *text);

/* watch.c */
int watch_open(struct run *run) MUST_CHECK;
/* May it start now? */
bool watch_is_due(const struct slot *slot);
/* Its task has ended: when it runs again, and as the status says it. */
void watch_plan(struct slot *slot, int64_t *next_out, uint64_t *interval_s_out);
/* Its aftermath is over: it waits for its time. */
void watch_resume(struct slot *slot, const struct fetch_status *before);
/* Sets the clock to what is due first. */
void watch_set_clock(struct run *run);
void watch_close(struct run *run);

#endif
