/* SPDX-License-Identifier: MIT */
/* Headers: for the person's filter, which answers take, delete or leave, and for previews. The answer is a word
 * that is printed, not an exit status: a filter that crashes must not delete mail. */
#include <stdio.h>

#include "fetch/task_state.h"

enum { FILTER_TIMEOUT_MS = 300000 };

static void leave(struct task *task, size_t index, const char *why)
{
    task->messages[index].mark = MARK_DONE;
    storer_leave(task->storer, index, false);
    task_outcome(task, index, OUTCOME_LEFT, why);
}

static struct bytes first_word(struct bytes text)
{
    while (text.size != 0 && text.data[0] <= ' ') {
        text = bytes_from(text, 1);
    }
    size_t size = 0;
    while (size < text.size && text.data[size] > ' ') {
        size++;
    }
    return (struct bytes){text.data, size};
}

static void on_answer(void *owner, struct bytes output, const struct error *error)
{
    struct task *task = owner;
    size_t index = task->transfer.filtered;
    struct bytes word = first_word(output);
    char text[40];
    task->transfer.filter = NULL;
    task->transfer.filtered = SIZE_MAX;
    if (error == NULL && bytes_equal(word, bytes_of("take"))) {
        task->messages[index].action = PLAN_FETCH;
        transfer_ask_again(task, index);
    } else if (error == NULL && bytes_equal(word, bytes_of("delete"))) {
        task->messages[index].mark = MARK_DELETE;
        storer_leave(task->storer, index, true);
    } else if (error == NULL && bytes_equal(word, bytes_of("leave"))) {
        leave(task, index, "the filter says so");
    } else {
        task_warn(task, "the filter gave no answer for message %u, which is left: %s%s",
                  task->listing.messages[index].number,
                  error != NULL ? error->text : "it printed neither take, delete nor leave, but ",
                  error != NULL ? "" : task_escape(word, text, sizeof text));
        task_remember(task, ERROR_TEMPORARY);
        leave(task, index, "the filter gave no answer");
    }
    conversation_drive(task);
}

static void start_filter(struct task *task, size_t index)
{
    char account[300], octets[48];
    const char *const arguments[] = {"/bin/sh", "-c", task->account->filter, NULL};
    const uint64_t size = task->listing.messages[index].octets;
    const char *const environment[] = {account, size == STORER_OCTETS_UNKNOWN ? NULL : octets,
                                       NULL};
    (void)snprintf(account, sizeof account, "RESTANTE_ACCOUNT=%s", task->account->name);
    (void)snprintf(octets, sizeof octets, "RESTANTE_OCTETS=%llu", (unsigned long long)size);
    const struct helper_options options = {
        .arguments = arguments,
        .input = {task->transfer.header, task->transfer.header_size},
        .environment = environment,
        .timeout_ms = FILTER_TIMEOUT_MS};
    struct error error;
    task->transfer.filter =
        helper_start(task->options.shared->loop, &options, on_answer, task, &error);
    if (task->transfer.filter == NULL) {
        task_fail(task, error.kind, "the filter: %s", error.text);
    }
}

void sieve_header(struct task *task, size_t index)
{
    if (!task->options.headers) {
        start_filter(task, index);
        return;
    }
    task->messages[index].mark = MARK_DONE;
    struct fetch_report report = {.type = REPORT_HEADER,
                                  .number = task->listing.messages[index].number,
                                  .octets = task->listing.messages[index].octets,
                                  .unique_id = task->listing.messages[index].unique_id,
                                  .data = {task->transfer.header, task->transfer.header_size}};
    task_report(task, &report);
}

void sieve_cancel(struct task *task)
{
    if (task->transfer.filter != NULL) {
        helper_cancel(task->transfer.filter);
        task->transfer.filter = NULL;
    }
    task->transfer.filtered = SIZE_MAX;
}
