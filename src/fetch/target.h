/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_FETCH_TARGET_H
#define RESTANTE_FETCH_TARGET_H

#include "base/bytes.h"
#include "base/error.h"
#include "base/fs.h"
#include "fetch/spool.h"

/* Where messages go, as a table of functions. There are two kinds.
 *
 * Batched (Maildir, mbox, IMAP, Gmail): begin, append, end put a message into the batch; prepare makes the batch
 * durable beside its place, and then `place` says of each message where it will be, or how it will be known; when the
 * state has that durably, publish gives the batch its places, durably, as far as each message is taken; it is
 * empty when the next begins. What a kill has interrupted between the two is told by `recover`.
 *
 * One at a time (pipe, LMTP, SMTP): begin, append, end; end delivers and says what became of the message.
 *
 * Octets come as the server sends them, with CR LF. A failure of begin, append, prepare, publish and recover
 * is the whole target's. */

enum target_outcome {
    TARGET_WAITS, /* it is the next of the batch */
    TARGET_STORED,
    TARGET_DEFERRED, /* not now */
    TARGET_REFUSED,  /* this message will not be taken */
    TARGET_FAILED    /* nothing will */
};

/* What a message is called where that is wanted. */
struct target_message {
    struct bytes unique_id;
};

enum { TARGET_PLACE_OCTETS = 256 };

struct fetch_account;
struct target;

struct target_operations {
    bool batched;
    int (*begin)(struct target *target, const struct target_message *message, struct error *error);
    int (*append)(struct target *target, struct bytes octets, struct error *error);
    /* The message that has begun is not to be. */
    void (*abort)(struct target *target);
    enum target_outcome (*end)(struct target *target, struct error *error);
    /* Of batched ones: */
    int (*prepare)(struct target *target, struct error *error);
    void (*place)(const struct target *target, size_t index, char place_out[TARGET_PLACE_OCTETS]);
    int (*publish)(struct target *target, struct error *error);
    /* What became of a message of the batch that was published last: STORED, DEFERRED or REFUSED. NULL: all
     * are stored. */
    enum target_outcome (*outcome)(const struct target *target, size_t index, struct error *reason);
    /* Is what was to have this place there? It is put there if it only waits for that. `recent`: nothing but
     * this program has been killed since, and not long ago. */
    int (*recover)(struct target *target, const char *place, bool recent, bool *there_out,
                   struct error *error);
    /* After the last one: makes it durable, and removes what is left over. */
    int (*recovered)(struct target *target, struct error *error);
    /* Of all that refuse: the message that was refused, until the next begins or this is called again. NULL:
     * `error` says why it cannot be had. `index`: in the batch. */
    struct spool *(*spool)(struct target *target, size_t index, struct error *error);
    void (*free)(struct target *target);
};

struct target {
    const struct target_operations *operations;
};

struct target_options {
    const struct fs *fs; /* for a Maildir; of an mbox only the clock */
    const char *place;   /* all of these are borrowed */
    const char *account, *host, *user;
    const struct fetch_account *described; /* what only some targets ask; NULL: nothing */
    const char *recipient;
    unsigned time_limit_s;
    int state_folder; /* for spools */
    int cancel;       /* a descriptor that becomes readable when what runs is to end; -1: none */
    int stop; /* the same, for questions by HTTP: readable as soon as the person wants an end */
};

int target_maildir_create(const struct target_options *options, struct target **target_out,
                          struct error *error) MUST_CHECK;
int target_mbox_create(const struct target_options *options, struct target **target_out,
                       struct error *error) MUST_CHECK;
int target_pipe_create(const struct target_options *options, struct target **target_out,
                       struct error *error) MUST_CHECK;
int target_imap_create(const struct target_options *options, struct target **target_out,
                       struct error *error) MUST_CHECK;
int target_lmtp_create(const struct target_options *options, struct target **target_out,
                       struct error *error) MUST_CHECK;
int target_gmail_create(const struct target_options *options, struct target **target_out,
                        struct error *error) MUST_CHECK;
int target_smtp_create(const struct target_options *options, struct target **target_out,
                       struct error *error) MUST_CHECK;

#endif
