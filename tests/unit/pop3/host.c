/* SPDX-License-Identifier: MIT */
#include "host.h"

#include <stdio.h>
#include <stdlib.h>

#include <pop3/surrogate.h>

/* A broken contract must end the test whatever NDEBUG says. */
#define REQUIRE(condition)                                                                         \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            (void)fprintf(stderr, "%s:%d: contract: %s\n", __FILE__, __LINE__, #condition);        \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

static void *allocate(size_t size)
{
    void *memory = malloc(size == 0 ? 1 : size);
    REQUIRE(memory != NULL);
    return memory;
}

void host_init(struct host *host)
{
    *host = (struct host){.user = "alice",
                          .password = "secret",
                          .password_size = 6,
                          .fail_type = -1,
                          .refuse = -1,
                          .options = {.greeting = "Restante ready"},
                          .connection = {.user_allowed = 1}};
}

void host_add_message(struct host *host, const void *data, size_t size)
{
    REQUIRE(host->message_count < HOST_MESSAGES_MOST);
    struct host_message *message = &host->messages[host->message_count++];
    message->data = data;
    message->size = size;
    message->shown = data;
    message->shown_size = size;
    message->surrogate = NULL;
    message->removed = false;
    (void)snprintf(message->unique_id, sizeof message->unique_id, "%u.dialogue",
                   host->message_count);
}

void host_start(struct host *host)
{
    host->session =
        pop3_server_init(allocate(pop3_server_size()), &host->options, &host->connection);
    host_run(host);
}

void host_finish(struct host *host)
{
    for (size_t i = 0; i < 3; i++) {
        free(host->lent[i]);
    }
    for (uint32_t i = 0; i < host->message_count; i++) {
        free(host->messages[i].surrogate);
    }
    free(host->sent);
    free(host->session);
    *host = (struct host){0};
}

static void record(struct host *host, const void *data, size_t size)
{
    if (host->sent_capacity - host->sent_size <= size) {
        host->sent_capacity = 2 * (host->sent_capacity + size) + 64;
        host->sent = realloc(host->sent, host->sent_capacity);
        REQUIRE(host->sent != NULL);
    }
    memcpy(host->sent + host->sent_size, data, size);
    host->sent_size += size;
    host->sent[host->sent_size] = '\0';
}

const char *host_sent(struct host *host)
{
    record(host, "", 0);
    host->sent_size = 0;
    return (const char *)host->sent;
}

static void on_write(struct host *host, const struct pop3_server_event *event)
{
    size_t size = event->u.write.size;
    REQUIRE(size > 0);
    if (host->write_size != 0 && size > host->write_size) {
        size = host->write_size;
    }
    record(host, event->u.write.data, size);
    pop3_server_written(host->session, size);
}

static void on_lend(struct host *host, const struct pop3_server_event *event)
{
    enum pop3_server_purpose purpose = event->u.lend.purpose;
    REQUIRE(host->lent[purpose] == NULL);
    if (host->refuse == (int)purpose) {
        pop3_server_lent(host->session, NULL, 0);
        return;
    }
    size_t size = event->u.lend.size;
    REQUIRE(purpose != POP3_LEND_MARKS || size == (host->message_count + 7) / 8);
    if (purpose == POP3_LEND_OUTPUT) {
        size = host->output_size == 0 ? 65536 : host->output_size;
    }
    host->lent[purpose] = allocate(size);
    host->lent_size[purpose] = size;
    memset(host->lent[purpose], 0xAA, size);
    pop3_server_lent(host->session, host->lent[purpose], size);
}

static void on_return(struct host *host, const struct pop3_server_event *event)
{
    enum pop3_server_purpose purpose = event->u.returned.purpose;
    REQUIRE(event->u.returned.memory == host->lent[purpose] && host->lent[purpose] != NULL);
    if (purpose == POP3_LEND_SASL) {
        const uint8_t *memory = host->lent[purpose];
        for (size_t i = 0; i < host->lent_size[purpose]; i++) {
            REQUIRE(memory[i] == 0 || memory[i] == 0xAA); /* wiped */
        }
    }
    pop3_server_returned(host->session);
    free(host->lent[purpose]);
    host->lent[purpose] = NULL;
}

static bool is_plain_success(const struct host *host)
{
    char expected[600];
    int size = snprintf(expected, sizeof expected, "%c%s%c%s", 0, host->user, 0, host->password);
    return host->last_response_size == (size_t)size &&
           memcmp(host->last_response, expected, (size_t)size) == 0;
}

