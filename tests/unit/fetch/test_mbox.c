/* SPDX-License-Identifier: MIT */
/* The storer into an mbox. */
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fetch/mbox_lock.h"
#include "fetch/mbox_message.h"
#include "fetch/mbox_search.h"
#include "support.h"

#define A_WIRE "Subject: a\r\n\r\nFrom here\r\n>From there\r\n"
#define B_WIRE "Subject: b\r\n\r\nno line end"
#define C_WIRE "Subject: c\r\n\r\n"

static struct account account;

/* The same second for all, as From_ lines tell it. */
static int64_t still_clock(const struct fs *fs)
{
    (void)fs;
    return INT64_C(1700000000) * 1000000000;
}

static int setup(void **state)
{
    (void)state;
    static struct fs_operations operations;
    static const struct fs fs = {.operations = &operations};
    operations = *fs_real.operations;
    operations.clock = still_clock;
    account_make(&account, STORER_TARGET_MBOX, "mbox");
    account.keeper_options.fs = &fs;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    account_remove(&account);
    return 0;
}

/* The mbox with every From_ line as "From_". */
static const char *contents(void)
{
    static char out[8192];
    size_t used = 0;
    const char *text = file_text(account.place);
    assert_non_null(text);
    for (const char *line = text; *line != '\0';) {
        size_t size = strcspn(line, "\n");
        size += line[size] == '\n' ? 1 : 0;
        bool is_from = strncmp(line, "From ", 5) == 0;
        used += (size_t)snprintf(out + used, sizeof out - used, "%.*s", is_from ? 6 : (int)size,
                                 is_from ? "From_\n" : line);
        line += size;
    }
    out[used] = '\0';
    return out;
}

static void store_three(void)
{
    account_list(&account, "a b c");
    assert_int_equal(account_fetch(&account, 0, A_WIRE), 0);
    assert_int_equal(account_fetch(&account, 1, B_WIRE), 0);
    assert_int_equal(account_fetch(&account, 2, C_WIRE), 0);
}

#define A_STORED "From_\nSubject: a\n\n>From here\n>>From there\n\n"
#define B_STORED "From_\nSubject: b\n\nno line end\n\n"
#define C_STORED "From_\nSubject: c\n\n\n"

static void quotes_ends_lines_and_separates(void **state)
{
    (void)state;
    write_file(account.place, "From x Thu Jan  1 00:00:00 1970\nSubject: old\n\nold");
    assert_int_equal(account_start(&account), 0);
    store_three();
    account_flush(&account);
    assert_string_equal(contents(), "From_\nSubject: old\n\nold\n\n" A_STORED B_STORED C_STORED);
    assert_int_equal(account_told(&account, 2), STORER_EVENT_STORED);
    assert_int_equal(count_files(account.folder), 1); /* no lock is left */
    account_list(&account, "a b c d");
    assert_int_equal(account_standing(&account, 0), STORER_HELD);
    assert_int_equal(account_fetch(&account, 3, C_WIRE), 0);
    account_flush(&account);
    assert_string_equal(contents(),
                        "From_\nSubject: old\n\nold\n\n" A_STORED B_STORED C_STORED C_STORED);
}

static void what_is_broken_off_is_not_there(void **state)
{
    (void)state;
    assert_int_equal(account_start(&account), 0);
    account_list(&account, "a b");
    assert_int_equal(account_fetch(&account, 0, A_WIRE), 0);
    assert_int_equal(keeper_begin(account.keeper, 1, STORER_WHOLE, &account.error), 0);
    assert_int_equal(keeper_append(account.keeper, bytes_of("half"), &account.error), 0);
    account_flush(&account); /* while a message comes */
    assert_int_equal(keeper_append(account.keeper, bytes_of(" of it"), &account.error), 0);
    keeper_break(account.keeper);
    assert_int_equal(account_fetch(&account, 1, C_WIRE), 0);
    account_finish(&account);
    assert_string_equal(contents(), A_STORED C_STORED);
}

