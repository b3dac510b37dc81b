/* SPDX-License-Identifier: MIT */
/* The order in which things become durable (promise 5). For a batch:
 *
 *     octets, beside their place          target->prepare
 *     their names, as "placing"           state_commit; with it, the batch before is "stored"
 *     their places                        target->publish
 *     they are "stored"                   state_commit of the next batch, or of flush
 *     STORED is told                      only now may anybody delete them elsewhere
 *
 * After a kill, whoever is "placing" is looked for at its place. For targets that take one message at a time
 * there is no place to look at: between its delivery and the commit, one message can be doubled. */
#include "fetch/keeper.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "fetch/known.h"
#include "fetch/known_dashes.h"
#include "fetch/quarantine.h"
#include "fetch/recovery.h"
#include "fetch/state.h"
#include "fetch/target.h"
#include "fetch/trace.h"

#define PATIENCE_NS INT64_C(1000000000)

enum { BATCH_MESSAGES = 256, BATCH_OCTETS = 16 * 1024 * 1024 };

struct pending {
    size_t index;
    struct state_row row;
};

struct keeper {
    struct keeper_options options;
    struct storer_options storer;
    struct state *state;
    struct target *target; /* NULL in a dry run */
    struct known *known;   /* NULL before the first listing */
    struct recovery_era era;
    bool era_is_set;

    bool active; /* a message has begun */
    size_t index;
    enum storer_content content;
    struct message_hash hash;

    struct pending *batch;
    size_t batch_count;
    uint64_t batch_octets;
    size_t *published; /* at their places, not yet known as stored: indexes */
    size_t published_count;
    int64_t due_ns; /* monotonic; 0: nothing waits */
};

static int64_t now_s(const struct keeper *keeper)
{
    return keeper->options.fs->operations->clock(keeper->options.fs) / 1000000000;
}

static int64_t monotonic_ns(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now); /* cannot fail for this clock */
    return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

static void something_waits(struct keeper *keeper)
{
    if (keeper->due_ns == 0) {
        keeper->due_ns = monotonic_ns() + PATIENCE_NS;
    }
}

static void tell(struct keeper *keeper, enum storer_event_type type, size_t index,
                 enum storer_standing standing, const struct error *error)
{
    const struct known_entry *entry = &keeper->known->entries[index];
    struct keeper_outcome outcome = {
        .type = type,
        .index = index,
        .standing = standing,
        .refusals = entry->refusals,
        .stored_s = entry->stored,
        .error = error,
    };
    keeper->options.tell(keeper->options.owner, &outcome);
}

static int create_target(struct keeper *keeper, struct error *error)
{
    static int (*const create[])(const struct target_options *, struct target **,
                                 struct error *) = {
        [STORER_TARGET_MAILDIR] = target_maildir_create, [STORER_TARGET_MBOX] = target_mbox_create,
        [STORER_TARGET_PIPE] = target_pipe_create,       [STORER_TARGET_LMTP] = target_lmtp_create,
        [STORER_TARGET_SMTP] = target_smtp_create,       [STORER_TARGET_IMAP] = target_imap_create,
        [STORER_TARGET_GMAIL] = target_gmail_create,
    };
    const struct storer_options *storer = &keeper->storer;
    struct target_options options = {
        .fs = keeper->options.fs,
        .place = storer->place,
        .account = storer->account,
        .host = storer->host,
        .user = storer->user,
        .recipient = storer->recipient,
        .described = storer->described,
        .time_limit_s = storer->time_limit_s,
        .state_folder = state_folder(keeper->state),
        .cancel = keeper->options.cancel,
        .stop = storer->stop,
    };
    return create[storer->target](&options, &keeper->target, error);
}

