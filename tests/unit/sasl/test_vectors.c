/* SPDX-License-Identifier: MIT */
/* The exchanges that the RFCs show, octet for octet. */
#include "cmocka_first.h"

#include <sodium.h>

#include "sasl/server.h"

static struct sasl_server *server;
static struct sasl_event event;

static void create(enum sasl_mechanism mechanism, const char *chosen)
{
    struct sasl_facts facts = {.host = "mail.example.com", .chosen = chosen};
    assert_int_equal(sasl_server_create(mechanism, &facts, &server, NULL), 0);
}

static void begin(const char *initial)
{
    struct bytes message = initial == NULL ? (struct bytes){0} : bytes_of(initial);
    sasl_server_begin(server, initial == NULL ? NULL : &message, &event);
}

static void expect_challenge(const char *text)
{
    assert_int_equal(event.type, SASL_EVENT_CHALLENGE);
    assert_int_equal(event.octets.size, strlen(text));
    assert_memory_equal(event.octets.data, text, strlen(text));
}

static void expect_name(enum sasl_event_type type, const char *name)
{
    assert_int_equal(event.type, type);
    assert_string_equal(event.name, name);
}

static void take_keys(enum scram_hash hash, const char *salt, const char *password)
{
    struct scram_keys keys = {.iterations = 4096};
    assert_int_equal(sodium_base642bin(keys.salt, sizeof keys.salt, salt, strlen(salt), NULL,
                                       &keys.salt_size, NULL, sodium_base64_VARIANT_ORIGINAL),
                     0);
    assert_int_equal(scram_derive(hash, bytes_of(password), &keys, NULL), 0);
    sasl_server_keys(server, &keys, 1, &event);
}

static void finish(const char *name)
{
    sasl_server_continue(server, (struct bytes){0}, &event);
    expect_name(SASL_EVENT_DONE, name);
    server = sasl_server_free(server);
}

/* RFC 5802 section 5 */
static void test_scram_sha_1(void **state)
{
    (void)state;
    create(SASL_SCRAM_SHA_1, "3rfcNHYJY1ZVvWVs7j");
    begin("n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL");
    expect_name(SASL_EVENT_LOOKUP, "user");
    take_keys(SCRAM_SHA_1, "QSXCR+Q6sek8bf92", "pencil");
    expect_challenge("r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096");
    sasl_server_continue(server,
                         bytes_of("c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,"
                                  "p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts="),
                         &event);
    expect_challenge("v=rmF9pqV8S7suAoZWja4dJRkFsKQ=");
    finish("user");
}

/* RFC 7677 section 3 */
static void test_scram_sha_256(void **state)
{
    (void)state;
    create(SASL_SCRAM_SHA_256, "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0");
    begin("n,,n=user,r=rOprNGfwEbeRWgbNEkqO");
    expect_name(SASL_EVENT_LOOKUP, "user");
    take_keys(SCRAM_SHA_256, "W22ZaJ0SNY7soEsUEjb6gQ==", "pencil");
    expect_challenge("r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
                     "s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096");
    sasl_server_continue(server,
                         bytes_of("c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
                                  "p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="),
                         &event);
    expect_challenge("v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");
    finish("user");
}

/* RFC 2195 section 2 */
static void test_cram_md5(void **state)
{
    (void)state;
    create(SASL_CRAM_MD5, "<1896.697170952@postoffice.reston.mci.net>");
    begin(NULL);
    expect_challenge("<1896.697170952@postoffice.reston.mci.net>");
    sasl_server_continue(server, bytes_of("tim b913a602c7eda7a495b4e6e7334d3890"), &event);
    expect_name(SASL_EVENT_LOOKUP, "tim");
    struct bytes password = bytes_of("tanstaaftanstaaf");
    sasl_server_passwords(server, &password, 1, &event);
    expect_name(SASL_EVENT_DONE, "tim");
    server = sasl_server_free(server);
}

static void expect_verify(const char *name, const char *password)
{
    expect_name(SASL_EVENT_VERIFY, name);
    assert_int_equal(event.password.size, strlen(password));
    assert_memory_equal(event.password.data, password, strlen(password));
    server = sasl_server_free(server);
}

/* RFC 4616 section 4; its second example asks to act as "Ursel", which nobody may here. */
static void test_plain(void **state)
{
    (void)state;
    static const char first[] = "\0tim\0tanstaaftanstaaf";
    static const char second[] = "Ursel\0Kurt\0xipj3plmq";
    struct bytes message = {(const uint8_t *)first, sizeof first - 1};
    create(SASL_PLAIN, NULL);
    begin(NULL);
    expect_challenge("");
    sasl_server_continue(server, message, &event);
    expect_verify("tim", "tanstaaftanstaaf");

    create(SASL_PLAIN, NULL);
    sasl_server_begin(server, &message, &event);
    expect_verify("tim", "tanstaaftanstaaf");

    create(SASL_PLAIN, NULL);
    message = (struct bytes){(const uint8_t *)second, sizeof second - 1};
    sasl_server_begin(server, &message, &event);
    assert_int_equal(event.type, SASL_EVENT_FAILED);
    server = sasl_server_free(server);
}

/* RFC 1939 section 7 */
static void test_apop(void **state)
{
    (void)state;
    struct bytes timestamp = bytes_of("<1896.697170952@dbc.mtview.ca.us>");
    struct bytes digest = bytes_of("c4c9334bac560ecc979e58001b3e22fb");
    assert_true(sasl_apop_fits(timestamp, bytes_of("tanstaaf"), digest));
    assert_false(sasl_apop_fits(timestamp, bytes_of("tanstaaF"), digest));
    assert_false(sasl_apop_fits(bytes_of("<1897.697170952@dbc.mtview.ca.us>"), bytes_of("tanstaaf"),
                                digest));
    digest.size--;
    assert_false(sasl_apop_fits(timestamp, bytes_of("tanstaaf"), digest));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_scram_sha_1), cmocka_unit_test(test_scram_sha_256),
        cmocka_unit_test(test_cram_md5),    cmocka_unit_test(test_plain),
        cmocka_unit_test(test_apop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
