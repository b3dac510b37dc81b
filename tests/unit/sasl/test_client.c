/* SPDX-License-Identifier: MIT */
/* The client's end: the exchanges that the RFCs show, our own server's end, and servers that lie. */
#include "cmocka_first.h"

#include <sodium.h>
#include <stdio.h>

#include "sasl/client.h"
#include "sasl/server.h"

static struct sasl_client *client;
static struct sasl_client_event event;
static const uint8_t channel[32] = "the channel has these 32 octets";
static const char plus_list[] = "PLAIN SCRAM-SHA-256 SCRAM-SHA-256-PLUS SCRAM-SHA-1-PLUS";

static void create(enum sasl_mechanism mechanism, const char *name, const char *password,
                   const struct sasl_client_facts *facts)
{
    struct sasl_client_identity identity = {.name = bytes_of(name), .password = bytes_of(password)};
    struct error error = {0};
    if (sasl_client_create(mechanism, &identity, facts, &client, &error) < 0) {
        fail_msg("%s", error.text);
    }
    sasl_client_begin(client, &event);
}

static void expect_send(const char *text)
{
    assert_int_equal(event.type, SASL_CLIENT_SEND);
    assert_non_null(event.octets.data);
    assert_int_equal(event.octets.size, strlen(text));
    assert_memory_equal(event.octets.data, text, strlen(text));
}

static void give(const char *challenge)
{
    sasl_client_continue(client, bytes_of(challenge), &event);
}

static void expect_failure(enum error_kind kind, const char *text)
{
    assert_int_equal(event.type, SASL_CLIENT_FAILED);
    assert_string_equal(event.error->text, text);
    assert_int_equal(event.error->kind, kind);
    assert_int_equal(sasl_client_finish(client, NULL), -1);
    client = sasl_client_free(client);
}

static void expect_done(bool done)
{
    struct error error = {0};
    assert_int_equal(sasl_client_finish(client, &error), done ? 0 : -1);
    assert_int_equal(error.kind, done ? ERROR_NONE : ERROR_PROTOCOL);
}

static void begin_sha_256(void)
{
    create(SASL_SCRAM_SHA_256, "user", "pencil",
           &(struct sasl_client_facts){.nonce = "rOprNGfwEbeRWgbNEkqO"});
    expect_send("n,,n=user,r=rOprNGfwEbeRWgbNEkqO");
    expect_done(false);
}

#define SHA_256_FIRST                                                                              \
    "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"

/* RFC 7677 section 3 */
static void test_scram_sha_256(void **state)
{
    (void)state;
    begin_sha_256();
    give(SHA_256_FIRST);
    assert_int_equal(event.type, SASL_CLIENT_DERIVE);
    sasl_client_derive(client, &event);
    expect_send("c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
                "p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=");
    expect_done(false);
    give("v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");
    expect_send("");
    expect_done(true);
    client = sasl_client_free(client);
}

/* RFC 5802 section 5 */
static void test_scram_sha_1(void **state)
{
    (void)state;
    create(SASL_SCRAM_SHA_1, "user", "pencil",
           &(struct sasl_client_facts){.nonce = "fyko+d2lbbFgONRv9qkxdawL"});
    expect_send("n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL");
    give("r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096");
    assert_int_equal(event.type, SASL_CLIENT_DERIVE);
    sasl_client_derive(client, &event);
    expect_send("c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,"
                "p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=");
    give("v=rmF9pqV8S7suAoZWja4dJRkFsKQ=,later=x");
    expect_send("");
    expect_done(true);
    client = sasl_client_free(client);
}

/* RFC 2195 section 2; RFC 1939 section 7 */
static void test_digests(void **state)
{
    (void)state;
    char digest[SASL_APOP_DIGEST_SIZE];
    create(SASL_CRAM_MD5, "tim", "tanstaaftanstaaf", &(struct sasl_client_facts){0});
    assert_int_equal(event.type, SASL_CLIENT_WAIT);
    expect_done(false);
    give("<1896.697170952@postoffice.reston.mci.net>");
    expect_send("tim b913a602c7eda7a495b4e6e7334d3890");
    expect_done(true);
    give("more?");
    expect_failure(ERROR_PROTOCOL, "CRAM-MD5: the server goes on where the exchange is over");
    assert_int_equal(sasl_apop_digest(bytes_of("<1896.697170952@dbc.mtview.ca.us>"),
                                      bytes_of("tanstaaf"), digest),
                     0);
    assert_string_equal(digest, "c4c9334bac560ecc979e58001b3e22fb");
}

