/* SPDX-License-Identifier: MIT */
/* Maildrops in memory, for tests. It keeps every rule of the interface: the lock, the snapshot, unique
 * ids that never come back, octets counted as they are sent. With an executor, every operation is
 * completed by it, so that hosts are tested with the slowest store there can be. One mutex guards it
 * all: `perform` and deliveries may come from any thread. */
#include "maildrop/memory.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "maildrop/examination.h"
#include "maildrop/line_ends.h"
#include "maildrop/store.h"

struct message {
    struct message *next;
    uint8_t *data;
    size_t size;
    uint64_t octets;
    uint64_t surrogate_octets;
    char unique_id[24];
    bool needs_surrogate;
    bool gone, spoiled;
};

struct box {
    struct box *next;
    char *user;
    struct message *first, **end;
    uint32_t count; /* without those that are gone */
    uint64_t last_id;
    bool locked;
    uint64_t inode;
};

struct memory_store {
    struct maildrop_store store;
    pthread_mutex_t mutex;
    struct box *boxes;
    uint64_t last_inode;
    uint64_t fail_at;
};

struct memory_maildrop {
    struct maildrop maildrop;
    struct box *box; /* NULL: the user has none yet */
    struct message **messages;
    uint32_t count;
    bool surrogates;
    bool unlocked;
};

struct memory_delivery {
    struct maildrop_delivery delivery;
    char *user;
    uint8_t *data;
    size_t size, capacity;
    struct line_ends line_ends;
    bool failed;
};

static struct memory_store *store_of(struct maildrop_store *store)
{
    return (struct memory_store *)(void *)store;
}

static void lock(struct memory_store *store)
{
    (void)pthread_mutex_lock(&store->mutex); /* cannot fail for a plain mutex */
}

static void unlock(struct memory_store *store)
{
    (void)pthread_mutex_unlock(&store->mutex);
}

static bool must_fail(struct memory_store *store, struct error *error)
{
    if (store->fail_at == 0 || --store->fail_at != 0) {
        return false;
    }
    (void)error_set(error, ERROR_TEMPORARY, 0, "the memory store was told to fail");
    return true;
}

static struct box *find_box(struct memory_store *store, const char *user)
{
    struct box *box = store->boxes;
    while (box != NULL && strcmp(box->user, user) != 0) {
        box = box->next;
    }
    return box;
}

static void free_message(struct message *message)
{
    free(message->data);
    free(message);
}

static void remove_message(struct box *box, const struct message *message)
{
    for (struct message **link = &box->first; *link != NULL; link = &(*link)->next) {
        if (*link == message) {
            struct message *removed = *link;
            *link = removed->next;
            if (box->end == &removed->next) {
                box->end = link;
            }
            free_message(removed);
            return;
        }
    }
}

/* What another program removed stays until no session shows it. */
static void sweep(struct box *box)
{
    for (struct message *message = box->first; message != NULL;) {
        struct message *next = message->next;
        if (message->gone) {
            remove_message(box, message);
        }
        message = next;
    }
}

static void unlock_box(struct memory_maildrop *opened)
{
    if (opened->box != NULL && !opened->unlocked) {
        opened->box->locked = false;
        sweep(opened->box);
    }
    opened->unlocked = true;
}

static void memory_unlock(struct maildrop *maildrop)
{
    lock(store_of(maildrop->store));
    unlock_box((struct memory_maildrop *)(void *)maildrop);
    unlock(store_of(maildrop->store));
}

static void memory_free(struct maildrop *maildrop)
{
    struct memory_maildrop *opened = (struct memory_maildrop *)(void *)maildrop;
    memory_unlock(maildrop);
    free(opened->messages);
    free(opened);
}

static uint64_t octets_of(const struct memory_maildrop *opened, const struct message *message)
{
    bool surrogate = opened->surrogates && message->needs_surrogate;
    return surrogate ? message->surrogate_octets : message->octets;
}

static void take_snapshot(struct memory_maildrop *opened, struct maildrop_operation *operation)
{
    uint64_t octets = 0;
    for (struct message *message = opened->box->first; message != NULL; message = message->next) {
        opened->messages[opened->count++] = message;
        octets += octets_of(opened, message);
    }
    operation->result.opened.octets = octets;
}

