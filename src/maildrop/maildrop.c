/* SPDX-License-Identifier: MIT */
/* The part that is the same for every kind of store: who may run when. One operation of a maildrop is
 * under way at a time, the others wait in their order. An operation first tries on the caller's thread
 * what cannot block; what would is given to the executor. */
#include "maildrop/maildrop.h"

#include <assert.h>
#include <stdlib.h>

#include "base/user_name.h"
#include "maildrop/store.h"

static void complete(struct maildrop_job *job);

void maildrop_init(struct maildrop *maildrop, struct maildrop_store *store)
{
    *maildrop = (struct maildrop){.store = store};
    maildrop->queue_end = &maildrop->queue;
}

void maildrop_set_cancelled(struct maildrop_operation *operation)
{
    (void)error_set(&operation->error, ERROR_TEMPORARY, 0, "the operation was cancelled");
}

static struct maildrop_operation *operation_of(struct maildrop_job *job)
{
    return (struct maildrop_operation *)(void *)((uint8_t *)job -
                                                 offsetof(struct maildrop_operation, job));
}

static void prepare(struct maildrop_operation *operation, struct maildrop_store *store,
                    struct maildrop *maildrop)
{
    operation->error.kind = ERROR_NONE;
    operation->error.number = 0;
    operation->error.text[0] = '\0';
    memset(&operation->result, 0, sizeof operation->result);
    operation->cancelled = false;
    operation->store = store;
    operation->maildrop = maildrop;
    operation->store_data = NULL;
    operation->next = NULL;
    operation->job = (struct maildrop_job){0};
}

static void run(struct maildrop_job *job)
{
    struct maildrop_operation *operation = operation_of(job);
    struct maildrop *maildrop = operation->maildrop;
    (void)maildrop->store->type->perform(maildrop, operation, true);
}

static void run_nothing(struct maildrop_job *job)
{
    (void)job;
}

static bool is_last(const struct maildrop_operation *operation)
{
    return operation->kind == MAILDROP_COMMIT || operation->kind == MAILDROP_RELEASE;
}

static void start(struct maildrop *maildrop, struct maildrop_operation *operation)
{
    maildrop->running = operation;
    operation->job.run = operation->cancelled ? run_nothing : run;
    operation->job.complete = complete;
    operation->job.device = maildrop->device;
    maildrop->store->executor->submit(maildrop->store->executor, &operation->job);
}

/* Frees the maildrop, perhaps after a last piece of work on the executor. */
static void release_now(struct maildrop *maildrop)
{
    const struct maildrop_type *type = maildrop->store->type;
    bool may_block = maildrop->store->executor == NULL;
    struct maildrop_operation attempt;
    prepare(&attempt, maildrop->store, maildrop);
    attempt.kind = MAILDROP_RELEASE;
    if (!type->perform(maildrop, &attempt, may_block)) {
        struct maildrop_operation *operation = calloc(1, sizeof *operation);
        if (operation != NULL) {
            prepare(operation, maildrop->store, maildrop);
            operation->kind = MAILDROP_RELEASE;
            start(maildrop, operation);
            return;
        }
        /* Without memory what is only a cache stays as it is. */
    }
    type->free(maildrop);
}

static void after_last(struct maildrop_operation *operation)
{
    operation->maildrop->store->type->free(operation->maildrop);
    operation->maildrop = NULL;
}

static void continue_with_next(struct maildrop *maildrop)
{
    maildrop->running = NULL;
    if (maildrop->read_close) {
        maildrop->read_close = false;
        maildrop->store->type->read_close(maildrop);
    }
    struct maildrop_operation *next = maildrop->queue;
    if (next != NULL) {
        maildrop->queue = next->next;
        if (maildrop->queue == NULL) {
            maildrop->queue_end = &maildrop->queue;
        }
        next->next = NULL;
        start(maildrop, next);
    } else if (maildrop->closing) {
        release_now(maildrop);
    }
}

static void complete(struct maildrop_job *job)
{
    struct maildrop_operation *operation = operation_of(job);
    if (operation->kind == MAILDROP_RELEASE) {
        after_last(operation);
        free(operation);
        return;
    }
    if (is_last(operation)) {
        after_last(operation);
    } else {
        continue_with_next(operation->maildrop);
    }
    if (operation->cancelled) {
        maildrop_set_cancelled(operation);
    }
    operation->done(operation);
}

static enum maildrop_progress submit(struct maildrop *maildrop,
                                     struct maildrop_operation *operation)
{
    assert(!maildrop->closing);
    if (maildrop->running != NULL) {
        *maildrop->queue_end = operation;
        maildrop->queue_end = &operation->next;
        return MAILDROP_PENDING;
    }
    bool may_block = maildrop->store->executor == NULL;
    if (maildrop->store->type->perform(maildrop, operation, may_block)) {
        if (is_last(operation)) {
            after_last(operation);
        }
        return MAILDROP_DONE;
    }
    start(maildrop, operation);
    return MAILDROP_PENDING;
}

