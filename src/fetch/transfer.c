/* SPDX-License-Identifier: MIT */
/* Messages: as many RETRs (and TOPs) are under way as the window has octets for, by the sizes of LIST; what comes
 * goes to the storer, and where that is full the server has to wait. */
#include <stdlib.h>

#include "fetch/task_state.h"

static uint64_t octets_asked(const struct task *task, size_t index)
{
    const struct storer_message *message = &task->listing.messages[index];
    return task->messages[index].action != PLAN_FETCH || message->octets == STORER_OCTETS_UNKNOWN
               ? TASK_UNKNOWN_OCTETS
               : message->octets;
}

static size_t find_culprit(const struct task *task)
{
    struct bytes culprit = {task->culprit, task->culprit_size};
    for (size_t i = 0; culprit.size != 0 && i < task->listing.count; i++) {
        if (bytes_equal(task->listing.messages[i].unique_id, culprit)) {
            return i;
        }
    }
    return SIZE_MAX;
}

void transfer_clear(struct task *task)
{
    free(task->transfer.again);
    free(task->transfer.header);
    task->transfer =
        (struct task_transfer){.current = SIZE_MAX, .filtered = SIZE_MAX, .last = SIZE_MAX};
}

void transfer_begin(struct task *task)
{
    task->phase = TASK_TRANSFER;
    task->transfer.last = find_culprit(task);
    if (task->endless && task->transfer.last != SIZE_MAX) {
        task->messages[task->transfer.last].mark = MARK_DONE;
        task_outcome(task, task->transfer.last, OUTCOME_FAILED,
                     "it is larger than max-size, whatever the server's listing says");
        task_remember(task, ERROR_PERMANENT);
    }
    if (task->began_ms == 0) {
        task->began_ms = uv_now(task->options.shared->loop);
    }
}

void transfer_ask_again(struct task *task, size_t index)
{
    struct task_transfer *transfer = &task->transfer;
    if (transfer->again_count == transfer->again_capacity) {
        size_t capacity = transfer->again_capacity == 0 ? 64 : transfer->again_capacity * 2;
        uint32_t *again = reallocarray(transfer->again, capacity, sizeof *again);
        if (again == NULL) {
            task_fail(task, ERROR_TEMPORARY, "no memory");
            return;
        }
        transfer->again = again;
        transfer->again_capacity = capacity;
    }
    task->messages[index].mark = MARK_NONE;
    transfer->again[transfer->again_count++] = (uint32_t)index;
}

/* The message to ask for next; SIZE_MAX: none. */
static size_t pick(struct task *task)
{
    struct task_transfer *transfer = &task->transfer;
    if (transfer->again_count != 0) {
        return transfer->again[transfer->again_count - 1];
    }
    while (transfer->next < task->listing.count &&
           (task->messages[transfer->next].mark != MARK_NONE || transfer->next == transfer->last)) {
        transfer->next++;
    }
    if (transfer->next < task->listing.count) {
        return transfer->next;
    }
    bool due = transfer->last != SIZE_MAX && task->messages[transfer->last].mark == MARK_NONE;
    return due ? transfer->last : SIZE_MAX;
}

static bool fits(const struct task *task, uint64_t octets)
{
    const struct task_transfer *transfer = &task->transfer;
    bool slow = task->account->pipe != NULL || task->account->lmtp != NULL ||
                task->account->smtp != NULL || task->account->gmail != NULL;
    if (slow) {
        uint64_t underway = transfer->octets_in_flight + transfer->octets_awaited;
        return (transfer->in_flight == 0 && transfer->awaited == 0) ||
               underway + octets <= TASK_SLOW_WINDOW_OCTETS;
    }
    uint64_t window = transfer->full ? TASK_WINDOW_OCTETS / 4 * 3 : TASK_WINDOW_OCTETS;
    return transfer->in_flight == 0 || transfer->octets_in_flight + octets <= window;
}

/* One filter at a time; previews need none. */
static bool waits_for_filter(const struct task *task, size_t index)
{
    return task->messages[index].action == PLAN_FILTER && !task->options.headers &&
           task->transfer.filtered != SIZE_MAX;
}

