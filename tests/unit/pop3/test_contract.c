/* SPDX-License-Identifier: MIT */
/* What <pop3/server.h> promises a host, and no dialogue can show. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "host.h"

static void test_session_is_small(void **state)
{
    (void)state;
    assert_true(pop3_server_size() <= 1024);
}

/* 300 pipelined commands are one WRITE, and an idle session holds no output. */
static void test_replies_are_gathered(void **state)
{
    (void)state;
    struct host *host = host_new_session(2);
    uint64_t writes = host->events[POP3_SERVER_WRITE];
    char commands[300 * 9 + 1] = "";
    for (size_t i = 0; i < 300; i++) {
        memcpy(commands + 9 * i, i % 2 == 0 ? "LIST 1 \r\n" : "STAT   \r\n", 9);
    }
    host_feed(host, commands, 300 * 9);
    assert_int_equal(host->events[POP3_SERVER_WRITE], writes + 1);
    assert_int_equal(strlen(host_sent(host)), 150 * (10 + 10));
    assert_null(host->lent[POP3_LEND_OUTPUT]);
    host_delete(host);
}

/* A long message fills the output before it is written: few writes, no small ones. */
static void test_output_is_filled(void **state)
{
    (void)state;
    struct host *host = host_new(0);
    size_t size = 1U << 20;
    char *text = malloc(size);
    assert_non_null(text);
    memset(text, 'x', size);
    for (size_t i = 75; i < size; i += 76) {
        text[i] = '\n';
    }
    host_add_message(host, text, size);
    host->read_size = 65536;
    host_start(host);
    host_log_in(host);
    uint64_t writes = host->events[POP3_SERVER_WRITE];
    host_feed_text(host, "RETR 1\r\n");
    size_t sent = strlen(host_sent(host));
    writes = host->events[POP3_SERVER_WRITE] - writes;
    assert_true(writes <= sent / 65536 + 1 + sent / 65536 / 8);
    assert_int_equal(pop3_server_counters(host->session)->retr_octets, sent - 3 - 21);
    free(text);
    host_delete(host);
}

static bool holds(const struct host *host, const char *secret)
{
    return memmem(host->session, pop3_server_size(), secret, strlen(secret)) != NULL;
}

/* Promise 6, the engine's part: after the answer the password is not in the session. */
static void test_secrets_are_wiped(void **state)
{
    (void)state;
    struct host *host = host_new(0);
    char long_line[700];
    memset(long_line, 'z', sizeof long_line);
    host->connection.sasl_mechanisms = "PLAIN";
    host_start(host);
    host_feed_text(host, "USER alice\r\nPASS sesame-w");
    assert_true(holds(host, "sesame-w"));
    host_feed_text(host, "rong\r\n");
    assert_false(holds(host, "sesame"));
    host_feed_text(host, "PASS sesame\r\n");
    assert_false(holds(host, "sesame"));
    host_feed_text(host, "USER alice\r\nPASS sesame");
    host_feed(host, long_line, sizeof long_line);
    assert_false(holds(host, "sesame"));
    host_feed_text(host, "\r\nAUTH PLAIN AGFsaWNlAHNlc2FtZQ==\r\n");
    assert_false(holds(host, "sesame"));
    assert_false(holds(host, "AGFsaWNl"));
    host_feed_text(host, "USER alice\r\nPASS secret\r\n");
    assert_int_equal(pop3_server_state(host->session), POP3_TRANSACTION);
    assert_false(holds(host, "secret"));
    host_delete(host);

    host = host_new(0);
    host_start(host);
    host_feed_text(host, "USER alice\r\nPASS sesame");
    host_end(host, POP3_END_PEER_GONE);
    assert_false(holds(host, "sesame"));
    host_delete(host);
}

static void test_sums_beyond_4_gib(void **state)
{
    (void)state;
    struct host *host = host_new(3);
    host->messages[0].octets = UINT64_C(5000000000);
    host->messages[1].octets = UINT64_C(6000000000);
    host->messages[2].octets = 1;
    host_start(host);
    host_log_in(host);
    host_feed_text(host, "STAT\r\nLIST\r\nLIST 2\r\nDELE 2\r\nSTAT\r\nRSET\r\nSTAT\r\n");
    assert_string_equal(host_sent(host),
                        "+OK 3 11000000001\r\n"
                        "+OK 3 messages\r\n1 5000000000\r\n2 6000000000\r\n3 1\r\n.\r\n"
                        "+OK 2 6000000000\r\n"
                        "+OK Message marked for deletion\r\n"
                        "+OK 2 5000000001\r\n"
                        "+OK Nothing is marked for deletion now\r\n"
                        "+OK 3 11000000001\r\n");
    host_delete(host);
}

