/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_FETCH_PLAN_H
#define RESTANTE_FETCH_PLAN_H

/* What is to be done with a message, from what is known of it and what the person wants: pure functions. */

#include "fetch/account.h"
#include "fetch/storer.h"

struct plan_policy {
    struct fetch_keep keep;
    uint64_t max_octets; /* 0: no limit */
    bool has_filter;
    bool has_top; /* can the server give headers alone? */
    int64_t now_s;
};

enum plan_action {
    PLAN_STAY,   /* nothing is fetched: it is here, in quarantine, or seen */
    PLAN_LEAVE,  /* it is too large */
    PLAN_HEADER, /* its header tells whether it is here already */
    PLAN_FILTER, /* its header goes to the filter */
    PLAN_FETCH
};

enum plan_action plan_action(const struct plan_policy *policy,
                             const struct storer_message *message);

/* After the header did not tell. */
enum plan_action plan_action_whole(const struct plan_policy *policy);

/* Is messages[index] of the listing, in the server's order, to be deleted there? Only what is held may be, here or
 * by another program. */
bool plan_deletes(const struct plan_policy *policy, const struct storer_message *messages,
                  size_t count, size_t index);

#endif
