/* SPDX-License-Identifier: MIT */
#include "account/verification_cache.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "scratch.h"

static struct verification_cache *create(void)
{
    struct verification_cache *cache = NULL;
    assert_int_equal(verification_cache_create(&cache, NULL), 0);
    return cache;
}

static struct verification_question question_of(const char *user, const struct secret *password)
{
    return (struct verification_question){.source = bytes_of("file"),
                                          .user = bytes_of(user),
                                          .service = bytes_of("pop3"),
                                          .rules = bytes_of("1"),
                                          .connection = bytes_of("tls"),
                                          .password = password};
}

static void insert(struct verification_cache *cache, const struct verification_question *question,
                   uint64_t generation, const char *user, const char *maildrop)
{
    struct verification_answer answer = {user, maildrop};
    verification_cache_insert(cache, question, generation, &answer);
}

/* The canonical user of a hit, or NULL. */
static const char *ask(struct verification_cache *cache,
                       const struct verification_question *question, uint64_t generation)
{
    struct verification_answer answer = {0};
    return verification_cache_lookup(cache, question, generation, &answer) ? answer.user : NULL;
}

static void brings_what_was_put_in(void **state)
{
    (void)state;
    struct verification_cache *cache = create();
    struct secret *password = secret_of("secret");
    struct verification_question question = question_of("Alice", password);
    struct verification_answer answer;
    assert_null(ask(cache, &question, 1));
    insert(cache, &question, 1, "alice", "/srv/alice");
    assert_true(verification_cache_lookup(cache, &question, 1, &answer));
    assert_string_equal(answer.user, "alice");
    assert_string_equal(answer.maildrop, "/srv/alice");
    insert(cache, &question, 1, "alice", NULL);
    assert_true(verification_cache_lookup(cache, &question, 1, &answer));
    assert_string_equal(answer.user, "alice");
    assert_null(answer.maildrop);
    verification_cache_clear(cache);
    assert_null(ask(cache, &question, 1));
    secret_free(password);
    verification_cache_free(cache);
    assert_null(verification_cache_free(NULL));
}

static void another_generation_is_a_miss(void **state)
{
    (void)state;
    struct verification_cache *cache = create();
    struct secret *password = secret_of("secret");
    struct verification_question question = question_of("alice", password);
    insert(cache, &question, 7, "alice", NULL);
    assert_string_equal(ask(cache, &question, 7), "alice");
    assert_null(ask(cache, &question, 8));
    assert_null(ask(cache, &question, 7)); /* gone for good */
    insert(cache, &question, 8, "alice", NULL);
    assert_null(ask(cache, &question, 7)); /* nor may an older one come back */
    insert(cache, &question, 8, "alice", NULL);
    insert(cache, &question, 9, "new", NULL);
    assert_string_equal(ask(cache, &question, 9), "new");
    insert(cache, &question, 10, "newer", NULL); /* takes the place of what was there */
    assert_null(ask(cache, &question, 9));
    assert_null(ask(cache, &question, 9));
    secret_free(password);
    verification_cache_free(cache);
}

/* Every member by itself decides, and no octet may wander from one to the next. */
static void every_part_of_the_question_counts(void **state)
{
    (void)state;
    struct verification_cache *cache = create();
    struct secret *ab = secret_of("ab"), *a = secret_of("a"), *b = secret_of("b");
    struct verification_question questions[] = {
        {bytes_of("s"), bytes_of("u"), bytes_of("p"), bytes_of("r"), bytes_of("c"), ab},
        {bytes_of("S"), bytes_of("u"), bytes_of("p"), bytes_of("r"), bytes_of("c"), ab},
        {bytes_of("s"), bytes_of("U"), bytes_of("p"), bytes_of("r"), bytes_of("c"), ab},
        {bytes_of("s"), bytes_of("u"), bytes_of("P"), bytes_of("r"), bytes_of("c"), ab},
        {bytes_of("s"), bytes_of("u"), bytes_of("p"), bytes_of("R"), bytes_of("c"), ab},
        {bytes_of("s"), bytes_of("u"), bytes_of("p"), bytes_of("r"), bytes_of("C"), ab},
        {bytes_of("s"), bytes_of("u"), bytes_of("p"), bytes_of("r"), bytes_of("c"), a},
        {bytes_of("s"), bytes_of("u"), bytes_of("p"), bytes_of("r"), bytes_of("ca"), b},
        {bytes_of("s"), bytes_of("u"), bytes_of("p"), bytes_of("rc"), bytes_of(""), ab},
        {bytes_of("s"), bytes_of("up"), bytes_of(""), bytes_of("r"), bytes_of("c"), ab},
        {bytes_of("su"), bytes_of(""), bytes_of("p"), bytes_of("r"), bytes_of("c"), ab},
        {bytes_of(""), bytes_of("su"), bytes_of("p"), bytes_of("r"), bytes_of("c"), ab},
        {bytes_of("s"),
         {(const uint8_t *)"u\0", 2},
         bytes_of("p"),
         bytes_of("r"),
         bytes_of("c"),
         ab},
    };
    enum { COUNT = sizeof questions / sizeof *questions };
    for (size_t i = 0; i < COUNT; i++) {
        insert(cache, &questions[i], 1, "x", NULL);
        for (size_t j = 0; j < COUNT; j++) {
            if ((ask(cache, &questions[j], 1) != NULL) != (i == j)) {
                fail_msg("%zu answers %zu", i, j);
            }
        }
        verification_cache_clear(cache);
    }
    secret_free(ab);
    secret_free(a);
    secret_free(b);
    verification_cache_free(cache);
}

