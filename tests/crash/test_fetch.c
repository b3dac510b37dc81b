/* SPDX-License-Identifier: MIT */
/* The retriever's storer on the simulated disk: the power is cut at each operation, with each kind of loss, and
 * the process is killed at each; then the same mailbox is fetched again. What was told as stored has been
 * deleted from the server by then, so it must be there; and nothing is there twice.
 *
 * The state is a real SQLite file: what it has committed is durable, what it has not is gone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "disk.h"
#include "fetch/keeper.h"

enum { MESSAGES = 14, LOSSES = 4 };

static const char ids[MESSAGES] = {'a', 'b', 'c', 'd', 'e', 'f', 'g',
                                   'h', 'i', 'j', 'k', 'l', 'm', 'n'};

struct world {
    struct disk *disk;
    struct keeper *keeper;
    struct storer_options options;
    struct keeper_options keeper_options;
    char folder[64];
    struct storer_message messages[MESSAGES];
    size_t numbers[MESSAGES]; /* of the listing's rows */
    bool on_server[MESSAGES];
    struct error error;
};

static void told(void *owner, const struct keeper_outcome *outcome)
{
    struct world *world = owner;
    size_t number = world->numbers[outcome->index];
    if (outcome->standing == STORER_HELD && number % 2 == 0) {
        world->on_server[number] = false; /* half of them are deleted at once */
    }
}

