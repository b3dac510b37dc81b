/* SPDX-License-Identifier: MIT */
/* Accounts that are run again and again: each has its own time, and one clock wakes the loop for the first. */
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/container_of.h"
#include "base/service_notify.h"
#include "fetch/password.h"
#include "fetch/run_state.h"

struct watch {
    struct run *run;
    struct boot_timer clock;
    uv_timer_t watchdog;
    bool told_failure; /* systemd could not be told */
};

static void notify(struct watch *watch, const char *state)
{
    int result = service_notify(state);
    if (result < 0 && !watch->told_failure && watch->run->count != 0) {
        char text[128];
        (void)snprintf(text, sizeof text, "systemd cannot be told how it goes: %s",
                       strerror(-result));
        watch->told_failure = true;
        run_tell(watch->run->slots[0], REPORT_WARNING, text);
    }
}

/* "3 accounts, 1 failing: work: the login was refused" */
static void notify_status(struct watch *watch)
{
    const struct slot *worst = NULL;
    size_t failing = 0;
    char text[512];
    for (size_t i = 0; i < watch->run->count; i++) {
        const struct slot *slot = watch->run->slots[i];
        if (slot->status.failures != 0) {
            worst = worst == NULL ? slot : worst;
            failing++;
        }
    }
    int size =
        snprintf(text, sizeof text, "STATUS=%zu accounts, %zu failing", watch->run->count, failing);
    if (worst != NULL) {
        char name[100];
        (void)snprintf(text + size, sizeof text - (size_t)size, ": %s: %s",
                       bytes_escape(bytes_of(worst->account->name), name, sizeof name),
                       worst->status.reason);
    }
    notify(watch, text);
}

bool watch_is_due(const struct slot *slot)
{
    return slot->due_ms <= boot_now_ms();
}

void watch_plan(struct slot *slot, int64_t *next_out, uint64_t *interval_s_out)
{
    uint64_t delay_ms = task_login_delay_ms(slot->task);
    uint64_t now_ms = boot_now_ms();
    if (delay_ms != UINT64_MAX) {
        slot->schedule.login_delay_ms = delay_ms;
    }
    schedule_add(&slot->schedule, schedule_end_of(task_session_result(slot->task)));
    uint64_t wait_ms = schedule_wait_ms(&slot->schedule, randombytes_random());
    slot->due_ms = now_ms + wait_ms;
    slot->allowed_ms = now_ms + slot->schedule.login_delay_ms;
    *next_out = time(NULL) + (int64_t)(wait_ms / 1000);
    *interval_s_out = (schedule_interval_ms(&slot->schedule) + 999) / 1000;
}

static const char *format_wait(uint64_t ms, char out[32])
{
    uint64_t seconds = (ms + 500) / 1000;
    if (seconds < 120) {
        (void)snprintf(out, 32, "%llu s", (unsigned long long)seconds);
    } else if (seconds < 7200) {
        (void)snprintf(out, 32, "%llu min", (unsigned long long)(seconds / 60));
    } else {
        (void)snprintf(out, 32, "%llu h", (unsigned long long)(seconds / 3600));
    }
    return out;
}

/* From well to failing, from one kind to another, and back. */
static void tell_change(struct slot *slot, const struct fetch_status *before)
{
    const struct fetch_status *after = &slot->status;
    uint64_t now_ms = boot_now_ms();
    char text[160], wait[32];
    if (after->kind == ERROR_NONE && before->failures != 0) {
        (void)snprintf(text, sizeof text, "works again, after %u failures", before->failures);
    } else if (after->kind != ERROR_NONE && after->kind != before->kind) {
        (void)snprintf(text, sizeof text, "tries again in %s, then less often while it fails",
                       format_wait(slot->due_ms > now_ms ? slot->due_ms - now_ms : 0, wait));
    } else {
        return;
    }
    run_tell(slot, REPORT_WATCH, text);
}

/* What a new configuration says of it, now that nothing uses the old one. */
static void adopt(struct slot *slot)
{
    if (slot->next_generation != NULL) {
        run_drop_generation(slot->run, slot->generation);
        slot->account = slot->next_account;
        slot->generation = slot->next_generation;
        slot->next_generation = NULL;
        slot->said = (struct said){0};
        if (slot->status.failures != 0) {
            slot->due_ms = slot->allowed_ms; /* the person may have put it right */
        }
    }
}

void watch_resume(struct slot *slot, const struct fetch_status *before)
{
    if (slot->run->stopping) {
        return;
    }
    tell_change(slot, before);
    adopt(slot);
    slot->phase = slot->retired ? SLOT_OVER : SLOT_WAITING;
    notify_status(slot->run->watch);
}

void watch_set_clock(struct run *run)
{
    uint64_t first = UINT64_MAX;
    for (size_t i = 0; i < run->count; i++) {
        const struct slot *slot = run->slots[i];
        if (slot->phase == SLOT_WAITING && slot->due_ms < first) {
            first = slot->due_ms;
        }
    }
    if (first != UINT64_MAX && run->running < run->options->parallel) {
        boot_timer_set(&run->watch->clock, first);
    }
}

