/* SPDX-License-Identifier: MIT */
/* The extra fields: what is understood, what is a mistake, and whom rules let in. */
#include "account/extra_fields.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#define SALT_A "AAAAAAAAAAAAAAAAAAAAAA=="
#define SALT_B "BBBBBBBBBBBBBBBBBBBBBA=="
#define KEYS                                                                                       \
    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=,AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
#define SCRAM_A "{SCRAM-SHA-256}4096," SALT_A "," KEYS
#define SCRAM_B "{SCRAM-SHA-256}4096," SALT_B "," KEYS
#define APP     "restante_app_password="

static void everything_is_understood(void **state)
{
    (void)state;
    static const char text[] =
        "x=y  userdb_mail=maildir:/a allow_nets=10.0.0.0/8,2001:db8::/32,192.0.2.1,local "
        "restante_tls=required " APP "phone;" SCRAM_A " restante_main_password=no " APP
        "old.printer_1-A;allow_nets=192.0.2.0/24;tls=required;{PLAIN}a;b{c nologin_not=1 "
        "userdb_mail=/b ";
    struct extra_fields fields;
    struct error error = {0};
    struct scram_keys keys;
    if (extra_fields_parse(bytes_of(text), &fields, &error) < 0) {
        fail_msg("%s", error.text);
    }
    assert_true(fields.has_mail && bytes_equal(fields.mail, bytes_of("/b")));
    assert_false(fields.is_locked);
    assert_true(fields.refuses_main_password && fields.rules.needs_tls);
    assert_true(
        bytes_equal(fields.rules.allow_nets, bytes_of("10.0.0.0/8,2001:db8::/32,192.0.2.1,local")));
    assert_int_equal(fields.app_password_count, 2);
    const struct app_password *phone = &fields.app_passwords[0], *printer = phone + 1;
    assert_true(bytes_equal(phone->name, bytes_of("phone")));
    assert_true(bytes_equal(phone->verifier, bytes_of(SCRAM_A)));
    assert_false(phone->rules.needs_tls);
    assert_int_equal(phone->rules.allow_nets.size, 0);
    assert_true(bytes_equal(printer->name, bytes_of("old.printer_1-A")));
    assert_true(bytes_equal(printer->verifier, bytes_of("{PLAIN}a;b{c")));
    assert_true(printer->rules.needs_tls);
    assert_true(bytes_equal(printer->rules.allow_nets, bytes_of("192.0.2.0/24")));
    assert_true(extra_fields_scram(&fields, &keys));
    assert_int_equal(keys.iterations, 4096);
}

static void nothing_is_understood_as_nothing(void **state)
{
    (void)state;
    static const char *const texts[] = {"", " ", "x", "allow_net=x", "NOLOGIN", "xrestante_tls=1"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct extra_fields fields;
        const struct extra_fields none = {0};
        assert_int_equal(extra_fields_parse(bytes_of(texts[i]), &fields, NULL), 0);
        assert_memory_equal(&fields, &none, sizeof none);
    }
    struct extra_fields fields;
    assert_int_equal(extra_fields_parse(bytes_of("nologin"), &fields, NULL), 0);
    assert_true(fields.is_locked);
    assert_int_equal(extra_fields_parse(bytes_of("x nologin=y"), &fields, NULL), 0);
    assert_true(fields.is_locked);
}

static const struct {
    const char *text, *mistake;
} mistakes[] = {
    {"allow_nets=", "allow_nets is empty: write networks"},
    {"allow_nets=10.0.0.0/33", "allow_nets: 10.0.0.0/33 is no network: write ADDRESS"},
    {"allow_nets=10.0.0.0/8,", NULL},
    {"allow_nets=10.0.0.0/8,,::1", "allow_nets:  is no network"},
    {"allow_nets=10.0.0.0/8,10.1.2.3/8", "allow_nets: 10.1.2.3/8 is no network"},
    {"allow_nets=localhost", "allow_nets: localhost is no network"},
    {"allow_nets=::1 allow_nets=::2", "allow_nets stands there twice"},
    {"restante_tls=yes", "write restante_tls=required, or leave it out"},
    {"restante_tls=", "write restante_tls=required"},
    {"restante_main_password=yes", "write restante_main_password=no, or leave it out"},
    {"restante_max_logins=3", "a field that begins with restante_ is none that is known"},
    {"restante_", "a field that begins with restante_"},
    {APP, "the name of an app password is 1 to 32 letters"},
    {APP ";" SCRAM_A, "the name of an app password is"},
    {APP "a,b;" SCRAM_A, "the name of an app password is"},
    {APP "abcdefghijklmnopqrstuvwxyz0123456;" SCRAM_A, "the name of an app password is"},
    {APP "a", "the password has no scheme"},
    {APP "a;", "the password has no scheme"},
    {APP "a;{CRYPT}$6$x$y", "malformed"},
    {APP "a;{ARGON2ID}$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQxMjM0NQ$"
         "kmF1a5lcmqLkBbR+uDu4zgLBZMCtS0PYaF4KrPnSwVU",
     "an app password is kept as {SCRAM-SHA-256} or {PLAIN}"},
    {APP "a;{PLAIN}", "an empty {PLAIN} password"},
    {APP "a;net=::1;" SCRAM_A, "an app password has a rule that is not known"},
    {APP "a;tls=no;" SCRAM_A, "write tls=required, or leave it out"},
    {APP "a;allow_nets=x;" SCRAM_A, "allow_nets: x is no network"},
    {APP "a;" SCRAM_A " " APP "a;{PLAIN}x", "two app passwords have one name"},
    {APP "a;" SCRAM_A " " APP "b;" SCRAM_B, "have one salt and one count of iterations"},
    {APP "a;{SCRAM-SHA-256}4096," SALT_A "," KEYS " " APP "b;{SCRAM-SHA-256}4097," SALT_A "," KEYS,
     "have one salt and one count of iterations"},
};

