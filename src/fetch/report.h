/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_FETCH_REPORT_H
#define RESTANTE_FETCH_REPORT_H

/* What a run tells whoever shows it: this room prints nothing. */

#include "base/bytes.h"
#include "base/error.h"
#include "fetch/account.h"

/* What became of a message in this session. REPORT_OUTCOME(identifier, word) */
#define REPORT_OUTCOMES                                                                            \
    REPORT_OUTCOME(STORED, "stored")                                                               \
    REPORT_OUTCOME(SAME, "here already") /* under another id, or its id had been doubtful */       \
    REPORT_OUTCOME(LEFT, "left")                                                                   \
    REPORT_OUTCOME(DEFERRED, "deferred")                                                           \
    REPORT_OUTCOME(REFUSED, "refused")                                                             \
    REPORT_OUTCOME(QUARANTINED, "quarantined")                                                     \
    REPORT_OUTCOME(FAILED, "not given") /* by the server */                                        \
    REPORT_OUTCOME(DELETED, "deleted")  /* on the server, after +OK to QUIT */                     \
    REPORT_OUTCOME(MARKED, "marked as seen")                                                       \
    REPORT_OUTCOME(WOULD_MARK, "would be marked as seen")                                          \
    REPORT_OUTCOME(WOULD_FETCH, "would be fetched")                                                \
    REPORT_OUTCOME(WOULD_DELETE, "would be deleted")

enum fetch_outcome {
#define REPORT_OUTCOME(identifier, word) OUTCOME_##identifier,
    REPORT_OUTCOMES
#undef REPORT_OUTCOME
        OUTCOME_COUNT
};

const char *fetch_outcome_word(enum fetch_outcome outcome);
/* Should the person know of each one? */
bool fetch_outcome_is_bad(enum fetch_outcome outcome);

struct fetch_progress {
    uint32_t messages_listed; /* in the last listing */
    uint32_t messages_wanted; /* to be fetched, in all listings */
    uint64_t octets_wanted;   /* as LIST says */
    uint32_t messages_fetched;
    uint64_t octets_fetched; /* as they came; of those under way too */
    uint32_t outcomes[OUTCOME_COUNT];
    uint64_t elapsed_ms; /* since the first message was asked for */
};

enum report_type {
    REPORT_NOTE,     /* `text`: something odd, or worth knowing */
    REPORT_WARNING,  /* `text`: something that the person should change */
    REPORT_RESULT,   /* `text`: what a person who asked for it wants to know */
    REPORT_LOGIN,    /* `text`: how */
    REPORT_LISTED,   /* `progress` */
    REPORT_PROGRESS, /* `progress`, at most some times a second */
    REPORT_MESSAGE, /* `number`, `octets`, `unique_id`, `outcome`, and `text` if there is a reason */
    REPORT_HEADER,  /* `number`, `octets`, `data`: a preview */
    REPORT_SENT,    /* `data`: a line to the server, without its secret */
    REPORT_RECEIVED, /* `data`: a line of the server */
    REPORT_FAILED,   /* `text`, `kind`: the account ends with an error */
    REPORT_DONE,     /* `progress`, `kind`: the account has ended */
    REPORT_WATCH     /* `text`: what a watcher does, or how things have changed */
};

/* Everything is borrowed during the call. `text` is printable; `data` and `unique_id` are a stranger's. */
struct fetch_report {
    enum report_type type;
    const struct fetch_account *account;
    const char *text;
    enum error_kind kind;
    struct bytes data;
    uint32_t number;
    uint64_t octets;
    struct bytes unique_id;
    enum fetch_outcome outcome;
    const struct fetch_progress *progress;
};

typedef void fetch_reporter(void *owner, const struct fetch_report *report);

#endif
