/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_ACCOUNT_COST_KINDS_H
#define RESTANTE_ACCOUNT_COST_KINDS_H

/* Which costs are the commonest in a file: what an account that does not exist must pretend to cost. */

#include "account/verifier.h"

enum { COST_KINDS_MAX = 64 }; /* that compete in one file; who comes later is not counted */

struct cost_kinds {
    struct {
        struct verifier_cost cost;
        uint32_t count;
        uint32_t example;
    } list[COST_KINDS_MAX];
    uint32_t size;
};

/* Counts a verifier; `example` is given back if its kind is the commonest. */
void cost_kinds_count(struct cost_kinds *kinds, const struct verifier_cost *cost, uint32_t example);

/* False if nothing was counted. */
bool cost_kinds_commonest(const struct cost_kinds *kinds, uint32_t *example_out);
/* The commonest work among verifiers of one scheme; 0 if there are none. */
uint64_t cost_kinds_commonest_work(const struct cost_kinds *kinds, enum verifier_scheme scheme);

#endif
