/* SPDX-License-Identifier: MIT */
/* What `restante user` does to a line, and what the secrets are good for that it makes. */
#include "account/account_change.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "account/account_secrets.h"
#include "account/accounts.h"
#include "scratch.h"

#define BEFORE "bob:{PLAIN}b:1:1::/h:/bin/sh:x=y  userdb_mail=/m \r\n"
#define AFTER  "# end\ncarol:!"

static struct scratch scratch;

static struct account *lookup(const char *name)
{
    struct accounts *accounts;
    struct account *account;
    struct error error = {0};
    assert_int_equal(accounts_load(scratch.path, &accounts, &error), 0);
    if (accounts_lookup(accounts, bytes_of(name), &account, &error) < 0) {
        fail_msg("%s: %s", name, error.text);
    }
    (void)accounts_free(accounts);
    return account;
}

/* The number of the secret that it is; -1: none. */
static int number_of(const char *name, const char *password)
{
    struct account *account = lookup(name);
    struct secret *secret = secret_of(password);
    struct error error = {0};
    size_t number;
    int result = account_check(account, secret, &number, &error);
    if (result < 0) {
        assert_int_equal(error.kind, ERROR_BAD_CREDENTIALS);
    }
    (void)secret_free(secret);
    (void)account_free(account);
    return result < 0 ? -1 : (int)number;
}

static void set_up(const char *line)
{
    char text[2048];
    (void)snprintf(text, sizeof text, BEFORE "%s\n" AFTER, line);
    scratch_init(&scratch);
    scratch_write_text(&scratch, text);
}

/* The line between those of the others, which are as they were. */
static char *line_now(void)
{
    size_t size, before = strlen(BEFORE), after = strlen("\n" AFTER);
    char *text = scratch_read(&scratch, &size);
    assert_true(size > before + after);
    assert_memory_equal(text, BEFORE, before);
    assert_string_equal(text + size - after, "\n" AFTER);
    text[size - after] = '\0';
    memmove(text, text + before, size - after - before + 1);
    return text;
}

static void expect_line(const char *expected)
{
    char *line = line_now();
    assert_string_equal(line, expected);
    free(line);
}

static int add(const char *name, const char *app, const char *secret_text, bool is_plain,
               struct error *error)
{
    struct app_password_change change = {.name = bytes_of(app), .is_plain = is_plain};
    struct secret *secret = secret_of(secret_text);
    *error = (struct error){0};
    int result = account_add_app_password(scratch.path, bytes_of(name), &change, secret, error);
    (void)secret_free(secret);
    return result;
}

static void must_add(const char *app, const char *secret_text, bool is_plain)
{
    struct error error;
    if (add("alice", app, secret_text, is_plain, &error) < 0) {
        fail_msg("%s", error.text);
    }
}

static int revoke(const char *app, struct error *error)
{
    return account_revoke_app_password(scratch.path, bytes_of("alice"), bytes_of(app), error);
}

static void change_password(const char *text, const char *scheme)
{
    struct secret *secret = secret_of(text);
    assert_int_equal(account_change_password(scratch.path, bytes_of("Alice"), scheme, secret, NULL),
                     0);
    (void)secret_free(secret);
}

static void secrets_are_told_apart(void **state)
{
    (void)state;
    static const char *const verifiers[] = {
        "{PLAIN}main", "{CRYPT}$5$rounds=1000$saltsalt$mA0IaNPFQ2Ta0phpwCFpSgvPIIWi9qjMOGWbtLIN8q9",
        "scram"};
    for (size_t i = 0; i < sizeof verifiers / sizeof *verifiers; i++) {
        char line[512];
        bool is_known = strcmp(verifiers[i], "scram") != 0;
        (void)snprintf(line, sizeof line, "alice:%s", is_known ? verifiers[i] : "{PLAIN}main");
        set_up(line);
        if (!is_known) {
            change_password("main", "scram-sha-256");
        }
        must_add("phone", "one", false);
        must_add("tablet", "two", false);
        must_add("printer", "three", true);
        assert_int_equal(number_of("alice", "main"), i == 1 ? -1 : ACCOUNT_MAIN_SECRET);
        assert_int_equal(number_of("alice", "one"), 1);
        assert_int_equal(number_of("alice", "two"), 2);
        assert_int_equal(number_of("alice", "three"), 3);
        assert_int_equal(number_of("alice", "four"), -1);
        assert_int_equal(number_of("alice", ""), -1);
        assert_int_equal(number_of("bob", "one"), -1);
        assert_int_equal(revoke("phone", NULL), 0);
        assert_int_equal(number_of("alice", "one"), -1);
        assert_int_equal(number_of("alice", "two"), 1);
        scratch_finish(&scratch);
    }
}