int keeper_open(const struct keeper_options *options, struct keeper **keeper_out,
                size_t *recovered_out, struct error *error)
{
    struct keeper *keeper = calloc(1, sizeof *keeper);
    if (keeper == NULL) {
        return error_set(error, ERROR_TEMPORARY, 0, "out of memory");
    }
    keeper->options = *options;
    keeper->storer = *options->storer;
    struct storer_options *storer = &keeper->storer;
    storer->refusals_most =
        storer->refusals_most == 0 ? STORER_REFUSALS_MOST : storer->refusals_most;
    storer->time_limit_s = storer->time_limit_s == 0 ? STORER_TIME_LIMIT_S : storer->time_limit_s;
    if (storer->keep_absent_days == 0) {
        storer->keep_absent_days = STORER_KEEP_ABSENT_DAYS;
    }
    *recovered_out = 0;
    recovery_era_make(&keeper->era, options->boot, (int)storer->target, storer->place);
    keeper->batch = calloc(BATCH_MESSAGES, sizeof *keeper->batch);
    keeper->published = calloc(BATCH_MESSAGES, sizeof *keeper->published);
    int result = -1;
    if (keeper->batch == NULL || keeper->published == NULL) {
        (void)error_set(error, ERROR_TEMPORARY, 0, "out of memory");
    } else {
        result = state_open(storer->state_folder, storer->account, storer->dry_run, &keeper->state,
                            error);
    }
    if (result == 0 && !storer->dry_run) {
        result = create_target(keeper, error);
        if (result == 0) {
            result = recovery_run(keeper->state, keeper->target, &keeper->era, now_s(keeper),
                                  recovered_out, error);
        }
    }
    if (result < 0) {
        (void)keeper_free(keeper);
        return -1;
    }
    *keeper_out = keeper;
    return 0;
}

struct keeper *keeper_free(struct keeper *keeper)
{
    if (keeper != NULL) {
        if (keeper->target != NULL) {
            keeper->target->operations->free(keeper->target);
        }
        (void)state_close(keeper->state);
        (void)known_free(keeper->known);
        free(keeper->batch);
        free(keeper->published);
        free(keeper);
    }
    return NULL;
}

int keeper_list(struct keeper *keeper, struct storer_message *messages, size_t count,
                size_t *disappeared_out, struct error *error)
{
    if (keeper_flush(keeper, error) < 0) {
        return -1;
    }
    keeper->known = known_free(keeper->known);
    if (known_dashes_resolve(keeper->state, messages, count, error) < 0 ||
        known_create(keeper->state, messages, count, now_s(keeper), keeper->storer.dry_run,
                     &keeper->known, disappeared_out, error) < 0) {
        return -1;
    }
    return state_commit(keeper->state, error);
}

static int begin_at_target(struct keeper *keeper, struct error *error)
{
    struct target_message message = {.unique_id = keeper->known->entries[keeper->index].unique_id};
    const struct target_operations *target = keeper->target->operations;
    int result = target->begin(keeper->target, &message, error);
    if (result < 0 && (error->number == EMFILE || error->number == ENFILE) &&
        keeper->batch_count != 0) {
        /* A batch holds a descriptor for each message. */
        result = keeper_flush(keeper, error);
        result = result < 0 ? -1 : target->begin(keeper->target, &message, error);
    }
    if (result == 0 && keeper->storer.trace) {
        uint8_t memory[TRACE_OCTETS];
        struct buffer trace;
        buffer_init(&trace, memory, sizeof memory);
        trace_write(&trace, keeper->storer.host, keeper->storer.user, now_s(keeper));
        result = target->append(keeper->target, buffer_pending(&trace), error);
    }
    return result;
}

int keeper_begin(struct keeper *keeper, size_t index, enum storer_content content,
                 struct error *error)
{
    keeper_break(keeper);
    keeper->index = index;
    keeper->content = content;
    message_hash_init(&keeper->hash);
    if (content == STORER_WHOLE && begin_at_target(keeper, error) < 0) {
        return -1;
    }
    keeper->active = true;
    return 0;
}

int keeper_append(struct keeper *keeper, struct bytes octets, struct error *error)
{
    if (!keeper->active) {
        return 0;
    }
    message_hash_feed(&keeper->hash, octets);
    return keeper->content == STORER_HEADER
               ? 0
               : keeper->target->operations->append(keeper->target, octets, error);
}

void keeper_break(struct keeper *keeper)
{
    if (keeper->active && keeper->content == STORER_WHOLE) {
        keeper->target->operations->abort(keeper->target);
    }
    keeper->active = false;
}

static void use_row(struct known_entry *entry, const struct known_row *row)
{
    entry->row = row->id;
    entry->status = row->status;
    entry->refusals = row->refusals;
    entry->first_seen = row->first_seen;
    entry->stored = row->stored;
}

