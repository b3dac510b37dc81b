/* SPDX-License-Identifier: MIT */
/* OAUTHBEARER (RFC 7628) and XOAUTH2: a message brings a token, and perhaps the name of who the client says that it
 * is. The host checks the token. What is refused is told as JSON, and the client has to say something to that
 * before the exchange is over. */
#include <assert.h>

#include "base/number.h"
#include "sasl/bearer_text.h"
#include "sasl/exchange.h"
#include "sasl/scram_text.h"

/* What the pairs of a message say. `data` NULL: nothing. */
struct bearer_pairs {
    struct bytes user, auth, host, port;
};

/* key "=" value kvsep */
static bool take_pair(struct bytes *rest, struct bytes *key_out, struct bytes *value_out)
{
    struct bytes pair = {rest->data, bytes_find(*rest, BEARER_SEPARATOR)};
    size_t equals = bytes_find(pair, '=');
    if (pair.size == rest->size || equals == pair.size || equals == 0) {
        return false;
    }
    *key_out = (struct bytes){pair.data, equals};
    *value_out = (struct bytes){pair.data + equals + 1, pair.size - equals - 1};
    *rest = bytes_from(*rest, pair.size + 1);
    for (size_t i = 0; i < equals; i++) {
        uint8_t lower = pair.data[i] | 0x20;
        if (lower < 'a' || lower > 'z') {
            return false;
        }
    }
    for (size_t i = equals + 1; i < pair.size; i++) {
        uint8_t octet = pair.data[i];
        if (octet >= 0x7F || (octet < ' ' && octet != '\t' && octet != '\r' && octet != '\n')) {
            return false;
        }
    }
    return true;
}

/* *kvpair kvsep. What is known may come once; what is unknown says nothing. */
static bool parse_pairs(struct bytes rest, struct bearer_pairs *pairs)
{
    const struct {
        const char *key;
        struct bytes *value;
    } known[] = {{"user", &pairs->user},
                 {"auth", &pairs->auth},
                 {"host", &pairs->host},
                 {"port", &pairs->port}};
    while (rest.size > 0 && rest.data[0] != BEARER_SEPARATOR) {
        struct bytes key, value;
        if (!take_pair(&rest, &key, &value)) {
            return false;
        }
        for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
            if (bytes_equal(key, bytes_of(known[i].key))) {
                if (known[i].value->data != NULL) {
                    return false;
                }
                *known[i].value = value;
            }
        }
    }
    return rest.size == 1;
}

/* gs2-header: no binding, as there is none to be had in this mechanism, then [ "a=" authzid ]. */
static bool take_header(struct sasl_server *server, struct bytes *rest)
{
    uint8_t octets[USER_NAME_OCTETS_MAX];
    struct bytes name;
    struct bytes flag = bytes_take(rest, ',');
    struct bytes identity = bytes_take(rest, ',');
    if (!bytes_equal(flag, bytes_of("n")) && !bytes_equal(flag, bytes_of("y"))) {
        return false;
    }
    if (identity.size > 0 &&
        (!scram_value_of(identity, 'a', &name) || !scram_unescape_name(name, octets, &name) ||
         !sasl_take_name(server, name))) {
        return false;
    }
    if (rest->size == 0 || rest->data[0] != BEARER_SEPARATOR) {
        return false;
    }
    *rest = bytes_from(*rest, 1);
    return true;
}

static bool is_port(struct bytes port)
{
    uint64_t number;
    return number_parse(port, UINT16_MAX, &number) == 0 && number > 0 && port.data[0] != '0';
}

/* Is that where a client could have wanted to go? `hosts` has NAME or NAME:PORT. */
static bool is_own_host(const char *hosts, struct bytes host, struct bytes port)
{
    struct bytes rest = bytes_of(hosts);
    while (rest.size > 0) {
        struct bytes word = bytes_take(&rest, ' ');
        struct bytes name = {word.data, word.size < host.size ? word.size : host.size};
        struct bytes behind = bytes_from(word, host.size);
        if (bytes_equal_ignoring_case(name, host) &&
            (behind.size == 0 || (behind.data[0] == ':' &&
                                  (port.size == 0 || bytes_equal(bytes_from(behind, 1), port))))) {
            return true;
        }
    }
    return false;
}

