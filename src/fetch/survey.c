/* SPDX-License-Identifier: MIT */
/* What the server has: STAT, UIDL and LIST, asked for together, put together, and compared with what is known.
 * A -ERR to one that was in flight with others is asked again alone, as it may be PIPELINING that the server
 * cannot. */
#include <stdio.h>
#include <stdlib.h>

#include "fetch/task_state.h"

void survey_begin(struct task *task)
{
    task->phase = TASK_LISTING;
    remote_listing_clear(&task->listing);
    task->has_stat = task->stat_failed = task->list_failed = task->uidl_failed = false;
    task->uidl_again = task->list_again = false;
    /* Three fit: nothing else is under way but perhaps CAPA. */
    (void)pop3_client_stat(task->client);
    (void)pop3_client_uidl(task->client, 0);
    (void)pop3_client_list(task->client, 0);
}

void survey_reply(struct task *task, const struct pop3_client_event *event)
{
    enum pop3_client_command command = event->u.reply.command;
    bool again = !event->u.reply.ok && event->u.reply.pipelined;
    char text[200];
    struct bytes reply = {(const uint8_t *)event->u.reply.text, event->u.reply.text_size};
    if (command == POP3_CLIENT_STAT) {
        task->has_stat = event->u.reply.ok;
        task->stat_failed = !event->u.reply.ok;
        task->stat_count = event->u.reply.count;
        if (task->stat_failed && !again) {
            task_note(task, "the server refuses STAT: %s", task_escape(reply, text, sizeof text));
        }
    } else if (command == POP3_CLIENT_UIDL) {
        task->uidl_failed = !event->u.reply.ok;
        task->uidl_again = again;
    } else {
        task->list_failed = !event->u.reply.ok;
        task->list_again = again;
    }
}

void survey_row(struct task *task, const struct pop3_client_event *event)
{
    struct error error;
    struct bytes unique_id = {(const uint8_t *)event->u.row.unique_id, event->u.row.unique_id_size};
    int result =
        event->u.row.command == POP3_CLIENT_LIST
            ? remote_listing_add_octets(&task->listing, event->u.row.number, event->u.row.octets,
                                        &error)
            : remote_listing_add_id(&task->listing, event->u.row.number, unique_id, &error);
    if (result < 0) {
        task_fail(task, error.kind, "%s", error.text);
    }
}

/* LIST and UIDL both failed, so all that is known is how many there are. */
static void number_messages(struct task *task)
{
    struct error error;
    for (uint32_t number = 1; number <= task->stat_count; number++) {
        if (remote_listing_add_id(&task->listing, number, (struct bytes){0}, &error) < 0) {
            task_fail(task, error.kind, "%s", error.text);
            return;
        }
    }
}

static void note_oddities(struct task *task)
{
    const struct remote_listing *listing = &task->listing;
    if (task->has_stat && task->stat_count != listing->count) {
        task_note(task, "the server says that there are %u messages and lists %zu; the list counts",
                  task->stat_count, listing->count);
    }
    if (listing->repeated != 0) {
        task_note(task,
                  "the server lists %u messages more than once; the first line of each counts",
                  listing->repeated);
    }
    if (listing->count != 0 && listing->without_id == listing->count) {
        if (!task->no_ids) {
            task_note(task,
                      "the server gives no unique ids (UIDL): messages are known by what is in "
                      "them, so each is looked at in each run");
        }
        task->no_ids = true;
    } else if (listing->without_id != 0) {
        task_note(task, "%u messages have no unique id: they are known by what is in them",
                  listing->without_id);
    }
}

bool survey_complete(struct task *task)
{
    if (task->uidl_again || task->list_again) {
        bool uidl = task->uidl_again;
        task->uidl_again = task->list_again = uidl && task->list_again;
        task->uidl_again = false;
        return (uidl ? pop3_client_uidl(task->client, 0) : pop3_client_list(task->client, 0)) ==
               POP3_CLIENT_TAKEN;
    }
    if (task->list_failed && task->uidl_failed) {
        if (!task->has_stat) {
            task_fail(task, ERROR_TEMPORARY,
                      "the server lists nothing: it refuses STAT, LIST, UIDL");
            return true;
        }
        number_messages(task);
    } else if (task->list_failed) {
        task_note(task, "the server refuses LIST: sizes are not known");
    }
    remote_listing_finish(&task->listing);
    note_oddities(task);
    task->messages = calloc(task->listing.count + 1, sizeof *task->messages);
    if (task->messages == NULL) {
        task_fail(task, ERROR_TEMPORARY, "no memory for the server's listing");
        return true;
    }
    task->phase = TASK_PLANNING;
    task->listing_lent = true;
    storer_list(task->storer, task->listing.messages, task->listing.count);
    return false;
}

