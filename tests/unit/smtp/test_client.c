/* SPDX-License-Identifier: MIT */
/* Sessions of the client against servers that are written down, at every size of piece. */
#include "cmocka_first.h"

#include <stdio.h>
#include <stdlib.h>

#include "smtp/client.h"

/* What the client has to say, and what is answered then. The first answers the connection. */
struct step {
    const char *client;
    const char *server;
};

struct session {
    enum smtp_protocol protocol;
    struct step steps[12];
    const char *messages[3];
    const char *recipient; /* NULL: bob@example.org */
    uint64_t octets;
    bool is_8bit;
    bool starts_tls;       /* before the first message */
    const char *mechanism; /* the same */
    const char *responses[3];
    const char *trace; /* of what the host is told */
};

struct run {
    struct smtp_client *client;
    const struct session *session;
    bool secured, authenticated;
    size_t piece, step, message, given, response;
    size_t sent_size, come_size, fed;
    char sent[70000], come[20000], trace[4000];
};

static void tell(struct run *run, const char *what, const struct smtp_client_event *event)
{
    static const char *const outcomes[] = {"accepted", "temporary", "permanent"};
    size_t used = strlen(run->trace);
    (void)snprintf(run->trace + used, sizeof run->trace - used, "%s %s %u %.*s\n", what,
                   outcomes[event->outcome], event->code, (int)event->text.size,
                   event->text.size == 0 ? "" : (const char *)event->text.data);
}

/* The server answers what has been said whole. */
static void answer(struct run *run)
{
    const struct step *step = &run->session->steps[run->step];
    size_t size = step->client == NULL ? 0 : strlen(step->client);
    if (step->server != NULL && run->sent_size >= size) {
        assert_memory_equal(run->sent, step->client == NULL ? "" : step->client, size);
        run->sent_size -= size;
        memmove(run->sent, run->sent + size, run->sent_size);
        size_t more = strlen(step->server);
        assert_true(run->come_size + more < sizeof run->come);
        memcpy(run->come + run->come_size, step->server, more);
        run->come_size += more;
        run->step++;
    }
}

static void write_some(struct run *run, struct bytes octets)
{
    size_t size = octets.size < run->piece ? octets.size : run->piece;
    assert_true(run->sent_size + size <= sizeof run->sent);
    memcpy(run->sent + run->sent_size, octets.data, size);
    run->sent_size += size;
    smtp_client_written(run->client, size);
}

static void read_some(struct run *run)
{
    answer(run);
    size_t left = run->come_size - run->fed;
    size_t size = left < run->piece ? left : run->piece;
    if (size == 0) {
        smtp_client_end(run->client);
        return;
    }
    run->fed +=
        smtp_client_feed(run->client, (struct bytes){(const uint8_t *)run->come + run->fed, size});
}

/* What the host wants before it sends anything: true, it has begun with it. */
static bool begin_session(struct run *run)
{
    const struct session *session = run->session;
    if (session->starts_tls && !run->secured) {
        run->secured = true;
        smtp_client_starttls(run->client);
        return true;
    }
    if (session->mechanism == NULL || run->authenticated) {
        return false;
    }
    struct bytes initial = bytes_of(session->responses[0] == NULL ? "" : session->responses[0]);
    run->authenticated = true;
    run->response = session->responses[0] != NULL;
    assert_int_equal(smtp_client_auth(run->client, session->mechanism,
                                      session->responses[0] == NULL ? NULL : &initial),
                     0);
    return true;
}

static void respond(struct run *run, const struct smtp_client_event *event)
{
    tell(run, "challenge", event);
    run->response = run->response == 0 ? 1 : run->response;
    const char *response = run->session->responses[run->response++];
    if (response == NULL) {
        smtp_client_cancel(run->client);
    } else {
        assert_int_equal(smtp_client_respond(run->client, bytes_of(response)), 0);
    }
}

/* TLS is the host's; what is said next is the server's. */
static void shake_hands(struct run *run)
{
    assert_int_equal(run->fed, run->come_size);
    smtp_client_secured(run->client);
}