/* Under the mutex. */
static void open_box(struct memory_store *store, const char *user,
                     struct maildrop_operation *operation)
{
    if (must_fail(store, &operation->error)) {
        return;
    }
    struct box *box = find_box(store, user);
    if (box != NULL && box->locked) {
        operation->result.holder.device = 1;
        operation->result.holder.inode = box->inode;
        (void)error_set(&operation->error, ERROR_IN_USE, 0, "another session holds the maildrop");
        return;
    }
    struct memory_maildrop *opened = calloc(1, sizeof *opened);
    struct message **messages = calloc(box == NULL ? 1 : box->count + 1, sizeof(struct message *));
    if (opened == NULL || messages == NULL) {
        free(opened);
        free(messages);
        (void)error_set(&operation->error, ERROR_TEMPORARY, 0, "out of memory");
        return;
    }
    maildrop_init(&opened->maildrop, &store->store);
    opened->box = box;
    opened->messages = messages;
    opened->surrogates = operation->request.open.surrogates;
    if (box != NULL) {
        box->locked = true;
        take_snapshot(opened, operation);
    }
    operation->result.opened.maildrop = &opened->maildrop;
    operation->result.opened.count = opened->count;
}

static void run_open(struct maildrop_job *job)
{
    struct maildrop_operation *operation =
        (struct maildrop_operation *)(void *)((uint8_t *)job -
                                              offsetof(struct maildrop_operation, job));
    struct memory_store *store = store_of(operation->store);
    lock(store);
    open_box(store, operation->store_data, operation);
    unlock(store);
}

static void complete_open(struct maildrop_job *job)
{
    struct maildrop_operation *operation =
        (struct maildrop_operation *)(void *)((uint8_t *)job -
                                              offsetof(struct maildrop_operation, job));
    free(operation->store_data);
    operation->store_data = NULL;
    if (operation->cancelled) {
        if (operation->error.kind == ERROR_NONE) {
            memory_free(operation->result.opened.maildrop);
            operation->result.opened.maildrop = NULL;
        }
        maildrop_set_cancelled(operation);
    }
    operation->done(operation);
}

static enum maildrop_progress memory_open(struct maildrop_store *store,
                                          const struct maildrop_owner *owner,
                                          struct maildrop_operation *operation)
{
    operation->store_data = strdup(owner->user);
    if (operation->store_data == NULL) {
        (void)error_set(&operation->error, ERROR_TEMPORARY, 0, "out of memory");
        return MAILDROP_DONE;
    }
    operation->job.run = run_open;
    operation->job.complete = complete_open;
    if (store->executor == NULL) {
        run_open(&operation->job);
        free(operation->store_data);
        operation->store_data = NULL;
        return MAILDROP_DONE;
    }
    store->executor->submit(store->executor, &operation->job);
    return MAILDROP_PENDING;
}

/* A session's wait is short here: what was brought is released when it completes. */
static void memory_cancel_open(struct maildrop_operation *operation)
{
    (void)operation;
}

static void memory_identity(const struct maildrop *maildrop, uint64_t *device_out,
                            uint64_t *inode_out)
{
    const struct memory_maildrop *opened = (const struct memory_maildrop *)(const void *)maildrop;
    *device_out = opened->box == NULL ? 0 : 1;
    *inode_out = opened->box == NULL ? 0 : opened->box->inode;
}

static void perform_rows(const struct memory_maildrop *opened, struct maildrop_operation *operation)
{
    struct maildrop_page *page = operation->request.rows.page;
    for (uint32_t i = 0; i < operation->request.rows.count; i++) {
        const struct message *message = opened->messages[operation->request.rows.first + i];
        size_t size = strlen(message->unique_id);
        memcpy(page->unique_ids[i], message->unique_id, size);
        page->rows[i] = (struct pop3_row){.octets = octets_of(opened, message),
                                          .unique_id = page->unique_ids[i],
                                          .unique_id_size = size};
    }
}

static const struct message *readable(const struct memory_maildrop *opened, uint32_t index,
                                      struct error *error)
{
    const struct message *message = opened->messages[index];
    if (message->gone) {
        (void)error_set(error, ERROR_GONE, 0, "message %s is gone", message->unique_id);
        return NULL;
    }
    if (message->spoiled) {
        (void)error_set(error, ERROR_UNREADABLE, 0, "message %s cannot be read",
                        message->unique_id);
        return NULL;
    }
    return message;
}

static void perform_read(const struct memory_maildrop *opened, struct maildrop_operation *operation)
{
    uint64_t offset = operation->request.read.offset;
    const struct message *message =
        readable(opened, operation->request.read.index, &operation->error);
    if (message == NULL) {
        return;
    }
    size_t left = offset < message->size ? message->size - (size_t)offset : 0;
    size_t size = left < operation->request.read.capacity ? left : operation->request.read.capacity;
    if (size != 0) {
        memcpy(operation->request.read.buffer, message->data + offset, size);
    }
    operation->result.read.size = size;
    operation->result.read.end = size == left;
    operation->result.read.needs_surrogate =
        offset == 0 && opened->surrogates && message->needs_surrogate;
}

