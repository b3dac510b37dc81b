/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_GMAIL_GMAIL_H
#define RESTANTE_GMAIL_GMAIL_H

/* What we ask of Google's Gmail API (https://developers.google.com/workspace/gmail/api/reference/rest): messages that
 * are imported as if they had come by mail, and whether one is there. All of it blocks: for threads that may wait. */

#include <stdbool.h>
#include <sys/types.h>

#include "base/attributes.h"
#include "base/bytes.h"
#include "base/error.h"

#define GMAIL_URL "https://gmail.googleapis.com"

enum {
    GMAIL_LABEL_OCTETS = 256,
    GMAIL_SIMPLE_OCTETS = 5 * 1024 * 1024 /* what is larger goes in an upload that can be resumed */
};

struct gmail_options {
    const char *url;     /* GMAIL_URL, or what stands in for it; borrowed */
    const char *user;    /* the mailbox's address; borrowed */
    const char *ca_file; /* as http/http.h has it */
    int cancel;          /* as http/http.h has it */
    unsigned idle_s;     /* of silence before a question counts as not answered */
};

/* What came of a question. All but DONE have an error. */
enum gmail_outcome {
    GMAIL_DONE,
    GMAIL_REFUSED, /* the message, for good */
    GMAIL_LIMITED, /* Google wants fewer questions, and has not done this one */
    GMAIL_UNCLEAR, /* there is no answer that says whether it was done */
    GMAIL_TOKEN,   /* the token is not, or no longer, valid */
    GMAIL_FAILED   /* nothing will work until somebody changes something */
};

struct gmail_message {
    uint64_t octets;
    /* Up to `size` of its octets from `offset` on into `memory`; how many, or -1: then it is UNCLEAR. */
    ssize_t (*read)(void *owner, uint64_t offset, void *memory, size_t size);
    void *owner;
    const char *label; /* the id of one more label; NULL: INBOX and UNREAD alone */
    bool never_spam;   /* the filter's judgement is not asked for */
};

struct gmail;

int gmail_create(const struct gmail_options *options, struct gmail **gmail_out,
                 struct error *error) MUST_CHECK;
/* Takes NULL; returns NULL. */
struct gmail *gmail_free(struct gmail *gmail);

/* users.messages.import, dated by the message's own Date. */
enum gmail_outcome gmail_import(struct gmail *gmail, struct bytes token,
                                const struct gmail_message *message, struct error *error);

/* users.messages.list: is there a message with this Message-ID (without brackets), be it in spam or trash? */
enum gmail_outcome gmail_find(struct gmail *gmail, struct bytes token, const char *message_id,
                              bool *there_out, struct error *error);

/* users.labels.list, and create if there is none: the id of the label of that name. */
enum gmail_outcome gmail_label(struct gmail *gmail, struct bytes token, const char *name,
                               char id_out[GMAIL_LABEL_OCTETS], struct error *error);

/* For how many seconds the last answer asked us to wait (Retry-After); 0: it did not say. */
unsigned gmail_retry_after_s(const struct gmail *gmail);

#endif
