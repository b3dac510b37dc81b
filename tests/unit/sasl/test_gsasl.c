/* SPDX-License-Identifier: MIT */
/* GNU SASL's client, which others wrote, logs in to our server by every mechanism; it also checks the server's
 * signature. With one thing wrong, it is refused. */
#include "cmocka_first.h"

#include <gsasl.h>
#include <sodium.h>

#include "sasl/server.h"

static const uint8_t exporter[32] = "the channel has these 32 octets";
static const uint8_t unique[12] = "twelve octe";

struct run {
    enum sasl_mechanism mechanism;
    const char *name, *password;
    const char *exporter, *unique; /* what the client believes, base64; NULL: nothing */
    const char *identity;          /* to act as */
    bool channel;                  /* has the server bindings? */
};

static Gsasl *gsasl;

/* What a store of {PLAIN} passwords would answer that has two for an account: the client has the second, and
 * believes a server only that signs with that one's key. */
static void answer_lookup(struct sasl_server *server, enum sasl_mechanism mechanism,
                          struct sasl_event *event)
{
    const struct bytes passwords[] = {bytes_of("battery staple"), bytes_of("correct horse")};
    assert_string_equal(event->name, "us,er=x");
    if (sasl_mechanism_family(mechanism) == SASL_FAMILY_CRAM) {
        sasl_server_passwords(server, passwords, 2, event);
        return;
    }
    struct scram_keys keys[2];
    for (size_t i = 0; i < 2; i++) {
        keys[i] =
            (struct scram_keys){.iterations = 4096, .salt_size = 16, .salt = "0123456789abcde"};
        assert_int_equal(scram_derive(sasl_mechanism_hash(mechanism), passwords[i], &keys[i], NULL),
                         0);
    }
    sasl_server_keys(server, keys, 2, event);
}

static Gsasl_session *start_client(const struct run *run)
{
    Gsasl_session *client;
    assert_int_equal(gsasl_client_start(gsasl, sasl_mechanism_name(run->mechanism), &client),
                     GSASL_OK);
    assert_int_equal(gsasl_property_set(client, GSASL_AUTHID, run->name), GSASL_OK);
    assert_int_equal(gsasl_property_set(client, GSASL_PASSWORD, run->password), GSASL_OK);
    if (run->identity != NULL) {
        assert_int_equal(gsasl_property_set(client, GSASL_AUTHZID, run->identity), GSASL_OK);
    }
    if (run->exporter != NULL) {
        assert_int_equal(gsasl_property_set(client, GSASL_CB_TLS_EXPORTER, run->exporter),
                         GSASL_OK);
    }
    if (run->unique != NULL) {
        assert_int_equal(gsasl_property_set(client, GSASL_CB_TLS_UNIQUE, run->unique), GSASL_OK);
    }
    return client;
}

static struct sasl_server *start_server(const struct run *run)
{
    struct sasl_server *server;
    struct sasl_facts facts = {.host = "mail.example.com", .certificate = "us,er=x"};
    if (run->channel) {
        facts.tls_exporter = (struct bytes){exporter, sizeof exporter};
        facts.tls_unique = (struct bytes){unique, sizeof unique};
        facts.plus_offered = true;
    }
    assert_int_equal(sasl_server_create(run->mechanism, &facts, &server, NULL), 0);
    return server;
}

/* One message of the client's, and the server's event. False: the client gave up. */
static bool turn(Gsasl_session *client, struct sasl_server *server, bool *begun,
                 struct sasl_event *event)
{
    char *message;
    size_t size;
    struct bytes input = *begun ? event->octets : (struct bytes){0};
    int result = gsasl_step(client, (const char *)input.data, input.size, &message, &size);
    if (result != GSASL_OK && result != GSASL_NEEDS_MORE) {
        return false;
    }
    struct bytes octets = {(const uint8_t *)message, size};
    if (*begun) {
        sasl_server_continue(server, octets, event);
    } else {
        sasl_server_begin(server, &octets, event);
    }
    *begun = true;
    gsasl_free(message);
    return true;
}