void transfer_ask(struct task *task)
{
    struct task_transfer *transfer = &task->transfer;
    size_t index;
    while (!transfer->stopped && (index = pick(task)) != SIZE_MAX) {
        struct task_message *message = &task->messages[index];
        uint32_t number = task->listing.messages[index].number;
        uint64_t octets = octets_asked(task, index);
        /* A full window is filled up when a quarter of it is free: commands travel together. */
        transfer->full = !fits(task, octets);
        if (transfer->full || waits_for_filter(task, index) ||
            pop3_client_room(task->client) == 0) {
            return;
        }
        enum pop3_client_refusal refusal = message->action == PLAN_FETCH
                                               ? pop3_client_retr(task->client, number)
                                               : pop3_client_top(task->client, number, 0);
        if (refusal != POP3_CLIENT_TAKEN) {
            return;
        }
        if (transfer->again_count != 0) {
            transfer->again_count--;
        }
        if (message->action == PLAN_FILTER && !task->options.headers) {
            transfer->filtered = index;
        }
        message->mark = MARK_UNDERWAY;
        transfer->in_flight++;
        transfer->octets_in_flight += octets;
    }
}

static void land(struct task *task, size_t index)
{
    task->transfer.in_flight--;
    task->transfer.octets_in_flight -= octets_asked(task, index);
}

static enum error_kind kind_of(enum pop3_client_code code)
{
    return code == POP3_CLIENT_CODE_SYS_PERM ? ERROR_PERMANENT : ERROR_TEMPORARY;
}

/* Alone, and refused all the same: the message is the reason, or the server has had enough. */
static void on_refused(struct task *task, size_t index, const struct pop3_client_event *event)
{
    char text[200];
    struct bytes reply = {(const uint8_t *)event->u.reply.text, event->u.reply.text_size};
    bool enough = event->u.reply.code == POP3_CLIENT_CODE_SYS_TEMP ||
                  ++task->transfer.refused_in_a_row == TASK_REFUSALS_IN_A_ROW;
    pop3_client_pipeline(task->client);
    task->messages[index].mark = MARK_DONE;
    task_outcome(task, index, OUTCOME_FAILED, task_escape(reply, text, sizeof text));
    task_remember(task, kind_of(event->u.reply.code));
    if (enough && !task->transfer.stopped) {
        task->transfer.stopped = true;
        task_note(task, "the server gives no more for now, perhaps its limit is reached: the rest "
                        "is fetched at the next run");
    }
}

static void on_top_refused(struct task *task, size_t index, const struct pop3_client_event *event)
{
    char text[200];
    struct bytes reply = {(const uint8_t *)event->u.reply.text, event->u.reply.text_size};
    pop3_client_pipeline(task->client);
    if (task->messages[index].action == PLAN_FILTER) {
        task_fail(task, ERROR_PERMANENT,
                  "the server does not give the header of message %u alone (TOP: %s), which the "
                  "filter needs",
                  event->u.reply.number, task_escape(reply, text, sizeof text));
        return;
    }
    task->policy.has_top = false;
    for (size_t i = 0; i < task->listing.count; i++) {
        struct task_message *message = &task->messages[i];
        if (message->action == PLAN_HEADER && message->mark == MARK_NONE) {
            message->action = (uint8_t)plan_action_whole(&task->policy);
        }
    }
    task->messages[index].action = (uint8_t)plan_action_whole(&task->policy);
    transfer_ask_again(task, index);
}

void transfer_reply(struct task *task, const struct pop3_client_event *event)
{
    struct task_transfer *transfer = &task->transfer;
    size_t index = remote_listing_find(&task->listing, event->u.reply.number);
    if (event->u.reply.ok) {
        transfer->current = index;
        transfer->current_octets = 0;
        transfer->header_size = 0;
        if (task->messages[index].action != PLAN_FILTER) {
            storer_begin(task->storer, index,
                         task->messages[index].action == PLAN_FETCH ? STORER_WHOLE : STORER_HEADER);
        }
        return;
    }
    land(task, index);
    if (transfer->filtered == index) {
        transfer->filtered = SIZE_MAX;
    }
    if (event->u.reply.pipelined) {
        transfer_ask_again(task, index); /* it may be PIPELINING that the server cannot */
    } else if (event->u.reply.command == POP3_CLIENT_TOP) {
        on_top_refused(task, index, event);
    } else {
        on_refused(task, index, event);
    }
}

static void keep_header(struct task *task, struct bytes octets)
{
    struct task_transfer *transfer = &task->transfer;
    if (transfer->header == NULL) {
        transfer->header = malloc(TASK_HEADER_OCTETS);
        if (transfer->header == NULL) {
            task_fail(task, ERROR_TEMPORARY, "no memory");
            return;
        }
    }
    size_t room = TASK_HEADER_OCTETS - transfer->header_size;
    size_t size = octets.size < room ? octets.size : room;
    memcpy(transfer->header + transfer->header_size, octets.data, size);
    transfer->header_size += size;
}

