/* SPDX-License-Identifier: MIT */
/* Answers and what they mean: https://developers.google.com/workspace/gmail/api/guides/handle-errors. What Google
 * says in words goes into the error, escaped. */
#include "gmail/api.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/number.h"
#include "http/form.h"

enum {
    ANSWER_OCTETS_MOST = 4 * 1024 * 1024,
    TEXT_OCTETS = 160,
    REASON_OCTETS = 64,
    QUESTION_MS = 3600000, /* in all; silence ends it earlier */
    RETRY_AFTER_MOST_S = 3600
};

int gmail_create(const struct gmail_options *options, struct gmail **gmail_out, struct error *error)
{
    struct gmail *gmail = calloc(1, sizeof *gmail);
    if (gmail == NULL) {
        return error_set(error, ERROR_TEMPORARY, 0, "out of memory");
    }
    gmail->options = *options;
    if (http_client_create(
            &(struct http_client_options){.ca_file = options->ca_file, .cancel = options->cancel},
            &gmail->http, error) < 0) {
        free(gmail);
        return -1;
    }
    *gmail_out = gmail;
    return 0;
}

struct gmail *gmail_free(struct gmail *gmail)
{
    if (gmail != NULL) {
        gmail->http = http_client_free(gmail->http);
        free(gmail);
    }
    return NULL;
}

unsigned gmail_retry_after_s(const struct gmail *gmail)
{
    return gmail->retry_after_s;
}

int gmail_make_url(const struct gmail *gmail, const char *prefix, const char *rest, char *out,
                   size_t capacity, struct error *error)
{
    struct buffer url;
    buffer_init(&url, out, capacity - 1);
    buffer_append_text(&url, gmail->options.url);
    buffer_append_text(&url, prefix);
    buffer_append_text(&url, "/gmail/v1/users/");
    http_append_encoded(&url, bytes_of(gmail->options.user));
    buffer_append_text(&url, "/");
    buffer_append_text(&url, rest);
    if (url.overflow) {
        return error_set(error, ERROR_CONFIGURATION, 0, "a URL of Gmail's would be too long");
    }
    out[url.written] = '\0';
    return 0;
}

/* Of Google's error document: {"error": {"code", "message", "errors": [{"reason", ...}]}}. */
struct refusal {
    char reason[REASON_OCTETS], text[TEXT_OCTETS];
};

static void read_refusal(const struct http_answer *answer, struct refusal *refusal)
{
    json_t *document = json_loadb((const char *)answer->body.data, answer->body.size,
                                  JSON_REJECT_DUPLICATES, NULL);
    const json_t *error = json_object_get(document, "error");
    const json_t *first = json_array_get(json_object_get(error, "errors"), 0);
    const char *reason = json_string_value(json_object_get(first, "reason"));
    const char *message = json_string_value(json_object_get(error, "message"));
    (void)snprintf(refusal->reason, sizeof refusal->reason, "%s", reason == NULL ? "" : reason);
    (void)bytes_escape(bytes_of(message == NULL ? "" : message), refusal->text,
                       sizeof refusal->text);
    json_decref(document);
}

static bool is_limit(const char *reason)
{
    static const char *const reasons[] = {"rateLimitExceeded", "userRateLimitExceeded",
                                          "dailyLimitExceeded", "quotaExceeded"};
    bool is = false;
    for (size_t i = 0; i < sizeof reasons / sizeof *reasons; i++) {
        is = is || strcmp(reason, reasons[i]) == 0;
    }
    return is;
}

static enum gmail_outcome judge(uint32_t status, const char *reason)
{
    if (status == 401) {
        return GMAIL_TOKEN;
    }
    if (status == 429 || (status == 403 && is_limit(reason))) {
        return GMAIL_LIMITED;
    }
    if (status == 400 || status == 413) {
        return GMAIL_REFUSED;
    }
    return status >= 500 || status == 408 ? GMAIL_UNCLEAR : GMAIL_FAILED;
}

static void explain(uint32_t status, const struct refusal *refusal, enum gmail_outcome outcome,
                    struct error *error)
{
    static const enum error_kind kinds[] = {
        [GMAIL_DONE] = ERROR_NONE,
        [GMAIL_REFUSED] = ERROR_PERMANENT,
        [GMAIL_LIMITED] = ERROR_TEMPORARY,
        [GMAIL_UNCLEAR] = ERROR_TEMPORARY,
        [GMAIL_TOKEN] = ERROR_BAD_CREDENTIALS,
        [GMAIL_FAILED] = ERROR_PERMANENT,
    };
    char reason[REASON_OCTETS];
    bool known = refusal->reason[0] != '\0';
    (void)error_set(error, kinds[outcome], 0, "Gmail says %u %s%s%s", status,
                    bytes_escape(bytes_of(refusal->reason), reason, sizeof reason),
                    known ? ": " : "", refusal->text);
}

static void keep_retry_after(struct gmail *gmail, const struct http_answer *answer)
{
    const char *text = answer->fields[GMAIL_ANSWER_RETRY_AFTER];
    uint64_t seconds = 0;
    bool good = text != NULL && number_parse(bytes_of(text), RETRY_AFTER_MOST_S, &seconds) == 0;
    gmail->retry_after_s = good ? (unsigned)seconds : 0;
}

static int perform(struct gmail *gmail, const struct gmail_question *question,
                   struct http_answer *answer_out, struct error *error)
{
    static const char bearer[] = "Bearer ";
    char authorization[sizeof bearer + 8192];
    struct http_field fields[GMAIL_FIELDS_MOST + 1];
    struct http_request request = {
        .method = question->method,
        .url = question->url,
        .fields = fields,
        .field_count = question->field_count,
        .body = question->body,
        .read = question->read,
        .reader = question->reader,
        .body_octets = question->octets,
        .timeout_ms = QUESTION_MS,
        .idle_ms = (uint64_t)gmail->options.idle_s * 1000,
        .octets_most = ANSWER_OCTETS_MOST,
        .wanted = {"Retry-After", "Location", "Range"},
    };
    memcpy(fields, question->fields, sizeof question->fields);
    if (question->token.size >= sizeof authorization - sizeof bearer) {
        return error_set(error, ERROR_CONFIGURATION, 0, "the token is too long");
    }
    if (question->token.size > 0) {
        memcpy(authorization, bearer, sizeof bearer - 1);
        memcpy(authorization + sizeof bearer - 1, question->token.data, question->token.size);
        fields[request.field_count++] = (struct http_field){
            "Authorization",
            {(const uint8_t *)authorization, sizeof bearer - 1 + question->token.size}};
    }
    int result = http_perform(gmail->http, &request, answer_out, error);
    explicit_bzero(authorization, sizeof authorization);
    return result;
}

enum gmail_outcome gmail_ask(struct gmail *gmail, const struct gmail_question *question,
                             struct http_answer *answer_out, struct error *error)
{
    struct refusal refusal;
    gmail->retry_after_s = 0;
    if (perform(gmail, question, answer_out, error) < 0) {
        bool is_final = error->kind == ERROR_CONFIGURATION || error->kind == ERROR_PERMANENT;
        return is_final ? GMAIL_FAILED : GMAIL_UNCLEAR;
    }
    uint32_t status = answer_out->status;
    if ((status >= 200 && status < 300) || status == 308) {
        return GMAIL_DONE;
    }
    read_refusal(answer_out, &refusal);
    keep_retry_after(gmail, answer_out);
    enum gmail_outcome outcome = judge(status, refusal.reason);
    explain(status, &refusal, outcome, error);
    http_answer_finish(answer_out);
    return outcome;
}
