/* SPDX-License-Identifier: MIT */
/* Dates of last use: one line each, two writers, and files that are not as they should be. */
#include "account/last_uses.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "scratch.h"

enum { LINE_OCTETS = 34 };

static const uint8_t phone[SECRET_FINGERPRINT_OCTETS] = {1};
static const uint8_t printer[SECRET_FINGERPRINT_OCTETS] = {2};
static const uint8_t other[SECRET_FINGERPRINT_OCTETS] = {255, 255, 255, 255};

#define PHONE_TEXT "AQAAAAAAAAAAAAAAAAAAAA"
#define OTHER_TEXT "_____wAAAAAAAAAAAAAAAA"

static struct last_uses *open_uses(const struct scratch *scratch, bool may_write)
{
    struct last_uses *uses;
    struct error error = {0};
    if (last_uses_open(scratch->path, may_write, &uses, &error) < 0) {
        fail_msg("%s", error.text);
    }
    return uses;
}

static void expect(const struct last_uses *uses, const uint8_t *fingerprint, const char *date)
{
    const char *found = last_uses_date(uses, fingerprint);
    if (date == NULL) {
        assert_null(found);
    } else {
        assert_non_null(found);
        assert_string_equal(found, date);
    }
}

static off_t size_of(const struct scratch *scratch)
{
    struct stat status;
    assert_int_equal(stat(scratch->path, &status), 0);
    return status.st_size;
}

static void dates_survive(void **state)
{
    (void)state;
    struct scratch scratch;
    struct stat status;
    scratch_init(&scratch);
    struct last_uses *uses = open_uses(&scratch, false);
    expect(uses, phone, NULL);
    uses = last_uses_close(uses);
    assert_int_equal(access(scratch.path, F_OK), -1);
    uses = open_uses(&scratch, true);
    assert_true(last_uses_note(uses, phone, "2026-11-29"));
    assert_false(last_uses_note(uses, phone, "2026-11-29"));
    assert_false(last_uses_note(uses, phone, "2025-12-31"));
    assert_true(last_uses_note(uses, other, "2026-11-30"));
    assert_int_equal(size_of(&scratch), 0);
    assert_int_equal(last_uses_write(uses, NULL), 0);
    assert_true(last_uses_note(uses, phone, "2026-12-01"));
    assert_int_equal(last_uses_write(uses, NULL), 0);
    assert_int_equal(last_uses_write(uses, NULL), 0);
    assert_int_equal(size_of(&scratch), 2 * LINE_OCTETS);
    assert_int_equal(stat(scratch.path, &status), 0);
    assert_int_equal(status.st_mode & 07777, 0600);
    (void)last_uses_close(uses);
    uses = open_uses(&scratch, false);
    expect(uses, phone, "2026-12-01");
    expect(uses, other, "2026-11-30");
    expect(uses, printer, NULL);
    (void)last_uses_close(uses);
    scratch_finish(&scratch);
}

/* As during a reload, when two processes answer logins. */
static void two_writers_lose_nothing(void **state)
{
    (void)state;
    struct scratch scratch;
    scratch_init(&scratch);
    struct last_uses *first = open_uses(&scratch, true), *second = open_uses(&scratch, true);
    assert_true(last_uses_note(first, phone, "2026-11-29"));
    assert_true(last_uses_note(second, printer, "2026-11-30"));
    assert_true(last_uses_note(second, phone, "2026-11-30"));
    assert_int_equal(last_uses_write(first, NULL), 0);
    assert_int_equal(last_uses_write(second, NULL), 0);
    assert_true(last_uses_note(first, other, "2026-12-01"));
    assert_int_equal(last_uses_write(first, NULL), 0);
    (void)last_uses_close(first);
    (void)last_uses_close(second);
    assert_int_equal(size_of(&scratch), 3 * LINE_OCTETS);
    struct last_uses *uses = open_uses(&scratch, false);
    expect(uses, phone, "2026-11-30");
    expect(uses, printer, "2026-11-30");
    expect(uses, other, "2026-12-01");
    (void)last_uses_close(uses);
    scratch_finish(&scratch);
}

static void what_is_no_line_is_skipped(void **state)
{
    (void)state;
    struct scratch scratch;
    scratch_init(&scratch);
    scratch_write_text(&scratch, "2026-11-30 AAAAAAAAAAAAAAAAAAAA!A\n"
                                 "2026-11-30 " PHONE_TEXT "\n"
                                 "2026/11/30 " OTHER_TEXT "\n"
                                 "2026-11-30 " OTHER_TEXT " "
                                 "2026-11-2");
    struct last_uses *uses = open_uses(&scratch, true);
    expect(uses, phone, "2026-11-30");
    expect(uses, other, NULL);
    assert_true(last_uses_note(uses, other, "2026-12-02"));
    assert_int_equal(last_uses_write(uses, NULL), 0);
    (void)last_uses_close(uses);
    assert_int_equal(size_of(&scratch), 5 * LINE_OCTETS);
    uses = open_uses(&scratch, false);
    expect(uses, phone, "2026-11-30");
    expect(uses, other, "2026-12-02");
    (void)last_uses_close(uses);
    scratch_finish(&scratch);
}

static void many_lines(void **state)
{
    (void)state;
    enum { COUNT = 3000 };
    struct scratch scratch;
    uint8_t fingerprint[SECRET_FINGERPRINT_OCTETS] = {0};
    scratch_init(&scratch);
    struct last_uses *uses = open_uses(&scratch, true);
    for (int i = 0; i < COUNT; i++) {
        memcpy(fingerprint, &i, sizeof i);
        assert_true(last_uses_note(uses, fingerprint, "2026-11-30"));
    }
    assert_int_equal(last_uses_write(uses, NULL), 0);
    (void)last_uses_close(uses);
    assert_int_equal(size_of(&scratch), COUNT * LINE_OCTETS);
    uses = open_uses(&scratch, false);
    for (int i = 0; i < COUNT; i++) {
        memcpy(fingerprint, &i, sizeof i);
        expect(uses, fingerprint, "2026-11-30");
    }
    (void)last_uses_close(uses);
    scratch_finish(&scratch);
}

static void what_cannot_be_opened_is_told(void **state)
{
    (void)state;
    struct last_uses *uses;
    struct error error;
    assert_int_equal(last_uses_open("/dev/null/x", true, &uses, &error), -1);
    assert_int_equal(error.number, ENOTDIR);
    assert_int_equal(last_uses_open("/", true, &uses, &error), -1);
    assert_int_equal(error.number, EISDIR);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dates_survive),
        cmocka_unit_test(two_writers_lose_nothing),
        cmocka_unit_test(what_is_no_line_is_skipped),
        cmocka_unit_test(many_lines),
        cmocka_unit_test(what_cannot_be_opened_is_told),
    };
    return cmocka_run_group_tests_name("last_uses", tests, NULL, NULL);
}