/* One derivation must do for all, whatever order they were made in. */
static void secrets_share_a_salt(void **state)
{
    (void)state;
    static const char *const orders[] = {"pa", "ap", "apap", "app", "paar"};
    for (size_t i = 0; i < sizeof orders / sizeof *orders; i++) {
        struct bytes verifiers[ACCOUNT_SECRETS_MAX];
        struct scram_keys first, keys;
        set_up("alice:{PLAIN}x");
        for (int step = 0; orders[i][step] != '\0'; step++) {
            char name[2] = {(char)('a' + step), '\0'};
            if (orders[i][step] == 'p') {
                change_password("main", "scram-sha-256");
            } else if (orders[i][step] == 'a') {
                must_add(name, name, false);
            } else {
                assert_int_equal(revoke("b", NULL), 0);
            }
        }
        struct account *account = lookup("alice");
        size_t count = account_verifiers(account, verifiers);
        assert_true(count > 1);
        assert_true(verifier_scram_keys(verifiers[0], SCRAM_SHA_256, &first));
        assert_int_equal(first.iterations, VERIFIER_SCRAM_ITERATIONS);
        for (size_t j = 1; j < count; j++) {
            assert_true(verifier_scram_keys(verifiers[j], SCRAM_SHA_256, &keys));
            assert_true(scram_keys_have_one_salt(&first, &keys));
            assert_memory_not_equal(first.stored_key, keys.stored_key, sizeof keys.stored_key);
        }
        (void)account_free(account);
        assert_int_equal(number_of("alice", "main"), 0);
        scratch_finish(&scratch);
    }
}

static void lines_stay_as_they_are(void **state)
{
    (void)state;
    struct error error;
    set_up("alice:{PLAIN}x::::/h::  x=y   userdb_mail=/m ");
    must_add("a", "s", true);
    expect_line("alice:{PLAIN}x::::/h::  x=y   userdb_mail=/m restante_app_password=a;{PLAIN}s");
    must_add("b", "t", true);
    assert_int_equal(revoke("a", &error), 0);
    expect_line("alice:{PLAIN}x::::/h::  x=y   userdb_mail=/m restante_app_password=b;{PLAIN}t");
    assert_int_equal(revoke("b", &error), 0);
    expect_line("alice:{PLAIN}x::::/h::  x=y   userdb_mail=/m");
    scratch_finish(&scratch);
    set_up("alice:{PLAIN}x");
    must_add("a", "s", true);
    expect_line("alice:{PLAIN}x::::::restante_app_password=a;{PLAIN}s");
    assert_int_equal(revoke("a", &error), 0);
    expect_line("alice:{PLAIN}x::::::");
    scratch_finish(&scratch);
    set_up("alice:{MD5}broken:u::::::nologin");
    change_password("x", "argon2id");
    char *line = line_now();
    assert_memory_equal(line, "alice:{ARGON2ID}$", 17);
    assert_string_equal(strrchr(line, 'u'), "u::::::nologin");
    free(line);
    scratch_finish(&scratch);
}

static int change_rules(const char *nets, const char *tls, const char *main_password,
                        struct error *error)
{
    struct account_rules_change change = {nets, tls, main_password};
    *error = (struct error){0};
    return account_change_rules(scratch.path, bytes_of("alice"), &change, error);
}

static void rules_change(void **state)
{
    (void)state;
    struct error error;
    set_up("alice:{PLAIN}x::::::a allow_nets=::1 b");
    assert_int_equal(change_rules("192.0.2.0/24,2001:db8::/32", NULL, NULL, &error), 0);
    expect_line("alice:{PLAIN}x::::::a allow_nets=192.0.2.0/24,2001:db8::/32 b");
    assert_int_equal(change_rules("", "required", "no", &error), 0);
    expect_line("alice:{PLAIN}x::::::a b restante_tls=required restante_main_password=no");
    assert_int_equal(change_rules(NULL, "", "", &error), 0);
    expect_line("alice:{PLAIN}x::::::a b");
    assert_int_equal(change_rules(NULL, "", NULL, &error), 0);
    expect_line("alice:{PLAIN}x::::::a b");
    static const char *const wrong[] = {"10.0.0.1/8", "x", "::1 nologin", "::1;x", "::1\n"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        assert_int_equal(change_rules(wrong[i], NULL, NULL, &error), -1);
        assert_int_equal(error.kind, ERROR_USAGE);
    }
    expect_line("alice:{PLAIN}x::::::a b");
    scratch_finish(&scratch);
    set_up("alice:{PLAIN}x::::::allow_nets=everywhere"); /* a mistake that this mends */
    assert_int_equal(change_rules(NULL, "required", NULL, &error), -1);
    assert_int_equal(change_rules("", NULL, NULL, &error), 0);
    expect_line("alice:{PLAIN}x::::::");
    scratch_finish(&scratch);
}

