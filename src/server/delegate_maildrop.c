/* SPDX-License-Identifier: MIT */
/* The worker's end of a delegate's channel, as a kind of store. At most one request is under way: maildrop.c
 * starts no operation before the last is complete. Whatever fails is found out by the operation that waits for
 * it; completion never comes from within a call, so a failure there is completed by the timer. */
#include "server/delegate_maildrop.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/container_of.h"
#include "base/fs.h"
#include "maildrop/store.h"
#include "server/channel.h"
#include "server/delegate_messages.h"

enum { ANSWER_MS = 120000 };

struct delegate_store {
    struct maildrop_store store;
    struct maildrop_executor messages; /* "runs" a job by asking the delegate */
    struct maildrop_executor *threads;
    uv_poll_t poll;
    uv_timer_t timer;
    int channel;
    uint8_t handles;                     /* that are not closed yet */
    bool broken;                         /* nothing more goes through the channel */
    struct maildrop_operation *awaiting; /* its reply */
};

struct delegate_maildrop {
    struct maildrop maildrop;
    uint64_t device, inode;
    uint32_t count;
    int message;   /* descriptor; -1: none is open */
    uint64_t size; /* of that message */
    bool fresh;    /* it was opened for the read at 0 that is under way */
};

static struct delegate_store *store_of(struct maildrop_store *store)
{
    return CONTAINER_OF(store, struct delegate_store, store);
}

static struct delegate_maildrop *maildrop_of(struct maildrop *maildrop)
{
    return CONTAINER_OF(maildrop, struct delegate_maildrop, maildrop);
}

/* The delegate sees the end of the channel, and frees the lock. The descriptor stays until the handle that
 * watches it is closed. */
static void disconnect(struct delegate_store *store)
{
    if (!store->broken) {
        store->broken = true;
        (void)uv_poll_stop(&store->poll);
        (void)shutdown(store->channel, SHUT_RDWR);
    }
}

static uint32_t count_marks(const struct maildrop_operation *operation)
{
    const uint8_t *marks = operation->request.commit.marks;
    uint32_t count = maildrop_of(operation->maildrop)->count;
    uint32_t marked = 0;
    for (uint32_t i = 0; marks != NULL && i < count; i++) {
        marked += marks[i / 8] >> i % 8 & 1;
    }
    return marked;
}

static void complete(struct maildrop_operation *operation)
{
    if (operation->kind != MAILDROP_OPEN) {
        operation->job.complete(&operation->job);
        return;
    }
    if (operation->cancelled) {
        maildrop_set_cancelled(operation);
    }
    operation->done(operation);
}

static void fail(struct delegate_store *store, const char *why)
{
    struct maildrop_operation *operation = store->awaiting;
    disconnect(store);
    if (operation == NULL) {
        return;
    }
    store->awaiting = NULL;
    (void)uv_timer_stop(&store->timer);
    if (operation->kind == MAILDROP_COMMIT) { /* what was removed all the same is not known */
        operation->result.committed.not_removed = count_marks(operation);
    }
    (void)error_set(&operation->error, ERROR_TEMPORARY, 0, "%s", why);
    complete(operation);
}

static void on_timer(uv_timer_t *timer)
{
    struct delegate_store *store = timer->data;
    fail(store, store->broken ? "the process that reads this maildrop has ended"
                              : "the process that reads this maildrop does not answer");
}

static void ask(struct delegate_store *store, struct maildrop_operation *operation,
                struct delegate_request *request, int descriptor)
{
    request->version = DELEGATE_PROTOCOL_VERSION;
    store->awaiting = operation;
    if (store->broken || channel_send(store->channel, request, sizeof *request, descriptor) < 0) {
        disconnect(store);
    }
    (void)uv_timer_start(&store->timer, on_timer, store->broken ? 0 : ANSWER_MS, 0);
}

/* A file in memory with the marks; -1 with errno. */
static int make_marks(const uint8_t *marks, uint32_t size)
{
    int descriptor = memfd_create("restante-marks", MFD_CLOEXEC);
    if (descriptor >= 0 && write(descriptor, marks, size) != (ssize_t)size) {
        (void)close(descriptor);
        descriptor = -1;
    }
    return descriptor;
}