/* USER/PASS; APOP with a digest of zeros; PLAIN; a mechanism TWICE of two empty challenges. */
static void on_authenticate(struct host *host, const struct pop3_server_event *event)
{
    size_t name_size = event->u.authenticate.name_size;
    REQUIRE(name_size < sizeof host->last_name);
    REQUIRE(event->u.authenticate.response_size <= sizeof host->last_response);
    enum pop3_server_method method = event->u.authenticate.method;
    if (method != POP3_METHOD_SASL_CONTINUE) {
        memcpy(host->last_name, event->u.authenticate.name, name_size);
        host->last_name[name_size] = '\0';
    }
    host->last_response_size = event->u.authenticate.response_size;
    if (host->last_response_size != 0) {
        memcpy(host->last_response, event->u.authenticate.response, host->last_response_size);
    }
    bool success = false;
    switch (method) {
    case POP3_METHOD_PASSWORD:
        success = strcmp(host->last_name, host->user) == 0 &&
                  host->last_response_size == host->password_size &&
                  memcmp(host->last_response, host->password, host->password_size) == 0;
        break;
    case POP3_METHOD_APOP:
        success = memcmp(host->last_response, "00000000000000000000000000000000", 32) == 0;
        break;
    case POP3_METHOD_SASL_BEGIN:
        if (!event->u.authenticate.has_response) {
            pop3_server_challenge(host->session, NULL, 0);
            return;
        }
        success = is_plain_success(host);
        break;
    case POP3_METHOD_SASL_CONTINUE:
        if (strcmp(host->last_name, "TWICE") == 0) {
            host->last_name[0] = '\0';
            pop3_server_challenge(host->session, "more", 4);
            return;
        }
        success = is_plain_success(host);
        break;
    }
    if (success) {
        pop3_server_authenticated(host->session);
    } else {
        pop3_server_failed(host->session, POP3_FAILURE_CREDENTIALS);
    }
}

static uint64_t octets_of(const struct host_message *message)
{
    struct pop3_octet_count count = {0};
    pop3_octet_count_feed(&count, message->shown, message->shown_size);
    return message->octets != 0 ? message->octets : pop3_octet_count_end(&count);
}

/* The message becomes its surrogate. */
static void convert(struct host_message *message)
{
    enum { GROWTH = 60 };
    size_t room = message->size * GROWTH + 100;
    size_t made;
    struct pop3_surrogate *surrogate = pop3_surrogate_init(allocate(pop3_surrogate_size()));
    message->surrogate = allocate(room);
    size_t taken = pop3_surrogate_feed(surrogate, message->data, message->size, message->surrogate,
                                       room, &made);
    message->shown_size =
        made + pop3_surrogate_end(surrogate, message->surrogate + made, room - made);
    message->shown = message->surrogate;
    REQUIRE(taken == message->size && message->shown_size < room);
    free(surrogate);
}

static void on_open(struct host *host, const struct pop3_server_event *event)
{
    uint64_t octets = 0;
    for (uint32_t i = 0; i < host->message_count; i++) {
        if (event->u.open.surrogates && !host->refuses_utf8) {
            convert(&host->messages[i]);
        }
        octets += octets_of(&host->messages[i]);
    }
    REQUIRE(!host->locked);
    host->locked = true;
    pop3_server_opened(host->session, host->message_count, octets);
}

static void on_rows(struct host *host, const struct pop3_server_event *event)
{
    struct pop3_row rows[POP3_ROWS_MOST];
    uint32_t first = event->u.rows.first;
    uint32_t count = event->u.rows.count;
    REQUIRE(host->locked && first >= 1 && count >= 1 && count <= POP3_ROWS_MOST);
    REQUIRE(first + count - 1 <= host->message_count);
    for (uint32_t i = 0; i < count; i++) {
        const struct host_message *message = &host->messages[first - 1 + i];
        rows[i] =
            (struct pop3_row){octets_of(message), message->unique_id, strlen(message->unique_id)};
    }
    pop3_server_rows(host->session, rows, count);
}

static bool has_8bit_header(const struct host_message *message)
{
    bool line_start = true;
    for (size_t i = 0; i < message->size; i++) {
        if (message->data[i] >= 0x80) {
            return true;
        }
        if (message->data[i] == '\n' && line_start) {
            return false;
        }
        line_start = message->data[i] == '\n';
    }
    return false;
}

