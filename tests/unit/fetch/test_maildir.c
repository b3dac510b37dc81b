/* SPDX-License-Identifier: MIT */
/* The storer into a Maildir, and what it knows of messages. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support.h"

#define A_WIRE "Subject: a\r\n\r\nbody of a\r\n"
#define A_FILE "Subject: a\n\nbody of a\n"
#define B_WIRE "Subject: b\r\n\r\nbody\rof b\r\n"
#define B_FILE "Subject: b\n\nbody\rof b\n"
#define C_WIRE "Subject: a\r\n\r\nbody of c\r\n" /* with the header of a */
#define C_FILE "Subject: a\n\nbody of c\n"

static struct account account;
static char new_folder[1100], tmp_folder[1100], cur_folder[1100];

static int setup(void **state)
{
    (void)state;
    account_make(&account, STORER_TARGET_MAILDIR, "Mail/alice");
    (void)snprintf(new_folder, sizeof new_folder, "%s/new", account.place);
    (void)snprintf(tmp_folder, sizeof tmp_folder, "%s/tmp", account.place);
    (void)snprintf(cur_folder, sizeof cur_folder, "%s/cur", account.place);
    assert_int_equal(account_start(&account), 0);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    account_remove(&account);
    return 0;
}

static void again(void)
{
    account_kill(&account);
    assert_int_equal(account_start(&account), 0);
}

static void stores_with_line_feeds_and_tells_when_it_is_durable(void **state)
{
    (void)state;
    account_list(&account, "a b");
    assert_int_equal(account_standing(&account, 0), STORER_NEW);
    assert_int_equal(account_fetch(&account, 0, A_WIRE), 0);
    assert_int_equal(account_fetch(&account, 1, B_WIRE), 0);
    assert_int_equal(account_told(&account, 0), -1);
    assert_int_equal(count_files(new_folder), 0);
    assert_true(keeper_patience_ns(account.keeper) >= 0);
    account_flush(&account);
    assert_int_equal(account_told(&account, 0), STORER_EVENT_STORED);
    assert_int_equal(account_told(&account, 1), STORER_EVENT_STORED);
    assert_int_equal(count_files_with(new_folder, A_FILE), 1);
    assert_int_equal(count_files_with(new_folder, B_FILE), 1);
    assert_int_equal(count_files(tmp_folder), 0);
    assert_int_equal(keeper_patience_ns(account.keeper), -1);
}

static void what_is_stored_is_held_in_the_next_run(void **state)
{
    (void)state;
    account_list(&account, "a b");
    assert_int_equal(account_fetch(&account, 0, A_WIRE), 0);
    account_finish(&account);
    assert_int_equal(account_start(&account), 0);
    account_list(&account, "a b");
    assert_int_equal(account_standing(&account, 0), STORER_HELD);
    assert_true(account.messages[0].stored_s > 0);
    assert_int_equal(account_standing(&account, 1), STORER_NEW);
    assert_int_equal(account.recovered, 0);
}

static void what_is_broken_off_leaves_nothing(void **state)
{
    (void)state;
    account_list(&account, "a b");
    assert_int_equal(keeper_begin(account.keeper, 0, STORER_WHOLE, &account.error), 0);
    assert_int_equal(keeper_append(account.keeper, bytes_of("Subject: "), &account.error), 0);
    keeper_break(account.keeper);
    assert_int_equal(account_fetch(&account, 1, B_WIRE), 0);
    account_finish(&account);
    assert_int_equal(count_files(new_folder), 1);
    assert_int_equal(count_files(tmp_folder), 0);
    assert_int_equal(account_start(&account), 0);
    account_list(&account, "a b");
    assert_int_equal(account_standing(&account, 0), STORER_NEW);
}

static void a_killed_run_leaves_nothing_in_tmp_for_ever(void **state)
{
    (void)state;
    char other[1200];
    account_list(&account, "a");
    assert_int_equal(account_fetch(&account, 0, A_WIRE), 0);
    account_kill(&account);
    (void)snprintf(other, sizeof other, "%s/1.M2P3Q4.host", tmp_folder);
    write_file(other, "another program's");
    assert_int_equal(count_files(tmp_folder), 2);
    assert_int_equal(account_start(&account), 0);
    assert_int_equal(count_files(tmp_folder), 1);
    account_list(&account, "a");
    assert_int_equal(account_standing(&account, 0), STORER_NEW);
}

