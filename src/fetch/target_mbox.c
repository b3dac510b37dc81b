/* SPDX-License-Identifier: MIT */
/* Into an mbox (mboxrd), in batches: what waits is spooled as it will stand there; prepare locks the mbox and so
 * knows the places; publish appends, syncs and unlocks. Between the two the lock stays, or the places would not be
 * true. What cannot be appended whole is cut off again. */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fetch/mbox_lock.h"
#include "fetch/mbox_search.h"
#include "fetch/target.h"

enum { COPY_OCTETS = 65536, FEED_OCTETS = 16384, LOCK_LIMIT_S = 60 };

struct waiting {
    uint64_t from; /* in the spool */
    struct mbox_place place;
};

struct mbox {
    struct target target;
    struct target_options options;
    struct spool spool;
    struct mbox_quoting quoting;
    struct mbox_hash hash;
    struct waiting *batch; /* and behind them the one that has begun */
    size_t count, room;
    bool begun;
    struct mbox_lock lock; /* between prepare and publish, and while recovering */
    uint64_t end;          /* of the mbox, when it was locked */
    size_t padding;        /* LFs that are missing there */
    struct mbox_search search;
    uint8_t converted[2 * FEED_OCTETS + 8];
};

static struct mbox *mbox_of(struct target *target)
{
    return (struct mbox *)(void *)target;
}

static int fail(const struct mbox *mbox, const char *what, struct error *error)
{
    return error_from_errno(error, errno, "%s: %s", mbox->options.place, what);
}

static int mbox_begin(struct target *target, const struct target_message *message,
                      struct error *error)
{
    struct mbox *mbox = mbox_of(target);
    (void)message;
    if (mbox->count == mbox->room) {
        size_t room = mbox->room == 0 ? 64 : 2 * mbox->room;
        struct waiting *batch = realloc(mbox->batch, room * sizeof *batch);
        if (batch == NULL) {
            return error_set(error, ERROR_TEMPORARY, 0, "out of memory");
        }
        mbox->batch = batch;
        mbox->room = room;
    }
    struct waiting *waiting = &mbox->batch[mbox->count];
    char from[MBOX_FROM_OCTETS];
    *waiting = (struct waiting){.from = mbox->spool.size};
    waiting->place.time_s = mbox->options.fs->operations->clock(mbox->options.fs) / 1000000000;
    size_t size = mbox_from_line(waiting->place.time_s, from);
    mbox->quoting = (struct mbox_quoting){.matched = 0};
    mbox_hash_init(&mbox->hash);
    mbox->begun = true;
    return spool_append(&mbox->spool, (struct bytes){(const uint8_t *)from, size}, error);
}

static int put(struct mbox *mbox, size_t size, struct error *error)
{
    struct bytes octets = {mbox->converted, size};
    mbox_hash_feed(&mbox->hash, octets);
    return spool_append(&mbox->spool, octets, error);
}

static int mbox_append(struct target *target, struct bytes octets, struct error *error)
{
    struct mbox *mbox = mbox_of(target);
    while (octets.size != 0) {
        size_t size = octets.size < FEED_OCTETS ? octets.size : FEED_OCTETS;
        struct bytes part = {octets.data, size};
        if (put(mbox, mbox_quote(&mbox->quoting, part, mbox->converted), error) < 0) {
            return -1;
        }
        octets = bytes_from(octets, size);
    }
    return 0;
}

static void mbox_abort(struct target *target)
{
    struct mbox *mbox = mbox_of(target);
    if (mbox->begun) {
        /* If it cannot be cut off now, its octets stay in the spool: a place says where each begins. */
        (void)spool_truncate(&mbox->spool, mbox->batch[mbox->count].from, NULL);
        mbox->begun = false;
    }
}

static enum target_outcome mbox_end(struct target *target, struct error *error)
{
    struct mbox *mbox = mbox_of(target);
    struct waiting *waiting = &mbox->batch[mbox->count];
    mbox->begun = false;
    if (put(mbox, mbox_quote_finish(&mbox->quoting, mbox->converted), error) < 0) {
        return TARGET_FAILED;
    }
    waiting->place.length = mbox->spool.size - waiting->from;
    mbox_hash_finish(&mbox->hash, waiting->place.hash);
    mbox->count++;
    return TARGET_WAITS;
}

/* How many LFs are missing before another message may begin. */
static int measure(struct mbox *mbox, struct error *error)
{
    struct stat stat;
    char last[2] = {'\n', '\n'};
    if (fstat(mbox->lock.file, &stat) < 0) {
        return fail(mbox, "cannot be read", error);
    }
    mbox->end = (uint64_t)stat.st_size;
    mbox->padding = 0;
    if (mbox->end >= 2) {
        if (pread(mbox->lock.file, last, 2, (off_t)mbox->end - 2) != 2) {
            return fail(mbox, "cannot be read", error);
        }
        mbox->padding = last[1] != '\n' ? 2 : last[0] != '\n' ? 1 : 0;
    } else if (mbox->end == 1) {
        mbox->padding = 2;
    }
    return 0;
}

static int mbox_prepare(struct target *target, struct error *error)
{
    struct mbox *mbox = mbox_of(target);
    if (spool_flush(&mbox->spool, error) < 0 ||
        mbox_lock(&mbox->lock, mbox->options.place, LOCK_LIMIT_S, mbox->options.cancel, error) <
            0) {
        return -1;
    }
    if (measure(mbox, error) < 0) {
        mbox_unlock(&mbox->lock);
        return -1;
    }
    uint64_t offset = mbox->end + mbox->padding;
    for (size_t i = 0; i < mbox->count; i++) {
        mbox->batch[i].place.offset = offset;
        offset += mbox->batch[i].place.length;
    }
    return 0;
}

