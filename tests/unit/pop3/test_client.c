/* SPDX-License-Identifier: MIT */
/* What <pop3/client.h> promises a host against any server, and no dialogue of ours can show. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "client_host.h"

#define TAKEN(call) assert_int_equal(call, POP3_CLIENT_TAKEN)

static void test_memory_is_small(void **state)
{
    (void)state;
    assert_true(pop3_client_size(1) < 5 * 1024);
    assert_int_equal(pop3_client_size(1001) - pop3_client_size(1), 12 * 1000);
}

static void assert_end(struct client_host *host, enum pop3_client_error error)
{
    assert_true(host->closed);
    assert_int_equal(host->error, error);
    assert_int_equal(pop3_client_state(host->client), POP3_CLIENT_ENDED);
    client_host_feed_text(host, "+OK anything\r\n"); /* dropped */
    assert_int_equal(host->error, error);
    assert_int_equal(pop3_client_stat(host->client), POP3_CLIENT_WRONG_STATE);
}

/* A server that says this after the command was sent ends the session so. */
static void ends_with(enum pop3_client_refusal (*ask)(struct pop3_client *client),
                      const char *answer, enum pop3_client_error error)
{
    for (size_t size = 0; size < 4; size++) {
        struct client_host *host = client_host_new_session(false);
        host->feed_size = size;
        TAKEN(ask(host->client));
        client_host_run(host);
        client_host_feed_text(host, answer);
        assert_end(host, error);
        client_host_delete(host);
    }
}

static enum pop3_client_refusal list_all(struct pop3_client *client)
{
    return pop3_client_list(client, 0);
}

static enum pop3_client_refusal list_two(struct pop3_client *client)
{
    return pop3_client_list(client, 2);
}

static enum pop3_client_refusal uidl_all(struct pop3_client *client)
{
    return pop3_client_uidl(client, 0);
}

static enum pop3_client_refusal uidl_two(struct pop3_client *client)
{
    return pop3_client_uidl(client, 2);
}

static void test_replies_that_are_none(void **state)
{
    static const char *const lines[] = {"OK\r\n",   "+OKAY\r\n", "-ERROR\r\n", "+ok\r\n",
                                        "\r\n",     "+ \r\n",    "* OK\r\n",   "-\r\n",
                                        " +OK\r\n", "+OK\t\r\n", "-E\r\n"};
    (void)state;
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        ends_with(pop3_client_noop, lines[i], POP3_CLIENT_ERROR_REPLY);
    }
    ends_with(pop3_client_noop, "+OK\n", POP3_CLIENT_ERROR_LINE_END);
    ends_with(pop3_client_noop, "\n", POP3_CLIENT_ERROR_LINE_END);
}

static void test_replies_that_do_not_fit(void **state)
{
    (void)state;
    ends_with(pop3_client_stat, "+OK\r\n", POP3_CLIENT_ERROR_REPLY);
    ends_with(pop3_client_stat, "+OK many 1\r\n", POP3_CLIENT_ERROR_REPLY);
    ends_with(pop3_client_stat, "+OK 1\r\n", POP3_CLIENT_ERROR_REPLY);
    ends_with(pop3_client_stat, "+OK 4294967296 1\r\n", POP3_CLIENT_ERROR_REPLY);
    ends_with(pop3_client_stat, "+OK 1 18446744073709551616\r\n", POP3_CLIENT_ERROR_REPLY);
    ends_with(pop3_client_stat, "+OK 10000001 1\r\n", POP3_CLIENT_ERROR_MANY);
    ends_with(list_two, "+OK 3 100\r\n", POP3_CLIENT_ERROR_REPLY);
    ends_with(list_two, "+OK 2\r\n", POP3_CLIENT_ERROR_REPLY);
    ends_with(uidl_two, "+OK 1 id\r\n", POP3_CLIENT_ERROR_REPLY);
    ends_with(uidl_two, "+OK\r\n", POP3_CLIENT_ERROR_REPLY);
}

static void test_rows_that_make_no_sense(void **state)
{
    static const char *const rows[] = {"x 1",  "1 x",  "1",  "0 1",
                                       "-1 1", "",     " 1", "4294967296 1",
                                       "1 -1", "1 1x", "..", "1 18446744073709551616"};
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char text[100];
        (void)snprintf(text, sizeof text, "+OK\r\n1 1\r\n%s\r\n.\r\n", rows[i]);
        ends_with(list_all, text, POP3_CLIENT_ERROR_ROW);
    }
    ends_with(uidl_all, "+OK\r\nid 1\r\n.\r\n", POP3_CLIENT_ERROR_ROW);
    ends_with(list_all, "+OK\r\n1 1\n.\r\n", POP3_CLIENT_ERROR_LINE_END);
    ends_with(list_all, "+OK\r\n1 1\r\n.\n", POP3_CLIENT_ERROR_LINE_END);
}

