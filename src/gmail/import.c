/* SPDX-License-Identifier: MIT */
/* A message and what is said of it in one request (multipart/related, RFC 2387), or if it is large in an upload that
 * goes on where a lost connection has ended it:
 * https://developers.google.com/workspace/gmail/api/guides/uploads. */
#include <inttypes.h>
#include <poll.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "base/buffer.h"
#include "base/number.h"
#include "gmail/api.h"

enum { URL_OCTETS = 2048, PART_OCTETS = 1024, BOUNDARY_OCTETS = 33, TRIES = 5 };

/* {"labelIds": [...]}, in which an id has nothing that needs escaping. */
static void write_labels(const struct gmail_message *message, char *out, size_t capacity)
{
    const char *label = message->label;
    (void)snprintf(out, capacity, "{\"labelIds\":[\"INBOX\",\"UNREAD\"%s%s%s]}",
                   label == NULL ? "" : ",\"", label == NULL ? "" : label,
                   label == NULL ? "" : "\"");
}

static int make_url(const struct gmail *gmail, const char *type,
                    const struct gmail_message *message, char url[URL_OCTETS], struct error *error)
{
    char rest[200];
    (void)snprintf(rest, sizeof rest,
                   "messages/import?uploadType=%s&internalDateSource=dateHeader"
                   "&processForCalendar=true&neverMarkSpam=%s",
                   type, message->never_spam ? "true" : "false");
    return gmail_make_url(gmail, "/upload", rest, url, URL_OCTETS, error);
}

/* What comes before the message, the message from somewhere on, and what comes behind it. */
struct body {
    const struct gmail_message *message;
    struct bytes before, behind;
    uint64_t offset;
};

static size_t give(struct bytes *from, void *memory, size_t size)
{
    size_t count = from->size < size ? from->size : size;
    memcpy(memory, from->data, count);
    *from = bytes_from(*from, count);
    return count;
}

static ssize_t read_body(void *owner, void *memory, size_t size)
{
    struct body *body = owner;
    const struct gmail_message *message = body->message;
    if (body->before.size > 0) {
        return (ssize_t)give(&body->before, memory, size);
    }
    if (body->offset < message->octets) {
        uint64_t left = message->octets - body->offset;
        ssize_t count =
            message->read(message->owner, body->offset, memory, left < size ? (size_t)left : size);
        body->offset += count < 0 ? 0 : (uint64_t)count;
        return count == 0 ? -1 : count;
    }
    return body->behind.size > 0 ? (ssize_t)give(&body->behind, memory, size) : 0;
}

static enum gmail_outcome import_at_once(struct gmail *gmail, struct bytes token,
                                         const struct gmail_message *message, struct error *error)
{
    char url[URL_OCTETS], labels[PART_OCTETS / 2], boundary[BOUNDARY_OCTETS];
    char before[PART_OCTETS], behind[64], type[100];
    uint8_t random[(BOUNDARY_OCTETS - 1) / 2];
    struct http_answer answer;
    if (make_url(gmail, "multipart", message, url, error) < 0) {
        return GMAIL_FAILED;
    }
    randombytes_buf(random, sizeof random);
    (void)sodium_bin2hex(boundary, sizeof boundary, random, sizeof random);
    write_labels(message, labels, sizeof labels);
    (void)snprintf(before, sizeof before,
                   "--%s\r\nContent-Type: application/json; charset=UTF-8\r\n\r\n%s\r\n"
                   "--%s\r\nContent-Type: message/rfc822\r\n\r\n",
                   boundary, labels, boundary);
    (void)snprintf(behind, sizeof behind, "\r\n--%s--\r\n", boundary);
    (void)snprintf(type, sizeof type, "multipart/related; boundary=%s", boundary);
    struct body body = {.message = message, .before = bytes_of(before), .behind = bytes_of(behind)};
    struct gmail_question question = {
        .method = HTTP_POST,
        .url = url,
        .token = token,
        .fields = {{"Content-Type", bytes_of(type)}},
        .field_count = 1,
        .read = read_body,
        .reader = &body,
        .octets = body.before.size + message->octets + body.behind.size,
    };
    enum gmail_outcome outcome = gmail_ask(gmail, &question, &answer, error);
    if (outcome == GMAIL_DONE) {
        http_answer_finish(&answer);
    }
    return outcome;
}

/* ---- large messages ---- */

