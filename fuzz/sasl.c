/* SPDX-License-Identifier: MIT */
/* A client of SASL says any octets: the first choose the mechanism and the connection's facts, then come its
 * messages, each behind two octets of length. Nobody knows the keys, so nobody may come in. */
#include <stdlib.h>

#include "base/user_name.h"
#include "sasl/server.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const uint8_t channel[32] = "octets of a channel for both";

static void must(bool holds)
{
    if (!holds) {
        abort();
    }
}

static struct bytes take(struct bytes *rest, size_t size)
{
    struct bytes taken = {rest->data, size < rest->size ? size : rest->size};
    *rest = bytes_from(*rest, taken.size);
    return taken;
}

static struct bytes take_message(struct bytes *rest)
{
    struct bytes head = take(rest, 2);
    size_t size = head.size < 2 ? 0 : (size_t)(head.data[0] << 8 | head.data[1]);
    return take(rest, size);
}

static void answer(struct sasl_server *server, bool scram, struct sasl_event *event)
{
    static const uint8_t unknown[32] = {0xA5, 0x5A, 1, 2, 3};
    if (scram) {
        struct scram_keys keys = {.iterations = 4096, .salt_size = 16};
        memcpy(keys.stored_key, unknown, sizeof unknown);
        sasl_server_keys(server, &keys, 1, event);
    } else {
        struct bytes password = {unknown, sizeof unknown};
        sasl_server_passwords(server, &password, 1, event);
    }
}

static void check(const struct sasl_event *event, enum sasl_family family)
{
    if (event->name != NULL) {
        must(user_name_check(bytes_of(event->name), NULL) == 0);
    }
    if (event->type == SASL_EVENT_CHALLENGE) {
        must(event->octets.size <= SASL_CHALLENGE_OCTETS_MAX);
    } else if (event->type == SASL_EVENT_VERIFY) {
        must(family == SASL_FAMILY_PLAIN || family == SASL_FAMILY_LOGIN);
        for (size_t i = 0; i < event->password.size; i++) {
            must(strchr("\r\n", event->password.data[i]) == NULL);
        }
    } else if (event->type == SASL_EVENT_TOKEN) {
        must(family == SASL_FAMILY_BEARER && event->password.size > 0);
        must(memchr(event->password.data, 1, event->password.size) == NULL);
    } else if (event->type == SASL_EVENT_DONE) {
        must(family == SASL_FAMILY_EXTERNAL && strcmp(event->name, "alice") == 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes rest = {data, size};
    struct bytes head = take(&rest, 2);
    if (head.size < 2) {
        return 0;
    }
    enum sasl_mechanism mechanism = (enum sasl_mechanism)(head.data[0] % SASL_MECHANISM_COUNT);
    enum sasl_family family = sasl_mechanism_family(mechanism);
    unsigned choices = head.data[1];
    struct sasl_facts facts = {
        .tls_exporter = {channel, (choices & 1) != 0 ? sizeof channel : 0},
        .tls_unique = {channel, (choices & 2) != 0 ? 12 : 0},
        .plus_offered = (choices & 4) != 0,
        .certificate = (choices & 8) != 0 ? "alice" : NULL,
        .host = "host",
        .chosen = "nonce",
        .hosts = (choices & 32) != 0 ? "pop.example.org:995 example.org" : NULL,
        .scope = (choices & 64) != 0 ? "mail" : NULL,
        .discovery = (choices & 128) != 0 ? "https://example.org/" : NULL,
    };
    struct sasl_server *server;
    struct sasl_event event;
    struct error error;
    must(sasl_server_create(mechanism, &facts, &server, &error) == 0);
    struct bytes initial = (choices & 16) != 0 ? take_message(&rest) : (struct bytes){0};
    sasl_server_begin(server, (choices & 16) != 0 ? &initial : NULL, &event);
    check(&event, family);
    for (int i = 0; i < 6 && event.type != SASL_EVENT_DONE; i++) {
        if (event.type == SASL_EVENT_LOOKUP) {
            answer(server, family == SASL_FAMILY_SCRAM, &event);
        } else if (event.type == SASL_EVENT_TOKEN) {
            sasl_server_refuse_token(server, SASL_REFUSAL_INVALID_TOKEN, &event);
            must(event.type == SASL_EVENT_CHALLENGE);
        } else {
            sasl_server_continue(server, take_message(&rest), &event);
        }
        check(&event, family);
    }
    (void)sasl_server_free(server);
    return 0;
}