struct maildrop_store *maildrop_store_free(struct maildrop_store *store)
{
    if (store != NULL) {
        store->type->store_free(store);
    }
    return NULL;
}

enum maildrop_progress maildrop_open(struct maildrop_store *store,
                                     const struct maildrop_owner *owner,
                                     struct maildrop_operation *operation)
{
    prepare(operation, store, NULL);
    operation->kind = MAILDROP_OPEN;
    operation->request.open.surrogates = owner->surrogates;
    if (user_name_check(bytes_of(owner->user), &operation->error) < 0) {
        return MAILDROP_DONE;
    }
    return store->type->open(store, owner, operation);
}

void maildrop_identity(const struct maildrop *maildrop, uint64_t *device_out, uint64_t *inode_out)
{
    maildrop->store->type->identity(maildrop, device_out, inode_out);
}

enum maildrop_progress maildrop_rows(struct maildrop *maildrop, uint32_t first, uint32_t count,
                                     struct maildrop_page *page,
                                     struct maildrop_operation *operation)
{
    assert(count <= MAILDROP_PAGE_ROWS);
    prepare(operation, maildrop->store, maildrop);
    operation->kind = MAILDROP_ROWS;
    operation->request.rows.first = first;
    operation->request.rows.count = count;
    operation->request.rows.page = page;
    return submit(maildrop, operation);
}

enum maildrop_progress maildrop_read(struct maildrop *maildrop, uint32_t index, uint64_t offset,
                                     void *buffer, size_t capacity,
                                     struct maildrop_operation *operation)
{
    prepare(operation, maildrop->store, maildrop);
    operation->kind = MAILDROP_READ;
    operation->request.read.index = index;
    operation->request.read.offset = offset;
    operation->request.read.buffer = buffer;
    operation->request.read.capacity = capacity;
    return submit(maildrop, operation);
}

int maildrop_descriptor(const struct maildrop *maildrop, uint64_t *octets_out)
{
    assert(maildrop->running == NULL);
    return maildrop->store->type->descriptor(maildrop, octets_out);
}

bool maildrop_sent(struct maildrop *maildrop, uint64_t octets)
{
    assert(maildrop->running == NULL);
    return maildrop->store->type->sent(maildrop, octets);
}

void maildrop_read_close(struct maildrop *maildrop)
{
    if (maildrop->running != NULL) {
        maildrop->read_close = true;
    } else {
        maildrop->store->type->read_close(maildrop);
    }
}

void maildrop_read_done(struct maildrop *maildrop)
{
    if (maildrop->running != NULL || maildrop->store->type->read_done == NULL) {
        maildrop_read_close(maildrop);
    } else {
        maildrop->store->type->read_done(maildrop);
    }
}

void maildrop_rest(struct maildrop *maildrop)
{
    if (maildrop->running == NULL && maildrop->store->type->rest != NULL) {
        maildrop->store->type->rest(maildrop);
    }
}

enum maildrop_progress maildrop_check(struct maildrop *maildrop, uint32_t index,
                                      struct maildrop_operation *operation)
{
    prepare(operation, maildrop->store, maildrop);
    operation->kind = MAILDROP_CHECK;
    operation->request.check.index = index;
    return submit(maildrop, operation);
}

enum maildrop_progress maildrop_commit(struct maildrop *maildrop, const uint8_t *marks,
                                       struct maildrop_operation *operation)
{
    prepare(operation, maildrop->store, maildrop);
    operation->kind = MAILDROP_COMMIT;
    operation->request.commit.marks = marks;
    return submit(maildrop, operation);
}

void maildrop_release(struct maildrop *maildrop)
{
    if (maildrop->running == NULL) {
        release_now(maildrop);
        return;
    }
    assert(!is_last(maildrop->running));
    maildrop->closing = true;
    maildrop->running->cancelled = true;
    for (struct maildrop_operation *queued = maildrop->queue; queued != NULL;
         queued = queued->next) {
        queued->cancelled = true;
    }
    maildrop->store->type->unlock(maildrop);
}

void maildrop_cancel(struct maildrop_operation *operation)
{
    if (operation->kind == MAILDROP_COMMIT) {
        return;
    }
    operation->cancelled = true;
    if (operation->kind == MAILDROP_OPEN) {
        operation->store->type->cancel_open(operation);
    }
}

int maildrop_deliver_begin(struct maildrop_store *store, const struct maildrop_owner *owner,
                           struct maildrop_delivery **delivery_out, struct error *error)
{
    if (user_name_check(bytes_of(owner->user), error) < 0) {
        return -1;
    }
    return store->type->deliver_begin(store, owner, delivery_out, error);
}

int maildrop_deliver_append(struct maildrop_delivery *delivery, struct bytes octets,
                            struct error *error)
{
    return delivery->store->type->deliver_append(delivery, octets, error);
}

int maildrop_deliver_finish(struct maildrop_delivery *delivery, struct error *error)
{
    return delivery->store->type->deliver_finish(delivery, error);
}

void maildrop_deliver_abort(struct maildrop_delivery *delivery)
{
    delivery->store->type->deliver_abort(delivery);
}
