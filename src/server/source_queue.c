/* SPDX-License-Identifier: MIT */
#include "server/source_queue.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "server/channel.h"

/* Freed when its handle is closed. */
struct source_process {
    uv_poll_t poll;
    struct source_queue *queue;
    struct source_process *next;
    int channel;
    uint32_t number;
    bool is_busy;
    struct source_job *job; /* NULL, though busy: nobody waits for the answer any more */
    uint64_t id;
    uint64_t asked_ms;
};

static void answer(struct source_job *job, enum error_kind kind, const char *text)
{
    struct source_reply reply = {.kind = kind};
    (void)snprintf(reply.text, sizeof reply.text, "%s", text);
    job->done(job, &reply);
}

static void on_closed(uv_handle_t *handle)
{
    struct source_process *process = handle->data;
    (void)close(process->channel);
    free(process);
}

static void disconnect(struct source_process *process, const char *why)
{
    struct source_process **link = &process->queue->processes;
    struct source_job *job = process->job;
    while (*link != process) {
        link = &(*link)->next;
    }
    *link = process->next;
    process->job = NULL;
    uv_close((uv_handle_t *)&process->poll, on_closed);
    if (job != NULL) {
        answer(job, ERROR_TEMPORARY, why);
    }
}

static struct source_job *take_first(struct source_queue *queue)
{
    struct source_job *job = queue->first;
    queue->first = job->next;
    if (queue->first == NULL) {
        queue->last = &queue->first;
    }
    queue->count--;
    return job;
}

/* Before all others; its time goes on. */
static void put_first(struct source_queue *queue, struct source_job *job)
{
    job->next = queue->first;
    queue->first = job;
    if (job->next == NULL) {
        queue->last = &job->next;
    }
    queue->count++;
}

/* The process has only ended before it took the question. */
static void ask_again(struct source_process *process)
{
    struct source_job *job = process->job;
    process->job = NULL;
    put_first(process->queue, job);
    disconnect(process, "");
}

static int send_question(struct source_process *process, const struct source_job *job)
{
    static struct source_request request; /* all of one thread */
    struct bytes password =
        job->password == NULL ? (struct bytes){0} : secret_octets(job->password);
    size_t size = offsetof(struct source_request, data) + job->name.size + password.size;
    if (size > sizeof request) {
        return -1;
    }
    request = (struct source_request){.id = process->id,
                                      .name_size = (uint16_t)job->name.size,
                                      .password_size = (uint16_t)password.size,
                                      .has_password = job->password != NULL,
                                      .is_tls = job->is_tls};
    (void)snprintf(request.address, sizeof request.address, "%s", job->address);
    memcpy(request.data, job->name.data, job->name.size);
    if (password.size > 0) {
        memcpy(request.data + job->name.size, password.data, password.size);
    }
    int result = channel_send(process->channel, &request, size, -1);
    explicit_bzero(&request, size);
    return result;
}

/* When the next wait is over; UINT64_MAX: nothing waits. */
static uint64_t next_deadline(const struct source_queue *queue)
{
    uint64_t earliest = queue->first == NULL ? UINT64_MAX : queue->first->since_ms;
    for (const struct source_process *process = queue->processes; process != NULL;
         process = process->next) {
        if (process->is_busy && process->asked_ms < earliest) {
            earliest = process->asked_ms;
        }
        if (process->job != NULL && process->job->since_ms < earliest) {
            earliest = process->job->since_ms;
        }
    }
    return earliest == UINT64_MAX ? earliest : earliest + queue->limit_ms;
}

static void on_timer(uv_timer_t *timer);

static void set_timer(struct source_queue *queue)
{
    uint64_t deadline = next_deadline(queue);
    uint64_t now = uv_now(queue->loop);
    if (deadline == UINT64_MAX) {
        (void)uv_timer_stop(&queue->timer);
    } else {
        (void)uv_timer_start(&queue->timer, on_timer, deadline > now ? deadline - now : 0, 0);
    }
}

static struct source_process *find_idle(const struct source_queue *queue)
{
    struct source_process *process = queue->processes;
    while (process != NULL && process->is_busy) {
        process = process->next;
    }
    return process;
}

