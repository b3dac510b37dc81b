/* SPDX-License-Identifier: MIT */
/* Opening a maildrop: lock it, believe the index or scan. What is cached is done on the caller's thread;
 * the rest goes to the executor in at most three steps: lock and list; count the octets that nobody
 * knows, two threads at once; write the index. */
#include <errno.h>
#include <stdlib.h>

#include "maildrop/maildir/maildir.h"

/* With fewer files to count a second thread is not worth its while. */
enum { COUNT_APART_LEAST = 256 };

enum step { STEP_LIST, STEP_COUNT, STEP_WRITE, STEP_DONE };

struct opening;

struct part {
    struct maildrop_job job;
    struct opening *opening;
    size_t number;
    bool failed;
    struct error error;
};

struct opening {
    struct maildrop_operation *operation;
    struct maildir_maildrop *opened;
    struct snapshot old;
    struct scan scan;
    enum step step;
    size_t parts_left;
    struct part parts[SCAN_PARTS];
};

static struct maildir_store *store_of(struct maildrop_store *store)
{
    return (struct maildir_store *)(void *)store;
}

static const struct fs_facts *find_device(void *context, uint64_t device)
{
    const struct maildir_store *store = context;
    for (unsigned i = 0; i < store->device_count; i++) {
        if (store->devices[i].device == device) {
            return &store->devices[i].facts;
        }
    }
    return NULL;
}

static void remember_device(struct maildir_store *store, const struct maildir_folders *folders)
{
    if (folders->cur >= 0 && store->device_count < MAILDIR_DEVICES_MOST &&
        find_device(store, folders->cur_stat.device) == NULL) {
        store->devices[store->device_count++] = (struct maildir_device){
            .device = folders->cur_stat.device,
            .facts = folders->facts,
        };
    }
}

void maildir_free(struct maildrop *maildrop)
{
    struct maildir_maildrop *opened = maildir_of(maildrop);
    struct maildir_store *store = store_of(maildrop->store);
    const struct fs *fs = opened->fs;
    if (store->reader_of == opened) {
        store->reader_of = NULL;
    }
    fs_close_now(fs, &store->closing);
    int descriptors[] = {opened->folders.cur, opened->folders.new_folder,
                         opened->snapshot.descriptor, opened->message.descriptor,
                         opened->moved != NULL ? opened->moved->descriptor : -1};
    fs_close_all(fs, descriptors, sizeof descriptors / sizeof descriptors[0]); /* frees the lock */
    folders_finish(&opened->folders);
    free(opened->moved);
    free(opened->readable);
    free(opened->notes);
    free(opened);
}

static struct maildir_maildrop *create(struct maildir_store *store,
                                       const struct maildrop_owner *owner, struct error *error)
{
    struct maildrop_path place;
    if (maildrop_path_expand(store->pattern, owner, &place, error) < 0) {
        return NULL;
    }
    struct maildir_maildrop *opened = calloc(1, sizeof *opened);
    if (opened == NULL || folders_init(&opened->folders, &place, error) < 0) {
        (void)error_set(error, ERROR_TEMPORARY, 0, "out of memory");
        free(place.path);
        free(opened);
        return NULL;
    }
    maildrop_init(&opened->maildrop, &store->store);
    opened->fs = store->fs;
    opened->surrogates = owner->surrogates;
    opened->message.descriptor = -1;
    snapshot_init(&opened->snapshot);
    return opened;
}

/* 0 when the snapshot is there, -1, or MAILDIR_WOULD_BLOCK: a scan is needed, or the disk. */
static int open_cached(struct maildir_maildrop *opened, const struct fs *fs, struct error *error)
{
    struct fs cached = fs_cached(fs);
    struct folders_devices devices = {.find = find_device, .context = opened->maildrop.store};
    int result = folders_lock(&opened->folders, &cached, &devices, error);
    if (result == 0 &&
        snapshot_open(&opened->snapshot, &opened->folders, &cached, opened->surrogates) < 0) {
        snapshot_finish(&opened->snapshot, fs);
        result = MAILDIR_WOULD_BLOCK;
    }
    return result;
}

/* Sets `step` to what is next. */
static int lock_and_list(struct opening *opening, bool may_part, struct error *error)
{
    struct maildir_maildrop *opened = opening->opened;
    struct folders_devices devices = {.find = NULL};
    opening->step = STEP_DONE;
    if (folders_lock(&opened->folders, opened->fs, &devices, error) != 0) {
        return -1;
    }
    if (opened->folders.cur < 0 ||
        snapshot_open(&opened->snapshot, &opened->folders, opened->fs, opened->surrogates) == 0) {
        return 0;
    }
    opening->old = opened->snapshot;
    snapshot_init(&opened->snapshot);
    scan_init(&opening->scan, opened->fs, &opened->folders, &opening->old, opened->surrogates);
    if (scan_list(&opening->scan, error) < 0) {
        return -1;
    }
    opened->ids_checked = true;
    opening->step = STEP_WRITE;
    if (may_part && opening->scan.uncounted >= COUNT_APART_LEAST) {
        opening->step = STEP_COUNT;
        return 0;
    }
    return scan_count(&opening->scan, 0, 1, error);
}

static int write_index(struct opening *opening, struct error *error)
{
    opening->step = STEP_DONE;
    return scan_write(&opening->scan, &opening->opened->snapshot, error);
}

