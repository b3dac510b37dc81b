/* SPDX-License-Identifier: MIT */
/* The auth process: the only one that reads credentials. Here it begins and talks to the master; what workers
 * ask is answered in auth_passwords.c and auth_exchanges.c. */
#include "server/auth.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>
#include <unistd.h>

#include <sodium.h>

#include "base/container_of.h"
#include "server/auth_search.h"
#include "server/auth_state.h"
#include "server/auth_tokens.h"
#include "server/child.h"
#include "server/sandbox.h"

static void answer_refresh(struct auth *auth, const struct message *question)
{
    struct error error = {0};
    struct message reply = {.type = MESSAGE_REFRESHED, .ticket = question->ticket};
    auth_uses_write(auth); /* who asks may want to read it */
    if (auth_accounts_refresh(auth, &error) < 0) {
        reply.kind = error.kind;
        memcpy(reply.path, error.text, sizeof error.text);
    }
    child_send(&reply);
}

static void describe(const struct auth *auth, const struct account *account, struct message *reply)
{
    struct auth_owner owner;
    struct error error;
    if (auth_owner_of(auth, account, &owner, &error) < 0) {
        reply->kind = error.kind;
        memcpy(reply->path, error.text, sizeof error.text);
        return;
    }
    (void)snprintf(reply->name, sizeof reply->name, "%s", account->name);
    memcpy(reply->path, owner.path, sizeof reply->path);
    reply->uid = owner.uid;
    reply->gid = owner.gid;
}

struct lookup {
    struct search search;
    uint64_t ticket;
};

static void on_looked_up(struct search *search)
{
    struct lookup *lookup = CONTAINER_OF(search, struct lookup, search);
    struct message reply = {.type = MESSAGE_FOUND, .ticket = lookup->ticket};
    struct account *account = search->account;
    if (account == NULL) {
        reply.kind = search->error.kind;
        memcpy(reply.path, search->error.text, sizeof search->error.text);
    } else {
        describe(lookup->search.auth, account, &reply);
    }
    (void)account_free(account);
    child_send(&reply);
    free(lookup);
}

static void answer_lookup(struct auth *auth, const struct message *question)
{
    struct lookup *lookup = calloc(1, sizeof *lookup);
    size_t size = strnlen(question->name, sizeof question->name);
    if (lookup == NULL) {
        struct message reply = {
            .type = MESSAGE_FOUND, .ticket = question->ticket, .kind = ERROR_TEMPORARY};
        child_send(&reply);
        return;
    }
    auth_accounts_refresh_and_log(auth);
    lookup->ticket = question->ticket;
    lookup->search.auth = auth;
    lookup->search.done = on_looked_up;
    search_start(&lookup->search, (struct bytes){(const uint8_t *)question->name, size});
}

static void on_master(uv_poll_t *poll, int status, int events)
{
    (void)status;
    (void)events;
    struct auth *auth = poll->data;
    struct message message;
    int descriptor;
    while (child_receive(&message, &descriptor)) {
        if (message.type == MESSAGE_AUTH) {
            client_take(auth, descriptor);
        } else if (message.type == MESSAGE_SOURCE) {
            search_connect(auth, &message, descriptor);
        } else if (message.type == MESSAGE_REFRESH) {
            answer_refresh(auth, &message);
        } else if (message.type == MESSAGE_LOOKUP) {
            answer_lookup(auth, &message);
        } else if (message.type == MESSAGE_DRAIN) {
            auth_uses_write(auth); /* no worker is left who could ask */
            _exit(EX_OK);
        } else if (message.type == MESSAGE_LOG) {
            child_take_log(&message, descriptor);
        } else {
            log_write(LOG_LEVEL_ERROR, "an unexpected message of type %u", message.type);
        }
    }
}

static int start(struct auth *auth, struct error *error)
{
    static struct child child; /* large, once */
    if (child_start("restante-auth", &child, error) < 0) {
        return -1;
    }
    auth->configuration = child.configuration;
    auth->generations = generations_map_writable(child.generations);
    if (auth->generations == NULL) {
        return error_set(error, ERROR_TEMPORARY, errno, "shared memory");
    }
    if (gethostname(auth->host, sizeof auth->host - 1) < 0) {
        (void)snprintf(auth->host, sizeof auth->host, "localhost");
    }
    auth_uses_open(auth);
    if (child_drop_privileges(auth->configuration.auth_user, error) < 0) {
        return -1;
    }
    if (sodium_init() < 0 || uv_loop_init(&auth->loop) < 0 ||
        hash_queue_init(&auth->hashes, &auth->loop, auth->configuration.hash_memory) < 0 ||
        auth_uses_start(auth) < 0 || uv_poll_init(&auth->loop, &auth->master, CHILD_CHANNEL) < 0) {
        return error_set(error, ERROR_TEMPORARY, 0, "the loop cannot be made");
    }
    randombytes_buf(auth->salt_key, sizeof auth->salt_key);
    if (search_init(auth, error) < 0 || token_check_init(auth, error) < 0 ||
        auth_accounts_start(auth, error) < 0) {
        return -1;
    }
    auth->master.data = auth;
    (void)uv_poll_start(&auth->master, UV_READABLE, on_master);
    struct sandbox sandbox = {.role = SANDBOX_AUTH, .configuration = &auth->configuration};
    if (sandbox_enter(&sandbox, &auth->loop, SANDBOX_NEWEST, error) < 0) {
        return -1;
    }
    hash_queue_start(&auth->hashes);
    return 0;
}

int auth_run(void)
{
    static struct auth auth;
    struct error error;
    if (start(&auth, &error) < 0) {
        log_write(LOG_LEVEL_ERROR, "%s", error.text);
        return error_exit_status(error.kind);
    }
    struct message ready = {.type = MESSAGE_READY};
    child_send(&ready);
    (void)uv_run(&auth.loop, UV_RUN_DEFAULT);
    return EX_SOFTWARE; /* the loop has always something to wait for */
}
