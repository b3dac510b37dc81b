/* SPDX-License-Identifier: MIT */
/* When a watcher asks again, with the clock and the dice handed in; and what it says only once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fetch/said.h"
#include "fetch/schedule.h"

enum { MIDDLE = UINT32_MAX / 2, MINUTE = 60 * 1000, HOUR = 60 * MINUTE };

static void assert_about(uint64_t value, uint64_t expected)
{
    assert_in_range(value, expected - 2, expected + 2);
}

static void test_jitter(void **state)
{
    struct schedule schedule = {.interval_ms = 5 * MINUTE};
    (void)state;
    schedule_add(&schedule, SCHEDULE_WELL);
    assert_int_equal(schedule_wait_ms(&schedule, 0), 5 * MINUTE - 30000);
    assert_about(schedule_wait_ms(&schedule, MIDDLE), 5 * MINUTE);
    assert_int_equal(schedule_wait_ms(&schedule, UINT32_MAX), 5 * MINUTE + 30000);
}

static void test_failures_double_the_wait(void **state)
{
    static const uint64_t minutes[] = {5, 10, 20, 40, 60, 60, 60};
    struct schedule schedule = {.interval_ms = 5 * MINUTE};
    (void)state;
    for (size_t i = 0; i < sizeof minutes / sizeof minutes[0]; i++) {
        schedule_add(&schedule, SCHEDULE_FAILED);
        assert_about(schedule_wait_ms(&schedule, MIDDLE), minutes[i] * MINUTE);
    }
    for (unsigned i = 0; i < 5000; i++) {
        schedule_add(&schedule, SCHEDULE_FAILED);
    }
    assert_about(schedule_wait_ms(&schedule, MIDDLE), HOUR);
    schedule_add(&schedule, SCHEDULE_WELL);
    assert_about(schedule_wait_ms(&schedule, MIDDLE), 5 * MINUTE);
    schedule_add(&schedule, SCHEDULE_FAILED);
    assert_about(schedule_wait_ms(&schedule, MIDDLE), 5 * MINUTE);
}

static void test_a_long_interval_is_no_shorter_for_failing(void **state)
{
    struct schedule schedule = {.interval_ms = 48 * (uint64_t)HOUR};
    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        schedule_add(&schedule, SCHEDULE_FAILED);
        assert_about(schedule_wait_ms(&schedule, MIDDLE), 48 * (uint64_t)HOUR);
        schedule_add(&schedule, SCHEDULE_REFUSED);
        assert_about(schedule_wait_ms(&schedule, MIDDLE), 48 * (uint64_t)HOUR);
    }
}

static void test_a_refused_login_waits_longer(void **state)
{
    static const uint64_t minutes[] = {15, 30, 60, 120, 240, 480, 960, 1440, 1440};
    struct schedule schedule = {.interval_ms = 5 * MINUTE};
    (void)state;
    schedule_add(&schedule, SCHEDULE_FAILED);
    schedule_add(&schedule, SCHEDULE_FAILED);
    for (size_t i = 0; i < sizeof minutes / sizeof minutes[0]; i++) {
        schedule_add(&schedule, SCHEDULE_REFUSED);
        assert_about(schedule_wait_ms(&schedule, MIDDLE), minutes[i] * MINUTE);
    }
}

static void test_what_does_not_count(void **state)
{
    struct schedule schedule = {.interval_ms = 5 * MINUTE};
    (void)state;
    for (unsigned i = 0; i < 4; i++) {
        schedule_add(&schedule, SCHEDULE_IN_USE);
        assert_about(schedule_wait_ms(&schedule, MIDDLE), 5 * MINUTE);
    }
    /* A server that says no number, only that it was too soon. */
    schedule_add(&schedule, SCHEDULE_TOO_SOON);
    assert_about(schedule_wait_ms(&schedule, MIDDLE), 5 * MINUTE);
    schedule_add(&schedule, SCHEDULE_TOO_SOON);
    assert_about(schedule_wait_ms(&schedule, MIDDLE), 10 * MINUTE);
}

