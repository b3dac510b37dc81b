/* SPDX-License-Identifier: MIT */
#include "server/auth_client.h"

#include <errno.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "server/channel.h"
#include "server/outbox.h"

struct auth_channel {
    uv_poll_t poll;
    struct auth_client *client;
    struct outbox outbox; /* what auth has had no time for */
};

static int compare(const void *a, const void *b)
{
    const struct auth_call *left = a;
    const struct auth_call *right = b;
    return left->id < right->id ? -1 : left->id > right->id;
}

static void stop_waiting(struct auth_client *client, struct auth_call *call)
{
    if (tdelete(call, &client->calls, compare) != NULL) {
        client->call_count--;
    }
}

static void finish(struct auth_client *client, struct auth_call *call,
                   const struct auth_result *result, int maildrop)
{
    stop_waiting(client, call);
    if (!result->is_challenge) {
        call->is_exchange = false;
    }
    call->done(call, result, maildrop);
}

static void on_closed(uv_handle_t *handle)
{
    struct auth_channel *channel = handle->data;
    (void)close(channel->outbox.channel);
    outbox_clear(&channel->outbox);
    free(channel);
}

static void disconnect(struct auth_client *client)
{
    if (client->channel != NULL) {
        uv_close((uv_handle_t *)&client->channel->poll, on_closed);
        client->channel = NULL;
    }
    while (client->calls != NULL) {
        struct auth_call *call = *(struct auth_call **)client->calls;
        struct auth_result result = {.id = call->id, .kind = ERROR_TEMPORARY};
        finish(client, call, &result, -1);
    }
}

static void take_result(struct auth_client *client, const struct auth_result *result, int maildrop)
{
    struct auth_call key = {.id = result->id};
    struct auth_call **found = tfind(&key, &client->calls, compare);
    if (found != NULL) { /* else it was forgotten */
        finish(client, *found, result, maildrop);
    } else if (maildrop >= 0) {
        (void)close(maildrop);
    }
}

static void on_ready(uv_poll_t *poll, int status, int events)
{
    struct auth_channel *channel = poll->data;
    struct auth_client *client = channel->client;
    if (outbox_flush(&channel->outbox, status, events) < 0) {
        disconnect(client);
    }
    while (client->channel == channel) {
        struct auth_result result;
        int descriptor = -1;
        ssize_t size =
            channel_receive(channel->outbox.channel, &result, sizeof result, &descriptor);
        if (size < 0 && errno == EAGAIN) {
            return;
        }
        size_t head = offsetof(struct auth_result, challenge);
        bool granted = size >= (ssize_t)head && result.kind == ERROR_NONE && result.is_granted != 0;
        if (size < (ssize_t)head || (size_t)size != head + result.challenge_size ||
            granted != (descriptor >= 0)) {
            if (size > 0 && descriptor >= 0) {
                (void)close(descriptor);
            }
            disconnect(client);
            return;
        }
        take_result(client, &result, descriptor);
    }
}

void auth_client_connect(struct auth_client *client, int descriptor)
{
    disconnect(client);
    struct auth_channel *channel = calloc(1, sizeof *channel);
    if (channel == NULL || uv_poll_init(client->loop, &channel->poll, descriptor) < 0) {
        free(channel);
        (void)close(descriptor);
        return;
    }
    channel->poll.data = channel;
    channel->client = client;
    client->channel = channel;
    if (outbox_start(&channel->outbox, &channel->poll, on_ready, descriptor,
                     AUTH_CLIENT_MOST_WAITING) < 0) {
        disconnect(client);
    }
}

/* Sends what belongs to `call`, which has its id. */
static int send_request(const struct auth_client *client, const struct auth_call *call,
                        const struct auth_question *question)
{
    static struct auth_request request; /* large, and all of one thread */
    size_t head = offsetof(struct auth_request, data);
    size_t size = head + question->name.size + question->response.size;
    if (client->channel == NULL || size > sizeof request) {
        return -1;
    }
    memset(&request, 0, head);
    request.version = AUTH_PROTOCOL_VERSION;
    request.type = question->type;
    request.id = call->id;
    request.name_size = (uint16_t)question->name.size;
    request.response_size = (uint16_t)question->response.size;
    (void)snprintf(request.address, sizeof request.address, "%s", question->address);
    if (question->facts != NULL) {
        request.facts = *question->facts;
    }
    if (question->name.size > 0) {
        memcpy(request.data, question->name.data, question->name.size);
    }
    if (question->response.size > 0) {
        memcpy(request.data + question->name.size, question->response.data,
               question->response.size);
    }
    int result = outbox_send(&client->channel->outbox, &request, size, -1);
    explicit_bzero(&request, size);
    return result;
}

static int send_and_wait(struct auth_client *client, struct auth_call *call,
                         const struct auth_question *question)
{
    if (client->call_count >= AUTH_CLIENT_MOST_CALLS || send_request(client, call, question) < 0 ||
        tsearch(call, &client->calls, compare) == NULL) {
        return -1; /* no memory for the tree: the result will be nobody's */
    }
    client->call_count++;
    return 0;
}

int auth_client_ask(struct auth_client *client, struct auth_call *call,
                    const struct auth_question *question)
{
    call->id = ++client->last_id;
    if (send_and_wait(client, call, question) < 0) {
        return -1;
    }
    call->is_exchange = question->type == AUTH_BEGIN;
    return 0;
}

int auth_client_continue(struct auth_client *client, struct auth_call *call, struct bytes response)
{
    struct auth_question question = {.type = AUTH_CONTINUE, .response = response, .address = ""};
    return send_and_wait(client, call, &question);
}

void auth_client_forget(struct auth_client *client, struct auth_call *call)
{
    struct auth_question question = {.type = AUTH_CANCEL, .address = ""};
    stop_waiting(client, call);
    if (call->is_exchange) {
        call->is_exchange = false;
        (void)send_request(client, call, &question); /* lost: auth drops the oldest by itself */
    }
}
