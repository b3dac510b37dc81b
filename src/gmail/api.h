/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_GMAIL_API_H
#define RESTANTE_GMAIL_API_H

/* One question and its answer, for the files of this room. */

#include "gmail/gmail.h"
#include "http/http.h"

struct gmail {
    struct gmail_options options;
    struct http_client *http;
    unsigned retry_after_s;
};

enum { GMAIL_FIELDS_MOST = 4 };

struct gmail_question {
    enum http_method method;
    const char *url;
    struct bytes token; /* none is sent if it is empty */
    struct http_field fields[GMAIL_FIELDS_MOST];
    size_t field_count;
    struct bytes body;
    http_body_reader *read; /* instead of `body` */
    void *reader;
    uint64_t octets;
};

/* Where the answer's fields are. */
enum { GMAIL_ANSWER_RETRY_AFTER, GMAIL_ANSWER_LOCATION, GMAIL_ANSWER_RANGE };

/* DONE: the status is 2xx or 308, and the answer is to be finished; else it is finished. */
enum gmail_outcome gmail_ask(struct gmail *gmail, const struct gmail_question *question,
                             struct http_answer *answer_out, struct error *error);

/* {url}{prefix}/gmail/v1/users/{user}/{rest} */
int gmail_make_url(const struct gmail *gmail, const char *prefix, const char *rest, char *out,
                   size_t capacity, struct error *error) MUST_CHECK;

#endif
