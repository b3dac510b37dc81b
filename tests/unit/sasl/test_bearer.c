/* SPDX-License-Identifier: MIT */
/* OAUTHBEARER (RFC 7628) and XOAUTH2: the exchanges that the RFC shows, what a client may not say, and a server
 * that refuses. */
#include "cmocka_first.h"

#include <stdio.h>
#include <stdlib.h>

#include "sasl/bearer_text.h"
#include "sasl/client.h"
#include "sasl/server.h"

#define TOKEN "vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg=="

static struct sasl_server *server;
static struct sasl_event event;
static struct sasl_client *client;
static struct sasl_client_event answer;
static struct sasl_facts facts;

static int reset(void **state)
{
    (void)state;
    server = sasl_server_free(server);
    client = sasl_client_free(client);
    facts = (struct sasl_facts){.host = "host",
                                .scope = "example_scope",
                                .discovery = "https://example.com/.well-known/openid-config"};
    return 0;
}

static void begin(enum sasl_mechanism mechanism, struct bytes message)
{
    server = sasl_server_free(server);
    assert_int_equal(sasl_server_create(mechanism, &facts, &server, NULL), 0);
    sasl_server_begin(server, &message, &event);
}

static void expect_token(const char *name, const char *token)
{
    assert_int_equal(event.type, SASL_EVENT_TOKEN);
    if (name == NULL) {
        assert_null(event.name);
    } else {
        assert_string_equal(event.name, name);
    }
    assert_true(bytes_equal(event.password, bytes_of(token)));
}

static void expect_challenge(const char *text)
{
    assert_int_equal(event.type, SASL_EVENT_CHALLENGE);
    if (!bytes_equal(event.octets, bytes_of(text))) {
        fail_msg("%.*s", (int)event.octets.size, (const char *)event.octets.data);
    }
}

#define ROW(text)                                                                                  \
    {                                                                                              \
        (const uint8_t *)(text), sizeof(text) - 1                                                  \
    }
#define TEXT(text) ((struct bytes)ROW(text))

#define MORE                                                                                       \
    "\"scope\":\"example_scope\",\"openid-configuration\":"                                        \
    "\"https://example.com/.well-known/openid-config\"}"
#define INVALID_TOKEN   "{\"status\":\"invalid_token\"," MORE
#define INVALID_REQUEST "{\"status\":\"invalid_request\"," MORE

/* Sections 4.1 and 4.3. */
static void test_examples(void **state)
{
    (void)state;
    begin(SASL_OAUTHBEARER, TEXT("n,a=user@example.com,\1host=server.example.com\1port=143\1"
                                 "auth=Bearer " TOKEN "\1\1"));
    expect_token("user@example.com", TOKEN);
    begin(SASL_OAUTHBEARER,
          TEXT("n,a=user@example.com,\1host=server.example.com\1port=143\1auth=\1\1"));
    expect_challenge(INVALID_TOKEN);
    sasl_server_continue(server, TEXT("\1"), &event);
    assert_int_equal(event.type, SASL_EVENT_FAILED);
}

static void test_accepts(void **state)
{
    (void)state;
    static const struct {
        struct bytes message;
        const char *name, *token;
    } right[] = {
        {ROW("n,,\1auth=Bearer x\1\1"), NULL, "x"},
        {ROW("y,,\1auth=bEARER   x.y-_~+/==\1\1"), NULL, "x.y-_~+/=="},
        {ROW("n,a=al=2Cic=3De,\1auth=Bearer x\1\1"), "al,ic=e", "x"},
        {ROW("n,,\1mthd=GET\1qs=\1x=\t\r\n ~\1x=y\1auth=Bearer x\1\1"), NULL, "x"},
        {ROW("n,,\1user=bob\1auth=Bearer x\1\1"), NULL, "x"},
    };
    for (size_t i = 0; i < sizeof right / sizeof *right; i++) {
        begin(SASL_OAUTHBEARER, right[i].message);
        expect_token(right[i].name, right[i].token);
    }
}

