/* SPDX-License-Identifier: MIT */
#include "account/secret.h"

#include <inttypes.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "scratch.h"

static void keeps_what_it_was_given(void **state)
{
    (void)state;
    uint8_t octets[SECRET_OCTETS_MAX + 1];
    for (size_t i = 0; i < sizeof octets; i++) {
        octets[i] = (uint8_t)i;
    }
    for (size_t size = 0; size <= SECRET_OCTETS_MAX; size++) {
        struct secret *secret;
        struct bytes given = {octets, size};
        assert_int_equal(secret_create(given, &secret, NULL), 0);
        assert_true(bytes_equal(secret_octets(secret), given));
        assert_int_equal(secret_octets(secret).data[size], 0);
        assert_null(secret_free(secret));
    }
    struct secret *none = NULL;
    struct error error = {0};
    assert_int_equal(secret_create((struct bytes){octets, sizeof octets}, &none, &error), -1);
    assert_int_equal(error.kind, ERROR_LIMIT);
    assert_string_equal(error.text, "a password has at most 512 octets");
    assert_null(none);
    assert_null(secret_free(NULL));
}

static void grows_piece_by_piece(void **state)
{
    (void)state;
    struct secret *secret = secret_of("");
    for (int i = 0; i < SECRET_OCTETS_MAX / 4; i++) {
        assert_int_equal(secret_append(secret, bytes_of("abcd"), NULL), 0);
    }
    assert_int_equal(secret_append(secret, bytes_of(""), NULL), 0);
    struct error error = {0};
    assert_int_equal(secret_append(secret, bytes_of("e"), &error), -1);
    assert_int_equal(error.kind, ERROR_LIMIT);
    assert_int_equal(secret_octets(secret).size, SECRET_OCTETS_MAX);
    assert_memory_equal(secret_octets(secret).data + 508, "abcd", 5);
    secret_free(secret);
}

static void equality_is_exact(void **state)
{
    (void)state;
    static const char *const texts[] = {"",     "a",    "b",    "ab",     "abc",
                                        "abcd", "ABCD", "\xFF", "abc\xFF"};
    enum { COUNT = sizeof texts / sizeof *texts };
    for (size_t i = 0; i < COUNT; i++) {
        struct secret *a = secret_of(texts[i]);
        for (size_t j = 0; j < COUNT; j++) {
            struct secret *b = secret_of(texts[j]);
            assert_int_equal(secret_equal(a, b), i == j);
            assert_int_equal(secret_equal_octets(a, bytes_of(texts[j])), i == j);
            secret_free(b);
        }
        secret_free(a);
    }
    struct secret *nul;
    assert_int_equal(secret_create((struct bytes){(const uint8_t *)"a\0", 2}, &nul, NULL), 0);
    assert_false(secret_equal_octets(nul, bytes_of("a")));
    secret_free(nul);
    uint8_t octets[SECRET_OCTETS_MAX + 1] = {0};
    struct secret *most;
    assert_int_equal(secret_create((struct bytes){octets, SECRET_OCTETS_MAX}, &most, NULL), 0);
    assert_true(secret_equal_octets(most, (struct bytes){octets, SECRET_OCTETS_MAX}));
    assert_false(secret_equal_octets(most, (struct bytes){octets, sizeof octets}));
    secret_free(most);
}

/* The slot is of a slab that stays mapped, so that a test may look at it after free. */
static void free_wipes(void **state)
{
    (void)state;
    struct secret *secret = secret_of("a password that nobody may find");
    struct bytes octets = secret_octets(secret);
    secret_free(secret);
    for (size_t i = 0; i < octets.size; i++) {
        assert_int_equal(octets.data[i], 0);
    }
    secret = secret_of("b"); /* the same slot: nothing of the first shines through */
    assert_ptr_equal(secret_octets(secret).data, octets.data);
    assert_memory_equal(octets.data, "b\0\0", 3);
    secret_free(secret);
}

static void pool_has_an_end(void **state)
{
    (void)state;
    static struct secret *alive[SECRETS_MAX];
    for (size_t i = 0; i < SECRETS_MAX; i++) {
        alive[i] = secret_of("x");
    }
    struct secret *none = NULL;
    struct error error = {0};
    assert_int_equal(secret_create(bytes_of("x"), &none, &error), -1);
    assert_int_equal(error.kind, ERROR_LIMIT);
    secret_free(alive[7]);
    alive[7] = secret_of("y");
    for (size_t i = 0; i < SECRETS_MAX; i++) {
        assert_true(secret_equal_octets(alive[i], bytes_of(i == 7 ? "y" : "x")));
        secret_free(alive[i]);
    }
}