void transfer_octets(struct task *task, struct bytes octets)
{
    struct task_transfer *transfer = &task->transfer;
    enum plan_action action = (enum plan_action)task->messages[transfer->current].action;
    transfer->current_octets += octets.size;
    if (action == PLAN_FILTER) {
        keep_header(task, octets);
        return;
    }
    storer_feed(task->storer, octets);
    if (storer_is_full(task->storer) && !transfer->paused) {
        transfer->paused = true;
        stream_read(&task->stream, false);
    }
    if (action == PLAN_FETCH) {
        task->progress.octets_fetched += octets.size;
        task_show_progress(task, false);
    }
}

void transfer_end(struct task *task)
{
    struct task_transfer *transfer = &task->transfer;
    size_t index = transfer->current;
    const struct storer_message *message = &task->listing.messages[index];
    transfer->current = SIZE_MAX;
    land(task, index);
    if (task->messages[index].action == PLAN_FILTER) {
        sieve_header(task, index);
        return;
    }
    storer_end(task->storer);
    transfer->awaited++;
    transfer->octets_awaited += octets_asked(task, index);
    if (task->messages[index].action == PLAN_FETCH) {
        transfer->refused_in_a_row = 0;
        transfer->wrong_sizes +=
            message->octets != STORER_OCTETS_UNKNOWN && message->octets != transfer->current_octets;
        task->progress_made = true;
        task->progress.messages_fetched++;
        task_show_progress(task, false);
    }
}

bool transfer_idle(struct task *task)
{
    struct task_transfer *transfer = &task->transfer;
    bool all_asked = transfer->stopped || pick(task) == SIZE_MAX;
    if (!all_asked || transfer->filter != NULL) {
        return false; /* the filter answers, or the storer */
    }
    if (transfer->wrong_sizes != 0) {
        task_note(task, "the server told a wrong size of %u messages; what came counts",
                  transfer->wrong_sizes);
        transfer->wrong_sizes = 0;
    }
    if (task->options.dry_run) {
        deletion_begin(task);
        return true;
    }
    task_show_progress(task, true);
    task->phase = TASK_FLUSHING;
    storer_flush(task->storer);
    return false;
}

void transfer_stored(struct task *task, const struct storer_event *event)
{
    const char *reason = event->error == NULL ? NULL : event->error->text;
    size_t index = event->index;
    task->transfer.awaited--;
    task->transfer.octets_awaited -= octets_asked(task, index);
    task->messages[index].mark = MARK_DONE;
    switch (event->type) {
    case STORER_EVENT_STORED:
        task->brought_new = true;
        task_outcome(task, index, OUTCOME_STORED, NULL);
        break;
    case STORER_EVENT_SAME:
        task_outcome(task, index, OUTCOME_SAME, NULL);
        break;
    case STORER_EVENT_FETCH_WHOLE:
        task->messages[index].action = (uint8_t)plan_action_whole(&task->policy);
        transfer_ask_again(task, index);
        break;
    case STORER_EVENT_DEFERRED:
        task_outcome(task, index, OUTCOME_DEFERRED, reason);
        task_remember(task, ERROR_TEMPORARY);
        break;
    case STORER_EVENT_REFUSED:
        task_outcome(task, index, OUTCOME_REFUSED, reason);
        task_remember(task, ERROR_PERMANENT);
        break;
    case STORER_EVENT_QUARANTINED:
        task_outcome(task, index, OUTCOME_QUARANTINED, reason);
        task_remember(task, ERROR_PERMANENT);
        break;
    case STORER_EVENT_READY:
    case STORER_EVENT_LISTED:
    case STORER_EVENT_ROOM:
    case STORER_EVENT_FLUSHED:
    case STORER_EVENT_FAILED:
    case STORER_EVENT_FINISHED:
        break; /* not of a message */
    }
}

void transfer_break(struct task *task)
{
    struct task_transfer *transfer = &task->transfer;
    sieve_cancel(task);
    if (transfer->current == SIZE_MAX) {
        return;
    }
    struct bytes unique_id = task->listing.messages[transfer->current].unique_id;
    if (task->messages[transfer->current].action != PLAN_FILTER) {
        storer_break(task->storer);
    }
    free(task->culprit);
    task->culprit = unique_id.size == 0 ? NULL : malloc(unique_id.size);
    task->culprit_size = task->culprit == NULL ? 0 : unique_id.size;
    if (task->culprit != NULL) {
        memcpy(task->culprit, unique_id.data, unique_id.size);
    }
    transfer->current = SIZE_MAX;
}
