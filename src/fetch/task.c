/* SPDX-License-Identifier: MIT */
/* The life of an account's task: the state opens, connections come and go until a fresh listing brings nothing
 * new, the state closes. Everything ends through task_disconnect and task_finish_storer, whatever had begun. */
#include "fetch/task_state.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/container_of.h"
#include "fetch/host_memory.h"

enum {
    RETRY_MS = 1000, /* a server needs a moment to see that we are gone */
    IN_USE_RETRIES_MOST = 5,
    LOGIN_DELAY_MOST_MS = 60000, /* who wants us to wait for longer is asked at the next run */
    PROGRESS_MS = 100,
    NOOP_MS =
        60000, /* an autologout timer runs for 10 minutes at least, RFC 1939 section 3; or so it should */
    CONNECTOR_MS = 1000 /* the connector knows better what it waits for: it may speak first */
};

static uint64_t now(const struct task *task)
{
    return uv_now(task->options.shared->loop);
}

void task_report(struct task *task, struct fetch_report *report)
{
    report->account = task->account;
    task->options.report(task->options.owner, report);
}

static void say(struct task *task, enum report_type type, const char *format, va_list arguments)
    PRINTF_LIKE(3, 0);

static void say(struct task *task, enum report_type type, const char *format, va_list arguments)
{
    char text[512];
    (void)vsnprintf(text, sizeof text, format, arguments);
    struct fetch_report report = {.type = type, .text = text};
    task_report(task, &report);
}

void task_note(struct task *task, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    say(task, REPORT_NOTE, format, arguments);
    va_end(arguments);
}

void task_warn(struct task *task, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    say(task, REPORT_WARNING, format, arguments);
    va_end(arguments);
}

void task_outcome(struct task *task, size_t index, enum fetch_outcome outcome, const char *text)
{
    const struct storer_message *message = &task->listing.messages[index];
    task->progress.outcomes[outcome]++;
    if (outcome == OUTCOME_LEFT || outcome == OUTCOME_DEFERRED || outcome == OUTCOME_REFUSED ||
        outcome == OUTCOME_FAILED) {
        put_off_add(&task->put_off, message->unique_id);
    }
    struct fetch_report report = {.type = REPORT_MESSAGE,
                                  .number = message->number,
                                  .octets = message->octets,
                                  .unique_id = message->unique_id,
                                  .outcome = outcome,
                                  .text = text};
    task_report(task, &report);
}

void task_show_progress(struct task *task, bool at_once)
{
    if (!at_once && now(task) - task->reported_ms < PROGRESS_MS) {
        return;
    }
    task->reported_ms = now(task);
    task->progress.elapsed_ms = task->began_ms == 0 ? 0 : now(task) - task->began_ms;
    struct fetch_report report = {.type = REPORT_PROGRESS, .progress = &task->progress};
    task_report(task, &report);
}

void task_remember(struct task *task, enum error_kind kind)
{
    /* what will not pass by itself is worth more than what may */
    bool passes = error_exit_status(task->worst) == error_exit_status(ERROR_TEMPORARY);
    if (task->worst == ERROR_NONE || passes) {
        task->worst = kind;
    }
}

void task_fail(struct task *task, enum error_kind kind, const char *format, ...)
{
    if (task->error.kind != ERROR_NONE) {
        return;
    }
    va_list arguments;
    va_start(arguments, format);
    task->error.kind = kind;
    (void)vsnprintf(task->error.text, sizeof task->error.text, format, arguments);
    va_end(arguments);
    struct fetch_report report = {.type = REPORT_FAILED, .kind = kind, .text = task->error.text};
    task_report(task, &report);
}

const char *task_escape(struct bytes text, char *out, size_t capacity)
{
    return bytes_escape(text, out, capacity);
}

static void on_timer_closed(uv_handle_t *handle)
{
    struct task *task = handle->data;
    task->phase = TASK_DONE;
    struct fetch_report report = {
        .type = REPORT_DONE, .kind = task_result(task), .progress = &task->progress};
    task_report(task, &report);
    task->options.done(task->options.owner);
}

/* The end: nothing else is open. */
static void finish(struct task *task)
{
    uv_close((uv_handle_t *)&task->timer, on_timer_closed);
}

void task_finish_storer(struct task *task)
{
    task->phase = TASK_FINISHING;
    if (task->storer == NULL) {
        finish(task);
    } else {
        storer_finish(task->storer);
    }
}

