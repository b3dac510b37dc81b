/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_SERVER_AUTH_STATE_H
#define RESTANTE_SERVER_AUTH_STATE_H

/* The auth process as its own files see it: auth.c is the process, auth_accounts.c the accounts file,
 * auth_clients.c the channels to the workers, auth_search.c finds accounts in all sources, auth_passwords.c
 * and auth_exchanges.c answer what workers ask. */

#include <uv.h>

#include "account/accounts.h"
#include "account/decoys.h"
#include "server/configuration.h"
#include "server/generations.h"
#include "server/hash_queue.h"
#include "server/messages.h"
#include "server/outbox.h"
#include "server/source_queue.h"

enum { AUTH_SALT_KEY_SIZE = 32, AUTH_MOST_EXCHANGES = 8192 /* of one worker */ };

struct exchange;
struct last_uses;
struct token_cache;

struct auth {
    uv_loop_t loop;
    uv_poll_t master;
    uv_fs_event_t watch;
    uv_timer_t look;
    struct configuration configuration;
    struct accounts *accounts; /* of nobody where the accounts file is no source */
    struct decoys decoys;      /* learnt where it is not the only one */
    struct source_queue
        queues[CONFIGURATION_MOST_SOURCES]; /* those of the others, at their places */
    struct token_cache *tokens;             /* NULL: nothing is remembered of them */
    struct generations *generations;
    struct hash_queue hashes;
    struct last_uses *uses; /* NULL: they cannot be kept */
    uv_timer_t uses_timer;
    uint8_t salt_key[AUTH_SALT_KEY_SIZE]; /* makes the salts that no verifier has */
    char host[256];
};

/* The channel to one worker; freed when it is closed and nothing asked through it is under way. */
struct client {
    uv_poll_t poll;
    struct auth *auth;
    struct outbox outbox; /* results that the worker has had no time for */
    uint32_t uses;
    bool closed;
    void *exchanges; /* a tree by id */
    struct exchange *oldest, *newest;
    uint32_t exchange_count;
};

/* auth_accounts.c: loads at the start, then watches. */
int auth_accounts_start(struct auth *auth, struct error *error) MUST_CHECK;
/* Loads the file again if it is not what was loaded. The old accounts stay where the new are wrong. */
int auth_accounts_refresh(struct auth *auth, struct error *error) MUST_CHECK;
void auth_accounts_refresh_and_log(struct auth *auth);
uint64_t auth_accounts_generation(const struct auth *auth);

/* auth_clients.c */
void client_take(struct auth *auth, int channel); /* takes the channel */
void client_close(struct client *client);         /* the worker is gone, or out of its mind */
void client_send(struct client *client, struct auth_result *result);
/* Something that was asked is under way; done with, the client may be gone. */
void client_use(struct client *client);
void client_release(struct client *client);

/* auth_owners.c: whose mail it is, and where it is if the account says so. ERROR_PERMANENT: that user is not
 * served; ERROR_CONFIGURATION: the account does not say enough. */
struct auth_owner {
    uint32_t uid, gid; /* ACCOUNT_NO_ID: that of the workers */
    char path[MESSAGE_PATH_SIZE];
};
int auth_owner_of(const struct auth *auth, const struct account *account,
                  struct auth_owner *owner_out, struct error *error) MUST_CHECK;
/* Fills what a worker wants to know of an account that is let in; result->kind if it is not after all. */
void auth_describe(const struct auth *auth, struct auth_result *result,
                   const struct account *account);
/* For a result that is_granted: the worker's end of a channel to the delegate, or -1. */
int auth_grant(const struct auth_result *result, struct error *error) MUST_CHECK;

/* auth_uses.c: opens before the sandbox closes, starts once there is a loop. */
void auth_uses_open(struct auth *auth);
int auth_uses_start(struct auth *auth);
/* A login by this secret of the account was right. */
void auth_uses_note(struct auth *auth, const struct account *account, size_t number);
/* Writes what was noted, now. */
void auth_uses_write(struct auth *auth);

/* auth_passwords.c */
void auth_password(struct client *client, const struct auth_request *request);
void auth_apop(struct client *client, const struct auth_request *request);

/* auth_exchanges.c */
void auth_exchange_begin(struct client *client, const struct auth_request *request);
void auth_exchange_continue(struct client *client, const struct auth_request *request);
void auth_exchange_cancel(struct client *client, uint64_t id);
void auth_exchange_cancel_all(struct client *client);

static inline struct bytes auth_request_name(const struct auth_request *request)
{
    return (struct bytes){.data = request->data, .size = request->name_size};
}

static inline struct bytes auth_request_response(const struct auth_request *request)
{
    return (struct bytes){.data = request->data + request->name_size,
                          .size = request->response_size};
}

#endif
