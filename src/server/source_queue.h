/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_SERVER_SOURCE_QUEUE_H
#define RESTANTE_SERVER_SOURCE_QUEUE_H

/* Auth's end of one source of accounts: questions in order of arrival, each to a process of the source that
 * has none. An answer that takes too long is given up, waiting for a process included, and so is a process that
 * has had one question for as long. One loop, one thread. */

#include <uv.h>

#include "account/secret.h"
#include "server/messages.h"

enum { SOURCE_QUEUE_MOST = 512 /* that wait; who comes then is told so */ };

struct source_queue;

/* Embedded in who asks. What it borrows stays until `done`. */
struct source_job {
    struct bytes name;
    const struct secret *password; /* NULL: a look-up */
    const char *address;           /* of the client */
    bool is_tls;
    /* The reply's `kind` says whether there is an answer; borrowed. Perhaps at once. */
    void (*done)(struct source_job *job, const struct source_reply *reply);
    /* private */
    uint64_t since_ms;
    struct source_job *next;
};

struct source_queue {
    uv_loop_t *loop;
    uv_timer_t timer;
    uint64_t limit_ms;
    void (*kill)(uint32_t process);   /* has it ended by who can */
    struct source_job *first, **last; /* waiting */
    uint32_t count;
    struct source_process *processes;
    uint64_t last_id;
};

/* 0 or a negative libuv error. */
int source_queue_init(struct source_queue *queue, uv_loop_t *loop, uint64_t limit_ms,
                      void (*kill)(uint32_t process));

/* A process of the source is at the other end of `channel`, which is taken. */
void source_queue_connect(struct source_queue *queue, uint32_t process, int channel);

/* `done` follows. */
void source_queue_add(struct source_queue *queue, struct source_job *job);

#endif