static void begin_message(struct run *run)
{
    if (begin_session(run)) {
        return;
    }
    const char *recipient = run->session->recipient;
    struct smtp_envelope envelope = {
        .sender = bytes_of("alice@example.org"),
        .recipient = bytes_of(recipient == NULL ? "bob@example.org" : recipient),
        .octets = run->session->octets,
        .is_8bit = run->session->is_8bit};
    if (run->session->messages[run->message] == NULL) {
        smtp_client_quit(run->client);
        return;
    }
    run->message++;
    run->given = 0;
    assert_int_equal(smtp_client_deliver(run->client, &envelope), 0);
}

static void give_message(struct run *run)
{
    struct bytes rest = bytes_from(bytes_of(run->session->messages[run->message - 1]), run->given);
    if (rest.size == 0) {
        smtp_client_message_end(run->client);
        return;
    }
    rest.size = rest.size < run->piece ? rest.size : run->piece;
    size_t taken = smtp_client_message(run->client, rest);
    assert_true(taken > 0);
    run->given += taken;
}

static void tell_close(struct run *run, const struct smtp_client_event *event)
{
    static const char *const errors[] = {"none",    "peer-gone", "refused", "reply",
                                         "unasked", "line-end",  "limit"};
    char what[64];
    (void)snprintf(what, sizeof what, "close %s%s%s", errors[event->error],
                   event->under_way ? " under-way" : "", event->unclear ? " unclear" : "");
    tell(run, what, event);
}

static void drive(const struct session *session, size_t piece)
{
    static struct run run;
    struct smtp_client_event event = {0};
    memset(&run, 0, sizeof run);
    run.session = session;
    run.piece = piece;
    run.client = malloc(smtp_client_size());
    assert_non_null(smtp_client_init(
        run.client, &(struct smtp_options){.protocol = session->protocol, .host = "me.example"}));
    while (event.type != SMTP_CLIENT_CLOSE) {
        smtp_client_next(run.client, &event);
        switch (event.type) {
        case SMTP_CLIENT_NEED_INPUT:
            read_some(&run);
            break;
        case SMTP_CLIENT_WRITE:
            write_some(&run, event.write);
            break;
        case SMTP_CLIENT_IDLE:
            begin_message(&run);
            break;
        case SMTP_CLIENT_HANDSHAKE:
            shake_hands(&run);
            break;
        case SMTP_CLIENT_CHALLENGE:
            respond(&run, &event);
            break;
        case SMTP_CLIENT_MESSAGE:
            give_message(&run);
            break;
        case SMTP_CLIENT_RESULT:
            tell(&run, "result", &event);
            break;
        case SMTP_CLIENT_CLOSE:
            tell_close(&run, &event);
            break;
        }
    }
    assert_string_equal(run.trace, session->trace);
    assert_int_equal(run.sent_size, 0);
    free(run.client);
}

static void drive_all(const struct session *sessions, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        for (size_t piece = 1; piece <= 40; piece++) {
            drive(&sessions[i], piece);
        }
        drive(&sessions[i], 70000);
    }
}

#define GREETING NULL, "220 lmtp.example ready\r\n"
#define PLAIN    "LHLO me.example\r\n", "250 lmtp.example\r\n"
#define FULL                                                                                       \
    "LHLO me.example\r\n", "250-lmtp.example\r\n250-PIPELINING\r\n250-8bitmime\r\n250-SIZE "       \
                           "1000\r\n250 ENHANCEDSTATUSCODES\r\n"
#define QUIT "QUIT\r\n", "221 bye\r\n"
#define MAIL "MAIL FROM:<alice@example.org>\r\n"
#define RCPT "RCPT TO:<bob@example.org>\r\n"