static bool logs_in(const struct run *run)
{
    Gsasl_session *client = start_client(run);
    struct sasl_server *server = start_server(run);
    struct sasl_event event = {.type = SASL_EVENT_CHALLENGE};
    enum sasl_family family = sasl_mechanism_family(run->mechanism);
    bool begun = family == SASL_FAMILY_CRAM || family == SASL_FAMILY_LOGIN;
    if (begun) {
        sasl_server_begin(server, NULL, &event);
    }
    while (event.type == SASL_EVENT_CHALLENGE || event.type == SASL_EVENT_LOOKUP) {
        if (event.type == SASL_EVENT_LOOKUP) {
            answer_lookup(server, run->mechanism, &event);
        } else if (!turn(client, server, &begun, &event)) {
            event.type = SASL_EVENT_FAILED;
        }
    }
    bool good =
        event.type == SASL_EVENT_DONE ||
        (event.type == SASL_EVENT_VERIFY && bytes_equal(event.password, bytes_of("correct horse")));
    if (good) {
        assert_string_equal(event.name, "us,er=x");
    }
    gsasl_finish(client);
    (void)sasl_server_free(server);
    return good;
}

static char exporter_text[64], unique_text[64];

static int set_up(void **state)
{
    (void)state;
    (void)sodium_bin2base64(exporter_text, sizeof exporter_text, exporter, sizeof exporter,
                            sodium_base64_VARIANT_ORIGINAL);
    (void)sodium_bin2base64(unique_text, sizeof unique_text, unique, sizeof unique,
                            sodium_base64_VARIANT_ORIGINAL);
    return gsasl_init(&gsasl);
}

static int tear_down(void **state)
{
    (void)state;
    gsasl_done(gsasl);
    return 0;
}

static const enum sasl_mechanism all[] = {SASL_SCRAM_SHA_256,
                                          SASL_SCRAM_SHA_1,
                                          SASL_SCRAM_SHA_256_PLUS,
                                          SASL_SCRAM_SHA_1_PLUS,
                                          SASL_CRAM_MD5,
                                          SASL_PLAIN,
                                          SASL_LOGIN,
                                          SASL_EXTERNAL};

static struct run right(enum sasl_mechanism mechanism)
{
    struct run run = {.mechanism = mechanism, .name = "us,er=x", .password = "correct horse"};
    if (sasl_mechanism_is_plus(mechanism)) {
        run.channel = true;
        run.exporter = exporter_text;
    }
    return run;
}

static void test_right(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        struct run run = right(all[i]);
        assert_true(logs_in(&run));
    }
}

static void test_wrong_password(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        struct run run = right(all[i]);
        run.password = "correct Horse";
        assert_int_equal(logs_in(&run), all[i] == SASL_EXTERNAL);
    }
}

static void test_identity(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        struct run run = right(all[i]);
        bool has_one = all[i] != SASL_CRAM_MD5 && all[i] != SASL_LOGIN;
        run.identity = "us,er=x";
        assert_true(logs_in(&run));
        run.identity = "somebody else";
        assert_int_equal(logs_in(&run), !has_one);
    }
}

static void test_binding(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        struct run run = right(all[i]);
        if (sasl_mechanism_is_plus(all[i])) {
            run.exporter = NULL;
            run.unique = unique_text;
            assert_true(logs_in(&run));
            run.unique = exporter_text; /* the octets of another channel */
            assert_false(logs_in(&run));
            run.channel = false;
            run.unique = unique_text;
            assert_false(logs_in(&run));
        }
    }
}

/* "n": a client that cannot bind is welcome where others can. Its library never says "y", so that is tested
 * in test_server.c. */
static void test_without_binding(void **state)
{
    (void)state;
    struct run run = right(SASL_SCRAM_SHA_256);
    run.channel = true;
    assert_true(logs_in(&run));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_right),           cmocka_unit_test(test_wrong_password),
        cmocka_unit_test(test_identity),        cmocka_unit_test(test_binding),
        cmocka_unit_test(test_without_binding),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
