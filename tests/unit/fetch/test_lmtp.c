/* SPDX-License-Identifier: MIT */
/* The storer into an LMTP server, which is a thread of the test. */
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "support.h"

#define A_WIRE "Subject: a\r\n\r\nbody\r\n.\r\n..\r\n"

struct script {
    const char *greeting, *recipient, *end; /* replies */
    bool closes_at_end;                     /* instead of the reply to the last dot */
    bool closes_after; /* the connection, when it has replied to the last dot */
    bool is_silent;    /* never answers the last dot */
};

static struct account account;
static struct script script;
static int listener;
static pthread_t thread;
static atomic_int connections;
static char taken[65536]; /* what has come between DATA and the last dot, of all messages */
static char envelope[4096];

static void say(FILE *peer, const char *reply)
{
    (void)fprintf(peer, "%s\r\n", reply);
    (void)fflush(peer);
}

/* False: the connection is to be closed. */
static bool take_data(FILE *peer)
{
    char line[2048];
    say(peer, "354 go on");
    while (fgets(line, sizeof line, peer) != NULL && strcmp(line, ".\r\n") != 0) {
        const char *text = line[0] == '.' ? line + 1 : line;
        (void)snprintf(taken + strlen(taken), sizeof taken - strlen(taken), "%s", text);
    }
    while (script.is_silent && fgets(line, sizeof line, peer) != NULL) {
    }
    if (script.closes_at_end || script.is_silent) {
        return false;
    }
    say(peer, script.end);
    return !script.closes_after;
}

static void serve(FILE *peer)
{
    char line[2048];
    say(peer, script.greeting);
    while (fgets(line, sizeof line, peer) != NULL) {
        if (strncasecmp(line, "LHLO", 4) == 0) {
            say(peer, "250-here\r\n250 8BITMIME");
        } else if (strncasecmp(line, "DATA", 4) == 0) {
            if (!take_data(peer)) {
                return;
            }
        } else if (strncasecmp(line, "RCPT", 4) == 0 || strncasecmp(line, "MAIL", 4) == 0) {
            (void)snprintf(envelope + strlen(envelope), sizeof envelope - strlen(envelope), "%s",
                           line);
            say(peer, line[0] == 'R' ? script.recipient : "250 ok");
        } else if (strncasecmp(line, "QUIT", 4) == 0) {
            say(peer, "221 bye");
            return;
        } else {
            say(peer, "250 ok");
        }
    }
}

static void *run(void *context)
{
    (void)context;
    for (;;) {
        int descriptor = accept(listener, NULL, NULL);
        if (descriptor < 0) {
            return NULL;
        }
        (void)atomic_fetch_add(&connections, 1);
        FILE *peer = fdopen(descriptor, "r+");
        (void)setvbuf(peer, NULL, _IONBF, 0);
        serve(peer);
        (void)fclose(peer);
    }
}

static int setup(void **state)
{
    (void)state;
    account_make(&account, STORER_TARGET_LMTP, "");
    (void)snprintf(account.place, sizeof account.place, "%s/socket", account.folder);
    account.options.recipient = "bob@example.org";
    account.options.time_limit_s = 1;
    script = (struct script){.greeting = "220 here", .recipient = "250 ok", .end = "250 taken"};
    taken[0] = envelope[0] = '\0';
    atomic_store(&connections, 0);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    (void)snprintf(address.sun_path, sizeof address.sun_path, "%.100s", account.place);
    listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(listener, 5), 0);
    assert_int_equal(pthread_create(&thread, NULL, run, NULL), 0);
    return 0;
}

static void stop_server(void)
{
    if (listener >= 0) {
        (void)shutdown(listener, SHUT_RDWR);
        (void)pthread_join(thread, NULL);
        (void)close(listener);
        listener = -1;
    }
}

static int teardown(void **state)
{
    (void)state;
    account_kill(&account);
    stop_server();
    account_remove(&account);
    return 0;
}

static void start(void)
{
    assert_int_equal(account_start(&account), 0);
    account_list(&account, "a b");
}

static void messages_share_a_connection(void **state)
{
    (void)state;
    start();
    assert_int_equal(account_fetch(&account, 0, A_WIRE), 0);
    assert_int_equal(account_told(&account, 0), STORER_EVENT_STORED);
    assert_int_equal(account_fetch(&account, 1, "no line end"), 0);
    assert_int_equal(account_told(&account, 1), STORER_EVENT_STORED);
    assert_int_equal(atomic_load(&connections), 1);
    account_finish(&account);
    stop_server();
    assert_string_equal(taken, A_WIRE "no line end\r\n");
    assert_non_null(strstr(envelope, "MAIL FROM:<>"));
    assert_non_null(strstr(envelope, "RCPT TO:<bob@example.org>\r\n"));
}