/* A listing is made page by page as the output drains, whatever its size. */
static void test_long_listings(void **state)
{
    (void)state;
    static const size_t outputs[] = {1024, 1500, 4096, 65536};
    for (size_t i = 0; i < sizeof outputs / sizeof outputs[0]; i++) {
        struct host *host = host_new(HOST_MESSAGES_MOST);
        host->output_size = outputs[i];
        host->write_size = 100;
        host_start(host);
        host_log_in(host);
        host_feed_text(host, "DELE 1\r\nDELE 64\r\nDELE 65\r\nDELE 200\r\n");
        (void)host_sent(host);
        host_feed_text(host, "LIST\r\nUIDL\r\n");
        const char *sent = host_sent(host);
        char expected[200 * 60];
        int used = snprintf(expected, sizeof expected, "+OK 196 messages\r\n");
        for (int pass = 0; pass < 2; pass++) {
            for (int n = 2; n < 200; n++) {
                if (n != 64 && n != 65) {
                    used += snprintf(expected + used, sizeof expected - (size_t)used,
                                     pass == 0 ? "%d 20\r\n" : "%d %d.dialogue\r\n", n, n);
                }
            }
            used += snprintf(expected + used, sizeof expected - (size_t)used, ".\r\n%s",
                             pass == 0 ? "+OK Unique-id listing follows\r\n" : "");
        }
        assert_string_equal(sent, expected);
        host_delete(host);
    }
}

/* Memory is lent when it is needed and given back when it is not. */
static void test_marks_are_returned(void **state)
{
    (void)state;
    struct host *host = host_new_session(9);
    assert_null(host->lent[POP3_LEND_MARKS]);
    host_feed_text(host, "DELE 9\r\n");
    assert_non_null(host->lent[POP3_LEND_MARKS]);
    assert_int_equal(host->lent_size[POP3_LEND_MARKS], 2);
    host_feed_text(host, "RSET\r\n");
    assert_null(host->lent[POP3_LEND_MARKS]);
    host_delete(host);
}

static void test_refused_output_closes(void **state)
{
    (void)state;
    struct host *host = host_new(1);
    host->refuse = POP3_LEND_OUTPUT;
    host_start(host);
    assert_true(host->closed);
    assert_false(host->released);
    host_delete(host);

    host = host_new_session(1);
    host_feed_text(host, "DELE 1\r\n");
    host->refuse = POP3_LEND_OUTPUT;
    host_feed_text(host, "QUIT\r\n");
    assert_true(host->closed && host->released && !host->committed);
    assert_false(host->messages[0].removed);
    host_delete(host);
}

/* flush: the replies so far go out although a question is open; the question can be answered meanwhile. */
static void test_flush(void **state)
{
    (void)state;
    struct host *host = host_new(1);
    struct pop3_server_event event;
    host_start(host);
    (void)host_sent(host);
    host_run_to(host, "USER alice\r\nNOOP\r\nUSER alice\r\nPASS secret\r\n",
                POP3_SERVER_AUTHENTICATE);
    assert_string_equal(host_sent(host), "");
    pop3_server_flush(host->session);
    pop3_server_next(host->session, &event);
    assert_int_equal(event.type, POP3_SERVER_WRITE);
    const char *octets = event.u.write.data;
    size_t size = event.u.write.size;
    assert_memory_equal(octets, "+OK\r\n-ERR Log in first\r\n+OK\r\n", size);
    pop3_server_authenticated(host->session);
    pop3_server_opened(host->session, 1, 20);
    assert_memory_equal(octets, "+OK\r\n-ERR Log in first\r\n+OK\r\n", size);
    pop3_server_written(host->session, size);
    pop3_server_next(host->session, &event);
    assert_int_equal(event.type, POP3_SERVER_WRITE);
    assert_memory_equal(event.u.write.data, "+OK Mailbox locked and ready\r\n", event.u.write.size);
    host->locked = true;
    host_end(host, POP3_END_PEER_GONE);
    host_delete(host);
}

/* What an event points to stays until the answer, also across a flush. */
static void test_authenticate_pointers_last(void **state)
{
    (void)state;
    struct host *host = host_new(1);
    struct pop3_server_event event;
    host_start(host);
    host_run_to(host, "USER alice\r\nPASS two words\r\n", POP3_SERVER_AUTHENTICATE);
    pop3_server_next(host->session, &event);
    struct pop3_server_event first = event;
    pop3_server_flush(host->session);
    pop3_server_next(host->session, &event);
    pop3_server_written(host->session, event.u.write.size);
    assert_int_equal(pop3_server_feed(host->session, "QUIT\r\n", 6), 0);
    assert_int_equal(first.u.authenticate.name_size, 5);
    assert_memory_equal(first.u.authenticate.name, "alice", 5);
    assert_int_equal(first.u.authenticate.response_size, 9);
    assert_memory_equal(first.u.authenticate.response, "two words", 9);
    pop3_server_failed(host->session, POP3_FAILURE_CREDENTIALS);
    host_delete(host);
}

