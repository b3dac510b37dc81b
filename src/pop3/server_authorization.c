/* SPDX-License-Identifier: MIT */
/* AUTHORIZATION: who the client is (RFC 1939 sections 4 and 7, RFC 5034), STLS (RFC 2595 section 4), UTF8
 * and LANG (RFC 6856), CAPA, and the answers to AUTHENTICATE, CANCEL, OPEN and STARTTLS.
 *
 * 1. A name waits only for the very next command. 2. What was secret is wiped with the end of its command
 * (session_end_command). 3. An exchange of AUTH ends in exactly one +OK or -ERR. */
#include <pop3/server.h>

#include <assert.h>

#include "base/base64.h"
#include "base/number.h"
#include "pop3/session.h"

struct reply handle_user(struct pop3_server *session, const struct arguments *arguments)
{
    struct bytes name = arguments->text[0];
    if (name.size > SESSION_NAME_OCTETS) {
        return reply_of(TEXT_NAME_TOO_LONG);
    }
    memmove(session->line, name.data, name.size);
    session->name_size = name.size;
    session->name_is_new = true;
    return reply_of(TEXT_OK);
}

static struct reply ask(struct pop3_server *session, enum pop3_server_method method,
                        struct bytes name, struct bytes response)
{
    session->authenticate.method = method;
    session->authenticate.name = name;
    session->authenticate.response = response;
    session->authenticate.has_response = true;
    session->doing = DOING_AUTHENTICATING;
    return reply_of(TEXT_NONE);
}

struct reply handle_pass(struct pop3_server *session, const struct arguments *arguments)
{
    if (session->name_size == 0) {
        return reply_of(TEXT_USER_FIRST);
    }
    struct bytes name = {.data = session->line, .size = session->name_size};
    return ask(session, POP3_METHOD_PASSWORD, name, arguments->text[0]);
}

static bool is_digest(struct bytes text)
{
    for (size_t i = 0; i < text.size; i++) {
        uint8_t octet = text.data[i];
        if (!(octet >= '0' && octet <= '9') && !(octet >= 'a' && octet <= 'f')) {
            return false;
        }
    }
    return text.size == 32;
}

struct reply handle_apop(struct pop3_server *session, const struct arguments *arguments)
{
    if (arguments->text[0].size > SESSION_NAME_OCTETS) {
        return reply_of(TEXT_NAME_TOO_LONG);
    }
    if (!is_digest(arguments->text[1])) {
        return reply_of(TEXT_BAD_DIGEST);
    }
    return ask(session, POP3_METHOD_APOP, arguments->text[0], arguments->text[1]);
}

/* The next name of the list, which loses it. */
static struct bytes next_mechanism(struct bytes *list)
{
    struct bytes name = {.data = list->data, .size = bytes_find(*list, ' ')};
    *list = bytes_from(*list, name.size + 1);
    return name;
}

bool authorization_append_mechanism(const struct pop3_server *session, unsigned index,
                                    struct buffer *out)
{
    struct bytes list = bytes_of(session->connection->sasl_mechanisms);
    while (index-- != 0) {
        (void)next_mechanism(&list);
    }
    if (list.size != 0) {
        reply_append_line(out, next_mechanism(&list), (struct bytes){0});
        return true;
    }
    return false;
}

static bool is_offered(const struct pop3_server *session, struct bytes mechanism)
{
    struct bytes list = bytes_of(session->connection->sasl_mechanisms);
    while (list.size != 0) {
        if (bytes_equal_ignoring_case(next_mechanism(&list), mechanism)) {
            return true;
        }
    }
    return false;
}

/* Decodes where it stands, in a line of ours. */
static bool decode(struct bytes code, struct bytes *response_out)
{
    uint8_t *start = (uint8_t *)(uintptr_t)code.data;
    size_t size;
    if (base64_decode(start, code.size, &size) < 0) {
        return false;
    }
    *response_out = (struct bytes){.data = start, .size = size};
    return true;
}

struct reply handle_auth(struct pop3_server *session, const struct arguments *arguments)
{
    if (arguments->count == 0) {
        session->doing = DOING_LISTING;
        session->listing = LISTING_MECHANISMS;
        session->number = 0;
        return reply_of(TEXT_MECHANISMS);
    }
    if (!is_offered(session, arguments->text[0])) {
        return reply_of(TEXT_NO_MECHANISM);
    }
    struct bytes response = {0};
    bool is_empty = bytes_equal(arguments->text[1], bytes_of("="));
    if (arguments->count == 2 && !is_empty && !decode(arguments->text[1], &response)) {
        return reply_of(TEXT_BAD_BASE64);
    }
    (void)ask(session, POP3_METHOD_SASL_BEGIN, arguments->text[0], response);
    session->authenticate.has_response = arguments->count == 2;
    session->exchange = true;
    return reply_of(TEXT_NONE);
}

static struct reply cancel(struct pop3_server *session, enum text why)
{
    session->deferred = why;
    session->doing = DOING_CANCELLING;
    return reply_of(TEXT_NONE);
}

struct reply authorization_continue(struct pop3_server *session, uint8_t *line, size_t size)
{
    if (session->deferred != TEXT_NONE) {
        return cancel(session, session->deferred); /* the line could not be taken */
    }
    if (size == 1 && line[0] == '*') {
        return cancel(session, TEXT_CANCELLED);
    }
    size_t decoded = 0;
    bool is_empty = size == 1 && line[0] == '='; /* as some write it here, too */
    if (!is_empty && base64_decode(line, size, &decoded) < 0) {
        return cancel(session, TEXT_BAD_BASE64);
    }
    struct bytes response = {.data = line, .size = decoded};
    return ask(session, POP3_METHOD_SASL_CONTINUE, (struct bytes){0}, response);
}