static void perform_commit(struct memory_maildrop *opened, struct maildrop_operation *operation,
                           bool failing)
{
    const uint8_t *marks = operation->request.commit.marks;
    for (uint32_t i = 0; marks != NULL && i < opened->count; i++) {
        struct message *message = opened->messages[i];
        if ((marks[i / 8] >> (i % 8) & 1) == 0) {
            continue;
        }
        if (failing) {
            operation->result.committed.not_removed++;
            continue;
        }
        if (!message->gone) {
            opened->box->count--;
        }
        remove_message(opened->box, message);
        operation->result.committed.removed++;
    }
    unlock_box(opened);
}

static bool memory_perform(struct maildrop *maildrop, struct maildrop_operation *operation,
                           bool may_block)
{
    struct memory_maildrop *opened = (struct memory_maildrop *)(void *)maildrop;
    struct memory_store *store = store_of(maildrop->store);
    if (operation->kind == MAILDROP_RELEASE) {
        return true;
    }
    if (!may_block) {
        return false;
    }
    struct error failure;
    lock(store);
    bool failing = must_fail(store, &failure);
    if (operation->kind == MAILDROP_COMMIT) {
        perform_commit(opened, operation, failing);
    } else if (failing) {
        operation->error = failure;
    } else if (operation->kind == MAILDROP_ROWS) {
        perform_rows(opened, operation);
    } else if (operation->kind == MAILDROP_READ) {
        perform_read(opened, operation);
    } else {
        (void)readable(opened, operation->request.check.index, &operation->error);
    }
    unlock(store);
    return true;
}

static int memory_descriptor(const struct maildrop *maildrop, uint64_t *octets_out)
{
    (void)maildrop;
    *octets_out = 0;
    return -1;
}

static bool memory_sent(struct maildrop *maildrop, uint64_t octets)
{
    (void)maildrop;
    (void)octets; /* what was delivered was counted here, and nobody else can have changed it */
    return true;
}

static void memory_read_close(struct maildrop *maildrop)
{
    (void)maildrop; /* a message has no descriptor here */
}

static int memory_deliver_begin(struct maildrop_store *store, const struct maildrop_owner *owner,
                                struct maildrop_delivery **delivery_out, struct error *error)
{
    lock(store_of(store));
    bool failing = must_fail(store_of(store), error);
    unlock(store_of(store));
    if (failing) {
        return -1;
    }
    struct memory_delivery *delivery = calloc(1, sizeof *delivery);
    char *user = strdup(owner->user);
    if (delivery == NULL || user == NULL) {
        free(delivery);
        free(user);
        return error_set(error, ERROR_TEMPORARY, 0, "out of memory");
    }
    delivery->delivery.store = store;
    delivery->user = user;
    *delivery_out = &delivery->delivery;
    return 0;
}

static int reserve(struct memory_delivery *delivery, size_t size)
{
    if (delivery->capacity - delivery->size >= size) {
        return 0;
    }
    size_t capacity = delivery->capacity + size + delivery->capacity / 2;
    uint8_t *data = realloc(delivery->data, capacity);
    if (data == NULL) {
        return -1;
    }
    delivery->data = data;
    delivery->capacity = capacity;
    return 0;
}

static int memory_deliver_append(struct maildrop_delivery *base, struct bytes octets,
                                 struct error *error)
{
    struct memory_delivery *delivery = (struct memory_delivery *)(void *)base;
    struct memory_store *store = store_of(base->store);
    lock(store);
    delivery->failed |= must_fail(store, error);
    unlock(store);
    if (delivery->failed || reserve(delivery, octets.size + 1) < 0) {
        delivery->failed = true;
        return error_set(error, ERROR_TEMPORARY, 0, "no memory for the message");
    }
    delivery->size += line_ends_feed(&delivery->line_ends, octets, delivery->data + delivery->size);
    return 0;
}

static void memory_deliver_abort(struct maildrop_delivery *base)
{
    struct memory_delivery *delivery = (struct memory_delivery *)(void *)base;
    free(delivery->user);
    free(delivery->data);
    free(delivery);
}

static struct box *find_or_make_box(struct memory_store *store, const char *user)
{
    struct box *box = find_box(store, user);
    if (box != NULL) {
        return box;
    }
    box = calloc(1, sizeof *box);
    char *name = strdup(user);
    if (box == NULL || name == NULL) {
        free(box);
        free(name);
        return NULL;
    }
    box->user = name;
    box->end = &box->first;
    box->inode = ++store->last_inode;
    box->next = store->boxes;
    store->boxes = box;
    return box;
}

