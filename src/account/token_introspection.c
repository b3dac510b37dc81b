/* SPDX-License-Identifier: MIT */
/* RFC 7662: the token goes to the issuer, and nowhere else: no redirection, no proxy of the environment, no other
 * protocol than that of the URL. What comes back is bounded in time and in size. */
#include "account/token_introspection.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include <curl/curl.h>
#include <sodium.h>

#include "base/buffer.h"
#include "base/file.h"

enum { CLIENT_SECRET_OCTETS_MAX = 1024, STATUS_OK = 200 };

struct token_introspection {
    const struct token_options *options;
    CURL *curl;
    struct curl_slist *headers;
    struct buffer response;
    char problem[CURL_ERROR_SIZE];
    uint8_t response_memory[TOKEN_RESPONSE_OCTETS_MAX];
};

static size_t on_response(char *data, size_t unit, size_t count, void *context)
{
    struct token_introspection *self = context;
    buffer_append(&self->response, (struct bytes){(const uint8_t *)data, unit * count});
    return self->response.overflow ? 0 : unit * count; /* less than given: it fails */
}

/* RFC 6749 section 2.3.1: both are encoded before they become a name and a password of HTTP. */
static bool set_client(CURL *curl, const char *id, struct bytes secret)
{
    char *name = curl_easy_escape(curl, id, 0);
    char *password = secret.size == 0
                         ? NULL
                         : curl_easy_escape(curl, (const char *)secret.data, (int)secret.size);
    bool done = name != NULL && password != NULL &&
                curl_easy_setopt(curl, CURLOPT_HTTPAUTH, CURLAUTH_BASIC) == CURLE_OK &&
                curl_easy_setopt(curl, CURLOPT_USERNAME, name) == CURLE_OK &&
                curl_easy_setopt(curl, CURLOPT_PASSWORD, password) == CURLE_OK;
    if (password != NULL) {
        sodium_memzero(password, strlen(password));
    }
    curl_free(password);
    curl_free(name);
    return done;
}

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
    bool done = secret.size > 0 && set_client(self->curl, self->options->client_id, secret);
    sodium_memzero((void *)(uintptr_t)text.data, text.size);
    free((void *)(uintptr_t)text.data);
    return done ? 0
                : error_set(error, ERROR_CONFIGURATION, 0, "%s: no secret is in its first line",
                            path);
}

static bool set_options(struct token_introspection *self)
{
    const struct token_options *options = self->options;
    CURL *curl = self->curl;
    const char *protocol = strncmp(options->introspection_url, "https:", 6) == 0 ? "https" : "http";
    bool done = curl_easy_setopt(curl, CURLOPT_URL, options->introspection_url) == CURLE_OK &&
                curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, protocol) == CURLE_OK &&
                curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L) == CURLE_OK &&
                curl_easy_setopt(curl, CURLOPT_PROXY, "") == CURLE_OK &&
                curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L) == CURLE_OK &&
                curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)options->timeout_ms) == CURLE_OK &&
                curl_easy_setopt(curl, CURLOPT_HTTPHEADER, self->headers) == CURLE_OK &&
                curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, self->problem) == CURLE_OK &&
                curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_response) == CURLE_OK &&
                curl_easy_setopt(curl, CURLOPT_WRITEDATA, self) == CURLE_OK;
    if (options->ca_file[0] != '\0') {
        done = done && curl_easy_setopt(curl, CURLOPT_CAINFO, options->ca_file) == CURLE_OK &&
               curl_easy_setopt(curl, CURLOPT_CAPATH, NULL) == CURLE_OK;
    }
    return done;
}

int token_introspection_create(const struct token_options *options,
                               struct token_introspection **introspection_out, struct error *error)
{
    struct token_introspection *self = calloc(1, sizeof *self);
    if (self == NULL || curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        free(self);
        return error_set(error, ERROR_TEMPORARY, ENOMEM, "the introspection of tokens");
    }
    self->options = options;
    self->curl = curl_easy_init();
    self->headers = curl_slist_append(NULL, "Accept: application/json");
    int result = self->curl == NULL || self->headers == NULL || !set_options(self)
                     ? error_set(error, ERROR_TEMPORARY, 0, "libcurl does not start")
                     : log_in(self, error);
    if (result < 0) {
        (void)token_introspection_free(self);
        return -1;
    }
    *introspection_out = self;
    return 0;
}

struct token_introspection *token_introspection_free(struct token_introspection *introspection)
{
    if (introspection != NULL) {
        curl_easy_cleanup(introspection->curl);
        curl_slist_free_all(introspection->headers);
        sodium_memzero(introspection, sizeof *introspection);
        free(introspection);
        curl_global_cleanup();
    }
    return NULL;
}

/* The form that is sent. NULL: no memory. */
static char *make_form(CURL *curl, struct bytes octets)
{
    char *form = NULL;
    char *token = curl_easy_escape(curl, (const char *)octets.data, (int)octets.size);
    if (token == NULL || asprintf(&form, "token=%s&token_type_hint=access_token", token) < 0) {
        form = NULL;
    }
    if (token != NULL) {
        sodium_memzero(token, strlen(token));
    }
    curl_free(token);
    return form;
}

/* Fills `response`. */
static int ask(struct token_introspection *self, struct bytes octets, struct error *error)
{
    long status = 0;
    char *form = make_form(self->curl, octets);
    buffer_init(&self->response, self->response_memory, sizeof self->response_memory);
    self->problem[0] = '\0';
    if (form == NULL || curl_easy_setopt(self->curl, CURLOPT_POSTFIELDS, form) != CURLE_OK) {
        free(form);
        return error_set(error, ERROR_TEMPORARY, ENOMEM, "the introspection of a token");
    }
    CURLcode result = curl_easy_perform(self->curl);
    (void)curl_easy_getinfo(self->curl, CURLINFO_RESPONSE_CODE, &status);
    (void)curl_easy_setopt(self->curl, CURLOPT_POSTFIELDS, "");
    sodium_memzero(form, strlen(form));
    free(form);
    if (self->response.overflow) {
        return error_set(error, ERROR_TEMPORARY, 0, "introspection: the answer is over %d octets",
                         TOKEN_RESPONSE_OCTETS_MAX);
    }
    if (result != CURLE_OK) {
        return error_set(error, ERROR_TEMPORARY, 0, "introspection: %.200s",
                         self->problem[0] == '\0' ? curl_easy_strerror(result) : self->problem);
    }
    return status == STATUS_OK
               ? 0
               : error_set(error, ERROR_TEMPORARY, 0,
                           "introspection: the server answers with status %ld", status);
}

int token_introspection_check(struct token_introspection *introspection, struct bytes octets,
                              const struct token_case *token, struct token_verdict *verdict_out,
                              struct error *error)
{
    if (ask(introspection, octets, error) < 0) {
        return -1;
    }
    struct bytes text = buffer_pending(&introspection->response);
    json_t *claims = json_loadb((const char *)text.data, text.size, JSON_REJECT_DUPLICATES, NULL);
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
    sodium_memzero(introspection->response_memory, text.size);
    return result;
}
