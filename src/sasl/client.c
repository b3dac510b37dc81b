/* SPDX-License-Identifier: MIT */
/* The client's end: which challenge belongs to which step, the choice of a mechanism, and those that are one
 * message or two: PLAIN (RFC 4616), LOGIN, EXTERNAL (RFC 4422 appendix A), CRAM-MD5 (RFC 2195), APOP. */
#include "sasl/client.h"

#include <assert.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

#include "sasl/bearer_text.h"
#include "sasl/client_exchange.h"
#include "sasl/prepare.h"

enum { MD5_OCTETS = 16 };

static bool lists(const char *offered, const char *name)
{
    struct bytes rest = bytes_of(offered == NULL ? "" : offered);
    while (rest.size > 0) {
        struct bytes word = bytes_take(&rest, ' ');
        if (bytes_equal_ignoring_case(word, bytes_of(name))) {
            return true;
        }
    }
    return false;
}

static bool may_choose(enum sasl_mechanism mechanism, const struct sasl_client_choice *choice)
{
    switch (sasl_mechanism_family(mechanism)) {
    case SASL_FAMILY_SCRAM:
        return choice->has_binding || !sasl_mechanism_is_plus(mechanism);
    case SASL_FAMILY_PLAIN:
    case SASL_FAMILY_LOGIN:
        return choice->password_allowed;
    case SASL_FAMILY_EXTERNAL:
    case SASL_FAMILY_BEARER:
    case SASL_FAMILY_CRAM:
    case SASL_FAMILY_APOP:
        break;
    }
    return false;
}

enum sasl_mechanism sasl_client_choose(const char *offered, const struct sasl_client_choice *choice)
{
    for (unsigned i = 0; i < SASL_MECHANISM_COUNT; i++) {
        enum sasl_mechanism mechanism = (enum sasl_mechanism)i; /* the table has the best first */
        if (may_choose(mechanism, choice) && lists(offered, sasl_mechanism_name(mechanism))) {
            return mechanism;
        }
    }
    return SASL_MECHANISM_COUNT;
}

/* Prepared, as the server does it to what it compares with: RFC 4616 section 2, RFC 5802 section 2.2. */
static int keep(struct bytes octets, uint8_t *out, size_t capacity, size_t *size_out,
                struct error *error)
{
    uint8_t memory[SASL_PREPARED_OCTETS];
    struct bytes prepared;
    struct error reason;
    if (sasl_prepare(octets, SASL_PREPARE_QUERY, memory, &prepared, &reason) < 0) {
        return error_set(error, ERROR_CONFIGURATION, 0,
                         "the user's name or password cannot be sent: %s", reason.text);
    }
    int result = 0;
    if (prepared.size > capacity) {
        result =
            error_set(error, ERROR_CONFIGURATION, 0, "the user's name or password is too long");
    } else if (prepared.size > 0) {
        memcpy(out, prepared.data, prepared.size);
        *size_out = prepared.size;
    }
    if (prepared.data == memory) {
        sodium_memzero(memory, sizeof memory);
    }
    return result;
}

static int keep_identity(struct sasl_client *client, const struct sasl_client_identity *identity,
                         struct error *error)
{
    enum sasl_family family = sasl_mechanism_family(client->mechanism);
    bool token = family == SASL_FAMILY_BEARER;
    size_t most = token ? SASL_CLIENT_TOKEN_OCTETS_MAX : SASL_CLIENT_PASSWORD_OCTETS_MAX;
    if (token && !bearer_is_token(identity->password)) {
        return error_set(error, ERROR_CONFIGURATION, 0, "what was given as the token is none");
    }
    if (keep(identity->name, client->name, sizeof client->name, &client->name_size, error) < 0 ||
        keep(identity->password, client->password, most, &client->password_size, error) < 0 ||
        keep(identity->authorization, client->authorization, sizeof client->authorization,
             &client->authorization_size, error) < 0) {
        return -1;
    }
    if (client->name_size == 0 && family != SASL_FAMILY_EXTERNAL) {
        return error_set(error, ERROR_CONFIGURATION, 0, "the user's name is empty");
    }
    return 0;
}

/* RFC 9266 section 3: of TLS 1.3 there is tls-exporter only; below it tls-unique is what every server knows. */
static int keep_binding(struct sasl_client *client, const struct sasl_client_facts *facts,
                        struct error *error)
{
    bool unique = facts->tls_unique.size > 0;
    struct bytes octets = unique ? facts->tls_unique : facts->tls_exporter;
    client->plus_offered = lists(facts->offered, sasl_mechanism_name(SASL_SCRAM_SHA_256_PLUS)) ||
                           lists(facts->offered, sasl_mechanism_name(SASL_SCRAM_SHA_1_PLUS));
    client->could_bind = octets.size > 0 && octets.size <= sizeof client->binding;
    if (!sasl_mechanism_is_plus(client->mechanism)) {
        return 0;
    }
    if (!client->could_bind) {
        return error_set(error, ERROR_PERMANENT, 0, "%s needs a TLS connection that it can bind to",
                         sasl_mechanism_name(client->mechanism));
    }
    client->binding_type = unique ? "tls-unique" : "tls-exporter";
    client->binding_size = octets.size;
    memcpy(client->binding, octets.data, octets.size);
    return 0;
}

