/* SPDX-License-Identifier: MIT */
#include "server/hash_queue.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "base/container_of.h"

/* A thirtieth of a processor that sessions want too, for those who have waited. The others have SCHED_IDLE: with a low
 * priority alone the kernel lets a hash end its slice of time, milliseconds, before a session gets the processor, and
 * with SCHED_IDLE alone sessions that take all of it leave nothing. A thread cannot come back from SCHED_IDLE without
 * privileges, hence two kinds of threads. */
enum { NICE = 15 };

static void start(struct hash_queue *queue);

/* In Linux each thread has its own priority; the pool is only ours. */
static void on_yielding_work(uv_work_t *work)
{
    static _Thread_local bool yields;
    struct hash_job *job = work->data;
    if (!yields) {
        (void)sched_setscheduler(0, SCHED_IDLE, &(struct sched_param){0});
        yields = true;
    }
    job->run(job);
}

static void finish(struct hash_job *job)
{
    struct hash_queue *queue = job->queue;
    queue->memory -= job->memory;
    job->done(job, true);
    start(queue);
}

static void on_yielding_worked(uv_work_t *work, int status)
{
    (void)status; /* never cancelled */
    struct hash_job *job = work->data;
    job->queue->yielding--;
    finish(job);
}

static void on_impatient_work(uv_work_t *work)
{
    struct hash_queue *queue = CONTAINER_OF(work, struct hash_queue, impatient_thread);
    int now = getpriority(PRIO_PROCESS, 0);
    (void)setpriority(PRIO_PROCESS, 0, now + NICE);
    for (uv_sem_wait(&queue->is_impatient); queue->impatient != NULL;
         uv_sem_wait(&queue->is_impatient)) {
        queue->impatient->run(queue->impatient);
        (void)uv_async_send(&queue->impatient_ended);
    }
}

static void on_impatient_ended(uv_async_t *async)
{
    struct hash_queue *queue = async->data;
    struct hash_job *job = queue->impatient;
    queue->impatient = NULL;
    finish(job);
}

static void on_timer(uv_timer_t *timer)
{
    start(timer->data);
}

static struct hash_job *take_first(struct hash_queue *queue)
{
    struct hash_job *job = queue->first;
    queue->first = job->next;
    if (queue->first == NULL) {
        queue->last = &queue->first;
    }
    return job;
}

static bool start_first(struct hash_queue *queue, uint64_t waited)
{
    struct hash_job *job = queue->first;
    uint64_t room = queue->memory < queue->memory_most ? queue->memory_most - queue->memory : 0;
    /* those that yield may be under way for long: room for another is left to the impatient */
    if (queue->yielding < queue->yielding_most && 2 * job->memory <= room) {
        queue->yielding++;
        job->work.data = job;
        (void)uv_queue_work(queue->loop, &job->work, on_yielding_work,
                            on_yielding_worked); /* fails without a callback */
    } else if ((waited >= HASH_PATIENCE_MS || 2 * job->memory > queue->memory_most) &&
               queue->impatient == NULL && (queue->memory == 0 || job->memory <= room)) {
        queue->impatient = job;
        uv_sem_post(&queue->is_impatient);
    } else {
        return false;
    }
    queue->memory += job->memory;
    (void)take_first(queue);
    return true;
}

static void start(struct hash_queue *queue)
{
    while (queue->first != NULL) {
        uint64_t waited = uv_now(queue->loop) - queue->first->since_ms;
        if (waited >= HASH_QUEUE_MS) {
            struct hash_job *late = take_first(queue);
            late->done(late, false);
        } else if (!start_first(queue, waited)) {
            uint64_t most = waited < HASH_PATIENCE_MS ? HASH_PATIENCE_MS : HASH_QUEUE_MS;
            (void)uv_timer_start(&queue->timer, on_timer, most - waited, 0);
            return;
        }
    }
    (void)uv_timer_stop(&queue->timer);
}

int hash_queue_init(struct hash_queue *queue, uv_loop_t *loop, uint64_t memory_most)
{
    unsigned processors = uv_available_parallelism();
    *queue = (struct hash_queue){
        .loop = loop, .memory_most = memory_most, .yielding_most = processors < 2 ? 2 : processors};
    queue->last = &queue->first;
    queue->timer.data = queue;
    queue->impatient_ended.data = queue;
    char threads[16];
    (void)snprintf(threads, sizeof threads, "%u", queue->yielding_most + 1);
    (void)setenv("UV_THREADPOOL_SIZE", threads, 1);
    int result = uv_sem_init(&queue->is_impatient, 0);
    if (result == 0) {
        result = uv_async_init(loop, &queue->impatient_ended, on_impatient_ended);
    }
    return result == 0 ? uv_timer_init(loop, &queue->timer) : result;
}

void hash_queue_start(struct hash_queue *queue)
{
    (void)uv_queue_work(queue->loop, &queue->impatient_thread, on_impatient_work, NULL);
}

void hash_queue_add(struct hash_queue *queue, struct hash_job *job)
{
    job->queue = queue;
    job->since_ms = uv_now(queue->loop);
    job->next = NULL;
    *queue->last = job;
    queue->last = &job->next;
    start(queue);
}