void task_connect(struct task *task)
{
    struct connection_target target = {.host = task->account->host,
                                       .port = (uint16_t)task->account->port,
                                       .timeout_ms = (uint32_t)task->account->timeout_ms};
    task->phase = TASK_CONNECTING;
    task->round++;
    task->login = (struct task_login){.fallback = task->login.fallback};
    task->brought_new = task->retry = task->progress_made = task->silent = false;
    task->last_ms = now(task);
    if (conversation_begin(task) < 0) {
        task_fail(task, ERROR_TEMPORARY, "no memory");
        task_finish_storer(task);
        return;
    }
    task->stream_open = true;
    int result = stream_connect(&task->stream, &target, &conversation_events, task->options.shared);
    if (result < 0) {
        task_fail(task, ERROR_TEMPORARY, "the connection: %s", uv_strerror(result));
        task->phase = TASK_CLOSING;
    }
}

void task_disconnect(struct task *task)
{
    if (task->phase >= TASK_CLOSING) {
        return;
    }
    task->phase = TASK_CLOSING;
    login_finish(task);
    if (task->listing.count != 0 && task->messages != NULL) {
        transfer_break(task);
    }
    task->transfer.paused = false;
    stream_close(&task->stream);
}

/* RFC 2449 section 6.5. After a login it is that of the user, as CAPA is asked for again. */
static uint64_t learn_login_delay(struct task *task)
{
    const struct pop3_client_capabilities *can = pop3_client_capabilities(task->client);
    if (can->known) {
        task->login_delay_ms = (uint64_t)can->login_delay_seconds * 1000;
    }
    return (uint64_t)can->login_delay_seconds * 1000;
}

/* Is there to be another connection? Sets wait_ms. */
static bool goes_on(struct task *task)
{
    uint64_t delay_ms = learn_login_delay(task);
    task->wait_ms = 0;
    if (task->stopping || task->error.kind != ERROR_NONE || task->storer_failed) {
        return false;
    }
    if (task->retry) {
        task->wait_ms = delay_ms > RETRY_MS ? delay_ms : RETRY_MS;
    } else if (!task->brought_new || task->options.dry_run || task->transfer.stopped ||
               task->put_off.has_unknown) {
        return false;
    } else {
        task->wait_ms = delay_ms;
    }
    if (task->wait_ms > LOGIN_DELAY_MOST_MS) {
        task_note(task,
                  "the server wants %llu s between logins: what is new since is fetched at "
                  "the next run",
                  (unsigned long long)(delay_ms / 1000));
        if (task->retry) {
            task_remember(task, ERROR_TEMPORARY);
        }
        return false;
    }
    if (task->round >= TASK_ROUNDS_MOST) {
        task_note(task, "each of %d listings brought something new: the next run goes on",
                  TASK_ROUNDS_MOST);
        task_remember(task, ERROR_TEMPORARY);
        return false;
    }
    return true;
}

/* The storer has said all that it had to say of this round. */
static void end_round(struct task *task)
{
    bool more = goes_on(task);
    if (task->suspected && task->quit_accepted) {
        task->suspected = false;
        host_memory_set_one_at_a_time(task->options.state_folder, task->account->host,
                                      task->account->port);
    }
    conversation_end(task);
    transfer_clear(task);
    if (!more) {
        task_finish_storer(task);
        return;
    }
    free(task->messages);
    task->messages = NULL;
    remote_listing_clear(&task->listing);
    task->phase = TASK_WAITING;
    task->last_ms = now(task);
    if (task->wait_ms > RETRY_MS) {
        task_note(task, "waiting %llu s, as the server wants it between logins",
                  (unsigned long long)(task->wait_ms / 1000));
    }
}

void task_disconnected(struct task *task)
{
    task->stream_open = false;
    if (task->storer_failed || !task->storer_ready) {
        end_round(task);
    } else {
        storer_flush(task->storer); /* its FLUSHED is the round's end */
    }
}

static void go_on(struct task *task)
{
    if (task->phase == TASK_FLUSHING && task->transfer.again_count != 0 &&
        !task->transfer.stopped) {
        task->phase = TASK_TRANSFER;
        conversation_drive(task);
    } else if (task->phase == TASK_FLUSHING) {
        task->last_ms = now(task);
        deletion_begin(task);
        conversation_drive(task);
    } else if (task->phase == TASK_CLOSING && !task->stream_open) {
        end_round(task);
    }
}

