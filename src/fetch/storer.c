/* SPDX-License-Identifier: MIT */
/* The thread, and the two queues between it and the loop. Octets travel in blocks of a pool: an item names a
 * part of one, and the block is free again when the last item that names it is done. */
#include "fetch/storer.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "fetch/keeper.h"

enum {
    POOL_BLOCKS = STORER_POOL_OCTETS / STORER_BLOCK_OCTETS,
    RESERVED_BLOCKS = 2, /* for the read that is under way */
    ROOM_BLOCKS = POOL_BLOCKS / 2
};

enum work_type {
    WORK_LIST,
    WORK_BEGIN,
    WORK_OCTETS,
    WORK_END,
    WORK_BREAK,
    WORK_LEAVE,
    WORK_MARK_SEEN,
    WORK_DELETED,
    WORK_FLUSH,
    WORK_FINISH
};

struct block {
    struct block *next; /* free ones */
    uint32_t items;     /* that name it, and 1 while the loop fills it; under the mutex */
    uint8_t data[STORER_BLOCK_OCTETS];
};

struct work {
    struct work *next;
    enum work_type type;
    bool flag; /* LEAVE: deleting; BEGIN: only the header */
    size_t index;
    struct storer_message *messages; /* LIST, `index` of them */
    struct block *block;
    struct bytes octets;
};

struct result {
    struct result *next;
    struct storer_event event;
    enum storer_standing standing;
    uint32_t refusals;
    int64_t stored_s;
    bool has_standing;
    struct error error;
};

struct storer {
    /* The loop's. */
    uv_async_t wake;
    storer_handler *handler;
    void *owner;
    struct storer_message *messages; /* of the listing that was LISTED last */
    struct block *filling;
    size_t filled;
    bool begun, finishing;

    struct storer_options options;
    pthread_t thread;
    int cancel; /* an eventfd */
    atomic_bool cancelled;

    pthread_mutex_t mutex;
    pthread_cond_t work_came;
    /* Under the mutex. */
    struct work *work_first, *work_newest, **work_last;
    struct result *result_first, **result_last;
    uint32_t blocks; /* that are in use */
    struct block *free_blocks;
    bool was_full;
    bool room_owed; /* ROOM is to be told */

    /* The thread's. */
    struct keeper *keeper;
    bool failed;
};

static void lock(struct storer *storer)
{
    (void)pthread_mutex_lock(&storer->mutex); /* cannot fail for this kind */
}

static void unlock(struct storer *storer)
{
    (void)pthread_mutex_unlock(&storer->mutex);
}

/* Memory for an item is a few dozen octets: without it nothing can be told to anybody, and no message is lost
 * by ending here. */
static void *must(void *memory)
{
    if (memory == NULL) {
        abort();
    }
    return memory;
}

/* ---- results: from the thread to the loop ---- */

static void post(struct storer *storer, const struct result *content)
{
    struct result *result = must(malloc(sizeof *result));
    *result = *content;
    result->next = NULL;
    lock(storer);
    bool wakes = storer->result_first == NULL;
    *storer->result_last = result;
    storer->result_last = &result->next;
    unlock(storer);
    if (wakes) {
        (void)uv_async_send(&storer->wake); /* fails only if the handle is closing */
    }
}

static void post_event(struct storer *storer, enum storer_event_type type, size_t count)
{
    post(storer, &(struct result){.event = {.type = type, .count = count}});
}

static void post_failure(struct storer *storer, const struct error *error)
{
    if (!storer->failed) {
        storer->failed = true;
        post(storer, &(struct result){.event = {.type = STORER_EVENT_FAILED}, .error = *error});
    }
}

static void told(void *owner, const struct keeper_outcome *outcome)
{
    struct result result = {
        .event = {.type = outcome->type, .index = outcome->index},
        .standing = outcome->standing,
        .refusals = outcome->refusals,
        .stored_s = outcome->stored_s,
        .has_standing = true,
    };
    if (outcome->error != NULL) {
        result.error = *outcome->error;
    }
    post(owner, &result);
}

static void tell_result(struct storer *storer, struct result *result)
{
    struct storer_event *event = &result->event;
    if (result->has_standing && storer->messages != NULL) {
        struct storer_message *message = &storer->messages[event->index];
        message->standing = result->standing;
        message->refusals = result->refusals;
        message->stored_s = result->stored_s;
    }
    event->error = result->error.kind == ERROR_NONE ? NULL : &result->error;
    storer->handler(storer->owner, event);
}

