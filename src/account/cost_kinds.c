/* SPDX-License-Identifier: MIT */
#include "account/cost_kinds.h"

void cost_kinds_count(struct cost_kinds *kinds, const struct verifier_cost *cost, uint32_t example)
{
    uint32_t i = 0;
    while (i < kinds->size && !verifier_cost_equal(&kinds->list[i].cost, cost)) {
        i++;
    }
    if (i == COST_KINDS_MAX) {
        return;
    }
    if (i == kinds->size) {
        kinds->size++;
        kinds->list[i].cost = *cost;
        kinds->list[i].example = example;
    }
    kinds->list[i].count++;
}

bool cost_kinds_commonest(const struct cost_kinds *kinds, uint32_t *example_out)
{
    uint32_t most = 0;
    for (uint32_t i = 0; i < kinds->size; i++) {
        if (kinds->list[i].count > most) {
            most = kinds->list[i].count;
            *example_out = kinds->list[i].example;
        }
    }
    return most > 0;
}

uint64_t cost_kinds_commonest_work(const struct cost_kinds *kinds, enum verifier_scheme scheme)
{
    uint32_t most = 0;
    uint64_t work = 0;
    for (uint32_t i = 0; i < kinds->size; i++) {
        if (kinds->list[i].cost.scheme == scheme && kinds->list[i].count > most) {
            most = kinds->list[i].count;
            work = kinds->list[i].cost.work;
        }
    }
    return work;
}