static void on_failed(struct task *task, const struct error *error)
{
    task->storer_failed = true;
    task_fail(task, error->kind, "%s", error->text);
    if (task->phase == TASK_STARTING || task->phase == TASK_WAITING ||
        task->phase == TASK_ASKING_PASSWORD) {
        credentials_cancel(task);
        task_finish_storer(task);
    } else if (task->phase < TASK_CLOSING) {
        task_disconnect(task);
    } else if (task->phase == TASK_CLOSING && !task->stream_open) {
        end_round(task);
    }
}

static void on_room(struct task *task)
{
    if (task->transfer.paused && task->phase < TASK_CLOSING) {
        task->transfer.paused = false;
        task->last_ms = now(task);
        stream_read(&task->stream, true);
    }
}

static void on_ready(struct task *task, size_t completed)
{
    task->storer_ready = true;
    if (completed != 0) {
        task_note(task, "%zu messages that an earlier run had begun to store are in place now",
                  completed);
    }
    if (task->phase == TASK_STARTING && task->stopping) {
        task_finish_storer(task);
    } else if (task->phase == TASK_STARTING) {
        credentials_ask(task);
    }
}

static void on_storer(void *owner, const struct storer_event *event)
{
    struct task *task = owner;
    switch (event->type) {
    case STORER_EVENT_READY:
        on_ready(task, event->count);
        break;
    case STORER_EVENT_LISTED:
        task->listing_lent = false;
        if (task->phase == TASK_PLANNING) {
            task->last_ms = now(task);
            survey_planned(task, event->count);
            conversation_drive(task);
        }
        break;
    case STORER_EVENT_ROOM:
        on_room(task);
        break;
    case STORER_EVENT_STORED:
    case STORER_EVENT_SAME:
    case STORER_EVENT_FETCH_WHOLE:
    case STORER_EVENT_DEFERRED:
    case STORER_EVENT_REFUSED:
    case STORER_EVENT_QUARANTINED:
        transfer_stored(task, event);
        if (task->phase == TASK_TRANSFER) {
            conversation_drive(task);
        }
        break;
    case STORER_EVENT_FLUSHED:
        go_on(task);
        break;
    case STORER_EVENT_FAILED:
        on_failed(task, event->error);
        break;
    case STORER_EVENT_FINISHED:
        storer_close(task->storer);
        task->storer = NULL;
        finish(task);
        break;
    }
}

/* Is it the server that is waited for? */
static bool awaits_server(const struct task *task)
{
    bool talks = task->phase >= TASK_CONNECTING && task->phase <= TASK_DELETING;
    bool storer = task->phase == TASK_PLANNING || task->phase == TASK_FLUSHING ||
                  task->transfer.paused ||
                  (task->phase == TASK_TRANSFER && task->transfer.in_flight == 0);
    return talks && (task->noop || !storer);
}

/* While a storer or a filter takes its time, the server is told that we are here; and a server that is not is
 * noticed. */
static void stay_awake(struct task *task)
{
    uint64_t patience_ms = task->account->timeout_ms / 2;
    bool in_session = task->phase == TASK_PLANNING || task->phase == TASK_TRANSFER ||
                      task->phase == TASK_FLUSHING;
    patience_ms = patience_ms < NOOP_MS ? patience_ms : NOOP_MS;
    task->last_ms = now(task);
    if (in_session && !task->transfer.paused && now(task) - task->busy_ms >= patience_ms &&
        pop3_client_noop(task->client) == POP3_CLIENT_TAKEN) {
        task->noop = true;
        conversation_drive(task);
    }
}

static void on_timer(uv_timer_t *timer)
{
    struct task *task = CONTAINER_OF(timer, struct task, timer);
    uint64_t silent_ms = now(task) - task->last_ms;
    if (task->phase == TASK_WAITING && silent_ms >= task->wait_ms) {
        credentials_ask(task); /* a refused token is gone; what is there stays */
    } else if (task->phase == TASK_WAITING) {
        return;
    } else if (!awaits_server(task)) {
        stay_awake(task);
    } else {
        task->busy_ms = now(task);
        uint64_t limit_ms =
            task->account->timeout_ms + (task->phase == TASK_CONNECTING ? CONNECTOR_MS : 0);
        if (silent_ms >= limit_ms) {
            conversation_silent(task);
        }
    }
}

