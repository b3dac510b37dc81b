/* SPDX-License-Identifier: MIT */
/* Every n-th question of a session that uses everything fails, once with each failure, and each loan is
 * refused: nothing is removed that QUIT did not ask for, and no response is cut short unnoticed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "host.h"

static const char script[] = "USER alice\r\nPASS secret\r\nUSER alice\r\nPASS secret\r\n"
                             "LIST\r\nUIDL\r\nLIST 1\r\nUIDL 2\r\n"
                             "RETR 1\r\nTOP 2 1\r\nDELE 1\r\nDELE 3\r\nRSET\r\nDELE 2\r\n"
                             "RETR 3\r\nSTAT\r\nQUIT\r\n";

/* Counts first lines; false if a multi-line response lacks its terminator though the session went on. */
static unsigned count_replies(const char *sent, bool *cut_out)
{
    unsigned replies = 0;
    bool inside = false;
    while (*sent != '\0') {
        const char *end = strstr(sent, "\r\n");
        if (end == NULL) {
            assert_true(inside);
            break;
        }
        if (inside) {
            inside = strncmp(sent, ".\r\n", 3) != 0;
        } else {
            assert_true(strncmp(sent, "+OK", 3) == 0 || strncmp(sent, "-ERR", 4) == 0);
            inside =
                strstr(sent, " messages\r\n") == end - 9 || strstr(sent, " follows\r\n") == end - 8;
            replies++;
        }
        sent = end + 2;
    }
    *cut_out = inside;
    return replies;
}

static void check(struct host *host)
{
    bool cut;
    unsigned replies = count_replies(host_sent(host), &cut);
    assert_true(host->closed);
    assert_true(!cut || (host->released && !host->committed));
    assert_true(replies == 1 + 17 || cut); /* the greeting, and one a command */
    assert_false(host->messages[0].removed);
    assert_false(host->messages[2].removed);
    assert_true(!host->messages[1].removed || host->committed);
    assert_false(host->locked);
}

static void test_every_question_fails(void **state)
{
    (void)state;
    static const enum pop3_failure failures[] = {POP3_FAILURE_TEMPORARY, POP3_FAILURE_GONE,
                                                 POP3_FAILURE_CREDENTIALS};
    for (size_t k = 0; k < sizeof failures / sizeof failures[0]; k++) {
        uint64_t n = 1;
        for (;; n++) {
            struct host *host = host_new(3);
            host->fail_event = n;
            host->failure = failures[k];
            host->read_size = 3;
            host_start(host);
            host_feed(host, script, sizeof script - 1);
            bool reached = host->questions >= n;
            if (!reached) {
                assert_true(host->messages[1].removed);
            }
            check(host);
            host_delete(host);
            if (!reached) {
                break;
            }
        }
        assert_true(n > 25); /* as many questions as the script asks, or the test tests nothing */
    }
}

static void test_every_loan_is_refused(void **state)
{
    (void)state;
    struct host *host = host_new(3);
    host->refuse = POP3_LEND_MARKS;
    host_start(host);
    host_feed(host, script, sizeof script - 1);
    assert_false(host->messages[1].removed);
    check(host);
    host_delete(host);

    for (int after = 0; after < 2; after++) {
        host = host_new(3);
        host->refuse = after == 0 ? POP3_LEND_OUTPUT : -1;
        host_start(host);
        host->refuse = POP3_LEND_OUTPUT;
        host_feed(host, script, sizeof script - 1);
        assert_true(host->closed && !host->committed && !host->locked);
        host_delete(host);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_question_fails),
        cmocka_unit_test(test_every_loan_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
