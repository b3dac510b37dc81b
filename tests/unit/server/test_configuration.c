/* SPDX-License-Identifier: MIT */
#include "cmocka_first.h"

#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "sasl/mechanism.h"
#include "server/configuration.h"

static struct configuration configuration;
static struct configuration_notes notes;

#define LEAST "[pop3]\nlisten = 127.0.0.1:1110\n[maildrop]\npath = /m/%u\n[accounts]\nfile = /a\n"

static int parse(const char *text)
{
    return configuration_parse("FILE", bytes_of(text), &configuration, &notes);
}

static void test_defaults_are_those_of_the_manual(void **state)
{
    (void)state;
    assert_int_equal(parse(LEAST), 0);
    assert_string_equal(configuration.state_dir, "/var/lib/restante");
    assert_string_equal(configuration.user, "restante");
    assert_string_equal(configuration.auth_user, "restante-auth");
    assert_true(configuration.workers >= 1);
    assert_int_equal(configuration.grace_ms, 30000);
    assert_int_equal(configuration.listen.count, 1);
    assert_int_equal(configuration.plaintext_login, PLAINTEXT_LOGIN_LOOPBACK);
    assert_int_equal(configuration.login_timeout_ms, 180000);
    assert_int_equal(configuration.idle_timeout_ms, 600000);
    assert_int_equal(configuration.write_timeout_ms, 300000);
    assert_int_equal(configuration.max_bad_commands, 10);
    assert_string_equal(configuration.expire, "NEVER");
    assert_false(configuration.utf8);
    assert_int_equal(configuration.login_delay_ms, 0);
    assert_int_equal(configuration.mechanisms, 0);
    assert_int_equal(configuration.tls_client_name, TLS_CLIENT_NAME_NONE);
    assert_int_equal(configuration.connections, 10000);
    assert_int_equal(configuration.connections_per_address, 100);
    assert_int_equal(configuration.connections_per_user, 10);
    assert_int_equal(configuration.failure_delay_ms, 2000);
    assert_int_equal(configuration.failures_per_address, 20);
    assert_int_equal(configuration.hash_memory, 256 << 20);
    assert_int_equal(configuration.store, STORE_MAILDIR);
    assert_int_equal(configuration.in_use_wait_ms, 5000);
    assert_int_equal(configuration.take_over_idle_ms, 120000);
    assert_string_equal(configuration.log_target, "stderr");
    assert_int_equal(configuration.log_level, LOG_LEVEL_INFO);
    assert_int_equal(notes.warnings, 0);
}

static void test_values(void **state)
{
    (void)state;
    assert_int_equal(
        parse("; a comment\n# another\n\n[server]\nworkers = 3 ; of four\n"
              "[limits]\nhash-memory = 1G\nfailure-delay=0s\n"
              "[pop3]\r\nlisten = 127.0.0.1:0 , [::1]:995\r\nexpire = 30\r\n"
              "utf8 = yes\nplaintext-login = never\n"
              "[maildrop]\npath = /m/%d/%n\n[accounts]\nfile: /a\n[log]\nlevel = debug"),
        0);
    assert_int_equal(configuration.workers, 3);
    assert_int_equal(configuration.hash_memory, 1 << 30);
    assert_int_equal(configuration.failure_delay_ms, 0);
    assert_int_equal(configuration.listen.count, 2);
    assert_int_equal(configuration.listen.list[1].address.ss_family, AF_INET6);
    assert_string_equal(configuration.expire, "30");
    assert_true(configuration.utf8);
    assert_int_equal(configuration.plaintext_login, PLAINTEXT_LOGIN_NEVER);
    assert_int_equal(configuration.log_level, LOG_LEVEL_DEBUG);
    assert_int_equal(configuration_line(&configuration, "workers"), 5);
    assert_int_equal(configuration_line(&configuration, "grace"), 0);
}

struct mistake {
    const char *text;
    const char *note; /* the first line begins so */
};

static const struct mistake mistakes[] = {
    {"[pop3]\n", "FILE: listen is missing in section [pop3]; write "},
    {LEAST "[log]\nlevel = loud\n",
     "FILE:8: level = loud: not a value for it; write error, warning, info or debug"},
    {LEAST "[log]\nlevle = info\n", "FILE:8: [log] has no setting levle; restante.conf(5) lists"},
    {LEAST "[server]\nutf8 = yes\n",
     "FILE:8: [server] has no setting utf8; write it in section [pop3]"},
    {LEAST "[sever]\ncolour = red\n", "FILE:8: there is no section [sever]; the sections are "},
    {LEAST "[pop3]\nlisten = 127.0.0.1:2\n", "FILE:8: listen was set in line 2 already; "},
    {LEAST "nonsense\n", "FILE:7: neither a section nor a setting; "},
    {LEAST " indented = yes\n", "FILE:7: the line is indented; "},
    {"x = 1\n" LEAST, "FILE:1: there is no section []; "},
    {LEAST "[pop3]\nidle-timeout = 10\n",
     "FILE:8: idle-timeout = 10: not a value for it; write a "},
    {LEAST "[pop3]\nidle-timeout = 0s\n", "FILE:8: idle-timeout = 0s: not a value for it; "},
    {LEAST "[pop3]\nutf8 = maybe\n", "FILE:8: utf8 = maybe: not a value for it; write yes or no"},
    {LEAST "[pop3]\nexpire = soon\n", "FILE:8: expire = soon: not a value for it; write never or "},
    {LEAST "[server]\nworkers = 0\n", "FILE:8: workers = 0: not a value for it; write auto or "},
    {LEAST "[server]\nworkers = 65\n", "FILE:8: workers = 65: "},
    {LEAST "[server]\nstate-dir = here\n",
     "FILE:8: state-dir = here: not a value for it; write an "},
    {LEAST "[limits]\nconnections = -1\n", "FILE:8: connections = -1: "},
    {LEAST "[limits]\nhash-memory = 5\n",
     "FILE:8: hash-memory = 5: not a value for it; write a size"},
    {LEAST "[maildrop]\nstore = mbox\n", "FILE:8: store = mbox: not a value for it; write maildir"},
    {"[pop3]\nlisten = localhost:110\n", "FILE:2: listen = localhost:110: not a value for it; "},
    {"[maildrop]\npath = /var/mail\n", "FILE:2: path = /var/mail: not a value for it; write an "},
    {"[maildrop]\npath = /var/%x\n", "FILE:2: path = /var/%x: "},
    {"[maildrop]\npath = /var/%u%\n", "FILE:2: path = /var/%u%: "},
    {"[log]\ntarget = \x1b[2J\n", "FILE:2: target = \\x1b[2J: "},
    {"[log]\nlevel =\n", "FILE:2: level = : "},
};