static void on_wake(uv_async_t *handle)
{
    struct storer *storer = handle->data;
    lock(storer);
    struct result *result = storer->result_first;
    storer->result_first = NULL;
    storer->result_last = &storer->result_first;
    bool has_room = storer->room_owed;
    storer->room_owed = false;
    unlock(storer);
    if (has_room) {
        storer->handler(storer->owner, &(struct storer_event){.type = STORER_EVENT_ROOM});
    }
    while (result != NULL) {
        struct result *next = result->next;
        bool is_last = result->event.type == STORER_EVENT_FINISHED;
        tell_result(storer, result);
        free(result);
        if (is_last) {
            return; /* the storer may be closed by now */
        }
        result = next;
    }
}

/* ---- work: from the loop to the thread ---- */

static void give(struct storer *storer, const struct work *content)
{
    struct work *work = must(malloc(sizeof *work));
    *work = *content;
    work->next = NULL;
    lock(storer);
    if (work->block != NULL) {
        work->block->items++;
    }
    *storer->work_last = storer->work_newest = work;
    storer->work_last = &work->next;
    (void)pthread_cond_signal(&storer->work_came);
    unlock(storer);
}

/* Under the mutex: one item or the filling is done with it. */
static void release_block(struct storer *storer, struct block *block)
{
    if (--block->items == 0) {
        block->next = storer->free_blocks;
        storer->free_blocks = block;
        storer->blocks--;
    }
}

/* Waits for work, at most until what waits in the keeper is due. */
static struct work *take_work(struct storer *storer)
{
    int64_t patience_ns =
        storer->keeper == NULL || storer->failed ? -1 : keeper_patience_ns(storer->keeper);
    struct timespec until;
    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    int64_t at = until.tv_nsec + patience_ns;
    until.tv_sec += (time_t)(at / 1000000000);
    until.tv_nsec = (long)(at % 1000000000);
    lock(storer);
    int result = 0;
    while (storer->work_first == NULL && result == 0) {
        result = patience_ns < 0
                     ? pthread_cond_wait(&storer->work_came, &storer->mutex)
                     : pthread_cond_timedwait(&storer->work_came, &storer->mutex, &until);
    }
    struct work *work = storer->work_first;
    storer->work_first = storer->work_newest = NULL;
    storer->work_last = &storer->work_first;
    unlock(storer);
    return work;
}

static void done_with(struct storer *storer, struct work *work)
{
    if (work->block != NULL) {
        lock(storer);
        release_block(storer, work->block);
        bool wakes = storer->was_full && storer->blocks <= ROOM_BLOCKS;
        if (wakes) {
            storer->was_full = false;
            storer->room_owed = true;
        }
        unlock(storer);
        if (wakes) {
            (void)uv_async_send(&storer->wake);
        }
    }
    free(work);
}

static int do_list(struct storer *storer, const struct work *work, struct error *error)
{
    size_t disappeared = 0;
    if (keeper_list(storer->keeper, work->messages, work->index, &disappeared, error) < 0) {
        return -1;
    }
    post(storer, &(struct result){.event = {.type = STORER_EVENT_LISTED, .count = disappeared}});
    return 0;
}

static int do_work(struct storer *storer, const struct work *work, struct error *error)
{
    struct keeper *keeper = storer->keeper;
    switch (work->type) {
    case WORK_LIST:
        return do_list(storer, work, error);
    case WORK_BEGIN:
        return keeper_begin(keeper, work->index, work->flag ? STORER_HEADER : STORER_WHOLE, error);
    case WORK_OCTETS:
        return keeper_append(keeper, work->octets, error);
    case WORK_END:
        return keeper_end(keeper, error);
    case WORK_BREAK:
        keeper_break(keeper);
        return 0;
    case WORK_LEAVE:
        return keeper_leave(keeper, work->index, work->flag, error);
    case WORK_MARK_SEEN:
        return keeper_mark_seen(keeper, work->index, error);
    case WORK_DELETED:
        return keeper_deleted(keeper, work->index, error);
    case WORK_FLUSH:
        return keeper_flush(keeper, error);
    case WORK_FINISH:
        return keeper_finish(keeper, error);
    }
    return 0;
}

