/* SPDX-License-Identifier: MIT */
/* A thread of its own, not one of libuv's few: a provider that does not answer must not keep others from looking up
 * names. */
#include "fetch/token_request.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/container_of.h"

struct token_request {
    uv_thread_t thread;
    uv_async_t finished;
    struct oauth_grant grant;
    struct secret *refused, *token;
    int result;
    struct error error;
    token_request_done *done; /* NULL: cancelled */
    void *owner;
};

static void run(void *context)
{
    struct token_request *request = context;
    request->result =
        oauth_access_token(&request->grant, request->refused, &request->token, &request->error);
    (void)uv_async_send(&request->finished);
}

static struct token_request *free_request(struct token_request *request)
{
    if (request->grant.cancel >= 0) {
        (void)close(request->grant.cancel);
    }
    (void)secret_free(request->token);
    (void)secret_free(request->refused);
    free(request);
    return NULL;
}

static void on_closed(uv_handle_t *handle)
{
    (void)free_request(CONTAINER_OF(handle, struct token_request, finished));
}

static void on_finished(uv_async_t *async)
{
    struct token_request *request = CONTAINER_OF(async, struct token_request, finished);
    struct secret *token = request->token;
    (void)uv_thread_join(&request->thread);
    uv_close((uv_handle_t *)async, on_closed);
    if (request->done != NULL) {
        request->token = NULL;
        request->done(request->owner, token, request->result < 0 ? &request->error : NULL);
    }
}

struct token_request *token_request_start(uv_loop_t *loop, const struct oauth_grant *grant,
                                          struct secret *refused, token_request_done *done,
                                          void *owner, struct error *error)
{
    struct token_request *request = calloc(1, sizeof *request);
    if (request == NULL) {
        (void)secret_free(refused);
        (void)error_set(error, ERROR_TEMPORARY, ENOMEM, "asking for a token");
        return NULL;
    }
    request->grant = *grant;
    request->refused = refused;
    request->done = done;
    request->owner = owner;
    request->grant.cancel = eventfd(0, EFD_CLOEXEC);
    if (request->grant.cancel < 0 || uv_async_init(loop, &request->finished, on_finished) < 0) {
        (void)error_set(error, ERROR_TEMPORARY, errno, "asking for a token");
        return free_request(request);
    }
    if (uv_thread_create(&request->thread, run, request) < 0) {
        (void)error_set(error, ERROR_TEMPORARY, 0, "asking for a token: no thread can be started");
        uv_close((uv_handle_t *)&request->finished, on_closed);
        return NULL;
    }
    return request;
}

void token_request_cancel(struct token_request *request)
{
    const uint64_t one = 1;
    request->done = NULL;
    (void)!write(request->grant.cancel, &one, sizeof one);
}