static void mistakes_are_told(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof mistakes / sizeof *mistakes; i++) {
        struct extra_fields fields;
        struct error error = {0};
        int result = extra_fields_parse(bytes_of(mistakes[i].text), &fields, &error);
        if (mistakes[i].mistake == NULL) {
            assert_int_equal(result, 0);
        } else if (result == 0 || error.kind != ERROR_CONFIGURATION ||
                   strstr(error.text, mistakes[i].mistake) == NULL) {
            fail_msg("%s: %s", mistakes[i].text, result == 0 ? "accepted" : error.text);
        }
    }
}

static void there_are_sixteen_at_most(void **state)
{
    (void)state;
    char text[4096] = "";
    struct extra_fields fields;
    struct error error;
    for (int i = 0; i < APP_PASSWORDS_MAX; i++) {
        size_t end = strlen(text);
        (void)snprintf(text + end, sizeof text - end, " " APP "n%d;%s", i,
                       i % 2 == 0 ? SCRAM_A : "{PLAIN}x");
    }
    assert_int_equal(extra_fields_parse(bytes_of(text), &fields, NULL), 0);
    assert_int_equal(fields.app_password_count, APP_PASSWORDS_MAX);
    size_t end = strlen(text);
    (void)snprintf(text + end, sizeof text - end, " " APP "n;{PLAIN}x");
    assert_int_equal(extra_fields_parse(bytes_of(text), &fields, &error), -1);
    assert_non_null(strstr(error.text, "at most 16 app passwords"));
}

static enum account_rule refusal(const char *networks, bool needs_tls, const char *peer, bool tls)
{
    struct account_rules rules = {.allow_nets = bytes_of(networks), .needs_tls = needs_tls};
    struct sockaddr_storage address = {0};
    struct sockaddr_in *ipv4 = (struct sockaddr_in *)&address;
    struct sockaddr_in6 *ipv6 = (struct sockaddr_in6 *)&address;
    address.ss_family = inet_pton(AF_INET, peer, &ipv4->sin_addr) == 1 ? AF_INET : AF_INET6;
    if (address.ss_family == AF_INET6) {
        assert_int_equal(inet_pton(AF_INET6, peer, &ipv6->sin6_addr), 1);
    }
    struct account_connection connection = {.peer = (const struct sockaddr *)&address,
                                            .is_tls = tls};
    return account_rules_refusal(&rules, &connection);
}

static void rules_refuse(void **state)
{
    (void)state;
    static const char networks[] = "192.0.2.0/24,local,2001:db8::/32";
    assert_int_equal(refusal("", false, "198.51.100.1", false), ACCOUNT_RULE_NONE);
    assert_int_equal(refusal("", true, "198.51.100.1", false), ACCOUNT_RULE_TLS);
    assert_int_equal(refusal("", true, "198.51.100.1", true), ACCOUNT_RULE_NONE);
    assert_int_equal(refusal(networks, false, "192.0.2.255", false), ACCOUNT_RULE_NONE);
    assert_int_equal(refusal(networks, false, "::ffff:192.0.2.255", false), ACCOUNT_RULE_NONE);
    assert_int_equal(refusal(networks, false, "2001:db8::1", false), ACCOUNT_RULE_NONE);
    assert_int_equal(refusal(networks, false, "192.0.3.0", true), ACCOUNT_RULE_NETWORK);
    assert_int_equal(refusal(networks, false, "2001:db9::1", true), ACCOUNT_RULE_NETWORK);
    assert_int_equal(refusal("local", false, "127.0.0.1", true), ACCOUNT_RULE_NETWORK);
    assert_int_equal(refusal(networks, true, "192.0.2.1", false), ACCOUNT_RULE_TLS);
    assert_int_equal(refusal(networks, true, "192.0.2.1", true), ACCOUNT_RULE_NONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everything_is_understood),
        cmocka_unit_test(nothing_is_understood_as_nothing),
        cmocka_unit_test(mistakes_are_told),
        cmocka_unit_test(there_are_sixteen_at_most),
        cmocka_unit_test(rules_refuse),
    };
    return cmocka_run_group_tests_name("extra_fields", tests, NULL, NULL);
}