/* Under the mutex. */
static int store_message(struct memory_store *store, struct memory_delivery *delivery)
{
    struct box *box = find_or_make_box(store, delivery->user);
    struct message *message = calloc(1, sizeof *message);
    AUTO_FREE struct examination *examination = examination_create();
    if (box == NULL || message == NULL || examination == NULL || reserve(delivery, 1) < 0) {
        free(message);
        return -1;
    }
    delivery->size += line_ends_finish(&delivery->line_ends, delivery->data + delivery->size);
    struct pop3_octet_count octets = {0};
    pop3_octet_count_feed(&octets, delivery->data, delivery->size);
    message->data = delivery->data;
    message->size = delivery->size;
    message->octets = pop3_octet_count_end(&octets);
    examination_feed(examination, (struct bytes){message->data, message->size});
    message->needs_surrogate = examination_end(examination, &message->surrogate_octets);
    delivery->data = NULL;
    (void)snprintf(message->unique_id, sizeof message->unique_id, "%llu",
                   (unsigned long long)++box->last_id);
    *box->end = message;
    box->end = &message->next;
    box->count++;
    return 0;
}

static int memory_deliver_finish(struct maildrop_delivery *base, struct error *error)
{
    struct memory_delivery *delivery = (struct memory_delivery *)(void *)base;
    struct memory_store *store = store_of(base->store);
    lock(store);
    bool failed = delivery->failed | must_fail(store, error);
    int result = failed ? -1 : store_message(store, delivery);
    unlock(store);
    memory_deliver_abort(base);
    return result < 0 ? error_set(error, ERROR_TEMPORARY, 0, "no memory for the message") : 0;
}

static struct message *find_message(struct box *box, uint32_t index)
{
    struct message *message = box == NULL ? NULL : box->first;
    while (message != NULL && index > 0) {
        message = message->next;
        index--;
    }
    return message;
}

void maildrop_memory_fail_at(struct maildrop_store *store, uint64_t nth)
{
    lock(store_of(store));
    store_of(store)->fail_at = nth;
    unlock(store_of(store));
}

int maildrop_memory_remove(struct maildrop_store *store, const char *user, uint32_t index)
{
    lock(store_of(store));
    struct box *box = find_box(store_of(store), user);
    struct message *message = find_message(box, index);
    if (message != NULL && !message->gone) {
        message->gone = true;
        box->count--;
        if (!box->locked) {
            sweep(box);
        }
    }
    unlock(store_of(store));
    return message == NULL ? -1 : 0;
}

int maildrop_memory_spoil(struct maildrop_store *store, const char *user, uint32_t index)
{
    lock(store_of(store));
    struct message *message = find_message(find_box(store_of(store), user), index);
    if (message != NULL) {
        message->spoiled = true;
    }
    unlock(store_of(store));
    return message == NULL ? -1 : 0;
}

static void memory_store_free(struct maildrop_store *base)
{
    struct memory_store *store = store_of(base);
    while (store->boxes != NULL) {
        struct box *box = store->boxes;
        store->boxes = box->next;
        while (box->first != NULL) {
            remove_message(box, box->first);
        }
        free(box->user);
        free(box);
    }
    (void)pthread_mutex_destroy(&store->mutex); /* nobody holds it */
    free(store);
}

static const struct maildrop_type memory_type = {
    .store_free = memory_store_free,
    .open = memory_open,
    .cancel_open = memory_cancel_open,
    .identity = memory_identity,
    .perform = memory_perform,
    .descriptor = memory_descriptor,
    .sent = memory_sent,
    .read_close = memory_read_close,
    .unlock = memory_unlock,
    .free = memory_free,
    .deliver_begin = memory_deliver_begin,
    .deliver_append = memory_deliver_append,
    .deliver_finish = memory_deliver_finish,
    .deliver_abort = memory_deliver_abort,
};

int maildrop_memory_create(struct maildrop_executor *executor, struct maildrop_store **store_out,
                           struct error *error)
{
    struct memory_store *store = calloc(1, sizeof *store);
    if (store == NULL || pthread_mutex_init(&store->mutex, NULL) != 0) {
        free(store);
        return error_set(error, ERROR_TEMPORARY, 0, "out of memory");
    }
    store->store = (struct maildrop_store){.type = &memory_type, .executor = executor};
    *store_out = &store->store;
    return 0;
}
