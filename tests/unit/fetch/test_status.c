/* SPDX-License-Identifier: MIT */
/* What is known of an account's runs: what a run changes, what is stale, the file, the metrics. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "fetch/metrics.h"
#include "fetch/status.h"

enum { T = 1000000 };

static void run(struct fetch_status *status, int64_t ended, enum error_kind kind,
                const char *reason)
{
    struct fetch_result result = {.kind = kind, .ended = ended, .messages = 2, .octets = 100};
    (void)snprintf(result.reason, sizeof result.reason, "%s", reason);
    status_add(status, &result);
}

static void test_runs(void **state)
{
    struct fetch_status status = {0};
    (void)state;
    run(&status, T, ERROR_NONE, "");
    run(&status, T + 1, ERROR_TEMPORARY, "no answer");
    run(&status, T + 2, ERROR_BAD_CREDENTIALS, "refused");
    assert_int_equal(status.success, T);
    assert_int_equal(status.attempt, T + 2);
    assert_int_equal(status.failing_since, T + 1);
    assert_int_equal(status.failures, 2);
    assert_int_equal(status.kind, ERROR_BAD_CREDENTIALS);
    assert_string_equal(status.reason, "refused");
    run(&status, T + 3, ERROR_IN_USE, "in use"); /* says nothing of the account */
    run(&status, T + 4, ERROR_LOGIN_DELAY, "too soon");
    assert_int_equal(status.attempt, T + 4);
    assert_int_equal(status.failures, 2);
    assert_string_equal(status.reason, "refused");
    run(&status, T + 5, ERROR_NONE, "");
    assert_int_equal(status.success, T + 5);
    assert_int_equal(status.failing_since, 0);
    assert_int_equal(status.failures, 0);
    assert_int_equal(status.kind, ERROR_NONE);
    assert_string_equal(status.reason, "");
    assert_int_equal(status.messages, 12);
    assert_int_equal(status.octets, 600);
    struct fetch_result result = {
        .kind = ERROR_TEMPORARY, .interrupted = true, .ended = T + 6, .messages = 1, .octets = 1};
    status_add(&status, &result);
    assert_int_equal(status.attempt, T + 5);
    assert_int_equal(status.failures, 0);
    assert_int_equal(status.messages, 13);
}

static void test_health(void **state)
{
    struct fetch_status status = {0};
    (void)state;
    assert_int_equal(status_health(&status, T, 0), STATUS_NEVER);
    status.success = T;
    assert_int_equal(status_health(&status, T + 1000000, 0),
                     STATUS_WELL); /* nobody says how often */
    assert_int_equal(status_health(&status, T + 60, 60), STATUS_WELL);
    assert_int_equal(status_health(&status, T + 61, 60), STATUS_STALE);
    assert_int_equal(status_health(&status, T - 1000, 60),
                     STATUS_WELL); /* the clock was set back */
    status.interval_s = 20;
    assert_int_equal(status_health(&status, T + 60, 0), STATUS_WELL);
    assert_int_equal(status_health(&status, T + 61, 0), STATUS_STALE);
    assert_int_equal(status_health(&status, T + 61, 100), STATUS_WELL); /* it was said */
    status.failures = 1;
    assert_int_equal(status_health(&status, T, 0), STATUS_FAILING);
}

static void test_there_and_back(void **state)
{
    const struct fetch_status status = {.attempt = T + 1,
                                        .success = T,
                                        .failing_since = T + 1,
                                        .failures = 3,
                                        .kind = ERROR_PROTOCOL,
                                        .messages = UINT64_MAX,
                                        .octets = 5,
                                        .next = INT64_MAX,
                                        .interval_s = 300,
                                        .reason = "it said: -ERR \\x22what\\x22?"};
    struct fetch_status read;
    char text[STATUS_TEXT_SIZE], again[STATUS_TEXT_SIZE];
    (void)state;
    size_t size = status_format(&status, text);
    assert_int_equal(status_parse((struct bytes){(uint8_t *)text, size}, &read), 0);
    assert_int_equal(status_format(&read, again), size);
    assert_memory_equal(text, again, size);
    assert_int_equal(read.kind, ERROR_PROTOCOL);
    assert_string_equal(read.reason, status.reason);
    for (size_t cut = 0; cut < size; cut++) { /* any part ends within a line or before the last */
        int result = status_parse((struct bytes){(uint8_t *)text, cut}, &read);
        assert_true(result == 0 ? text[cut - 1] == '\n' : result == -1);
    }
}

