/* SPDX-License-Identifier: MIT */
/* Which of the paths that accounts name workers may open. */
#include "cmocka_first.h"

#include "server/mail_roots.h"

static struct mail_roots roots_for(const char *path, const char *more)
{
    static struct configuration configuration;
    struct mail_roots roots;
    configuration = (struct configuration){0};
    memcpy(configuration.path, path, strlen(path) + 1);
    if (more != NULL) {
        configuration.mail_roots.count = 1;
        memcpy(configuration.mail_roots.list[0], more, strlen(more) + 1);
    }
    mail_roots_of(&configuration, &roots);
    return roots;
}

static void test_the_fixed_part_of_the_path(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"/var/vmail/%u", "/var/vmail"},
        {"/var/vmail//%d/%n", "/var/vmail"},
        {"/home/%u/Maildir", "/home"},
        {"/var/vmail-%d/%u", "/var"},
        {"/%u", "/"},
        {"/srv/mail/x%ux", "/srv/mail"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct mail_roots roots = roots_for(cases[i][0], NULL);
        assert_int_equal(roots.count, 1);
        assert_string_equal(roots.list[0], cases[i][1]);
    }
}

static void test_inside_and_outside(void **state)
{
    (void)state;
    static const char *const inside[] = {"/var/vmail/alice", "/var/vmail/a/b", "/var/vmail//a",
                                         "/srv/more/a",      "/var/vmail/..a", "/var/vmail/...",
                                         "/var/vmail/a."};
    static const char *const outside[] = {
        "/var/vmail",    "/var/vmail/",      "/var/vmailbox/a", "/var/vmai",
        "/etc/restante", "/srv/more",        "/var/vmail/../a", "/var/vmail/a/../..",
        "/var/vmail/.",  "/srv/more/./../a", "var/vmail/a",     ""};
    struct mail_roots roots = roots_for("/var/vmail/%u", "/srv/more/");
    for (size_t i = 0; i < sizeof inside / sizeof inside[0]; i++) {
        assert_true(mail_roots_hold(&roots, inside[i]));
    }
    for (size_t i = 0; i < sizeof outside / sizeof outside[0]; i++) {
        assert_false(mail_roots_hold(&roots, outside[i]));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_fixed_part_of_the_path),
        cmocka_unit_test(test_inside_and_outside),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