static void start(struct source_queue *queue)
{
    struct source_process *process;
    while (queue->first != NULL && (process = find_idle(queue)) != NULL) {
        struct source_job *job = take_first(queue);
        process->id = ++queue->last_id;
        process->is_busy = true;
        process->job = job;
        process->asked_ms = uv_now(queue->loop);
        if (send_question(process, job) < 0) {
            disconnect(process, "its process does not take questions");
        }
    }
    set_timer(queue);
}

/* Whose wait is over is told so; a process that had one question all the time is given up. */
static void expire(struct source_queue *queue)
{
    uint64_t now = uv_now(queue->loop);
    while (queue->first != NULL && now - queue->first->since_ms >= queue->limit_ms) {
        answer(take_first(queue), ERROR_TEMPORARY, "no process of it was free in time");
    }
    for (struct source_process *process = queue->processes, *next; process != NULL;
         process = next) {
        struct source_job *job = process->job;
        next = process->next;
        if (process->is_busy && now - process->asked_ms >= queue->limit_ms) {
            queue->kill(process->number);
            disconnect(process, "it did not answer in time");
        } else if (job != NULL && now - job->since_ms >= queue->limit_ms) {
            process->job = NULL;
            answer(job, ERROR_TEMPORARY, "it did not answer in time");
        }
    }
}

static void on_timer(uv_timer_t *timer)
{
    struct source_queue *queue = timer->data;
    expire(queue);
    start(queue);
}

static bool ends(const char *text, size_t size)
{
    return memchr(text, '\0', size) != NULL;
}

static bool is_whole(const struct source_reply *reply, ssize_t size)
{
    const struct source_answer *found = &reply->answer;
    return size == (ssize_t)sizeof *reply && reply->kind < ERROR_KIND_COUNT &&
           ends(reply->text, sizeof reply->text) && ends(found->name, sizeof found->name) &&
           ends(found->maildrop, sizeof found->maildrop) && ends(found->home, sizeof found->home) &&
           ends(found->verifier, sizeof found->verifier) && ends(found->extra, sizeof found->extra);
}

static void on_reply(uv_poll_t *poll, int status, int events)
{
    (void)status;
    (void)events;
    static struct source_reply reply; /* large */
    struct source_process *process = poll->data;
    struct source_queue *queue = process->queue;
    int descriptor = -1;
    ssize_t size = channel_receive(process->channel, &reply, sizeof reply, &descriptor);
    if (size < 0 && errno == EAGAIN) {
        return;
    }
    if (size > 0 && descriptor >= 0) {
        (void)close(descriptor);
    }
    if (size == (ssize_t)sizeof reply && reply.is_stale && process->job != NULL) {
        ask_again(process);
    } else if (!is_whole(&reply, size) || !process->is_busy || reply.id != process->id) {
        disconnect(process, "its process has ended");
    } else {
        struct source_job *job = process->job;
        process->is_busy = false;
        process->job = NULL;
        if (job != NULL) {
            job->done(job, &reply);
        }
    }
    explicit_bzero(&reply, sizeof reply);
    start(queue);
}

int source_queue_init(struct source_queue *queue, uv_loop_t *loop, uint64_t limit_ms,
                      void (*kill)(uint32_t process))
{
    *queue = (struct source_queue){.loop = loop, .limit_ms = limit_ms, .kill = kill};
    queue->last = &queue->first;
    queue->timer.data = queue;
    return uv_timer_init(loop, &queue->timer);
}

void source_queue_connect(struct source_queue *queue, uint32_t number, int channel)
{
    struct source_process *process = calloc(1, sizeof *process);
    if (process == NULL || uv_poll_init(queue->loop, &process->poll, channel) < 0) {
        free(process);
        (void)close(channel);
        queue->kill(number); /* the next one is given anew */
        return;
    }
    process->queue = queue;
    process->number = number;
    process->channel = channel;
    process->poll.data = process;
    process->next = queue->processes;
    queue->processes = process;
    (void)uv_poll_start(&process->poll, UV_READABLE, on_reply);
    start(queue);
}

void source_queue_add(struct source_queue *queue, struct source_job *job)
{
    if (queue->count == SOURCE_QUEUE_MOST) {
        answer(job, ERROR_TEMPORARY, "too many wait for it");
        return;
    }
    job->since_ms = uv_now(queue->loop);
    job->next = NULL;
    *queue->last = job;
    queue->last = &job->next;
    queue->count++;
    start(queue);
}
