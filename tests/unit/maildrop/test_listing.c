/* SPDX-License-Identifier: MIT */
/* The order of names, of many at once: it is that of maildir_name_compare, however they are sorted. */
#include "support.h"

#include <stdio.h>

#include "maildrop/maildir/index.h"
#include "maildrop/maildir/listing.h"
#include "maildrop/maildir/name.h"

static uint32_t next_number(uint32_t *seed)
{
    *seed = *seed * 1664525 + 1013904223;
    return *seed >> 8;
}

static void add(struct listing *listing, const char *name)
{
    assert_true(listing_add(listing, bytes_of(name)));
}

static void check_order(struct listing *listing, ssize_t doubles)
{
    assert_int_equal(listing_sort(listing), doubles);
    for (size_t i = 1; i < listing->count; i++) {
        struct bytes before = listing_base(listing, &listing->entries[i - 1]);
        struct bytes here = listing_base(listing, &listing->entries[i]);
        assert_true(maildir_name_compare(before, here) < 0);
    }
}

/* Numbers that differ in all of 64 bits, in few, or not at all; none, and more digits than a key has. */
static void many_names_are_in_order(void **state)
{
    (void)state;
    for (uint32_t round = 0; round < 4; round++) {
        struct listing listing = {0};
        uint32_t seed = round;
        for (uint32_t i = 0; i < 3000; i++) {
            uint64_t number = next_number(&seed);
            number = round == 0 ? number << 32 | next_number(&seed) : 1700000000 + number % 5000;
            char name[80];
            (void)snprintf(name, sizeof name, "%llu.M%u.host:2,S",
                           (unsigned long long)(round == 2 ? 5 : number), i);
            add(&listing, name);
        }
        add(&listing, "without-a-number:2,");
        add(&listing, "another");
        add(&listing, "99999999999999999999999.long");
        add(&listing, "11111111111111111111111.long");
        check_order(&listing, 0);
        assert_int_equal(listing.count, 3004);
        listing_finish(&listing);
    }
}

static void few_names_and_names_in_order_stay_right(void **state)
{
    (void)state;
    for (unsigned count = 1; count < 1200; count += 73) {
        struct listing listing = {0};
        for (unsigned i = 0; i < count; i++) {
            char name[80];
            (void)snprintf(name, sizeof name, "%u.host", 1000 + i);
            add(&listing, name);
        }
        check_order(&listing, 0);
        assert_int_equal(listing.count, count);
        listing_finish(&listing);
    }
}

static void doubles_are_merged_among_many(void **state)
{
    (void)state;
    struct listing listing = {0};
    for (unsigned i = 0; i < 1000; i++) {
        char name[80];
        (void)snprintf(name, sizeof name, "%u.host:2,S", i * 7919 % 1000);
        add(&listing, name);
    }
    add(&listing, "500.host:2,F");
    add(&listing, "999.host");
    check_order(&listing, 2);
    assert_int_equal(listing.count, 1000);
    assert_true((listing.entries[500].flags & INDEX_ROW_DOUBLE) != 0);
    assert_true((listing.entries[999].flags & INDEX_ROW_DOUBLE) != 0);
    assert_true((listing.entries[501].flags & INDEX_ROW_DOUBLE) == 0);
    listing_finish(&listing);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(many_names_are_in_order),
        cmocka_unit_test(few_names_and_names_in_order_stay_right),
        cmocka_unit_test(doubles_are_merged_among_many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