static void a_second_run_says_so(void **state)
{
    (void)state;
    struct keeper *other;
    size_t recovered;
    struct error error;
    assert_int_equal(keeper_open(&account.keeper_options, &other, &recovered, &error), -1);
    assert_int_equal(error.kind, ERROR_IN_USE);
    account_kill(&account);
    assert_int_equal(keeper_open(&account.keeper_options, &other, &recovered, &error), 0);
    (void)keeper_free(other);
}

static void store_a(void)
{
    account_list(&account, "a");
    assert_int_equal(account_fetch(&account, 0, A_WIRE), 0);
    account_flush(&account);
}

static void an_id_that_was_gone_is_compared(void **state)
{
    (void)state;
    store_a();
    account_list(&account, "");
    assert_int_equal(account.disappeared, 1);
    again();
    account_list(&account, "a");
    assert_int_equal(account.disappeared, 0);
    assert_int_equal(account_standing(&account, 0), STORER_DOUBT);
    assert_int_equal(account_fetch(&account, 0, A_WIRE), 0);
    assert_int_equal(account_told(&account, 0), STORER_EVENT_SAME);
    assert_int_equal(account_standing(&account, 0), STORER_HELD);
    account_flush(&account);
    assert_int_equal(count_files(new_folder), 1);
    assert_int_equal(count_files(tmp_folder), 0);
    account_list(&account, "a");
    assert_int_equal(account_standing(&account, 0), STORER_HELD);
}

static void a_header_can_settle_a_doubt_but_not_make_a_message_new(void **state)
{
    (void)state;
    store_a();
    account_list(&account, "");
    account_list(&account, "a");
    assert_int_equal(account_fetch_header(&account, 0, "Subject: x\r\n\r\n"), 0);
    assert_int_equal(account_told(&account, 0), STORER_EVENT_FETCH_WHOLE);
    assert_int_equal(account_fetch_header(&account, 0, "Subject: a\r\n\r\n"), 0);
    assert_int_equal(account_told(&account, 0), STORER_EVENT_SAME);
    account_list(&account, "");
    uint64_t octets = 101;
    account_list_octets(&account, "a", &octets);
    assert_int_equal(account_standing(&account, 0), STORER_DOUBT);
    assert_int_equal(account_fetch_header(&account, 0, "Subject: a\r\n"), 0);
    assert_int_equal(account_told(&account, 0), STORER_EVENT_FETCH_WHOLE);
    assert_int_equal(account_fetch(&account, 0, C_WIRE), 0);
    account_flush(&account);
    assert_int_equal(account_told(&account, 0), STORER_EVENT_STORED);
}

static void a_recycled_id_is_another_message(void **state)
{
    (void)state;
    store_a();
    assert_int_equal(keeper_deleted(account.keeper, 0, &account.error), 0);
    account_list(&account, "a");
    assert_int_equal(account_standing(&account, 0), STORER_DOUBT);
    assert_int_equal(account_fetch(&account, 0, B_WIRE), 0);
    account_flush(&account);
    assert_int_equal(account_told(&account, 0), STORER_EVENT_STORED);
    assert_int_equal(count_files(new_folder), 2);
    again();
    account_list(&account, "a");
    assert_int_equal(account_standing(&account, 0), STORER_HELD);
}

static void other_octets_are_a_doubt(void **state)
{
    (void)state;
    uint64_t octets = 300;
    store_a();
    account_list_octets(&account, "a", &octets);
    assert_int_equal(account_standing(&account, 0), STORER_DOUBT);
    assert_int_equal(account_fetch(&account, 0, A_WIRE), 0);
    assert_int_equal(account_told(&account, 0), STORER_EVENT_SAME);
    account_list_octets(&account, "a", &octets);
    assert_int_equal(account_standing(&account, 0), STORER_HELD);
    octets = STORER_OCTETS_UNKNOWN;
    account_list_octets(&account, "a", &octets);
    assert_int_equal(account_standing(&account, 0), STORER_HELD);
}

