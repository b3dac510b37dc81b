/* SPDX-License-Identifier: MIT */
#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "maildrop/examination.h"

struct world world_create(struct maildrop_executor *executor)
{
    struct world world = {.disk = disk_create()};
    struct maildrop_options options = {.path = "/mail/%u"};
    disk_make_folder(world.disk, "/mail");
    assert_int_equal(
        maildir_create(&world.disk->fs, &options, executor, &world.store, &world.error), 0);
    disk_settle(world.disk);
    world_wait(&world);
    return world;
}

void world_finish(struct world *world)
{
    world->store = maildrop_store_free(world->store);
    assert_int_equal(disk_open_descriptors(world->disk), 0);
    disk_free(world->disk);
}

void world_wait(struct world *world)
{
    world->disk->now_ns += INT64_C(100000000000);
}

void world_make_maildrop(struct world *world)
{
    disk_make_folder(world->disk, "/mail/alice");
    disk_make_folder(world->disk, "/mail/alice/new");
    disk_make_folder(world->disk, "/mail/alice/cur");
    disk_make_folder(world->disk, "/mail/alice/tmp");
    disk_settle(world->disk);
    world_wait(world);
}

void world_put(struct world *world, const char *name, const char *text)
{
    char path[600];
    (void)snprintf(path, sizeof path, "/mail/alice/%s", name);
    disk_put_text(world->disk, path, text);
    disk_settle(world->disk);
    world_wait(world);
}

enum error_kind try_open(struct world *world, struct maildrop_operation *operation)
{
    struct maildrop_owner owner = {.user = "alice", .surrogates = world->surrogates};
    *operation = (struct maildrop_operation){0};
    assert_int_equal(maildrop_open(world->store, &owner, operation), MAILDROP_DONE);
    world->error = operation->error;
    return operation->error.kind;
}

struct maildrop *open_drop(struct world *world)
{
    struct maildrop_operation operation;
    if (try_open(world, &operation) != ERROR_NONE) {
        fail_msg("open: %s", operation.error.text);
    }
    return operation.result.opened.maildrop;
}

void expect_drop(struct maildrop *maildrop, uint32_t count, uint64_t octets)
{
    const struct index_header *header = &maildir_of(maildrop)->snapshot.header;
    assert_int_equal(header->count, count);
    assert_int_equal(header->octets, octets);
}

static void get_row(struct maildrop *maildrop, uint32_t index, struct maildrop_page *page)
{
    struct maildrop_operation operation = {0};
    assert_int_equal(maildrop_rows(maildrop, index, 1, page, &operation), MAILDROP_DONE);
    if (operation.error.kind != ERROR_NONE) {
        fail_msg("rows: %s", operation.error.text);
    }
}

const char *row_id(struct maildrop *maildrop, uint32_t index)
{
    static char ids[4][POP3_UNIQUE_ID_OCTETS + 1];
    static unsigned next;
    static struct maildrop_page page;
    char *id = ids[next++ % 4];
    get_row(maildrop, index, &page);
    memcpy(id, page.rows[0].unique_id, page.rows[0].unique_id_size);
    id[page.rows[0].unique_id_size] = '\0';
    return id;
}

uint64_t row_octets(struct maildrop *maildrop, uint32_t index)
{
    static struct maildrop_page page;
    get_row(maildrop, index, &page);
    return page.rows[0].octets;
}

static uint64_t count_sent(struct bytes text, bool surrogate)
{
    struct pop3_octet_count count = {0};
    pop3_octet_count_feed(&count, text.data, text.size);
    uint64_t octets = pop3_octet_count_end(&count);
    if (surrogate) {
        struct examination *examination = examination_create();
        assert_non_null(examination);
        examination_feed(examination, text);
        (void)examination_end(examination, &octets);
        free(examination);
    }
    return octets;
}