static void run_inline(struct opening *opening, struct error *error)
{
    if (lock_and_list(opening, false, error) == 0 && opening->step == STEP_WRITE) {
        (void)write_index(opening, error); /* the error says it */
    }
}

/* Writes the result, or frees the maildrop. */
static void set_result(struct maildrop_operation *operation, struct maildir_maildrop *opened)
{
    remember_device(store_of(operation->store), &opened->folders);
    if (operation->cancelled) {
        maildrop_set_cancelled(operation);
    }
    if (operation->error.kind == ERROR_IN_USE) {
        operation->result.holder.device = opened->folders.cur_stat.device;
        operation->result.holder.inode = opened->folders.cur_stat.inode;
    }
    if (operation->error.kind != ERROR_NONE) {
        maildir_free(&opened->maildrop);
        return;
    }
    opened->maildrop.device = opened->folders.cur_stat.device;
    operation->result.opened.maildrop = &opened->maildrop;
    operation->result.opened.count = opened->snapshot.header.count;
    operation->result.opened.octets =
        opened->surrogates ? opened->snapshot.header.surrogates : opened->snapshot.header.octets;
}

static void finish(struct opening *opening)
{
    struct maildrop_operation *operation = opening->operation;
    struct maildir_maildrop *opened = opening->opened;
    scan_finish(&opening->scan);
    snapshot_finish(&opening->old, opened->fs);
    free(opening);
    operation->store_data = NULL;
    set_result(operation, opened);
}

static void submit(struct opening *opening, struct maildrop_job *job)
{
    struct maildrop_executor *executor = opening->operation->store->executor;
    job->device = opening->opened->folders.cur_stat.device;
    executor->submit(executor, job);
}

static void run_part(struct maildrop_job *job)
{
    struct part *part = (struct part *)(void *)((uint8_t *)job - offsetof(struct part, job));
    part->failed = scan_count(&part->opening->scan, part->number, SCAN_PARTS, &part->error) < 0;
}

static void complete_part(struct maildrop_job *job)
{
    struct part *part = (struct part *)(void *)((uint8_t *)job - offsetof(struct part, job));
    struct opening *opening = part->opening;
    if (part->failed) {
        opening->operation->error = part->error;
    }
    if (--opening->parts_left > 0) {
        return;
    }
    struct maildrop_operation *operation = opening->operation;
    if (operation->error.kind == ERROR_NONE && !operation->cancelled) {
        opening->step = STEP_WRITE;
        submit(opening, &operation->job);
        return;
    }
    finish(opening);
    operation->done(operation);
}

static void run(struct maildrop_job *job)
{
    struct maildrop_operation *operation =
        (struct maildrop_operation *)(void *)((uint8_t *)job -
                                              offsetof(struct maildrop_operation, job));
    struct opening *opening = operation->store_data;
    if (opening->step == STEP_LIST &&
        (lock_and_list(opening, true, &operation->error) < 0 || opening->step != STEP_WRITE)) {
        return;
    }
    (void)write_index(opening, &operation->error); /* the error says it */
}

static void complete(struct maildrop_job *job)
{
    struct maildrop_operation *operation =
        (struct maildrop_operation *)(void *)((uint8_t *)job -
                                              offsetof(struct maildrop_operation, job));
    struct opening *opening = operation->store_data;
    if (opening->step == STEP_COUNT && operation->error.kind == ERROR_NONE &&
        !operation->cancelled) {
        opening->parts_left = SCAN_PARTS;
        for (size_t i = 0; i < SCAN_PARTS; i++) {
            opening->parts[i] = (struct part){
                .job = {.run = run_part, .complete = complete_part},
                .opening = opening,
                .number = i,
            };
            submit(opening, &opening->parts[i].job);
        }
        return;
    }
    finish(opening);
    operation->done(operation);
}

static struct opening *begin(struct maildrop_operation *operation, struct maildir_maildrop *opened)
{
    struct opening *opening = calloc(1, sizeof *opening);
    if (opening == NULL) {
        (void)error_set(&operation->error, ERROR_TEMPORARY, 0, "out of memory");
        maildir_free(&opened->maildrop);
        return NULL;
    }
    opening->operation = operation;
    opening->opened = opened;
    opening->step = STEP_LIST;
    snapshot_init(&opening->old);
    operation->store_data = opening;
    return opening;
}

enum maildrop_progress maildir_open(struct maildrop_store *store,
                                    const struct maildrop_owner *owner,
                                    struct maildrop_operation *operation)
{
    struct maildir_maildrop *opened = create(store_of(store), owner, &operation->error);
    if (opened == NULL) {
        return MAILDROP_DONE;
    }
    if (store->executor != NULL &&
        open_cached(opened, opened->fs, &operation->error) != MAILDIR_WOULD_BLOCK) {
        set_result(operation, opened);
        return MAILDROP_DONE;
    }
    struct opening *opening = begin(operation, opened);
    if (opening == NULL) {
        return MAILDROP_DONE;
    }
    if (store->executor == NULL) {
        run_inline(opening, &operation->error);
        finish(opening);
        return MAILDROP_DONE;
    }
    operation->job.run = run;
    operation->job.complete = complete;
    submit(opening, &operation->job);
    return MAILDROP_PENDING;
}

void maildir_cancel_open(struct maildrop_operation *operation)
{
    struct opening *opening = operation->store_data;
    folders_unlock(&opening->opened->folders, opening->opened->fs);
}
