/* SPDX-License-Identifier: MIT */
/* Which message belongs to which step, and the mechanisms that only collect what the host then checks: PLAIN
 * (RFC 4616), LOGIN, and EXTERNAL (RFC 4422 appendix A), where TLS has checked already. */
#include "sasl/server.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include <sodium.h>

#include "sasl/exchange.h"
#include "sasl/prepare.h"

size_t sasl_message_octets_max(enum sasl_mechanism mechanism)
{
    return sasl_mechanism_family(mechanism) == SASL_FAMILY_BEARER ? SASL_TOKEN_MESSAGE_OCTETS_MAX
                                                                  : SASL_MESSAGE_OCTETS_MAX;
}

static void keep_binding(struct sasl_binding *binding, struct bytes octets)
{
    if (octets.size <= sizeof binding->octets) {
        binding->size = octets.size;
        if (octets.size > 0) {
            memcpy(binding->octets, octets.data, octets.size);
        }
    }
}

static void keep_text(char *out, size_t capacity, const char *text)
{
    (void)snprintf(out, capacity, "%s", text == NULL ? "" : text);
}

int sasl_server_create(enum sasl_mechanism mechanism, const struct sasl_facts *facts,
                       struct sasl_server **server_out, struct error *error)
{
    struct sasl_server *server = calloc(1, sizeof *server);
    if (server == NULL || sodium_init() < 0) {
        free(server);
        return error_set(error, ERROR_TEMPORARY, 0, "no memory for an authentication exchange");
    }
    server->mechanism = mechanism;
    server->proved = SASL_SECRETS_MAX;
    server->plus_offered = facts->plus_offered;
    keep_binding(&server->tls_exporter, facts->tls_exporter);
    keep_binding(&server->tls_unique, facts->tls_unique);
    keep_text(server->certificate, sizeof server->certificate, facts->certificate);
    keep_text(server->host, sizeof server->host, facts->host);
    keep_text(server->chosen, sizeof server->chosen, facts->chosen);
    server->hosts = facts->hosts;
    server->scope = facts->scope;
    server->discovery = facts->discovery;
    buffer_init(&server->output, server->output_memory, sizeof server->output_memory);
    buffer_init(&server->signed_text, server->signed_memory, sizeof server->signed_memory);
    *server_out = server;
    return 0;
}

struct sasl_server *sasl_server_free(struct sasl_server *server)
{
    if (server != NULL) {
        sodium_memzero(server, sizeof *server);
        free(server);
    }
    return NULL;
}

void sasl_fail(struct sasl_server *server, struct sasl_event *event)
{
    server->awaited = SASL_AWAITS_NOTHING;
    *event = (struct sasl_event){.type = SASL_EVENT_FAILED, .secret = server->proved};
}

void sasl_challenge(struct sasl_server *server, enum sasl_awaited then, struct sasl_event *event)
{
    if (server->output.overflow) {
        sasl_fail(server, event);
        return;
    }
    server->awaited = then;
    *event = (struct sasl_event){.type = SASL_EVENT_CHALLENGE,
                                 .octets = buffer_pending(&server->output)};
}

void sasl_done(struct sasl_server *server, struct sasl_event *event)
{
    server->awaited = SASL_AWAITS_NOTHING;
    *event = (struct sasl_event){
        .type = SASL_EVENT_DONE, .name = server->name, .secret = server->proved};
}

bool sasl_take_name(struct sasl_server *server, struct bytes name)
{
    uint8_t memory[SASL_PREPARED_OCTETS];
    struct bytes prepared;
    if (sasl_prepare(name, SASL_PREPARE_QUERY, memory, &prepared, NULL) < 0 ||
        user_name_check(prepared, NULL) < 0) {
        return false;
    }
    memcpy(server->name, prepared.data, prepared.size);
    server->name[prepared.size] = '\0';
    return true;
}

bool sasl_is_own_identity(const struct sasl_server *server, struct bytes identity)
{
    uint8_t memory[SASL_PREPARED_OCTETS];
    struct bytes prepared;
    return sasl_prepare(identity, SASL_PREPARE_QUERY, memory, &prepared, NULL) == 0 &&
           (prepared.size == 0 || bytes_equal_ignoring_case(prepared, bytes_of(server->name)));
}

/* The end of the mechanisms that collect. */
static void verify(struct sasl_server *server, struct bytes password, struct sasl_event *event)
{
    static const char forbidden[] = "\r\n"; /* and the NUL at its end */
    for (size_t i = 0; i < sizeof forbidden; i++) {
        if (bytes_find(password, (uint8_t)forbidden[i]) < password.size) {
            sasl_fail(server, event);
            return;
        }
    }
    server->response_size = password.size;
    if (password.size > 0) {
        memmove(server->response, password.data, password.size);
    }
    server->awaited = SASL_AWAITS_NOTHING;
    *event = (struct sasl_event){
        .type = SASL_EVENT_VERIFY,
        .name = server->name,
        .password = {.data = server->response, .size = server->response_size},
    };
}

