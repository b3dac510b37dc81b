/* SPDX-License-Identifier: MIT */
/* The door of POP3 clients: octets of a stranger, cut anywhere, and a host that answers as it likes.
 *
 * The first 16 octets of an input choose the session's options and how the host answers (a stream of bits,
 * used again from its start), the rest is what the peer sends: so a dialogue behind 16 octets is a seed.
 * What must hold, besides what the sanitizers see: no assert fails; the session never hangs (each event
 * is answered, and 5000 of them without an octet taken or written are too many); COMMIT comes only if the
 * peer has sent a Q, and its count is that of its marks; loans are returned as they were lent. */
#include <pop3/server.h>

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { CHOICE_OCTETS = 16, MESSAGES = 20, IDLE_EVENTS_MOST = 5000 };

struct fuzz {
    const uint8_t *choices;
    size_t choice; /* bits used */
    struct pop3_server *session;
    void *lent[3];
    bool closed;
    unsigned idle;
    unsigned pieces; /* that the open message may still have */
    const uint8_t *input;
    size_t input_size;
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
    if (!condition) {
        abort();
    }
}

static unsigned choose(struct fuzz *fuzz, unsigned bits)
{
    unsigned value = 0;
    for (unsigned i = 0; i < bits; i++) {
        size_t bit = fuzz->choice++ % (8 * (CHOICE_OCTETS - 2)) + 16;
        value = value << 1 | (fuzz->choices[bit / 8] >> bit % 8 & 1U);
    }
    return value;
}

static void fail(struct fuzz *fuzz)
{
    static const enum pop3_failure failures[] = {POP3_FAILURE_TEMPORARY,  POP3_FAILURE_PERMANENT,
                                                 POP3_FAILURE_IN_USE,     POP3_FAILURE_GONE,
                                                 POP3_FAILURE_UNREADABLE, POP3_FAILURE_CREDENTIALS,
                                                 POP3_FAILURE_SYNTAX,     POP3_FAILURE_LOGIN_DELAY};
    pop3_server_failed(fuzz->session, failures[choose(fuzz, 3)]);
}

static void on_authenticate(struct fuzz *fuzz, const struct pop3_server_event *event)
{
    unsigned choice = choose(fuzz, 2);
    bool sasl = event->u.authenticate.method == POP3_METHOD_SASL_BEGIN ||
                event->u.authenticate.method == POP3_METHOD_SASL_CONTINUE;
    unsigned sum = 0; /* touch what is pointed to */
    const uint8_t *response = event->u.authenticate.response;
    for (size_t i = 0; i < event->u.authenticate.response_size; i++) {
        sum += response[i];
    }
    for (size_t i = 0; i < event->u.authenticate.name_size; i++) {
        sum += (uint8_t)event->u.authenticate.name[i];
    }
    if (choice == 0 && sum % 2 == 0) {
        fail(fuzz);
    } else if (choice == 1 && sasl) {
        static const char challenge[900] = "challenge";
        pop3_server_challenge(fuzz->session, challenge, choose(fuzz, 1) != 0 ? 9 : 900);
    } else {
        pop3_server_authenticated(fuzz->session);
    }
}

static void on_rows(struct fuzz *fuzz, const struct pop3_server_event *event)
{
    struct pop3_row rows[POP3_ROWS_MOST];
    static const char id[POP3_UNIQUE_ID_OCTETS + 1] =
        "~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~";
    require(event->u.rows.count >= 1 && event->u.rows.count <= POP3_ROWS_MOST);
    require(event->u.rows.first >= 1 && event->u.rows.first + event->u.rows.count - 1 <= MESSAGES);
    for (uint32_t i = 0; i < event->u.rows.count; i++) {
        rows[i] = (struct pop3_row){UINT64_MAX / MESSAGES, id, choose(fuzz, 1) != 0 ? 70 : 1};
    }
    pop3_server_rows(fuzz->session, rows, event->u.rows.count);
}

/* Messages are pieces of the input itself. */
static void on_message(struct fuzz *fuzz)
{
    if (choose(fuzz, 2) == 0 || fuzz->pieces == 0) {
        pop3_server_message_end(fuzz->session);
        return;
    }
    size_t size = fuzz->input_size < 700 ? fuzz->input_size : 700;
    fuzz->pieces--;
    size_t taken = pop3_server_message(fuzz->session, fuzz->input, size);
    require(taken <= size);
}

static void on_lend(struct fuzz *fuzz, const struct pop3_server_event *event)
{
    enum pop3_server_purpose purpose = event->u.lend.purpose;
    require(fuzz->lent[purpose] == NULL);
    if (choose(fuzz, 4) == 0) {
        pop3_server_lent(fuzz->session, NULL, 0);
        return;
    }
    size_t size = event->u.lend.size + (purpose == POP3_LEND_OUTPUT ? choose(fuzz, 8) : 0);
    fuzz->lent[purpose] = malloc(size);
    pop3_server_lent(fuzz->session, fuzz->lent[purpose], fuzz->lent[purpose] == NULL ? 0 : size);
}

