/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_SERVER_DELEGATE_STATE_H
#define RESTANTE_SERVER_DELEGATE_STATE_H

/* A delegate as its own files see it: delegate.c is the process, delegate_grant.c serves a worker. */

#include <uv.h>

#include "maildrop/maildrop.h"
#include "server/configuration.h"
#include "server/executor.h"

struct delegate {
    uv_loop_t loop;
    uv_poll_t master;
    uv_timer_t idle;
    struct configuration configuration;
    struct executor executor;
    struct maildrop_store *store;
    char *path;           /* of the maildrop */
    uint64_t grant_count; /* that the master has sent */
    uint32_t live_count;  /* of grants that are in use */
};

/* Serves the maildrop to whoever has the other end of `channel`, which is taken, until that end is closed.
 * `user` is the canonical name, for the log. */
void delegate_grant_serve(struct delegate *delegate, const char *user, int channel);

/* A grant is no longer in use. */
void delegate_grant_ended(struct delegate *delegate);

#endif
