/* SPDX-License-Identifier: MIT */
/* Between the stream and the engine: octets in, octets out, each event to the file whose matter it is. */
#include <assert.h>
#include <stdlib.h>

#include "base/buffer.h"
#include "base/container_of.h"
#include "fetch/task_state.h"

static struct task *task_of(struct stream *stream)
{
    return CONTAINER_OF(stream, struct task, stream);
}

/* What a message may take although LIST said that it is small: some servers count an end of line as one octet. */
static uint64_t most_octets(const struct fetch_account *account)
{
    const uint64_t header = 1 << 20; /* may come of messages that are too large */
    return account->max_size > UINT64_MAX / 4 ? UINT64_MAX
           : account->max_size == 0           ? 0
                                              : 2 * account->max_size + header;
}

int conversation_begin(struct task *task)
{
    task->client_options = (struct pop3_client_options){
        .max_messages = LISTING_MESSAGES_MOST,
        .max_message_octets = most_octets(task->account),
        .ask_capa = 1,
        .encrypted = task->account->tls == FETCH_TLS_IMPLICIT,
        .one_at_a_time = task->one_at_a_time,
    };
    void *memory = malloc(pop3_client_size(TASK_COMMANDS));
    if (memory == NULL) {
        return -1;
    }
    task->client = pop3_client_init(memory, TASK_COMMANDS, &task->client_options);
    task->writing = task->exchange = task->quit = task->quit_accepted = task->noop = false;
    return 0;
}

void conversation_end(struct task *task)
{
    free(task->client);
    task->client = NULL;
}

static void show(struct task *task, enum report_type type, struct bytes line)
{
    if (task->options.dialogue) {
        struct fetch_report report = {.type = type, .data = line};
        task_report(task, &report);
    }
}

/* The command's word, and no secret behind it. */
static void show_command(struct task *task, struct bytes line)
{
    static const struct {
        const char *word;
        size_t shown; /* words */
    } masked[] = {{"PASS", 1}, {"AUTH", 2}, {"APOP", 2}};
    struct bytes first = {.data = line.data, .size = bytes_find(line, ' ')};
    size_t words = task->exchange && !bytes_equal(first, bytes_of("AUTH")) ? 0 : SIZE_MAX;
    for (size_t i = 0; i < sizeof masked / sizeof masked[0]; i++) {
        if (words != 0 && bytes_equal(first, bytes_of(masked[i].word))) {
            words = masked[i].shown;
        }
    }
    size_t size = 0;
    while (words != 0 && size < line.size) {
        size += bytes_find(bytes_from(line, size), ' ');
        words--;
        size += words != 0 && size < line.size;
    }
    if (size == line.size) {
        show(task, REPORT_SENT, line);
        return;
    }
    uint8_t copy[POP3_CLIENT_COMMAND_OCTETS + 8];
    size = size < sizeof copy - 4 ? size : sizeof copy - 4;
    memcpy(copy, line.data, size);
    memcpy(copy + size, size == 0 ? "***" : " ***", size == 0 ? 3 : 4);
    show(task, REPORT_SENT, (struct bytes){copy, size + (size == 0 ? 3 : 4)});
}

static void show_write(struct task *task, struct bytes octets)
{
    while (task->options.dialogue && octets.size != 0) {
        struct bytes line = {.data = octets.data, .size = bytes_find(octets, '\r')};
        show_command(task, line);
        octets = bytes_from(octets, line.size + 2);
    }
}

static void show_reply(struct task *task, const struct pop3_client_event *event)
{
    if (!task->options.dialogue) {
        return;
    }
    uint8_t line[POP3_CLIENT_LINE_OCTETS];
    struct buffer buffer;
    buffer_init(&buffer, line, sizeof line);
    buffer_append_text(&buffer, event->u.reply.ok ? "+OK " : "-ERR ");
    if (event->u.reply.code_size != 0) {
        buffer_append_text(&buffer, "[");
        buffer_append(&buffer, (struct bytes){(const uint8_t *)event->u.reply.code_text,
                                              event->u.reply.code_size});
        buffer_append_text(&buffer, "] ");
    }
    buffer_append(&buffer,
                  (struct bytes){(const uint8_t *)event->u.reply.text, event->u.reply.text_size});
    show(task, REPORT_RECEIVED, buffer_pending(&buffer));
}

