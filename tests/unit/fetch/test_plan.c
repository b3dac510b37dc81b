/* SPDX-License-Identifier: MIT */
/* What is to be done with a message: a table. And a listing that comes in any order. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "fetch/plan.h"
#include "fetch/remote_listing.h"

static void test_actions(void **state)
{
    static const struct {
        enum storer_standing standing;
        uint64_t octets, most;
        bool filter, top;
        enum plan_action expected;
    } rows[] = {
        {STORER_NEW, 100, 0, false, true, PLAN_FETCH},
        {STORER_NEW, 100, 100, false, true, PLAN_FETCH},
        {STORER_NEW, 101, 100, false, true, PLAN_LEAVE},
        {STORER_NEW, STORER_OCTETS_UNKNOWN, 100, false, true, PLAN_FETCH},
        {STORER_NEW, 100, 0, true, true, PLAN_FILTER},
        {STORER_NEW, 101, 100, true, true, PLAN_LEAVE},
        {STORER_LEFT, 100, 0, false, true, PLAN_FETCH},
        {STORER_LEFT, 100, 0, true, true, PLAN_FILTER},
        {STORER_DOUBT, 100, 0, false, true, PLAN_HEADER},
        {STORER_DOUBT, 100, 0, false, false, PLAN_FETCH},
        {STORER_DOUBT, 100, 0, true, true, PLAN_HEADER},
        {STORER_REFUSED, 100, 0, true, true, PLAN_FETCH},
        {STORER_HELD, 101, 100, true, true, PLAN_STAY},
        {STORER_QUARANTINED, 100, 0, false, true, PLAN_STAY},
        {STORER_SEEN, 101, 100, true, true, PLAN_STAY},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct plan_policy policy = {
            .max_octets = rows[i].most, .has_filter = rows[i].filter, .has_top = rows[i].top};
        struct storer_message message = {.octets = rows[i].octets, .standing = rows[i].standing};
        assert_int_equal(plan_action(&policy, &message), rows[i].expected);
    }
}

static void test_deletions(void **state)
{
    enum { DAY = 86400, NOW = 100 * DAY };
    static const struct {
        struct fetch_keep keep;
        enum storer_standing standing;
        int64_t stored_s;
        size_t index; /* of 10 */
        bool expected;
    } rows[] = {
        {{FETCH_KEEP_NONE, 0}, STORER_HELD, NOW, 0, true},
        {{FETCH_KEEP_NONE, 0}, STORER_NEW, 0, 0, false},
        {{FETCH_KEEP_NONE, 0}, STORER_DOUBT, NOW, 0, false},
        {{FETCH_KEEP_NONE, 0}, STORER_LEFT, 0, 0, false},
        {{FETCH_KEEP_NONE, 0}, STORER_REFUSED, 0, 0, false},
        {{FETCH_KEEP_NONE, 0}, STORER_QUARANTINED, 0, 0, false},
        {{FETCH_KEEP_NONE, 0}, STORER_SEEN, 1, 0, false},
        {{FETCH_KEEP_DAYS, 14}, STORER_SEEN, 1, 0, true},
        {{FETCH_KEEP_DAYS, 14}, STORER_SEEN, 0, 0, false},
        {{FETCH_KEEP_NEWEST, 3}, STORER_SEEN, 1, 0, true},
        {{FETCH_KEEP_NEWEST, 3}, STORER_SEEN, 0, 0, false},
        {{FETCH_KEEP_ALL, 0}, STORER_SEEN, 1, 0, false},
        {{FETCH_KEEP_ALL, 0}, STORER_HELD, 1, 0, false},
        {{FETCH_KEEP_DAYS, 7}, STORER_HELD, NOW - 7 * DAY, 0, true},
        {{FETCH_KEEP_DAYS, 7}, STORER_HELD, NOW - 7 * DAY + 1, 0, false},
        {{FETCH_KEEP_DAYS, 7}, STORER_HELD, 0, 0, false},
        {{FETCH_KEEP_DAYS, 7}, STORER_HELD, NOW + DAY, 0, false},
        {{FETCH_KEEP_NEWEST, 3}, STORER_HELD, 1, 6, true},
        {{FETCH_KEEP_NEWEST, 3}, STORER_HELD, 1, 7, false},
        {{FETCH_KEEP_NEWEST, 30}, STORER_HELD, 1, 0, false},
        {{FETCH_KEEP_NEWEST, 3}, STORER_NEW, 0, 0, false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct plan_policy policy = {.keep = rows[i].keep, .now_s = NOW};
        struct storer_message messages[10] = {0};
        messages[rows[i].index].standing = rows[i].standing;
        messages[rows[i].index].stored_s = rows[i].stored_s;
        assert_int_equal(plan_deletes(&policy, messages, 10, rows[i].index), rows[i].expected);
    }
}

static void test_a_listing_in_any_order(void **state)
{
    struct remote_listing listing = {0};
    struct error error;
    (void)state;
    assert_int_equal(remote_listing_add_id(&listing, 7, bytes_of("seven"), &error), 0);
    assert_int_equal(remote_listing_add_octets(&listing, 3, 30, &error), 0);
    assert_int_equal(remote_listing_add_octets(&listing, 1, 10, &error), 0);
    assert_int_equal(remote_listing_add_octets(&listing, 3, 31, &error), 0);
    assert_int_equal(remote_listing_add_id(&listing, 3, bytes_of("three"), &error), 0);
    remote_listing_finish(&listing);
    assert_int_equal(listing.count, 3);
    assert_int_equal(listing.messages[0].number, 1);
    assert_int_equal(listing.messages[1].number, 3);
    assert_true(bytes_equal(listing.messages[1].unique_id, bytes_of("three")));
    assert_true(listing.messages[1].octets == 30 || listing.messages[1].octets == 31);
    assert_true(bytes_equal(listing.messages[2].unique_id, bytes_of("seven")));
    assert_true(listing.messages[2].octets == STORER_OCTETS_UNKNOWN);
    assert_int_equal(listing.repeated, 1);
    assert_int_equal(listing.unlisted, 1);
    assert_int_equal(listing.without_id, 1);
    assert_int_equal(remote_listing_find(&listing, 7), 2);
    assert_int_equal(remote_listing_find(&listing, 2), listing.count);
    remote_listing_clear(&listing);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_actions),
        cmocka_unit_test(test_deletions),
        cmocka_unit_test(test_a_listing_in_any_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