static void on_clock(struct boot_timer *clock)
{
    run_continue(CONTAINER_OF(clock, struct watch, clock)->run);
}

/* As soon as the server allows it. */
static void hurry(struct slot *slot)
{
    if (slot->phase == SLOT_WAITING) {
        slot->due_ms = slot->allowed_ms;
    }
}

static void on_now(uv_signal_t *handle, int number)
{
    struct run *run = handle->data;
    (void)number;
    for (size_t i = 0; i < run->count; i++) {
        hurry(run->slots[i]);
    }
    run_continue(run);
}

static struct slot *find_slot(const struct run *run, const char *name)
{
    for (size_t i = 0; i < run->count; i++) {
        if (strcmp(run->slots[i]->account->name, name) == 0 && !run->slots[i]->retired) {
            return run->slots[i];
        }
    }
    return NULL;
}

/* A password that the person gave for one server is for no other. */
static bool may_keep_password(const struct fetch_account *a, const struct fetch_account *b)
{
    return strcmp(a->host, b->host) == 0 && strcmp(a->user, b->user) == 0 && a->port == b->port &&
           a->tls == b->tls;
}

/* Only a password that was asked for at the start is there. */
static bool has_password(const struct slot *slot, const struct fetch_account *account)
{
    return password_source(account) != PASSWORD_OF_PERSON ||
           (slot != NULL && slot->password != NULL && may_keep_password(slot->account, account));
}

static void take_account(struct run *run, struct run_generation *generation,
                         struct run_account *account)
{
    struct slot *slot = find_slot(run, account->account->name);
    if (!has_password(slot, account->account)) {
        const struct fetch_report report = {
            .type = REPORT_WARNING,
            .account = account->account,
            .text = "its password has to be asked for; write a source of it, or start anew"};
        run->options->report(run->options->owner, &report);
        return;
    }
    if (slot == NULL) {
        (void)run_add_slot(run, generation, account); /* no memory: as if it were not there */
        return;
    }
    if (slot->next_generation != NULL) {
        run_drop_generation(run, slot->next_generation);
    }
    slot->next_account = account->account;
    slot->next_generation = generation;
    generation->users++;
}

static void remove_retired(struct run *run)
{
    size_t kept = 0;
    for (size_t i = 0; i < run->count; i++) {
        struct slot *slot = run->slots[i];
        if (slot->phase == SLOT_OVER) {
            run_drop_generation(run, slot->generation);
            secret_free(slot->password);
            free(slot);
        } else {
            run->slots[kept++] = slot;
        }
    }
    run->count = kept;
}

static void replace(struct run *run, struct run_generation *generation)
{
    size_t known = run->count;
    for (size_t i = 0; i < generation->set->count; i++) {
        take_account(run, generation, &generation->set->accounts[i]);
    }
    for (size_t i = 0; i < known; i++) {
        struct slot *slot = run->slots[i];
        bool stays = slot->next_generation == generation;
        slot->retired = slot->retired || !stays;
        if (slot->phase == SLOT_WAITING) {
            adopt(slot);
            slot->phase = slot->retired ? SLOT_OVER : SLOT_WAITING;
        }
    }
    run_drop_generation(run, generation); /* it is the slots' now */
    remove_retired(run);
}

static void on_reload(uv_signal_t *handle, int number)
{
    struct run *run = handle->data;
    const struct run_options *options = run->options;
    (void)number;
    if (run->stopping) {
        return;
    }
    notify(run->watch, "RELOADING=1");
    struct run_set *set = options->reload(options->owner);
    struct run_generation *generation = set == NULL ? NULL : run_add_generation(run, set);
    if (generation != NULL) {
        replace(run, generation);
    } else if (set != NULL) {
        options->release(options->owner, set);
    }
    notify(run->watch, "READY=1");
    run_continue(run);
}

static void on_watchdog(uv_timer_t *timer)
{
    notify(timer->data, "WATCHDOG=1");
}

int watch_open(struct run *run)
{
    struct watch *watch = calloc(1, sizeof *watch);
    uint64_t watchdog_ms = service_watchdog_ms();
    if (watch == NULL) {
        return -1;
    }
    watch->run = run;
    run->watch = watch;
    if (boot_timer_init(&watch->clock, &run->loop, on_clock) < 0 ||
        uv_timer_init(&run->loop, &watch->watchdog) < 0 ||
        run_add_signal(run, SIGHUP, on_reload) < 0 || run_add_signal(run, SIGUSR1, on_now) < 0) {
        return -1;
    }
    watch->watchdog.data = watch;
    if (watchdog_ms != 0) {
        uint64_t every_ms = watchdog_ms / 2 + 1;
        (void)uv_timer_start(&watch->watchdog, on_watchdog, every_ms, every_ms);
    }
    notify(watch, "READY=1");
    return 0;
}

void watch_close(struct run *run)
{
    if (run->watch != NULL) {
        notify(run->watch, "STOPPING=1");
        boot_timer_close(&run->watch->clock);
        uv_close((uv_handle_t *)&run->watch->watchdog, NULL);
    }
}