static void test_files_of_others(void **state)
{
    static const char *const bad[] = {"",
                                      "\n",
                                      "hello\n",
                                      "restante-fetch-status 2\nattempt 1\n",
                                      "restante-fetch-status 1\nattempt -1\n",
                                      "restante-fetch-status 1\nattempt 9223372036854775808\n",
                                      "restante-fetch-status 1\nfailures 4294967296\n",
                                      "restante-fetch-status 1\nmessages x\n",
                                      "restante-fetch-status 1\nmessages\n"};
    struct fetch_status read;
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(status_parse(bytes_of(bad[i]), &read), -1);
    }
    assert_int_equal(status_parse(bytes_of("restante-fetch-status 1\nnew-thing 1\nkind unheard-of\n"
                                           "failures 1\nreason \x1b[31m\n"),
                                  &read),
                     0);
    assert_int_equal(read.failures, 1);
    assert_int_equal(read.kind, ERROR_TEMPORARY);
    assert_string_equal(read.reason, "?[31m");
}

static void set_messages(void *owner, struct fetch_status *status)
{
    status->messages += *(uint64_t *)owner;
}

static void test_on_the_disk(void **state)
{
    char folder[] = "/tmp/status-XXXXXX", place[64], path[128];
    struct fetch_status status;
    struct error error = {0};
    uint64_t more = 3;
    (void)state;
    assert_non_null(mkdtemp(folder));
    (void)snprintf(place, sizeof place, "%s/a/b", folder);
    (void)snprintf(path, sizeof path, "%s/me@here.status", place);
    assert_int_equal(status_read(place, "me@here", &status, &error), 0);
    assert_int_equal(status.messages, 0);
    assert_int_equal(status_update(place, "me@here", set_messages, &more, &error), 0);
    assert_int_equal(status_update(place, "me@here", set_messages, &more, &error), 0);
    assert_int_equal(status_read(place, "me@here", &status, &error), 0);
    assert_int_equal(status.messages, 6);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    (void)fputs("nonsense", file);
    (void)fclose(file);
    assert_int_equal(status_read(place, "me@here", &status, &error), -1);
    assert_int_equal(error.kind, ERROR_CORRUPT);
    assert_int_equal(status_update(place, "me@here", set_messages, &more, &error), 0);
    assert_int_equal(status_read(place, "me@here", &status, &error), 0);
    assert_int_equal(status.messages, 3);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(place), 0); /* nothing else was left */
    (void)snprintf(place, sizeof place, "%s/a", folder);
    assert_int_equal(rmdir(place), 0);
    assert_int_equal(rmdir(folder), 0);
}

static void test_metrics(void **state)
{
    const char *const accounts[] = {"home", "q\"b\\s\nn", "\xc3\xa9", "\xff"};
    const struct fetch_status statuses[] = {
        {.success = T, .attempt = T, .messages = 2, .octets = 300}, {0}, {0}, {.failures = 2}};
    (void)state;
    char *text = metrics_format(accounts, statuses, 4);
    assert_non_null(text);
    assert_non_null(strstr(
        text, "\nrestante_fetch_last_success_timestamp_seconds{account=\"home\"} 1000000\n"));
    assert_non_null(strstr(text, "\nrestante_fetch_up{account=\"home\"} 1\n"));
    assert_non_null(strstr(text, "\nrestante_fetch_up{account=\"q\\\"b\\\\s\\nn\"} 0\n"));
    assert_non_null(strstr(text, "\nrestante_fetch_up{account=\"\xc3\xa9\"} 0\n"));
    assert_non_null(strstr(text, "\nrestante_fetch_consecutive_failures{account=\"%FF\"} 2\n"));
    assert_non_null(strstr(text, "\nrestante_fetch_stored_bytes_total{account=\"home\"} 300\n"));
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_runs),           cmocka_unit_test(test_health),
        cmocka_unit_test(test_there_and_back), cmocka_unit_test(test_files_of_others),
        cmocka_unit_test(test_on_the_disk),    cmocka_unit_test(test_metrics),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