/* What servers do beyond the RFC without harm: more spaces, more behind the size, ids of any octets. */
static void test_rows_that_are_odd(void **state)
{
    (void)state;
    struct client_host *host = client_host_new_session(false);
    char line[POP3_CLIENT_LINE_OCTETS + 10];
    TAKEN(pop3_client_list(host->client, 0));
    client_host_run(host);
    client_host_feed_text(host,
                          "+OK\r\n7  100\r\n7 200 and more\r\n0002 18446744073709551615\r\n.\r\n");
    assert_string_equal(client_host_said(host),
                        "+OK\r\n7 100\r\n7 200\r\n2 18446744073709551615\r\n.\r\n");
    client_host_forget(host);
    TAKEN(pop3_client_uidl(host->client, 0));
    client_host_run(host);
    (void)snprintf(line, sizeof line, "1 %0*d\r\n", POP3_CLIENT_LINE_OCTETS - 4, 7);
    client_host_feed_text(host, "+OK\r\n1 a b\tc\x7f\xff \r\n2\r\n2 \r\n");
    client_host_feed_text(host, line);
    client_host_feed_text(host, ".\r\n");
    (void)snprintf(line, sizeof line, "1 %0*d\r\n.\r\n", POP3_CLIENT_LINE_OCTETS - 4, 7);
    assert_string_equal(client_host_said(host) + strlen("+OK\r\n1 a b\tc\x7f\xff \r\n2 \r\n2 \r\n"),
                        line);
    assert_true(host->idle);
    client_host_delete(host);
}

static void test_limit_of_lines(void **state)
{
    (void)state;
    char line[POP3_CLIENT_LINE_OCTETS + 100];
    for (int over = 0; over < 2; over++) {
        struct client_host *host = client_host_new_session(false);
        (void)snprintf(line, sizeof line, "+OK %0*d\r\n", POP3_CLIENT_LINE_OCTETS - 6 + over, 7);
        TAKEN(pop3_client_noop(host->client));
        client_host_run(host);
        client_host_feed_text(host, line);
        assert_int_equal(host->closed, over);
        assert_int_equal(host->error, over ? POP3_CLIENT_ERROR_LINE_LENGTH : 0);
        client_host_delete(host);
    }
    memset(line, 'x', sizeof line - 1); /* without any line end */
    line[sizeof line - 1] = '\0';
    ends_with(pop3_client_noop, line, POP3_CLIENT_ERROR_LINE_LENGTH);
}

static void test_limit_of_rows(void **state)
{
    (void)state;
    for (int over = 0; over < 2; over++) {
        struct client_host *host = client_host_new_session(false);
        host->options.max_messages = 3;
        TAKEN(pop3_client_uidl(host->client, 0));
        client_host_run(host);
        client_host_feed_text(host, "+OK\r\n1 a\r\n2 b\r\n3 c\r\n");
        client_host_feed_text(host, over ? "4 d\r\n" : ".\r\n");
        assert_int_equal(host->error, over ? POP3_CLIENT_ERROR_MANY : 0);
        assert_int_equal(host->events[POP3_CLIENT_ROW], 3);
        assert_int_equal(host->events[POP3_CLIENT_ROWS_END], !over);
        client_host_delete(host);
    }
    struct client_host *host = client_host_new();
    TAKEN(pop3_client_capa(host->client));
    client_host_run(host);
    client_host_feed_text(host, "+OK\r\n");
    for (int i = 0; i <= POP3_CLIENT_CAPABILITIES_MOST; i++) {
        assert_false(host->closed);
        client_host_feed_text(host, "X-MORE\r\n");
    }
    assert_end(host, POP3_CLIENT_ERROR_MANY);
    client_host_delete(host);
}

static void test_limit_of_messages(void **state)
{
    (void)state;
    for (size_t size = 0; size < 5; size++) {
        for (int over = 0; over < 2; over++) {
            struct client_host *host = client_host_new_session(false);
            host->options.max_message_octets = 10;
            host->feed_size = size;
            TAKEN(pop3_client_retr(host->client, 1));
            client_host_run(host);
            client_host_feed_text(host, over ? "+OK\r\n..23\r\n5678\r\n.\r\n"
                                             : "+OK\r\n..23\r\n567\r\n.\r\n");
            assert_int_equal(host->error, over ? POP3_CLIENT_ERROR_MESSAGE_SIZE : 0);
            assert_int_equal(host->events[POP3_CLIENT_MESSAGE_END], !over);
            assert_int_equal(host->message_octets, over ? 0 : 10);
            client_host_delete(host);
        }
    }
}

