/* SPDX-License-Identifier: MIT */
#include "fetch/aftermath.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/container_of.h"
#include "fetch/helper.h"
#include "fetch/metrics.h"

enum { VARIABLES = 4 };

struct aftermath;

struct hook {
    struct aftermath *aftermath;
    const char *name;
    struct helper *helper; /* NULL: it does not run */
    char *variables[VARIABLES + 1];
};

struct aftermath {
    struct aftermath_options options;
    uv_work_t work;
    struct fetch_status before, after;
    bool status_failed, metrics_failed;
    struct error status_error, metrics_error;
    struct hook on_new, on_error;
    struct alive *alive; /* NULL: nobody is asked */
    unsigned running;
    bool cancelled;
};

static void change(void *owner, struct fetch_status *status)
{
    struct aftermath *aftermath = owner;
    aftermath->before = *status;
    status_add(status, &aftermath->options.result);
    bool watched = aftermath->options.interval_s != 0;
    if (watched || status->next < aftermath->options.result.ended) {
        /* else a watcher is at work, and this run was beside it */
        status->next = aftermath->options.next;
        status->interval_s = aftermath->options.interval_s;
    }
    aftermath->after = *status;
}

static void write_files(uv_work_t *work)
{
    struct aftermath *aftermath = CONTAINER_OF(work, struct aftermath, work);
    const struct aftermath_options *options = &aftermath->options;
    aftermath->status_failed = status_update(options->state_folder, options->account->name, change,
                                             aftermath, &aftermath->status_error) < 0;
    if (aftermath->status_failed) {
        struct fetch_status known = options->known;
        change(aftermath, &known);
    }
    aftermath->metrics_failed =
        options->metrics != NULL &&
        metrics_write(options->metrics, options->state_folder, options->names, options->name_count,
                      &aftermath->metrics_error) < 0;
}

static void warn(struct aftermath *aftermath, const char *what, const char *text)
{
    char line[512];
    (void)snprintf(line, sizeof line, "%s: %s", what, text);
    aftermath->options.warn(aftermath->options.owner, line);
}

static void clear(struct hook *hook)
{
    for (size_t i = 0; i < VARIABLES; i++) {
        free(hook->variables[i]);
    }
}

static void release(struct aftermath *aftermath)
{
    if (--aftermath->running == 0) {
        aftermath->options.done(aftermath->options.owner, &aftermath->before, &aftermath->after);
        clear(&aftermath->on_new);
        clear(&aftermath->on_error);
        free(aftermath);
    }
}

static void on_hook_done(void *owner, struct bytes output, const struct error *error)
{
    struct hook *hook = owner;
    (void)output;
    hook->helper = NULL;
    if (error != NULL && error->kind != ERROR_LIMIT) { /* it may print what it likes */
        warn(hook->aftermath, hook->name, error->text);
    }
    release(hook->aftermath);
}

static char *variable(const char *name, const char *value)
{
    char *text = NULL;
    return asprintf(&text, "%s=%s", name, value) < 0 ? NULL : text;
}

static char *variable_number(const char *name, uint64_t value)
{
    char digits[24];
    (void)snprintf(digits, sizeof digits, "%llu", (unsigned long long)value);
    return variable(name, digits);
}

static void start(struct hook *hook, const char *command)
{
    struct aftermath *aftermath = hook->aftermath;
    const char *const arguments[] = {"/bin/sh", "-c", command, NULL};
    const struct helper_options options = {.arguments = arguments,
                                           .environment = (const char *const *)hook->variables,
                                           .timeout_ms = AFTERMATH_COMMAND_MS};
    struct error error;
    hook->helper = helper_start(aftermath->options.loop, &options, on_hook_done, hook, &error);
    if (hook->helper == NULL) {
        warn(aftermath, hook->name, error.text);
    } else {
        aftermath->running++;
    }
}

static void start_on_new(struct aftermath *aftermath)
{
    const struct aftermath_options *options = &aftermath->options;
    struct hook *hook = &aftermath->on_new;
    *hook =
        (struct hook){.aftermath = aftermath,
                      .name = "on-new",
                      .variables = {variable("RESTANTE_ACCOUNT", options->account->name),
                                    variable_number("RESTANTE_STORED", options->result.messages),
                                    variable_number("RESTANTE_OCTETS", options->result.octets),
                                    variable("RESTANTE_TARGET", options->place)}};
    start(hook, options->account->on_new);
}

static void start_on_error(struct aftermath *aftermath)
{
    const struct fetch_status *after = &aftermath->after;
    struct hook *hook = &aftermath->on_error;
    *hook = (struct hook){
        .aftermath = aftermath,
        .name = "on-error",
        .variables = {variable("RESTANTE_ACCOUNT", aftermath->options.account->name),
                      variable("RESTANTE_ERROR", after->reason),
                      variable_number("RESTANTE_STATUS", (uint64_t)error_exit_status(after->kind)),
                      NULL}};
    start(hook, aftermath->options.account->on_error);
}

static void on_alive(void *owner, const struct error *error)
{
    struct aftermath *aftermath = owner;
    aftermath->alive = NULL;
    if (error != NULL) {
        warn(aftermath, "alive-url", error->text);
    }
    release(aftermath);
}

static void start_alive(struct aftermath *aftermath)
{
    const struct aftermath_options *options = &aftermath->options;
    aftermath->alive = alive_start(options->loop, options->alive, options->account->alive_url,
                                   on_alive, aftermath);
    if (aftermath->alive == NULL) {
        warn(aftermath, "alive-url", "out of memory");
    } else {
        aftermath->running++;
    }
}

static void on_written(uv_work_t *work, int result)
{
    struct aftermath *aftermath = CONTAINER_OF(work, struct aftermath, work);
    const struct fetch_account *account = aftermath->options.account;
    (void)result; /* nobody cancels it */
    if (aftermath->status_failed) {
        warn(aftermath, "the status cannot be kept", aftermath->status_error.text);
    }
    if (aftermath->metrics_failed) {
        warn(aftermath, "the metrics cannot be written", aftermath->metrics_error.text);
    }
    bool news =
        aftermath->after.kind != ERROR_NONE && aftermath->after.kind != aftermath->before.kind;
    if (account->on_new != NULL && aftermath->options.result.messages != 0 &&
        !aftermath->cancelled) {
        start_on_new(aftermath);
    }
    if (account->on_error != NULL && news && !aftermath->cancelled) {
        start_on_error(aftermath);
    }
    if (account->alive_url != NULL && aftermath->options.result.kind == ERROR_NONE &&
        !aftermath->cancelled) {
        start_alive(aftermath);
    }
    release(aftermath);
}

struct aftermath *aftermath_start(const struct aftermath_options *options)
{
    struct aftermath *aftermath = calloc(1, sizeof *aftermath);
    if (aftermath != NULL) {
        aftermath->options = *options;
        aftermath->running = 1;
        if (uv_queue_work(options->loop, &aftermath->work, write_files, on_written) < 0) {
            free(aftermath);
            return NULL;
        }
    }
    return aftermath;
}

static void cancel(struct hook *hook)
{
    if (hook->helper != NULL) {
        helper_cancel(hook->helper);
        hook->helper = NULL;
        release(hook->aftermath);
    }
}

void aftermath_cancel(struct aftermath *aftermath)
{
    aftermath->running++;
    aftermath->cancelled = true;
    cancel(&aftermath->on_new);
    cancel(&aftermath->on_error);
    if (aftermath->alive != NULL) {
        alive_cancel(aftermath->alive);
    }
    release(aftermath);
}
