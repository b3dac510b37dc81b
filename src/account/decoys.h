/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_ACCOUNT_DECOYS_H
#define RESTANTE_ACCOUNT_DECOYS_H

/* What a check of a name that nobody has must cost, where no file can be counted: as much as most of the checks that
 * were made of names that somebody has. Who has learnt nothing yet takes what `restante user add` makes. One thread. */

#include "account/accounts.h"
#include "account/verifier.h"

enum { DECOYS_KINDS = 8 };

/* Zeroed at first. */
struct decoys {
    struct decoy_kind {
        struct verifier_cost cost;
        uint32_t count;
        struct secret *example; /* a verifier of that cost, in memory that nothing prints */
    } kinds[DECOYS_KINDS];
    uint32_t size;
};

/* An account was found that has this verifier. One that cannot be examined teaches nothing. */
void decoys_learn(struct decoys *decoys, const char *verifier);

/* The account to check in place of one that does not exist: always fails. ERROR_TEMPORARY: no memory. */
int decoys_account(const struct decoys *decoys, struct account **account_out,
                   struct error *error) MUST_CHECK;

/* The iterations that a name without keys of its own must seem to have: the commonest of that hash; 0: none is known. */
uint32_t decoys_iterations(const struct decoys *decoys, enum scram_hash hash);

void decoys_finish(struct decoys *decoys);

#endif