static void test_connection_ends(void **state)
{
    (void)state;
    struct client_host *host = client_host_new_session(false);
    TAKEN(pop3_client_retr(host->client, 1));
    client_host_run(host);
    client_host_feed_text(host, "+OK\r\nhalf a message\r\n.\r");
    pop3_client_end(host->client);
    client_host_run(host);
    assert_int_equal(host->events[POP3_CLIENT_MESSAGE_END], 0);
    assert_end(host, POP3_CLIENT_ERROR_PEER_GONE);
    client_host_delete(host);

    host = client_host_new_session(false);
    TAKEN(pop3_client_quit(host->client));
    assert_int_equal(pop3_client_noop(host->client), POP3_CLIENT_WRONG_STATE);
    client_host_run(host);
    client_host_feed_text(host, "-ERR some deleted messages not removed\r\n+OK more");
    pop3_client_end(host->client);
    client_host_run(host);
    assert_false(host->last_reply.u.reply.ok);
    assert_end(host, POP3_CLIENT_ERROR_NONE);
    client_host_delete(host);

    host = client_host_new_session(false);
    client_host_feed_text(host, "-ERR [SYS/TEMP] Going down\r\n");
    assert_string_equal(host->close_text, "-ERR [SYS/TEMP] Going down");
    assert_end(host, POP3_CLIENT_ERROR_UNASKED);
    client_host_delete(host);

    host = malloc(sizeof *host);
    assert_non_null(host);
    client_host_init(host);
    client_host_start(host);
    assert_int_equal(pop3_client_capa(host->client), POP3_CLIENT_BUSY);
    client_host_feed_text(host, "-ERR [IN-USE] No\r\n");
    assert_int_equal(host->last_reply.u.reply.code, POP3_CLIENT_CODE_IN_USE);
    assert_end(host, POP3_CLIENT_ERROR_REFUSED);
    client_host_delete(host);
}

static void test_response_codes(void **state)
{
    static const struct {
        const char *line;
        enum pop3_client_code code;
        const char *said; /* NULL: the line */
    } cases[] = {
        {"-ERR [SYS/TEMP] Later", POP3_CLIENT_CODE_SYS_TEMP, NULL},
        {"-ERR [sys/temp/disk] Later", POP3_CLIENT_CODE_SYS_TEMP, NULL},
        {"-ERR [SYS/TEMPO] Later", POP3_CLIENT_CODE_OTHER, NULL},
        {"-ERR [SYS/PERM]", POP3_CLIENT_CODE_SYS_PERM, NULL},
        {"-ERR [SYS] Hm", POP3_CLIENT_CODE_OTHER, NULL},
        {"-ERR [AUTH] No", POP3_CLIENT_CODE_AUTH, NULL},
        {"-ERR [AUTH]No", POP3_CLIENT_CODE_AUTH, "-ERR [AUTH] No\r\n"},
        {"-ERR [LOGIN-DELAY] No", POP3_CLIENT_CODE_LOGIN_DELAY, NULL},
        {"-ERR [IN-USE] No", POP3_CLIENT_CODE_IN_USE, NULL},
        {"-ERR [UTF8] No", POP3_CLIENT_CODE_UTF8, NULL},
        {"+OK [X] yes", POP3_CLIENT_CODE_OTHER, NULL},
        {"-ERR [] No", POP3_CLIENT_CODE_NONE, NULL},
        {"-ERR [AUTH No", POP3_CLIENT_CODE_NONE, NULL},
        {"-ERR [AUTH x] No", POP3_CLIENT_CODE_NONE, NULL},
        {"-ERR [", POP3_CLIENT_CODE_NONE, NULL},
        {"-ERR No [AUTH]", POP3_CLIENT_CODE_NONE, NULL},
    };
    (void)state;
    struct client_host *host = client_host_new_session(false);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char line[100];
        (void)snprintf(line, sizeof line, "%s\r\n", cases[i].line);
        TAKEN(pop3_client_noop(host->client));
        client_host_run(host);
        client_host_feed_text(host, line);
        assert_int_equal(host->last_reply.u.reply.code, cases[i].code);
        assert_string_equal(client_host_said(host), cases[i].said == NULL ? line : cases[i].said);
        client_host_forget(host);
    }
    client_host_delete(host);
}

