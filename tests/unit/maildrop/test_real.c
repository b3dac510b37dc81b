/* SPDX-License-Identifier: MIT */
/* What a simulated disk cannot show: the kernel's locks, permissions, pipes, threads, and large folders. */
#include "support.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "maildrop/maildir/keep.h"

#undef system /* no stranger's octets reach it */

enum { PATH_OCTETS = 400, NOBODY = 65534 };

struct place {
    char root[64];
    struct maildrop_store *store;
    struct fs fs; /* the real one, with listings counted */
    struct fs_operations operations;
};

static atomic_uint listings; /* threads list too */

static ssize_t count_list(const struct fs *fs, int descriptor, void *buffer, size_t size)
{
    listings += fs->cached_only ? 0 : 1;
    return fs_real.operations->list(fs, descriptor, buffer, size);
}

static void begin(struct place *place, struct maildrop_executor *executor)
{
    char pattern[PATH_OCTETS];
    const char *folder = getenv("TMPDIR");
    struct error error;
    (void)snprintf(place->root, sizeof place->root, "%.40s/maildrop-XXXXXX",
                   folder != NULL ? folder : "/tmp");
    assert_non_null(mkdtemp(place->root));
    assert_int_equal(chmod(place->root, 0755), 0);
    (void)snprintf(pattern, sizeof pattern, "%s/%%u", place->root);
    place->operations = *fs_real.operations;
    place->operations.list = count_list;
    place->fs = (struct fs){.operations = &place->operations};
    struct maildrop_options options = {.path = pattern};
    assert_int_equal(maildir_create(&place->fs, &options, executor, &place->store, &error), 0);
}

static void end(struct place *place)
{
    char command[PATH_OCTETS];
    place->store = maildrop_store_free(place->store);
    (void)snprintf(command, sizeof command, "chmod -R u+rwX %s && rm -rf %s", place->root,
                   place->root);
    assert_int_equal(WEXITSTATUS(system(command)), 0);
}

static const char *path_of(const struct place *place, const char *name)
{
    static char paths[4][PATH_OCTETS];
    static unsigned next;
    char *path = paths[next++ % 4];
    (void)snprintf(path, PATH_OCTETS, "%s/%s", place->root, name);
    return path;
}

static void make_maildrop(const struct place *place, const char *user)
{
    static const char *const names[] = {"", "/cur", "/new", "/tmp"};
    for (size_t i = 0; i < 4; i++) {
        char name[100];
        (void)snprintf(name, sizeof name, "%s%s", user, names[i]);
        assert_int_equal(mkdir(path_of(place, name), 0700), 0);
    }
}

