/* SPDX-License-Identifier: MIT */
#include "fetch/run.h"

#include <signal.h>
#include <stdlib.h>
#include <sysexits.h>

#include "base/container_of.h"
#include "fetch/task.h"

enum { SIGNALS = 3 };

struct run;

struct slot {
    struct run *run;
    struct task *task;
};

struct run {
    const struct run_options *options;
    uv_loop_t loop;
    struct stream_loop shared;
    uv_signal_t signals[SIGNALS];
    struct slot *slots; /* one for each account */
    size_t begun, running;
    int status;
    bool stopping;
};

static void start_next(struct run *run);

static void add_status(struct run *run, enum error_kind kind)
{
    int status = kind == ERROR_NONE ? EX_OK : error_exit_status(kind);
    if (run->status == EX_OK || (run->status == EX_TEMPFAIL && status != EX_OK)) {
        run->status = status;
    }
}

static void on_done(void *owner)
{
    struct slot *slot = owner;
    struct run *run = slot->run;
    add_status(run, task_result(slot->task));
    slot->task = task_free(slot->task);
    run->running--;
    start_next(run);
}

static void on_report(void *owner, const struct fetch_report *report)
{
    const struct slot *slot = owner;
    slot->run->options->report(slot->run->options->owner, report);
}

static void start(struct run *run, size_t index)
{
    const struct run_options *options = run->options;
    struct run_account *account = &options->accounts[index];
    struct slot *slot = &run->slots[index];
    const struct task_options task = {.shared = &run->shared,
                                      .account = account->account,
                                      .state_folder = options->state_folder,
                                      .dry_run = options->dry_run || options->headers,
                                      .headers = options->headers,
                                      .mark_seen = options->mark_seen,
                                      .dialogue = options->dialogue,
                                      .report = on_report,
                                      .done = on_done,
                                      .owner = slot};
    slot->run = run;
    slot->task = task_create(&task);
    if (slot->task == NULL) {
        add_status(run, ERROR_TEMPORARY);
        return;
    }
    run->running++;
    task_start(slot->task, account->password);
    account->password = NULL;
}

static void start_next(struct run *run)
{
    while (!run->stopping && run->running < run->options->parallel &&
           run->begun < run->options->count) {
        start(run, run->begun++);
    }
    if (run->running == 0) {
        for (size_t i = 0; i < SIGNALS; i++) {
            uv_close((uv_handle_t *)&run->signals[i], NULL);
        }
        uv_close((uv_handle_t *)&run->shared.idle, NULL);
    }
}

static void on_signal(uv_signal_t *handle, int number)
{
    struct run *run = handle->data;
    (void)number;
    if (run->begun < run->options->count) {
        add_status(run, ERROR_TEMPORARY);
    }
    run->stopping = true;
    for (size_t i = 0; i < run->options->count; i++) {
        if (run->slots[i].task != NULL) {
            task_stop(run->slots[i].task);
        }
    }
}

static int open_loop(struct run *run)
{
    static const int numbers[SIGNALS] = {SIGINT, SIGTERM, SIGHUP};
    if (uv_loop_init(&run->loop) < 0) {
        return -1;
    }
    if (stream_loop_init(&run->shared, &run->loop) < 0) {
        return -1;
    }
    for (size_t i = 0; i < SIGNALS; i++) {
        run->signals[i].data = run;
        if (uv_signal_init(&run->loop, &run->signals[i]) < 0 ||
            uv_signal_start(&run->signals[i], on_signal, numbers[i]) < 0) {
            return -1;
        }
    }
    return 0;
}

int run_accounts(const struct run_options *options)
{
    struct run *run = calloc(1, sizeof *run);
    struct slot *slots = calloc(options->count + 1, sizeof *slots);
    int status = EX_OSERR;
    if (run != NULL && slots != NULL) {
        run->options = options;
        run->slots = slots;
        if (open_loop(run) == 0) {
            start_next(run);
            (void)uv_run(&run->loop, UV_RUN_DEFAULT);
            (void)uv_loop_close(&run->loop);
            status = run->status;
        }
    }
    for (size_t i = 0; i < options->count; i++) {
        options->accounts[i].password = secret_free(options->accounts[i].password);
    }
    free(slots);
    free(run);
    return status;
}
