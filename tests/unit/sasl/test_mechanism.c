/* SPDX-License-Identifier: MIT */
/* What is offered where: a client takes what it finds best, so nothing may be offered that then fails. */
#include "cmocka_first.h"

#include "sasl/mechanism.h"

enum {
    TEXT = SASL_VERIFIER_TEXT,
    SCRAM_256 = SASL_VERIFIER_SCRAM_SHA_256,
    SCRAM_1 = SASL_VERIFIER_SCRAM_SHA_1,
    HASH = SASL_VERIFIER_HASH
};

#define BIT(name) (1U << SASL_##name)

static const struct {
    const char *list; /* NULL: none */
    struct sasl_offer offer;
    bool apop;
} cases[] = {
    {NULL, {.verifiers = 0, .password_allowed = true, .has_binding = true}, false},
    {"PLAIN LOGIN", {.verifiers = HASH, .password_allowed = true, .has_binding = true}, false},
    {NULL, {.verifiers = HASH, .has_binding = true}, false},
    {"SCRAM-SHA-256 PLAIN LOGIN", {.verifiers = SCRAM_256, .password_allowed = true}, false},
    {"SCRAM-SHA-256", {.verifiers = SCRAM_256}, false},
    {"SCRAM-SHA-256-PLUS SCRAM-SHA-256", {.verifiers = SCRAM_256, .has_binding = true}, false},
    {"SCRAM-SHA-1-PLUS SCRAM-SHA-1", {.verifiers = SCRAM_1, .has_binding = true}, false},
    {"SCRAM-SHA-256 SCRAM-SHA-1 CRAM-MD5", {.verifiers = TEXT}, true},
    {"EXTERNAL SCRAM-SHA-256-PLUS SCRAM-SHA-1-PLUS SCRAM-SHA-256 SCRAM-SHA-1 CRAM-MD5 PLAIN LOGIN",
     {.verifiers = TEXT, .password_allowed = true, .has_binding = true, .has_certificate = true},
     true},
    {"EXTERNAL", {.verifiers = HASH, .has_certificate = true}, false},
    {"EXTERNAL", {.has_certificate = true}, false}, /* nobody may come in by a secret */
    /* one account that cannot is enough: its owner's client would choose what fails */
    {"SCRAM-SHA-256", {.verifiers = TEXT | SCRAM_256}, false},
    {"PLAIN LOGIN", {.verifiers = TEXT | HASH, .password_allowed = true}, false},
    {NULL, {.verifiers = SCRAM_1 | SCRAM_256}, false},
    /* the operator knows better, but not what nobody can do, or what this connection forbids */
    {"SCRAM-SHA-256", {.verifiers = SCRAM_256 | HASH, .chosen = BIT(SCRAM_SHA_256)}, false},
    {NULL, {.verifiers = HASH, .chosen = BIT(SCRAM_SHA_256) | BIT(APOP)}, false},
    {NULL, {.verifiers = TEXT | HASH, .chosen = BIT(APOP)}, true},
    {NULL, {.verifiers = TEXT, .chosen = BIT(PLAIN) | BIT(SCRAM_SHA_256_PLUS)}, false},
    {"CRAM-MD5", {.verifiers = TEXT, .chosen = BIT(CRAM_MD5)}, false},
    {NULL, {.verifiers = TEXT, .chosen = BIT(MECHANISM_COUNT), .password_allowed = true}, false},
    /* tokens: whatever the accounts have, but not where anybody listens */
    {"OAUTHBEARER XOAUTH2", {.password_allowed = true, .has_tokens = true}, false},
    {"OAUTHBEARER XOAUTH2 PLAIN LOGIN",
     {.verifiers = HASH, .password_allowed = true, .has_tokens = true},
     false},
    {NULL, {.verifiers = HASH, .has_tokens = true}, false},
    {"XOAUTH2",
     {.verifiers = HASH, .chosen = BIT(XOAUTH2), .password_allowed = true, .has_tokens = true},
     false},
    {NULL, {.verifiers = HASH, .chosen = BIT(XOAUTH2), .password_allowed = true}, false},
    {"EXTERNAL SCRAM-SHA-256-PLUS SCRAM-SHA-1-PLUS SCRAM-SHA-256 SCRAM-SHA-1 OAUTHBEARER XOAUTH2 "
     "CRAM-MD5 PLAIN LOGIN", /* all that there are fit */
     {.verifiers = TEXT,
      .password_allowed = true,
      .has_binding = true,
      .has_certificate = true,
      .has_tokens = true},
     true},
};

static void test_offers(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char memory[SASL_LIST_SIZE];
        const char *list = sasl_list(&cases[i].offer, memory);
        assert_int_equal(list == NULL, cases[i].list == NULL);
        if (list != NULL) {
            assert_string_equal(list, cases[i].list);
        }
        assert_int_equal(sasl_is_offered(&cases[i].offer, SASL_APOP), cases[i].apop);
    }
}

static void test_names(void **state)
{
    (void)state;
    for (unsigned i = 0; i < SASL_MECHANISM_COUNT; i++) {
        enum sasl_mechanism mechanism = (enum sasl_mechanism)i;
        assert_int_equal(sasl_mechanism_find(bytes_of(sasl_mechanism_name(mechanism))), mechanism);
    }
    assert_int_equal(sasl_mechanism_find(bytes_of("scram-sha-256-plus")), SASL_SCRAM_SHA_256_PLUS);
    assert_int_equal(sasl_mechanism_find(bytes_of("SCRAM-SHA-256-")), SASL_MECHANISM_COUNT);
    assert_int_equal(sasl_mechanism_find(bytes_of("")), SASL_MECHANISM_COUNT);
    assert_true(sasl_mechanism_is_plus(SASL_SCRAM_SHA_1_PLUS));
    assert_false(sasl_mechanism_is_plus(SASL_SCRAM_SHA_1));
    assert_int_equal(sasl_mechanism_hash(SASL_SCRAM_SHA_1_PLUS), SCRAM_SHA_1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_offers), cmocka_unit_test(test_names)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