/* A doubt is settled: the message is here, or given up, already. */
static int accept_known(struct keeper *keeper, const struct known_row *row, struct error *error)
{
    size_t index = keeper->index;
    use_row(&keeper->known->entries[index], row);
    if (state_set_present(keeper->state, row->id, keeper->known->messages[index].octets, error) <
            0 ||
        known_settle(keeper->known, keeper->state, index, now_s(keeper), error) < 0) {
        return -1;
    }
    something_waits(keeper);
    if (row->status == STATE_STORED) {
        tell(keeper, STORER_EVENT_SAME, index, STORER_HELD, NULL);
    } else {
        struct error reason;
        (void)error_set(&reason, ERROR_PERMANENT, 0, "it was refused %u times before",
                        row->refusals);
        tell(keeper, STORER_EVENT_QUARANTINED, index, STORER_QUARANTINED, &reason);
    }
    return 0;
}

static int end_header(struct keeper *keeper, struct error *error)
{
    struct message_digest digest;
    message_hash_finish(&keeper->hash, &digest);
    const struct known_row *row = known_find_by_header(keeper->known, keeper->index, digest.header);
    if (row != NULL) {
        return accept_known(keeper, row, error);
    }
    tell(keeper, STORER_EVENT_FETCH_WHOLE, keeper->index, STORER_DOUBT, NULL);
    return 0;
}

static struct state_row make_row(struct keeper *keeper, const struct message_digest *digest)
{
    const struct known_entry *entry = &keeper->known->entries[keeper->index];
    return (struct state_row){
        .id = entry->row,
        .unique_id = entry->unique_id,
        .occurrence = entry->occurrence,
        .octets = keeper->known->messages[keeper->index].octets,
        .has_digest = true,
        .digest = *digest,
        .refusals = entry->refusals,
        .first_seen = entry->first_seen,
    };
}

/* The row as it is to be, and what follows from that for others of its id. */
static int put_row(struct keeper *keeper, size_t index, struct state_row *row, struct error *error)
{
    struct known_entry *entry = &keeper->known->entries[index];
    bool settles = entry->group != 0;
    if (state_put(keeper->state, row, error) < 0) {
        return -1;
    }
    entry->row = row->id;
    entry->status = row->status;
    entry->refusals = row->refusals;
    entry->stored = row->stored;
    return settles ? known_settle(keeper->known, keeper->state, index, now_s(keeper), error) : 0;
}

static int put_stored(struct keeper *keeper, struct state_row *row, struct error *error)
{
    row->status = STATE_STORED;
    row->stored = now_s(keeper);
    if (put_row(keeper, keeper->index, row, error) < 0 || state_commit(keeper->state, error) < 0) {
        return -1;
    }
    keeper->due_ns = 0;
    tell(keeper, STORER_EVENT_STORED, keeper->index, STORER_HELD, NULL);
    return 0;
}

/* `index`: of the message in the batch of the target. */
static int put_refused(struct keeper *keeper, struct pending *refused, size_t index,
                       const struct error *reason, struct error *error)
{
    const struct target_operations *target = keeper->target->operations;
    struct state_row *row = &refused->row;
    row->refusals++;
    bool is_last = row->refusals >= keeper->storer.refusals_most;
    row->status = is_last ? STATE_QUARANTINED : STATE_REFUSED;
    (void)snprintf(row->reason, sizeof row->reason, "%.*s", (int)sizeof row->reason - 1,
                   reason->text);
    if (put_row(keeper, refused->index, row, error) < 0) {
        return -1;
    }
    struct spool *spool = is_last ? target->spool(keeper->target, index, error) : NULL;
    if (is_last &&
        (spool == NULL || quarantine_put(state_folder(keeper->state), keeper->storer.account, row,
                                         spool, error) < 0)) {
        return -1;
    }
    if (state_commit(keeper->state, error) < 0) {
        return -1;
    }
    keeper->due_ns = 0;
    tell(keeper, is_last ? STORER_EVENT_QUARANTINED : STORER_EVENT_REFUSED, refused->index,
         is_last ? STORER_QUARANTINED : STORER_REFUSED, reason);
    return 0;
}