static void test_refuses(void **state)
{
    (void)state;
    static const struct bytes wrong[] = {
        ROW(""),
        ROW("\1"),
        ROW("n"),
        ROW("n,"),
        ROW("n,,"),
        ROW("n,,\1"),
        ROW("n,,\1\1"), /* no auth */
        ROW("n,,auth=Bearer x\1\1"),
        ROW("n,\1auth=Bearer x\1\1"),
        ROW("n,,\1auth=Bearer x"),
        ROW("n,,\1auth=Bearer x\1"),
        ROW("n,,\1auth=Bearer x\1\1\1"),
        ROW("n,,\1auth=Bearer x\1\1a=b\1\1"),
        ROW("n,,\1auth=Bearer x\1auth=Bearer x\1\1"),
        ROW("n,,\1auth=Basic YTpi\1\1"),
        ROW("n,,\1auth=x\1\1"),
        ROW("n,,\1=x\1auth=Bearer x\1\1"),
        ROW("n,,\1k\1auth=Bearer x\1\1"),
        ROW("n,,\1a-b=x\1auth=Bearer x\1\1"),
        ROW("n,,\1k=\x7f\1auth=Bearer x\1\1"),
        ROW("n,,\1k=\xc3\xa9\1auth=Bearer x\1\1"),
        ROW("n,,\1k=\0\1auth=Bearer x\1\1"),
        ROW("p=tls-exporter,,\1auth=Bearer x\1\1"),
        ROW("F,n,,\1auth=Bearer x\1\1"),
        ROW("N,,\1auth=Bearer x\1\1"),
        ROW("n,user=alice,\1auth=Bearer x\1\1"),
        ROW("n,alice,\1auth=Bearer x\1\1"),
        ROW("n,a=,\1auth=Bearer x\1\1"),
        ROW("n,a=al=2cice,\1auth=Bearer x\1\1"),
        ROW("n,a=../alice,\1auth=Bearer x\1\1"),
        ROW("n,a=al\nice,\1auth=Bearer x\1\1"),
        ROW("n,,\1port=0\1auth=Bearer x\1\1"),
        ROW("n,,\1port=0995\1auth=Bearer x\1\1"),
        ROW("n,,\1port=+995\1auth=Bearer x\1\1"),
        ROW("n,,\1port=65536\1auth=Bearer x\1\1"),
        ROW("n,,\1port=\1auth=Bearer x\1\1"),
    };
    static const struct bytes none[] = {
        ROW("n,,\1auth=\1\1"),
        ROW("n,,\1auth=Bearer\1\1"),
        ROW("n,,\1auth=Bearer \1\1"),
        ROW("n,,\1auth=Bearer ==\1\1"),
        ROW("n,,\1auth=Bearer a=b\1\1"),
        ROW("n,,\1auth=Bearer x y\1\1"),
        ROW("n,,\1auth=Bearer \"x\"\1\1"),
        ROW("n,,\1auth=Bearer x\r\n\1\1"),
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        begin(SASL_OAUTHBEARER, wrong[i]);
        expect_challenge(INVALID_REQUEST);
        sasl_server_continue(server, wrong[i], &event);
        assert_int_equal(event.type, SASL_EVENT_FAILED);
    }
    for (size_t i = 0; i < sizeof none / sizeof *none; i++) {
        begin(SASL_OAUTHBEARER, none[i]);
        expect_challenge(INVALID_TOKEN);
    }
}