/* RFC 4616 section 4 */
static void test_what_is_sent_as_it_is(void **state)
{
    (void)state;
    static const char expected[] = "Ursel\0Kurt\0xipj3plmq";
    struct sasl_client_identity identity = {.name = bytes_of("Kurt"),
                                            .password = bytes_of("xipj3plmq"),
                                            .authorization = bytes_of("Ursel")};
    struct sasl_client_facts facts = {0};
    assert_int_equal(sasl_client_create(SASL_PLAIN, &identity, &facts, &client, NULL), 0);
    sasl_client_begin(client, &event);
    assert_int_equal(event.octets.size, sizeof expected - 1);
    assert_memory_equal(event.octets.data, expected, sizeof expected - 1);
    expect_done(true);
    client = sasl_client_free(client);

    assert_int_equal(sasl_client_create(SASL_EXTERNAL, &identity, &facts, &client, NULL), 0);
    sasl_client_begin(client, &event);
    expect_send("Ursel");
    expect_done(true);
    client = sasl_client_free(client);
    create(SASL_EXTERNAL, "", "", &facts);
    expect_send("");
    client = sasl_client_free(client);

    create(SASL_LOGIN, "tim", "secret", &facts);
    assert_int_equal(event.type, SASL_CLIENT_WAIT);
    give("Username:");
    expect_send("tim");
    expect_done(false);
    give("anything");
    expect_send("secret");
    expect_done(true);
    client = sasl_client_free(client);
}

static void test_servers_that_lie(void **state)
{
    (void)state;
    static const struct {
        const char *first, *text;
    } firsts[] = {
        {"", "the server's first message makes no sense"},
        {"r=rOprNGfwEbeRWgbNEkqO,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
         "the server's first message makes no sense"},
        {"r=xOprNGfwEbeRWgbNEkqOx,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
         "the server's first message makes no sense"},
        {"r=rOprNGfwEbeRWgbNEkqO\x01,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
         "the server's first message makes no sense"},
        {"r=rOprNGfwEbeRWgbNEkqOx,s=,i=4096", "the server's first message makes no sense"},
        {"r=rOprNGfwEbeRWgbNEkqOx,s=W22*,i=4096", "the server's first message makes no sense"},
        {"r=rOprNGfwEbeRWgbNEkqOx,s=W22Z,i=-1", "the server's first message makes no sense"},
        {"r=rOprNGfwEbeRWgbNEkqOx,s=W22Z", "the server's first message makes no sense"},
        {"m=x,r=rOprNGfwEbeRWgbNEkqOx,s=W22Z,i=4096",
         "the server asks for an extension that is not known"},
        {"r=rOprNGfwEbeRWgbNEkqOx,s=W22Z,i=4095",
         "the server asks for fewer than 4096 iterations, which protect no password"},
        {"r=rOprNGfwEbeRWgbNEkqOx,s=W22Z,i=10000001",
         "the server asks for more than 10000000 iterations"},
        {"r=rOprNGfwEbeRWgbNEkqOx,s=W22Z,i=4294971392",
         "the server asks for more than 10000000 iterations"},
    };
    for (size_t i = 0; i < sizeof firsts / sizeof *firsts; i++) {
        char text[200];
        begin_sha_256();
        give(firsts[i].first);
        (void)snprintf(text, sizeof text, "SCRAM-SHA-256: %s", firsts[i].text);
        expect_failure(ERROR_PROTOCOL, text);
    }
    static const struct {
        const char *final, *text;
        enum error_kind kind;
    } finals[] = {
        {"e=invalid-proof", "SCRAM-SHA-256: the server refuses: invalid-proof",
         ERROR_BAD_CREDENTIALS},
        {"e=\x1b[2J", "SCRAM-SHA-256: the server refuses: \\x1b[2J", ERROR_BAD_CREDENTIALS},
        {"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G5=",
         "SCRAM-SHA-256: the server did not prove that it knows the password", ERROR_PROTOCOL},
        {"v=", "SCRAM-SHA-256: the server did not prove that it knows the password",
         ERROR_PROTOCOL},
        {"", "SCRAM-SHA-256: the server did not prove that it knows the password", ERROR_PROTOCOL},
        {"v=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
         "SCRAM-SHA-256: the server did not prove that it knows the password", ERROR_PROTOCOL},
    };
    for (size_t i = 0; i < sizeof finals / sizeof *finals; i++) {
        begin_sha_256();
        give(SHA_256_FIRST);
        sasl_client_derive(client, &event);
        assert_int_equal(event.type, SASL_CLIENT_SEND);
        give(finals[i].final);
        expect_failure(finals[i].kind, finals[i].text);
    }
    char text[2000];
    memset(text, 'x', sizeof text);
    begin_sha_256();
    sasl_client_continue(client, (struct bytes){(uint8_t *)text, sizeof text}, &event);
    expect_failure(ERROR_LIMIT, "SCRAM-SHA-256: the server's challenge is too long");
}