static void test_deliveries(void **state)
{
    (void)state;
    static const struct session sessions[] = {
        {.protocol = SMTP_PROTOCOL_LMTP,
         .steps = {{GREETING},
                   {PLAIN},
                   {MAIL, "250 ok\r\n"},
                   {RCPT, "250 ok\r\n"},
                   {"DATA\r\n", "354 go on\r\n"},
                   {"a: b\r\n\r\n..\r\n..x\r\ny.\r\nlast\r\n.\r\n", "250 2.0.0 stored\r\n"},
                   {MAIL, "250 ok\r\n"},
                   {RCPT, "250 ok\r\n"},
                   {"DATA\r\n", "354\r\n"},
                   {".\r\n", "250-2.0.0 stored\r\n250 twice\r\n"},
                   {QUIT}},
         .messages = {"a: b\n\n.\n.x\r\ny.\nlast", ""},
         .trace = "result accepted 250 2.0.0 stored\nresult accepted 250 2.0.0 stored twice\n"
                  "close none accepted 0 \n"},
        {.protocol = SMTP_PROTOCOL_LMTP,
         .steps = {{GREETING},
                   {FULL},
                   {"MAIL FROM:<alice@example.org> SIZE=9 BODY=8BITMIME\r\n" RCPT,
                    "250 ok\r\n250 ok\r\n"},
                   {"DATA\r\n", "354 go on\r\n"},
                   {"\r\nh\xc3\xa9\r\n\r\n..\r\n\r\n.\r\n", "250 ok\r\n"},
                   {QUIT}},
         .messages = {"\rh\xc3\xa9\r\r.\n\r"},
         .octets = 9,
         .is_8bit = true,
         .trace = "result accepted 250 ok\nclose none accepted 0 \n"},
    };
    drive_all(sessions, sizeof sessions / sizeof *sessions);
}

static void test_refusals(void **state)
{
    (void)state;
    static const struct session sessions[] = {
        /* MAIL, then all goes well with the next */
        {.protocol = SMTP_PROTOCOL_LMTP,
         .steps = {{GREETING},
                   {PLAIN},
                   {MAIL, "452 4.3.1 full\r\n"},
                   {"RSET\r\n", "250 ok\r\n"},
                   {MAIL, "250 ok\r\n"},
                   {RCPT, "550 5.1.1 nobody\r\n"},
                   {"RSET\r\n", "250 ok\r\n"},
                   {QUIT}},
         .messages = {"x", "y"},
         .trace = "result temporary 452 4.3.1 full\nresult permanent 550 5.1.1 nobody\n"
                  "close none accepted 0 \n"},
        /* pipelined: the reply to RCPT is not taken for the reason */
        {.protocol = SMTP_PROTOCOL_LMTP,
         .steps = {{GREETING},
                   {FULL},
                   {MAIL RCPT, "550 5.7.1 no\r\n250 5.5.1 as you like\r\n"},
                   {"RSET\r\n", "250 ok\r\n"},
                   {MAIL RCPT, "250 ok\r\n450-4.2.1 later\r\n450 busy\r\n"},
                   {"RSET\r\n", "250 ok\r\n"},
                   {QUIT}},
         .messages = {"x", "y"},
         .trace = "result permanent 550 5.7.1 no\nresult temporary 450 4.2.1 later busy\n"
                  "close none accepted 0 \n"},
        {.protocol = SMTP_PROTOCOL_LMTP,
         .steps = {{GREETING},
                   {PLAIN},
                   {MAIL, "250 ok\r\n"},
                   {RCPT, "250 ok\r\n"},
                   {"DATA\r\n", "451 4.3.0 later\r\n"},
                   {"RSET\r\n", "250 ok\r\n"},
                   {QUIT}},
         .messages = {"x"},
         .trace = "result temporary 451 4.3.0 later\nclose none accepted 0 \n"},
        {.protocol = SMTP_PROTOCOL_LMTP,
         .steps = {{GREETING},
                   {PLAIN},
                   {MAIL, "250 ok\r\n"},
                   {RCPT, "250 ok\r\n"},
                   {"DATA\r\n", "354 go on\r\n"},
                   {"x\r\n.\r\n", "552 5.2.2 over quota\r\n"},
                   {QUIT}},
         .messages = {"x"},
         .trace = "result permanent 552 5.2.2 over quota\nclose none accepted 0 \n"},
        /* over the limit that LHLO said: nothing is sent */
        {.protocol = SMTP_PROTOCOL_LMTP,
         .steps = {{GREETING}, {FULL}, {QUIT}},
         .messages = {"x"},
         .octets = 1001,
         .trace = "result permanent 0 the server takes messages of at most 1000 octets\n"
                  "close none accepted 0 \n"},
        {.protocol = SMTP_PROTOCOL_LMTP,
         .steps = {{NULL, "554 5.3.2 not now\r\n"}},
         .trace = "close refused permanent 554 5.3.2 not now\n"},
        {.protocol = SMTP_PROTOCOL_LMTP,
         .steps = {{NULL, "421 4.3.2 busy\r\n"}},
         .trace = "close refused temporary 421 4.3.2 busy\n"},
        {.protocol = SMTP_PROTOCOL_LMTP,
         .steps = {{GREETING}, {"LHLO me.example\r\n", "500 what\r\n"}},
         .trace = "close refused permanent 500 what\n"},
        {.protocol = SMTP_PROTOCOL_LMTP,
         .steps = {{GREETING}, {PLAIN}, {MAIL, "250 ok\r\n"}, {RCPT, "421 4.3.2 going down\r\n"}},
         .messages = {"x"},
         .trace = "result temporary 421 4.3.2 going down\n"
                  "close refused temporary 421 4.3.2 going down\n"},
    };
    drive_all(sessions, sizeof sessions / sizeof *sessions);
}