static bool is_addressed_to_us(const struct sasl_server *server, const struct bearer_pairs *pairs)
{
    if (pairs->port.data != NULL && !is_port(pairs->port)) {
        return false;
    }
    bool checked = server->hosts != NULL && server->hosts[0] != '\0' &&
                   (pairs->host.data != NULL || pairs->port.data != NULL);
    return !checked || is_own_host(server->hosts, pairs->host, pairs->port);
}

static bool parse(struct sasl_server *server, struct bytes message, struct bearer_pairs *pairs)
{
    *pairs = (struct bearer_pairs){0};
    if (server->mechanism == SASL_XOAUTH2) {
        return parse_pairs(message, pairs) && pairs->auth.data != NULL &&
               sasl_take_name(server, pairs->user);
    }
    return take_header(server, &message) && parse_pairs(message, pairs) &&
           pairs->auth.data != NULL && is_addressed_to_us(server, pairs);
}

static void append_member(struct buffer *out, const char *name, const char *value)
{
    buffer_append_text(out, out->written == 0 ? "{" : ",");
    bearer_append_string(out, name);
    buffer_append_octet(out, ':');
    bearer_append_string(out, value);
}

static void refuse(struct sasl_server *server, enum sasl_refusal refusal, struct sasl_event *event)
{
    /* XOAUTH2 has the status of HTTP. */
    static const char *const statuses[][2] = {
        [SASL_REFUSAL_INVALID_REQUEST] = {"invalid_request", "400"},
        [SASL_REFUSAL_INVALID_TOKEN] = {"invalid_token", "401"},
        [SASL_REFUSAL_INSUFFICIENT_SCOPE] = {"insufficient_scope", "403"},
    };
    bool is_xoauth2 = server->mechanism == SASL_XOAUTH2;
    struct buffer *out = &server->output;
    append_member(out, "status", statuses[refusal][is_xoauth2]);
    if (is_xoauth2) {
        append_member(out, "schemes", "bearer");
    }
    if (server->scope != NULL && server->scope[0] != '\0') {
        append_member(out, "scope", server->scope);
    }
    if (server->discovery != NULL && server->discovery[0] != '\0' && !is_xoauth2) {
        append_member(out, "openid-configuration", server->discovery);
    }
    buffer_append_octet(out, '}');
    sasl_challenge(server, SASL_AWAITS_DUMMY, event);
}

/* "Bearer" 1*SP b64token; without anything, a client asks what it should have had. */
void bearer_server_first(struct sasl_server *server, struct bytes message, struct sasl_event *event)
{
    struct bearer_pairs pairs;
    buffer_init(&server->output, server->output_memory, sizeof server->output_memory);
    if (!parse(server, message, &pairs)) {
        refuse(server, SASL_REFUSAL_INVALID_REQUEST, event);
        return;
    }
    struct bytes scheme = {pairs.auth.data, bytes_find(pairs.auth, ' ')};
    struct bytes token = bytes_from(pairs.auth, scheme.size);
    while (token.size > 0 && token.data[0] == ' ') {
        token = bytes_from(token, 1);
    }
    if (pairs.auth.size > 0 && !bytes_equal_ignoring_case(scheme, bytes_of("Bearer"))) {
        refuse(server, SASL_REFUSAL_INVALID_REQUEST, event);
        return;
    }
    if (token.size > SASL_TOKEN_OCTETS_MAX || !bearer_is_token(token)) {
        refuse(server, SASL_REFUSAL_INVALID_TOKEN, event);
        return;
    }
    server->awaited = SASL_AWAITS_VERDICT;
    *event = (struct sasl_event){.type = SASL_EVENT_TOKEN,
                                 .name = server->name[0] == '\0' ? NULL : server->name,
                                 .password = token};
}

void sasl_server_refuse_token(struct sasl_server *server, enum sasl_refusal refusal,
                              struct sasl_event *event_out)
{
    assert(server->awaited == SASL_AWAITS_VERDICT);
    refuse(server, refusal, event_out);
}