static void on_send(struct host *host, const struct pop3_server_event *event)
{
    REQUIRE(host->locked && host->open_message == 0);
    host->open_message = event->u.send.number;
    host->open_offset = 0;
    const struct host_message *message = &host->messages[host->open_message - 1];
    pop3_server_message_opened(host->session, host->refuses_utf8 && has_8bit_header(message));
}

static void on_message(struct host *host)
{
    const struct host_message *message = &host->messages[host->open_message - 1];
    size_t size = message->shown_size - host->open_offset;
    if (size == 0) {
        host->open_message = 0;
        pop3_server_message_end(host->session);
        return;
    }
    if (host->read_size != 0 && size > host->read_size) {
        size = host->read_size;
    }
    host->open_offset +=
        pop3_server_message(host->session, message->shown + host->open_offset, size);
}

static void on_commit(struct host *host, const struct pop3_server_event *event)
{
    REQUIRE(host->locked && host->open_message == 0);
    uint32_t count = 0;
    for (uint32_t i = 0; i < host->message_count && event->u.commit.marks != NULL; i++) {
        bool marked = (event->u.commit.marks[i / 8] >> i % 8 & 1) != 0;
        host->messages[i].removed |= marked;
        count += marked;
    }
    REQUIRE(count == event->u.commit.count);
    host->locked = false;
    host->committed = true;
    pop3_server_committed(host->session, host->not_removed);
}

static bool is_question(enum pop3_server_event_type type)
{
    return type == POP3_SERVER_AUTHENTICATE || type == POP3_SERVER_OPEN ||
           type == POP3_SERVER_ROWS || type == POP3_SERVER_SEND || type == POP3_SERVER_MESSAGE;
}

/* True if the question was answered with a failure. */
static bool fail(struct host *host, enum pop3_server_event_type type)
{
    if (!is_question(type)) {
        return false;
    }
    host->questions++;
    enum pop3_failure failure = host->failure;
    if (host->questions == host->fail_event) {
        failure = failure == POP3_FAILURE_NONE ? POP3_FAILURE_TEMPORARY : failure;
    } else if (host->fail_type != (int)type) {
        return false;
    }
    host->fail_type = -1;
    host->open_message = 0;
    pop3_server_failed(host->session, failure);
    return true;
}

void host_answer(struct host *host, const struct pop3_server_event *event)
{
    switch (event->type) {
    case POP3_SERVER_WRITE:
        on_write(host, event);
        break;
    case POP3_SERVER_LEND:
        on_lend(host, event);
        break;
    case POP3_SERVER_RETURN:
        on_return(host, event);
        break;
    case POP3_SERVER_AUTHENTICATE:
        on_authenticate(host, event);
        break;
    case POP3_SERVER_CLIENT:
        pop3_server_client_taken(host->session, &host->connection);
        break;
    case POP3_SERVER_CANCEL:
        pop3_server_cancelled(host->session);
        break;
    case POP3_SERVER_OPEN:
        on_open(host, event);
        break;
    case POP3_SERVER_ROWS:
        on_rows(host, event);
        break;
    case POP3_SERVER_SEND:
        on_send(host, event);
        break;
    case POP3_SERVER_MESSAGE:
        on_message(host);
        break;
    case POP3_SERVER_STOP:
        REQUIRE(host->open_message != 0);
        host->open_message = 0;
        pop3_server_stopped(host->session);
        break;
    case POP3_SERVER_COMMIT:
        on_commit(host, event);
        break;
    case POP3_SERVER_RELEASE:
        REQUIRE(host->locked || host->fail_type != -1);
        host->locked = false;
        host->released = true;
        host->open_message = 0;
        pop3_server_released(host->session);
        break;
    case POP3_SERVER_STARTTLS:
        host->connection.encrypted = 1;
        host->connection.starttls = 0;
        pop3_server_tls_started(host->session, &host->connection);
        break;
    case POP3_SERVER_NEED_INPUT:
    case POP3_SERVER_CLOSE:
        REQUIRE(false);
        break;
    }
}

/* Idempotence: until it is answered the same event comes again. */
static void next(struct host *host, struct pop3_server_event *event)
{
    struct pop3_server_event again;
    pop3_server_next(host->session, event);
    pop3_server_next(host->session, &again);
    REQUIRE(event->type == again.type);
    if (event->type == POP3_SERVER_WRITE) {
        REQUIRE(event->u.write.data == again.u.write.data);
        REQUIRE(event->u.write.size == again.u.write.size);
    }
}

