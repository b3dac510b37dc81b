/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_SERVER_DELEGATES_H
#define RESTANTE_SERVER_DELEGATES_H

/* The delegates of a fleet as the master sees them: one for each uid and maildrop that somebody has lately
 * logged in to. What auth grants is passed on to the one that it is for, which is started if need be. */

#include "server/children.h"

struct delegate_child;
struct fleet;

struct delegates {
    struct fleet *fleet;
    struct delegate_child *first; /* all that live */
    void *tree;                   /* by uid, gid and path: those that may be given more to do */
    uint32_t count;
    uv_timer_t look; /* after those that do not answer; the fleet closes it, when none is left */
};

void delegates_init(struct delegates *delegates, struct fleet *fleet);

/* What auth said, with the delegate's end of the channel, a copy of which is sent on. Where nothing comes of it
 * that end is closed, and the session sees it. */
void delegates_grant(struct delegates *delegates, const struct message *grant, int channel);

void delegates_send_log(const struct delegates *delegates);
void delegates_kill(struct delegates *delegates);

#endif
