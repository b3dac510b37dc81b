/* SPDX-License-Identifier: MIT */
#include "fetch/run_state.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sysexits.h>
#include <time.h>

#include "fetch/storer.h"

static void add_status(struct run *run, enum error_kind kind)
{
    int status = kind == ERROR_NONE ? EX_OK : error_exit_status(kind);
    if (run->status == EX_OK || (run->status == EX_TEMPFAIL && status != EX_OK)) {
        run->status = status;
    }
}

void run_tell(struct slot *slot, enum report_type type, const char *text)
{
    const struct run_options *options = slot->run->options;
    const struct fetch_report report = {.type = type, .account = slot->account, .text = text};
    if (slot->run->watch == NULL || options->tells_all || said_is_news(&slot->said, &report)) {
        options->report(options->owner, &report);
    }
}

/* Of the first message that went wrong, unless the account itself did. */
static void note_message(struct slot *slot, const struct fetch_report *report)
{
    if (slot->result.reason[0] == '\0') {
        (void)snprintf(slot->result.reason, sizeof slot->result.reason, "message %u: %s%s%s",
                       report->number, fetch_outcome_word(report->outcome),
                       report->text == NULL ? "" : ": ", report->text == NULL ? "" : report->text);
    }
}

static void on_report(void *owner, const struct fetch_report *report)
{
    struct slot *slot = owner;
    const struct run_options *options = slot->run->options;
    if (report->type == REPORT_FAILED) {
        (void)snprintf(slot->result.reason, sizeof slot->result.reason, "%s", report->text);
    } else if (report->type == REPORT_MESSAGE && report->outcome == OUTCOME_STORED) {
        slot->result.messages++;
        slot->result.octets += report->octets == STORER_OCTETS_UNKNOWN ? 0 : report->octets;
    } else if (report->type == REPORT_MESSAGE && fetch_outcome_is_bad(report->outcome)) {
        note_message(slot, report);
    }
    bool expected = slot->run->stopping && report->type == REPORT_FAILED; /* by who ends us */
    bool is_news = slot->run->watch == NULL || (said_is_news(&slot->said, report) && !expected) ||
                   options->tells_all;
    if (is_news) {
        options->report(options->owner, report);
    }
}

static void on_warning(void *owner, const char *text)
{
    run_tell(owner, REPORT_WARNING, text);
}

static void end_slot(struct slot *slot, const struct fetch_status *before)
{
    struct run *run = slot->run;
    slot->phase = SLOT_OVER;
    if (run->watch != NULL) {
        watch_resume(slot, before);
    }
    run_continue(run);
}

static void on_aftermath(void *owner, const struct fetch_status *before,
                         const struct fetch_status *after)
{
    struct slot *slot = owner;
    slot->aftermath = NULL;
    slot->status = *after;
    end_slot(slot, before);
}

static void on_done(void *owner)
{
    struct slot *slot = owner;
    struct run *run = slot->run;
    const struct run_options *options = run->options;
    struct aftermath_options after = {.loop = &run->loop,
                                      .alive = &run->alive,
                                      .account = slot->account,
                                      .place = task_place(slot->task),
                                      .known = slot->status,
                                      .state_folder = options->state_folder,
                                      .metrics = options->metrics,
                                      .names = slot->generation->names,
                                      .name_count = slot->generation->set->count,
                                      .warn = on_warning,
                                      .done = on_aftermath,
                                      .owner = slot};
    slot->result.kind = task_result(slot->task);
    slot->result.interrupted = run->stopping && slot->result.kind != ERROR_NONE;
    slot->result.ended = time(NULL);
    after.result = slot->result;
    add_status(run, slot->result.kind);
    if (run->watch != NULL) {
        watch_plan(slot, &after.next, &after.interval_s);
    }
    slot->task = task_free(slot->task);
    slot->phase = SLOT_ENDING;
    run->running--;
    if (!options->dry_run && !options->headers && !options->mark_seen) {
        slot->aftermath = aftermath_start(&after);
    }
    if (slot->aftermath == NULL) {
        end_slot(slot, &slot->status);
    } else {
        run_continue(run);
    }
}