int sasl_client_create(enum sasl_mechanism mechanism, const struct sasl_client_identity *identity,
                       const struct sasl_client_facts *facts, struct sasl_client **client_out,
                       struct error *error)
{
    struct sasl_client *client = calloc(1, sizeof *client);
    if (client == NULL || sodium_init() < 0) {
        free(client);
        return error_set(error, ERROR_TEMPORARY, 0, "no memory for an authentication exchange");
    }
    client->mechanism = mechanism;
    buffer_init(&client->header, client->header_memory, sizeof client->header_memory);
    buffer_init(&client->signed_text, client->signed_memory, sizeof client->signed_memory);
    buffer_init(&client->output, client->output_memory, sizeof client->output_memory);
    (void)snprintf(client->host, sizeof client->host, "%s", facts->host == NULL ? "" : facts->host);
    client->port = facts->port;
    (void)snprintf(client->own_nonce, sizeof client->own_nonce, "%s",
                   facts->nonce == NULL ? "" : facts->nonce);
    if (keep_identity(client, identity, error) < 0 || keep_binding(client, facts, error) < 0) {
        (void)sasl_client_free(client);
        return -1;
    }
    *client_out = client;
    return 0;
}

struct sasl_client *sasl_client_free(struct sasl_client *client)
{
    if (client != NULL) {
        sodium_memzero(client, sizeof *client);
        free(client);
    }
    return NULL;
}

void sasl_client_fail(struct sasl_client *client, enum error_kind kind, const char *reason,
                      struct sasl_client_event *event)
{
    client->awaited = SASL_CLIENT_AWAITS_NOTHING;
    client->complete = false;
    (void)error_set(&client->error, kind, 0, "%s: %s", sasl_mechanism_name(client->mechanism),
                    reason);
    *event = (struct sasl_client_event){
        .type = SASL_CLIENT_FAILED, .octets = bytes_of(""), .error = &client->error};
}

void sasl_client_send(struct sasl_client *client, enum sasl_client_awaited then,
                      struct sasl_client_event *event)
{
    if (client->output.overflow) {
        sasl_client_fail(client, ERROR_LIMIT, "what is to be sent is too long", event);
        return;
    }
    client->awaited = then;
    client->complete = then == SASL_CLIENT_AWAITS_NOTHING;
    *event = (struct sasl_client_event){.type = SASL_CLIENT_SEND,
                                        .octets = buffer_pending(&client->output)};
}

static void plain(struct sasl_client *client, struct sasl_client_event *event)
{
    buffer_append(&client->output,
                  (struct bytes){client->authorization, client->authorization_size});
    buffer_append_octet(&client->output, '\0');
    buffer_append(&client->output, (struct bytes){client->name, client->name_size});
    buffer_append_octet(&client->output, '\0');
    buffer_append(&client->output, (struct bytes){client->password, client->password_size});
    sasl_client_send(client, SASL_CLIENT_AWAITS_NOTHING, event);
}

static void wait_for_server(struct sasl_client *client, enum sasl_client_awaited awaited,
                            struct sasl_client_event *event)
{
    client->awaited = awaited;
    *event = (struct sasl_client_event){.type = SASL_CLIENT_WAIT, .octets = bytes_of("")};
}

void sasl_client_begin(struct sasl_client *client, struct sasl_client_event *event_out)
{
    assert(client->awaited == SASL_CLIENT_AWAITS_NOTHING && !client->complete);
    switch (sasl_mechanism_family(client->mechanism)) {
    case SASL_FAMILY_SCRAM:
        scram_client_first(client, event_out);
        return;
    case SASL_FAMILY_PLAIN:
        plain(client, event_out);
        return;
    case SASL_FAMILY_EXTERNAL:
        buffer_append(&client->output,
                      (struct bytes){client->authorization, client->authorization_size});
        sasl_client_send(client, SASL_CLIENT_AWAITS_NOTHING, event_out);
        return;
    case SASL_FAMILY_BEARER:
        bearer_client_first(client, event_out);
        return;
    case SASL_FAMILY_LOGIN:
        wait_for_server(client, SASL_CLIENT_AWAITS_NAME, event_out);
        return;
    case SASL_FAMILY_CRAM:
        wait_for_server(client, SASL_CLIENT_AWAITS_DIGEST, event_out);
        return;
    case SASL_FAMILY_APOP:
        break;
    }
    sasl_client_fail(client, ERROR_CONFIGURATION, "it is no mechanism of SASL", event_out);
}

