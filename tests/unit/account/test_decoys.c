/* SPDX-License-Identifier: MIT */
#include "account/decoys.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <sodium.h>

#include "account/account_secrets.h"
#include "scratch.h"

#define BCRYPT "{BLF-CRYPT}$2y$05$w1ss7.EcsBsAr0pA8KIOL.A.k3I2qaYLWyT1Zy2aKuDGnYeZan/3y"
#define KEYS                                                                                       \
    ",AAAAAAAAAAAAAAAAAAAAAA==,AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=,"                      \
    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
#define SCRAM "{SCRAM-SHA-256}5000" KEYS

static struct verifier_cost cost_of(const char *verifier)
{
    struct verifier_cost cost;
    struct error error;
    assert_int_equal(verifier_examine(bytes_of(verifier), &cost, &error), 0);
    return cost;
}

/* The account's verifier; never one that lets anybody in. */
static void assert_costs(const struct decoys *decoys, const char *as)
{
    struct account *account;
    struct error error;
    assert_int_equal(decoys_account(decoys, &account, &error), 0);
    struct verifier_cost wanted = cost_of(as);
    struct verifier_cost found = cost_of(account->verifier);
    assert_true(verifier_cost_equal(&wanted, &found));
    assert_false(account->may_login);
    assert_string_equal(account->name, "");
    (void)account_free(account);
}

static void test_it_costs_what_most_cost(void **state)
{
    (void)state;
    struct decoys decoys = {0};
    assert_costs(&decoys, "{SCRAM-SHA-256}100000" KEYS);
    decoys_learn(&decoys, SCRAM);
    assert_costs(&decoys, SCRAM);
    decoys_learn(&decoys, BCRYPT);
    decoys_learn(&decoys, BCRYPT);
    assert_costs(&decoys, BCRYPT);
    for (int i = 0; i < 2; i++) {
        decoys_learn(&decoys, "no verifier");
        decoys_learn(&decoys, "");
        decoys_learn(&decoys, SCRAM);
    }
    assert_costs(&decoys, SCRAM);
    decoys_finish(&decoys);
}

static void test_a_plain_password_is_not_kept(void **state)
{
    (void)state;
    struct decoys decoys = {0};
    struct account *account;
    struct error error;
    decoys_learn(&decoys, "{PLAIN}secret");
    assert_int_equal(decoys_account(&decoys, &account, &error), 0);
    assert_null(strstr(account->verifier, "secret"));
    assert_memory_equal(account->verifier, "{PLAIN}", 7);
    (void)account_free(account);
    decoys_finish(&decoys);
}

static void test_the_right_password_of_the_example_lets_nobody_in(void **state)
{
    (void)state;
    struct decoys decoys = {0};
    struct account *account;
    struct error error;
    struct secret *secret = secret_of("correct horse");
    size_t number;
    decoys_learn(&decoys, BCRYPT);
    assert_int_equal(decoys_account(&decoys, &account, &error), 0);
    assert_int_equal(account_check(account, secret, &number, &error), -1);
    assert_int_equal(error.kind, ERROR_BAD_CREDENTIALS);
    (void)account_free(account);
    (void)secret_free(secret);
    decoys_finish(&decoys);
}

static void test_iterations_are_of_one_hash(void **state)
{
    (void)state;
    struct decoys decoys = {0};
    assert_int_equal(decoys_iterations(&decoys, SCRAM_SHA_256), 0);
    decoys_learn(&decoys, BCRYPT);
    decoys_learn(&decoys, SCRAM);
    assert_int_equal(decoys_iterations(&decoys, SCRAM_SHA_256), 5000);
    assert_int_equal(decoys_iterations(&decoys, SCRAM_SHA_1), 0);
    decoys_finish(&decoys);
}

static void test_a_site_that_changes_its_hashes_is_followed(void **state)
{
    (void)state;
    struct decoys decoys = {0};
    for (int i = 0; i < 100000; i++) {
        decoys_learn(&decoys, SCRAM);
    }
    for (int i = 0; i < 5000; i++) {
        decoys_learn(&decoys, BCRYPT);
    }
    assert_costs(&decoys, BCRYPT);
    decoys_finish(&decoys);
}

static void test_kinds_are_bounded(void **state)
{
    (void)state;
    struct decoys decoys = {0};
    char verifier[VERIFIER_OCTETS_MAX];
    for (int i = 0; i < 20; i++) {
        (void)snprintf(verifier, sizeof verifier, "{SCRAM-SHA-256}%d" KEYS, 5000 + i);
        decoys_learn(&decoys, verifier);
        decoys_learn(&decoys, BCRYPT);
    }
    assert_int_equal(decoys.size, DECOYS_KINDS);
    assert_costs(&decoys, BCRYPT);
    decoys_finish(&decoys);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_it_costs_what_most_cost),
        cmocka_unit_test(test_a_plain_password_is_not_kept),
        cmocka_unit_test(test_the_right_password_of_the_example_lets_nobody_in),
        cmocka_unit_test(test_iterations_are_of_one_hash),
        cmocka_unit_test(test_a_site_that_changes_its_hashes_is_followed),
        cmocka_unit_test(test_kinds_are_bounded),
    };
    return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