/* The connection ends: what is known of the message? */
static void test_cut(void **state)
{
    (void)state;
    static const struct session sessions[] = {
        {.protocol = SMTP_PROTOCOL_LMTP,
         .steps = {{GREETING}, {"LHLO me.example\r\n", ""}},
         .trace = "close peer-gone accepted 0 \n"},
        {.protocol = SMTP_PROTOCOL_LMTP,
         .steps = {{GREETING}, {PLAIN}, {MAIL, ""}},
         .messages = {"x"},
         .trace = "close peer-gone under-way accepted 0 \n"},
        {.protocol = SMTP_PROTOCOL_LMTP,
         .steps =
             {{GREETING}, {PLAIN}, {MAIL, "250 ok\r\n"}, {RCPT, "250 ok\r\n"}, {"DATA\r\n", "354"}},
         .messages = {"x"},
         .trace = "close peer-gone under-way accepted 0 \n"},
        {.protocol = SMTP_PROTOCOL_LMTP,
         .steps = {{GREETING},
                   {PLAIN},
                   {MAIL, "250 ok\r\n"},
                   {RCPT, "250 ok\r\n"},
                   {"DATA\r\n", "354 go on\r\n"},
                   {"x\r\n.\r\n", "250 ok\r"}},
         .messages = {"x"},
         .trace = "close peer-gone under-way unclear accepted 0 \n"},
        {.protocol = SMTP_PROTOCOL_LMTP,
         .steps = {{GREETING}, {FULL}, {MAIL RCPT, "550 no\r\n"}},
         .messages = {"x"},
         .trace = "result permanent 550 no\nclose peer-gone accepted 0 \n"},
        {.protocol = SMTP_PROTOCOL_LMTP,
         .steps = {{GREETING}, {PLAIN}, {"QUIT\r\n", ""}},
         .trace = "close none accepted 0 \n"},
    };
    drive_all(sessions, sizeof sessions / sizeof *sessions);
}