static void on_commit(const struct fuzz *fuzz, const struct pop3_server_event *event)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < MESSAGES && event->u.commit.marks != NULL; i++) {
        count += event->u.commit.marks[i / 8] >> i % 8 & 1U;
    }
    require(count == event->u.commit.count);
    bool asked = false;
    for (size_t i = 0; i + 4 < fuzz->input_size; i++) {
        asked = asked || (fuzz->input[i] & 0xDF) == 'Q';
    }
    require(asked);
    pop3_server_committed(fuzz->session, count > 3 ? 1 : 0);
}

static void on_client(struct fuzz *fuzz)
{
    static const struct pop3_server_connection client = {.user_allowed = 1, .proxied = 1};
    if (choose(fuzz, 2) == 0) {
        fail(fuzz);
    } else {
        pop3_server_client_taken(fuzz->session, &client);
    }
}

static const struct pop3_server_connection encrypted = {.user_allowed = 1, .encrypted = 1};

static bool is_question(enum pop3_server_event_type type)
{
    return type == POP3_SERVER_OPEN || type == POP3_SERVER_ROWS || type == POP3_SERVER_SEND ||
           type == POP3_SERVER_MESSAGE;
}

/* Answers one event; false if the peer must speak, or the session is over. */
static bool answer(struct fuzz *fuzz, const struct pop3_server_event *event)
{
    if (is_question(event->type) && choose(fuzz, 4) == 0) {
        fail(fuzz);
        return true;
    }
    switch (event->type) {
    case POP3_SERVER_NEED_INPUT:
        return false;
    case POP3_SERVER_CLOSE:
        fuzz->closed = true;
        return false;
    case POP3_SERVER_WRITE:
        require(event->u.write.size != 0);
        pop3_server_written(fuzz->session, 1 + choose(fuzz, 12) % event->u.write.size);
        fuzz->idle = 0;
        break;
    case POP3_SERVER_LEND:
        on_lend(fuzz, event);
        break;
    case POP3_SERVER_RETURN:
        require(fuzz->lent[event->u.returned.purpose] == event->u.returned.memory);
        free(event->u.returned.memory);
        fuzz->lent[event->u.returned.purpose] = NULL;
        pop3_server_returned(fuzz->session);
        break;
    case POP3_SERVER_AUTHENTICATE:
        on_authenticate(fuzz, event);
        break;
    case POP3_SERVER_CLIENT:
        on_client(fuzz);
        break;
    case POP3_SERVER_CANCEL:
        pop3_server_cancelled(fuzz->session);
        break;
    case POP3_SERVER_OPEN:
        pop3_server_opened(fuzz->session, MESSAGES, UINT64_MAX);
        break;
    case POP3_SERVER_ROWS:
        on_rows(fuzz, event);
        break;
    case POP3_SERVER_SEND:
        fuzz->pieces = 10;
        pop3_server_message_opened(fuzz->session, (int)choose(fuzz, 1));
        break;
    case POP3_SERVER_MESSAGE:
        on_message(fuzz);
        break;
    case POP3_SERVER_STOP:
        pop3_server_stopped(fuzz->session);
        break;
    case POP3_SERVER_COMMIT:
        on_commit(fuzz, event);
        break;
    case POP3_SERVER_RELEASE:
        pop3_server_released(fuzz->session);
        break;
    case POP3_SERVER_STARTTLS:
        pop3_server_tls_started(fuzz->session, &encrypted);
        break;
    }
    return true;
}

static void run(struct fuzz *fuzz)
{
    struct pop3_server_event event;
    do {
        if (choose(fuzz, 3) == 0) {
            pop3_server_flush(fuzz->session);
        }
        pop3_server_next(fuzz->session, &event);
        require(++fuzz->idle < IDLE_EVENTS_MOST);
    } while (answer(fuzz, &event));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < CHOICE_OCTETS) {
        return -1;
    }
    struct fuzz fuzz = {
        .choices = data, .input = data + CHOICE_OCTETS, .input_size = size - CHOICE_OCTETS};
    struct pop3_server_options options = {.greeting = "ready",
                                          .implementation = "fuzz",
                                          .expire = "NEVER",
                                          .max_bad_commands = data[0] & 7U,
                                          .utf8 = data[0] & 8};
    struct pop3_server_connection connection = {.user_allowed = !(data[0] & 16),
                                                .starttls = data[0] & 32,
                                                .sasl_mechanisms =
                                                    data[0] & 64 ? "PLAIN SCRAM-SHA-256" : NULL,
                                                .timestamp = data[0] & 128 ? "<1@example>" : NULL,
                                                .proxied = data[1] & 2,
                                                .xclient = data[1] & 4};
    void *memory = malloc(pop3_server_size());
    fuzz.session = pop3_server_init(memory, &options, &connection);
    size_t piece = data[1] == 0 ? fuzz.input_size : data[1];
    run(&fuzz);
    for (size_t at = 0; at < fuzz.input_size && !fuzz.closed;) {
        size_t rest = fuzz.input_size - at;
        size_t taken = pop3_server_feed(fuzz.session, fuzz.input + at, piece < rest ? piece : rest);
        fuzz.idle = taken == 0 ? fuzz.idle : 0;
        at += taken;
        run(&fuzz);
    }
    pop3_server_end(fuzz.session, (enum pop3_end_reason)choose(&fuzz, 2));
    run(&fuzz);
    require(fuzz.closed);
    for (size_t i = 0; i < 3; i++) {
        free(fuzz.lent[i]);
    }
    free(memory);
    return 0;
}