static void test_mistakes_name_line_and_remedy(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof mistakes / sizeof mistakes[0]; i++) {
        assert_int_equal(parse(mistakes[i].text), -1);
        if (strncmp(notes.text, mistakes[i].note, strlen(mistakes[i].note)) != 0) {
            fail_msg("expected: %s\ngot: %s", mistakes[i].note, notes.text);
        }
    }
}

static void test_all_mistakes_are_told(void **state)
{
    (void)state;
    assert_int_equal(parse("[pop3]\nutf8 = 1\nexpire = x\n[log]\nlevel = 5\n"), -1);
    assert_int_equal(notes.mistakes, 6); /* and three settings are missing */
    assert_non_null(strstr(notes.text, "FILE:2: "));
    assert_non_null(strstr(notes.text, "FILE:3: "));
    assert_non_null(strstr(notes.text, "FILE:5: "));
}

static void test_a_line_over_the_limit_is_refused(void **state)
{
    (void)state;
    char text[sizeof LEAST + 400] = LEAST "[log]\ntarget = /";
    size_t used = strlen(text);
    memset(text + used, 'x', 300);
    (void)snprintf(text + used + 300, 2, "\n");
    assert_int_equal(parse(text), -1);
    assert_int_equal(strncmp(notes.text, "FILE:8: the line is too long; write at most 197 octets",
                             strlen("FILE:8: the line is too long; write at most 197 octets")),
                     0);
    assert_int_equal(notes.mistakes, 1);
}

static void test_nul_is_refused(void **state)
{
    (void)state;
    static const char text[] = LEAST "[log]\nlevel = info\0debug\n";
    struct bytes octets = {.data = (const uint8_t *)text, .size = sizeof text - 1};
    assert_int_equal(configuration_parse("FILE", octets, &configuration, &notes), -1);
    assert_non_null(strstr(notes.text, "FILE:8: the line contains a NUL octet"));
}

static void test_more_mistakes_than_there_is_room_for(void **state)
{
    (void)state;
    static char text[200000];
    size_t used = 0;
    while (used + 64 < sizeof text) {
        used += (size_t)snprintf(text + used, 64, "nonsense%zu = 1\n", used);
    }
    assert_int_equal(parse(text), -1);
    assert_true(notes.size < sizeof notes.text);
    assert_int_equal(notes.text[notes.size], '\0');
    assert_int_equal(notes.text[notes.size - 1], '\n');
}

static void test_a_short_idle_timeout_is_a_warning(void **state)
{
    (void)state;
    assert_int_equal(parse(LEAST "[pop3]\nidle-timeout = 5m\n"), 0);
    assert_int_equal(notes.warnings, 1);
    assert_int_equal(strncmp(notes.text, "FILE:8: idle-timeout is less than", 33), 0);
}

static void test_mechanisms(void **state)
{
    (void)state;
    assert_int_equal(parse(LEAST "[pop3]\nmechanisms = plain, SCRAM-SHA-256 ,APOP\n"
                                 "login-delay = 90s\n[tls]\nclient-name = email\n"),
                     0);
    assert_int_equal(configuration.mechanisms,
                     1U << SASL_PLAIN | 1U << SASL_SCRAM_SHA_256 | 1U << SASL_APOP);
    assert_int_equal(configuration.login_delay_ms, 90000);
    assert_int_equal(configuration.tls_client_name, TLS_CLIENT_NAME_EMAIL);
    assert_int_equal(parse(LEAST "[pop3]\nmechanisms = none\n"), 0);
    assert_int_equal(configuration.mechanisms, 1U << SASL_MECHANISM_COUNT);
    static const char *const wrong[] = {"", "AUTO", "PLAIN,", "PLAIN LOGIN", "NTLM", "auto, PLAIN"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        char text[256];
        (void)snprintf(text, sizeof text, "%s[pop3]\nmechanisms = %s\n", LEAST, wrong[i]);
        assert_int_equal(parse(text), -1);
    }
    assert_int_equal(parse(LEAST "[tls]\nclient-name = cn\n"), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mechanisms),
        cmocka_unit_test(test_defaults_are_those_of_the_manual),
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_mistakes_name_line_and_remedy),
        cmocka_unit_test(test_all_mistakes_are_told),
        cmocka_unit_test(test_a_line_over_the_limit_is_refused),
        cmocka_unit_test(test_nul_is_refused),
        cmocka_unit_test(test_more_mistakes_than_there_is_room_for),
        cmocka_unit_test(test_a_short_idle_timeout_is_a_warning),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