static void a_message_that_spans_a_batch_is_whole(void **state)
{
    (void)state;
    assert_int_equal(account_start(&account), 0);
    account_list(&account, "a b");
    assert_int_equal(account_fetch(&account, 0, A_WIRE), 0);
    assert_int_equal(keeper_begin(account.keeper, 1, STORER_WHOLE, &account.error), 0);
    assert_int_equal(
        keeper_append(account.keeper, bytes_of("Subject: b\r\n\r\nno"), &account.error), 0);
    account_flush(&account);
    assert_int_equal(keeper_append(account.keeper, bytes_of(" line end"), &account.error), 0);
    assert_int_equal(keeper_end(account.keeper, &account.error), 0);
    account_finish(&account);
    assert_string_equal(contents(), A_STORED B_STORED);
}

/* What a search is asked for: a message at the end of a file, of which `size` octets have come. */
static char wanted[4096];
static size_t wanted_size;
static struct mbox_place wanted_place;
#define OLD "From x Thu Jan  1 00:00:00 1970\nSubject: old\n\nold\n\n"

static void make_wanted(const char *wire)
{
    memset(wanted, 0, sizeof wanted);
    struct mbox_quoting quoting = {.matched = 0};
    struct mbox_hash hash;
    size_t from = mbox_from_line(1700000000, wanted);
    wanted_size = from;
    wanted_size += mbox_quote(&quoting, bytes_of(wire), (uint8_t *)wanted + wanted_size);
    wanted_size += mbox_quote_finish(&quoting, (uint8_t *)wanted + wanted_size);
    mbox_hash_init(&hash);
    mbox_hash_feed(&hash, (struct bytes){(const uint8_t *)wanted + from, wanted_size - from});
    wanted_place =
        (struct mbox_place){.offset = strlen(OLD), .length = wanted_size, .time_s = 1700000000};
    mbox_hash_finish(&hash, wanted_place.hash);
}

/* Puts parts into the mbox and searches. */
static bool search(const char *before, size_t size, const char *after)
{
    struct mbox_place place;
    char text[MBOX_PLACE_OCTETS];
    bool there;
    struct error error;
    FILE *file = fopen(account.place, "we");
    assert_non_null(file);
    (void)fprintf(file, "%s", before);
    assert_int_equal(fwrite(wanted, 1, size, file), size);
    (void)fprintf(file, "%s", after);
    assert_int_equal(fclose(file), 0);
    mbox_place_write(&wanted_place, text);
    assert_true(mbox_place_read(text, &place));
    int descriptor = open(account.place, O_RDWR | O_CLOEXEC);
    assert_true(descriptor >= 0);
    struct mbox_search mbox = {.file = descriptor};
    assert_int_equal(mbox_search(&mbox, &place, &there, &error), 0);
    mbox_search_finish(&mbox);
    (void)close(descriptor);
    return there;
}

static void a_torn_tail_is_cut_off_wherever_it_is_torn(void **state)
{
    (void)state;
    make_wanted(A_WIRE);
    assert_true(search(OLD, wanted_size, ""));
    for (size_t size = 0; size < wanted_size; size++) {
        assert_false(search(OLD, size, ""));
        assert_string_equal(file_text(account.place), OLD);
    }
}

static void what_is_not_ours_is_not_cut_off(void **state)
{
    (void)state;
    make_wanted(A_WIRE);
    static const char others[] = "\nFrom y Thu Jan  1 00:00:00 1970\n\n";
    assert_false(search(OLD, 20, others));
    assert_non_null(strstr(file_text(account.place), others));
    assert_false(search(OLD, 0, others + 1));
    assert_non_null(strstr(file_text(account.place), others + 1));
    assert_false(search(OLD, 0, "From an unfinished message of another program"));
    assert_non_null(strstr(file_text(account.place), "unfinished"));
}

static void a_message_is_found_where_a_client_moved_it(void **state)
{
    (void)state;
    make_wanted(A_WIRE);
    static const char other[] = "From y Thu Jan  1 00:00:00 1970\nSubject: y\n\ny\n\n";
    assert_true(search("", wanted_size, other));
    assert_true(search(other, wanted_size, ""));
    /* Mutt marks what was read. */
    make_wanted("Subject: a\r\n\r\nbody\r\n");
    char *end = strstr(wanted, "\n\n");
    char rest[64];
    assert_non_null(end);
    (void)snprintf(rest, sizeof rest, "%s", end);
    (void)snprintf(end, 200, "\nStatus: RO\nContent-Length: 5\nLines: 1\nX-Status: F\n  too%s",
                   rest);
    assert_true(search("", strlen(wanted), other));
    assert_true(search(OLD, strlen(wanted), ""));
    (void)snprintf(end, 200, "\nStates: RO%s", rest);
    assert_false(search("", strlen(wanted), other));
}

