/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_SERVER_AUTH_CLIENT_H
#define RESTANTE_SERVER_AUTH_CLIENT_H

#include <uv.h>

#include "base/bytes.h"
#include "server/messages.h"

/* A worker's end of the conversation with auth. */

enum {
    AUTH_CLIENT_MOST_CALLS = 8192,
    AUTH_CLIENT_MOST_WAITING = 2 * AUTH_CLIENT_MOST_CALLS /* calls, and that they be forgotten */
};

struct auth_client;

/* One question under way; embedded in who asks. `done` is called once for each question and each message that
 * continues it, unless it is forgotten before. */
struct auth_call {
    /* `maildrop`: the channel of a maildrop that was granted, which is the callee's; else -1. */
    void (*done)(struct auth_call *call, const struct auth_result *result, int maildrop);
    uint64_t id;
    bool is_exchange; /* which auth keeps until it has decided, or is told to forget it */
};

struct auth_question {
    enum auth_request_type type;
    struct bytes name;
    struct bytes response;
    const char *address;            /* of the peer */
    const struct auth_facts *facts; /* NULL: none are needed, an exchange goes on or ends */
};

struct auth_client {
    uv_loop_t *loop;
    struct auth_channel *channel; /* NULL: auth is away */
    void *calls;                  /* a tree by id */
    uint32_t call_count;
    uint64_t last_id;
};

/* Talks through `channel` from now on, which it takes; questions under way on an older one fail. */
void auth_client_connect(struct auth_client *client, int channel);

/* 0: `done` will come. -1: auth is away or too busy; nothing will come. */
int auth_client_ask(struct auth_client *client, struct auth_call *call,
                    const struct auth_question *question) MUST_CHECK;
/* The client has answered the challenge that `done` brought. */
int auth_client_continue(struct auth_client *client, struct auth_call *call,
                         struct bytes response) MUST_CHECK;
/* Also where nothing is under way. */
void auth_client_forget(struct auth_client *client, struct auth_call *call);

#endif