/* Two users with each other's passwords, in every order of two insertions and two look-ups. */
static void users_are_never_mixed(void **state)
{
    (void)state;
    static const char *const names[2] = {"alice", "bob"};
    struct secret *passwords[2] = {secret_of("one"), secret_of("two")};
    for (unsigned order = 0; order < 16; order++) {
        struct verification_cache *cache = create();
        unsigned first = order & 1, asked = order >> 1 & 1, with = order >> 2 & 1;
        bool both = (order >> 3 & 1) != 0;
        struct verification_question own = question_of(names[first], passwords[first]);
        insert(cache, &own, 1, names[first], names[first]);
        if (both) {
            struct verification_question other = question_of(names[!first], passwords[!first]);
            insert(cache, &other, 1, names[!first], names[!first]);
        }
        struct verification_question question = question_of(names[asked], passwords[with]);
        struct verification_answer answer = {0};
        bool hit = verification_cache_lookup(cache, &question, 1, &answer);
        assert_int_equal(hit, asked == with && (both || asked == first));
        if (hit) {
            assert_string_equal(answer.user, names[asked]);
            assert_string_equal(answer.maildrop, names[asked]);
        }
        verification_cache_free(cache);
    }
    secret_free(passwords[0]);
    secret_free(passwords[1]);
}

static const char *numbered(int i)
{
    static char name[32];
    (void)snprintf(name, sizeof name, "user%d", i);
    return name;
}

static void oldest_goes_first(void **state)
{
    (void)state;
    enum { MORE = 100 };
    struct verification_cache *cache = create();
    struct secret *password = secret_of("secret");
    for (int i = 0; i < VERIFICATION_CACHE_ENTRIES + MORE; i++) {
        struct verification_question question = question_of(numbered(i), password);
        insert(cache, &question, 1, numbered(i), NULL);
    }
    for (int i = 0; i < VERIFICATION_CACHE_ENTRIES + MORE; i++) {
        struct verification_question question = question_of(numbered(i), password);
        const char *user = ask(cache, &question, 1);
        if (i < MORE) {
            assert_null(user);
        } else {
            assert_non_null(user);
            assert_string_equal(user, numbered(i));
        }
    }
    secret_free(password);
    verification_cache_free(cache);
}

/* Against a plain array that does what the header says. */
static void agrees_with_a_model(void **state)
{
    (void)state;
    enum { USERS = 6000, STEPS = 60000 };
    static uint64_t generations[USERS]; /* 0: not in the cache */
    static int inserted[USERS];         /* when */
    struct verification_cache *cache = create();
    struct secret *password = secret_of("secret");
    unsigned random = 1;
    uint64_t generation = 1;
    for (int step = 1; step <= STEPS; step++) {
        random = random * 1103515245u + 12345u;
        int user = (int)(random >> 8) % USERS;
        struct verification_question question = question_of(numbered(user), password);
        if (step % 10000 == 0) {
            generation++;
        }
        if ((random >> 24 & 1) != 0) {
            insert(cache, &question, generation, numbered(user), NULL);
            generations[user] = generation;
            inserted[user] = step;
        } else {
            const char *found = ask(cache, &question, generation);
            if (found != NULL) {
                assert_int_equal(generations[user], generation);
                assert_string_equal(found, numbered(user));
            } else if (generations[user] == generation) {
                /* only age excuses a miss: that many insertions later the ring has come round */
                assert_true(step - inserted[user] >= VERIFICATION_CACHE_ENTRIES);
                generations[user] = 0;
            } else {
                generations[user] = 0;
            }
        }
    }
    secret_free(password);
    verification_cache_free(cache);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(brings_what_was_put_in),
        cmocka_unit_test(another_generation_is_a_miss),
        cmocka_unit_test(every_part_of_the_question_counts),
        cmocka_unit_test(users_are_never_mixed),
        cmocka_unit_test(oldest_goes_first),
        cmocka_unit_test(agrees_with_a_model),
    };
    return cmocka_run_group_tests_name("verification_cache", tests, NULL, NULL);
}
