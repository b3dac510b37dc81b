/* SPDX-License-Identifier: MIT */
/* What providers and browsers say, and what is taken of it. */
#include <stdlib.h>
#include <string.h>

#include "../net/cmocka_first.h"
#include "oauth/provider.h"
#include "oauth/redirection.h"
#include "oauth/tokens.h"

static void test_tokens(void **state)
{
    static const struct {
        const char *text, *access, *refresh;
        uint64_t expires_s;
    } good[] = {
        {"{\"access_token\":\"a\",\"token_type\":\"Bearer\",\"expires_in\":3600}", "a", NULL, 4600},
        {"{\"access_token\":\"a\",\"token_type\":\"bEARER\",\"refresh_token\":\"r\"}", "a", "r", 0},
        {"{\"access_token\":\"a\",\"expires_in\":\"60\",\"more\":[{}]}", "a", NULL, 1060},
        {"{\"access_token\":\"a\",\"expires_in\":1e300}", "a", NULL, 1000 + 366 * 86400},
        {"{\"access_token\":\"a\",\"expires_in\":-5}", "a", NULL, 0},
        {"{\"access_token\":\"a\",\"refresh_token\":\"r\\n\"}", "a", NULL, 0},
    };
    static const char *const bad[] = {
        "",
        "{}",
        "[]",
        "null",
        "{\"access_token\":\"\"}",
        "{\"access_token\":1}",
        "{\"access_token\":\"a b\"}",
        "{\"access_token\":\"a\\r\\nUSER x\"}",
        "{\"access_token\":\"a\\u0000\"}",
        "{\"access_token\":\"\xC3\xA4\"}",
        "{\"access_token\":\"a\",\"access_token\":\"b\"}",
        "{\"access_token\":\"a\",\"token_type\":\"mac\"}",
        "{\"access_token\":\"a\",\"error\":\"server_error\"}",
        "{\"access_token\":\"a\"} x",
    };
    struct oauth_tokens tokens;
    struct oauth_refusal refusal;
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        assert_int_equal(oauth_tokens_parse(bytes_of(good[i].text), 1000, &tokens, &refusal), 0);
        assert_string_equal(tokens.access, good[i].access);
        assert_int_equal(tokens.expires_s, good[i].expires_s);
        assert_int_equal(tokens.obtained_s, 1000);
        assert_int_equal(tokens.refresh == NULL, good[i].refresh == NULL);
        oauth_tokens_finish(&tokens);
        assert_null(tokens.access);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        if (oauth_tokens_parse(bytes_of(bad[i]), 1000, &tokens, &refusal) == 0) {
            fail_msg("%s is taken", bad[i]);
        }
    }
}

static void test_length_of_tokens(void **state)
{
    static char text[OAUTH_TOKEN_OCTETS_MAX + 100];
    static const char head[] = "{\"access_token\":\"";
    struct oauth_tokens tokens;
    struct oauth_refusal refusal;
    (void)state;
    for (size_t size = OAUTH_TOKEN_OCTETS_MAX; size <= OAUTH_TOKEN_OCTETS_MAX + 1; size++) {
        memcpy(text, head, sizeof head);
        memset(text + sizeof head - 1, 'x', size);
        memcpy(text + sizeof head - 1 + size, "\"}", 3);
        int result = oauth_tokens_parse(bytes_of(text), 0, &tokens, &refusal);
        assert_int_equal(result, size == OAUTH_TOKEN_OCTETS_MAX ? 0 : -1);
        if (result == 0) {
            oauth_tokens_finish(&tokens);
        }
    }
}

static void test_refusals_are_harmless(void **state)
{
    struct oauth_tokens tokens;
    struct oauth_refusal refusal;
    (void)state;
    assert_int_equal(
        oauth_tokens_parse(bytes_of("{\"error\":\"invalid_grant\",\"error_description\":"
                                    "\"\\u001b[31m\\r\\nx\"}"),
                           0, &tokens, &refusal),
        -1);
    assert_string_equal(refusal.error, "invalid_grant");
    assert_string_equal(refusal.description, "\\x1b[31m\\x0d\\x0ax");
}

static void test_kept(void **state)
{
    struct oauth_tokens tokens = {
        .access = (char[]){"a"}, .refresh = (char[]){"r"}, .obtained_s = 5, .expires_s = 7};
    struct oauth_tokens again;
    (void)state;
    char *text = oauth_tokens_write(&tokens);
    assert_int_equal(oauth_tokens_read(bytes_of(text), &again), 0);
    assert_string_equal(again.access, "a");
    assert_string_equal(again.refresh, "r");
    assert_int_equal(again.obtained_s, 5);
    assert_int_equal(again.expires_s, 7);
    oauth_tokens_finish(&again);
    free(text);
    assert_int_equal(oauth_tokens_read(bytes_of("{\"version\":2,\"access_token\":\"a\"}"), &again),
                     -1);
    assert_int_equal(oauth_tokens_read(bytes_of("{\"version\":1}"), &again), -1);
    assert_int_equal(oauth_tokens_read(bytes_of("{\"version\":1,\"acc"), &again), -1);
}