static void test_servers_that_make_no_sense(void **state)
{
    (void)state;
    static const struct session sessions[] = {
        {.protocol = SMTP_PROTOCOL_LMTP,
         .steps = {{NULL, "+OK ready\r\n"}},
         .trace = "close reply accepted 0 \n"},
        {.protocol = SMTP_PROTOCOL_LMTP,
         .steps = {{NULL, "220 ready\n"}},
         .trace = "close line-end accepted 0 \n"},
        {.protocol = SMTP_PROTOCOL_LMTP,
         .steps = {{NULL, "22\r\n"}},
         .trace = "close reply accepted 0 \n"},
        {.protocol = SMTP_PROTOCOL_LMTP,
         .steps = {{NULL, "2200 ready\r\n"}},
         .trace = "close reply accepted 0 \n"},
        {.protocol = SMTP_PROTOCOL_LMTP,
         .steps = {{NULL, "199 ready\r\n"}},
         .trace = "close reply accepted 0 \n"},
        {.protocol = SMTP_PROTOCOL_LMTP,
         .steps = {{NULL, "600 ready\r\n"}},
         .trace = "close reply accepted 0 \n"},
        {.protocol = SMTP_PROTOCOL_LMTP,
         .steps = {{NULL, "354 ready\r\n"}},
         .trace = "close reply accepted 0 \n"},
        {.protocol = SMTP_PROTOCOL_LMTP,
         .steps = {{NULL, "220-one\r\n250 other\r\n"}},
         .trace = "close reply accepted 0 \n"},
        {.protocol = SMTP_PROTOCOL_LMTP,
         .steps = {{GREETING},
                   {PLAIN},
                   {MAIL, "250 ok\r\n"},
                   {RCPT, "250 ok\r\n"},
                   {"DATA\r\n", "250 ok\r\n"}},
         .messages = {"x"},
         .trace = "close reply under-way accepted 0 \n"},
        {.protocol = SMTP_PROTOCOL_LMTP,
         .steps = {{GREETING}, {PLAIN}, {MAIL, "452 full\r\n"}, {"RSET\r\n", "500 what\r\n"}},
         .messages = {"x"},
         .trace = "result temporary 452 full\nclose reply accepted 0 \n"},
    };
    drive_all(sessions, sizeof sessions / sizeof *sessions);
}

#define SMTP_GREETING NULL, "220 mx.example ESMTP\r\n"
#define EHLO          "EHLO me.example\r\n"
#define SMTP_PLAIN    EHLO, "250-mx.example\r\n250 8BITMIME\r\n"

static void test_smtp(void **state)
{
    (void)state;
    static const struct session sessions[] = {
        /* one reply to the end of a message, and the next one may begin */
        {.steps = {{SMTP_GREETING},
                   {SMTP_PLAIN},
                   {"MAIL FROM:<alice@example.org> BODY=8BITMIME\r\n", "250 ok\r\n"},
                   {RCPT, "251 will forward\r\n"},
                   {"DATA\r\n", "354 go on\r\n"},
                   {"x\r\n.\r\n", "250 2.0.0 queued\r\n"},
                   {QUIT}},
         .messages = {"x"},
         .is_8bit = true,
         .trace = "result accepted 250 2.0.0 queued\nclose none accepted 0 \n"},
        /* a server from before EHLO, which may not have eight bits */
        {.steps = {{SMTP_GREETING},
                   {EHLO, "502 what\r\n"},
                   {"HELO me.example\r\n", "250 hello\r\n"},
                   {QUIT}},
         .messages = {"\xc3\xa9"},
         .is_8bit = true,
         .trace = "result permanent 0 the server does not take octets above 127 (it has no "
                  "8BITMIME)\nclose none accepted 0 \n"},
        {.steps = {{SMTP_GREETING}, {EHLO, "502 what\r\n"}, {"HELO me.example\r\n", "550 no\r\n"}},
         .trace = "close refused permanent 550 no\n"},
        {.steps = {{SMTP_GREETING}, {EHLO, "451 later\r\n"}},
         .trace = "close refused temporary 451 later\n"},
    };
    drive_all(sessions, sizeof sessions / sizeof *sessions);
}