static void *churn(void *argument)
{
    const char *text = argument;
    for (int i = 0; i < 20000; i++) {
        struct secret *secret;
        if (secret_create(bytes_of(text), &secret, NULL) < 0) {
            return argument;
        }
        bool is_right = secret_equal_octets(secret, bytes_of(text));
        secret_free(secret);
        if (!is_right) {
            return argument;
        }
    }
    return NULL;
}

/* The kernel's flags of the mapping in which an address lies; "" if there is none. */
static void mapping_flags(const void *address, char *flags, size_t size)
{
    FILE *maps = fopen("/proc/self/smaps", "re");
    assert_non_null(maps);
    char line[1024];
    bool inside = false;
    flags[0] = '\0';
    while (flags[0] == '\0' && fgets(line, sizeof line, maps) != NULL) {
        uintptr_t start;
        uintptr_t end;
        char dash;
        if (sscanf(line, "%" SCNxPTR "%c%" SCNxPTR, &start, &dash, &end) == 3 && dash == '-') {
            inside = start <= (uintptr_t)address && (uintptr_t)address < end;
        } else if (inside && strncmp(line, "VmFlags:", 8) == 0) {
            (void)snprintf(flags, size, "%.100s", line + 8);
        }
    }
    assert_int_equal(fclose(maps), 0);
}

static void no_core_has_them(void **state)
{
    (void)state;
    char flags[128];
    struct secret *secret = secret_of("x");
    mapping_flags(secret_octets(secret).data, flags, sizeof flags);
    assert_non_null(strstr(flags, " dd ")); /* MADV_DONTDUMP */
    secret = secret_free(secret);
    mapping_flags(flags, flags, sizeof flags);
    assert_string_not_equal(flags, "");
    assert_null(strstr(flags, " dd "));
}

static void threads_do_not_mix(void **state)
{
    (void)state;
    static char texts[4][8] = {"one", "two", "three", "four"};
    pthread_t threads[4];
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, churn, texts[i]), 0);
    }
    for (size_t i = 0; i < 4; i++) {
        void *result;
        assert_int_equal(pthread_join(threads[i], &result), 0);
        assert_null(result);
    }
}

static void takes_tokens(void **state)
{
    (void)state;
    static uint8_t octets[SECRET_TOKEN_OCTETS_MAX + 1];
    static struct secret *all[SECRET_TOKENS_MAX];
    struct secret *secret, *other, *password;
    struct error error;
    memset(octets, 'x', sizeof octets);
    assert_int_equal(
        secret_create_token((struct bytes){octets, SECRET_TOKEN_OCTETS_MAX}, &secret, NULL), 0);
    struct bytes kept = secret_octets(secret);
    assert_int_equal(kept.size, SECRET_TOKEN_OCTETS_MAX);
    assert_memory_equal(kept.data, octets, kept.size);
    assert_int_equal(kept.data[kept.size], 0);
    assert_int_equal(secret_append(secret, bytes_of("x"), &error), -1);
    assert_int_equal(error.kind, ERROR_LIMIT);
    assert_int_equal(secret_create_token((struct bytes){octets, sizeof octets}, &other, &error),
                     -1);
    assert_int_equal(error.kind, ERROR_LIMIT);
    assert_int_equal(secret_create_token(bytes_of("short"), &other, NULL), 0);
    assert_int_equal(secret_create(bytes_of("short"), &password, NULL), 0);
    assert_false(secret_equal(other, password));
    assert_false(secret_equal(other, secret));
    assert_true(secret_equal(other, other));
    assert_false(secret_equal_octets(other, bytes_of("short")));
    (void)secret_free(password);
    (void)secret_free(other);
    (void)secret_free(secret);
    for (size_t i = 0; i < SECRET_TOKENS_MAX; i++) {
        assert_int_equal(secret_create_token(bytes_of("short"), &all[i], NULL), 0);
    }
    assert_int_equal(secret_create_token(bytes_of("short"), &other, &error), -1);
    assert_int_equal(error.kind, ERROR_LIMIT);
    for (size_t i = 0; i < SECRET_TOKENS_MAX; i++) {
        all[i] = secret_free(all[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_tokens),         cmocka_unit_test(keeps_what_it_was_given),
        cmocka_unit_test(grows_piece_by_piece), cmocka_unit_test(equality_is_exact),
        cmocka_unit_test(free_wipes),           cmocka_unit_test(pool_has_an_end),
        cmocka_unit_test(threads_do_not_mix),   cmocka_unit_test(no_core_has_them),
    };
    return cmocka_run_group_tests_name("secret", tests, NULL, NULL);
}