static void test_capabilities(void **state)
{
    (void)state;
    struct client_host *host = malloc(sizeof *host);
    char mechanisms[400] = "SASL PLAIN";
    assert_non_null(host);
    client_host_init(host);
    host->options.ask_capa = 1;
    client_host_start(host);
    client_host_feed_text(host, "+OK hi\r\n");
    assert_string_equal(client_host_sent(host), "CAPA\r\n");
    client_host_feed_text(host,
                          "+OK\r\nTOP\r\nuidl\r\nSASL PLAIN  LOGIN\r\nlogin-delay 900 USER\r\n"
                          "EXPIRE 30\r\nX-OWN thing\r\n..dot\r\nSTLS\r\nPIPELINING\r\n.\r\n");
    assert_int_equal(host->capabilities.set,
                     POP3_CAPABILITY_TOP | POP3_CAPABILITY_UIDL | POP3_CAPABILITY_SASL |
                         POP3_CAPABILITY_LOGIN_DELAY | POP3_CAPABILITY_EXPIRE |
                         POP3_CAPABILITY_STLS | POP3_CAPABILITY_PIPELINING);
    assert_string_equal(host->capabilities.sasl_mechanisms, "PLAIN LOGIN");
    assert_int_equal(host->capabilities.login_delay_seconds, 900);
    assert_int_equal(host->capabilities.expire_days, 30);
    assert_true(pop3_client_pipelining(host->client));
    assert_true(host->idle);

    TAKEN(pop3_client_stls(
        host->client)); /* what was said in the clear is forgotten, and asked again */
    client_host_run(host);
    client_host_forget(host);
    client_host_feed_text(host, "+OK\r\n");
    assert_int_equal(pop3_client_capabilities(host->client)->set, 0);
    assert_false(pop3_client_pipelining(host->client));
    assert_string_equal(client_host_sent(host), "CAPA\r\n");
    for (size_t i = 0; i < 40; i++) {
        size_t used = strlen(mechanisms);
        (void)snprintf(mechanisms + used, sizeof mechanisms - used, " MECH-40");
    }
    client_host_feed_text(host, "+OK\r\nEXPIRE NEVER\r\n");
    client_host_feed_text(host, mechanisms);
    client_host_feed_text(host, "\r\n.\r\n");
    assert_int_equal(host->capabilities.expire_days, UINT32_MAX);
    assert_int_equal(strlen(host->capabilities.sasl_mechanisms), 5 + 31 * 8);

    TAKEN(pop3_client_user(host->client, "alice", 5));
    client_host_run(host);
    client_host_feed_text(host, "+OK\r\n");
    TAKEN(pop3_client_pass(host->client, "secret", 6));
    client_host_run(host);
    client_host_forget(host);
    client_host_feed_text(host, "+OK\r\n");
    assert_string_equal(client_host_sent(host), "CAPA\r\n");
    client_host_feed_text(host, "-ERR what?\r\n");
    assert_true(host->capabilities.known && host->capabilities.absent);
    assert_int_equal(host->capabilities.set, 0);
    assert_true(host->idle);
    client_host_delete(host);
}

/* A server that knows no CAPA is asked once, not after the login too. */
static void test_capabilities_are_absent(void **state)
{
    (void)state;
    struct client_host *host = malloc(sizeof *host);
    assert_non_null(host);
    client_host_init(host);
    host->options.ask_capa = 1;
    client_host_start(host);
    client_host_feed_text(host, "+OK hi\r\n");
    client_host_feed_text(host, "-ERR unknown\r\n");
    assert_int_equal(host->events[POP3_CLIENT_CAPABILITIES], 1);
    TAKEN(pop3_client_user(host->client, "alice", 5));
    client_host_run(host);
    client_host_feed_text(host, "+OK\r\n");
    TAKEN(pop3_client_pass(host->client, "secret", 6));
    client_host_run(host);
    client_host_forget(host);
    client_host_feed_text(host, "+OK\r\n");
    assert_true(host->idle);
    assert_string_equal(client_host_sent(host), "");
    client_host_delete(host);
}

static void test_timestamps(void **state)
{
    static const struct {
        const char *greeting;
        const char *timestamp;
    } cases[] = {
        {"+OK POP3 <1896.697170952@dbc.mtview.ca.us> ready", "<1896.697170952@dbc.mtview.ca.us>"},
        {"+OK <a@b>", "<a@b>"},
        {"+OK ready", NULL},
        {"+OK <@b>", NULL},
        {"+OK <a@>", NULL},
        {"+OK <ab>", NULL},
        {"+OK <a@b", NULL},
        {"+OK a@b>", NULL},
        {"+OK <a @b>", NULL},
        {"+OK <a\x80@b>", NULL},
        {"+OK <<a@b>", NULL},
    };
    (void)state;
    static const char digest[] = "c4c9334bac560ecc979e58001b3e22fb";
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct client_host *host = malloc(sizeof *host);
        assert_non_null(host);
        client_host_init(host);
        client_host_start(host);
        client_host_feed_text(host, cases[i].greeting);
        client_host_feed_text(host, "\r\n");
        const char *timestamp = pop3_client_timestamp(host->client);
        enum pop3_client_refusal refusal = pop3_client_apop(host->client, "mrose", 5, digest);
        if (cases[i].timestamp == NULL) {
            assert_null(timestamp);
            assert_int_equal(refusal, POP3_CLIENT_WRONG_STATE);
        } else {
            assert_string_equal(timestamp, cases[i].timestamp);
            TAKEN(refusal);
            client_host_run(host);
            assert_string_equal(client_host_sent(host),
                                "APOP mrose c4c9334bac560ecc979e58001b3e22fb\r\n");
        }
        client_host_delete(host);
    }
    struct client_host *host = client_host_new();
    assert_int_equal(pop3_client_apop(host->client, "a b", 3, digest), POP3_CLIENT_BAD_ARGUMENT);
    assert_int_equal(pop3_client_apop(host->client, "a", 1, "C4"), POP3_CLIENT_BAD_ARGUMENT);
    assert_int_equal(pop3_client_apop(host->client, "a", 1, "C4C9334BAC560ECC979E58001B3E22FB"),
                     POP3_CLIENT_BAD_ARGUMENT);
    TAKEN(pop3_client_stls(host->client)); /* one that came in the clear is not hashed later */
    client_host_run(host);
    client_host_feed_text(host, "+OK\r\n");
    assert_null(pop3_client_timestamp(host->client));
    client_host_delete(host);
}