static void test_refusal_ends_in_failure(void **state)
{
    (void)state;
    static const struct bytes after[] = {ROW("\1"), ROW(""), ROW("n,,\1auth=Bearer x\1\1")};
    for (size_t i = 0; i < sizeof after / sizeof *after; i++) {
        begin(SASL_OAUTHBEARER, TEXT("n,,\1auth=Bearer x\1\1"));
        sasl_server_refuse_token(server, SASL_REFUSAL_INSUFFICIENT_SCOPE, &event);
        expect_challenge("{\"status\":\"insufficient_scope\"," MORE);
        for (int again = 0; again < 2; again++) {
            sasl_server_continue(server, after[i], &event);
            assert_int_equal(event.type, SASL_EVENT_FAILED);
        }
    }
    facts.scope = "a\"b\\\n";
    facts.discovery = NULL;
    begin(SASL_OAUTHBEARER, TEXT("n,,\1auth=Bearer x\1\1"));
    sasl_server_refuse_token(server, SASL_REFUSAL_INVALID_TOKEN, &event);
    expect_challenge("{\"status\":\"invalid_token\",\"scope\":\"a\\\"b\\\\\"}");
    facts.scope = "";
    begin(SASL_OAUTHBEARER, TEXT(""));
    expect_challenge("{\"status\":\"invalid_request\"}");
}

/* Section 3.2: host and port have to be those that are known. */
static void test_hosts(void **state)
{
    (void)state;
    static const struct {
        struct bytes message;
        bool right;
    } cases[] = {
        {ROW("n,,\1auth=Bearer x\1\1"), true},
        {ROW("n,,\1host=MAIL.example.org\1auth=Bearer x\1\1"), true},
        {ROW("n,,\1host=mail.example.org\1port=110\1auth=Bearer x\1\1"), true},
        {ROW("n,,\1host=pop.example.org\1auth=Bearer x\1\1"), true},
        {ROW("n,,\1host=pop.example.org\1port=995\1auth=Bearer x\1\1"), true},
        {ROW("n,,\1host=pop.example.org\1port=110\1auth=Bearer x\1\1"), false},
        {ROW("n,,\1host=pop.example.or\1auth=Bearer x\1\1"), false},
        {ROW("n,,\1host=pop.example.org:995\1port=996\1auth=Bearer x\1\1"), true},
        {ROW("n,,\1host=evil.example.org\1auth=Bearer x\1\1"), false},
        {ROW("n,,\1host=\1auth=Bearer x\1\1"), false},
        {ROW("n,,\1port=995\1auth=Bearer x\1\1"), false},
    };
    facts.hosts = "pop.example.org:995 mail.example.org";
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        begin(SASL_OAUTHBEARER, cases[i].message);
        assert_int_equal(event.type, cases[i].right ? SASL_EVENT_TOKEN : SASL_EVENT_CHALLENGE);
    }
}

static void test_xoauth2(void **state)
{
    (void)state;
    static const struct bytes wrong[] = {
        ROW(""),
        ROW("\1"),
        ROW("auth=Bearer x\1\1"),
        ROW("user=\1auth=Bearer x\1\1"),
        ROW("user=../x\1auth=Bearer x\1\1"),
        ROW("user=bob\1\1"),
        ROW("user=bob\1auth=Bearer x\1"),
        ROW("user=bob\1user=bob\1auth=Bearer x\1\1"),
        ROW("n,a=bob,\1auth=Bearer x\1\1"),
    };
    begin(SASL_XOAUTH2, TEXT("user=bob=b,\1auth=Bearer " TOKEN "\1\1"));
    expect_token("bob=b,", TOKEN);
    sasl_server_refuse_token(server, SASL_REFUSAL_INVALID_TOKEN, &event);
    expect_challenge("{\"status\":\"401\",\"schemes\":\"bearer\",\"scope\":\"example_scope\"}");
    sasl_server_continue(server, TEXT(""), &event);
    assert_int_equal(event.type, SASL_EVENT_FAILED);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        begin(SASL_XOAUTH2, wrong[i]);
        expect_challenge("{\"status\":\"400\",\"schemes\":\"bearer\",\"scope\":\"example_scope\"}");
    }
}