/* The batch becomes durable and known; the one before it is stored then. */
static int advance(struct keeper *keeper, struct error *error)
{
    const struct target_operations *target = keeper->target->operations;
    int64_t now = now_s(keeper);
    if (target->prepare(keeper->target, error) < 0) {
        return -1;
    }
    if (keeper->published_count != 0 && state_set_all_stored(keeper->state, now, error) < 0) {
        return -1;
    }
    if (!keeper->era_is_set && state_set_era(keeper->state, keeper->era.text, error) < 0) {
        return -1;
    }
    for (size_t i = 0; i < keeper->batch_count; i++) {
        struct pending *pending = &keeper->batch[i];
        pending->row.status = STATE_PLACING;
        pending->row.placed = now;
        target->place(keeper->target, i, pending->row.place);
        if (put_row(keeper, pending->index, &pending->row, error) < 0) {
            return -1;
        }
    }
    if (state_commit(keeper->state, error) < 0) {
        return -1;
    }
    keeper->era_is_set = true;
    return 0;
}

static void tell_published(struct keeper *keeper, int64_t now)
{
    for (size_t i = 0; i < keeper->published_count; i++) {
        struct known_entry *entry = &keeper->known->entries[keeper->published[i]];
        entry->status = STATE_STORED;
        entry->stored = now;
        tell(keeper, STORER_EVENT_STORED, keeper->published[i], STORER_HELD, NULL);
    }
    keeper->published_count = 0;
}

/* A message of the batch that was not taken after all: it is as if it had not come. */
static int put_deferred(struct keeper *keeper, const struct pending *pending,
                        const struct error *reason, struct error *error)
{
    struct known_entry *entry = &keeper->known->entries[pending->index];
    bool was_refused = pending->row.refusals > 0;
    if (state_set_unplaced(keeper->state, pending->row.id, error) < 0) {
        return -1;
    }
    entry->row = was_refused ? entry->row : 0;
    entry->status = STATE_REFUSED;
    something_waits(keeper);
    tell(keeper, STORER_EVENT_DEFERRED, pending->index, was_refused ? STORER_REFUSED : STORER_NEW,
         reason);
    return 0;
}

/* What became of the message at `index` of the batch that was published. */
static int settle(struct keeper *keeper, size_t index, struct error *error)
{
    const struct target_operations *target = keeper->target->operations;
    struct pending *pending = &keeper->batch[index];
    struct error reason = {0};
    enum target_outcome outcome =
        target->outcome == NULL ? TARGET_STORED : target->outcome(keeper->target, index, &reason);
    if (outcome == TARGET_REFUSED) {
        return put_refused(keeper, pending, index, &reason, error);
    }
    if (outcome == TARGET_DEFERRED) {
        return put_deferred(keeper, pending, &reason, error);
    }
    keeper->published[keeper->published_count++] = pending->index;
    return 0;
}

static int publish(struct keeper *keeper, struct error *error)
{
    if (keeper->batch_count == 0) {
        return 0;
    }
    if (advance(keeper, error) < 0) {
        return -1;
    }
    tell_published(keeper, now_s(keeper));
    if (keeper->target->operations->publish(keeper->target, error) < 0) {
        return -1;
    }
    for (size_t i = 0; i < keeper->batch_count; i++) {
        if (settle(keeper, i, error) < 0) {
            return -1;
        }
    }
    keeper->batch_count = 0;
    keeper->batch_octets = 0;
    keeper->due_ns = 0;
    something_waits(keeper);
    return 0;
}

int keeper_flush(struct keeper *keeper, struct error *error)
{
    if (publish(keeper, error) < 0) {
        return -1;
    }
    int64_t now = now_s(keeper);
    if (keeper->published_count != 0 && state_set_all_stored(keeper->state, now, error) < 0) {
        return -1;
    }
    if (state_commit(keeper->state, error) < 0) {
        return -1;
    }
    tell_published(keeper, now);
    keeper->due_ns = 0;
    return 0;
}

