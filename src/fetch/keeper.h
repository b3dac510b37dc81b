/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_FETCH_KEEPER_H
#define RESTANTE_FETCH_KEEPER_H

#include "base/fs.h"
#include "fetch/storer.h"

/* What the storer's thread does, as plain calls that block: state and target of one account, and between them
 * the order in which both become durable. storer.h says what the calls mean. A result of -1 is the end of the
 * account's run; then only keeper_free may follow. */

struct keeper;

/* What became of a message. `error` is valid during the call. */
struct keeper_outcome {
    enum storer_event_type type; /* STORED ... QUARANTINED */
    size_t index;
    enum storer_standing standing;
    uint32_t refusals;
    int64_t stored_s;
    const struct error *error;
};

typedef void keeper_teller(void *owner, const struct keeper_outcome *outcome);

struct keeper_options {
    const struct storer_options *storer; /* borrowed */
    const struct fs *fs;
    const char *boot; /* names this start of the machine; NULL: as the kernel says */
    int cancel;       /* readable: what runs is to end; -1: none */
    keeper_teller *tell;
    void *owner;
};

int keeper_open(const struct keeper_options *options, struct keeper **keeper_out,
                size_t *recovered_out, struct error *error) MUST_CHECK;
struct keeper *keeper_free(struct keeper *keeper);

int keeper_list(struct keeper *keeper, struct storer_message *messages, size_t count,
                size_t *disappeared_out, struct error *error) MUST_CHECK;
int keeper_begin(struct keeper *keeper, size_t index, enum storer_content content,
                 struct error *error) MUST_CHECK;
int keeper_append(struct keeper *keeper, struct bytes octets, struct error *error) MUST_CHECK;
int keeper_end(struct keeper *keeper, struct error *error) MUST_CHECK;
void keeper_break(struct keeper *keeper);
int keeper_leave(struct keeper *keeper, size_t index, bool deleting,
                 struct error *error) MUST_CHECK;
int keeper_mark_seen(struct keeper *keeper, size_t index, struct error *error) MUST_CHECK;
int keeper_deleted(struct keeper *keeper, size_t index, struct error *error) MUST_CHECK;
/* Nanoseconds until keeper_flush should be called, though nothing else happens; -1: nothing waits. */
int64_t keeper_patience_ns(const struct keeper *keeper);
int keeper_flush(struct keeper *keeper, struct error *error) MUST_CHECK;
int keeper_finish(struct keeper *keeper, struct error *error) MUST_CHECK;

#endif
