/* SPDX-License-Identifier: MIT */
#include "cmocka_first.h"

#include "server/randomness.h"

static unsigned calls;
static uint8_t next_octet;

void __wrap_randombytes_buf(void *out, size_t size);

/* Numbers in turn instead, so that what is given twice shows. */
void __wrap_randombytes_buf(void *out, size_t size)
{
    calls++;
    for (size_t i = 0; i < size; i++) {
        ((uint8_t *)out)[i] = ++next_octet;
    }
}

static void test_octets_are_given_once_and_wiped(void **state)
{
    (void)state;
    struct randomness randomness = {0};
    unsigned seen[256] = {0};
    for (unsigned i = 0; i < 2 * RANDOMNESS_OCTETS / 16; i++) {
        uint8_t drawn[16] = {0};
        randomness_draw(&randomness, drawn, sizeof drawn);
        for (size_t at = 0; at < sizeof drawn; at++) {
            seen[drawn[at]]++;
        }
        for (size_t at = randomness.left; at < RANDOMNESS_OCTETS; at++) {
            assert_int_equal(randomness.octets[at], 0);
        }
    }
    assert_int_equal(calls, 2);
    for (size_t i = 0; i < 256; i++) {
        assert_int_equal(seen[i], 2 * RANDOMNESS_OCTETS / 256);
    }
}

static void test_what_is_left_over_is_never_made_longer(void **state)
{
    (void)state;
    struct randomness randomness = {0};
    uint8_t all[RANDOMNESS_OCTETS];
    randomness_draw(&randomness, all, 1);
    randomness_draw(&randomness, all, sizeof all); /* more than is left: of the next ones */
    for (size_t i = 1; i < sizeof all; i++) {
        assert_int_equal(all[i], (uint8_t)(all[0] + i));
    }
    assert_int_equal(randomness.left, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_octets_are_given_once_and_wiped),
        cmocka_unit_test(test_what_is_left_over_is_never_made_longer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