/* A challenge of 3000 octets has room in 4096, whatever came before; one that has none is no crash. */
static void test_challenges(void **state)
{
    (void)state;
    char challenge[3001];
    memset(challenge, 'c', sizeof challenge);
    for (int k = 0; k < 2; k++) {
        struct host *host = host_new(0);
        host->connection.sasl_mechanisms = "GSSAPI";
        host->output_size = k == 0 ? 4096 : 1024;
        host_start(host);
        host_run_to(host, "LANG en\r\nLANG en\r\nAUTH GSSAPI\r\n", POP3_SERVER_AUTHENTICATE);
        (void)host_sent(host);
        pop3_server_challenge(host->session, challenge, 3000);
        host_run(host);
        const char *sent = host_sent(host);
        if (k == 0) {
            const char *line = strstr(sent, "+ Y2Nj");
            assert_non_null(line);
            assert_int_equal(strlen(line), 2 + 4000 + 2);
        } else {
            assert_non_null(strstr(sent, "-ERR [SYS/TEMP]"));
            assert_int_equal(host->events[POP3_SERVER_CANCEL], 1);
        }
        host_delete(host);
    }
}

static void test_counters(void **state)
{
    (void)state;
    struct host *host = host_new_session(3);
    const struct pop3_server_counters *counters = pop3_server_counters(host->session);
    host_feed_text(host, "RETR 1\r\nRETR 1\r\nTOP 2 0\r\nDELE 1\r\nDELE 3\r\nRETR 9\r\n");
    assert_int_equal(counters->retr_count, 2);
    assert_int_equal(counters->retr_octets, 40);
    assert_int_equal(counters->top_count, 1);
    assert_int_equal(counters->top_octets, 14);
    assert_int_equal(counters->marked_count, 2);
    assert_int_equal(counters->marked_octets, 40);
    host_feed_text(host, "QUIT\r\n");
    assert_int_equal(counters->marked_count, 2);
    host_delete(host);
}

/* Where the greeting, a unique id or a capability would be too long, the line is 512 octets. */
static void test_long_facts_of_the_host(void **state)
{
    (void)state;
    char longest[700];
    memset(longest, 'g', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    struct host *host = host_new(0);
    host->options.greeting = longest;
    host->options.implementation = longest;
    host->options.expire = longest;
    host->connection.sasl_mechanisms = longest;
    host->output_size = POP3_OUTPUT_LEAST_OCTETS;
    host_start(host);
    assert_int_equal(strlen(host_sent(host)), 512);
    host_feed_text(host, "USER alice\r\nPASS secret\r\nCAPA\r\n");
    const char *line = host_sent(host);
    for (const char *end = strchr(line, '\n'); end != NULL; end = strchr(line, '\n')) {
        assert_true(end + 1 - line <= 512);
        line = end + 1;
    }
    host_delete(host);
}

/* RFC 6856 section 5: a host that makes no surrogates refuses, and says what the client would need. */
static void test_host_without_surrogates(void **state)
{
    (void)state;
    struct host *host = host_new(0);
    static const char needy[] = "Subject: \xc3\xa9\n\nbody\n";
    host->options.utf8 = 1;
    host->refuses_utf8 = true;
    host_add_message(host, needy, sizeof needy - 1);
    host_start(host);
    host_log_in(host);
    host_feed_text(host, "RETR 1\r\nTOP 1 0\r\nSTAT\r\n");
    assert_string_equal(host_sent(host), "-ERR [UTF8] Message needs UTF-8 mode\r\n"
                                         "-ERR [UTF8] Message needs UTF-8 mode\r\n"
                                         "+OK 1 21\r\n");
    host_delete(host);
}

/* RFC 6856 section 2.1: who said UTF8, or is not offered it, is shown messages as they are. */
static void test_surrogates_are_asked_for(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++) {
        struct host *host = host_new(1);
        struct pop3_server_event event;
        host->options.utf8 = i != 0;
        host_start(host);
        host_run_to(host,
                    i == 1 ? "USER alice\r\nPASS secret\r\n"
                           : "UTF8\r\nUSER alice\r\nPASS secret\r\n",
                    POP3_SERVER_OPEN);
        pop3_server_next(host->session, &event);
        assert_int_equal(event.u.open.surrogates, i == 1);
        host_answer(host, &event);
        host_run_to(host, "RETR 1\r\n", POP3_SERVER_SEND);
        pop3_server_next(host->session, &event);
        assert_int_equal(event.u.send.surrogate, i == 1);
        host_answer(host, &event);
        host_run(host);
        host_delete(host);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_session_is_small),
        cmocka_unit_test(test_replies_are_gathered),
        cmocka_unit_test(test_output_is_filled),
        cmocka_unit_test(test_secrets_are_wiped),
        cmocka_unit_test(test_sums_beyond_4_gib),
        cmocka_unit_test(test_long_listings),
        cmocka_unit_test(test_marks_are_returned),
        cmocka_unit_test(test_refused_output_closes),
        cmocka_unit_test(test_flush),
        cmocka_unit_test(test_authenticate_pointers_last),
        cmocka_unit_test(test_challenges),
        cmocka_unit_test(test_counters),
        cmocka_unit_test(test_long_facts_of_the_host),
        cmocka_unit_test(test_host_without_surrogates),
        cmocka_unit_test(test_surrogates_are_asked_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
