/* SPDX-License-Identifier: MIT */
/* The delegate's end of a worker's channel. A worker may have been taken over by a stranger: every number that
 * it sends is looked at, and what makes no sense ends the grant. */
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/container_of.h"
#include "server/channel.h"
#include "server/delegate_messages.h"
#include "server/delegate_state.h"

struct grant {
    uv_poll_t poll;
    struct delegate *delegate;
    int channel;
    bool closing;      /* the worker's end is gone, or will not be listened to */
    bool closed;       /* ours is, too */
    bool busy;         /* an operation is under way */
    bool message_open; /* it can be told how many octets it makes */
    uint32_t index;    /* of that message */
    uint32_t count;    /* of messages */
    struct maildrop *maildrop;
    struct maildrop_operation operation;
    void (*done)(struct grant *grant, struct delegate_reply *reply);
    struct maildrop_page *page;
    uint8_t *marks;
    uint8_t beginning[4096]; /* of the message that is opened */
    char user[];
};

static void free_if_over(struct grant *grant)
{
    if (!grant->closed || grant->busy) {
        return;
    }
    delegate_grant_ended(grant->delegate);
    free(grant->page);
    free(grant->marks);
    free(grant);
}

static void on_closed(uv_handle_t *handle)
{
    struct grant *grant = handle->data;
    (void)close(grant->channel);
    grant->closed = true;
    free_if_over(grant);
}

/* Releases the maildrop. What is under way is dropped, but for a commit. */
static void end(struct grant *grant)
{
    if (grant->closing) {
        return;
    }
    grant->closing = true;
    if (grant->busy && grant->operation.kind == MAILDROP_OPEN) {
        maildrop_cancel(&grant->operation);
    } else if (grant->maildrop != NULL) {
        maildrop_release(grant->maildrop);
    }
    grant->maildrop = NULL;
    uv_close((uv_handle_t *)&grant->poll, on_closed);
}

static void reply(struct grant *grant, const struct delegate_reply *reply, int descriptor)
{
    size_t rows = reply->error.kind == ERROR_NONE && grant->operation.kind == MAILDROP_ROWS
                      ? reply->count
                      : 0;
    size_t size = offsetof(struct delegate_reply, rows) + rows * sizeof reply->rows[0];
    if (channel_send(grant->channel, reply, size, descriptor) < 0) {
        end(grant);
    }
}

static void complete(struct grant *grant)
{
    struct delegate_reply answer;
    memset(&answer, 0, offsetof(struct delegate_reply, rows));
    answer.error = grant->operation.error;
    if (!grant->closing) {
        grant->done(grant, &answer);
    }
}

static void on_done(struct maildrop_operation *operation)
{
    struct grant *grant = CONTAINER_OF(operation, struct grant, operation);
    grant->busy = false;
    complete(grant);
    free_if_over(grant);
}

static void wait_for_store(struct grant *grant, enum maildrop_progress progress,
                           void (*done)(struct grant *grant, struct delegate_reply *reply))
{
    grant->done = done;
    grant->busy = progress == MAILDROP_PENDING;
    if (!grant->busy) {
        complete(grant);
    }
}

static void on_opened(struct grant *grant, struct delegate_reply *answer)
{
    const struct maildrop_operation *operation = &grant->operation;
    if (operation->error.kind == ERROR_NONE) {
        grant->maildrop = operation->result.opened.maildrop;
        grant->count = operation->result.opened.count;
        answer->count = grant->count;
        answer->octets = operation->result.opened.octets;
        maildrop_identity(grant->maildrop, &answer->device, &answer->inode);
    } else if (operation->error.kind == ERROR_IN_USE) {
        answer->device = operation->result.holder.device;
        answer->inode = operation->result.holder.inode;
    }
    reply(grant, answer, -1);
}

static void open_maildrop(struct grant *grant, const struct delegate_request *request)
{
    struct maildrop_owner owner = {
        .user = grant->user, .path = grant->delegate->path, .surrogates = request->surrogates != 0};
    wait_for_store(grant, maildrop_open(grant->delegate->store, &owner, &grant->operation),
                   on_opened);
}

static void on_rows(struct grant *grant, struct delegate_reply *answer)
{
    answer->count = grant->operation.request.rows.count;
    for (uint32_t i = 0; i < answer->count && answer->error.kind == ERROR_NONE; i++) {
        const struct pop3_row *row = &grant->page->rows[i];
        answer->rows[i] = (struct delegate_row){.octets = row->octets,
                                                .unique_id_size = (uint32_t)row->unique_id_size};
        memcpy(answer->rows[i].unique_id, row->unique_id, row->unique_id_size);
    }
    reply(grant, answer, -1);
}

static void list_rows(struct grant *grant, const struct delegate_request *request)
{
    if (grant->page == NULL) {
        grant->page = malloc(sizeof *grant->page);
    }
    if (grant->page == NULL) {
        end(grant);
        return;
    }
    wait_for_store(grant,
                   maildrop_rows(grant->maildrop, request->index, request->count, grant->page,
                                 &grant->operation),
                   on_rows);
}