static void make_policy(struct task *task)
{
    const struct pop3_client_capabilities *can = pop3_client_capabilities(task->client);
    bool told = can->known && !can->absent;
    task->policy = (struct plan_policy){
        .keep = task->account->keep,
        .max_octets = task->account->max_size,
        .has_filter = task->account->filter != NULL || task->options.headers,
        .has_top = !told || (can->set & POP3_CAPABILITY_TOP) != 0,
        .now_s = time(NULL),
    };
}

static void plan_message(struct task *task, size_t index)
{
    const struct storer_message *message = &task->listing.messages[index];
    enum plan_action action = put_off_has(&task->put_off, message->unique_id)
                                  ? PLAN_STAY
                                  : plan_action(&task->policy, message);
    task->messages[index] = (struct task_message){.action = (uint8_t)action};
    if (action == PLAN_LEAVE) {
        task->messages[index].mark = MARK_DONE;
        task_outcome(task, index, OUTCOME_LEFT, "it is larger than max-size");
        if (!task->options.dry_run) {
            storer_leave(task->storer, index, false);
        }
    } else if (action == PLAN_STAY) {
        task->messages[index].mark = MARK_DONE;
    } else {
        task->progress.messages_wanted++;
        task->progress.octets_wanted +=
            message->octets == STORER_OCTETS_UNKNOWN ? 0 : message->octets;
    }
}

/* Nothing is fetched; what would be is said. A doubt is said as what it may be. */
static void tell_plan(struct task *task)
{
    for (size_t i = 0; i < task->listing.count; i++) {
        if (task->messages[i].mark == MARK_NONE) {
            task_outcome(task, i, OUTCOME_WOULD_FETCH,
                         task->listing.messages[i].standing == STORER_DOUBT
                             ? "unless its header shows that it is here already"
                             : NULL);
            bool at_once = task->policy.keep.kind == FETCH_KEEP_NONE;
            if (at_once && !task->options.headers) {
                task_outcome(task, i, OUTCOME_WOULD_DELETE, NULL);
            }
        } else if (plan_deletes(&task->policy, task->listing.messages, task->listing.count, i)) {
            task_outcome(task, i, OUTCOME_WOULD_DELETE, NULL);
        }
    }
}

static bool is_to_be_marked(const struct storer_message *message)
{
    return message->unique_id.size != 0 && message->standing != STORER_HELD &&
           message->standing != STORER_QUARANTINED && message->standing != STORER_SEEN;
}

/* Only ids can be marked: what a message without one contains is not known before it is fetched. */
static void mark_all(struct task *task)
{
    bool dry_run = task->options.dry_run;
    uint32_t marked = 0, without_id = 0;
    for (size_t i = 0; i < task->listing.count; i++) {
        const struct storer_message *message = &task->listing.messages[i];
        without_id += message->unique_id.size == 0;
        if (is_to_be_marked(message)) {
            if (!dry_run) {
                storer_mark_seen(task->storer, i);
            }
            task_outcome(task, i, dry_run ? OUTCOME_WOULD_MARK : OUTCOME_MARKED, NULL);
            marked++;
        }
    }
    if (without_id != 0) {
        task_warn(task,
                  "%u messages have no unique id (UIDL), so they cannot be marked without fetching "
                  "them: they count as new",
                  without_id);
        task_remember(task, ERROR_PERMANENT);
    }
    char text[96];
    (void)snprintf(text, sizeof text, "%u of %zu messages %s marked as seen", marked,
                   task->listing.count, dry_run ? "would be" : "are");
    struct fetch_report report = {.type = REPORT_RESULT, .text = text};
    task_report(task, &report);
    deletion_begin(task);
}

void survey_planned(struct task *task, size_t vanished)
{
    (void)vanished; /* the storer remembers them; nothing is to be done */
    make_policy(task);
    task->progress.messages_listed = (uint32_t)task->listing.count;
    if (task->options.mark_seen) {
        mark_all(task);
        return;
    }
    for (size_t i = 0; i < task->listing.count; i++) {
        plan_message(task, i);
    }
    struct fetch_report report = {.type = REPORT_LISTED, .progress = &task->progress};
    task_report(task, &report);
    if (task->options.dry_run && !task->options.headers) {
        tell_plan(task);
        deletion_begin(task);
    } else {
        transfer_begin(task);
    }
}