struct task *task_create(const struct task_options *options)
{
    struct task *task = calloc(1, sizeof *task);
    if (task == NULL) {
        return NULL;
    }
    task->options = *options;
    task->account = options->account;
    task->login_delay_ms = UINT64_MAX;
    transfer_clear(task);
    return task;
}

static enum storer_target_kind target_of(const struct fetch_account *account, const char **place)
{
    if (account->mbox != NULL) {
        *place = account->mbox;
        return STORER_TARGET_MBOX;
    }
    if (account->pipe != NULL) {
        *place = account->pipe;
        return STORER_TARGET_PIPE;
    }
    if (account->lmtp != NULL) {
        *place = account->lmtp;
        return STORER_TARGET_LMTP;
    }
    if (account->smtp != NULL) {
        *place = account->smtp;
        return STORER_TARGET_SMTP;
    }
    if (account->imap != NULL) {
        *place = account->imap;
        return STORER_TARGET_IMAP;
    }
    if (account->gmail != NULL) {
        *place = account->gmail;
        return STORER_TARGET_GMAIL;
    }
    *place = account->maildir;
    return STORER_TARGET_MAILDIR;
}

static void start_storer(struct task *task)
{
    const struct fetch_account *account = task->account;
    struct storer_options options = {.account = account->name,
                                     .state_folder = task->options.state_folder,
                                     .recipient = account->rcpt,
                                     .stop = task->options.stop,
                                     .described = account,
                                     .dry_run = task->options.dry_run,
                                     .trace = account->trace,
                                     .host = account->host,
                                     .user = account->user};
    struct error error = {0};
    options.target = target_of(account, &options.place);
    task->storer = storer_create(task->options.shared->loop, &options, on_storer, task, &error);
    if (task->storer == NULL) {
        task_fail(task, error.kind, "%s", error.text);
        finish(task);
    }
}

void task_start(struct task *task, struct secret *password)
{
    uint64_t tick_ms = task->account->timeout_ms / 4;
    tick_ms = tick_ms > 250 ? 250 : tick_ms + 1;
    task->password = password;
    (void)uv_timer_init(task->options.shared->loop, &task->timer);
    task->timer.data = task;
    (void)uv_timer_start(&task->timer, on_timer, tick_ms, tick_ms);
    task->one_at_a_time = host_memory_is_one_at_a_time(task->options.state_folder,
                                                       task->account->host, task->account->port);
    if (task->account->tls == FETCH_TLS_NEVER) {
        task_warn(task, "tls = never: the password and the mail cross the network in the clear");
    }
    if (task->account->imap_clear) {
        task_warn(task,
                  "imap-clear: the mail goes to the IMAP server in the clear, as the password "
                  "may");
    }
    if (secure_prepare(task) < 0) {
        finish(task);
        return;
    }
    start_storer(task);
}

void task_stop(struct task *task)
{
    if (task->stopping) {
        if (task->storer != NULL) {
            storer_cancel(task->storer);
        }
        return;
    }
    task->stopping = true;
    task_fail(task, ERROR_TEMPORARY, "interrupted; what %s is stored",
              task->account->gmail == NULL ? "has come whole" : "Gmail has confirmed");
    credentials_cancel(task);
    if (task->phase == TASK_ASKING_PASSWORD || task->phase == TASK_WAITING) {
        task_finish_storer(task);
    } else if (task->stream_open) {
        task_disconnect(task);
    }
}

enum error_kind task_result(const struct task *task)
{
    return task->error.kind != ERROR_NONE ? task->error.kind : task->worst;
}

enum error_kind task_session_result(const struct task *task)
{
    return task->error.kind;
}

uint64_t task_login_delay_ms(const struct task *task)
{
    return task->login_delay_ms;
}

const char *task_place(const struct task *task)
{
    const char *place;
    (void)target_of(task->account, &place);
    return place;
}

struct task *task_free(struct task *task)
{
    if (task != NULL) {
        conversation_end(task);
        transfer_clear(task);
        remote_listing_clear(&task->listing);
        put_off_clear(&task->put_off);
        secure_finish(task);
        secret_free(task->password);
        secret_free(task->refused);
        free(task->messages);
        free(task->culprit);
        free(task);
    }
    return NULL;
}