static void show_text(struct task *task, const char *text, size_t size)
{
    show(task, REPORT_RECEIVED, (struct bytes){(const uint8_t *)text, size});
}

/* False: the socket takes no more now. */
static bool write_out(struct task *task, const struct pop3_client_event *event)
{
    struct bytes octets = {event->u.write.data, event->u.write.size};
    if (task->writing) {
        return false;
    }
    show_write(task, octets);
    if (!stream_write(&task->stream, octets)) {
        task->writing = true;
        task->writing_size = octets.size;
        return false;
    }
    pop3_client_written(task->client, octets.size);
    return true;
}

static void on_reply(struct task *task, const struct pop3_client_event *event)
{
    enum pop3_client_command command = event->u.reply.command;
    show_reply(task, event);
    switch (command) {
    case POP3_CLIENT_STLS:
    case POP3_CLIENT_UTF8:
    case POP3_CLIENT_AUTH:
    case POP3_CLIENT_USER:
    case POP3_CLIENT_PASS:
    case POP3_CLIENT_APOP:
    case POP3_CLIENT_CONNECT:
        login_reply(task, event);
        return;
    case POP3_CLIENT_STAT:
    case POP3_CLIENT_LIST:
    case POP3_CLIENT_UIDL:
        survey_reply(task, event);
        return;
    case POP3_CLIENT_TOP:
    case POP3_CLIENT_RETR:
        transfer_reply(task, event);
        return;
    case POP3_CLIENT_DELE:
    case POP3_CLIENT_QUIT:
        deletion_reply(task, event);
        return;
    case POP3_CLIENT_NOOP:
        task->noop = false;
        return;
    case POP3_CLIENT_CAPA:
    case POP3_CLIENT_RSET:
        return;
    }
}

/* The engine has nothing under way. True if something was asked for. */
static bool on_idle(struct task *task)
{
    switch (task->phase) {
    case TASK_AUTHORIZATION:
        return login_step(task);
    case TASK_LISTING:
        return survey_complete(task);
    case TASK_TRANSFER:
        return transfer_idle(task);
    case TASK_STARTING:
    case TASK_ASKING_PASSWORD:
    case TASK_CONNECTING:
    case TASK_PLANNING:
    case TASK_FLUSHING:
    case TASK_DELETING:
    case TASK_CLOSING:
    case TASK_WAITING:
    case TASK_FINISHING:
    case TASK_DONE:
        return false;
    }
    return false;
}

/* True: it has begun now; the event comes again until the handshake is complete. */
static bool start_tls(struct task *task)
{
    if (task->login.securing) {
        return false;
    }
    task->login.securing = true;
    return secure_begin(task) == 0;
}

static bool has_cause(const struct stream *stream)
{
    return stream_error(stream) != NULL && stream_error(stream)->kind != ERROR_NONE;
}

