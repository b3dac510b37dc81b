/* SPDX-License-Identifier: MIT */
/* RFC 7662: the token goes to the issuer, and nowhere else: no redirection, no proxy of the environment, no other
 * protocol than that of the URL. What comes back is bounded in time and in size. */
#include "account/token_introspection.h"

#include <errno.h>
#include <stdlib.h>

#include <sodium.h>

#include "base/file.h"
#include "http/form.h"
#include "http/http.h"

enum { CLIENT_SECRET_OCTETS_MAX = 1024, STATUS_OK = 200 };

struct token_introspection {
    const struct token_options *options;
    struct http_client *client;
    char *user, *password; /* encoded; NULL: we do not log in */
};

static void wipe(char *text)
{
    if (text != NULL) {
        sodium_memzero(text, strlen(text));
        free(text);
    }
}

/* NULL: no memory. */
static char *encode(struct bytes octets)
{
    size_t capacity = 3 * octets.size;
    char *text = malloc(capacity + 1);
    struct buffer out;
    if (text != NULL) {
        buffer_init(&out, text, capacity);
        http_append_encoded(&out, octets);
        text[out.written] = '\0';
    }
    return text;
}

/* RFC 6749 section 2.3.1: both are encoded before they become a name and a password of HTTP. */
static int log_in(struct token_introspection *self, struct error *error)
{
    const char *path = self->options->client_secret_file;
    struct bytes text;
    if (self->options->client_id[0] == '\0') {
        return 0;
    }
    int result = file_read(path, CLIENT_SECRET_OCTETS_MAX, &text);
    if (result < 0) {
        return error_set(error, ERROR_CONFIGURATION, -result, "%s", path);
    }
    struct bytes secret = {text.data, bytes_find(text, '\n')};
    self->user = encode(bytes_of(self->options->client_id));
    self->password = encode(secret);
    sodium_memzero((void *)(uintptr_t)text.data, text.size);
    free((void *)(uintptr_t)text.data);
    if (secret.size == 0) {
        return error_set(error, ERROR_CONFIGURATION, 0, "%s: no secret is in its first line", path);
    }
    return self->user == NULL || self->password == NULL
               ? error_set(error, ERROR_TEMPORARY, ENOMEM, "%s", path)
               : 0;
}

int token_introspection_create(const struct token_options *options,
                               struct token_introspection **introspection_out, struct error *error)
{
    const struct http_client_options http = {
        .ca_file = options->ca_file[0] == '\0' ? NULL : options->ca_file, .cancel = -1};
    struct token_introspection *self = calloc(1, sizeof *self);
    if (self == NULL) {
        return error_set(error, ERROR_TEMPORARY, ENOMEM, "the introspection of tokens");
    }
    self->options = options;
    if (http_client_create(&http, &self->client, error) < 0 || log_in(self, error) < 0) {
        (void)token_introspection_free(self);
        return -1;
    }
    *introspection_out = self;
    return 0;
}

struct token_introspection *token_introspection_free(struct token_introspection *introspection)
{
    if (introspection != NULL) {
        (void)http_client_free(introspection->client);
        wipe(introspection->user);
        wipe(introspection->password);
        free(introspection);
    }
    return NULL;
}

/* The form that is sent. NULL: no memory. */
static char *make_form(struct bytes octets)
{
    size_t capacity = sizeof "token=&token_type_hint=access_token" + 3 * octets.size;
    char *form = malloc(capacity + 1);
    struct buffer out;
    if (form != NULL) {
        buffer_init(&out, form, capacity);
        http_append_pair(&out, "token", octets);
        http_append_pair(&out, "token_type_hint", bytes_of("access_token"));
        form[out.written] = '\0';
    }
    return form;
}

static int ask(struct token_introspection *self, struct bytes octets,
               struct http_answer *answer_out, struct error *error)
{
    const struct http_field fields[] = {
        {"Accept", bytes_of("application/json")},
        {"Content-Type", bytes_of("application/x-www-form-urlencoded")}};
    char *form = make_form(octets);
    struct error reason;
    if (form == NULL) {
        return error_set(error, ERROR_TEMPORARY, ENOMEM, "the introspection of a token");
    }
    const struct http_request request = {
        .method = HTTP_POST,
        .url = self->options->introspection_url,
        .fields = fields,
        .field_count = sizeof fields / sizeof fields[0],
        .user = self->user,
        .password = self->password == NULL ? (struct bytes){0} : bytes_of(self->password),
        .body = bytes_of(form),
        .timeout_ms = self->options->timeout_ms,
        .octets_most = TOKEN_RESPONSE_OCTETS_MAX,
    };
    int result = http_perform(self->client, &request, answer_out, &reason);
    wipe(form);
    if (result < 0) {
        return error_set(error, ERROR_TEMPORARY, 0, "introspection: %.250s", reason.text);
    }
    if (answer_out->status != STATUS_OK) {
        uint32_t status = answer_out->status;
        http_answer_finish(answer_out);
        return error_set(error, ERROR_TEMPORARY, 0,
                         "introspection: the server answers with status %u", status);
    }
    return 0;
}

int token_introspection_check(struct token_introspection *introspection, struct bytes octets,
                              const struct token_case *token, struct token_verdict *verdict_out,
                              struct error *error)
{
    struct http_answer answer;
    if (ask(introspection, octets, &answer, error) < 0) {
        return -1;
    }
    json_t *claims =
        json_loadb((const char *)answer.body.data, answer.body.size, JSON_REJECT_DUPLICATES, NULL);
    http_answer_finish(&answer);
    const json_t *active = json_object_get(claims, "active");
    int result;
    if (!json_is_boolean(active)) {
        result = error_set(error, ERROR_TEMPORARY, 0,
                           "introspection: the answer does not say whether the token is active");
    } else if (!json_is_true(active)) {
        result = error_set(error, ERROR_BAD_CREDENTIALS, 0, "the token is not active");
    } else {
        result = token_claims_check(claims, token, verdict_out, error);
    }
    json_decref(claims);
    return result;
}