const char *read_text(struct maildrop *maildrop, uint32_t index, enum error_kind *kind_out)
{
    static char text[2][200000];
    static unsigned next;
    char *out = text[next++ % 2];
    size_t size = 0;
    struct maildrop_operation operation = {0};
    bool surrogate = false;
    do {
        assert_int_equal(maildrop_read(maildrop, index, size, out + size, 1000, &operation),
                         MAILDROP_DONE);
        *kind_out = operation.error.kind;
        surrogate |= operation.result.read.needs_surrogate;
        size += operation.result.read.size;
    } while (operation.error.kind == ERROR_NONE && !operation.result.read.end);
    if (*kind_out == ERROR_NONE) { /* as a host that has sent it */
        (void)maildrop_sent(
            maildrop,
            count_sent((struct bytes){.data = (const uint8_t *)out, .size = size}, surrogate));
    }
    maildrop_read_close(maildrop);
    out[size] = '\0';
    return *kind_out == ERROR_NONE ? out : NULL;
}

enum error_kind read_error(struct maildrop *maildrop, uint32_t index)
{
    enum error_kind kind;
    (void)read_text(maildrop, index, &kind);
    return kind;
}

enum error_kind check_error(struct maildrop *maildrop, uint32_t index)
{
    struct maildrop_operation operation = {0};
    assert_int_equal(maildrop_check(maildrop, index, &operation), MAILDROP_DONE);
    return operation.error.kind;
}

struct committed commit(struct maildrop *maildrop, const char *numbers)
{
    uint8_t marks[128] = {0}; /* for up to 1024 messages */
    for (const char *at = numbers; *at != '\0'; at++) {
        marks[(*at - '0') / 8] |= (uint8_t)(1U << (*at - '0') % 8);
    }
    return commit_marks(maildrop, marks);
}

struct committed commit_marks(struct maildrop *maildrop, const uint8_t *marks)
{
    struct maildrop_operation operation = {0};
    assert_int_equal(maildrop_commit(maildrop, marks, &operation), MAILDROP_DONE);
    assert_int_equal(operation.error.kind, ERROR_NONE);
    return (struct committed){operation.result.committed.removed,
                              operation.result.committed.not_removed};
}

enum error_kind deliver(struct world *world, const char *user, const char *text)
{
    struct maildrop_owner owner = {.user = user};
    struct maildrop_delivery *delivery;
    if (maildrop_deliver_begin(world->store, &owner, &delivery, &world->error) < 0) {
        return world->error.kind;
    }
    if (maildrop_deliver_append(delivery, bytes_of(text), &world->error) < 0) {
        enum error_kind kind = world->error.kind;
        maildrop_deliver_abort(delivery);
        return kind;
    }
    return maildrop_deliver_finish(delivery, &world->error) < 0 ? world->error.kind : ERROR_NONE;
}

static void manual_submit(struct maildrop_executor *executor, struct maildrop_job *job)
{
    struct manual_executor *manual = (struct manual_executor *)(void *)executor;
    job->next = NULL;
    *manual->end = job;
    manual->end = &job->next;
    manual->waiting++;
    manual->submitted++;
    manual->last_device = job->device;
}

void manual_init(struct manual_executor *manual)
{
    *manual = (struct manual_executor){.executor = {.submit = manual_submit}};
    manual->end = &manual->first;
}

struct maildrop_job *manual_run(struct manual_executor *manual)
{
    struct maildrop_job *job = manual->first;
    if (job != NULL) {
        manual->first = job->next;
        if (manual->first == NULL) {
            manual->end = &manual->first;
        }
        manual->waiting--;
        job->run(job);
    }
    return job;
}

bool manual_step(struct manual_executor *manual)
{
    struct maildrop_job *job = manual_run(manual);
    if (job != NULL) {
        job->complete(job);
    }
    return job != NULL;
}

void manual_drain(struct manual_executor *manual)
{
    while (manual_step(manual)) {
    }
}