/* Promise 7, the client's part: in one segment with the reply, or later but before TLS. */
static void test_octets_behind_stls(void **state)
{
    static const char *const answers[] = {"+OK\r\n+OK\r\n", "+OK begin\r\n\r\n", "+OK\r\nx"};
    (void)state;
    for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++) {
        for (size_t size = 0; size < 8; size++) {
            struct client_host *host = client_host_new();
            host->feed_size = size;
            host->keep_starttls = true;
            TAKEN(pop3_client_stls(host->client));
            assert_int_equal(pop3_client_noop(host->client), POP3_CLIENT_BUSY);
            client_host_run(host);
            client_host_feed_text(host, answers[i]);
            assert_int_equal(size == 0 ? host->events[POP3_CLIENT_STARTTLS] : 0, 0);
            assert_end(host, POP3_CLIENT_ERROR_STLS_INJECTED);
            client_host_delete(host);
        }
    }
    struct client_host *host = client_host_new();
    TAKEN(pop3_client_stls(host->client));
    client_host_run(host);
    client_host_feed_text(host, "-ERR no\r\n");
    assert_int_equal(host->events[POP3_CLIENT_STARTTLS], 0);
    TAKEN(pop3_client_stls(host->client));
    client_host_run(host);
    client_host_feed_text(host, "+OK\r\n");
    assert_int_equal(host->events[POP3_CLIENT_STARTTLS], 1);
    assert_int_equal(pop3_client_stls(host->client), POP3_CLIENT_WRONG_STATE);
    client_host_delete(host);
}

/* RFC 6856 sections 2, 2.1 and 2.2. */
static void test_utf8(void **state)
{
    static const struct {
        const char *capability;
        uint32_t set;
    } cases[] = {
        {"UTF8", POP3_CAPABILITY_UTF8},
        {"utf8 x user", POP3_CAPABILITY_UTF8 | POP3_CAPABILITY_UTF8_USER},
        {"UTF8 USERS", POP3_CAPABILITY_UTF8},
        {"USER", POP3_CAPABILITY_USER},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char reply[100];
        struct client_host *host = client_host_new();
        (void)snprintf(reply, sizeof reply, "+OK\r\n%s\r\n.\r\n", cases[i].capability);
        assert_int_equal(pop3_client_utf8(host->client), POP3_CLIENT_WRONG_STATE);
        TAKEN(pop3_client_capa(host->client));
        client_host_run(host);
        client_host_feed_text(host, reply);
        assert_int_equal(pop3_client_capabilities(host->client)->set, cases[i].set);
        client_host_forget(host);
        if ((cases[i].set & POP3_CAPABILITY_UTF8) == 0) {
            assert_int_equal(pop3_client_utf8(host->client), POP3_CLIENT_WRONG_STATE);
            client_host_delete(host);
            continue;
        }
        TAKEN(pop3_client_utf8(host->client));
        assert_int_equal(pop3_client_user(host->client, "a", 1), POP3_CLIENT_BUSY);
        client_host_run(host);
        assert_string_equal(client_host_sent(host), "UTF8\r\n");
        client_host_feed_text(host, i == 0 ? "-ERR not today\r\n" : "+OK\r\n");
        assert_int_equal(host->last_reply.u.reply.command, POP3_CLIENT_UTF8);
        assert_int_equal(pop3_client_stls(host->client),
                         i == 0 ? POP3_CLIENT_TAKEN : POP3_CLIENT_WRONG_STATE);
        if (i != 0) {
            assert_int_equal(pop3_client_utf8(host->client), POP3_CLIENT_WRONG_STATE);
            TAKEN(pop3_client_user(host->client, "a", 1));
        }
        client_host_delete(host);
    }
}