static void mbox_place(const struct target *target, size_t index,
                       char place_out[TARGET_PLACE_OCTETS])
{
    const struct mbox *mbox = (const struct mbox *)(const void *)target;
    mbox_place_write(&mbox->batch[index].place, place_out);
}

static int copy(struct mbox *mbox, const struct waiting *waiting, uint8_t *buffer,
                struct error *error)
{
    for (uint64_t done = 0; done < waiting->place.length;) {
        uint64_t left = waiting->place.length - done;
        size_t wanted = left < COPY_OCTETS ? (size_t)left : COPY_OCTETS;
        ssize_t size = spool_read(&mbox->spool, buffer, wanted, waiting->from + done, error);
        if (size <= 0) {
            return size < 0 ? -1
                            : error_set(error, ERROR_TEMPORARY, 0, "a temporary file is short");
        }
        int result = fs_write_full(&fs_real, mbox->lock.file, buffer, (size_t)size,
                                   waiting->place.offset + done);
        if (result < 0) {
            errno = -result;
            return fail(mbox, "cannot be written", error);
        }
        done += (uint64_t)size;
    }
    return 0;
}

static int append_all(struct mbox *mbox, struct error *error)
{
    AUTO_FREE uint8_t *buffer = malloc(COPY_OCTETS);
    if (buffer == NULL) {
        return error_set(error, ERROR_TEMPORARY, 0, "out of memory");
    }
    int result = fs_write_full(&fs_real, mbox->lock.file, "\n\n", mbox->padding, mbox->end);
    if (result < 0) {
        errno = -result;
        return fail(mbox, "cannot be written", error);
    }
    for (size_t i = 0; i < mbox->count; i++) {
        if (copy(mbox, &mbox->batch[i], buffer, error) < 0) {
            return -1;
        }
    }
    return fsync(mbox->lock.file) < 0 ? fail(mbox, "cannot be made durable", error) : 0;
}

/* The mbox may have been made a moment ago. */
static int sync_folder(const struct mbox *mbox, struct error *error)
{
    AUTO_FREE char *path = strdup(mbox->options.place);
    if (path == NULL) {
        return error_set(error, ERROR_TEMPORARY, 0, "out of memory");
    }
    AUTO_CLOSE int folder = open(dirname(path), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder < 0 ? errno != EACCES : fsync(folder) < 0) {
        return fail(mbox, "its folder cannot be made durable", error);
    }
    return 0;
}

/* What the spool holds of the batch is no longer needed; a message that has begun is. */
static int forget_batch(struct mbox *mbox, struct error *error)
{
    if (mbox->begun) {
        mbox->batch[0] = mbox->batch[mbox->count];
        mbox->count = 0;
        return 0;
    }
    mbox->count = 0;
    return spool_reset(&mbox->spool, error);
}

static int mbox_publish(struct target *target, struct error *error)
{
    struct mbox *mbox = mbox_of(target);
    int result = append_all(mbox, error);
    if (result < 0) {
        /* If this fails too, the next start does it. */
        (void)!ftruncate(mbox->lock.file, (off_t)mbox->end);
    }
    mbox_unlock(&mbox->lock);
    if (result == 0 && mbox->end == 0) {
        result = sync_folder(mbox, error);
    }
    return result < 0 ? -1 : forget_batch(mbox, error);
}

static int mbox_recover(struct target *target, const char *text, bool recent, bool *there_out,
                        struct error *error)
{
    struct mbox *mbox = mbox_of(target);
    struct mbox_place place;
    (void)recent; /* the file itself is asked */
    *there_out = false;
    if (!mbox_place_read(text, &place)) {
        return 0; /* it was to go somewhere else */
    }
    if (mbox->lock.file < 0) {
        if (mbox_lock(&mbox->lock, mbox->options.place, LOCK_LIMIT_S, mbox->options.cancel, error) <
            0) {
            return -1;
        }
        mbox->search = (struct mbox_search){.file = mbox->lock.file};
    }
    return mbox_search(&mbox->search, &place, there_out, error);
}

static int mbox_recovered(struct target *target, struct error *error)
{
    struct mbox *mbox = mbox_of(target);
    int result = 0;
    if (mbox->lock.file >= 0) {
        result = fsync(mbox->lock.file) < 0 ? fail(mbox, "cannot be made durable", error) : 0;
        result = result < 0 ? -1 : sync_folder(mbox, error);
    }
    mbox_search_finish(&mbox->search);
    mbox_unlock(&mbox->lock);
    return result;
}

static void mbox_free(struct target *target)
{
    struct mbox *mbox = mbox_of(target);
    mbox_search_finish(&mbox->search);
    mbox_unlock(&mbox->lock);
    spool_close(&mbox->spool);
    free(mbox->batch);
    free(mbox);
}

static const struct target_operations operations = {
    .batched = true,
    .begin = mbox_begin,
    .append = mbox_append,
    .abort = mbox_abort,
    .end = mbox_end,
    .prepare = mbox_prepare,
    .place = mbox_place,
    .publish = mbox_publish,
    .recover = mbox_recover,
    .recovered = mbox_recovered,
    .free = mbox_free,
};

int target_mbox_create(const struct target_options *options, struct target **target_out,
                       struct error *error)
{
    struct mbox *mbox = calloc(1, sizeof *mbox);
    if (mbox == NULL) {
        return error_set(error, ERROR_TEMPORARY, 0, "out of memory");
    }
    mbox->target.operations = &operations;
    mbox->options = *options;
    mbox->lock.file = -1;
    mbox->search.file = -1;
    if (spool_open(&mbox->spool, options->state_folder, error) < 0) {
        free(mbox);
        return -1;
    }
    *target_out = &mbox->target;
    return 0;
}
