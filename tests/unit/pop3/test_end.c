/* SPDX-License-Identifier: MIT */
/* The end of a session: from the host, in every place, and the switch to TLS (promises 1 and 7). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "host.h"

static void test_end_by_timeout_says_nothing(void **state)
{
    (void)state;
    struct host *host = host_new_session(1);
    host_feed_text(host, "DELE 1\r\n");
    (void)host_sent(host);
    host_end(host, POP3_END_TIMEOUT);
    assert_string_equal(host_sent(host), "");
    assert_true(host->closed && host->released && !host->committed);
    assert_int_equal(pop3_server_state(host->session), POP3_ENDED);
    host_delete(host);
}

static void test_end_tells_an_idle_peer(void **state)
{
    (void)state;
    struct host *host = host_new_session(1);
    host_end(host, POP3_END_TAKEN_OVER);
    assert_string_equal(host_sent(host), "-ERR [SYS/TEMP] Another session takes this mailbox\r\n");
    assert_true(host->closed && host->released);
    host_delete(host);

    host = host_new(0);
    host_start(host);
    (void)host_sent(host);
    host_feed_text(host, "USER ali");
    host_end(host, POP3_END_SHUTDOWN);
    assert_string_equal(host_sent(host),
                        "-ERR [SYS/TEMP] Server is going down, please try again later\r\n");
    assert_true(host->closed && !host->released);
    host_delete(host);
}

/* The lock is free before a silent peer has taken its last line. */
static void test_end_releases_before_it_writes(void **state)
{
    (void)state;
    struct host *host = host_new_session(1);
    struct pop3_server_event event;
    pop3_server_end(host->session, POP3_END_TAKEN_OVER);
    pop3_server_next(host->session, &event);
    assert_int_equal(event.type, POP3_SERVER_RELEASE);
    host_answer(host, &event);
    pop3_server_next(host->session, &event);
    host_answer(host, &event); /* LEND */
    pop3_server_next(host->session, &event);
    assert_int_equal(event.type, POP3_SERVER_WRITE);
    pop3_server_end(host->session, POP3_END_PEER_GONE); /* it does not take it */
    pop3_server_written(host->session, 1);              /* what the socket took meanwhile */
    pop3_server_next(host->session, &event);
    assert_int_equal(event.type, POP3_SERVER_CLOSE);
    host_delete(host);
}

/* Each place where a host can be when it ends a session. */
static void test_end_everywhere(void **state)
{
    (void)state;
    static const struct {
        const char *commands;
        enum pop3_server_event_type type;
        bool inside; /* a multi-line response: nothing more may be written */
        bool unlocks;
    } places[] = {
        {"LIST\r\n", POP3_SERVER_ROWS, true, true},
        {"UIDL\r\n", POP3_SERVER_ROWS, true, true},
        {"LIST 1\r\n", POP3_SERVER_ROWS, false, true},
        {"DELE 1\r\n", POP3_SERVER_ROWS, false, true},
        {"DELE 1\r\n", POP3_SERVER_LEND, false, true},
        {"RETR 1\r\n", POP3_SERVER_SEND, false, true},
        {"RETR 1\r\n", POP3_SERVER_MESSAGE, true, true},
        {"TOP 1 0\r\n", POP3_SERVER_STOP, false, true},
    };
    static const enum pop3_end_reason reasons[] = {POP3_END_PEER_GONE, POP3_END_TIMEOUT,
                                                   POP3_END_TAKEN_OVER, POP3_END_SHUTDOWN};
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        for (size_t k = 0; k < 4; k++) {
            struct host *host = host_new_session(2);
            host_run_to(host, places[i].commands, places[i].type);
            bool said = host->sent_size != 0;
            host_end(host, reasons[k]);
            assert_true(host->closed && host->released == places[i].unlocks);
            assert_false(host->messages[0].removed);
            const char *sent = host_sent(host);
            bool told = strstr(sent, "-ERR [SYS/TEMP] ") != NULL;
            assert_int_equal(told, !places[i].inside && k >= 2);
            assert_true(told || (sent[0] != '\0') == said);
            host_delete(host);
        }
    }
}

static void test_end_while_logging_in(void **state)
{
    (void)state;
    struct host *host = host_new(1);
    host_start(host);
    host_run_to(host, "USER alice\r\n", POP3_SERVER_WRITE);
    host_run_to(host, "PASS secret\r\n", POP3_SERVER_AUTHENTICATE);
    host_end(host, POP3_END_PEER_GONE);
    assert_true(host->closed && !host->released);
    host_delete(host);

    host = host_new(1);
    host_start(host);
    host_run_to(host, "USER alice\r\n", POP3_SERVER_WRITE);
    host_run_to(host, "PASS secret\r\n", POP3_SERVER_OPEN);
    host->locked = true; /* the host may have got the lock by now */
    host_end(host, POP3_END_PEER_GONE);
    assert_true(host->closed && host->released);
    host_delete(host);
}

