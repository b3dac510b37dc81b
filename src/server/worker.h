/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_SERVER_WORKER_H
#define RESTANTE_SERVER_WORKER_H

#include <pop3/server.h>

#include "account/verification_cache.h"
#include "maildrop/maildrop.h"
#include "net/stream.h"
#include "server/auth_client.h"
#include "server/buffers.h"
#include "server/child.h"
#include "server/connection_limits.h"
#include "server/executor.h"
#include "server/generations.h"
#include "server/holders.h"
#include "server/mail_roots.h"
#include "server/randomness.h"

struct session;

/* A socket that connections come to. */
struct listener {
    uv_tcp_t tcp;
    struct worker *worker;
    uint32_t kind; /* LISTENER_ bits */
};

/* What the sessions of one worker share. One loop, one thread. */
struct worker {
    uv_loop_t loop;
    uv_poll_t master;
    uv_idle_t idle;         /* runs while sessions have used up their turn */
    struct session *rested; /* those sessions */
    struct configuration configuration;
    struct pop3_server_options options;
    uint32_t process; /* in the limits */
    struct limits *limits;
    const struct generations *generations;
    struct verification_cache *cache;
    struct auth_client auth;
    struct executor executor;
    struct maildrop_store *store;
    struct mail_roots roots;
    struct buffers buffers;
    struct holders holders;
    struct session *sessions; /* all, for draining */
    uint32_t session_count;
    struct listener *listeners[CHILD_MOST_LISTENERS];
    uint32_t listener_count;
    uv_timer_t drain_timer;
    bool draining;
    struct stream_loop streams;
    struct tls_context *tls;
    struct tls_tickets tickets;
    struct randomness randomness;
    char host[256]; /* for what the server says of itself */
};

/* The worker process. Returns its exit status. */
int worker_run(void);

/* A session began, or is gone for good. */
void worker_add(struct worker *worker, struct session *session);
void worker_remove(struct worker *worker, struct session *session);

/* The session has had its turn: session_drive is called after the others have had theirs. */
void worker_rest(struct worker *worker, struct session *session);
void worker_forget_rest(struct worker *worker, struct session *session);

#endif