static void world_make(struct world *world)
{
    memset(world, 0, sizeof *world);
    world->disk = disk_create();
    disk_make_folder(world->disk, "/home");
    disk_settle(world->disk);
    /* Where syncing costs nothing, if there is such a place. */
    (void)snprintf(world->folder, sizeof world->folder, "%s/restante-crash-XXXXXX",
                   access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    assert_non_null(mkdtemp(world->folder));
    world->options = (struct storer_options){
        .account = "a",
        .state_folder = world->folder,
        .target = STORER_TARGET_MAILDIR,
        .place = "/home/Mail",
        .stop = -1,
    };
    world->keeper_options = (struct keeper_options){
        .storer = &world->options,
        .fs = &world->disk->fs,
        .boot = "first",
        .cancel = -1,
        .tell = told,
        .owner = world,
    };
    for (size_t i = 0; i < MESSAGES; i++) {
        world->on_server[i] = true;
    }
}

static void world_remove(struct world *world)
{
    static const char *const names[] = {"a.db", "a.db-wal", "a.db-shm", "a.db-journal", "a.lock"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char path[128];
        (void)snprintf(path, sizeof path, "%s/%s", world->folder, names[i]);
        (void)unlink(path);
    }
    assert_int_equal(rmdir(world->folder), 0);
    disk_free(world->disk);
}

static int fetch_one(struct world *world, size_t index)
{
    char text[64];
    struct error *error = &world->error;
    (void)snprintf(text, sizeof text, "Subject: %c\r\n\r\nbody\r\n", ids[world->numbers[index]]);
    if (keeper_begin(world->keeper, index, STORER_WHOLE, error) < 0 ||
        keeper_append(world->keeper, bytes_of(text), error) < 0) {
        return -1;
    }
    return keeper_end(world->keeper, error);
}

/* A whole run, as far as it comes. */
static int run(struct world *world)
{
    size_t recovered;
    size_t disappeared;
    size_t count = 0;
    struct error *error = &world->error;
    if (keeper_open(&world->keeper_options, &world->keeper, &recovered, error) < 0) {
        return -1;
    }
    for (size_t i = 0; i < MESSAGES; i++) {
        if (world->on_server[i]) {
            world->numbers[count] = i;
            world->messages[count++] = (struct storer_message){
                .octets = 24,
                .unique_id = {(const uint8_t *)&ids[i], 1},
            };
        }
    }
    int result = keeper_list(world->keeper, world->messages, count, &disappeared, error);
    for (size_t i = 0; i < count && result == 0; i++) {
        if (world->messages[i].standing != STORER_HELD) {
            result = fetch_one(world, i);
        }
        if (result == 0 && (i == 1 || i == 4 || i == 5)) {
            result = keeper_flush(world->keeper, error); /* batches of 2, 3, 1, many */
        }
    }
    return result < 0 ? -1 : keeper_finish(world->keeper, error);
}

static size_t copies(const struct world *world, const char *folder, size_t number)
{
    char wanted[64];
    size_t found = 0;
    (void)snprintf(wanted, sizeof wanted, "Subject: %c\n\nbody\n", ids[number]);
    for (size_t i = 0; i < disk_count(world->disk, folder); i++) {
        char path[512];
        size_t size;
        (void)snprintf(path, sizeof path, "%s/%s", folder, disk_name(world->disk, folder, i));
        const uint8_t *data = disk_get(world->disk, path, &size);
        assert_non_null(data);
        found += size == strlen(wanted) && memcmp(data, wanted, size) == 0 ? 1 : 0;
    }
    return found;
}

static void expect_each_once(const struct world *world)
{
    size_t there =
        disk_count(world->disk, "/home/Mail/new") + disk_count(world->disk, "/home/Mail/cur");
    for (size_t i = 0; i < MESSAGES; i++) {
        assert_int_equal(copies(world, "/home/Mail/new", i) + copies(world, "/home/Mail/cur", i),
                         1);
    }
    assert_int_equal(there, MESSAGES);
    assert_int_equal(disk_count(world->disk, "/home/Mail/tmp"), 0);
}

/* False once a run needs fewer operations than that. */
static bool run_and_stop(uint64_t nth, bool power, uint64_t loss, bool client)
{
    struct world world;
    world_make(&world);
    if (loss % 2 == 1) {
        disk_make_folder(world.disk, "/home/Mail"); /* by another program, a moment ago */
    }
    uint64_t begin = world.disk->count;
    world.disk->fail_at = begin + nth;
    world.disk->stop_at_failure = true;
    (void)run(&world); /* the last operations may fail without a word */
    bool reached = world.disk->count >= begin + nth;
    world.keeper = keeper_free(world.keeper);
    world.disk->stopped = false;
    world.disk->fail_at = 0;
    if (power) {
        world.disk->random = nth * LOSSES + loss + 1;
        disk_crash(world.disk, loss == 0   ? DISK_LOSE_ALL
                               : loss == 1 ? DISK_LOSE_NOTHING
                                           : DISK_LOSE_SOME);
        world.keeper_options.boot = "second";
    }
    if (client && disk_exists(world.disk, "/home/Mail/new") &&
        disk_count(world.disk, "/home/Mail/new") != 0) {
        /* The person looks at the first one meanwhile. */
        char from[512];
        char to[600];
        const char *name = disk_name(world.disk, "/home/Mail/new", 0);
        (void)snprintf(from, sizeof from, "/home/Mail/new/%s", name);
        (void)snprintf(to, sizeof to, "/home/Mail/cur/%s:2,S", name);
        disk_move(world.disk, from, to);
    }
    assert_int_equal(run(&world), 0);
    world.keeper = keeper_free(world.keeper);
    expect_each_once(&world);
    world_remove(&world);
    return reached;
}

static void at_every_point(bool power, bool client)
{
    for (uint64_t loss = 0; loss < (power ? LOSSES : 1); loss++) {
        uint64_t nth = 1;
        while (run_and_stop(nth, power, loss, client)) {
            nth++;
        }
        assert_true(nth > 60);
    }
}

static void what_was_fetched_survives_a_crash_and_is_there_once(void **state)
{
    (void)state;
    at_every_point(true, false);
}

static void a_mail_client_may_move_what_a_crash_left(void **state)
{
    (void)state;
    at_every_point(true, true);
}

static void a_kill_at_any_point_is_put_right(void **state)
{
    (void)state;
    at_every_point(false, false);
    at_every_point(false, true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_fetched_survives_a_crash_and_is_there_once),
        cmocka_unit_test(a_mail_client_may_move_what_a_crash_left),
        cmocka_unit_test(a_kill_at_any_point_is_put_right),
    };
    return cmocka_run_group_tests_name("crash-fetch", tests, NULL, NULL);
}