/* COMMIT is never cut off: what QUIT asked for is done, and said if there is somebody. */
static void test_end_while_committing(void **state)
{
    (void)state;
    for (int k = 0; k < 2; k++) {
        struct host *host = host_new_session(2);
        host_feed_text(host, "DELE 2\r\n");
        (void)host_sent(host);
        host_run_to(host, "QUIT\r\n", POP3_SERVER_COMMIT);
        host_end(host, k == 0 ? POP3_END_PEER_GONE : POP3_END_SHUTDOWN);
        assert_true(host->closed && host->committed && !host->released);
        assert_true(host->messages[1].removed && !host->messages[0].removed);
        assert_string_equal(host_sent(host), k == 0 ? "" : "+OK Goodbye\r\n");
        assert_int_equal(pop3_server_counters(host->session)->marked_count, 1);
        host_delete(host);
    }
}

/* After the end everything is taken and dropped, and CLOSE stays. */
static void test_close_is_final(void **state)
{
    (void)state;
    struct host *host = host_new_session(1);
    struct pop3_server_event event;
    host_feed_text(host, "QUIT\r\n");
    assert_true(host->closed);
    assert_int_equal(pop3_server_feed(host->session, "DELE 1\r\nQUIT\r\n", 14), 14);
    pop3_server_flush(host->session);
    pop3_server_end(host->session, POP3_END_SHUTDOWN);
    pop3_server_next(host->session, &event);
    assert_int_equal(event.type, POP3_SERVER_CLOSE);
    host_delete(host);
}

/* Promise 7: plaintext behind STLS is never interpreted, whether the host has fed it or not. */
static void test_plaintext_behind_stls(void **state)
{
    (void)state;
    static const char input[] = "STLS\r\nUSER alice\r\nPASS secret\r\n";
    for (size_t first = 6; first <= sizeof input - 1; first++) {
        struct host *host = host_new(1);
        struct pop3_server_event event;
        host->connection.starttls = 1;
        host_start(host);
        (void)host_sent(host);
        size_t taken = pop3_server_feed(host->session, input, first);
        assert_int_equal(taken, 6);
        size_t rest = sizeof input - 1 - taken;
        assert_int_equal(pop3_server_feed(host->session, input + taken, rest), 0);
        for (;;) {
            pop3_server_next(host->session, &event);
            if (event.type == POP3_SERVER_CLOSE) {
                break;
            }
            assert_true(event.type == POP3_SERVER_WRITE || event.type == POP3_SERVER_LEND);
            host_answer(host, &event);
        }
        assert_string_equal(host_sent(host), "+OK Begin TLS negotiation\r\n");
        assert_int_equal(pop3_server_state(host->session), POP3_ENDED);
        host_delete(host);
    }
}

/* Once STARTTLS has been given, octets are TLS's: they are not taken, and do not end the session. */
static void test_nothing_is_taken_during_the_handshake(void **state)
{
    (void)state;
    struct host *host = host_new(0);
    struct pop3_server_event event;
    host->connection.starttls = 1;
    host_start(host);
    host_run_to(host, "STLS\r\n", POP3_SERVER_STARTTLS);
    assert_null(host->lent[POP3_LEND_OUTPUT]);
    assert_int_equal(pop3_server_feed(host->session, "USER alice\r\n", 12), 0);
    pop3_server_next(host->session, &event);
    assert_int_equal(event.type, POP3_SERVER_STARTTLS);
    host_answer(host, &event);
    (void)host_sent(host);
    host_feed_text(host, "USER alice\r\nPASS secret\r\n");
    assert_string_equal(host_sent(host), "+OK\r\n+OK Mailbox locked and ready\r\n");
    host_delete(host);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_end_by_timeout_says_nothing),
        cmocka_unit_test(test_end_tells_an_idle_peer),
        cmocka_unit_test(test_end_releases_before_it_writes),
        cmocka_unit_test(test_end_everywhere),
        cmocka_unit_test(test_end_while_logging_in),
        cmocka_unit_test(test_end_while_committing),
        cmocka_unit_test(test_close_is_final),
        cmocka_unit_test(test_plaintext_behind_stls),
        cmocka_unit_test(test_nothing_is_taken_during_the_handshake),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