static void test_arguments_smuggle_nothing(void **state)
{
    static const char *const texts[] = {"a\rb", "a\nb", "a\0b", "\r\nb", "ab\n", "ab\r"};
    (void)state;
    struct client_host *host = client_host_new();
    char name[300];
    memset(name, 'n', sizeof name);
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        assert_int_equal(pop3_client_user(host->client, texts[i], 3), POP3_CLIENT_BAD_ARGUMENT);
    }
    assert_int_equal(pop3_client_user(host->client, "", 0), POP3_CLIENT_BAD_ARGUMENT);
    assert_int_equal(pop3_client_user(host->client, name, 249), POP3_CLIENT_TOO_LONG);
    assert_int_equal(pop3_client_pass(host->client, "x", 1), POP3_CLIENT_WRONG_STATE);
    static const char *const mechanisms[] = {"", "plain", "PL AIN", "PLAIN\r\nQUIT",
                                             "ABCDEFGHIJKLMNOPQRSTU"};
    for (size_t i = 0; i < sizeof mechanisms / sizeof mechanisms[0]; i++) {
        struct pop3_client_auth auth = {.mechanism = mechanisms[i]};
        assert_int_equal(pop3_client_auth(host->client, &auth), POP3_CLIENT_BAD_ARGUMENT);
    }
    client_host_run(host);
    assert_string_equal(client_host_sent(host), "");
    TAKEN(pop3_client_user(host->client, name, 248));
    assert_int_equal(pop3_client_pass(host->client, "x", 1), POP3_CLIENT_BUSY);
    client_host_run(host);
    assert_int_equal(host->sent_size, POP3_CLIENT_COMMAND_OCTETS);
    client_host_feed_text(host, "+OK\r\n");
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        assert_int_equal(pop3_client_pass(host->client, texts[i], 3), POP3_CLIENT_BAD_ARGUMENT);
    }
    assert_int_equal(pop3_client_retr(host->client, 1), POP3_CLIENT_WRONG_STATE);
    client_host_delete(host);
    host = client_host_new_session(false);
    assert_int_equal(pop3_client_retr(host->client, 0), POP3_CLIENT_BAD_ARGUMENT);
    assert_int_equal(pop3_client_dele(host->client, 0), POP3_CLIENT_BAD_ARGUMENT);
    assert_int_equal(pop3_client_top(host->client, 0, 1), POP3_CLIENT_BAD_ARGUMENT);
    assert_int_equal(pop3_client_user(host->client, "a", 1), POP3_CLIENT_WRONG_STATE);
    assert_true(host->idle);
    client_host_delete(host);
}

static bool holds(const struct client_host *host, const char *secret)
{
    return memmem(host->client, pop3_client_size(host->commands), secret, strlen(secret)) != NULL;
}

static void test_secrets_are_wiped(void **state)
{
    (void)state;
    struct client_host *host = client_host_new();
    struct pop3_client_auth auth = {
        .mechanism = "PLAIN", .response = "sesame!!!", .response_size = 9};
    TAKEN(pop3_client_user(host->client, "alice", 5));
    client_host_run(host);
    client_host_feed_text(host, "+OK\r\n");
    TAKEN(pop3_client_pass(host->client, "sesame", 6));
    assert_true(holds(host, "sesame"));
    client_host_run(host);
    assert_false(holds(host, "sesame"));
    client_host_feed_text(host, "-ERR\r\n");

    TAKEN(pop3_client_auth(host->client, &auth));
    assert_true(holds(host, "c2VzYW1lISEh"));
    client_host_run(host);
    assert_false(holds(host, "c2VzYW1l"));
    client_host_feed_text(host, "+ c2VzYW1lISEh\r\n");
    assert_true(host->challenged && holds(host, "sesame!!!"));
    pop3_client_respond(host->client, "sesame!!!", 9);
    assert_false(holds(host, "sesame!!!"));
    client_host_run(host);
    assert_false(holds(host, "c2VzYW1l"));
    client_host_feed_text(host, "+ c2VzYW1lISEh\r\n");
    pop3_client_end(host->client);
    assert_false(holds(host, "sesame!!!"));
    client_host_delete(host);

    host = client_host_new();
    TAKEN(pop3_client_auth(host->client, &auth));
    pop3_client_end(host->client);
    assert_false(holds(host, "c2VzYW1l"));
    client_host_delete(host);
}

