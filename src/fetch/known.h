/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_FETCH_KNOWN_H
#define RESTANTE_FETCH_KNOWN_H

#include "fetch/state.h"
#include "fetch/storer.h"

/* A server's listing, held against the state: which message is which.
 *
 * An id settles it where it is listed once, its one row was in the listing before, and the octets are the same.
 * All else is a doubt: the rows of that id form a group, and a listed message is the row of the group that has
 * its content and that no other message of this listing has claimed, or else it is new. Messages without an
 * id are one group. */

struct known_row {
    int64_t id;
    uint64_t octets;
    struct message_digest digest;
    bool has_digest, gone, deleted, claimed;
    enum state_status status;
    uint32_t refusals;
    int64_t first_seen, stored;
};

struct known_group {
    bool has_id;
    uint32_t listed,
        settled;            /* messages of it in the listing; of these, those whose row is known */
    struct known_row *rows; /* by content where there is one */
    size_t count;
};

struct known_entry {
    struct bytes unique_id; /* a copy; of what is stored: empty */
    int64_t row;            /* 0: there is none yet */
    uint32_t group;         /* from 1; 0: none */
    uint32_t occurrence;    /* among those of the same id */
    uint32_t refusals;
    enum state_status status; /* of the row */
    int64_t first_seen, stored;
};

struct known {
    struct storer_message *messages; /* the caller's */
    struct known_entry *entries;
    size_t count;
    uint8_t *ids;
    struct known_group *groups;
    size_t group_count;
};

/* Fills the messages' out fields. Writes to the state which ids have disappeared and which are back, without
 * committing (nothing if `dry_run`). */
int known_create(struct state *state, struct storer_message *messages, size_t count, int64_t now,
                 bool dry_run, struct known **known_out, size_t *disappeared_out,
                 struct error *error) MUST_CHECK;
struct known *known_free(struct known *known);

/* The row that a DOUBT is, by its content; it is claimed. NULL: a message that is not known. */
struct known_row *known_find(struct known *known, size_t index,
                             const struct message_digest *digest);
/* The same by the header, where that and the octets are enough. */
struct known_row *known_find_by_header(struct known *known, size_t index,
                                       const uint8_t header[HEADER_HASH_OCTETS]);
/* A message of a group has its row now, one of the group's or a new one. Once all listed ones have, the rows that
 * nobody claimed are written off. */
int known_settle(struct known *known, struct state *state, size_t index, int64_t now,
                 struct error *error) MUST_CHECK;

#endif