struct reply handle_stls(struct pop3_server *session, const struct arguments *arguments)
{
    (void)arguments;
    if (session->utf8) {
        return reply_of(TEXT_TLS_AFTER_UTF8); /* RFC 6856 section 2.1 */
    }
    session->doing = DOING_STARTING_TLS;
    return reply_of(TEXT_STARTTLS);
}

struct reply handle_utf8(struct pop3_server *session, const struct arguments *arguments)
{
    (void)arguments;
    session->utf8 = true;
    return reply_of(TEXT_UTF8);
}

static struct reply list(struct pop3_server *session, enum listing listing, enum text text)
{
    session->doing = DOING_LISTING;
    session->listing = listing;
    session->number = 0;
    return reply_of(text);
}

struct reply handle_lang(struct pop3_server *session, const struct arguments *arguments)
{
    if (arguments->count == 0) {
        return list(session, LISTING_LANGUAGES, TEXT_LANGUAGES);
    }
    enum language language = language_find(arguments->text[0]);
    if (language == LANGUAGE_COUNT) {
        return reply_of(TEXT_NO_LANGUAGE);
    }
    session->language = language;
    return (struct reply){.text = TEXT_LANGUAGE, .prefix = language_tag(language)};
}

/* Is this "KEY=VALUE"? Then *value is what stands behind the sign. */
static bool has_key(struct bytes parameter, const char *key, struct bytes *value)
{
    struct bytes front = {.data = parameter.data, .size = strlen(key)};
    if (parameter.size < front.size || !bytes_equal_ignoring_case(front, bytes_of(key))) {
        return false;
    }
    *value = bytes_from(parameter, front.size);
    return true;
}

/* Parameters that are not known here (SESSION, TTL, FORWARD) say nothing that is needed. */
struct reply handle_xclient(struct pop3_server *session, const struct arguments *arguments)
{
    struct bytes rest = arguments->text[0];
    struct bytes address = {0};
    uint64_t port = 0;
    while (rest.size != 0) {
        struct bytes value, parameter = {.data = rest.data, .size = bytes_find(rest, ' ')};
        rest = bytes_from(rest, parameter.size + 1);
        if (has_key(parameter, "ADDR=", &value)) {
            address = value;
        } else if (has_key(parameter, "PORT=", &value) &&
                   number_parse(value, UINT16_MAX, &port) < 0) {
            return reply_of(TEXT_SYNTAX);
        }
    }
    if (address.size == 0) {
        return reply_of(TEXT_SYNTAX);
    }
    session->client.address = address;
    session->client.port = (uint16_t)port;
    session->doing = DOING_IDENTIFYING;
    return reply_of(TEXT_NONE);
}

void pop3_server_client_taken(struct pop3_server *session,
                              const struct pop3_server_connection *connection)
{
    assert(session->doing == DOING_IDENTIFYING);
    session->connection = connection;
    session->client_taken = true;
    session_answer(session, reply_of(TEXT_OK));
}

struct reply handle_capa(struct pop3_server *session, const struct arguments *arguments)
{
    (void)arguments;
    session->capa_asked = true;
    return list(session, LISTING_CAPABILITIES, TEXT_CAPABILITIES);
}

void pop3_server_authenticated(struct pop3_server *session)
{
    assert(session->doing == DOING_AUTHENTICATING);
    session->exchange = false;
    session_wipe(session);
    session->maildrop_open = true; /* from now on it may be */
    session->doing = DOING_OPENING;
}

void pop3_server_challenge(struct pop3_server *session, const void *data, size_t size)
{
    assert(session->doing == DOING_AUTHENTICATING && session->exchange);
    session_wipe(session);
    if (sizeof "+ \r\n" - 1 + base64_encoded_size(size) > buffer_room(&session->output)) {
        (void)cancel(session, TEXT_TEMPORARY);
        return;
    }
    buffer_append_text(&session->output, "+ ");
    base64_encode(&session->output, (struct bytes){.data = data, .size = size});
    buffer_append_text(&session->output, "\r\n");
    session_end_command(session);
}

void pop3_server_cancelled(struct pop3_server *session)
{
    assert(session->doing == DOING_CANCELLING);
    session->exchange = false;
    enum text why = session->deferred;
    session->deferred = TEXT_NONE;
    session_answer(session, reply_of(why));
}

void pop3_server_opened(struct pop3_server *session, uint32_t count, uint64_t octets)
{
    assert(session->doing == DOING_OPENING);
    session->count = count;
    session->octets = octets;
    session_set_state(session, POP3_TRANSACTION);
    session_answer(session, reply_of(TEXT_READY));
}

void pop3_server_tls_started(struct pop3_server *session,
                             const struct pop3_server_connection *connection)
{
    assert(session->doing == DOING_STARTING_TLS);
    session->connection = connection;
    session->language = 0; /* what came before TLS may have been anybody's */
    session->counters.bad_commands = 0;
    session->capa_asked = false;
    session->client_taken = false;
    session->tls_begun = false;
    session->more_held = false;
    session_end_command(session);
}