static int end_at_target(struct keeper *keeper, const struct message_digest *digest,
                         struct error *error)
{
    struct state_row row = make_row(keeper, digest);
    struct error reason = {0};
    switch (keeper->target->operations->end(keeper->target, &reason)) {
    case TARGET_WAITS:
        keeper->batch[keeper->batch_count++] = (struct pending){.index = keeper->index, .row = row};
        keeper->batch_octets += digest->octets;
        something_waits(keeper);
        return keeper->batch_count == BATCH_MESSAGES || keeper->batch_octets >= BATCH_OCTETS
                   ? publish(keeper, error)
                   : 0;
    case TARGET_STORED:
        return put_stored(keeper, &row, error);
    case TARGET_DEFERRED:
        tell(keeper, STORER_EVENT_DEFERRED, keeper->index,
             row.id == 0 ? STORER_NEW : STORER_REFUSED, &reason);
        return 0;
    case TARGET_REFUSED:
        return put_refused(keeper, &(struct pending){.index = keeper->index, .row = row}, 0,
                           &reason, error);
    case TARGET_FAILED:
        break;
    }
    *error = reason;
    return -1;
}

int keeper_end(struct keeper *keeper, struct error *error)
{
    if (!keeper->active) {
        return 0;
    }
    keeper->active = false;
    if (keeper->content == STORER_HEADER) {
        return end_header(keeper, error);
    }
    struct message_digest digest;
    struct known_entry *entry = &keeper->known->entries[keeper->index];
    message_hash_finish(&keeper->hash, &digest);
    const struct known_row *row =
        entry->row == 0 ? known_find(keeper->known, keeper->index, &digest) : NULL;
    if (row != NULL && (row->status == STATE_STORED || row->status == STATE_QUARANTINED)) {
        keeper->target->operations->abort(keeper->target);
        return accept_known(keeper, row, error);
    }
    if (row != NULL) {
        use_row(entry, row);
    }
    return end_at_target(keeper, &digest, error);
}

int keeper_leave(struct keeper *keeper, size_t index, bool deleting, struct error *error)
{
    struct known_entry *entry = &keeper->known->entries[index];
    if (entry->row != 0 || entry->group != 0) {
        return 0; /* what is known of it says more */
    }
    struct state_row row = {
        .unique_id = entry->unique_id,
        .occurrence = entry->occurrence,
        .octets = keeper->known->messages[index].octets,
        .status = STATE_LEFT,
        .first_seen = entry->first_seen,
    };
    (void)snprintf(row.reason, sizeof row.reason, "%s", deleting ? "to be deleted unseen" : "");
    something_waits(keeper);
    return put_row(keeper, index, &row, error);
}

int keeper_mark_seen(struct keeper *keeper, size_t index, struct error *error)
{
    const struct known_entry *entry = &keeper->known->entries[index];
    bool is_settled =
        entry->row != 0 && (entry->status == STATE_PLACING || entry->status == STATE_STORED ||
                            entry->status == STATE_QUARANTINED || entry->status == STATE_SEEN);
    if (is_settled) {
        return 0;
    }
    struct state_row row = {
        .id = entry->row,
        .unique_id = entry->unique_id,
        .occurrence = entry->occurrence,
        .octets = keeper->known->messages[index].octets,
        .status = STATE_SEEN,
        .first_seen = entry->first_seen,
    };
    something_waits(keeper);
    return put_row(keeper, index, &row, error);
}

int keeper_deleted(struct keeper *keeper, size_t index, struct error *error)
{
    int64_t row = keeper->known->entries[index].row;
    something_waits(keeper);
    return row == 0 ? 0 : state_set_deleted(keeper->state, row, now_s(keeper), error);
}

int64_t keeper_patience_ns(const struct keeper *keeper)
{
    if (keeper->due_ns == 0) {
        return -1;
    }
    int64_t left = keeper->due_ns - monotonic_ns();
    return left > 0 ? left : 0;
}

int keeper_finish(struct keeper *keeper, struct error *error)
{
    keeper_break(keeper);
    if (keeper_flush(keeper, error) < 0) {
        return -1;
    }
    if (keeper->storer.dry_run) {
        return 0;
    }
    int64_t oldest = now_s(keeper) - (int64_t)keeper->storer.keep_absent_days * 86400;
    return state_prune(keeper->state, oldest, error) < 0 ? -1 : state_commit(keeper->state, error);
}
