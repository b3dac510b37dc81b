/* SPDX-License-Identifier: MIT */
/* Our client logs in to GNU SASL's server, which others wrote, by every mechanism that it has. */
#include "cmocka_first.h"

#include <gsasl.h>
#include <sodium.h>
#include <stdio.h>

#include "sasl/client.h"

static Gsasl *gsasl;
static const uint8_t exporter[32] = "the channel has these 32 octets";
static char exporter_text[64];
static bool channel; /* has the server the binding? */

static int check_plain(Gsasl_session *session)
{
    const char *name = gsasl_property_fast(session, GSASL_AUTHID);
    const char *password = gsasl_property_fast(session, GSASL_PASSWORD);
    return name != NULL && password != NULL && strcmp(name, "us,er=x") == 0 &&
                   strcmp(password, "correct horse") == 0
               ? GSASL_OK
               : GSASL_AUTHENTICATION_ERROR;
}

static int on_property(Gsasl *library, Gsasl_session *session, Gsasl_property property)
{
    (void)library;
    if (property == GSASL_VALIDATE_EXTERNAL) {
        return GSASL_OK;
    }
    if (property == GSASL_PASSWORD) {
        return gsasl_property_set(session, GSASL_PASSWORD, "correct horse");
    }
    if (property == GSASL_SCRAM_ITER) {
        return gsasl_property_set(session, GSASL_SCRAM_ITER, "4096");
    }
    if (property == GSASL_CB_TLS_EXPORTER && channel) {
        return gsasl_property_set(session, GSASL_CB_TLS_EXPORTER, exporter_text);
    }
    return property == GSASL_VALIDATE_SIMPLE ? check_plain(session) : GSASL_NO_CALLBACK;
}

/* One message of the client's, if it has one, and the server's challenge. */
static int turn(Gsasl_session *server, struct sasl_client *client, struct sasl_client_event *event)
{
    char *challenge;
    size_t size;
    struct bytes message = event->octets;
    int result = gsasl_step(server, (const char *)message.data, message.size, &challenge, &size);
    if (result == GSASL_NEEDS_MORE || (result == GSASL_OK && size > 0)) {
        sasl_client_continue(client, (struct bytes){(const uint8_t *)challenge, size}, event);
    }
    if (result == GSASL_OK || result == GSASL_NEEDS_MORE) {
        gsasl_free(challenge);
    }
    if (event->type == SASL_CLIENT_DERIVE) {
        sasl_client_derive(client, event);
    }
    return event->type == SASL_CLIENT_FAILED ? GSASL_AUTHENTICATION_ERROR : result;
}

static bool logs_in(enum sasl_mechanism mechanism, const char *password)
{
    Gsasl_session *server;
    struct sasl_client *client;
    struct sasl_client_event event;
    struct sasl_client_identity identity = {.name = bytes_of("us,er=x"),
                                            .password = bytes_of(password)};
    struct sasl_client_facts facts = {.offered = sasl_mechanism_name(mechanism)};
    channel = sasl_mechanism_is_plus(mechanism);
    facts.tls_exporter = (struct bytes){exporter, channel ? sizeof exporter : 0};
    assert_int_equal(gsasl_server_start(gsasl, sasl_mechanism_name(mechanism), &server), GSASL_OK);
    assert_int_equal(sasl_client_create(mechanism, &identity, &facts, &client, NULL), 0);
    sasl_client_begin(client, &event);
    int result = GSASL_NEEDS_MORE;
    for (uint32_t i = 0; i < 6 && result == GSASL_NEEDS_MORE; i++) {
        result = turn(server, client, &event);
    }
    bool good = result == GSASL_OK && sasl_client_finish(client, NULL) == 0;
    (void)sasl_client_free(client);
    gsasl_finish(server);
    return good;
}

static int set_up(void **state)
{
    (void)state;
    (void)sodium_bin2base64(exporter_text, sizeof exporter_text, exporter, sizeof exporter,
                            sodium_base64_VARIANT_ORIGINAL);
    int result = gsasl_init(&gsasl);
    gsasl_callback_set(gsasl, on_property);
    return result;
}

static int tear_down(void **state)
{
    (void)state;
    gsasl_done(gsasl);
    return 0;
}

static void test_every_mechanism(void **state)
{
    (void)state;
    static const enum sasl_mechanism all[] = {SASL_SCRAM_SHA_256,
                                              SASL_SCRAM_SHA_1,
                                              SASL_SCRAM_SHA_256_PLUS,
                                              SASL_SCRAM_SHA_1_PLUS,
                                              SASL_CRAM_MD5,
                                              SASL_PLAIN,
                                              SASL_LOGIN,
                                              SASL_EXTERNAL};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        if (!logs_in(all[i], "correct horse")) {
            fail_msg("%s", sasl_mechanism_name(all[i]));
        }
        assert_int_equal(logs_in(all[i], "correct Horse"), all[i] == SASL_EXTERNAL);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_mechanism),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
