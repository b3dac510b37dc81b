/* SPDX-License-Identifier: MIT */
#include "support.h"

#include <stdlib.h>
#include <string.h>

#include "maildrop/path.h"

static void a_pattern_is_expanded(void **state)
{
    (void)state;
    struct {
        const char *pattern, *user, *path, *fixed;
    } cases[] = {
        {"/var/vmail/%u", "alice", "/var/vmail/alice", "/var/vmail"},
        {"/var/vmail/%u/", "alice", "/var/vmail/alice", "/var/vmail"},
        {"/var/vmail/%d/%n/Maildir", "al@example.org", "/var/vmail/example.org/al/Maildir",
         "/var/vmail"},
        {"/m/x-%n", "al@b@example.org", "/m/x-al@b", "/m"},
        {"/m/%d", "al@b@example.org", "/m/example.org", "/m"},
        {"/m/%n", "al", "/m/al", "/m"},
        {"/%u", "al", "/al", "/"},
        {"/100%%/%u", "al", "/100%/al", "/"},
        {"/m//%u", "%n", "/m//%n", "/m"},
        {"/m/one/", "al", "/m/one", "/m"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct maildrop_owner owner = {.user = cases[i].user};
        struct maildrop_path place;
        struct error error;
        assert_int_equal(maildrop_path_check(cases[i].pattern, &error), 0);
        assert_int_equal(maildrop_path_expand(cases[i].pattern, &owner, &place, &error), 0);
        assert_string_equal(place.path, cases[i].path);
        assert_int_equal(place.fixed, strlen(cases[i].fixed));
        free(place.path);
    }
}

static void the_accounts_path_comes_first(void **state)
{
    (void)state;
    struct maildrop_owner owner = {.user = "alice", .path = "/home/%u/Maildir//"};
    struct maildrop_path place;
    struct error error;
    assert_int_equal(maildrop_path_expand("/mail/%u", &owner, &place, &error), 0);
    assert_string_equal(place.path, "/home/%u/Maildir"); /* not a pattern */
    assert_int_equal(place.fixed, strlen("/home/%u"));
    free(place.path);
    owner.path = "Maildir";
    assert_int_equal(maildrop_path_expand("/mail/%u", &owner, &place, &error), -1);
    assert_int_equal(error.kind, ERROR_CONFIGURATION);
}

static void a_path_can_begin_in_the_home(void **state)
{
    (void)state;
    struct {
        const char *pattern, *home, *path, *fixed;
    } cases[] = {
        {"~/Maildir", "/home/al", "/home/al/Maildir", "/home/al"},
        {"%h/Maildir/", "/home/al", "/home/al/Maildir", "/home/al"},
        {"~/mail/%u/in", "/home/al", "/home/al/mail/al/in", "/home/al/mail"},
        {"~/100%%", "/home/100%u", "/home/100%u/100%", "/home/100%u"},
        {"~/%n", "/", "//al", "/"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct maildrop_owner owner = {.user = "al", .home = cases[i].home};
        struct maildrop_path place;
        struct error error;
        assert_int_equal(maildrop_path_check(cases[i].pattern, &error), 0);
        assert_int_equal(maildrop_path_expand(cases[i].pattern, &owner, &place, &error), 0);
        assert_string_equal(place.path, cases[i].path);
        assert_int_equal(place.fixed, strlen(cases[i].fixed));
        free(place.path);
        owner.home = NULL;
        assert_int_equal(maildrop_path_expand(cases[i].pattern, &owner, &place, &error), -1);
        assert_int_equal(error.kind, ERROR_CONFIGURATION);
        owner.path = "/m/al";
        assert_int_equal(maildrop_path_expand(cases[i].pattern, &owner, &place, &error), 0);
        assert_string_equal(place.path, "/m/al");
        free(place.path);
    }
    assert_null(maildrop_path_in_home("/~/Maildir"));
    assert_null(maildrop_path_in_home("~al/Maildir"));
}

static void parts_that_could_leave_are_refused(void **state)
{
    (void)state;
    struct {
        const char *pattern, *user;
    } cases[] = {
        {"/m/%d/%n", "alice"},  /* no part after @ */
        {"/m/%d/%n", "alice@"}, /* an empty one */
        {"/m/%n", "@example.org"}, {"/m/%d", "alice@.."}, {"/m/%d", "alice@.hidden"},
        {"/m/%u", ".."},           {"/m/%u", "a/b"},      {"/m/%u", ""},
        {"/m/%u", "a\nb"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct maildrop_owner owner = {.user = cases[i].user};
        struct maildrop_path place;
        struct error error;
        assert_int_equal(maildrop_path_expand(cases[i].pattern, &owner, &place, &error), -1);
        assert_int_equal(error.kind, ERROR_NO_SUCH_USER);
    }
    /* A part that the pattern does not use may be empty. */
    struct maildrop_owner owner = {.user = "alice@"};
    struct maildrop_path place;
    struct error error;
    assert_int_equal(maildrop_path_expand("/m/%u", &owner, &place, &error), 0);
    free(place.path);
}

static void wrong_patterns_are_refused(void **state)
{
    (void)state;
    static const char *const wrong[] = {"",  "mail/%u", "/mail/%x", "/mail/%", "/mail/%%%",
                                        "~", "~al/m",   "%h",       "/m/%h",   "~/%h"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct maildrop_options options = {.path = wrong[i]};
        struct maildrop_store *store;
        struct error error;
        assert_int_equal(maildrop_maildir_create(&options, NULL, &store, &error), -1);
        assert_int_equal(error.kind, ERROR_CONFIGURATION);
    }
}

static void a_user_that_no_path_may_see_is_refused_by_every_door(void **state)
{
    (void)state;
    struct world world = world_create(NULL);
    struct maildrop_owner owner = {.user = "../alice"};
    struct maildrop_operation operation = {0};
    uint64_t before = world.disk->count;
    assert_int_equal(maildrop_open(world.store, &owner, &operation), MAILDROP_DONE);
    assert_int_equal(operation.error.kind, ERROR_NO_SUCH_USER);
    assert_int_equal(deliver(&world, "../alice", "x"), ERROR_NO_SUCH_USER);
    assert_int_equal(world.disk->count, before);
    world_finish(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_pattern_is_expanded),
        cmocka_unit_test(the_accounts_path_comes_first),
        cmocka_unit_test(a_path_can_begin_in_the_home),
        cmocka_unit_test(parts_that_could_leave_are_refused),
        cmocka_unit_test(wrong_patterns_are_refused),
        cmocka_unit_test(a_user_that_no_path_may_see_is_refused_by_every_door),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