/* [authorization identity] NUL authentication identity NUL password */
static void plain(struct sasl_server *server, struct bytes message, struct sasl_event *event)
{
    struct bytes identity = {message.data, bytes_find(message, '\0')};
    struct bytes rest = bytes_from(message, identity.size + 1);
    struct bytes name = {rest.data, bytes_find(rest, '\0')};
    if (name.size == rest.size || !sasl_take_name(server, name) ||
        !sasl_is_own_identity(server, identity)) {
        sasl_fail(server, event);
        return;
    }
    verify(server, bytes_from(rest, name.size + 1), event);
}

static void ask(struct sasl_server *server, const char *text, enum sasl_awaited then,
                struct sasl_event *event)
{
    buffer_init(&server->output, server->output_memory, sizeof server->output_memory);
    buffer_append_text(&server->output, text);
    sasl_challenge(server, then, event);
}

static void login_name(struct sasl_server *server, struct bytes message, struct sasl_event *event)
{
    if (sasl_take_name(server, message)) {
        ask(server, "Password:", SASL_AWAITS_PASSWORD, event);
    } else {
        sasl_fail(server, event);
    }
}

static void external(struct sasl_server *server, struct bytes message, struct sasl_event *event)
{
    if (sasl_take_name(server, bytes_of(server->certificate)) &&
        sasl_is_own_identity(server, message)) {
        sasl_done(server, event);
    } else {
        sasl_fail(server, event);
    }
}

static void take_first(struct sasl_server *server, struct bytes message, struct sasl_event *event)
{
    switch (sasl_mechanism_family(server->mechanism)) {
    case SASL_FAMILY_EXTERNAL:
        external(server, message, event);
        return;
    case SASL_FAMILY_SCRAM:
        scram_server_first(server, message, event);
        return;
    case SASL_FAMILY_PLAIN:
        plain(server, message, event);
        return;
    case SASL_FAMILY_LOGIN:
        login_name(server, message, event);
        return;
    case SASL_FAMILY_BEARER:
        bearer_server_first(server, message, event);
        return;
    case SASL_FAMILY_CRAM:
        cram_server_response(server, message, event);
        return;
    case SASL_FAMILY_APOP:
        break;
    }
    sasl_fail(server, event);
}

void sasl_server_begin(struct sasl_server *server, const struct bytes *initial,
                       struct sasl_event *event_out)
{
    enum sasl_family family = sasl_mechanism_family(server->mechanism);
    assert(server->awaited == SASL_AWAITS_NOTHING);
    if (family == SASL_FAMILY_CRAM) {
        if (initial != NULL) {
            sasl_fail(server, event_out); /* RFC 4422 section 3.3: here the server speaks first */
        } else {
            cram_server_begin(server, event_out);
        }
    } else if (initial != NULL) {
        server->awaited = SASL_AWAITS_FIRST;
        sasl_server_continue(server, *initial, event_out);
    } else {
        ask(server, family == SASL_FAMILY_LOGIN ? "Username:" : "", SASL_AWAITS_FIRST, event_out);
    }
}

void sasl_server_continue(struct sasl_server *server, struct bytes message,
                          struct sasl_event *event_out)
{
    if (message.size > sasl_message_octets_max(server->mechanism)) {
        sasl_fail(server, event_out);
        return;
    }
    enum sasl_awaited awaited = server->awaited;
    server->awaited = SASL_AWAITS_NOTHING;
    switch (awaited) {
    case SASL_AWAITS_FIRST:
        take_first(server, message, event_out);
        return;
    case SASL_AWAITS_PASSWORD:
        verify(server, message, event_out);
        return;
    case SASL_AWAITS_PROOF:
        scram_server_final(server, message, event_out);
        return;
    case SASL_AWAITS_END:
        if (message.size == 0) {
            sasl_done(server, event_out);
            return;
        }
        break;
    case SASL_AWAITS_NOTHING:
    case SASL_AWAITS_KEYS:
    case SASL_AWAITS_VERDICT:
    case SASL_AWAITS_DUMMY:
        break;
    }
    sasl_fail(server, event_out);
}

void sasl_server_keys(struct sasl_server *server, const struct scram_keys *keys, size_t count,
                      struct sasl_event *event_out)
{
    assert(server->awaited == SASL_AWAITS_KEYS && count > 0 && count <= SASL_SECRETS_MAX);
    scram_server_take_keys(server, keys, count, event_out);
}

void sasl_server_refuse(struct sasl_server *server, size_t secret)
{
    assert(secret < server->key_count);
    server->keys[secret].is_refused = true;
}

void sasl_server_passwords(struct sasl_server *server, const struct bytes *passwords, size_t count,
                           struct sasl_event *event_out)
{
    assert(server->awaited == SASL_AWAITS_KEYS && count > 0 && count <= SASL_SECRETS_MAX);
    cram_server_take_passwords(server, passwords, count, event_out);
}