/* Of work that is dropped, only what has come whole before the rest is kept. */
static bool is_dropped(const struct storer *storer, const struct work *work)
{
    return storer->failed || (atomic_load(&storer->cancelled) && work->type != WORK_FINISH);
}

/* True: that was the last. */
static bool handle_work(struct storer *storer, struct work *work)
{
    struct error error = {0};
    bool is_last = work->type == WORK_FINISH;
    bool is_flush = work->type == WORK_FLUSH;
    if (!is_dropped(storer, work)) {
        if (atomic_load(&storer->cancelled)) {
            keeper_break(storer->keeper);
        }
        if (do_work(storer, work, &error) < 0) {
            post_failure(storer, &error);
        } else if (is_flush) {
            post_event(storer, STORER_EVENT_FLUSHED, 0);
        }
    }
    done_with(storer, work);
    return is_last;
}

static void open_keeper(struct storer *storer)
{
    struct keeper_options options = {
        .storer = &storer->options,
        .fs = &fs_real,
        .cancel = storer->cancel,
        .tell = told,
        .owner = storer,
    };
    struct error error = {0};
    size_t recovered = 0;
    if (keeper_open(&options, &storer->keeper, &recovered, &error) < 0) {
        post_failure(storer, &error);
    } else {
        post_event(storer, STORER_EVENT_READY, recovered);
    }
}

static void *run(void *context)
{
    struct storer *storer = context;
    bool finished = false;
    open_keeper(storer);
    while (!finished) {
        struct work *work = take_work(storer);
        if (work == NULL) {
            struct error error = {0};
            if (keeper_flush(storer->keeper, &error) < 0) {
                post_failure(storer, &error);
            }
        }
        while (work != NULL) {
            struct work *next = work->next;
            finished = handle_work(storer, work) || finished;
            work = next;
        }
    }
    storer->keeper = keeper_free(storer->keeper);
    post_event(storer, STORER_EVENT_FINISHED, 0);
    return NULL;
}

/* ---- calls ---- */

static int start_thread(struct storer *storer)
{
    /* Signals are for the loop. */
    sigset_t all;
    sigset_t before;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    int result = pthread_create(&storer->thread, NULL, run, storer);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return result;
}