static void test_starttls(void **state)
{
    (void)state;
    static const struct session sessions[] = {
        /* what was said before TLS (SIZE, PIPELINING) is forgotten */
        {.steps = {{SMTP_GREETING},
                   {EHLO, "250-mx.example\r\n250-PIPELINING\r\n250-SIZE 1\r\n250 STARTTLS\r\n"},
                   {"STARTTLS\r\n", "220 go\r\n"},
                   {EHLO, "250 mx.example\r\n"},
                   {MAIL, "250 ok\r\n"},
                   {RCPT, "550 no\r\n"},
                   {"RSET\r\n", "250 ok\r\n"},
                   {QUIT}},
         .starts_tls = true,
         .messages = {"x"},
         .octets = 100,
         .trace = "result permanent 550 no\nclose none accepted 0 \n"},
        {.steps = {{SMTP_GREETING},
                   {EHLO, "250-mx.example\r\n250 STARTTLS\r\n"},
                   {"STARTTLS\r\n", "454 4.7.0 no certificate\r\n"},
                   {QUIT}},
         .starts_tls = true,
         .trace = "result temporary 454 4.7.0 no certificate\nclose none accepted 0 \n"},
        {.steps = {{SMTP_GREETING}, {EHLO, "250 STARTTLS\r\n"}, {"STARTTLS\r\n", "250 ok\r\n"}},
         .starts_tls = true,
         .trace = "close reply accepted 0 \n"},
    };
    drive_all(sessions, sizeof sessions / sizeof *sessions);
}

/* What comes in one piece with the reply to STARTTLS is not taken: CVE-2011-0411. */
static void test_octets_before_tls(void **state)
{
    (void)state;
    struct smtp_client *client = malloc(smtp_client_size());
    struct smtp_client_event event;
    (void)smtp_client_init(client, &(struct smtp_options){.host = "me"});
    (void)smtp_client_feed(client, bytes_of("220 a\r\n"));
    smtp_client_next(client, &event);
    smtp_client_written(client, event.write.size);
    (void)smtp_client_feed(client, bytes_of("250-a\r\n250 starttls\r\n"));
    assert_true(smtp_client_offers_tls(client));
    smtp_client_starttls(client);
    smtp_client_next(client, &event);
    smtp_client_written(client, event.write.size);
    assert_int_equal(smtp_client_feed(client, bytes_of("220 go\r\n250 AUTH PLAIN\r\n")), 8);
    smtp_client_next(client, &event);
    assert_int_equal(event.type, SMTP_CLIENT_HANDSHAKE);
    smtp_client_secured(client);
    assert_false(smtp_client_offers_tls(client));
    free(client);
}

#define WITH_AUTH EHLO, "250-mx.example\r\n250 AUTH login Plain\r\n"

static void test_auth(void **state)
{
    (void)state;
    static const struct session sessions[] = {
        {.steps = {{SMTP_GREETING},
                   {WITH_AUTH},
                   {"AUTH PLAIN YWJj\r\n", "235 2.7.0 welcome\r\n"},
                   {QUIT}},
         .mechanism = "PLAIN",
         .responses = {"abc"},
         .trace = "result accepted 235 2.7.0 welcome\nclose none accepted 0 \n"},
        {.steps = {{SMTP_GREETING},
                   {WITH_AUTH},
                   {"AUTH LOGIN\r\n", "334 VXNlcm5hbWU6\r\n"},
                   {"YWJj\r\n", "334\r\n"},
                   {"\r\n", "535 5.7.8 no\r\n"},
                   {QUIT}},
         .mechanism = "LOGIN",
         .responses = {NULL, "abc", ""},
         .trace = "challenge accepted 0 Username:\nchallenge accepted 0 \n"
                  "result permanent 535 5.7.8 no\nclose none accepted 0 \n"},
        {.steps = {{SMTP_GREETING},
                   {WITH_AUTH},
                   {"AUTH EXTERNAL =\r\n", "334 \r\n"},
                   {"*\r\n", "501 5.7.0 as you like\r\n"},
                   {QUIT}},
         .mechanism = "EXTERNAL",
         .responses = {""},
         .trace = "challenge accepted 0 \nresult permanent 501 5.7.0 as you like\n"
                  "close none accepted 0 \n"},
        /* no base64: given up, and a server that does not end it then is left */
        {.steps = {{SMTP_GREETING},
                   {WITH_AUTH},
                   {"AUTH LOGIN\r\n", "334 what?\r\n"},
                   {"*\r\n", "334 \r\n"}},
         .mechanism = "LOGIN",
         .trace = "close reply accepted 0 \n"},
    };
    drive_all(sessions, sizeof sessions / sizeof *sessions);
}