static void test_devices(void **state)
{
    struct oauth_device device;
    struct oauth_refusal refusal;
    (void)state;
    assert_int_equal(oauth_device_parse(bytes_of("{\"device_code\":\"d\",\"user_code\":\"U-1\","
                                                 "\"verification_url\":\"https://x/\"}"),
                                        &device, &refusal),
                     0);
    assert_string_equal(device.page, "https://x/");
    assert_int_equal(device.interval_s, 5); /* RFC 8628 section 3.2 */
    assert_int_equal(
        oauth_device_parse(bytes_of("{\"device_code\":\"d\",\"user_code\":\"U\\u001b\","
                                    "\"verification_uri\":\"https://x/\"}"),
                           &device, &refusal),
        -1);
    assert_int_equal(oauth_device_parse(bytes_of("{\"device_code\":\"d\",\"user_code\":\"U\","
                                                 "\"verification_uri\":\"https://x/\","
                                                 "\"interval\":9999999}"),
                                        &device, &refusal),
                     0);
    assert_int_equal(device.interval_s, 300);
}

static void test_redirections(void **state)
{
    static const struct {
        const char *query;
        int result;
    } cases[] = {
        {"code=c%2F1&state=right", 1},
        {"state=right&code=c%2F1&iss=https%3A%2F%2Fgood", 1},
        {"code=c", 0},
        {"code=c&state=", 0},
        {"code=c&state=righ", 0},
        {"code=c&state=rightx", 0},
        {"code=c&state=wrong&state=right", 0},
        {"code=&state=right", 0},
        {"state=right", 0},
        {"code=c%00&state=right", 0},
        {"error=access_denied&state=right", -1},
        {"error=access_denied&state=wrong", 0},
        {"code=c&state=right&iss=https%3A%2F%2Fevil", -1},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct oauth_redirection redirection = {.state = "right", .issuer = "https://good"};
        struct error error;
        int result = oauth_redirection_take(&redirection, bytes_of(cases[i].query), &error);
        if (result != cases[i].result) {
            fail_msg("%s: %d", cases[i].query, result);
        }
        assert_string_equal(redirection.code, result == 1 ? "c/1" : "");
    }
}

static void test_endpoints(void **state)
{
    struct oauth_grant grant = {.account = "work",
                                .user = "me",
                                .provider = "microsoft",
                                .client_id = "x",
                                .tenant = "example.org",
                                .cancel = -1};
    struct oauth_endpoints endpoints;
    (void)state;
    assert_null(oauth_grant_mistake(&grant));
    oauth_endpoints_find(&grant, &endpoints);
    assert_string_equal(endpoints.token,
                        "https://login.microsoftonline.com/example.org/oauth2/v2.0/token");
    assert_non_null(strstr(endpoints.scope, "POP.AccessAsUser.All"));
    grant.use = OAUTH_FOR_IMAP;
    oauth_endpoints_find(&grant, &endpoints);
    assert_non_null(strstr(endpoints.scope, "IMAP.AccessAsUser.All"));
    grant.tenant = "x/../y";
    assert_non_null(oauth_grant_mistake(&grant));
    grant.tenant = NULL;
    grant.token_url = "https://me@example.org/";
    assert_non_null(oauth_grant_mistake(&grant));
    grant.provider = "google";
    grant.token_url = NULL;
    grant.flow = OAUTH_BY_DEVICE;
    assert_non_null(oauth_grant_mistake(&grant));
    grant.flow = OAUTH_BY_CODE;
    assert_null(oauth_grant_mistake(&grant));
    assert_string_equal(oauth_provider_pop3_host("google"), "pop.gmail.com");
    assert_null(oauth_provider_pop3_host("custom"));
    assert_string_equal(oauth_provider_of_host("pop.gmail.com"), "google");
    assert_string_equal(oauth_provider_of_host("Outlook.Office365.com"), "microsoft");
    assert_string_equal(oauth_provider_of_host("pop.aol.com"), "aol");
    assert_null(oauth_provider_of_host("gmail.com"));
    assert_null(oauth_provider_of_host(""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tokens),
        cmocka_unit_test(test_length_of_tokens),
        cmocka_unit_test(test_refusals_are_harmless),
        cmocka_unit_test(test_kept),
        cmocka_unit_test(test_devices),
        cmocka_unit_test(test_redirections),
        cmocka_unit_test(test_endpoints),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