/* RFC 5034 section 4: 255 octets, CR LF included; what is longer waits for an empty challenge. */
static void test_initial_response(void **state)
{
    (void)state;
    char response[4000];
    memset(response, 'r', sizeof response);
    for (size_t size = 0; size < sizeof response; size = size < 190 ? size + 1 : size * 2) {
        struct client_host *host = client_host_new();
        struct pop3_client_auth auth = {
            .mechanism = "PLAIN", .response = response, .response_size = size};
        size_t encoded = size == 0 ? 1 : (size + 2) / 3 * 4;
        bool fits = strlen("AUTH PLAIN ") + encoded + 2 <= 255;
        TAKEN(pop3_client_auth(host->client, &auth));
        client_host_run(host);
        assert_int_equal(host->sent_size, fits ? 13 + encoded : 12);
        if (!fits) {
            assert_string_equal(client_host_sent(host), "AUTH PLAIN\r\n");
            client_host_forget(host);
            client_host_feed_text(host, "+ \r\n");
            assert_false(host->challenged);
            assert_int_equal(host->sent_size, encoded + 2);
        }
        client_host_feed_text(host, "+OK\r\n");
        assert_int_equal(pop3_client_state(host->client), POP3_CLIENT_TRANSACTION);
        client_host_delete(host);
    }
}

static void test_exchanges_are_left(void **state)
{
    static const char *const bad[] = {"+ abc", "+ =AAA", "+ AAA=BBB=", "+ ab cd", "+ ####"};
    (void)state;
    struct client_host *host = client_host_new();
    char long_response[600] = "";
    struct pop3_client_auth auth = {.mechanism = "X"};
    for (size_t i = 0; i <= sizeof bad / sizeof bad[0]; i++) {
        TAKEN(pop3_client_auth(host->client, &auth));
        client_host_run(host);
        client_host_forget(host);
        client_host_feed_text(host, i == 0 ? "+" : bad[i - 1]);
        client_host_feed_text(host, "\r\n");
        assert_int_equal(host->challenged, i == 0);
        if (i == 0) {
            pop3_client_cancel(host->client);
            client_host_run(host);
        }
        assert_string_equal(client_host_sent(host), "*\r\n");
        client_host_feed_text(host, "-ERR cancelled\r\n");
        assert_true(host->last_reply.u.reply.cancelled);
        assert_true(host->idle);
    }
    /* A server that challenges first where the mechanism begins with the client. */
    auth.response = long_response;
    auth.response_size = sizeof long_response;
    TAKEN(pop3_client_auth(host->client, &auth));
    client_host_run(host);
    client_host_forget(host);
    client_host_feed_text(host, "+ QUJD\r\n");
    assert_string_equal(client_host_sent(host), "*\r\n");
    client_host_feed_text(host, "+ QUJD\r\n");
    assert_end(host, POP3_CLIENT_ERROR_REPLY);
    client_host_delete(host);

    host = client_host_new_session(false);
    assert_int_equal(pop3_client_auth(host->client, &auth), POP3_CLIENT_WRONG_STATE);
    client_host_delete(host);
}

/* Over a line's length only in memory that is lent. */
static void test_long_challenges(void **state)
{
    (void)state;
    enum { ENCODED = 8000 };
    char line[ENCODED + 3];
    memset(line, 'A', sizeof line);
    memcpy(line, "+ ", 2);
    line[ENCODED + 2] = '\0';
    for (size_t size = ENCODED; size <= ENCODED + 5; size++) {
        struct client_host *host = client_host_new();
        void *memory = malloc(size);
        struct pop3_client_auth auth = {.mechanism = "X", .memory = memory, .memory_size = size};
        assert_non_null(memory);
        TAKEN(pop3_client_auth(host->client, &auth));
        client_host_run(host);
        client_host_feed_text(host, line);
        client_host_feed_text(host, "\r\n");
        assert_int_equal(host->challenged, size >= ENCODED + 4);
        if (host->challenged) {
            assert_int_equal(host->challenge_size, ENCODED / 4 * 3);
            pop3_client_respond(host->client, "", 0);
            client_host_run(host);
            client_host_feed_text(host, "+OK\r\n");
            assert_int_equal(pop3_client_state(host->client), POP3_CLIENT_TRANSACTION);
        } else {
            assert_end(host, POP3_CLIENT_ERROR_LINE_LENGTH);
        }
        client_host_delete(host);
        free(memory);
    }
}

/* Without PIPELINING one at a time; with it all at once, as many as there is room for. */
static void test_pipelining(void **state)
{
    (void)state;
    for (int pipelining = 0; pipelining < 2; pipelining++) {
        struct client_host *host = client_host_new_session(pipelining != 0);
        uint64_t writes = host->events[POP3_CLIENT_WRITE];
        for (uint32_t i = 1; i <= CLIENT_HOST_COMMANDS; i++) {
            assert_int_equal(pop3_client_room(host->client), CLIENT_HOST_COMMANDS + 1 - i);
            TAKEN(pop3_client_retr(host->client, i));
        }
        assert_int_equal(pop3_client_noop(host->client), POP3_CLIENT_BUSY);
        client_host_run(host);
        assert_int_equal(strlen(client_host_sent(host)),
                         pipelining ? 9 * 8 + (CLIENT_HOST_COMMANDS - 9) * 9 : 8);
        assert_int_equal(host->events[POP3_CLIENT_WRITE], writes + 1);
        for (uint32_t i = 1; i <= CLIENT_HOST_COMMANDS; i++) {
            client_host_feed_text(host, "+OK\r\nSubject: x\r\n\r\n..\r\n.\r\n");
            assert_int_equal(host->last_reply.u.reply.number, i);
            assert_int_equal(host->last_reply.u.reply.pipelined, pipelining);
        }
        assert_true(host->idle);
        assert_int_equal(host->events[POP3_CLIENT_MESSAGE_END], CLIENT_HOST_COMMANDS);
        client_host_delete(host);
    }
}