/* RFC 4954 section 4: a response for which the line of AUTH is too short waits for the server's empty challenge. */
static void test_a_long_response(void **state)
{
    (void)state;
    static char response[601], code[900], line[1000];
    memset(response, 'a', 600);
    for (size_t i = 0; i < 800; i += 4) {
        memcpy(code + i, "YWFh", 4);
    }
    (void)snprintf(line, sizeof line, "%s\r\n", code);
    struct session session = {.steps = {{SMTP_GREETING},
                                        {WITH_AUTH},
                                        {"AUTH PLAIN\r\n", "334 \r\n"},
                                        {line, "235 ok\r\n"},
                                        {QUIT}},
                              .mechanism = "PLAIN",
                              .responses = {response},
                              .trace = "result accepted 235 ok\nclose none accepted 0 \n"};
    drive(&session, 1);
    drive(&session, 70000);
}

/* What AUTH has said is nowhere in the session when it is answered. */
static void test_nothing_is_left_of_auth(void **state)
{
    (void)state;
    struct bytes response = bytes_of("c2VjcmV0");
    struct smtp_client *client = calloc(1, smtp_client_size());
    struct smtp_client_event event;
    (void)smtp_client_init(client, &(struct smtp_options){.host = "me"});
    (void)smtp_client_feed(client, bytes_of("220 a\r\n"));
    smtp_client_next(client, &event);
    smtp_client_written(client, event.write.size);
    (void)smtp_client_feed(client, bytes_of("250-a\r\n250 AUTH PLAIN\r\n"));
    assert_string_equal(smtp_client_mechanisms(client), "PLAIN");
    assert_int_equal(smtp_client_auth(client, "PLAIN", &response), 0);
    smtp_client_next(client, &event);
    assert_non_null(memmem(client, smtp_client_size(), "YzJWamNtVjA=", 12));
    smtp_client_written(client, event.write.size);
    assert_null(memmem(client, smtp_client_size(), "YzJWamNtVjA=", 12));
    free(client);
}

/* A reply that nobody asked for is seen before the next message goes out. */
static void test_unasked(void **state)
{
    (void)state;
    struct smtp_client *client = malloc(smtp_client_size());
    struct smtp_client_event event;
    (void)smtp_client_init(client,
                           &(struct smtp_options){.protocol = SMTP_PROTOCOL_LMTP, .host = "me"});
    (void)smtp_client_feed(client, bytes_of("220 a\r\n"));
    smtp_client_next(client, &event);
    smtp_client_written(client, event.write.size);
    struct bytes more = bytes_of("250 a\r\n250 b\r\n");
    assert_int_equal(smtp_client_feed(client, more), more.size);
    smtp_client_next(client, &event);
    assert_int_equal(event.type, SMTP_CLIENT_CLOSE);
    assert_int_equal(event.error, SMTP_CLIENT_ERROR_UNASKED);
    assert_int_equal(
        smtp_client_deliver(client, &(struct smtp_envelope){.recipient = bytes_of("a")}), -1);
    free(client);
}

static enum smtp_client_error error_of_greeting(const char *octets, size_t size)
{
    struct smtp_client *client = malloc(smtp_client_size());
    struct smtp_client_event event;
    (void)smtp_client_init(client,
                           &(struct smtp_options){.protocol = SMTP_PROTOCOL_LMTP, .host = "me"});
    (void)smtp_client_feed(client, (struct bytes){(const uint8_t *)octets, size});
    smtp_client_next(client, &event);
    enum smtp_client_error error =
        event.type == SMTP_CLIENT_CLOSE ? event.error : SMTP_CLIENT_ERROR_NONE;
    free(client);
    return error;
}

