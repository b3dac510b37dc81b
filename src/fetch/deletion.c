/* SPDX-License-Identifier: MIT */
/* DELE and QUIT, after all that was to be fetched has come and is durable. Nothing is gone before QUIT, so an
 * earlier DELE would win nothing; and from the highest number down a server that renumbers at once, against RFC
 * 1939 section 8, cannot be made to delete another message. */
#include "fetch/task_state.h"

void deletion_begin(struct task *task)
{
    task->phase = TASK_DELETING;
    task->deleting = task->options.dry_run || task->options.mark_seen ? 0 : task->listing.count;
    task->policy.now_s = time(NULL);
}

static bool is_due(const struct task *task, size_t index)
{
    enum task_mark mark = (enum task_mark)task->messages[index].mark;
    return mark == MARK_DELETE ||
           (mark == MARK_DONE &&
            plan_deletes(&task->policy, task->listing.messages, task->listing.count, index));
}

void deletion_ask(struct task *task)
{
    while (task->deleting != 0 && pop3_client_room(task->client) != 0) {
        size_t index = task->deleting - 1;
        if (is_due(task, index) &&
            pop3_client_dele(task->client, task->listing.messages[index].number) !=
                POP3_CLIENT_TAKEN) {
            return;
        }
        task->deleting = index;
    }
    if (task->deleting == 0 && !task->quit && pop3_client_quit(task->client) == POP3_CLIENT_TAKEN) {
        task->quit = true;
    }
}

static void on_dele(struct task *task, const struct pop3_client_event *event)
{
    char text[200];
    struct bytes reply = {(const uint8_t *)event->u.reply.text, event->u.reply.text_size};
    size_t index = remote_listing_find(&task->listing, event->u.reply.number);
    if (event->u.reply.ok) {
        task->messages[index].mark = MARK_DELETED;
        return;
    }
    task_note(task, "message %u is stored here but the server does not delete it: %s",
              event->u.reply.number, task_escape(reply, text, sizeof text));
    task_remember(task, ERROR_NOT_REMOVED);
}

/* What DELE marked is gone: this is when it counts. */
static void confirm(struct task *task)
{
    for (size_t i = 0; i < task->listing.count; i++) {
        if (task->messages[i].mark == MARK_DELETED) {
            storer_deleted(task->storer, i);
            task_outcome(task, i, OUTCOME_DELETED, NULL);
        }
    }
}

void deletion_reply(struct task *task, const struct pop3_client_event *event)
{
    char text[200];
    struct bytes reply = {(const uint8_t *)event->u.reply.text, event->u.reply.text_size};
    if (event->u.reply.command == POP3_CLIENT_DELE) {
        on_dele(task, event);
        return;
    }
    task->quit_accepted = true;
    if (event->u.reply.ok) {
        confirm(task);
        return;
    }
    task_note(task, "the server could not delete all that it was told to: %s",
              task_escape(reply, text, sizeof text));
    task_remember(task, ERROR_NOT_REMOVED);
}
