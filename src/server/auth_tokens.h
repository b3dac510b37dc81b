/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_SERVER_AUTH_TOKENS_H
#define RESTANTE_SERVER_AUTH_TOKENS_H

/* From an access token to the name of its owner: what is remembered of it, else the source "oauth". */

#include "base/user_name.h"
#include "server/messages.h"
#include "server/source_queue.h"

struct auth;

/* Embedded in who asks, who stays until `done`. */
struct token_check {
    struct auth *auth;
    void *owner; /* for `done` */
    void (*done)(struct token_check *check);
    char
        name[USER_NAME_OCTETS_MAX + 1]; /* who the client says that it is; empty: it does not say */
    char address[64];                   /* of the client */
    bool is_tls;
    /* What was found. ERROR_NONE: the token is right, and `user`'s; ERROR_BAD_CREDENTIALS: it lets nobody in;
     * any other: nobody can say. */
    struct error error;
    char user[USER_NAME_OCTETS_MAX + 1];
    bool lacks_scope; /* it is right, and lets nobody in all the same */
    /* private */
    struct source_job job;
    struct secret *token;
};

/* `done` follows, perhaps at once. The members before the result are filled. */
void token_check_start(struct token_check *check, struct bytes token);

/* Makes ready what remembers tokens. */
int token_check_init(struct auth *auth, struct error *error) MUST_CHECK;

#endif