static void create_client(enum sasl_mechanism mechanism, struct bytes token)
{
    struct sasl_client_identity identity = {.name = bytes_of("al,ice"), .password = token};
    struct sasl_client_facts of_server = {.host = "pop.example.org", .port = 995};
    client = sasl_client_free(client);
    assert_int_equal(sasl_client_create(mechanism, &identity, &of_server, &client, NULL), 0);
    sasl_client_begin(client, &answer);
}

static void expect_send(const char *text)
{
    assert_int_equal(answer.type, SASL_CLIENT_SEND);
    assert_true(bytes_equal(answer.octets, bytes_of(text)));
}

static void test_client(void **state)
{
    (void)state;
    struct error error = {0};
    create_client(SASL_OAUTHBEARER, bytes_of(TOKEN));
    expect_send("n,a=al=2Cice,\1host=pop.example.org\1port=995\1auth=Bearer " TOKEN "\1\1");
    assert_int_equal(sasl_client_finish(client, &error), 0);
    create_client(SASL_XOAUTH2, bytes_of(TOKEN));
    expect_send("user=al,ice\1auth=Bearer " TOKEN "\1\1");
    assert_int_equal(sasl_client_finish(client, &error), 0);
    assert_null(sasl_client_status(client));
}

/* Section 3.2.3; who has refused must not then say that we are in. */
static void test_client_is_refused(void **state)
{
    (void)state;
    struct error error = {0};
    create_client(SASL_OAUTHBEARER, bytes_of(TOKEN));
    sasl_client_continue(client, bytes_of(INVALID_TOKEN), &answer);
    expect_send("\1");
    assert_string_equal(sasl_client_status(client), "invalid_token");
    assert_int_equal(sasl_client_finish(client, &error), -1);
    sasl_client_continue(client, bytes_of(INVALID_TOKEN), &answer);
    assert_int_equal(answer.type, SASL_CLIENT_FAILED);
    create_client(SASL_XOAUTH2, bytes_of(TOKEN));
    sasl_client_continue(client, bytes_of("no JSON"), &answer);
    expect_send("");
    assert_null(sasl_client_status(client));
    assert_int_equal(sasl_client_finish(client, &error), -1);
}

static void test_client_refuses_what_is_no_token(void **state)
{
    (void)state;
    static char long_token[SASL_CLIENT_TOKEN_OCTETS_MAX + 2];
    memset(long_token, 'x', sizeof long_token - 1);
    const char *const wrong[] = {"", "a b", "a\1\1", "=", "a=b", "a\n", long_token};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct sasl_client_identity identity = {.name = bytes_of("alice"),
                                                .password = bytes_of(wrong[i])};
        struct error error = {0};
        assert_int_equal(sasl_client_create(SASL_XOAUTH2, &identity, &(struct sasl_client_facts){0},
                                            &client, &error),
                         -1);
        assert_int_equal(error.kind, ERROR_CONFIGURATION);
    }
    struct sasl_client_identity identity = {.name = bytes_of("a\1auth=Bearer y\1\1"),
                                            .password = bytes_of("x")};
    assert_int_equal(
        sasl_client_create(SASL_XOAUTH2, &identity, &(struct sasl_client_facts){0}, &client, NULL),
        -1);
}