static void equal_ids_are_told_by_content(void **state)
{
    (void)state;
    account_list(&account, "x x x");
    assert_int_equal(account_fetch(&account, 0, A_WIRE), 0);
    assert_int_equal(account_fetch(&account, 1, B_WIRE), 0);
    assert_int_equal(account_fetch(&account, 2, A_WIRE), 0);
    account_flush(&account);
    assert_int_equal(count_files(new_folder), 3);
    account_list(&account, "x x x");
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(account_standing(&account, i), STORER_HELD);
    }
    /* One of them goes, another comes. */
    account_list(&account, "x x");
    assert_int_equal(account_standing(&account, 0), STORER_DOUBT);
    assert_int_equal(account_fetch(&account, 0, B_WIRE), 0);
    assert_int_equal(account_told(&account, 0), STORER_EVENT_SAME);
    assert_int_equal(account_fetch(&account, 1, C_WIRE), 0);
    account_flush(&account);
    assert_int_equal(account_told(&account, 1), STORER_EVENT_STORED);
    assert_int_equal(count_files_with(new_folder, C_FILE), 1);
    assert_int_equal(count_files(new_folder), 4);
    account_list(&account, "x x");
    assert_int_equal(account_standing(&account, 0), STORER_HELD);
    assert_int_equal(account_standing(&account, 1), STORER_HELD);
}

static void without_ids_content_decides(void **state)
{
    (void)state;
    account_list(&account, "- -");
    assert_int_equal(account_standing(&account, 0), STORER_NEW);
    assert_int_equal(account_fetch(&account, 0, A_WIRE), 0);
    assert_int_equal(account_fetch(&account, 1, A_WIRE), 0); /* two of the same are two */
    account_flush(&account);
    again();
    account_list(&account, "- - - -");
    assert_int_equal(account_standing(&account, 3), STORER_DOUBT);
    assert_int_equal(account_fetch(&account, 0, B_WIRE), 0);
    assert_int_equal(account_fetch(&account, 1, A_WIRE), 0);
    assert_int_equal(account_fetch_header(&account, 2, "Subject: a\r\n\r\n"), 0);
    assert_int_equal(account_fetch(&account, 3, A_WIRE), 0);
    account_flush(&account);
    assert_int_equal(account_told(&account, 0), STORER_EVENT_STORED);
    assert_int_equal(account_told(&account, 1), STORER_EVENT_SAME);
    assert_int_equal(account_told(&account, 2), STORER_EVENT_SAME);
    assert_int_equal(account_told(&account, 3), STORER_EVENT_STORED);
    assert_int_equal(count_files_with(new_folder, A_FILE), 3);
    /* What was deleted there is over: the same again is another one. */
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(keeper_deleted(account.keeper, i, &account.error), 0);
    }
    account_list(&account, "-");
    assert_int_equal(account_standing(&account, 0), STORER_NEW);
}

static void what_was_left_is_remembered_until_it_is_wanted(void **state)
{
    (void)state;
    account_list(&account, "a b");
    assert_int_equal(keeper_leave(account.keeper, 0, false, &account.error), 0);
    account_finish(&account);
    assert_int_equal(account_start(&account), 0);
    account_list(&account, "b");
    account_list(&account, "a b");
    assert_int_equal(account_standing(&account, 0), STORER_LEFT);
    assert_int_equal(account_fetch(&account, 0, A_WIRE), 0);
    account_flush(&account);
    account_list(&account, "a b");
    assert_int_equal(account_standing(&account, 0), STORER_HELD);
    assert_int_equal(account_standing(&account, 1), STORER_NEW);
}

static void a_dry_run_changes_nothing(void **state)
{
    (void)state;
    char path[1200];
    store_a();
    account_finish(&account);
    account.options.dry_run = true;
    assert_int_equal(account_start(&account), 0);
    account_list(&account, "b");
    assert_int_equal(account_standing(&account, 0), STORER_NEW);
    account_finish(&account);
    account.options.dry_run = false;
    assert_int_equal(account_start(&account), 0);
    account_list(&account, "a");
    assert_int_equal(account_standing(&account, 0), STORER_HELD);
    account_finish(&account);
    account.options.dry_run = true;
    account.options.account = "nobody";
    assert_int_equal(account_start(&account), 0);
    account_list(&account, "a");
    account_finish(&account);
    (void)snprintf(path, sizeof path, "%s/nobody.db", account.state_folder);
    assert_int_equal(access(path, F_OK), -1);
}

static void a_trace_stands_before_and_counts_for_nothing(void **state)
{
    (void)state;
    account.options.trace = true;
    again();
    store_a();
    assert_int_equal(count_files(new_folder), 1);
    assert_int_equal(count_files_with(new_folder, A_FILE), 0);
    account.options.trace = false;
    again();
    account_list(&account, "");
    account_list(&account, "a");
    assert_int_equal(account_fetch(&account, 0, A_WIRE), 0);
    assert_int_equal(account_told(&account, 0), STORER_EVENT_SAME);
}

