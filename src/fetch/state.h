/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_FETCH_STATE_H
#define RESTANTE_FETCH_STATE_H

#include <stdbool.h>

#include "base/bytes.h"
#include "base/error.h"
#include "fetch/message_hash.h"

/* What is known of an account's messages: one SQLite file, which one run at a time may use. What a commit
 * has returned for is durable. Times are seconds since the epoch, 0: never. */

enum state_status {
    STATE_PLACING = 1, /* on its way: its name at the target is known, whether it is there is not */
    STATE_STORED = 2,
    STATE_LEFT = 3,    /* not fetched on purpose */
    STATE_REFUSED = 4, /* by the target, and to be tried again */
    STATE_QUARANTINED = 5,
    STATE_SEEN =
        6 /* not fetched: another program has it, `stored` says since when; or the person says so: 0 */
};

enum { STATE_PLACE_OCTETS = 256, STATE_REASON_OCTETS = 200 };

#define STATE_OCTETS_UNKNOWN UINT64_MAX

struct state_row {
    int64_t id;             /* of the row; 0: there is none yet */
    struct bytes unique_id; /* empty: the server gave none */
    uint32_t occurrence;    /* among messages of the same id in one listing */
    uint64_t octets;        /* as LIST said, or STATE_OCTETS_UNKNOWN */
    bool has_digest;        /* it was fetched, whole */
    struct message_digest digest;
    enum state_status status;
    uint32_t refusals;
    int64_t first_seen, stored, absent_since, deleted, placed;
    char place[STATE_PLACE_OCTETS];   /* at the target, in the target's own words */
    char reason[STATE_REASON_OCTETS]; /* of the last refusal */
};

struct state;

/* Opens and locks, making what is missing, unless `dry_run`: then what is missing counts as empty. IN_USE: another
 * run has it. CORRUPT: it is no state, or one of a newer version. */
int state_open(const char *folder, const char *account, bool dry_run, struct state **state_out,
               struct error *error) MUST_CHECK;
/* What was not committed is rolled back. Accepts NULL, returns NULL. */
struct state *state_close(struct state *state);
/* The folder that it is in. */
int state_folder(const struct state *state);

/* Changes begin a transaction by themselves. */
int state_commit(struct state *state, struct error *error) MUST_CHECK;

/* `visit` gets each row, which is valid during the call; a result below 0 stops and is returned. */
typedef int state_visitor(void *owner, const struct state_row *row);
/* Those that were in the last listing and are not deleted, in the order in which they came. They
 * have no more than an id, octets, status, refusals and the first two times. */
int state_each_present(struct state *state, state_visitor *visit, void *owner,
                       struct error *error) MUST_CHECK;
int state_each_of_id(struct state *state, struct bytes unique_id, state_visitor *visit, void *owner,
                     struct error *error) MUST_CHECK;
int state_each_placing(struct state *state, state_visitor *visit, void *owner,
                       struct error *error) MUST_CHECK;
/* Are there rows that state_each_present does not show? */
int state_has_gone(struct state *state, bool *has_out, struct error *error) MUST_CHECK;

/* Makes a row and sets its id, or replaces all of it but its unique id and first_seen. */
int state_put(struct state *state, struct state_row *row, struct error *error) MUST_CHECK;
/* It is listed, with so many octets. */
int state_set_present(struct state *state, int64_t id, uint64_t octets,
                      struct error *error) MUST_CHECK;
int state_set_absent(struct state *state, int64_t id, int64_t now, struct error *error) MUST_CHECK;
int state_set_deleted(struct state *state, int64_t id, int64_t now, struct error *error) MUST_CHECK;
/* All that is placing is stored. */
int state_set_all_stored(struct state *state, int64_t now, struct error *error) MUST_CHECK;
int state_set_stored(struct state *state, int64_t id, int64_t now, struct error *error) MUST_CHECK;
/* It never came to its place: as it was before it was fetched. */
int state_set_unplaced(struct state *state, int64_t id, struct error *error) MUST_CHECK;
/* Forgets what has been gone since before `oldest`. */
int state_prune(struct state *state, int64_t oldest, struct error *error) MUST_CHECK;

/* Names another id for a row. */
int state_rename(struct state *state, int64_t id, struct bytes unique_id,
                 struct error *error) MUST_CHECK;

/* Facts of the whole state. DASHED: ids were taken over in which "-" stands for "/" too (known_dashes.h). */
#define STATE_FACT_DASHED "dashed"
/* Empty: it has never been set. */
int state_fact(struct state *state, const char *name, char *value_out, size_t capacity,
               struct error *error) MUST_CHECK;
int state_set_fact(struct state *state, const char *name, const char *value,
                   struct error *error) MUST_CHECK;

/* Where, and since which start of the machine, things are placed: what is recorded with them, as a text. Empty:
 * nothing ever was. */
int state_era(struct state *state, char *era_out, size_t capacity, struct error *error) MUST_CHECK;
int state_set_era(struct state *state, const char *era, struct error *error) MUST_CHECK;

#endif