static void put(const struct place *place, const char *name, const char *text)
{
    FILE *file = fopen(path_of(place, name), "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static struct maildrop *open_user(struct place *place, const char *user, enum error_kind expected)
{
    struct maildrop_owner owner = {.user = user};
    struct maildrop_operation operation = {0};
    assert_int_equal(maildrop_open(place->store, &owner, &operation), MAILDROP_DONE);
    if (operation.error.kind != expected) {
        fail_msg("open: %d %s", operation.error.kind, operation.error.text);
    }
    return expected == ERROR_NONE ? operation.result.opened.maildrop : NULL;
}

static void deliver_to(struct place *place, const char *user, const char *text)
{
    struct maildrop_owner owner = {.user = user};
    struct maildrop_delivery *delivery;
    struct error error;
    assert_int_equal(maildrop_deliver_begin(place->store, &owner, &delivery, &error), 0);
    assert_int_equal(maildrop_deliver_append(delivery, bytes_of(text), &error), 0);
    assert_int_equal(maildrop_deliver_finish(delivery, &error), 0);
}

static void mail_is_delivered_read_and_removed(void **state)
{
    (void)state;
    struct place place;
    begin(&place, NULL);
    deliver_to(&place, "alice", "From: a\r\n\r\none\r\n");
    deliver_to(&place, "alice", "From: a\r\n\r\ntwo\r\n");
    struct stat stat_of_folder;
    assert_int_equal(stat(path_of(&place, "alice"), &stat_of_folder), 0);
    assert_int_equal(stat_of_folder.st_mode & 07777, 0700);
    struct maildrop *maildrop = open_user(&place, "alice", ERROR_NONE);
    expect_drop(maildrop, 2, 32);
    enum error_kind kind;
    assert_string_equal(read_text(maildrop, 1, &kind), "From: a\n\ntwo\n");
    assert_int_equal(commit(maildrop, "0").removed, 1);
    maildrop = open_user(&place, "alice", ERROR_NONE);
    expect_drop(maildrop, 1, 16);
    assert_string_equal(read_text(maildrop, 0, &kind), "From: a\n\ntwo\n");
    maildrop_release(maildrop);
    end(&place);
}

static void another_process_holds_the_lock(void **state)
{
    (void)state;
    struct place place;
    begin(&place, NULL);
    make_maildrop(&place, "alice");
    int ready[2];
    int stop[2];
    assert_int_equal(pipe(ready), 0);
    assert_int_equal(pipe(stop), 0);
    pid_t child = fork();
    if (child == 0) {
        int folder = openat(AT_FDCWD, path_of(&place, "alice/cur"), O_RDONLY | O_DIRECTORY);
        char octet = flock(folder, LOCK_EX) == 0 ? 'y' : 'n';
        (void)close(stop[1]);
        bool good = write(ready[1], &octet, 1) == 1 && read(stop[0], &octet, 1) == 0;
        _exit(good ? 0 : 1);
    }
    char octet = 'n';
    assert_int_equal(read(ready[0], &octet, 1), 1);
    assert_int_equal(octet, 'y');
    (void)open_user(&place, "alice", ERROR_IN_USE);
    (void)close(stop[0]);
    (void)close(stop[1]);
    (void)close(ready[0]);
    (void)close(ready[1]);
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(WEXITSTATUS(status), 0);
    maildrop_release(open_user(&place, "alice", ERROR_NONE));
    end(&place);
}

static void pipes_and_links_are_never_opened(void **state)
{
    (void)state;
    struct place place;
    begin(&place, NULL);
    make_maildrop(&place, "alice");
    put(&place, "secret", "not alice's\n");
    assert_int_equal(mkfifo(path_of(&place, "alice/cur/1.pipe:2,"), 0600), 0);
    assert_int_equal(symlink("../../secret", path_of(&place, "alice/cur/2.link:2,")), 0);
    assert_int_equal(mkdir(path_of(&place, "alice/new/3.folder"), 0700), 0);
    put(&place, "alice/new/4.x", "x\n");
    struct maildrop *maildrop = open_user(&place, "alice", ERROR_NONE);
    for (uint32_t i = 0; i < 3; i++) {
        assert_int_equal(read_error(maildrop, i), ERROR_UNREADABLE);
        assert_int_equal(check_error(maildrop, i), ERROR_UNREADABLE);
    }
    assert_int_equal(row_octets(maildrop, 1), strlen("../../secret"));
    enum error_kind kind;
    assert_string_equal(read_text(maildrop, 3, &kind), "x\n");
    maildrop_release(maildrop);
    assert_int_equal(unlink(path_of(&place, "alice/cur/2.link:2,")), 0);
    end(&place);
}

/* Runs `test` as a user whom permissions bind; whoever runs the tests. */
static void as_nobody(struct place *place, void (*test)(struct place *place))
{
    char command[PATH_OCTETS];
    (void)snprintf(command, sizeof command, "chown -R %d %s", NOBODY, place->root);
    if (getuid() == 0) {
        assert_int_equal(WEXITSTATUS(system(command)), 0);
    }
    pid_t child = fork();
    if (child == 0) {
        if (getuid() == 0 && (setgid(NOBODY) < 0 || setuid(NOBODY) < 0)) {
            _exit(9);
        }
        test(place);
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

/* In the child an assertion that fails must not run the rest of the tests. */
static void require(bool good, int line)
{
    if (!good) {
        (void)fprintf(stderr, "%s:%d\n", __FILE__, line);
        _exit(2);
    }
}

#define REQUIRE(condition) require((condition), __LINE__)

static enum error_kind open_kind(struct place *place, struct maildrop **maildrop_out)
{
    struct maildrop_owner owner = {.user = "alice"};
    struct maildrop_operation operation = {0};
    REQUIRE(maildrop_open(place->store, &owner, &operation) == MAILDROP_DONE);
    *maildrop_out = operation.result.opened.maildrop;
    return operation.error.kind;
}

static void check_permissions(struct place *place)
{
    struct maildrop *maildrop;
    REQUIRE(chmod(path_of(place, "alice/cur/1.x:2,"), 0) == 0);
    REQUIRE(open_kind(place, &maildrop) == ERROR_NONE);
    REQUIRE(read_error(maildrop, 0) == ERROR_UNREADABLE);
    REQUIRE(check_error(maildrop, 0) == ERROR_UNREADABLE);
    REQUIRE(row_octets(maildrop, 0) == 2); /* its file's size */
    REQUIRE(read_error(maildrop, 1) == ERROR_NONE);
    maildrop_release(maildrop);
    REQUIRE(unlink(path_of(place, "alice/" INDEX_NAME)) == 0);
    /* Nothing can be written: served all the same. */
    REQUIRE(chmod(path_of(place, "alice"), 0500) == 0);
    REQUIRE(chmod(path_of(place, "alice/cur"), 0500) == 0);
    REQUIRE(open_kind(place, &maildrop) == ERROR_NONE);
    REQUIRE(row_octets(maildrop, 1) == 3);
    REQUIRE(read_error(maildrop, 1) == ERROR_NONE);
    struct committed committed = commit(maildrop, "1");
    REQUIRE(committed.removed == 0 && committed.not_removed == 1);
    REQUIRE(access(path_of(place, "alice/" INDEX_NAME), F_OK) < 0);
    REQUIRE(chmod(path_of(place, "alice/cur"), 0) == 0);
    REQUIRE(open_kind(place, &maildrop) == ERROR_TEMPORARY);
    REQUIRE(chmod(path_of(place, "alice"), 0) == 0);
    REQUIRE(open_kind(place, &maildrop) == ERROR_TEMPORARY);
    REQUIRE(chmod(place->root, 0) == 0);
    REQUIRE(open_kind(place, &maildrop) == ERROR_TEMPORARY);
    REQUIRE(chmod(place->root, 0700) == 0);
    REQUIRE(chmod(path_of(place, "alice"), 0700) == 0);
}

static void permissions_bind_a_message_or_the_maildrop(void **state)
{
    (void)state;
    struct place place;
    begin(&place, NULL);
    make_maildrop(&place, "alice");
    put(&place, "alice/cur/1.x:2,", "x\n");
    put(&place, "alice/cur/2.x:2,", "x\n");
    as_nobody(&place, check_permissions);
    end(&place);
}

static void the_kernel_counts_for_the_index(void **state)
{
    (void)state;
    struct place place;
    begin(&place, NULL);
    make_maildrop(&place, "alice");
    for (int i = 0; i < KEEP_ROWS_LEAST; i++) {
        char name[64];
        (void)snprintf(name, sizeof name, "alice/cur/%d.x,S=2,W=3:2,", i);
        put(&place, name, "x\n");
    }
    (void)usleep(50000);
    maildrop_release(open_user(&place, "alice", ERROR_NONE));
    deliver_to(&place, "alice", "x\r\n");
    listings = 0;
    struct maildrop *maildrop = open_user(&place, "alice", ERROR_NONE);
    expect_drop(maildrop, KEEP_ROWS_LEAST + 1, 3 * KEEP_ROWS_LEAST + 3);
    assert_int_equal(listings, 0);
    /* A commit is kept where the kernel's times are fine enough; true it is everywhere. */
    assert_int_equal(commit(maildrop, "123").removed, 3);
    put(&place, "alice/new/999.y", "y\n");
    maildrop = open_user(&place, "alice", ERROR_NONE);
    expect_drop(maildrop, KEEP_ROWS_LEAST - 1, 3 * (KEEP_ROWS_LEAST - 2) + 3);
    maildrop_release(maildrop);
    end(&place);
}

/* An executor with threads, as a server has it; the test's thread is the loop. */
struct threads {
    struct maildrop_executor executor;
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    struct maildrop_job *waiting, *ran;
    bool stop;
    pthread_t threads[3];
};

static void *work(void *argument)
{
    struct threads *threads = argument;
    (void)pthread_mutex_lock(&threads->mutex);
    for (;;) {
        struct maildrop_job *job = threads->waiting;
        if (job != NULL) {
            threads->waiting = job->next;
            (void)pthread_mutex_unlock(&threads->mutex);
            job->run(job);
            (void)pthread_mutex_lock(&threads->mutex);
            job->next = threads->ran;
            threads->ran = job;
            (void)pthread_cond_broadcast(&threads->changed);
        } else if (threads->stop) {
            break;
        } else {
            (void)pthread_cond_wait(&threads->changed, &threads->mutex);
        }
    }
    (void)pthread_mutex_unlock(&threads->mutex);
    return NULL;
}

static void submit(struct maildrop_executor *executor, struct maildrop_job *job)
{
    struct threads *threads = (struct threads *)(void *)executor;
    (void)pthread_mutex_lock(&threads->mutex);
    job->next = threads->waiting;
    threads->waiting = job;
    (void)pthread_cond_broadcast(&threads->changed);
    (void)pthread_mutex_unlock(&threads->mutex);
}

static void complete_one(struct threads *threads)
{
    (void)pthread_mutex_lock(&threads->mutex);
    while (threads->ran == NULL) {
        (void)pthread_cond_wait(&threads->changed, &threads->mutex);
    }
    struct maildrop_job *job = threads->ran;
    threads->ran = job->next;
    (void)pthread_mutex_unlock(&threads->mutex);
    job->complete(job);
}

enum { USERS = 8, PER_USER = 300 };

struct user_session {
    struct maildrop_operation operation;
    unsigned opened, cancelled;
    bool pending;
};

static void opened_one(struct maildrop_operation *operation)
{
    struct user_session *session = (struct user_session *)(void *)operation;
    session->pending = false;
}

static bool is_pending(const struct user_session *sessions)
{
    for (int i = 0; i < USERS; i++) {
        if (sessions[i].pending) {
            return true;
        }
    }
    return false;
}

static void end_sessions(struct user_session *sessions)
{
    for (int i = 0; i < USERS; i++) {
        const struct maildrop_operation *operation = &sessions[i].operation;
        if (operation->error.kind == ERROR_NONE) {
            assert_int_equal(operation->result.opened.count, PER_USER);
            assert_int_equal(operation->result.opened.octets, 3 * PER_USER);
            sessions[i].opened++;
            maildrop_release(operation->result.opened.maildrop);
        } else {
            assert_int_equal(operation->error.kind, ERROR_TEMPORARY);
            sessions[i].cancelled++;
        }
    }
}

static void threads_open_many_maildrops_and_some_are_cancelled(void **state)
{
    (void)state;
    struct place place;
    struct threads threads = {.executor = {.submit = submit}};
    assert_int_equal(pthread_mutex_init(&threads.mutex, NULL), 0);
    assert_int_equal(pthread_cond_init(&threads.changed, NULL), 0);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(pthread_create(&threads.threads[i], NULL, work, &threads), 0);
    }
    begin(&place, &threads.executor);
    static struct user_session sessions[USERS];
    for (int user = 0; user < USERS; user++) {
        char name[64];
        (void)snprintf(name, sizeof name, "user%d", user);
        make_maildrop(&place, name);
        for (int i = 0; i < PER_USER; i++) {
            (void)snprintf(name, sizeof name, "user%d/cur/%d.x:2,", user, i);
            put(&place, name, "x\n");
        }
    }
    for (int round = 0; round < 20; round++) {
        for (int i = 0; i < USERS; i++) {
            char name[64];
            (void)snprintf(name, sizeof name, "user%d/" INDEX_NAME, i);
            (void)unlink(path_of(&place, name));
            (void)snprintf(name, sizeof name, "user%d", i);
            struct maildrop_owner owner = {.user = name};
            sessions[i].operation.done = opened_one;
            sessions[i].pending =
                maildrop_open(place.store, &owner, &sessions[i].operation) == MAILDROP_PENDING;
        }
        for (int i = round % 3; i < USERS; i += 3) {
            if (sessions[i].pending) {
                maildrop_cancel(&sessions[i].operation);
            }
        }
        while (is_pending(sessions)) {
            complete_one(&threads);
        }
        end_sessions(sessions);
    }
    for (int i = 0; i < USERS; i++) {
        assert_true(sessions[i].opened > 5 && sessions[i].cancelled > 3);
    }
    (void)pthread_mutex_lock(&threads.mutex);
    threads.stop = true;
    (void)pthread_cond_broadcast(&threads.changed);
    (void)pthread_mutex_unlock(&threads.mutex);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(pthread_join(threads.threads[i], NULL), 0);
    }
    end(&place);
}

static long peak_kilobytes(void)
{
    struct rusage usage;
    assert_int_equal(getrusage(RUSAGE_SELF, &usage), 0);
    return usage.ru_maxrss;
}

static void walk_rows(struct maildrop *maildrop, uint32_t count)
{
    static struct maildrop_page page;
    struct maildrop_operation operation = {0};
    for (uint32_t first = 0; first < count; first += MAILDROP_PAGE_ROWS) {
        uint32_t rows = count - first < MAILDROP_PAGE_ROWS ? count - first : MAILDROP_PAGE_ROWS;
        assert_int_equal(maildrop_rows(maildrop, first, rows, &page, &operation), MAILDROP_DONE);
        assert_int_equal(operation.error.kind, ERROR_NONE);
        for (uint32_t i = 0; i < rows; i++) {
            char id[32];
            int size = snprintf(id, sizeof id, "%u.x", 100000000 + first + i);
            assert_int_equal(page.rows[i].unique_id_size, size);
            assert_memory_equal(page.rows[i].unique_id, id, (size_t)size);
            assert_int_equal(page.rows[i].octets, 3);
        }
    }
}

/* A million with --full, a fiftieth of it else. */
static void a_large_maildrop_is_opened(void **state)
{
    (void)state;
    const char *full = getenv("RESTANTE_FULL");
    const uint32_t count = full != NULL && *full != '\0' ? 1000000 : 20000;
    struct place place;
    begin(&place, NULL);
    make_maildrop(&place, "alice");
    for (uint32_t i = 0; i < count; i++) {
        char name[64];
        (void)snprintf(name, sizeof name, "alice/%s/%u.x,S=0,W=3%s", i % 2 == 0 ? "cur" : "new",
                       100000000 + i, i % 2 == 0 ? ":2," : "");
        int file = openat(AT_FDCWD, path_of(&place, name), O_WRONLY | O_CREAT, 0600);
        assert_true(file >= 0);
        assert_int_equal(close(file), 0);
    }
    long before = peak_kilobytes();
    struct maildrop *maildrop = open_user(&place, "alice", ERROR_NONE);
    expect_drop(maildrop, count, UINT64_C(3) * count);
    /* Names, entries and the order of them: under 300 octets a message. */
    if (getenv("RESTANTE_SANITIZED") == NULL) {
        assert_true((peak_kilobytes() - before) * 1024 < 300L * (long)count + 4000000);
    }
    walk_rows(maildrop, count);
    uint8_t *marks = calloc(1, count / 8 + 1);
    assert_non_null(marks);
    for (uint32_t i = 0; i < count; i += 1000) {
        marks[i / 8] |= (uint8_t)(1U << i % 8);
    }
    struct maildrop_operation operation = {0};
    assert_int_equal(maildrop_commit(maildrop, marks, &operation), MAILDROP_DONE);
    assert_int_equal(operation.result.committed.removed, count / 1000);
    free(marks);
    maildrop = open_user(&place, "alice", ERROR_NONE);
    expect_drop(maildrop, count - count / 1000, UINT64_C(3) * (count - count / 1000));
    maildrop_release(maildrop);
    end(&place);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mail_is_delivered_read_and_removed),
        cmocka_unit_test(another_process_holds_the_lock),
        cmocka_unit_test(pipes_and_links_are_never_opened),
        cmocka_unit_test(permissions_bind_a_message_or_the_maildrop),
        cmocka_unit_test(the_kernel_counts_for_the_index),
        cmocka_unit_test(threads_open_many_maildrops_and_some_are_cancelled),
        cmocka_unit_test(a_large_maildrop_is_opened),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