void host_run(struct host *host)
{
    while (!host->closed) {
        struct pop3_server_event event;
        if (host->flush) {
            pop3_server_flush(host->session);
        }
        next(host, &event);
        host->events[event.type]++;
        if (event.type == POP3_SERVER_NEED_INPUT) {
            return;
        }
        if (event.type == POP3_SERVER_CLOSE) {
            REQUIRE(!host->locked);
            host->closed = true;
            return;
        }
        if (!fail(host, event.type)) {
            host_answer(host, &event);
        }
    }
}

void host_feed(struct host *host, const void *data, size_t size)
{
    const uint8_t *octets = data;
    unsigned idle = 0;
    host_run(host);
    while (size != 0 && !host->closed) {
        size_t piece = host->feed_size != 0 && size > host->feed_size ? host->feed_size : size;
        size_t taken = pop3_server_feed(host->session, octets, piece);
        REQUIRE(taken <= piece);
        octets += taken;
        size -= taken;
        host_run(host);
        REQUIRE(taken != 0 || idle == 0); /* an octet at least, if input is needed */
        idle = taken == 0 ? idle + 1 : 0;
    }
}

void host_feed_text(struct host *host, const char *text)
{
    host_feed(host, text, strlen(text));
}

void host_end(struct host *host, enum pop3_end_reason reason)
{
    host->open_message = 0;
    pop3_server_end(host->session, reason);
    host_run(host);
}

void host_log_in(struct host *host)
{
    host_feed_text(host, "USER alice\r\nPASS secret\r\n");
    REQUIRE(pop3_server_state(host->session) == POP3_TRANSACTION);
    (void)host_sent(host);
}

struct host *host_new(unsigned messages)
{
    static const char message[] = "Subject: x\n\nbody\n";
    struct host *host = allocate(sizeof *host);
    host_init(host);
    for (unsigned i = 0; i < messages; i++) {
        host_add_message(host, message, sizeof message - 1);
    }
    return host;
}

struct host *host_new_session(unsigned messages)
{
    struct host *host = host_new(messages);
    host_start(host);
    host_log_in(host);
    return host;
}

void host_delete(struct host *host)
{
    host_finish(host);
    free(host);
}

void host_run_to(struct host *host, const char *commands, enum pop3_server_event_type type)
{
    struct pop3_server_event event;
    struct bytes rest = bytes_of(commands);
    for (;;) {
        rest = bytes_from(rest, pop3_server_feed(host->session, rest.data, rest.size));
        pop3_server_next(host->session, &event);
        if (event.type == type) {
            REQUIRE(rest.size == 0);
            return;
        }
        REQUIRE(event.type != POP3_SERVER_NEED_INPUT || rest.size != 0);
        if (event.type != POP3_SERVER_NEED_INPUT) {
            host_answer(host, &event);
        }
    }
}

size_t host_expand(const uint8_t *data, size_t size, uint8_t *out, uint64_t *octets_out)
{
    size_t made = 0;
    uint64_t octets = 0;
    bool line_start = true;
    for (size_t i = 0; i < size; i++) {
        uint8_t octet = data[i];
        bool has_next = i + 1 < size;
        if (octet == '\n' ||
            (octet == '\r' && has_next && (data[i + 1] == '\n' || data[i + 1] == '.'))) {
            i += octet == '\r' && data[i + 1] == '\n' ? 1 : 0;
            out[made++] = '\r';
            out[made++] = '\n';
            octets += 2;
            line_start = true;
            continue;
        }
        if (octet == '.' && line_start) {
            out[made++] = '.';
        }
        out[made++] = octet;
        octets++;
        line_start = false;
    }
    if (!line_start) {
        out[made++] = '\r';
        out[made++] = '\n';
        octets += 2;
    }
    memcpy(out + made, ".\r\n", 3);
    *octets_out = octets;
    return made + 3;
}

size_t host_cut(uint8_t *lines, size_t size, uint64_t body_lines)
{
    size_t at = 0;
    bool body = false;
    while (at < size - 3 && (!body || body_lines != 0)) {
        bool blank = lines[at] == '\r' && lines[at + 1] == '\n';
        while (lines[at] != '\r' || lines[at + 1] != '\n') {
            at++;
        }
        at += 2;
        if (body) {
            body_lines--;
        }
        body = body || blank;
    }
    if (!body && body_lines == 0) {
        memcpy(lines + at, "\r\n", 2);
        at += 2;
    }
    memcpy(lines + at, ".\r\n", 3);
    return at + 3;
}