static void a_killed_batch_is_found_or_fetched_again(void **state)
{
    (void)state;
    char text[8192];
    write_file(account.place, OLD);
    assert_int_equal(account_start(&account), 0);
    store_three();
    account_flush(&account);
    (void)snprintf(text, sizeof text, "%s", file_text(account.place));
    size_t size = strlen(text);
    account_finish(&account);
    /* The state a kill leaves: all three are being placed. */
    char command[1024];
    for (size_t cut = strlen(OLD); cut <= size; cut++) {
        (void)snprintf(command, sizeof command, "%s/alice@example.org.db", account.state_folder);
        sqlite3 *database;
        assert_int_equal(sqlite3_open(command, &database), SQLITE_OK);
        assert_int_equal(sqlite3_exec(database, "UPDATE message SET status = 1, stored = NULL",
                                      NULL, NULL, NULL),
                         SQLITE_OK);
        assert_int_equal(sqlite3_close(database), SQLITE_OK);
        write_file(account.place, text);
        assert_int_equal(truncate(account.place, (off_t)cut), 0);
        assert_int_equal(account_start(&account), 0);
        const char *const wires[] = {A_WIRE, B_WIRE, C_WIRE};
        account_list(&account, "a b c");
        for (size_t i = 0; i < 3; i++) {
            if (account_standing(&account, i) == STORER_NEW) {
                assert_int_equal(account_fetch(&account, i, wires[i]), 0);
            }
        }
        account_finish(&account);
        assert_string_equal(contents(),
                            "From_\nSubject: old\n\nold\n\n" A_STORED B_STORED C_STORED);
    }
}

static void waits_for_other_programs_but_not_for_dead_ones(void **state)
{
    (void)state;
    char lock[1100];
    (void)snprintf(lock, sizeof lock, "%s.lock", account.place);
    assert_int_equal(account_start(&account), 0);
    account_list(&account, "a");
    assert_int_equal(account_fetch(&account, 0, C_WIRE), 0);
    pid_t child = fork();
    if (child == 0) {
        _exit(0);
    }
    assert_int_equal(waitpid(child, NULL, 0), child);
    char number[32];
    (void)snprintf(number, sizeof number, "%ld\n", (long)child);
    write_file(lock, number);
    account_flush(&account);
    assert_string_equal(contents(), C_STORED);
    assert_int_equal(access(lock, F_OK), -1);
    struct mbox_lock mbox;
    (void)snprintf(number, sizeof number, "%ld\n", (long)getpid());
    write_file(lock, number);
    assert_int_equal(mbox_lock(&mbox, account.place, 0, -1, &account.error), -1);
    assert_int_equal(account.error.kind, ERROR_IN_USE);
    assert_int_equal(unlink(lock), 0);
    /* The fcntl lock holds between two open files of one process. */
    int other = open(account.place, O_RDWR | O_CLOEXEC);
    struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    assert_int_equal(fcntl(other, F_OFD_SETLK, &whole), 0);
    assert_int_equal(mbox_lock(&mbox, account.place, 0, -1, &account.error), -1);
    assert_int_equal(account.error.kind, ERROR_IN_USE);
    (void)close(other);
    assert_int_equal(mbox_lock(&mbox, account.place, 0, -1, &account.error), 0);
    mbox_unlock(&mbox);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(quotes_ends_lines_and_separates),
        TEST(what_is_broken_off_is_not_there),
        TEST(a_message_that_spans_a_batch_is_whole),
        TEST(a_torn_tail_is_cut_off_wherever_it_is_torn),
        TEST(what_is_not_ours_is_not_cut_off),
        TEST(a_message_is_found_where_a_client_moved_it),
        TEST(a_killed_batch_is_found_or_fetched_again),
        TEST(waits_for_other_programs_but_not_for_dead_ones),
    };
    return cmocka_run_group_tests_name("mbox", tests, NULL, NULL);
}
