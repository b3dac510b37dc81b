/* SPDX-License-Identifier: MIT */
/* The storer into a command: what exit statuses mean, and what the command is given. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "support.h"

#define A_WIRE "Subject: a\r\n\r\nbody\r\n"
#define A_FILE "Subject: a\n\nbody\n"

static struct account account;
static char out[128];

static int setup(void **state)
{
    (void)state;
    account_make(&account, STORER_TARGET_PIPE, "true");
    (void)snprintf(out, sizeof out, "%s/out", account.folder);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    account_remove(&account);
    return 0;
}

/* `%s` in the command is a file. */
static void start(const char *command)
{
    char *place = account.place;
    const char *at = strstr(command, "%s");
    if (at == NULL) {
        (void)snprintf(place, sizeof account.place, "%s", command);
    } else {
        (void)snprintf(place, sizeof account.place, "%.*s%s%s", (int)(at - command), command, out,
                       at + 2);
    }
    assert_int_equal(account_start(&account), 0);
    account_list(&account, "a b");
}

static void gives_the_message_and_no_more(void **state)
{
    (void)state;
    start("cat >> '%s'");
    assert_int_equal(account_fetch(&account, 0, A_WIRE), 0);
    assert_int_equal(account_told(&account, 0), STORER_EVENT_STORED); /* without a flush */
    assert_int_equal(keeper_begin(account.keeper, 1, STORER_WHOLE, &account.error), 0);
    assert_int_equal(keeper_append(account.keeper, bytes_of("half"), &account.error), 0);
    keeper_break(account.keeper);
    assert_int_equal(account_fetch(&account, 1, "x\r\ny\rz"), 0);
    assert_string_equal(file_text(out), A_FILE "x\ny\rz");
    account_kill(&account);
    start("false");
    assert_int_equal(account_standing(&account, 0), STORER_HELD);
}

static void gives_an_environment_without_secrets(void **state)
{
    (void)state;
    assert_int_equal(setenv("RESTANTE_PASSWORD", "geheim", 1), 0);
    assert_int_equal(setenv("RECIPIENT", "somebody", 1), 0);
    account.options.recipient = "bob@example.org";
    start("env > '%s'");
    assert_int_equal(account_fetch(&account, 1, A_WIRE), 0);
    const char *text = file_text(out);
    assert_null(strstr(text, "geheim"));
    assert_null(strstr(text, "somebody"));
    assert_non_null(strstr(text, "RECIPIENT=bob@example.org\n"));
    assert_non_null(strstr(text, "RESTANTE_ACCOUNT=alice@example.org\n"));
    assert_non_null(strstr(text, "RESTANTE_HOST=pop.example.org\n"));
    assert_non_null(strstr(text, "RESTANTE_USER=alice\n"));
    assert_non_null(strstr(text, "RESTANTE_UNIQUE_ID=b\n"));
    assert_non_null(strstr(text, "PATH="));
    assert_int_equal(unsetenv("RESTANTE_PASSWORD"), 0);
}

static void unclear_ends_are_for_the_next_run(void **state)
{
    (void)state;
    static const char *const commands[] = {"exit 75", "exit 1", "kill -9 $$", "exit 74", "exit 64"};
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
        start(commands[i]);
        assert_int_equal(account_standing(&account, 0), STORER_NEW);
        assert_int_equal(account_fetch(&account, 0, A_WIRE), 0);
        assert_int_equal(account_told(&account, 0), STORER_EVENT_DEFERRED);
        assert_int_equal(account_standing(&account, 0), STORER_NEW);
        account_finish(&account);
    }
}

static void a_command_that_is_not_there_ends_the_run(void **state)
{
    (void)state;
    start("/nowhere/command");
    assert_int_equal(account_fetch(&account, 0, A_WIRE), -1);
    assert_int_equal(account.error.kind, ERROR_CONFIGURATION);
}

static void what_is_refused_again_and_again_goes_to_quarantine(void **state)
{
    (void)state;
    char folder[700];
    for (uint32_t run = 1; run <= 3; run++) {
        start("exit 67");
        assert_int_equal(account_standing(&account, 0), run == 1 ? STORER_NEW : STORER_REFUSED);
        assert_int_equal(account_fetch(&account, 0, A_WIRE), 0);
        assert_int_equal(account_told(&account, 0),
                         run < 3 ? STORER_EVENT_REFUSED : STORER_EVENT_QUARANTINED);
        assert_int_equal(account.messages[0].refusals, run);
        assert_non_null(strstr(account_reason(&account, 0), "no such user"));
        account_finish(&account);
    }
    (void)snprintf(folder, sizeof folder, "%s/alice@example.org.quarantine", account.state_folder);
    assert_int_equal(count_files(folder), 2);
    assert_int_equal(count_files_with(folder, A_FILE), 1);
    (void)snprintf(folder, sizeof folder, "%s/alice@example.org.quarantine/1.txt",
                   account.state_folder);
    assert_non_null(strstr(file_text(folder), "no such user"));
    start("exit 0");
    assert_int_equal(account_standing(&account, 0), STORER_QUARANTINED);
    assert_int_equal(account_fetch(&account, 1, A_WIRE), 0);
    assert_int_equal(account_told(&account, 1), STORER_EVENT_STORED);
}

static void what_was_refused_once_can_be_stored_later(void **state)
{
    (void)state;
    start("exit 65");
    assert_int_equal(account_fetch(&account, 0, A_WIRE), 0);
    account_finish(&account);
    start("exit 0");
    assert_int_equal(account_standing(&account, 0), STORER_REFUSED);
    assert_int_equal(account_fetch(&account, 0, A_WIRE), 0);
    account_finish(&account);
    start("exit 0");
    assert_int_equal(account_standing(&account, 0), STORER_HELD);
}

static int64_t seconds(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec;
}

static void a_command_that_hangs_is_ended_with_its_children(void **state)
{
    (void)state;
    account.options.time_limit_s = 1;
    start("(sleep 3; echo late > '%s') & wait");
    int64_t begin = seconds();
    assert_int_equal(account_fetch(&account, 0, A_WIRE), 0);
    assert_true(seconds() - begin < 3);
    assert_int_equal(account_told(&account, 0), STORER_EVENT_DEFERRED);
    assert_non_null(strstr(account_reason(&account, 0), "within 1 s"));
    (void)sleep(3);
    assert_null(file_text(out));
}

static void a_run_that_is_cancelled_does_not_wait(void **state)
{
    (void)state;
    account.keeper_options.cancel = eventfd(1, EFD_CLOEXEC);
    start("sleep 60");
    int64_t begin = seconds();
    assert_int_equal(account_fetch(&account, 0, A_WIRE), 0);
    assert_true(seconds() - begin < 3);
    assert_int_equal(account_told(&account, 0), STORER_EVENT_DEFERRED);
    (void)close(account.keeper_options.cancel);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(gives_the_message_and_no_more),
        TEST(gives_an_environment_without_secrets),
        TEST(unclear_ends_are_for_the_next_run),
        TEST(a_command_that_is_not_there_ends_the_run),
        TEST(what_is_refused_again_and_again_goes_to_quarantine),
        TEST(what_was_refused_once_can_be_stored_later),
        TEST(a_command_that_hangs_is_ended_with_its_children),
        TEST(a_run_that_is_cancelled_does_not_wait),
    };
    return cmocka_run_group_tests_name("pipe", tests, NULL, NULL);
}
