/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_SERVER_HASH_QUEUE_H
#define RESTANTE_SERVER_HASH_QUEUE_H

/* Hashes on libuv's pool, in order of arrival and never more at once than memory and processors allow. They get what
 * sessions leave of the processors; one that has waited HASH_PATIENCE_MS for that is done by a thread which has a share,
 * and who would wait longer than HASH_QUEUE_MS is told so. One loop, one thread. */

#include <stdbool.h>
#include <uv.h>

enum { HASH_PATIENCE_MS = 1000, HASH_QUEUE_MS = 5000 };

/* Embedded in who wants something hashed. */
struct hash_job {
    uint64_t memory;                   /* that `run` takes */
    void (*run)(struct hash_job *job); /* on the pool */
    /* On the loop; `ran` false: it took too long until its turn came. */
    void (*done)(struct hash_job *job, bool ran);
    /* private */
    uv_work_t work;
    struct hash_queue *queue;
    uint64_t since_ms;
    struct hash_job *next;
};

struct hash_queue {
    uv_loop_t *loop;
    uv_timer_t timer;
    uint64_t memory_most;
    uint32_t yielding_most;         /* threads */
    struct hash_job *first, **last; /* waiting */
    uint64_t memory;                /* of those under way */
    uint32_t yielding;              /* under way, on threads that yield to sessions */
    struct hash_job *impatient;     /* on the one that does not, or NULL */
    uv_work_t impatient_thread;
    uv_sem_t is_impatient;
    uv_async_t impatient_ended;
};

/* Before anything uses libuv's pool, whose size this sets. 0 or a negative libuv error. */
int hash_queue_init(struct hash_queue *queue, uv_loop_t *loop, uint64_t memory_most);

/* Before the first hash, and in the sandbox, since it starts the pool. The queue stays where it is. */
void hash_queue_start(struct hash_queue *queue);

/* `done` follows, perhaps at once. */
void hash_queue_add(struct hash_queue *queue, struct hash_job *job);

#endif
