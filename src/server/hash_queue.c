/* SPDX-License-Identifier: MIT */
#include "server/hash_queue.h"

#include <sys/resource.h>

/* A tenth of a core that workers want too: nobody waits noticeably for the passwords of others, and who waits for
 * his own waits ten times as long at most. */
enum { NICE = 10 };

static void start(struct hash_queue *queue);

static void on_work(uv_work_t *work)
{
    static _Thread_local bool gives_way;
    struct hash_job *job = work->data;
    if (!gives_way) { /* in Linux each thread has its own; the pool is only ours */
        int now = getpriority(PRIO_PROCESS, 0);
        (void)setpriority(PRIO_PROCESS, 0, now + NICE);
        gives_way = true;
    }
    job->run(job);
}

static void on_worked(uv_work_t *work, int status)
{
    (void)status; /* never cancelled */
    struct hash_job *job = work->data;
    struct hash_queue *queue = job->queue;
    queue->memory -= job->memory;
    queue->running--;
    job->done(job, true);
    start(queue);
}

static void on_expire(uv_timer_t *timer)
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

static void start(struct hash_queue *queue)
{
    while (queue->first != NULL) {
        struct hash_job *job = queue->first;
        uint64_t waited = uv_now(queue->loop) - job->since_ms;
        if (waited >= HASH_QUEUE_MS) {
            (void)take_first(queue);
            job->done(job, false);
            continue;
        }
        if (queue->running > 0 && queue->memory + job->memory > queue->memory_most) {
            (void)uv_timer_start(&queue->expire, on_expire, HASH_QUEUE_MS - waited, 0);
            return;
        }
        (void)take_first(queue);
        queue->memory += job->memory;
        queue->running++;
        job->work.data = job;
        (void)uv_queue_work(queue->loop, &job->work, on_work,
                            on_worked); /* fails without a callback */
    }
    (void)uv_timer_stop(&queue->expire);
}

int hash_queue_init(struct hash_queue *queue, uv_loop_t *loop, uint64_t memory_most)
{
    *queue = (struct hash_queue){.loop = loop, .memory_most = memory_most};
    queue->last = &queue->first;
    queue->expire.data = queue;
    return uv_timer_init(loop, &queue->expire);
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