static int64_t days_later;

static int64_t later_clock(const struct fs *fs)
{
    return fs_real.operations->clock(fs) + days_later * 86400 * INT64_C(1000000000);
}

static void old_ids_are_forgotten_after_months(void **state)
{
    (void)state;
    struct fs_operations operations = *fs_real.operations;
    operations.clock = later_clock;
    const struct fs fs = {.operations = &operations};
    account.keeper_options.fs = &fs;
    days_later = 0;
    again();
    store_a();
    account_list(&account, "");
    for (int run = 0; run < 2; run++) {
        account_finish(&account);
        days_later = run == 0 ? 170 : 190;
        assert_int_equal(account_start(&account), 0);
        account_finish(&account);
        assert_int_equal(account_start(&account), 0);
        account_list(&account, "a");
        assert_int_equal(account_standing(&account, 0), run == 0 ? STORER_DOUBT : STORER_NEW);
    }
    account_kill(&account); /* it uses the clock */
}

static void ids_may_have_any_octets_and_size(void **state)
{
    (void)state;
    static uint8_t id[5000];
    for (size_t i = 0; i < sizeof id; i++) {
        id[i] = (uint8_t)(i * 7);
    }
    for (int run = 0; run < 2; run++) {
        account.messages[0] = (struct storer_message){.unique_id = {id, sizeof id}, .octets = 5};
        account.messages[1] = (struct storer_message){.unique_id = {id, 1}, .octets = 5};
        account.messages[2] = (struct storer_message){.unique_id = {id, 2}, .octets = 5};
        assert_int_equal(
            keeper_list(account.keeper, account.messages, 3, &account.disappeared, &account.error),
            0);
        for (size_t i = 0; i < 3; i++) {
            assert_int_equal(account_standing(&account, i), run == 0 ? STORER_NEW : STORER_HELD);
            if (run == 0) {
                assert_int_equal(account_fetch(&account, i, A_WIRE), 0);
            }
        }
        account_flush(&account);
    }
}

static void a_foreign_file_is_no_state(void **state)
{
    (void)state;
    char path[1200];
    account_finish(&account);
    (void)snprintf(path, sizeof path, "%s/alice@example.org.db", account.state_folder);
    write_file(path, "this is a letter to my aunt, and no database at all, is it not so?\n");
    assert_int_equal(account_start(&account), -1);
    assert_int_equal(account.error.kind, ERROR_CORRUPT);
    struct stat stat_of_file;
    assert_int_equal(stat(path, &stat_of_file), 0);
    assert_int_equal(stat_of_file.st_mode & 077, 0);
    account.options.account = "bob";
    assert_int_equal(account_start(&account), 0);
    assert_int_equal(stat(account.state_folder, &stat_of_file), 0);
    assert_int_equal(stat_of_file.st_mode & 0777, 0700);
    (void)snprintf(path, sizeof path, "%s/bob.db", account.state_folder);
    assert_int_equal(stat(path, &stat_of_file), 0);
    assert_int_equal(stat_of_file.st_mode & 0777, 0600);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(stores_with_line_feeds_and_tells_when_it_is_durable),
        TEST(what_is_stored_is_held_in_the_next_run),
        TEST(what_is_broken_off_leaves_nothing),
        TEST(a_killed_run_leaves_nothing_in_tmp_for_ever),
        TEST(a_second_run_says_so),
        TEST(an_id_that_was_gone_is_compared),
        TEST(a_header_can_settle_a_doubt_but_not_make_a_message_new),
        TEST(a_recycled_id_is_another_message),
        TEST(other_octets_are_a_doubt),
        TEST(equal_ids_are_told_by_content),
        TEST(without_ids_content_decides),
        TEST(what_was_left_is_remembered_until_it_is_wanted),
        TEST(a_dry_run_changes_nothing),
        TEST(a_trace_stands_before_and_counts_for_nothing),
        TEST(old_ids_are_forgotten_after_months),
        TEST(ids_may_have_any_octets_and_size),
        TEST(a_foreign_file_is_no_state),
    };
    return cmocka_run_group_tests_name("maildir", tests, NULL, NULL);
}