static void ask_commit(struct delegate_store *store, struct maildrop_operation *operation)
{
    uint32_t size = (maildrop_of(operation->maildrop)->count + 7) / 8;
    struct delegate_request request = {.type = DELEGATE_COMMIT, .count = size};
    int descriptor = -1;
    if (count_marks(operation) > 0) {
        descriptor = make_marks(operation->request.commit.marks, size);
        if (descriptor < 0) {
            disconnect(store); /* nothing is removed rather than all kept in silence */
        }
    }
    ask(store, operation, &request, descriptor);
    if (descriptor >= 0) {
        (void)close(descriptor);
    }
}

static bool is_read_here(const struct maildrop_operation *operation)
{
    const struct delegate_maildrop *opened = maildrop_of(operation->maildrop);
    return operation->kind == MAILDROP_READ &&
           (operation->request.read.offset > 0 || opened->fresh);
}

static void submit(struct maildrop_executor *executor, struct maildrop_job *job)
{
    struct delegate_store *store = CONTAINER_OF(executor, struct delegate_store, messages);
    struct maildrop_operation *operation = CONTAINER_OF(job, struct maildrop_operation, job);
    struct delegate_request request = {0};
    if (is_read_here(operation)) {
        store->threads->submit(store->threads, job);
        return;
    }
    switch (operation->kind) {
    case MAILDROP_ROWS:
        request.type = DELEGATE_ROWS;
        request.index = operation->request.rows.first;
        request.count = operation->request.rows.count;
        break;
    case MAILDROP_READ:
        request.type = DELEGATE_READ;
        request.index = operation->request.read.index;
        break;
    case MAILDROP_CHECK:
        request.type = DELEGATE_CHECK;
        request.index = operation->request.check.index;
        break;
    case MAILDROP_COMMIT:
        ask_commit(store, operation);
        return;
    case MAILDROP_OPEN:
    case MAILDROP_RELEASE:
        assert(false); /* neither comes here */
        return;
    }
    ask(store, operation, &request, -1);
}

static void take_opened(struct delegate_store *store, struct maildrop_operation *operation,
                        const struct delegate_reply *reply)
{
    struct delegate_maildrop *opened = calloc(1, sizeof *opened);
    if (opened == NULL || operation->cancelled) {
        free(opened);
        disconnect(store);
        (void)error_set(&operation->error, ERROR_TEMPORARY, 0, "out of memory");
        return;
    }
    maildrop_init(&opened->maildrop, &store->store);
    opened->maildrop.device = opened->device = reply->device;
    opened->inode = reply->inode;
    opened->count = reply->count;
    opened->message = -1;
    operation->result.opened.maildrop = &opened->maildrop;
    operation->result.opened.count = reply->count;
    operation->result.opened.octets = reply->octets;
}

static void take_rows(struct maildrop_operation *operation, const struct delegate_reply *reply)
{
    struct maildrop_page *page = operation->request.rows.page;
    for (uint32_t i = 0; i < reply->count; i++) {
        const struct delegate_row *row = &reply->rows[i];
        memcpy(page->unique_ids[i], row->unique_id, row->unique_id_size);
        page->rows[i] = (struct pop3_row){.octets = row->octets,
                                          .unique_id = page->unique_ids[i],
                                          .unique_id_size = row->unique_id_size};
    }
}

/* Takes the descriptor. True: its first octets have yet to be read by a thread. */
static bool take_message(struct delegate_store *store, struct maildrop_operation *operation,
                         const struct delegate_reply *reply, int descriptor)
{
    struct delegate_maildrop *opened = maildrop_of(operation->maildrop);
    fs_close(&fs_real, &opened->message); /* of the message before */
    opened->message = descriptor;
    opened->size = reply->octets;
    opened->fresh = true;
    operation->result.read.needs_surrogate = reply->needs_surrogate != 0;
    operation->result.read.row_was_wrong = reply->row_was_wrong != 0;
    if (operation->cancelled || store->store.type->perform(operation->maildrop, operation, false)) {
        return false;
    }
    store->threads->submit(store->threads, &operation->job);
    return true;
}