static void on_message_opened(struct grant *grant, struct delegate_reply *answer)
{
    int descriptor = -1;
    if (answer->error.kind == ERROR_NONE) {
        descriptor = maildrop_descriptor(grant->maildrop, &answer->octets);
        answer->needs_surrogate = grant->operation.result.read.needs_surrogate;
        answer->row_was_wrong = grant->operation.result.read.row_was_wrong;
        grant->message_open = true;
        grant->index = grant->operation.request.read.index;
    }
    reply(grant, answer, descriptor);
}

static void open_message(struct grant *grant, const struct delegate_request *request)
{
    grant->message_open = false;
    wait_for_store(grant,
                   maildrop_read(grant->maildrop, request->index, 0, grant->beginning,
                                 sizeof grant->beginning, &grant->operation),
                   on_message_opened);
}

static void note_sent(struct grant *grant, uint64_t octets)
{
    if (!maildrop_sent(grant->maildrop, octets)) {
        log_write(LOG_LEVEL_WARNING,
                  "maildrop of user=%s: message %u is not as large as its file's name says; it was "
                  "sent whole, and its row is right from the next login on",
                  grant->user, grant->index + 1);
    }
}

static void on_checked(struct grant *grant, struct delegate_reply *answer)
{
    reply(grant, answer, -1);
}

static void on_committed(struct grant *grant, struct delegate_reply *answer)
{
    grant->maildrop = NULL;
    answer->removed = grant->operation.result.committed.removed;
    answer->not_removed = grant->operation.result.committed.not_removed;
    reply(grant, answer, -1);
}

/* Copied: the worker could still write into its file. */
static bool take_marks(struct grant *grant, uint32_t size, int descriptor)
{
    struct stat facts;
    if (size != (grant->count + 7) / 8 || fstat(descriptor, &facts) < 0 ||
        !S_ISREG(facts.st_mode)) {
        return false;
    }
    grant->marks = malloc(size + 1U);
    return grant->marks != NULL && pread(descriptor, grant->marks, size + 1U, 0) == (ssize_t)size;
}

static void commit(struct grant *grant, const struct delegate_request *request, int descriptor)
{
    if (descriptor >= 0 && !take_marks(grant, request->count, descriptor)) {
        end(grant);
        return;
    }
    wait_for_store(grant, maildrop_commit(grant->maildrop, grant->marks, &grant->operation),
                   on_committed);
}

/* Is it a request that can be done now? */
static bool is_sane(const struct grant *grant, const struct delegate_request *request)
{
    if (request->version != DELEGATE_PROTOCOL_VERSION || grant->busy) {
        return false;
    }
    switch ((enum delegate_request_type)request->type) {
    case DELEGATE_OPEN:
        return grant->maildrop == NULL;
    case DELEGATE_ROWS:
        return grant->maildrop != NULL && request->count <= MAILDROP_PAGE_ROWS &&
               request->index <= grant->count && request->count <= grant->count - request->index;
    case DELEGATE_READ:
    case DELEGATE_CHECK:
        return grant->maildrop != NULL && request->index < grant->count;
    case DELEGATE_SENT:
        return grant->maildrop != NULL && grant->message_open;
    case DELEGATE_COMMIT:
        return grant->maildrop != NULL;
    }
    return false;
}

static void take_request(struct grant *grant, const struct delegate_request *request,
                         int descriptor)
{
    if (!is_sane(grant, request)) {
        log_write(LOG_LEVEL_ERROR, "a worker asked for what makes no sense in user=%s's maildrop",
                  grant->user);
        end(grant);
        return;
    }
    switch ((enum delegate_request_type)request->type) {
    case DELEGATE_OPEN:
        open_maildrop(grant, request);
        return;
    case DELEGATE_ROWS:
        list_rows(grant, request);
        return;
    case DELEGATE_READ:
        open_message(grant, request);
        return;
    case DELEGATE_SENT:
        note_sent(grant, request->octets);
        return;
    case DELEGATE_CHECK:
        wait_for_store(grant, maildrop_check(grant->maildrop, request->index, &grant->operation),
                       on_checked);
        return;
    case DELEGATE_COMMIT:
        commit(grant, request, descriptor);
        return;
    }
}

static void on_request(uv_poll_t *poll, int status, int events)
{
    (void)events;
    struct grant *grant = poll->data;
    while (!grant->closing) {
        struct delegate_request request;
        int descriptor = -1;
        ssize_t size =
            status < 0 ? 0 : channel_receive(grant->channel, &request, sizeof request, &descriptor);
        if (size < 0 && errno == EAGAIN) {
            return;
        }
        if (size == (ssize_t)sizeof request) {
            take_request(grant, &request, descriptor);
        } else {
            end(grant);
        }
        if (descriptor >= 0) {
            (void)close(descriptor);
        }
    }
}

void delegate_grant_serve(struct delegate *delegate, const char *user, int channel)
{
    size_t size = strlen(user) + 1;
    struct grant *grant = calloc(1, sizeof *grant + size);
    if (grant == NULL || uv_poll_init(&delegate->loop, &grant->poll, channel) < 0) {
        free(grant);
        (void)close(channel); /* the worker sees its end */
        delegate_grant_ended(delegate);
        return;
    }
    grant->delegate = delegate;
    grant->channel = channel;
    grant->operation.done = on_done;
    grant->poll.data = grant;
    memcpy(grant->user, user, size);
    (void)uv_poll_start(&grant->poll, UV_READABLE, on_request);
}
