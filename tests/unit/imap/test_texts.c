/* SPDX-License-Identifier: MIT */
/* Names of mailboxes, dates, URLs, flags. */
#include "cmocka_first.h"

#include <stdio.h>
#include <string.h>

#include "imap/client.h"
#include "imap/date.h"
#include "imap/mailbox_name.h"
#include "imap/url.h"

static void test_mailbox_names(void **state)
{
    (void)state;
    static const struct {
        const char *name, *encoded; /* NULL: there is none */
    } cases[] = {
        {"INBOX", "INBOX"},
        {"a & b", "a &- b"},
        {"~peter/mail/\u53f0\u5317/\u65e5\u672c\u8a9e",
         "~peter/mail/&U,BTFw-/&ZeVnLIqe-"}, /* RFC 3501 section 5.1.3 */
        {"B\u00fccher", "B&APw-cher"},
        {"\u20ac\u20ac", "&IKwgrA-"},
        {"\U0001f600", "&2D3eAA-"},
        {"\u00fc&", "&APw-&-"},
        {"", NULL},
        {"a\nb", NULL},
        {"a\x7f", NULL},
        {"\xc2\x80", NULL},
        {"\xff", NULL},
        {"\xed\xa0\x80", NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char out[64];
        int result = imap_mailbox_name_encode(cases[i].name, out, sizeof out);
        assert_int_equal(result, cases[i].encoded == NULL ? -1 : 0);
        if (result == 0) {
            assert_string_equal(out, cases[i].encoded);
        }
    }
    char small[5];
    assert_int_equal(imap_mailbox_name_encode("four", small, sizeof small), 0);
    assert_int_equal(imap_mailbox_name_encode("fives", small, sizeof small), -1);
}

static void test_dates(void **state)
{
    (void)state;
    static const struct {
        const char *text, *written; /* NULL: it is no date */
    } cases[] = {
        {"Tue, 2 Jan 2024 03:04:05 +0200", " 2-Jan-2024 03:04:05 +0200"},
        {"12 Jun 2023 03:04 -0330", "12-Jun-2023 03:04:00 -0330"},
        {"Fri, 21 Nov 97 09(comment (nested)):\r\n 55 : 06 -0600", "21-Nov-1997 09:55:06 -0600"},
        {"Fri,21 nov 1997 09:55:06 EST(x)", "21-Nov-1997 09:55:06 -0500"},
        {"1 Jan 02 00:00:00 GMT", " 1-Jan-2002 00:00:00 +0000"},
        {"1 Jan 102 00:00:00 Z", " 1-Jan-2002 00:00:00 +0000"},
        {"29 Feb 2024 23:59:60 +0000", " 1-Mar-2024 00:00:00 +0000"},
        {"1 Jan 2024 00:00:00 +9999", " 1-Jan-2024 00:00:00 +0000"},
        {"", NULL},
        {"(", NULL},
        {"yesterday", NULL},
        {"32 Jan 2024 00:00:00 +0000", NULL},
        {"0 Jan 2024 00:00:00 +0000", NULL},
        {"1 Jam 2024 00:00:00 +0000", NULL},
        {"1 Jan 1960 00:00:00 +0000", NULL},
        {"1 Jan 2024 24:00:00 +0000", NULL},
        {"1 Jan 2024 00:00: +0000", NULL},
        {"1 Jan 2024", NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct imap_date date;
        char out[IMAP_DATE_OCTETS];
        int result = imap_date_parse(bytes_of(cases[i].text), &date);
        assert_int_equal(result, cases[i].written == NULL ? -1 : 0);
        if (result == 0) {
            imap_date_write(&date, out);
            assert_string_equal(out, cases[i].written);
        }
    }
    struct imap_date date;
    assert_int_equal(imap_date_parse(bytes_of("Thu, 1 Jan 1970 02:00:01 +0200"), &date), 0);
    assert_int_equal(date.seconds, 1);
    assert_int_equal(date.zone_minutes, 120);
}

static void test_dates_of_headers(void **state)
{
    (void)state;
    static const struct {
        const char *header;
        int64_t seconds; /* -1: none */
    } cases[] = {
        {"Received: from a; by b;\r\n\tThu, 1 Jan 1970 00:00:01 +0000\r\n"
         "Received: x; Thu, 1 Jan 1970 00:00:02 +0000\r\nDate: 1 Jan 1970 00:00:03 +0000\r\n\r\n",
         1},
        {"received: no date\r\nDATE:1 Jan 1970 00:00:03 +0000\r\n\r\n", 3},
        {"Received: x; nonsense\r\nDate: 1 Jan 1970 00:00:03 +0000\r\n", 3},
        {"X-Date: 1 Jan 1970 00:00:03 +0000\r\n\r\nDate: 1 Jan 1970 00:00:03 +0000\r\n", -1},
        {"Date: 1 Jan 1970 00:00:", -1},
        {"", -1},
        {"Date:", -1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct imap_date date;
        int result = imap_date_of_header(bytes_of(cases[i].header), &date);
        assert_int_equal(result, cases[i].seconds < 0 ? -1 : 0);
        if (result == 0) {
            assert_int_equal(date.seconds, cases[i].seconds);
        }
    }
}

static void test_urls(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "",
        "imap:",
        "http://u@h/x",
        "imaps://h/x",
        "imaps://@h/x",
        "imaps://u@/x",
        "imaps://u@h:0/x",
        "imaps://u@h:65536/x",
        "imaps://u@h:1x/x",
        "imaps://u@[::1/x",
        "imaps://u@[::1]x/x",
        "imaps://u;AUTH=PLAIN@h/x",
        "imaps://u@h/%00",
        "imaps://u@h/%0a",
        "imaps://u@h/%f",
        "imaps://u@h/%ff",
        "imaps://u%@h/x",
    };
    struct imap_url url;
    assert_int_equal(imap_url_parse("imaps://bob@example.org@mail.example.org/A%20b/\u00fc", &url),
                     0);
    assert_true(url.is_implicit_tls);
    assert_string_equal(url.user, "bob@example.org");
    assert_string_equal(url.host, "mail.example.org");
    assert_string_equal(url.mailbox, "A b/\u00fc");
    assert_int_equal(url.port, 993);
    assert_int_equal(imap_url_parse("imap://b%40c@[::1]:1143", &url), 0);
    assert_false(url.is_implicit_tls);
    assert_string_equal(url.user, "b@c");
    assert_string_equal(url.host, "::1");
    assert_string_equal(url.mailbox, "INBOX");
    assert_int_equal(url.port, 1143);
    assert_int_equal(imap_url_parse("imap://u@h/", &url), 0);
    assert_string_equal(url.mailbox, "INBOX");
    assert_int_equal(url.port, 143);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        assert_int_equal(imap_url_parse(wrong[i], &url), -1);
    }
}

static void test_flags(void **state)
{
    (void)state;
    static const char *const good[] = {"", "\\Seen", "\\seen $Work x-y", "Junk"};
    static const char *const wrong[] = {"\\Recent", "\\",  "a(b",    "a  b", "a]",
                                        "\"a\"",    "\\*", "a\r\nb", " a"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        assert_true(imap_are_flags(good[i]));
    }
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        assert_false(imap_are_flags(wrong[i]));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mailbox_names),
        cmocka_unit_test(test_dates),
        cmocka_unit_test(test_dates_of_headers),
        cmocka_unit_test(test_urls),
        cmocka_unit_test(test_flags),
    };
    return cmocka_run_group_tests_name("texts", tests, NULL, NULL);
}