/* Takes what the delegate says; the descriptor stays the caller's unless *descriptor is -1 then. True: the
 * operation goes on elsewhere. */
static bool take_reply(struct delegate_store *store, struct maildrop_operation *operation,
                       const struct delegate_reply *reply, int *descriptor)
{
    operation->error = reply->error;
    operation->error.text[sizeof operation->error.text - 1] = '\0';
    if (operation->kind == MAILDROP_OPEN && reply->error.kind == ERROR_IN_USE) {
        operation->result.holder.device = reply->device;
        operation->result.holder.inode = reply->inode;
    }
    if (operation->kind == MAILDROP_COMMIT) {
        operation->result.committed.removed = reply->removed;
        operation->result.committed.not_removed = reply->not_removed;
    }
    if (reply->error.kind != ERROR_NONE) {
        return false;
    }
    if (operation->kind == MAILDROP_OPEN) {
        take_opened(store, operation, reply);
    } else if (operation->kind == MAILDROP_ROWS) {
        take_rows(operation, reply);
    } else if (operation->kind == MAILDROP_READ) {
        int message = *descriptor;
        *descriptor = -1;
        return take_message(store, operation, reply, message);
    }
    return false;
}

/* A delegate runs as somebody who may wish us ill, so it is not believed to be one. */
static bool is_sane(const struct maildrop_operation *operation, const struct delegate_reply *reply,
                    size_t size, int descriptor)
{
    bool good = size >= offsetof(struct delegate_reply, rows) && operation != NULL &&
                (unsigned)reply->error.kind < ERROR_KIND_COUNT;
    if (!good) {
        return false;
    }
    bool succeeded = reply->error.kind == ERROR_NONE;
    size_t rows = succeeded && operation->kind == MAILDROP_ROWS ? operation->request.rows.count : 0;
    good = size == offsetof(struct delegate_reply, rows) + rows * sizeof reply->rows[0];
    for (size_t i = 0; good && i < rows; i++) {
        good = reply->count == rows && reply->rows[i].unique_id_size <= POP3_UNIQUE_ID_OCTETS;
    }
    bool brings = succeeded && operation->kind == MAILDROP_READ;
    return good && (!brings || descriptor >= 0);
}

static void on_reply(uv_poll_t *poll, int status, int events)
{
    (void)events;
    struct delegate_store *store = poll->data;
    struct maildrop_operation *operation = store->awaiting;
    struct delegate_reply reply;
    int descriptor = -1;
    ssize_t size =
        status < 0 ? 0 : channel_receive(store->channel, &reply, sizeof reply, &descriptor);
    if (size < 0 && errno == EAGAIN) {
        return;
    }
    if (size <= 0) {
        fail(store, "the process that reads this maildrop has ended");
        return;
    }
    if (!is_sane(operation, &reply, (size_t)size, descriptor)) {
        fail(store, "the process that reads this maildrop makes no sense");
    } else {
        store->awaiting = NULL;
        (void)uv_timer_stop(&store->timer);
        if (!take_reply(store, operation, &reply, &descriptor)) {
            complete(operation);
        }
    }
    if (descriptor >= 0) {
        (void)close(descriptor);
    }
}

static enum maildrop_progress open_maildrop(struct maildrop_store *base,
                                            const struct maildrop_owner *owner,
                                            struct maildrop_operation *operation)
{
    struct delegate_request request = {.type = DELEGATE_OPEN, .surrogates = owner->surrogates};
    ask(store_of(base), operation, &request, -1);
    return MAILDROP_PENDING;
}

static void wake(struct delegate_store *store)
{
    disconnect(store);
    if (store->awaiting != NULL) {
        (void)uv_timer_start(&store->timer, on_timer, 0, 0);
    }
}

static void cancel_open(struct maildrop_operation *operation)
{
    wake(store_of(operation->store));
}

static void identity(const struct maildrop *maildrop, uint64_t *device_out, uint64_t *inode_out)
{
    const struct delegate_maildrop *opened =
        (const struct delegate_maildrop *)(const void *)maildrop;
    *device_out = opened->device;
    *inode_out = opened->inode;
}