static void test_both_ends(void **state)
{
    (void)state;
    static const enum sasl_mechanism mechanisms[] = {SASL_OAUTHBEARER, SASL_XOAUTH2};
    char *token = malloc(SASL_TOKEN_OCTETS_MAX + 2);
    memset(token, 'x', SASL_TOKEN_OCTETS_MAX + 1);
    for (size_t i = 0; i < 2; i++) {
        token[SASL_TOKEN_OCTETS_MAX] = '\0';
        token[SASL_TOKEN_OCTETS_MAX + 1] = '\0';
        create_client(mechanisms[i], bytes_of(token));
        assert_int_equal(answer.type, SASL_CLIENT_SEND);
        begin(mechanisms[i], answer.octets);
        expect_token("al,ice", token);
        sasl_server_refuse_token(server, SASL_REFUSAL_INVALID_TOKEN, &event);
        sasl_client_continue(client, event.octets, &answer);
        assert_int_equal(answer.type, SASL_CLIENT_SEND);
        sasl_server_continue(server, answer.octets, &event);
        assert_int_equal(event.type, SASL_EVENT_FAILED);
    }
    token[SASL_TOKEN_OCTETS_MAX] = 'x'; /* one too many */
    char *message = malloc(SASL_TOKEN_OCTETS_MAX + 100);
    int size = snprintf(message, SASL_TOKEN_OCTETS_MAX + 100, "n,,\1auth=Bearer %s\1\1", token);
    begin(SASL_OAUTHBEARER, (struct bytes){(const uint8_t *)message, (size_t)size});
    expect_challenge(INVALID_TOKEN);
    free(message);
    message = calloc(1, SASL_TOKEN_MESSAGE_OCTETS_MAX + 1);
    begin(SASL_OAUTHBEARER,
          (struct bytes){(const uint8_t *)message, SASL_TOKEN_MESSAGE_OCTETS_MAX + 1});
    assert_int_equal(event.type, SASL_EVENT_FAILED);
    free(message);
    free(token);
}

static void test_find_string(void **state)
{
    (void)state;
    static const struct {
        const char *json;
        const char *status; /* NULL: not found */
    } cases[] = {
        {"{\"status\":\"invalid_token\"}", "invalid_token"},
        {" { \"a\" : 1 ,\t\"status\" :\r\n \"x\" }", "x"},
        {"{\"a\":{\"status\":\"no\",\"b\":[\"}\",{}]},\"status\":\"x\"}", "x"},
        {"{\"a\":\"\\\"status\\\":\",\"status\":\"x\"}", "x"},
        {"{\"a\":\"\\\\\",\"status\":\"x\"}", "x"},
        {"{\"a\":[[],\",\"],\"b\":null,\"status\":\"x\"", "x"},
        {"{\"status\":\"a\\n\\\"b\\u0041\x1b[31m\xc3\xa9\"}", "ab0041[31m"},
        {"{\"status\":\"0123456789abcdefghijklmnop\"}", "0123456789abcde"},
        {"{\"status\":401}", NULL},
        {"{\"statuses\":\"x\"}", NULL},
        {"[\"status\"]", NULL},
        {"\"status\"", NULL},
        {"{}", NULL},
        {"{", NULL},
        {"", NULL},
        {"{\"status\"", NULL},
        {"{\"status\":", NULL},
        {"{\"status\":\"x", NULL},
        {"{\"status\":\"x\\", NULL},
        {"{\"a\":],\"status\":\"x\"}", NULL},
        {"{\"a\":\"\\", NULL},
        {"{\"a\":[[[", NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char out[16] = "";
        bool found = bearer_find_string(bytes_of(cases[i].json), "status", out, sizeof out);
        assert_int_equal(found, cases[i].status != NULL);
        if (found) {
            assert_string_equal(out, cases[i].status);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_examples, reset, reset),
        cmocka_unit_test_setup_teardown(test_accepts, reset, reset),
        cmocka_unit_test_setup_teardown(test_refuses, reset, reset),
        cmocka_unit_test_setup_teardown(test_refusal_ends_in_failure, reset, reset),
        cmocka_unit_test_setup_teardown(test_hosts, reset, reset),
        cmocka_unit_test_setup_teardown(test_xoauth2, reset, reset),
        cmocka_unit_test_setup_teardown(test_client, reset, reset),
        cmocka_unit_test_setup_teardown(test_client_is_refused, reset, reset),
        cmocka_unit_test_setup_teardown(test_client_refuses_what_is_no_token, reset, reset),
        cmocka_unit_test_setup_teardown(test_both_ends, reset, reset),
        cmocka_unit_test(test_find_string),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
