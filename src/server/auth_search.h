/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_SERVER_AUTH_SEARCH_H
#define RESTANTE_SERVER_AUTH_SEARCH_H

/* From a name to its account: the sources are asked in the order of the configuration, and the first that
 * knows the name decides. The accounts file answers at once, any other later. */

#include "account/accounts.h"
#include "server/messages.h"
#include "server/source_queue.h"

struct auth;

/* Embedded in who asks, who stays until `done`. */
struct search {
    struct auth *auth;
    void (*done)(struct search *search);
    const struct secret *password; /* borrowed; NULL: a look-up */
    char name[MESSAGE_NAME_SIZE];
    char address[64]; /* of the client */
    bool is_tls;
    /* What was found. `account` is then the asker's; NULL: see `error`, where ERROR_NO_SUCH_USER means that no
     * source knows the name. */
    struct account *account;
    uint32_t source;     /* its place in the list */
    bool is_file;        /* that source is the accounts file */
    uint64_t generation; /* of the accounts file, if it is */
    bool is_right; /* the source has found the password right; else the verifier is to be checked */
    struct error error;
    /* private */
    struct source_job job;
};

/* `done` follows, perhaps at once. The members before the result are filled. A name that is too long is
 * nobody's. */
void search_start(struct search *search, struct bytes name);

/* The account to check in place of one that does not exist, or is locked: an unknown name takes the time that a known one
 * takes. Always fails. */
int search_decoy(const struct auth *auth, struct account **account_out,
                 struct error *error) MUST_CHECK;
/* The iterations of SCRAM that a name without keys has; 0: none is known. */
uint32_t search_iterations(const struct auth *auth, enum scram_hash hash);

/* Makes ready what asks the sources. */
int search_init(struct auth *auth, struct error *error) MUST_CHECK;
/* A process of a source has started; takes the channel to it. */
void search_connect(struct auth *auth, const struct message *message, int channel);

#endif