static void a_connection_that_was_closed_meanwhile_is_made_again(void **state)
{
    (void)state;
    script.closes_after = true;
    start();
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(account_fetch(&account, i, A_WIRE), 0);
        assert_int_equal(account_told(&account, i), STORER_EVENT_STORED);
    }
    assert_int_equal(atomic_load(&connections), 2);
}

static void without_a_reply_to_the_end_nothing_is_stored(void **state)
{
    (void)state;
    script.closes_at_end = true;
    start();
    assert_int_equal(account_fetch(&account, 0, A_WIRE), 0);
    assert_int_equal(account_told(&account, 0), STORER_EVENT_DEFERRED);
    script.closes_at_end = false;
    assert_int_equal(account_fetch(&account, 1, A_WIRE), 0);
    assert_int_equal(account_told(&account, 1), STORER_EVENT_STORED);
    account_finish(&account);
    start();
    assert_int_equal(account_standing(&account, 0), STORER_NEW);
    assert_int_equal(account_standing(&account, 1), STORER_HELD);
}

static void a_server_that_is_silent_costs_its_time_and_no_more(void **state)
{
    (void)state;
    script.is_silent = true;
    start();
    assert_int_equal(account_fetch(&account, 0, A_WIRE), 0);
    assert_int_equal(account_told(&account, 0), STORER_EVENT_DEFERRED);
    assert_non_null(strstr(account_reason(&account, 0), "within 2 s"));
}

static void replies_say_what_becomes_of_a_message(void **state)
{
    (void)state;
    char folder[1200];
    script.recipient = "452 full";
    start();
    assert_int_equal(account_fetch(&account, 0, A_WIRE), 0);
    assert_int_equal(account_told(&account, 0), STORER_EVENT_DEFERRED);
    assert_non_null(strstr(account_reason(&account, 0), "452 full"));
    script.recipient = "550 5.1.1 nobody \x1b[31m";
    account.options.refusals_most = 2;
    account_finish(&account);
    for (int i = 0; i < 2; i++) {
        start();
        assert_int_equal(account_fetch(&account, 0, A_WIRE), 0);
        assert_int_equal(account_told(&account, 0),
                         i == 0 ? STORER_EVENT_REFUSED : STORER_EVENT_QUARANTINED);
        assert_non_null(strstr(account_reason(&account, 0), "550 5.1.1 nobody \\x1b[31m"));
        account_finish(&account);
    }
    (void)snprintf(folder, sizeof folder, "%s/alice@example.org.quarantine", account.state_folder);
    assert_int_equal(count_files_with(folder, A_WIRE), 1);
    script.recipient = "250 ok";
    script.end = "554 no";
    start();
    assert_int_equal(account_fetch(&account, 1, A_WIRE), 0);
    assert_int_equal(account_told(&account, 1), STORER_EVENT_REFUSED);
}

static void a_server_that_takes_nothing_ends_the_run(void **state)
{
    (void)state;
    script.greeting = "421 not today";
    start();
    assert_int_equal(account_fetch(&account, 0, A_WIRE), -1);
    assert_int_equal(account.error.kind, ERROR_TEMPORARY);
    assert_non_null(strstr(account.error.text, "421 not today"));
    account_kill(&account);
    stop_server();
    start();
    assert_int_equal(account_fetch(&account, 0, A_WIRE), -1);
    assert_int_equal(account.error.kind, ERROR_TEMPORARY);
    account_kill(&account);
    static const char *const wrong[] = {"nonsense", ":24", "::1:24", "host:"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        account.options.place = wrong[i];
        start();
        assert_int_equal(account_fetch(&account, 0, A_WIRE), -1);
        assert_int_equal(account.error.kind, ERROR_CONFIGURATION);
        account_kill(&account);
    }
    account.options.recipient = NULL;
    assert_int_equal(account_start(&account), -1);
    assert_int_equal(account.error.kind, ERROR_CONFIGURATION);
}

static void a_cancelled_run_does_not_wait(void **state)
{
    (void)state;
    script.is_silent = true;
    account.options.time_limit_s = 60;
    account.keeper_options.cancel = eventfd(1, EFD_CLOEXEC);
    start();
    time_t begin = time(NULL);
    (void)account_fetch(&account, 0, A_WIRE);
    assert_true(time(NULL) - begin < 5);
    assert_true(account_told(&account, 0) != STORER_EVENT_STORED);
    (void)close(account.keeper_options.cancel);
}

int main(void)
{
    (void)signal(SIGPIPE, SIG_IGN); /* of the server */
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(messages_share_a_connection),
        TEST(a_connection_that_was_closed_meanwhile_is_made_again),
        TEST(without_a_reply_to_the_end_nothing_is_stored),
        TEST(a_server_that_is_silent_costs_its_time_and_no_more),
        TEST(replies_say_what_becomes_of_a_message),
        TEST(a_server_that_takes_nothing_ends_the_run),
        TEST(a_cancelled_run_does_not_wait),
    };
    return cmocka_run_group_tests_name("lmtp", tests, NULL, NULL);
}