static int init_queues(struct storer *storer)
{
    pthread_condattr_t attributes;
    int result = pthread_mutex_init(&storer->mutex, NULL);
    if (result != 0) {
        return result;
    }
    (void)pthread_condattr_init(&attributes);
    (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    result = pthread_cond_init(&storer->work_came, &attributes);
    (void)pthread_condattr_destroy(&attributes);
    storer->work_last = &storer->work_first;
    storer->result_last = &storer->result_first;
    return result;
}

static void on_closed(uv_handle_t *handle)
{
    free(handle->data);
}

struct storer *storer_create(uv_loop_t *loop, const struct storer_options *options,
                             storer_handler *handler, void *owner, struct error *error)
{
    struct storer *storer = calloc(1, sizeof *storer);
    if (storer == NULL) {
        (void)error_set(error, ERROR_TEMPORARY, 0, "out of memory");
        return NULL;
    }
    storer->options = *options;
    storer->handler = handler;
    storer->owner = owner;
    storer->cancel = eventfd(0, EFD_CLOEXEC);
    int number = storer->cancel < 0 ? errno : init_queues(storer);
    int result = number != 0 ? -number : uv_async_init(loop, &storer->wake, on_wake);
    if (result < 0) {
        auto_close(&storer->cancel);
        free(storer);
        (void)error_from_errno(error, -result, "no storer can be made");
        return NULL;
    }
    storer->wake.data = storer;
    number = start_thread(storer);
    if (number != 0) {
        auto_close(&storer->cancel);
        uv_close((uv_handle_t *)&storer->wake, on_closed);
        (void)error_from_errno(error, number, "no thread can be made");
        return NULL;
    }
    return storer;
}

void storer_list(struct storer *storer, struct storer_message *messages, size_t count)
{
    storer->messages = messages;
    give(storer, &(struct work){.type = WORK_LIST, .messages = messages, .index = count});
}

void storer_begin(struct storer *storer, size_t index, enum storer_content content)
{
    storer->begun = true;
    give(storer,
         &(struct work){.type = WORK_BEGIN, .index = index, .flag = content == STORER_HEADER});
}

static void stop_filling(struct storer *storer)
{
    if (storer->filling != NULL) {
        lock(storer);
        release_block(storer, storer->filling);
        unlock(storer);
        storer->filling = NULL;
    }
}

static void start_filling(struct storer *storer)
{
    lock(storer);
    struct block *block = storer->free_blocks;
    if (block == NULL) {
        block = must(malloc(sizeof *block));
    } else {
        storer->free_blocks = block->next;
    }
    block->items = 1;
    storer->filling = block;
    storer->filled = 0;
    storer->blocks++;
    storer->was_full = storer->was_full || storer->blocks + RESERVED_BLOCKS > POOL_BLOCKS;
    unlock(storer);
}

/* Octets that follow on those that wait already, as when a server's reads are small. */
static bool join_newest(struct storer *storer, const uint8_t *place, size_t size)
{
    lock(storer);
    struct work *newest = storer->work_newest;
    bool joins = newest != NULL && newest->type == WORK_OCTETS &&
                 newest->block == storer->filling &&
                 newest->octets.data + newest->octets.size == place;
    if (joins) {
        newest->octets.size += size;
    }
    unlock(storer);
    return joins;
}

void storer_feed(struct storer *storer, struct bytes octets)
{
    while (octets.size != 0 && !storer->finishing) {
        if (storer->filling == NULL) {
            start_filling(storer);
        }
        size_t room = STORER_BLOCK_OCTETS - storer->filled;
        size_t size = octets.size < room ? octets.size : room;
        uint8_t *place = storer->filling->data + storer->filled;
        memcpy(place, octets.data, size);
        storer->filled += size;
        if (!join_newest(storer, place, size)) {
            give(storer, &(struct work){.type = WORK_OCTETS,
                                        .block = storer->filling,
                                        .octets = {.data = place, .size = size}});
        }
        octets = bytes_from(octets, size);
        if (storer->filled == STORER_BLOCK_OCTETS) {
            stop_filling(storer);
        }
    }
}

bool storer_is_full(const struct storer *storer)
{
    struct storer *unlocked = (struct storer *)(uintptr_t)storer;
    lock(unlocked);
    bool is_full = storer->was_full;
    unlock(unlocked);
    return is_full;
}

void storer_end(struct storer *storer)
{
    storer->begun = false;
    give(storer, &(struct work){.type = WORK_END});
}

void storer_break(struct storer *storer)
{
    if (storer->begun) {
        storer->begun = false;
        give(storer, &(struct work){.type = WORK_BREAK});
    }
}

void storer_leave(struct storer *storer, size_t index, bool deleting)
{
    give(storer, &(struct work){.type = WORK_LEAVE, .index = index, .flag = deleting});
}

void storer_mark_seen(struct storer *storer, size_t index)
{
    give(storer, &(struct work){.type = WORK_MARK_SEEN, .index = index});
}

void storer_deleted(struct storer *storer, size_t index)
{
    give(storer, &(struct work){.type = WORK_DELETED, .index = index});
}

void storer_flush(struct storer *storer)
{
    give(storer, &(struct work){.type = WORK_FLUSH});
}

void storer_finish(struct storer *storer)
{
    if (!storer->finishing) {
        storer_break(storer);
        stop_filling(storer);
        storer->finishing = true;
        give(storer, &(struct work){.type = WORK_FINISH});
    }
}

void storer_cancel(struct storer *storer)
{
    uint64_t one = 1;
    atomic_store(&storer->cancelled, true);
    /* Cannot fail: the counter is far from its end. */
    (void)!write(storer->cancel, &one, sizeof one);
    storer_finish(storer);
}

void storer_close(struct storer *storer)
{
    (void)pthread_join(storer->thread, NULL);
    struct result *result = storer->result_first;
    while (result != NULL) {
        struct result *next = result->next;
        free(result);
        result = next;
    }
    while (storer->free_blocks != NULL) {
        struct block *block = storer->free_blocks;
        storer->free_blocks = block->next;
        free(block);
    }
    auto_close(&storer->cancel);
    (void)pthread_mutex_destroy(&storer->mutex);
    (void)pthread_cond_destroy(&storer->work_came);
    uv_close((uv_handle_t *)&storer->wake, on_closed);
}
