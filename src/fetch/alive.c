/* SPDX-License-Identifier: MIT */
#include "fetch/alive.h"

#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/container_of.h"
#include "http/http.h"

enum { ANSWER_OCTETS = 65536 }; /* nobody reads them */

struct alive {
    struct alive *next;
    uv_work_t work;
    uv_loop_t *loop;
    struct alive_queue *queue;
    const char *url;
    alive_done *done;
    void *owner;
    int cancel; /* an eventfd */
    int result;
    struct error error;
};

static void judge(struct alive *alive, const struct http_answer *answer)
{
    if (answer->status < 200 || answer->status > 299) {
        struct bytes host = {0};
        char escaped[256];
        (void)http_url_check(alive->url, &host);
        alive->result = error_set(&alive->error, ERROR_TEMPORARY, 0, "%s answered with status %u",
                                  bytes_escape(host, escaped, sizeof escaped), answer->status);
    }
}

static void ask(uv_work_t *work)
{
    struct alive *alive = CONTAINER_OF(work, struct alive, work);
    const struct http_client_options options = {.cancel = alive->cancel};
    const struct http_request request = {
        .url = alive->url, .timeout_ms = ALIVE_MS, .octets_most = ANSWER_OCTETS};
    struct http_client *client = NULL;
    struct http_answer answer;
    alive->result = http_client_create(&options, &client, &alive->error);
    if (alive->result == 0) {
        alive->result = http_perform(client, &request, &answer, &alive->error);
        if (alive->result == 0) {
            judge(alive, &answer);
            http_answer_finish(&answer);
        }
        (void)http_client_free(client);
    }
}

static void begin_next(struct alive_queue *queue);

static void finish(struct alive *alive)
{
    alive->done(alive->owner, alive->result < 0 ? &alive->error : NULL);
    (void)close(alive->cancel);
    free(alive);
}

static void on_asked(uv_work_t *work, int status)
{
    struct alive *alive = CONTAINER_OF(work, struct alive, work);
    struct alive_queue *queue = alive->queue;
    (void)status; /* nobody cancels it */
    queue->asking--;
    finish(alive);
    begin_next(queue);
}

static void begin_next(struct alive_queue *queue)
{
    while (queue->first != NULL && queue->asking < ALIVE_AT_ONCE) {
        struct alive *alive = queue->first;
        queue->first = alive->next;
        queue->asking++;
        (void)uv_queue_work(alive->loop, &alive->work, ask,
                            on_asked); /* fails without `ask` only */
    }
}

struct alive *alive_start(uv_loop_t *loop, struct alive_queue *queue, const char *url,
                          alive_done *done, void *owner)
{
    struct alive *alive = calloc(1, sizeof *alive);
    int cancel = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (alive == NULL || cancel < 0) {
        free(alive);
        auto_close(&cancel);
        return NULL;
    }
    *alive = (struct alive){
        .loop = loop, .queue = queue, .url = url, .done = done, .owner = owner, .cancel = cancel};
    if (queue->first == NULL) {
        queue->first = alive;
    } else {
        queue->last->next = alive;
    }
    queue->last = alive;
    begin_next(queue);
    return alive;
}

void alive_cancel(struct alive *alive)
{
    (void)eventfd_write(alive->cancel, 1); /* one that waits for its turn finds it then */
}
