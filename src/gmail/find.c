/* SPDX-License-Identifier: MIT */
/* What is there: messages by their Message-ID, labels by their names. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/buffer.h"
#include "gmail/api.h"
#include "http/form.h"

enum { URL_OCTETS = 4096, NAME_OCTETS = 1024 };

static enum gmail_outcome ask_document(struct gmail *gmail, const struct gmail_question *question,
                                       json_t **document_out, struct error *error)
{
    struct http_answer answer;
    enum gmail_outcome outcome = gmail_ask(gmail, question, &answer, error);
    if (outcome != GMAIL_DONE) {
        return outcome;
    }
    *document_out = json_loadb((const char *)answer.body.data, answer.body.size, 0, NULL);
    http_answer_finish(&answer);
    if (!json_is_object(*document_out)) {
        json_decref(*document_out);
        (void)error_set(error, ERROR_TEMPORARY, 0,
                        "what Gmail answers is no JSON, or not all of it");
        return GMAIL_UNCLEAR;
    }
    return GMAIL_DONE;
}

enum gmail_outcome gmail_find(struct gmail *gmail, struct bytes token, const char *message_id,
                              bool *there_out, struct error *error)
{
    char rest[URL_OCTETS], query[NAME_OCTETS], url[URL_OCTETS];
    struct buffer buffer;
    json_t *document = NULL;
    buffer_init(&buffer, rest, sizeof rest - 1);
    (void)snprintf(query, sizeof query, "rfc822msgid:%s", message_id);
    buffer_append_text(&buffer, "messages?maxResults=1&includeSpamTrash=true&q=");
    http_append_encoded(&buffer, bytes_of(query));
    rest[buffer.written] = '\0';
    if (gmail_make_url(gmail, "", rest, url, sizeof url, error) < 0) {
        return GMAIL_FAILED;
    }
    struct gmail_question question = {.method = HTTP_GET, .url = url, .token = token};
    enum gmail_outcome outcome = ask_document(gmail, &question, &document, error);
    if (outcome == GMAIL_DONE) {
        *there_out = json_array_size(json_object_get(document, "messages")) > 0;
        json_decref(document);
    }
    return outcome;
}

/* An id goes into JSON as it is. */
static bool take_id(const json_t *label, char id_out[GMAIL_LABEL_OCTETS])
{
    const char *id = json_string_value(json_object_get(label, "id"));
    size_t size = id == NULL ? 0 : strlen(id);
    for (size_t i = 0; i < size; i++) {
        if (id[i] <= ' ' || id[i] >= 0x7F || id[i] == '"' || id[i] == '\\') {
            return false;
        }
    }
    if (size == 0 || size >= GMAIL_LABEL_OCTETS) {
        return false;
    }
    memcpy(id_out, id, size + 1);
    return true;
}

static bool find_label(const json_t *document, const char *name, char id_out[GMAIL_LABEL_OCTETS])
{
    const json_t *labels = json_object_get(document, "labels");
    bool found = false;
    for (size_t i = 0; i < json_array_size(labels) && !found; i++) {
        const json_t *label = json_array_get(labels, i);
        const char *own = json_string_value(json_object_get(label, "name"));
        found = own != NULL && strcasecmp(own, name) == 0 && take_id(label, id_out);
    }
    return found;
}

static enum gmail_outcome make_label(struct gmail *gmail, const struct gmail_question *list,
                                     const char *name, char id_out[GMAIL_LABEL_OCTETS],
                                     struct error *error)
{
    json_t *document = json_pack("{s:s}", "name", name);
    char *text = document == NULL ? NULL : json_dumps(document, JSON_COMPACT);
    json_decref(document);
    if (text == NULL) {
        (void)error_set(error, ERROR_CONFIGURATION, 0, "a label's name is UTF-8");
        return GMAIL_FAILED;
    }
    struct gmail_question question = *list;
    question.method = HTTP_POST;
    question.fields[question.field_count++] =
        (struct http_field){"Content-Type", bytes_of("application/json; charset=UTF-8")};
    question.body = bytes_of(text);
    enum gmail_outcome outcome = ask_document(gmail, &question, &document, error);
    free(text);
    if (outcome == GMAIL_DONE) {
        bool good = take_id(document, id_out);
        json_decref(document);
        if (!good) {
            (void)error_set(error, ERROR_PROTOCOL, 0, "Gmail makes a label without an id");
            return GMAIL_FAILED;
        }
    }
    return outcome;
}

enum gmail_outcome gmail_label(struct gmail *gmail, struct bytes token, const char *name,
                               char id_out[GMAIL_LABEL_OCTETS], struct error *error)
{
    char url[URL_OCTETS];
    json_t *document = NULL;
    if (gmail_make_url(gmail, "", "labels", url, sizeof url, error) < 0) {
        return GMAIL_FAILED;
    }
    struct gmail_question question = {.method = HTTP_GET, .url = url, .token = token};
    enum gmail_outcome outcome = ask_document(gmail, &question, &document, error);
    if (outcome != GMAIL_DONE) {
        return outcome;
    }
    bool found = find_label(document, name, id_out);
    json_decref(document);
    return found ? GMAIL_DONE : make_label(gmail, &question, name, id_out, error);
}