static void test_never_below_login_delay(void **state)
{
    struct schedule schedule = {.interval_ms = 5 * MINUTE, .login_delay_ms = 15 * MINUTE};
    (void)state;
    schedule_add(&schedule, SCHEDULE_WELL);
    assert_int_equal(schedule_interval_ms(&schedule), 15 * MINUTE);
    assert_int_equal(schedule_wait_ms(&schedule, 0), 15 * MINUTE);
    assert_int_equal(schedule_wait_ms(&schedule, UINT32_MAX), 15 * MINUTE + 90000);
    /* Within the jitter of the interval. */
    schedule.login_delay_ms = 5 * MINUTE - 10000;
    assert_int_equal(schedule_interval_ms(&schedule), 5 * MINUTE);
    assert_int_equal(schedule_wait_ms(&schedule, 0), 5 * MINUTE - 10000);
    assert_int_equal(schedule_wait_ms(&schedule, UINT32_MAX), 5 * MINUTE + 30000);
}

static void test_ends(void **state)
{
    (void)state;
    assert_int_equal(schedule_end_of(ERROR_NONE), SCHEDULE_WELL);
    assert_int_equal(schedule_end_of(ERROR_IN_USE), SCHEDULE_IN_USE);
    assert_int_equal(schedule_end_of(ERROR_LOGIN_DELAY), SCHEDULE_TOO_SOON);
    assert_int_equal(schedule_end_of(ERROR_BAD_CREDENTIALS), SCHEDULE_REFUSED);
    assert_int_equal(schedule_end_of(ERROR_TEMPORARY), SCHEDULE_FAILED);
    assert_int_equal(schedule_end_of(ERROR_PROTOCOL), SCHEDULE_FAILED);
}

static bool says(struct said *said, enum report_type type, enum error_kind kind, const char *text)
{
    const struct fetch_report report = {.type = type, .kind = kind, .text = text};
    return said_is_news(said, &report);
}

static void test_failures_are_said_once(void **state)
{
    struct said said = {0};
    (void)state;
    assert_true(says(&said, REPORT_FAILED, ERROR_TEMPORARY, "no answer from 192.0.2.1"));
    assert_true(says(&said, REPORT_DONE, ERROR_TEMPORARY, NULL));
    assert_false(says(&said, REPORT_FAILED, ERROR_TEMPORARY, "no answer from 192.0.2.2"));
    assert_true(says(&said, REPORT_FAILED, ERROR_BAD_CREDENTIALS, "refused"));
    assert_false(says(&said, REPORT_FAILED, ERROR_BAD_CREDENTIALS, "refused"));
    assert_true(says(&said, REPORT_DONE, ERROR_NONE, NULL));
    assert_true(says(&said, REPORT_FAILED, ERROR_BAD_CREDENTIALS, "refused"));
}

static void test_warnings_are_said_once(void **state)
{
    struct said said = {0};
    (void)state;
    assert_true(says(&said, REPORT_WARNING, ERROR_NONE, "one"));
    assert_true(says(&said, REPORT_WARNING, ERROR_NONE, "two"));
    assert_false(says(&said, REPORT_WARNING, ERROR_NONE, "one"));
    assert_true(says(&said, REPORT_WATCH, ERROR_NONE, "works again"));
    assert_true(says(&said, REPORT_WATCH, ERROR_NONE, "works again"));
}

static void test_messages_are_said_once(void **state)
{
    struct said said = {0};
    struct fetch_report report = {.type = REPORT_MESSAGE,
                                  .outcome = OUTCOME_REFUSED,
                                  .number = 1,
                                  .unique_id = bytes_of("a"),
                                  .text = "too large"};
    (void)state;
    assert_true(said_is_news(&said, &report));
    report.number = 2; /* in another listing */
    assert_false(said_is_news(&said, &report));
    report.unique_id = bytes_of("b");
    assert_true(said_is_news(&said, &report));
    report.outcome = OUTCOME_QUARANTINED;
    assert_true(said_is_news(&said, &report));
    report.outcome = OUTCOME_STORED;
    assert_true(said_is_news(&said, &report));
    assert_true(said_is_news(&said, &report));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_jitter),
        cmocka_unit_test(test_failures_double_the_wait),
        cmocka_unit_test(test_a_long_interval_is_no_shorter_for_failing),
        cmocka_unit_test(test_a_refused_login_waits_longer),
        cmocka_unit_test(test_what_does_not_count),
        cmocka_unit_test(test_never_below_login_delay),
        cmocka_unit_test(test_ends),
        cmocka_unit_test(test_failures_are_said_once),
        cmocka_unit_test(test_warnings_are_said_once),
        cmocka_unit_test(test_messages_are_said_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