static enum gmail_outcome begin_upload(struct gmail *gmail, struct bytes token,
                                       const struct gmail_message *message,
                                       char session[URL_OCTETS], struct error *error)
{
    char url[URL_OCTETS], labels[PART_OCTETS / 2], octets[24];
    struct http_answer answer;
    if (make_url(gmail, "resumable", message, url, error) < 0) {
        return GMAIL_FAILED;
    }
    write_labels(message, labels, sizeof labels);
    (void)snprintf(octets, sizeof octets, "%" PRIu64, message->octets);
    struct gmail_question question = {
        .method = HTTP_POST,
        .url = url,
        .token = token,
        .fields = {{"Content-Type", bytes_of("application/json; charset=UTF-8")},
                   {"X-Upload-Content-Type", bytes_of("message/rfc822")},
                   {"X-Upload-Content-Length", bytes_of(octets)}},
        .field_count = 3,
        .body = bytes_of(labels),
    };
    enum gmail_outcome outcome = gmail_ask(gmail, &question, &answer, error);
    if (outcome != GMAIL_DONE) {
        return outcome;
    }
    const char *place = answer.fields[GMAIL_ANSWER_LOCATION];
    bool good = place != NULL && strlen(place) < URL_OCTETS && http_url_check(place, NULL);
    if (good) {
        (void)snprintf(session, URL_OCTETS, "%s", place);
    } else {
        (void)error_set(error, ERROR_PROTOCOL, 0, "Gmail does not say where to upload to");
    }
    http_answer_finish(&answer);
    return good ? GMAIL_DONE : GMAIL_FAILED;
}

/* "bytes=0-N": all up to N is there. */
static uint64_t received(const struct http_answer *answer)
{
    const char *range = answer->fields[GMAIL_ANSWER_RANGE];
    struct bytes text = bytes_of(range == NULL ? "" : range);
    uint64_t last = 0;
    bool good =
        bytes_take_prefix(&text, "bytes=0-") && number_parse(text, UINT64_MAX - 1, &last) == 0;
    return good ? last + 1 : 0;
}

/* Sends the rest from *offset on, or only asks how much is there. DONE with *offset = octets: the message is
 * imported. */
static enum gmail_outcome put(struct gmail *gmail, const char *session,
                              const struct gmail_message *message, bool sends, uint64_t *offset,
                              struct error *error)
{
    char range[80];
    struct http_answer answer;
    struct body body = {.message = message, .offset = *offset};
    if (sends) {
        (void)snprintf(range, sizeof range, "bytes %" PRIu64 "-%" PRIu64 "/%" PRIu64, *offset,
                       message->octets - 1, message->octets);
    } else {
        (void)snprintf(range, sizeof range, "bytes */%" PRIu64, message->octets);
    }
    struct gmail_question question = {
        .method = HTTP_PUT,
        .url = session,
        .fields = {{"Content-Type", bytes_of("message/rfc822")},
                   {"Content-Range", bytes_of(range)}},
        .field_count = 2,
        .read = sends ? read_body : NULL,
        .reader = &body,
        .octets = sends ? message->octets - *offset : 0,
    };
    enum gmail_outcome outcome = gmail_ask(gmail, &question, &answer, error);
    if (outcome == GMAIL_DONE) {
        uint64_t there = answer.status == 308 ? received(&answer) : message->octets;
        bool is_open = answer.status == 308 && there >= message->octets;
        *offset = there;
        http_answer_finish(&answer);
        if (is_open) {
            (void)error_set(error, ERROR_TEMPORARY, 0, "Gmail does not end an upload");
            return GMAIL_UNCLEAR;
        }
    }
    return outcome;
}

/* False: the run is to end. */
static bool pause_before(const struct gmail *gmail, unsigned attempt)
{
    struct pollfd polled = {.fd = gmail->options.cancel, .events = POLLIN};
    return attempt == 0 || poll(&polled, 1, 500 << attempt) == 0;
}

static enum gmail_outcome import_by_upload(struct gmail *gmail, struct bytes token,
                                           const struct gmail_message *message, struct error *error)
{
    char session[URL_OCTETS];
    uint64_t offset = 0;
    enum gmail_outcome outcome = begin_upload(gmail, token, message, session, error);
    bool sends = true;
    for (unsigned attempt = 0; outcome == GMAIL_DONE && offset < message->octets; attempt++) {
        if (attempt == 2 * TRIES || !pause_before(gmail, sends ? attempt / 2 : 0)) {
            (void)error_set(error, ERROR_TEMPORARY, 0,
                            "an upload to Gmail does not come to its end");
            return GMAIL_UNCLEAR;
        }
        outcome = put(gmail, session, message, sends, &offset, error);
        if (outcome == GMAIL_UNCLEAR || outcome == GMAIL_LIMITED) {
            sends = !sends || attempt == 2 * TRIES - 1 ? sends : false;
            outcome = attempt == 2 * TRIES - 1 ? outcome : GMAIL_DONE;
        } else {
            sends = true;
        }
    }
    return outcome;
}

enum gmail_outcome gmail_import(struct gmail *gmail, struct bytes token,
                                const struct gmail_message *message, struct error *error)
{
    return message->octets <= GMAIL_SIMPLE_OCTETS ? import_at_once(gmail, token, message, error)
                                                  : import_by_upload(gmail, token, message, error);
}
