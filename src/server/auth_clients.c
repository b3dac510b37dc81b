/* SPDX-License-Identifier: MIT */
/* The channels between auth and the workers: requests come in, each goes to who answers it. */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "server/auth_client.h"
#include "server/auth_state.h"
#include "server/channel.h"

/* More results than a worker can have asked for: it has stopped reading. */
enum { CLIENT_MOST_WAITING = 2 * AUTH_CLIENT_MOST_CALLS };

static void free_if_unused(struct client *client)
{
    if (client->closed && client->uses == 0) {
        free(client);
    }
}

static void on_closed(uv_handle_t *handle)
{
    struct client *client = handle->data;
    client->closed = true;
    (void)close(client->outbox.channel);
    outbox_clear(&client->outbox);
    free_if_unused(client);
}

void client_close(struct client *client)
{
    if (!uv_is_closing((uv_handle_t *)&client->poll)) {
        uv_close((uv_handle_t *)&client->poll, on_closed);
        auth_exchange_cancel_all(client);
    }
}

void client_use(struct client *client)
{
    client->uses++;
}

void client_release(struct client *client)
{
    client->uses--;
    free_if_unused(client);
}

void client_send(struct client *client, struct auth_result *result)
{
    struct error error;
    int grant = -1;
    if (result->is_granted != 0) {
        grant = auth_grant(result, &error);
        if (grant < 0) {
            log_write(LOG_LEVEL_ERROR, "%s", error.text);
            result->is_granted = 0;
            result->kind = ERROR_TEMPORARY;
        }
    }
    size_t size = offsetof(struct auth_result, challenge) + result->challenge_size;
    if (client->closed || uv_is_closing((uv_handle_t *)&client->poll)) {
        if (grant >= 0) {
            (void)close(grant);
        }
    } else if (outbox_send(&client->outbox, result, size, grant) < 0) {
        client_close(client);
    }
    explicit_bzero(result, sizeof *result);
}

static void take_request(struct client *client, const struct auth_request *request)
{
    switch ((enum auth_request_type)request->type) {
    case AUTH_PASSWORD:
        auth_password(client, request);
        return;
    case AUTH_APOP:
        auth_apop(client, request);
        return;
    case AUTH_BEGIN:
        auth_exchange_begin(client, request);
        return;
    case AUTH_CONTINUE:
        auth_exchange_continue(client, request);
        return;
    case AUTH_CANCEL:
        auth_exchange_cancel(client, request->id);
        return;
    }
    client_close(client);
}

static bool is_whole(const struct auth_request *request, ssize_t size)
{
    size_t head = offsetof(struct auth_request, data);
    return size >= (ssize_t)head &&
           (size_t)size == head + request->name_size + request->response_size &&
           request->version == AUTH_PROTOCOL_VERSION &&
           request->facts.exporter_size <= sizeof request->facts.exporter &&
           request->facts.unique_size <= sizeof request->facts.unique &&
           memchr(request->address, '\0', sizeof request->address) != NULL &&
           memchr(request->facts.certificate, '\0', sizeof request->facts.certificate) != NULL &&
           memchr(request->facts.timestamp, '\0', sizeof request->facts.timestamp) != NULL;
}

static void on_ready(uv_poll_t *poll, int status, int events)
{
    struct client *client = poll->data;
    struct auth_request request;
    client_use(client);
    if (outbox_flush(&client->outbox, status, events) < 0) {
        client_close(client);
    }
    while (!uv_is_closing((uv_handle_t *)poll)) {
        int descriptor = -1;
        ssize_t size = status < 0 ? 0
                                  : channel_receive(client->outbox.channel, &request,
                                                    sizeof request, &descriptor);
        if (size < 0 && errno == EAGAIN) {
            break;
        }
        if (size > 0 && descriptor >= 0) { /* nothing that a worker sends has one */
            (void)close(descriptor);
        }
        if (!is_whole(&request, size)) {
            client_close(client);
            break;
        }
        take_request(client, &request);
        explicit_bzero(&request, sizeof request);
    }
    client_release(client);
}

void client_take(struct auth *auth, int channel)
{
    struct client *client = calloc(1, sizeof *client);
    if (client == NULL || uv_poll_init(&auth->loop, &client->poll, channel) < 0) {
        free(client);
        (void)close(channel); /* the worker sees its end and asks for another */
        return;
    }
    client->auth = auth;
    client->poll.data = client;
    if (outbox_start(&client->outbox, &client->poll, on_ready, channel, CLIENT_MOST_WAITING) < 0) {
        client_close(client);
    }
}