/* Why the engine gave up, in words. */
static void explain_close(struct task *task, const struct pop3_client_event *event)
{
    static const struct {
        enum error_kind kind;
        const char *text;
    } reasons[] = {
        [POP3_CLIENT_ERROR_PEER_GONE] = {ERROR_TEMPORARY, "the server closed the connection"},
        [POP3_CLIENT_ERROR_REFUSED] = {ERROR_TEMPORARY, "the server does not serve now"},
        [POP3_CLIENT_ERROR_REPLY] = {ERROR_PROTOCOL,
                                     "the server's answer is none to what was asked"},
        [POP3_CLIENT_ERROR_UNASKED] = {ERROR_PROTOCOL, "the server spoke without being asked"},
        [POP3_CLIENT_ERROR_ROW] = {ERROR_PROTOCOL, "a line of the server's listing makes no sense"},
        [POP3_CLIENT_ERROR_LINE_END] = {ERROR_PROTOCOL, "the server ends a line without CR LF"},
        [POP3_CLIENT_ERROR_LINE_LENGTH] = {ERROR_PROTOCOL, "the server sends a line without end"},
        [POP3_CLIENT_ERROR_MANY] = {ERROR_LIMIT, "the server lists more than anybody can have"},
        [POP3_CLIENT_ERROR_MESSAGE_SIZE] = {ERROR_LIMIT, "a message is too large"},
        [POP3_CLIENT_ERROR_STLS_INJECTED] =
            {ERROR_PROTOCOL,
             "octets came behind the reply to STLS, before TLS: somebody may have put "
             "them there; nothing was sent"},
    };
    enum pop3_client_error error = event->u.close.error;
    char text[200];
    struct bytes line = {(const uint8_t *)event->u.close.text, event->u.close.text_size};
    const char *why = reasons[error].text;
    if (task->silent) {
        task_fail(task, ERROR_TEMPORARY, "the server has said nothing for %g s",
                  (double)task->account->timeout_ms / 1000);
        return;
    }
    if (error == POP3_CLIENT_ERROR_PEER_GONE && has_cause(&task->stream)) {
        why = stream_error(&task->stream)->text;
    }
    if (error == POP3_CLIENT_ERROR_PEER_GONE && task->transfer.current != SIZE_MAX) {
        const struct storer_message *message = &task->listing.messages[task->transfer.current];
        task_fail(task, reasons[error].kind,
                  "%s in the middle of message %u, after %llu octets; it stays there and is "
                  "fetched at the next run",
                  why, message->number, (unsigned long long)task->transfer.current_octets);
        return;
    }
    task_fail(task, reasons[error].kind, "%s%s%s", why, line.size == 0 ? "" : ": ",
              task_escape(line, text, sizeof text));
}

/* A connection that breaks is tried again as long as each brings something, or if the server may be one that
 * announces PIPELINING and breaks it. */
static bool may_try_again(struct task *task, const struct pop3_client_event *event)
{
    enum pop3_client_error error = event->u.close.error;
    bool out_of_step =
        error == POP3_CLIENT_ERROR_REPLY || error == POP3_CLIENT_ERROR_ROW ||
        error == POP3_CLIENT_ERROR_UNASKED ||
        (error == POP3_CLIENT_ERROR_PEER_GONE && (task->silent || !task->progress_made));
    if (task->stopping || task->error.kind != ERROR_NONE || !task->login.accepted) {
        return false;
    }
    if (out_of_step && event->u.close.pipelined && !task->one_at_a_time) {
        task_note(task, "the server announces PIPELINING and seems to break it: from here on one "
                        "command at a time");
        task->one_at_a_time = task->suspected = true;
        return true;
    }
    if (error == POP3_CLIENT_ERROR_MESSAGE_SIZE && !task->endless) {
        task->endless = true; /* the others are fetched without it */
        return true;
    }
    return error == POP3_CLIENT_ERROR_PEER_GONE && !task->silent &&
           (task->progress_made || task->retries < 1);
}

static void on_close(struct task *task, const struct pop3_client_event *event)
{
    if (event->u.close.error != POP3_CLIENT_ERROR_NONE && task->error.kind == ERROR_NONE &&
        !(task->quit && event->u.close.error == POP3_CLIENT_ERROR_PEER_GONE)) {
        if (may_try_again(task, event)) {
            task->retry = true;
            task->retries = task->progress_made ? 0 : task->retries + 1;
        } else {
            explain_close(task, event);
        }
    } else if (task->quit && !task->quit_accepted && task->error.kind == ERROR_NONE) {
        task_note(task, "the server closed the connection before it answered QUIT: what was to be "
                        "deleted may be there still, and is deleted at the next run");
        task_remember(task, ERROR_NOT_REMOVED);
    }
    task_disconnect(task);
}