static void test_limits(void **state)
{
    (void)state;
    static char text[SMTP_REPLY_LINES * 7 + 100];
    static char line[SMTP_LINE_OCTETS + 10];
    memset(line, 'x', sizeof line);
    memcpy(line, "220 ", 4);
    memcpy(line + SMTP_LINE_OCTETS - 2, "\r\n", 2);
    assert_int_equal(error_of_greeting(line, SMTP_LINE_OCTETS), SMTP_CLIENT_ERROR_NONE);
    line[SMTP_LINE_OCTETS - 2] = 'x';
    memcpy(line + SMTP_LINE_OCTETS - 1, "\r\n", 2);
    assert_int_equal(error_of_greeting(line, SMTP_LINE_OCTETS + 1), SMTP_CLIENT_ERROR_LIMIT);
    for (size_t i = 0; i <= SMTP_REPLY_LINES; i++) {
        memcpy(text + 7 * i, "220-x\r\n", 7);
    }
    assert_int_equal(error_of_greeting(text, 7 * (size_t)SMTP_REPLY_LINES), SMTP_CLIENT_ERROR_NONE);
    assert_int_equal(error_of_greeting(text, 7 * (size_t)(SMTP_REPLY_LINES + 1)),
                     SMTP_CLIENT_ERROR_LIMIT);
}

static void test_addresses(void **state)
{
    (void)state;
    static const struct {
        const char *recipient;
        int result;
    } rows[] = {
        {"bob", 0},
        {"\"bob <> dole\\\"\"@example.org", 0},
        {"", -1},
        {"bob> NOTIFY=NEVER <x", -1},
        {"bob\r\nDATA", -1},
        {"bob dole@example.org", -1},
        {"\"bob@example.org", -1},
        {"\"bob\\\"@example.org", -1},
        {"b\xc3\xb6"
         "b@example.org",
         -1},
        {"\"bob\\\r\"@example.org", -1},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct smtp_client *client = malloc(smtp_client_size());
        struct smtp_client_event event;
        (void)smtp_client_init(
            client, &(struct smtp_options){.protocol = SMTP_PROTOCOL_LMTP, .host = "me"});
        (void)smtp_client_feed(client, bytes_of("220 a\r\n250 a\r\n"));
        smtp_client_next(client, &event);
        smtp_client_written(client, event.write.size);
        struct smtp_envelope envelope = {.recipient = bytes_of(rows[i].recipient)};
        assert_int_equal(smtp_client_deliver(client, &envelope), rows[i].result);
        envelope.sender = envelope.recipient;
        envelope.recipient = bytes_of("b");
        if (rows[i].result < 0 && rows[i].recipient[0] != '\0') {
            assert_int_equal(smtp_client_deliver(client, &envelope), -1);
        }
        free(client);
    }
    struct smtp_client *client = malloc(smtp_client_size());
    assert_null(smtp_client_init(client, &(struct smtp_options){.host = "me\r\nx"}));
    assert_null(smtp_client_init(client, &(struct smtp_options){.host = ""}));
    free(client);
}

/* More than the engine's buffer, all of it what grows most. */
static void test_a_long_message(void **state)
{
    (void)state;
    static char message[12001], expected[48010];
    for (size_t i = 0; i < 12000; i += 2) {
        memcpy(message + i, "\r.", 2);
        memcpy(expected + 2 * i, "\r\n..", 4);
    }
    memcpy(expected + 24000, "\r\n.\r\n", 6);
    struct session session = {.protocol = SMTP_PROTOCOL_LMTP,
                              .steps = {{GREETING},
                                        {PLAIN},
                                        {MAIL, "250 ok\r\n"},
                                        {RCPT, "250 ok\r\n"},
                                        {"DATA\r\n", "354 go on\r\n"},
                                        {expected, "250 ok\r\n"},
                                        {QUIT}},
                              .messages = {message},
                              .trace = "result accepted 250 ok\nclose none accepted 0 \n"};
    static const size_t pieces[] = {1, 7, 4096, 70000};
    for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++) {
        drive(&session, pieces[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_deliveries),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_cut),
        cmocka_unit_test(test_servers_that_make_no_sense),
        cmocka_unit_test(test_smtp),
        cmocka_unit_test(test_starttls),
        cmocka_unit_test(test_octets_before_tls),
        cmocka_unit_test(test_auth),
        cmocka_unit_test(test_a_long_response),
        cmocka_unit_test(test_nothing_is_left_of_auth),
        cmocka_unit_test(test_unasked),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_addresses),
        cmocka_unit_test(test_a_long_message),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
