/* SPDX-License-Identifier: MIT */
#include "fetch/plan.h"

enum { SECONDS_OF_A_DAY = 86400 };

enum plan_action plan_action(const struct plan_policy *policy, const struct storer_message *message)
{
    bool is_known = message->octets != STORER_OCTETS_UNKNOWN;
    if (message->standing == STORER_HELD || message->standing == STORER_QUARANTINED ||
        message->standing == STORER_SEEN) {
        return PLAN_STAY;
    }
    if (policy->max_octets != 0 && is_known && message->octets > policy->max_octets) {
        return PLAN_LEAVE;
    }
    if (message->standing == STORER_DOUBT && policy->has_top) {
        return PLAN_HEADER;
    }
    if (message->standing == STORER_REFUSED) {
        return PLAN_FETCH; /* the filter has let it pass before */
    }
    return plan_action_whole(policy);
}

enum plan_action plan_action_whole(const struct plan_policy *policy)
{
    return policy->has_filter ? PLAN_FILTER : PLAN_FETCH;
}

bool plan_deletes(const struct plan_policy *policy, const struct storer_message *messages,
                  size_t count, size_t index)
{
    const struct storer_message *message = &messages[index];
    /* What another program holds may go when its time has come, what nobody is known to hold never. */
    bool is_held_elsewhere = message->standing == STORER_SEEN && message->stored_s != 0;
    if (message->standing != STORER_HELD && !is_held_elsewhere) {
        return false;
    }
    switch (policy->keep.kind) {
    case FETCH_KEEP_NONE:
        return message->standing == STORER_HELD;
    case FETCH_KEEP_DAYS:
        return message->stored_s != 0 &&
               policy->now_s - message->stored_s >= (int64_t)policy->keep.number * SECONDS_OF_A_DAY;
    case FETCH_KEEP_NEWEST:
        return count - index > policy->keep.number;
    case FETCH_KEEP_ALL:
        return false;
    }
    return false;
}