static void test_flags(void **state)
{
    (void)state;
    struct bytes octets = {channel, sizeof channel};
    static const struct {
        enum sasl_mechanism mechanism;
        bool exporter, unique;
        const char *offered, *message;
    } rows[] = {
        {SASL_SCRAM_SHA_256, false, false, plus_list, "n,,n=a,r=N"},
        {SASL_SCRAM_SHA_256, true, false, plus_list, "n,,n=a,r=N"},
        {SASL_SCRAM_SHA_256, true, false, "PLAIN SCRAM-SHA-256", "y,,n=a,r=N"},
        {SASL_SCRAM_SHA_1, false, true, NULL, "y,,n=a,r=N"},
        {SASL_SCRAM_SHA_256_PLUS, true, false, plus_list, "p=tls-exporter,,n=a,r=N"},
        {SASL_SCRAM_SHA_1_PLUS, true, true, plus_list, "p=tls-unique,,n=a,r=N"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct sasl_client_facts facts = {.offered = rows[i].offered, .nonce = "N"};
        facts.tls_exporter = rows[i].exporter ? octets : (struct bytes){0};
        facts.tls_unique = rows[i].unique ? octets : (struct bytes){0};
        create(rows[i].mechanism, "a", "b", &facts);
        expect_send(rows[i].message);
        client = sasl_client_free(client);
    }
}

static void test_identities(void **state)
{
    (void)state;
    static const uint8_t long_text[600] = "x";
    static const struct {
        enum sasl_mechanism mechanism;
        struct bytes name, password;
        enum error_kind kind;
    } rows[] = {
        {SASL_PLAIN, {(const uint8_t *)"a\0b", 3}, {0}, ERROR_CONFIGURATION},
        {SASL_PLAIN, {(const uint8_t *)"a", 1}, {(const uint8_t *)"a\0b", 3}, ERROR_CONFIGURATION},
        {SASL_PLAIN, {0}, {0}, ERROR_CONFIGURATION},
        {SASL_LOGIN, {long_text, sizeof long_text}, {0}, ERROR_CONFIGURATION},
        {SASL_SCRAM_SHA_256_PLUS, {(const uint8_t *)"a", 1}, {0}, ERROR_PERMANENT},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct sasl_client_identity identity = {.name = rows[i].name, .password = rows[i].password};
        struct sasl_client_facts facts = {0};
        struct error error = {0};
        assert_int_equal(sasl_client_create(rows[i].mechanism, &identity, &facts, &client, &error),
                         -1);
        assert_int_equal(error.kind, rows[i].kind);
    }
}

static void test_choice(void **state)
{
    (void)state;
    static const struct {
        const char *offered;
        bool password_allowed, has_binding;
        enum sasl_mechanism chosen;
    } rows[] = {
        {"LOGIN PLAIN CRAM-MD5 SCRAM-SHA-1 SCRAM-SHA-256 SCRAM-SHA-1-PLUS SCRAM-SHA-256-PLUS", true,
         true, SASL_SCRAM_SHA_256_PLUS},
        {"LOGIN PLAIN CRAM-MD5 SCRAM-SHA-1 SCRAM-SHA-256 SCRAM-SHA-1-PLUS SCRAM-SHA-256-PLUS", true,
         false, SASL_SCRAM_SHA_256},
        {"SCRAM-SHA-1-PLUS SCRAM-SHA-256", true, true, SASL_SCRAM_SHA_1_PLUS},
        {"LOGIN scram-sha-1", true, false, SASL_SCRAM_SHA_1},
        {"LOGIN PLAIN EXTERNAL", true, true, SASL_PLAIN},
        {"GSSAPI LOGIN", true, false, SASL_LOGIN},
        {"LOGIN PLAIN", false, true, SASL_MECHANISM_COUNT},
        {"CRAM-MD5 EXTERNAL APOP XPLAIN", true, true, SASL_MECHANISM_COUNT},
        {"", true, true, SASL_MECHANISM_COUNT},
        {NULL, true, true, SASL_MECHANISM_COUNT},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct sasl_client_choice choice = {.password_allowed = rows[i].password_allowed,
                                            .has_binding = rows[i].has_binding};
        assert_int_equal(sasl_client_choose(rows[i].offered, &choice), rows[i].chosen);
    }
}

/* The server's answer to what the client sent; its lookup finds the password "b=,c". */
static void serve(struct sasl_server *server, bool *begun, struct sasl_event *answer)
{
    struct bytes octets = event.octets;
    if (*begun) {
        sasl_server_continue(server, octets, answer);
    } else {
        sasl_server_begin(server, event.type == SASL_CLIENT_WAIT ? NULL : &octets, answer);
    }
    *begun = true;
    if (answer->type != SASL_EVENT_LOOKUP) {
        return;
    }
    struct scram_keys keys = {.iterations = 5000, .salt_size = 9, .salt = "salt+salt"};
    assert_string_equal(answer->name, "us,er=x");
    assert_int_equal(scram_derive(SCRAM_SHA_256, bytes_of("b=,c"), &keys, NULL), 0);
    sasl_server_keys(server, &keys, 1, answer);
}

/* Bound and unbound, until both ends are content. */
static bool logs_in(enum sasl_mechanism mechanism, struct sasl_client_facts facts,
                    const struct sasl_facts *server_facts, const char *password)
{
    struct sasl_server *server;
    struct sasl_event answer = {.type = SASL_EVENT_CHALLENGE};
    bool begun = false;
    facts.offered = facts.offered == NULL ? plus_list : facts.offered;
    assert_int_equal(sasl_server_create(mechanism, server_facts, &server, NULL), 0);
    create(mechanism, "us,er=x", password, &facts);
    while (event.type != SASL_CLIENT_FAILED && answer.type == SASL_EVENT_CHALLENGE) {
        if (event.type == SASL_CLIENT_DERIVE) {
            sasl_client_derive(client, &event);
            continue;
        }
        serve(server, &begun, &answer);
        if (answer.type == SASL_EVENT_CHALLENGE) {
            sasl_client_continue(client, answer.octets, &event);
        }
    }
    bool good = answer.type == SASL_EVENT_DONE && sasl_client_finish(client, NULL) == 0;
    client = sasl_client_free(client);
    (void)sasl_server_free(server);
    return good;
}

static void test_our_server(void **state)
{
    (void)state;
    struct bytes octets = {channel, sizeof channel};
    struct bytes other = {channel, sizeof channel - 1};
    struct sasl_facts server = {.tls_exporter = octets, .plus_offered = true, .host = "h"};
    struct sasl_client_facts bound = {.tls_exporter = octets};
    struct sasl_client_facts elsewhere = {.tls_exporter = other};
    struct sasl_client_facts misled = {.tls_exporter = octets, .offered = "SCRAM-SHA-256"};
    assert_true(logs_in(SASL_SCRAM_SHA_256, (struct sasl_client_facts){0}, &server, "b=,c"));
    assert_true(logs_in(SASL_SCRAM_SHA_256_PLUS, bound, &server, "b=,c"));
    assert_true(logs_in(SASL_SCRAM_SHA_256, bound, &server, "b=,c"));
    assert_false(logs_in(SASL_SCRAM_SHA_256, bound, &server, "b=,C"));
    assert_false(logs_in(SASL_SCRAM_SHA_256_PLUS, elsewhere, &server, "b=,c"));
    assert_false(logs_in(SASL_SCRAM_SHA_256, misled, &server, "b=,c"));
}

/* RFC 4616 section 2, RFC 5802 section 5.1. */
static void test_names_and_passwords_are_prepared(void **state)
{
    static const struct {
        const char *name, *password;
        const char *sent; /* NULL: refused */
    } cases[] = {
        {"jose\xCC\x81", "p\xC3\xA4ss", "_jos\xC3\xA9_p\xC3\xA4ss"},
        {"a\xC2\xAD", "x\xF0\x9F\x98\x80", "_a_x\xF0\x9F\x98\x80"},
        {"a", "p\x07", NULL},
        {"caf\xE9", "x", NULL},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct sasl_client_identity identity = {.name = bytes_of(cases[i].name),
                                                .password = bytes_of(cases[i].password)};
        struct sasl_client_facts facts = {0};
        struct sasl_client *made;
        struct sasl_client_event first;
        struct error error;
        int result = sasl_client_create(SASL_PLAIN, &identity, &facts, &made, &error);
        assert_int_equal(result, cases[i].sent == NULL ? -1 : 0);
        if (result < 0) {
            assert_int_equal(error.kind, ERROR_CONFIGURATION);
            continue;
        }
        sasl_client_begin(made, &first);
        assert_int_equal(first.octets.size, strlen(cases[i].sent));
        for (size_t j = 0; j < first.octets.size; j++) {
            uint8_t octet = first.octets.data[j];
            assert_int_equal(octet == 0 ? '_' : octet, (uint8_t)cases[i].sent[j]);
        }
        (void)sasl_client_free(made);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names_and_passwords_are_prepared),
        cmocka_unit_test(test_scram_sha_256),
        cmocka_unit_test(test_scram_sha_1),
        cmocka_unit_test(test_digests),
        cmocka_unit_test(test_what_is_sent_as_it_is),
        cmocka_unit_test(test_servers_that_lie),
        cmocka_unit_test(test_flags),
        cmocka_unit_test(test_identities),
        cmocka_unit_test(test_choice),
        cmocka_unit_test(test_our_server),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
