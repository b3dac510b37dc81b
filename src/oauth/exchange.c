/* SPDX-License-Identifier: MIT */
#include "oauth/exchange.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/private_file.h"
#include "http/form.h"

enum {
    FORM_SIZE = 64 * 1024,
    SECRET_SIZE = 2048,
    ENCODED_SIZE = 3 * SECRET_SIZE + 1,
    TIMEOUT_MS = 30000
};

static int read_secret(struct oauth_exchange *exchange, struct error *error)
{
    const char *path = exchange->grant->client_secret_file;
    if (path == NULL) {
        return 0;
    }
    ssize_t size =
        private_file_read(PRIVATE_FILE_ANYWHERE, path, exchange->secret_memory, SECRET_SIZE, error);
    if (size < 0) {
        return -1;
    }
    struct bytes text = {exchange->secret_memory, (size_t)size};
    text.size = bytes_find(text, '\n');
    if (text.size != 0 && text.data[text.size - 1] == '\r') {
        text.size--;
    }
    exchange->secret = text;
    return text.size != 0 && bytes_find(text, '\0') == text.size
               ? 0
               : error_set(error, ERROR_CONFIGURATION, 0, "%s: no secret is in its first line",
                           path);
}

int oauth_exchange_open(struct oauth_exchange *exchange, const struct oauth_grant *grant,
                        const struct oauth_endpoints *endpoints, struct error *error)
{
    const struct http_client_options options = {.ca_file = grant->ca_file, .cancel = grant->cancel};
    *exchange = (struct oauth_exchange){.grant = grant, .endpoints = endpoints};
    exchange->form_memory = malloc(FORM_SIZE);
    exchange->secret_memory = malloc(SECRET_SIZE);
    int result = exchange->form_memory == NULL || exchange->secret_memory == NULL
                     ? error_set(error, ERROR_TEMPORARY, ENOMEM, "asking for a token")
                     : read_secret(exchange, error);
    if (result < 0 || http_client_create(&options, &exchange->client, error) < 0) {
        oauth_exchange_close(exchange);
        return -1;
    }
    return 0;
}

void oauth_exchange_close(struct oauth_exchange *exchange)
{
    exchange->client = http_client_free(exchange->client);
    if (exchange->form_memory != NULL) {
        explicit_bzero(exchange->form_memory, FORM_SIZE);
        free(exchange->form_memory);
    }
    if (exchange->secret_memory != NULL) {
        explicit_bzero(exchange->secret_memory, SECRET_SIZE);
        free(exchange->secret_memory);
    }
    exchange->form_memory = exchange->secret_memory = NULL;
}

static bool has_login(const struct oauth_exchange *exchange)
{
    return exchange->secret.size != 0 && !exchange->endpoints->secret_in_body;
}

void oauth_exchange_begin(struct oauth_exchange *exchange)
{
    const struct oauth_grant *grant = exchange->grant;
    buffer_init(&exchange->form, exchange->form_memory, FORM_SIZE);
    if (grant->client_id != NULL && !has_login(exchange)) {
        http_append_pair(&exchange->form, "client_id", bytes_of(grant->client_id));
    }
    if (exchange->secret.size != 0 && exchange->endpoints->secret_in_body) {
        http_append_pair(&exchange->form, "client_secret", exchange->secret);
    }
}

/* RFC 6749 section 2.3.1: both are encoded before they become a name and a password of HTTP. */
static int perform(struct oauth_exchange *exchange, struct http_request *request,
                   struct http_answer *answer, struct error *error)
{
    uint8_t name_memory[1024], secret_memory[ENCODED_SIZE];
    struct buffer name, secret;
    buffer_init(&name, name_memory, sizeof name_memory);
    buffer_init(&secret, secret_memory, sizeof secret_memory);
    if (has_login(exchange) && exchange->grant->client_id != NULL) {
        http_append_encoded(&name, bytes_of(exchange->grant->client_id));
        buffer_append_octet(&name, '\0');
        http_append_encoded(&secret, exchange->secret);
        request->user = (const char *)name_memory;
        request->password = buffer_pending(&secret);
    }
    int result =
        name.overflow || secret.overflow || exchange->form.overflow
            ? error_set(error, ERROR_LIMIT, 0, "what is to be sent to the provider is too long")
            : http_perform(exchange->client, request, answer, error);
    explicit_bzero(secret_memory, sizeof secret_memory);
    return result;
}

