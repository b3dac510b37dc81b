/* SPDX-License-Identifier: MIT */
/* The auth process: the only one that reads credentials. Here it begins and talks to the master; what workers
 * ask is answered in auth_passwords.c and auth_exchanges.c. */
#include "server/auth.h"

#include <errno.h>
#include <stdio.h>
#include <sysexits.h>
#include <unistd.h>

#include <sodium.h>

#include "server/auth_state.h"
#include "server/child.h"
#include "server/sandbox.h"

static void answer_refresh(struct auth *auth, const struct message *question)
{
    struct error error = {0};
    struct message reply = {.type = MESSAGE_REFRESHED, .ticket = question->ticket};
    if (auth_accounts_refresh(auth, &error) < 0) {
        reply.kind = error.kind;
        memcpy(reply.path, error.text, sizeof error.text);
    }
    child_send(&reply);
}

static void answer_lookup(struct auth *auth, const struct message *question)
{
    struct message reply = {.type = MESSAGE_FOUND, .ticket = question->ticket};
    struct error error = {0};
    struct account *account;
    size_t size = strnlen(question->name, sizeof question->name);
    struct bytes name = {.data = (const uint8_t *)question->name, .size = size};
    auth_accounts_refresh_and_log(auth);
    if (accounts_lookup(auth->accounts, name, &account, &error) < 0) {
        reply.kind = error.kind;
        memcpy(reply.path, error.text, sizeof error.text);
    } else {
        (void)snprintf(reply.name, sizeof reply.name, "%s", account->name);
        if (account->maildrop != NULL) {
            (void)snprintf(reply.path, sizeof reply.path, "%s", account->maildrop);
        }
        (void)account_free(account);
    }
    child_send(&reply);
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
        } else if (message.type == MESSAGE_REFRESH) {
            answer_refresh(auth, &message);
        } else if (message.type == MESSAGE_LOOKUP) {
            answer_lookup(auth, &message);
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
    if (child_drop_privileges(auth->configuration.auth_user, error) < 0) {
        return -1;
    }
    if (sodium_init() < 0 || uv_loop_init(&auth->loop) < 0 ||
        hash_queue_init(&auth->hashes, &auth->loop, auth->configuration.hash_memory) < 0 ||
        uv_poll_init(&auth->loop, &auth->master, CHILD_CHANNEL) < 0) {
        return error_set(error, ERROR_TEMPORARY, 0, "the loop cannot be made");
    }
    randombytes_buf(auth->salt_key, sizeof auth->salt_key);
    if (auth_accounts_start(auth, error) < 0) {
        return -1;
    }
    auth->master.data = auth;
    (void)uv_poll_start(&auth->master, UV_READABLE, on_master);
    return sandbox_enter(SANDBOX_AUTH, &auth->configuration, &auth->loop, SANDBOX_NEWEST, error);
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