/* The password for this run: of one that is watched, a copy. */
static struct secret *take_password(struct slot *slot)
{
    struct secret *password = slot->password;
    struct error error; /* without one, the task says that none is there */
    if (slot->run->watch == NULL) {
        slot->password = NULL;
    } else if (password != NULL &&
               secret_create(secret_octets(slot->password), &password, &error) < 0) {
        password = NULL;
    }
    return password;
}

static void start(struct slot *slot)
{
    struct run *run = slot->run;
    const struct run_options *options = run->options;
    const struct task_options task = {.shared = &run->shared,
                                      .stop = run->stop,
                                      .account = slot->account,
                                      .state_folder = options->state_folder,
                                      .dry_run = options->dry_run || options->headers,
                                      .headers = options->headers,
                                      .mark_seen = options->mark_seen,
                                      .dialogue = options->dialogue,
                                      .report = on_report,
                                      .done = on_done,
                                      .owner = slot};
    slot->result = (struct fetch_result){0};
    slot->task = task_create(&task);
    slot->phase = SLOT_OVER;
    if (slot->task == NULL) {
        add_status(run, ERROR_TEMPORARY);
        slot->due_ms = boot_now_ms() + options->interval_ms;
        if (run->watch != NULL) {
            watch_resume(slot, &slot->status);
        }
        return;
    }
    slot->phase = SLOT_RUNNING;
    run->running++;
    task_start(slot->task, take_password(slot));
}

/* The one that has waited for longest; NULL: none may start. */
static struct slot *find_due(const struct run *run)
{
    struct slot *found = NULL;
    for (size_t i = 0; i < run->count; i++) {
        struct slot *slot = run->slots[i];
        bool due = slot->phase == SLOT_WAITING && (run->watch == NULL || watch_is_due(slot));
        if (due && (found == NULL || slot->due_ms < found->due_ms)) {
            found = slot;
        }
    }
    return found;
}

static bool is_over(const struct run *run)
{
    if (run->watch != NULL && !run->stopping) {
        return false;
    }
    for (size_t i = 0; i < run->count; i++) {
        enum slot_phase phase = run->slots[i]->phase;
        if (phase == SLOT_RUNNING || phase == SLOT_ENDING ||
            (phase == SLOT_WAITING && !run->stopping)) {
            return false;
        }
    }
    return true;
}

void run_continue(struct run *run)
{
    struct slot *slot;
    if (run->closed) {
        return;
    }
    while (!run->stopping && run->running < run->options->parallel &&
           (slot = find_due(run)) != NULL) {
        start(slot);
    }
    if (is_over(run)) {
        run->closed = true;
        for (size_t i = 0; i < run->signal_count; i++) {
            int number = run->signals[i].signum;
            uv_close((uv_handle_t *)&run->signals[i], NULL);
            (void)signal(number, SIG_IGN); /* it ends, with an exit status of its own */
        }
        uv_close((uv_handle_t *)&run->shared.idle, NULL);
        watch_close(run);
    } else if (run->watch != NULL) {
        watch_set_clock(run);
    }
}

void run_stop(struct run *run)
{
    bool again = run->stopping;
    run->stopping = true;
    (void)eventfd_write(run->stop, 1); /* cannot fail: the counter is far from its end */
    for (size_t i = 0; i < run->count; i++) {
        struct slot *slot = run->slots[i];
        if (slot->phase == SLOT_WAITING && run->watch == NULL) {
            add_status(run, ERROR_TEMPORARY);
        } else if (slot->task != NULL) {
            task_stop(slot->task);
        } else if (slot->aftermath != NULL && again) {
            aftermath_cancel(slot->aftermath);
        }
    }
    run_continue(run);
}

static void on_end_signal(uv_signal_t *handle, int number)
{
    (void)number;
    run_stop(handle->data);
}

int run_add_signal(struct run *run, int number, uv_signal_cb handler)
{
    uv_signal_t *handle = &run->signals[run->signal_count];
    handle->data = run;
    if (uv_signal_init(&run->loop, handle) < 0) {
        return -1;
    }
    run->signal_count++;
    return uv_signal_start(handle, handler, number);
}

