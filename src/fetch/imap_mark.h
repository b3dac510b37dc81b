/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_FETCH_IMAP_MARK_H
#define RESTANTE_FETCH_IMAP_MARK_H

#include "fetch/imap_session.h"
#include "fetch/target.h"

#define IMAP_MARK_FIELD "X-Restante-Id"

enum {
    IMAP_MARK_ID_OCTETS = 129, /* with its NUL; SEARCH looks for parts, so an id may be cut */
    IMAP_MARK_CLAIMS = 256
};

/* How a message is known again in its folder. */
struct imap_mark {
    uint32_t uid_validity, uid_from; /* it has no UID below that; 0: not known */
    uint64_t octets;                 /* 0: `id` alone will do */
    char id[IMAP_MARK_ID_OCTETS]; /* in IMAP_MARK_FIELD, or where octets is not 0 in Message-ID */
};

/* As the state keeps it: docs/formats.md, "State of restante fetch". */
void imap_mark_write(const struct imap_mark *mark, char place_out[TARGET_PLACE_OCTETS]);
/* False: the place is another target's. */
bool imap_mark_parse(const char *place, struct imap_mark *mark_out);

/* Looks for messages that may be there. What was found for one message is no other's. */
struct imap_finder {
    struct imap_session *session; /* borrowed */
    int cancel;
    int64_t patience_end_ms;
    uint32_t claims[IMAP_MARK_CLAIMS];
    size_t claim_count;
};

/* From now on a server gets a few seconds to finish what it had begun. */
void imap_finder_be_patient(struct imap_finder *finder);
/* Opens the session if it is not. */
int imap_finder_look_up(struct imap_finder *finder, const struct imap_mark *mark, bool *there_out,
                        struct error *error) MUST_CHECK;

#endif