/* name SP digest */
static void cram(struct sasl_client *client, struct bytes challenge,
                 struct sasl_client_event *event)
{
    uint8_t digest[MD5_OCTETS];
    char digits[2 * MD5_OCTETS + 1];
    if (challenge.size == 0 || HMAC(EVP_md5(), client->password, (int)client->password_size,
                                    challenge.data, challenge.size, digest, NULL) == NULL) {
        sasl_client_fail(client, ERROR_PROTOCOL, "the server gave no challenge", event);
        return;
    }
    buffer_append(&client->output, (struct bytes){client->name, client->name_size});
    buffer_append_octet(&client->output, ' ');
    buffer_append_text(&client->output,
                       sodium_bin2hex(digits, sizeof digits, digest, sizeof digest));
    sodium_memzero(digest, sizeof digest);
    sodium_memzero(digits, sizeof digits);
    sasl_client_send(client, SASL_CLIENT_AWAITS_NOTHING, event);
}

void sasl_client_continue(struct sasl_client *client, struct bytes challenge,
                          struct sasl_client_event *event_out)
{
    enum sasl_client_awaited awaited = client->awaited;
    client->awaited = SASL_CLIENT_AWAITS_NOTHING;
    sodium_memzero(client->output_memory, client->output.written);
    buffer_init(&client->output, client->output_memory, sizeof client->output_memory);
    if (challenge.size > SASL_CLIENT_CHALLENGE_OCTETS_MAX) {
        sasl_client_fail(client, ERROR_LIMIT, "the server's challenge is too long", event_out);
        return;
    }
    switch (awaited) {
    case SASL_CLIENT_AWAITS_NAME: /* what LOGIN's challenges say was never agreed on */
        buffer_append(&client->output, (struct bytes){client->name, client->name_size});
        sasl_client_send(client, SASL_CLIENT_AWAITS_PASSWORD, event_out);
        return;
    case SASL_CLIENT_AWAITS_PASSWORD:
        buffer_append(&client->output, (struct bytes){client->password, client->password_size});
        sasl_client_send(client, SASL_CLIENT_AWAITS_NOTHING, event_out);
        return;
    case SASL_CLIENT_AWAITS_DIGEST:
        cram(client, challenge, event_out);
        return;
    case SASL_CLIENT_AWAITS_SALT:
        scram_client_take_salt(client, challenge, event_out);
        return;
    case SASL_CLIENT_AWAITS_SIGNATURE:
        scram_client_take_signature(client, challenge, event_out);
        return;
    case SASL_CLIENT_AWAITS_REFUSAL:
        bearer_client_take_refusal(client, challenge, event_out);
        return;
    case SASL_CLIENT_AWAITS_NOTHING:
    case SASL_CLIENT_AWAITS_KEYS:
        break;
    }
    sasl_client_fail(client, ERROR_PROTOCOL, "the server goes on where the exchange is over",
                     event_out);
}

void sasl_client_derive(struct sasl_client *client, struct sasl_client_event *event_out)
{
    assert(client->awaited == SASL_CLIENT_AWAITS_KEYS);
    scram_client_derive(client, event_out);
}

int sasl_client_finish(const struct sasl_client *client, struct error *error)
{
    if (client->complete) {
        return 0;
    }
    bool scram = sasl_mechanism_family(client->mechanism) == SASL_FAMILY_SCRAM;
    return error_set(error, ERROR_PROTOCOL, 0, "%s: %s", sasl_mechanism_name(client->mechanism),
                     scram ? "the server did not prove that it knows the password"
                           : "the server ended the exchange before it was complete");
}

const char *sasl_client_status(const struct sasl_client *client)
{
    return client->status[0] == '\0' ? NULL : client->status;
}

int sasl_apop_digest(struct bytes timestamp, struct bytes password, char out[SASL_APOP_DIGEST_SIZE])
{
    uint8_t digest[EVP_MAX_MD_SIZE];
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    bool done = context != NULL && EVP_DigestInit_ex(context, EVP_md5(), NULL) == 1 &&
                EVP_DigestUpdate(context, timestamp.data, timestamp.size) == 1 &&
                EVP_DigestUpdate(context, password.data, password.size) == 1 &&
                EVP_DigestFinal_ex(context, digest, NULL) == 1;
    EVP_MD_CTX_free(context);
    if (done) {
        (void)sodium_bin2hex(out, SASL_APOP_DIGEST_SIZE, digest, MD5_OCTETS);
    }
    sodium_memzero(digest, sizeof digest);
    return done ? 0 : -1;
}