struct run_generation *run_add_generation(struct run *run, struct run_set *set)
{
    struct run_generation *generation = calloc(1, sizeof *generation);
    const char **names = calloc(set->count + 1, sizeof *names);
    if (generation == NULL || names == NULL) {
        free(generation);
        free(names);
        return NULL;
    }
    for (size_t i = 0; i < set->count; i++) {
        names[i] = set->accounts[i].account->name;
    }
    *generation =
        (struct run_generation){.next = run->generations, .set = set, .names = names, .users = 1};
    run->generations = generation;
    return generation;
}

void run_drop_generation(struct run *run, struct run_generation *generation)
{
    struct run_generation **link = &run->generations;
    if (--generation->users != 0) {
        return;
    }
    while (*link != generation) {
        link = &(*link)->next;
    }
    *link = generation->next;
    if (!generation->borrowed) {
        run->options->release(run->options->owner, generation->set);
    }
    free(generation->names);
    free(generation);
}

struct slot *run_add_slot(struct run *run, struct run_generation *generation,
                          struct run_account *account)
{
    struct slot **slots = reallocarray(run->slots, run->count + 1, sizeof *slots);
    struct slot *slot = calloc(1, sizeof *slot);
    if (slots != NULL) {
        run->slots = slots;
    }
    if (slots == NULL || slot == NULL) {
        free(slot);
        return NULL;
    }
    slot->run = run;
    slot->account = account->account;
    slot->password = account->password;
    account->password = NULL;
    slot->generation = generation;
    slot->schedule.interval_ms = run->options->interval_ms;
    generation->users++;
    run->slots[run->count++] = slot;
    return slot;
}

static int add_slots(struct run *run, struct run_set *set)
{
    struct run_generation *generation = run_add_generation(run, set);
    int result = generation == NULL ? -1 : 0;
    for (size_t i = 0; i < set->count && result == 0; i++) {
        result = run_add_slot(run, generation, &set->accounts[i]) == NULL ? -1 : 0;
    }
    if (generation != NULL) {
        generation->borrowed = true;
        run_drop_generation(run, generation); /* it is the slots' now */
    }
    return result;
}

static int open_loop(struct run *run, bool watches)
{
    run->stop = eventfd(0, EFD_CLOEXEC);
    if (run->stop < 0 || uv_loop_init(&run->loop) < 0 ||
        stream_loop_init(&run->shared, &run->loop) < 0 ||
        run_add_signal(run, SIGINT, on_end_signal) < 0 ||
        run_add_signal(run, SIGTERM, on_end_signal) < 0) {
        return -1;
    }
    return watches ? watch_open(run) : run_add_signal(run, SIGHUP, on_end_signal);
}

static void free_run(struct run *run)
{
    for (size_t i = 0; i < run->count; i++) {
        struct slot *slot = run->slots[i];
        if (slot->next_generation != NULL) {
            run_drop_generation(run, slot->next_generation);
        }
        run_drop_generation(run, slot->generation);
        secret_free(slot->password);
        free(slot);
    }
    auto_close(&run->stop);
    free(run->slots);
    free(run->watch);
    free(run);
}

static int run_all(const struct run_options *options, bool watches)
{
    struct run_set set = {.accounts = options->accounts, .count = options->count};
    struct run *run = calloc(1, sizeof *run);
    int status = EX_OSERR;
    if (run != NULL) {
        run->options = options;
        run->stop = -1;
        if (add_slots(run, &set) == 0 && open_loop(run, watches) == 0) {
            run_continue(run);
            (void)uv_run(&run->loop, UV_RUN_DEFAULT);
            (void)uv_loop_close(&run->loop);
            status = watches ? EX_OK : run->status;
        }
        free_run(run);
    }
    for (size_t i = 0; i < options->count; i++) {
        options->accounts[i].password = secret_free(options->accounts[i].password);
    }
    return status;
}

int run_accounts(const struct run_options *options)
{
    return run_all(options, false);
}

int run_watch(const struct run_options *options)
{
    return run_all(options, true);
}