static void refusals_leave_the_line(void **state)
{
    (void)state;
    struct error error;
    set_up("alice:{PLAIN}x");
    must_add("a", "s", true);
    assert_int_equal(add("alice", "a", "t", true, &error), -1);
    assert_int_equal(error.kind, ERROR_USAGE);
    assert_int_equal(add("alice", "a b", "t", true, &error), -1);
    assert_int_equal(error.kind, ERROR_USAGE);
    assert_int_equal(add("dave", "b", "t", true, &error), -1);
    assert_int_equal(error.kind, ERROR_NO_SUCH_USER);
    assert_int_equal(revoke("b", &error), -1);
    assert_int_equal(error.kind, ERROR_USAGE);
    assert_int_equal(revoke("", &error), -1);
    assert_int_equal(error.kind, ERROR_USAGE);
    expect_line("alice:{PLAIN}x::::::restante_app_password=a;{PLAIN}s");
    for (int i = 1; i < APP_PASSWORDS_MAX; i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "n%d", i);
        must_add(name, name, true);
    }
    assert_int_equal(add("alice", "b", "t", true, &error), -1);
    assert_int_equal(error.kind, ERROR_USAGE);
    assert_non_null(strstr(error.text, "at most 16 app passwords"));
    scratch_finish(&scratch);
}

static enum account_rule refused(const struct account *account, size_t number, const char *peer,
                                 bool is_tls)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    assert_int_equal(inet_pton(AF_INET, peer, &address.sin_addr), 1);
    struct account_connection connection = {.peer = (const struct sockaddr *)&address,
                                            .is_tls = is_tls};
    return account_refusal(account, number, &connection);
}

static void rules_of_both_kinds_count(void **state)
{
    (void)state;
    set_up("alice:{PLAIN}x::::::allow_nets=10.0.0.0/8 restante_main_password=no "
           "restante_app_password=a;{PLAIN}a "
           "restante_app_password=b;allow_nets=10.1.0.0/16,192.0.2.1;tls=required;{PLAIN}b");
    struct account *account = lookup("alice");
    assert_int_equal(refused(account, 0, "10.0.0.1", true), ACCOUNT_RULE_MAIN_PASSWORD);
    assert_int_equal(refused(account, 1, "10.0.0.1", false), ACCOUNT_RULE_NONE);
    assert_int_equal(refused(account, 1, "192.0.2.1", false), ACCOUNT_RULE_NETWORK);
    assert_int_equal(refused(account, 2, "10.0.0.1", true), ACCOUNT_RULE_NETWORK);
    assert_int_equal(refused(account, 2, "10.1.0.1", true), ACCOUNT_RULE_NONE);
    assert_int_equal(refused(account, 2, "10.1.0.1", false), ACCOUNT_RULE_TLS);
    assert_int_equal(refused(account, 2, "192.0.2.1", true), ACCOUNT_RULE_NETWORK);
    (void)account_free(account);
    scratch_finish(&scratch);
}

static void made_secrets_are_long_and_differ(void **state)
{
    (void)state;
    struct secret *one, *two;
    assert_int_equal(account_make_secret(&one, NULL), 0);
    assert_int_equal(account_make_secret(&two, NULL), 0);
    assert_false(secret_equal(one, two));
    struct bytes text = secret_octets(one);
    assert_int_equal(text.size, 7 * 4 + 6);
    for (size_t i = 0; i < text.size; i++) {
        const char *allowed = i % 5 == 4 ? "-" : "0123456789abcdefghjkmnpqrstvwxyz";
        assert_non_null(strchr(allowed, text.data[i]));
    }
    (void)secret_free(one);
    (void)secret_free(two);
}

static void a_nul_makes_another_secret(void **state)
{
    (void)state;
    struct secret *secret;
    size_t number;
    set_up("alice:{PLAIN}x");
    must_add("a", "s", false);
    struct account *account = lookup("alice");
    assert_int_equal(secret_create((struct bytes){(const uint8_t *)"s\0", 2}, &secret, NULL), 0);
    assert_int_equal(account_check(account, secret, &number, NULL), -1);
    (void)secret_free(secret);
    (void)account_free(account);
    scratch_finish(&scratch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(secrets_are_told_apart),
        cmocka_unit_test(secrets_share_a_salt),
        cmocka_unit_test(lines_stay_as_they_are),
        cmocka_unit_test(rules_change),
        cmocka_unit_test(refusals_leave_the_line),
        cmocka_unit_test(rules_of_both_kinds_count),
        cmocka_unit_test(made_secrets_are_long_and_differ),
        cmocka_unit_test(a_nul_makes_another_secret),
    };
    return cmocka_run_group_tests_name("account_change", tests, NULL, NULL);
}