static void test_pipelining_is_given_up(void **state)
{
    (void)state;
    struct client_host *host = client_host_new_session(true);
    TAKEN(pop3_client_dele(host->client, 1));
    TAKEN(pop3_client_dele(host->client, 2));
    client_host_run(host);
    client_host_feed_text(host, "-ERR\r\n");
    assert_false(pop3_client_pipelining(host->client));
    TAKEN(pop3_client_dele(host->client, 3));
    client_host_forget(host);
    client_host_run(host);
    assert_string_equal(client_host_sent(host), ""); /* the second is still to be answered */
    client_host_feed_text(host, "+OK\r\n");
    assert_string_equal(client_host_sent(host), "DELE 3\r\n");
    client_host_feed_text(host, "-ERR\r\n");
    assert_false(host->last_reply.u.reply.pipelined);
    pop3_client_pipeline(host->client);
    assert_true(pop3_client_pipelining(host->client));
    TAKEN(pop3_client_list(host->client, 1));
    TAKEN(pop3_client_list(host->client, 2));
    client_host_run(host);
    client_host_feed_text(host, "+OK 2 100\r\n"); /* the first got lost */
    assert_true(host->close_pipelined);
    assert_end(host, POP3_CLIENT_ERROR_REPLY);
    client_host_delete(host);

    host = client_host_new_session(true);
    host->options.one_at_a_time = 1;
    TAKEN(pop3_client_noop(host->client));
    TAKEN(pop3_client_noop(host->client));
    client_host_run(host);
    assert_string_equal(client_host_sent(host), "NOOP\r\n");
    client_host_feed_text(host, "+OK\r\n+OK\r\n");
    assert_false(host->close_pipelined);
    client_host_delete(host);
}

/* A socket that takes octets one by one, or none for a while, while the server speaks. */
static void test_writes_in_pieces(void **state)
{
    (void)state;
    struct client_host *host = client_host_new_session(true);
    host->write_size = 1;
    TAKEN(pop3_client_stat(host->client));
    TAKEN(pop3_client_top(host->client, UINT32_MAX, UINT32_MAX));
    client_host_run(host);
    assert_string_equal(client_host_sent(host), "STAT\r\nTOP 4294967295 4294967295\r\n");
    host->write_nothing = true;
    TAKEN(pop3_client_noop(host->client));
    client_host_run(host);
    client_host_feed_text(host, "+OK 1 2\r\n-ERR\r\n");
    assert_string_equal(client_host_said(host), "+OK 1 2\r\n-ERR\r\n");
    client_host_forget(host);
    host->write_nothing = false;
    client_host_run(host);
    assert_string_equal(client_host_sent(host), "NOOP\r\n");
    client_host_delete(host);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_memory_is_small),
        cmocka_unit_test(test_replies_that_are_none),
        cmocka_unit_test(test_replies_that_do_not_fit),
        cmocka_unit_test(test_rows_that_make_no_sense),
        cmocka_unit_test(test_rows_that_are_odd),
        cmocka_unit_test(test_limit_of_lines),
        cmocka_unit_test(test_limit_of_rows),
        cmocka_unit_test(test_limit_of_messages),
        cmocka_unit_test(test_connection_ends),
        cmocka_unit_test(test_response_codes),
        cmocka_unit_test(test_capabilities),
        cmocka_unit_test(test_capabilities_are_absent),
        cmocka_unit_test(test_timestamps),
        cmocka_unit_test(test_octets_behind_stls),
        cmocka_unit_test(test_utf8),
        cmocka_unit_test(test_arguments_smuggle_nothing),
        cmocka_unit_test(test_secrets_are_wiped),
        cmocka_unit_test(test_initial_response),
        cmocka_unit_test(test_exchanges_are_left),
        cmocka_unit_test(test_long_challenges),
        cmocka_unit_test(test_pipelining),
        cmocka_unit_test(test_pipelining_is_given_up),
        cmocka_unit_test(test_writes_in_pieces),
    };
    return cmocka_run_group_tests_name("client", tests, NULL, NULL);
}
