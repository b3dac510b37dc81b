/* SPDX-License-Identifier: MIT */
/* What is remembered of tokens: never longer than either of the two limits, and never more than there is room for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>

#include "account/token_cache.h"

static void test_is_remembered_for_its_time(void **state)
{
    (void)state;
    struct token_cache *cache = token_cache_create(1000);
    assert_null(token_cache_find(cache, bytes_of("token"), 5));
    token_cache_add(cache, bytes_of("token"), "alice", 5, UINT64_MAX);
    assert_string_equal(token_cache_find(cache, bytes_of("token"), 5), "alice");
    assert_string_equal(token_cache_find(cache, bytes_of("token"), 1004), "alice");
    assert_null(token_cache_find(cache, bytes_of("token"), 1005));
    assert_null(token_cache_find(cache, bytes_of("toke"), 5));
    assert_null(token_cache_find(cache, bytes_of("tokeN"), 5));
    token_cache_add(cache, bytes_of("short"), "bob", 100, 10);
    assert_string_equal(token_cache_find(cache, bytes_of("short"), 109), "bob");
    assert_null(token_cache_find(cache, bytes_of("short"), 110));
    token_cache_add(cache, bytes_of("none"), "carol", 100, 0);
    assert_null(token_cache_find(cache, bytes_of("none"), 100));
    cache = token_cache_free(cache);
    assert_null(cache);
}

static void test_the_same_token_again(void **state)
{
    (void)state;
    struct token_cache *cache = token_cache_create(1000);
    token_cache_add(cache, bytes_of("token"), "alice", 0, UINT64_MAX);
    token_cache_add(cache, bytes_of("token"), "bob", 500, UINT64_MAX);
    assert_string_equal(token_cache_find(cache, bytes_of("token"), 1400), "bob");
    (void)token_cache_free(cache);
}

static void test_no_time_at_all(void **state)
{
    (void)state;
    struct token_cache *cache = token_cache_create(0);
    token_cache_add(cache, bytes_of("token"), "alice", 7, UINT64_MAX);
    assert_null(token_cache_find(cache, bytes_of("token"), 7));
    (void)token_cache_free(cache);
}

static void test_is_bounded(void **state)
{
    (void)state;
    char token[32];
    unsigned found = 0;
    struct token_cache *cache = token_cache_create(100000);
    for (unsigned i = 0; i < 20000; i++) {
        (void)snprintf(token, sizeof token, "token %u", i);
        token_cache_add(cache, bytes_of(token), token, i, UINT64_MAX);
    }
    for (unsigned i = 0; i < 20000; i++) {
        (void)snprintf(token, sizeof token, "token %u", i);
        const char *user = token_cache_find(cache, bytes_of(token), 20000);
        if (user != NULL) {
            assert_string_equal(user, token);
            found++;
        }
    }
    assert_in_range(found, 1000, 2048);
    assert_string_equal(token_cache_find(cache, bytes_of("token 19999"), 20000), "token 19999");
    (void)token_cache_free(cache);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_is_remembered_for_its_time),
        cmocka_unit_test(test_the_same_token_again),
        cmocka_unit_test(test_no_time_at_all),
        cmocka_unit_test(test_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