static void read_octets(const struct delegate_maildrop *opened, ssize_t got, size_t wanted,
                        struct maildrop_operation *operation)
{
    uint64_t left = opened->size - operation->request.read.offset;
    if (got < 0) {
        (void)error_set(&operation->error, ERROR_UNREADABLE, (int)-got, "a message cannot be read");
    } else if (got == 0 && wanted > 0) {
        (void)error_set(&operation->error, ERROR_UNREADABLE, 0,
                        "a message became shorter as it was read");
    } else {
        operation->result.read.size = (size_t)got;
        operation->result.read.end = (uint64_t)got == left;
    }
}

/* Only a READ of a message that is open can be done here, and a RELEASE, which is the end of the channel. */
static bool perform(struct maildrop *maildrop, struct maildrop_operation *operation, bool may_block)
{
    struct delegate_maildrop *opened = maildrop_of(maildrop);
    if (operation->kind == MAILDROP_RELEASE) {
        return true;
    }
    if (!is_read_here(operation)) {
        return false;
    }
    const struct fs cached = fs_cached(&fs_real);
    const struct fs *fs = may_block ? &fs_real : &cached;
    uint64_t offset = operation->request.read.offset;
    uint64_t left = offset < opened->size ? opened->size - offset : 0;
    size_t wanted = operation->request.read.capacity;
    if (wanted > left) {
        wanted = (size_t)left;
    }
    ssize_t got = 0;
    if (wanted > 0) {
        got = fs->operations->read(fs, opened->message, operation->request.read.buffer, wanted,
                                   offset);
    }
    if (got == -EAGAIN && !may_block) {
        return false;
    }
    opened->fresh = false;
    read_octets(opened, got, wanted, operation);
    return true;
}

/* Whether its row is right, the delegate finds out and tells the log. */
static bool sent(struct maildrop *maildrop, uint64_t octets)
{
    const struct delegate_store *store = store_of(maildrop->store);
    struct delegate_request request = {
        .version = DELEGATE_PROTOCOL_VERSION, .type = DELEGATE_SENT, .octets = octets};
    if (!store->broken) { /* lost, the row is wrong once more */
        (void)!channel_send(store->channel, &request, sizeof request, -1);
    }
    return true;
}

static void read_close(struct maildrop *maildrop)
{
    struct delegate_maildrop *opened = maildrop_of(maildrop);
    fs_close(&fs_real, &opened->message);
    opened->fresh = false;
}

static void unlock(struct maildrop *maildrop)
{
    wake(store_of(maildrop->store));
}

static void free_maildrop(struct maildrop *maildrop)
{
    read_close(maildrop);
    disconnect(store_of(maildrop->store));
    free(maildrop_of(maildrop));
}

static void on_closed(uv_handle_t *handle)
{
    struct delegate_store *store = handle->data;
    if (--store->handles == 0) {
        (void)close(store->channel);
        free(store);
    }
}

static void store_free(struct maildrop_store *base)
{
    struct delegate_store *store = store_of(base);
    disconnect(store);
    uv_close((uv_handle_t *)&store->poll, on_closed);
    uv_close((uv_handle_t *)&store->timer, on_closed);
}

static const struct maildrop_type delegate_type = {
    .store_free = store_free,
    .open = open_maildrop,
    .cancel_open = cancel_open,
    .identity = identity,
    .perform = perform,
    .sent = sent,
    .read_close = read_close,
    .unlock = unlock,
    .free = free_maildrop,
};

struct maildrop_store *delegate_maildrop_create(uv_loop_t *loop, struct maildrop_executor *threads,
                                                int channel, struct error *error)
{
    struct delegate_store *store = calloc(1, sizeof *store);
    if (store == NULL || uv_poll_init(loop, &store->poll, channel) < 0) {
        free(store);
        (void)error_set(error, ERROR_TEMPORARY, 0, "no channel to the maildrop");
        return NULL;
    }
    (void)uv_timer_init(loop, &store->timer);
    store->store = (struct maildrop_store){.type = &delegate_type, .executor = &store->messages};
    store->messages.submit = submit;
    store->threads = threads;
    store->channel = channel;
    store->handles = 2;
    store->poll.data = store;
    store->timer.data = store;
    (void)uv_poll_start(&store->poll, UV_READABLE, on_reply);
    return &store->store;
}