/* True: ask the engine again. */
static bool obey(struct task *task, const struct pop3_client_event *event)
{
    switch (event->type) {
    case POP3_CLIENT_NEED_INPUT:
        return false;
    case POP3_CLIENT_IDLE:
        return on_idle(task);
    case POP3_CLIENT_WRITE:
        return write_out(task, event);
    case POP3_CLIENT_REPLY:
        on_reply(task, event);
        return true;
    case POP3_CLIENT_ROW:
        survey_row(task, event);
        return true;
    case POP3_CLIENT_CAPABILITY:
        show_text(task, event->u.capability.text, event->u.capability.text_size);
        return true;
    case POP3_CLIENT_ROWS_END:
    case POP3_CLIENT_CAPABILITIES:
        return true;
    case POP3_CLIENT_MESSAGE:
        transfer_octets(task, (struct bytes){event->u.message.data, event->u.message.size});
        return true;
    case POP3_CLIENT_MESSAGE_END:
        transfer_end(task);
        return true;
    case POP3_CLIENT_CHALLENGE:
        return login_challenge(task, event);
    case POP3_CLIENT_STARTTLS:
        return start_tls(task);
    case POP3_CLIENT_CLOSE:
        on_close(task, event);
        return false;
    }
    return false;
}

static bool is_talking(const struct task *task)
{
    return task->client != NULL && task->phase < TASK_CLOSING;
}

void conversation_drive(struct task *task)
{
    struct pop3_client_event event;
    bool more = true;
    while (more && is_talking(task)) {
        if (task->phase == TASK_TRANSFER) {
            transfer_ask(task);
        } else if (task->phase == TASK_DELETING) {
            deletion_ask(task);
        }
        if (!is_talking(task)) {
            return;
        }
        pop3_client_next(task->client, &event);
        more = obey(task, &event);
        if (task->error.kind != ERROR_NONE && is_talking(task)) {
            task_disconnect(task);
        }
    }
}

static void on_connected(struct stream *stream)
{
    struct task *task = task_of(stream);
    task->last_ms = uv_now(stream->shared->loop);
    if (task->account->tls == FETCH_TLS_IMPLICIT && secure_begin(task) < 0) {
        task_disconnect(task);
        return;
    }
    if (task->account->tls != FETCH_TLS_IMPLICIT) {
        task->phase = TASK_AUTHORIZATION;
    }
    stream_read(stream, true);
}

static void on_secured(struct stream *stream)
{
    struct task *task = task_of(stream);
    task->login.encrypted = true;
    task->last_ms = uv_now(stream->shared->loop);
    if (task->phase == TASK_CONNECTING) {
        task->phase = TASK_AUTHORIZATION;
    } else {
        pop3_client_tls_started(task->client);
    }
    conversation_drive(task);
}

static void on_data(struct stream *stream, struct bytes octets)
{
    struct task *task = task_of(stream);
    task->last_ms = uv_now(stream->shared->loop);
    while (octets.size != 0 && is_talking(task)) {
        size_t used = pop3_client_feed(task->client, octets.data, octets.size);
        octets = bytes_from(octets, used);
        conversation_drive(task);
    }
}

static void on_drained(struct stream *stream)
{
    struct task *task = task_of(stream);
    if (is_talking(task) && task->writing) {
        task->writing = false;
        pop3_client_written(task->client, task->writing_size);
        conversation_drive(task);
    }
}

void conversation_silent(struct task *task)
{
    task->silent = true;
    if (task->quit || !task->login.accepted) {
        task_fail(task, ERROR_TEMPORARY, "the server has said nothing for %g s",
                  (double)task->account->timeout_ms / 1000);
        task_disconnect(task);
        return;
    }
    pop3_client_end(task->client);
    conversation_drive(task);
}

static void on_ended(struct stream *stream)
{
    struct task *task = task_of(stream);
    if (!is_talking(task)) {
        return;
    }
    if (task->phase == TASK_CONNECTING || (!task->login.accepted && has_cause(stream))) {
        task_fail(task, has_cause(stream) ? stream_error(stream)->kind : ERROR_TEMPORARY, "%s",
                  has_cause(stream) ? stream_error(stream)->text
                                    : "the server closed the connection at once");
        task_disconnect(task);
        return;
    }
    pop3_client_end(task->client);
    conversation_drive(task);
}

static void on_closed(struct stream *stream)
{
    task_disconnected(task_of(stream));
}

const struct stream_events conversation_events = {.connected = on_connected,
                                                  .data = on_data,
                                                  .drained = on_drained,
                                                  .secured = on_secured,
                                                  .ended = on_ended,
                                                  .closed = on_closed};