static int post(struct oauth_exchange *exchange, const char *url, struct http_answer *answer,
                struct error *error)
{
    const struct http_field fields[] = {
        {"Content-Type", bytes_of("application/x-www-form-urlencoded")},
        {"Accept", bytes_of("application/json")}};
    struct http_request request = {.method = HTTP_POST,
                                   .url = url,
                                   .fields = fields,
                                   .field_count = 2,
                                   .body = buffer_pending(&exchange->form),
                                   .timeout_ms = TIMEOUT_MS,
                                   .octets_most = OAUTH_ANSWER_OCTETS_MAX};
    exchange->status = 0;
    exchange->refusal = (struct oauth_refusal){0};
    if (perform(exchange, &request, answer, error) < 0) {
        return -1;
    }
    exchange->status = answer->status;
    return 0;
}

static bool repeats(const struct oauth_exchange *exchange, const char *text)
{
    const struct bytes secrets[] = {
        exchange->secret, exchange->kept == NULL ? (struct bytes){0} : bytes_of(exchange->kept)};
    bool found = false;
    for (size_t i = 0; i < sizeof secrets / sizeof secrets[0]; i++) {
        /* A beginning of one is too much, too: texts are cut. */
        size_t size = secrets[i].size < 8 ? secrets[i].size : 8;
        found = found || (size != 0 && memmem(text, strlen(text), secrets[i].data, size) != NULL);
    }
    return found;
}

/* What the answer means where it is none that was hoped for. */
static int explain(struct oauth_exchange *exchange, struct error *error)
{
    struct oauth_refusal *refusal = &exchange->refusal;
    if (repeats(exchange, refusal->description)) {
        refusal->description[0] = '\0';
    }
    if (repeats(exchange, refusal->error)) {
        refusal->error[0] = '\0';
    }
    if (exchange->status >= 500 || exchange->status == 429) {
        return error_set(error, ERROR_TEMPORARY, 0, "the provider answers with status %u",
                         exchange->status);
    }
    if (refusal->error[0] == '\0') {
        return error_set(error, ERROR_PROTOCOL, 0,
                         "the provider answers with status %u and what makes no sense",
                         exchange->status);
    }
    enum error_kind kind = ERROR_CONFIGURATION;
    if (strcmp(refusal->error, "invalid_grant") == 0 ||
        strcmp(refusal->error, "access_denied") == 0 ||
        strcmp(refusal->error, "interaction_required") == 0) {
        kind = ERROR_BAD_CREDENTIALS;
    } else if (strcmp(refusal->error, "temporarily_unavailable") == 0 ||
               strcmp(refusal->error, "server_error") == 0) {
        kind = ERROR_TEMPORARY;
    }
    return error_set(error, kind, 0, "the provider says %s%s%s", refusal->error,
                     refusal->description[0] == '\0' ? "" : ": ", refusal->description);
}

int oauth_exchange_tokens(struct oauth_exchange *exchange, struct oauth_tokens *tokens_out,
                          struct error *error)
{
    struct http_answer answer;
    if (post(exchange, exchange->endpoints->token, &answer, error) < 0) {
        return -1;
    }
    int result =
        oauth_tokens_parse(answer.body, (uint64_t)time(NULL), tokens_out, &exchange->refusal);
    http_answer_finish(&answer);
    if (result == 0 && exchange->status != 200) {
        oauth_tokens_finish(tokens_out);
        result = -1;
    }
    return result < 0 ? explain(exchange, error) : 0;
}

int oauth_exchange_device(struct oauth_exchange *exchange, struct oauth_device *device_out,
                          struct error *error)
{
    struct http_answer answer;
    if (post(exchange, exchange->endpoints->device, &answer, error) < 0) {
        return -1;
    }
    int result = oauth_device_parse(answer.body, device_out, &exchange->refusal);
    http_answer_finish(&answer);
    return result < 0 || exchange->status != 200 ? explain(exchange, error) : 0;
}
