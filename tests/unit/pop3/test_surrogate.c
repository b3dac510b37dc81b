/* SPDX-License-Identifier: MIT */
/* Surrogates as RFC 6858 section 2 describes them, in pieces of every size. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include <pop3/surrogate.h>

#include "base/bytes.h"

#define NOBODY "<invalid@internationalized-address.invalid>"

enum { RESULT_OCTETS = 700000, LONG_OCTETS = 40000 };

static uint8_t result[RESULT_OCTETS + 1];

/* By `piece` octets into `room`; the result is NUL-terminated. */
static size_t convert(struct bytes message, size_t piece, size_t room, int *differs_out)
{
    void *memory = malloc(pop3_surrogate_size());
    uint8_t *out = malloc(room);
    size_t made = 0;
    size_t part;
    assert_non_null(memory);
    assert_non_null(out);
    memset(memory, 0xAA, pop3_surrogate_size());
    struct pop3_surrogate *surrogate = pop3_surrogate_init(memory);
    for (size_t at = 0; at < message.size;) {
        size_t left = message.size - at;
        at += pop3_surrogate_feed(surrogate, message.data + at, left < piece ? left : piece, out,
                                  room, &part);
        assert_true(made + part <= RESULT_OCTETS);
        memcpy(result + made, out, part);
        made += part;
    }
    while ((part = pop3_surrogate_end(surrogate, out, room)) != 0) {
        assert_true(made + part <= RESULT_OCTETS);
        memcpy(result + made, out, part);
        made += part;
    }
    *differs_out = pop3_surrogate_differs(surrogate);
    result[made] = '\0';
    free(out);
    free(memory);
    return made;
}

static void check(const char *message, const char *expected)
{
    static const size_t rooms[] = {1, 2, 7, 4096};
    for (size_t piece = 1; piece <= strlen(message) + 1; piece++) {
        int differs;
        size_t room = rooms[piece % (sizeof rooms / sizeof rooms[0])];
        size_t size = convert(bytes_of(message), piece, room, &differs);
        assert_int_equal(size, strlen((const char *)result));
        assert_string_equal((const char *)result, expected);
        assert_int_equal(differs != 0, strcmp(message, expected) != 0);
    }
}

struct surrogate_case {
    const char *message, *surrogate; /* NULL: the message itself */
};

static void check_all(const struct surrogate_case *cases, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const char *expected = cases[i].surrogate;
        check(cases[i].message, expected == NULL ? cases[i].message : expected);
    }
}

#define CHECK_ALL(cases) check_all(cases, sizeof(cases) / sizeof(cases)[0])

static void what_is_ascii_stays_as_it_is(void **state)
{
    static const struct surrogate_case cases[] = {
        {"", NULL},
        {"\n", NULL},
        {"Subject: x\n\nт\xe9"
         "ло\n",
         NULL},
        {"Subject: x\r\n  folded \r\n\r\nbody", NULL},
        {"Subject: without an end", NULL},
        {"To: a,\n \n b@c\nno field\n: none\n\n", NULL},
        {" begins folded\nFrom: \"<@,\n\n", NULL},
        {"Content-Type: text/plain\n\n--b\nSubject: é\n", NULL},
        {"Subject: bare\rcr\n\r\nSubject: é\n", NULL},
    };
    (void)state;
    CHECK_ALL(cases);
}

/* Section 2.1. */
static void addresses_become_nobodys(void **state)
{
    static const struct surrogate_case cases[] = {
        {"From: Fred <fréd@example.com>\n\n",
         "From: =?UTF-8?B?RnJlZCA8ZnLDqWRAZXhhbXBsZS5jb20+?=\n " NOBODY "\n\n"},
        {"From: fred@éxample.com\n\n",
         "From: =?UTF-8?B?ZnJlZEDDqXhhbXBsZS5jb20=?=\n " NOBODY "\n\n"},
        {"Return-Path: <é@x>\n\n", "Return-Path: =?UTF-8?B?PMOpQHg+?=\n " NOBODY "\n\n"},
        /* Every field that has addresses, whatever its letters, and no other. */
        {"bcc: é\n", "bcc: =?UTF-8?B?w6k=?=\n " NOBODY "\n"},
        {"CC : é\n", "CC : =?UTF-8?B?w6k=?=\n " NOBODY "\n"},
        {"Reply-To: é\n", "Reply-To: =?UTF-8?B?w6k=?=\n " NOBODY "\n"},
        {"Resent-Bcc: é\n", "Resent-Bcc: =?UTF-8?B?w6k=?=\n " NOBODY "\n"},
        {"Resent-Cc: é\n", "Resent-Cc: =?UTF-8?B?w6k=?=\n " NOBODY "\n"},
        {"Resent-From: é\n", "Resent-From: =?UTF-8?B?w6k=?=\n " NOBODY "\n"},
        {"Resent-Sender: é\n", "Resent-Sender: =?UTF-8?B?w6k=?=\n " NOBODY "\n"},
        {"Resent-To: é\n", "Resent-To: =?UTF-8?B?w6k=?=\n " NOBODY "\n"},
        {"Sender: é\n", "Sender: =?UTF-8?B?w6k=?=\n " NOBODY "\n"},
        {"To: é\n", "To: =?UTF-8?B?w6k=?=\n " NOBODY "\n"},
        {"Resent-Reply-To: é\nDelivered-To: é@x\n", ""},
        /* The others of a list stay. */
        {"To: \"a, é\" <a@x>, b@x (b),\n c@é, D: e@x,é@x;\n\n",
         "To: =?UTF-8?B?YSwgw6k=?=\n <a@x>, b@x (b),\n =?UTF-8?B?Y0DDqQ==?=\n " NOBODY
         ", D: e@x,\n =?UTF-8?B?w6lAeA==?=\n " NOBODY ";\n\n"},
        {"To: Gruppé: a@x;\n\n", "To: =?UTF-8?B?R3J1cHDDqQ==?=: a@x;\n\n"},
        {"To: <@h,@i:é@x>, [é:1]@x\n\n", "To: =?UTF-8?B?PEBoLEBpOsOpQHg+?=\n " NOBODY
                                         ",\n =?UTF-8?B?W8OpOjFdQHg=?=\n " NOBODY "\n\n"},
    };
    (void)state;
    CHECK_ALL(cases);
}

static void names_of_ascii_addresses_become_words(void **state)
{
    static const struct surrogate_case cases[] = {
        {"From: José \"the \\\" é\" Núñez <jose@example.com>\n\n",
         "From: =?UTF-8?B?Sm9zw6kgdGhlICIgw6kgTsO6w7Fleg==?=\n <jose@example.com>\n\n"},
        {"From: jose@example.com (é)\n\n", "From: =?UTF-8?B?KMOpKQ==?=\n <jose@example.com>\n\n"},
        {"From: <jose@example.com> (é)\n\n", "From: =?UTF-8?B?KMOpKQ==?=\n <jose@example.com>\n\n"},
        {"From: é <\"a b\"@x>\n\n", "From: =?UTF-8?B?w6k=?=\n <\"a b\"@x>\n\n"},
        /* What is not plainly an address could become another's. */
        {"From: é <a b@x>\n\n", "From: =?UTF-8?B?w6kgPGEgYkB4Pg==?=\n " NOBODY "\n\n"},
        {"From: é <a(é)@x>\n\n", "From: =?UTF-8?B?w6kgPGEow6kpQHg+?=\n " NOBODY "\n\n"},
        {"From: é <a@x\n\n", "From: =?UTF-8?B?w6kgPGFAeA==?=\n " NOBODY "\n\n"},
        {"From: é <>\n\n", "From: =?UTF-8?B?w6kgPD4=?=\n " NOBODY "\n\n"},
        {"From: a@x b@y (é)\n\n", "From: =?UTF-8?B?YUB4IGJAeSAow6kp?=\n " NOBODY "\n\n"},
    };
    (void)state;
    CHECK_ALL(cases);
}

/* Section 2.2. */
static void parameters_are_left_out(void **state)
{
    static const struct surrogate_case cases[] = {
        {"Content-Disposition: attachment; filename=é\n\n", "Content-Disposition: attachment\n\n"},
        {"content-disposition: attachment;\r\n filename=\"é;é\" ;\r\n size=3\r\n\r\n",
         "content-disposition: attachment;\r\n size=3\n\r\n"},
        {"Content-Type: text/plain; a=1; é=1; charset=utf-8\n\né",
         "Content-Type: text/plain; a=1; charset=utf-8\n\né"},
        {"Content-Type: text/plain (é); charset=utf-8\n\n", "\n"},
        {"Content-Language: de; é\n\n", "\n"},
    };
    (void)state;
    CHECK_ALL(cases);
}

/* Section 2.3. */
static void a_subject_becomes_words(void **state)
{
    static const struct surrogate_case cases[] = {
        {"Subject: Grüße\n\n", "Subject: =?UTF-8?B?R3LDvMOfZQ==?=\n\n"},
        {"SUBJECT:\n  Grüße,\r\n\t folded\r\n\r\n",
         "SUBJECT: =?UTF-8?B?R3LDvMOfZSwgZm9sZGVk?=\n\r\n"},
        /* No character is cut, no word too long. */
        {"Subject: ééééééééééééééééééx\n\n",
         "Subject: =?UTF-8?B?w6nDqcOpw6nDqcOpw6nDqcOpw6nDqcOpw6nDqcOpw6nDqcOp?=\n "
         "=?UTF-8?B?eA==?=\n\n"},
        {"Subject: xéééééééééééééééééé\n\n",
         "Subject: =?UTF-8?B?eMOpw6nDqcOpw6nDqcOpw6nDqcOpw6nDqcOpw6nDqcOpw6k=?=\n"
         " =?UTF-8?B?w6k=?=\n\n"},
        /* What is not UTF-8 is shown so: Latin-1, an overlong form, half of a pair, a character cut short. */
        {"Subject: \xe9\n\n", "Subject: =?UTF-8?B?77+9?=\n\n"},
        {"Subject: \xc0\xaf\n\n", "Subject: =?UTF-8?B?77+977+9?=\n\n"},
        {"Subject: \xed\xa0\x80\n\n", "Subject: =?UTF-8?B?77+977+977+9?=\n\n"},
        {"Subject: \xf0\x9f\x98\n\n", "Subject: =?UTF-8?B?77+977+977+9?=\n\n"},
        {"Subject: \xf4\x90\x80\x80\n\n", "Subject: =?UTF-8?B?77+977+977+977+9?=\n\n"},
        {"Subject: \xf0\x9f\x98\x80\n\n", "Subject: =?UTF-8?B?8J+YgA==?=\n\n"},
        /* Nobody who decodes it obeys what is in it. */
        {"Subject: é\rBcc: a@x\033\n\n", "Subject: =?UTF-8?B?w6kgQmNjOiBhQHg=?=\n\n"},
        {"Subject: é\n", "Subject: =?UTF-8?B?w6k=?=\n"},
        {"Subject: é", "Subject: =?UTF-8?B?w6k=?=\n"},
    };
    (void)state;
    CHECK_ALL(cases);
}

/* Section 2.4. */
static void other_fields_are_left_out(void **state)
{
    static const struct surrogate_case cases[] = {
        {"Received: from é\n\tby x;\n today\nX-Note: é\nDate: now\n\nb", "Date: now\n\nb"},
        {"Message-ID: <é@x>\nSubj\xe9"
         "ct: x\nno field é\n\n",
         "\n"},
        {" é\n folded\nDate: now\n", "Date: now\n"},
        {"Comments: é", ""},
    };
    (void)state;
    CHECK_ALL(cases);
}

static void headers_within_are_seen(void **state)
{
    static const struct surrogate_case cases[] = {
        {"Content-Type: multipart/mixed; boundary=b\n\né\n--b\nX: é\n\nX: é\n--b\n\nX: "
         "é\n--b--\nX: é\n",
         "Content-Type: multipart/mixed; boundary=b\n\né\n--b\n\nX: é\n--b\n\nX: é\n--b--\nX: é\n"},
        /* The boundary: quoted, with a comment before it, without the quotes that it needs, with blanks behind. */
        {"Content-Type: Multipart/X (c;c) ; a=b; BOUNDARY=\"b \\\"b\" (c)\r\n\r\n--b \"b \t\r\nX: "
         "é\r\n\r\n",
         "Content-Type: Multipart/X (c;c) ; a=b; BOUNDARY=\"b \\\"b\" (c)\r\n\r\n--b \"b "
         "\t\r\n\r\n"},
        {"Content-Type: multipart/x; boundary=a=/b\n\n--a=/b\nX: é\n\n",
         "Content-Type: multipart/x; boundary=a=/b\n\n--a=/b\n\n"},
        {"Content-Type: multipart/x; boundary=b\n\n--bb\nX: é\n\n-b\nX: é\n\n--b-\nX: é\n", NULL},
        {"Content-Type: multipart/x; boundary=é\n\n--é\nX: é\n\n",
         "Content-Type: multipart/x\n\n--é\nX: é\n\n"},
        {"Content-Type: multipart/x\n\n--\nX: é\n\n", NULL},
        /* The first Content-Type that is left is the one. */
        {"Content-Type: é\nContent-Type: multipart/x; boundary=b\nContent-Type: "
         "text/plain\n\n--b\nX: é\n\n",
         "Content-Type: multipart/x; boundary=b\nContent-Type: text/plain\n\n--b\n\n"},
        /* A boundary ends a header, and an outer one all that is within. */
        {"Content-Type: multipart/x; boundary=b\n\n--b\nSubject: é\n--b\nX: é\n\n",
         "Content-Type: multipart/x; boundary=b\n\n--b\nSubject: =?UTF-8?B?w6k=?=\n--b\n\n"},
        {"Content-Type: multipart/x; boundary=b\n\n--b\nContent-Type: multipart/x; boundary=c\n\n"
         "--c\nX: é\n\n--b\nX: é\n\n--c\nX: é\n\n",
         "Content-Type: multipart/x; boundary=b\n\n--b\nContent-Type: multipart/x; boundary=c\n\n"
         "--c\n\n--b\n\n--c\nX: é\n\n"},
        {"Content-Type: multipart/x; boundary=b\n\n--b\nContent-Type: multipart/x; boundary=c\n\n"
         "--c--\n--c\nX: é\n\n--b\nX: é\n\n",
         "Content-Type: multipart/x; boundary=b\n\n--b\nContent-Type: multipart/x; boundary=c\n\n"
         "--c--\n--c\nX: é\n\n--b\n\n"},
        /* Messages within. */
        {"Content-Type: message/rfc822\n\nX: é\nContent-Type: message/global\n\nX: é\n\nX: é\n",
         "Content-Type: message/rfc822\n\nContent-Type: message/global\n\n\nX: é\n"},
        {"Content-Type: message/global\nContent-Transfer-Encoding: base64\n\nX: é\n\n", NULL},
        {"Content-Type: message/delivery-status\n\nX: é\n\n", NULL},
        {"Content-Type: multipart/digest; boundary=b\n\n--b\n\nX: é\n\nX: é\n"
         "--b\nContent-Type: text/plain\n\nX: é\n",
         "Content-Type: multipart/digest; boundary=b\n\n--b\n\n\nX: é\n"
         "--b\nContent-Type: text/plain\n\nX: é\n"},
    };
    (void)state;
    CHECK_ALL(cases);
}

/* A field of LONG_OCTETS of `filler` after `front`, then `back`. */
static struct bytes make_long(const char *front, const char *filler, const char *back)
{
    static char message[LONG_OCTETS + 1000];
    size_t size = strlen(front);
    memcpy(message, front, size);
    for (size_t i = 0; i < LONG_OCTETS; i++) {
        message[size++] = filler[i % strlen(filler)];
    }
    memcpy(message + size, back, strlen(back));
    return (struct bytes){.data = (const uint8_t *)message, .size = size + strlen(back)};
}

static void check_long(struct bytes message, size_t kept, const char *end)
{
    static const size_t pieces[] = {1, 1000, 32768, 100000};
    for (size_t i = 0; i < sizeof pieces / sizeof pieces[0]; i++) {
        int differs;
        size_t size = convert(message, pieces[i], 1 + pieces[i] % 5000, &differs);
        assert_int_equal(size, kept + strlen(end));
        assert_memory_equal(result, message.data, kept);
        assert_string_equal((const char *)result + kept, end);
        assert_int_equal(differs != 0, kept != message.size);
    }
}

static void long_fields_need_no_more_memory(void **state)
{
    (void)state;
    struct bytes message = make_long("To: ", "a@example.com,\n ", "b@x\n\nX: é\n");
    check_long(message, message.size, "");
    message = make_long("To: a@ex", "x", "é@b, c@x,\n d@x\nDate: now\n\nb");
    check_long(message, strlen("To: a@ex") + LONG_OCTETS, "?\nDate: now\n\nb");
    message = make_long("To: ", "x", "\n é@x\n");
    check_long(message, strlen("To: ") + LONG_OCTETS + strlen("\n "), "?\n");
    message = make_long("To: é", "xxxxxxxxx,\n ", "x\n x\nDate: now\n\nb");
    check_long(message, 0, "Date: now\n\nb");
    message = make_long("Content-Type: multipart/x; boundary=b;", " ", "\n\n--b\nX: é\n");
    check_long(message, message.size, "");
}

/* Appends to a text that begins empty. */
static void append(char *text, size_t capacity, const char *more)
{
    size_t size = strlen(text);
    assert_true(size + strlen(more) < capacity);
    memcpy(text + size, more, strlen(more) + 1);
}

/* What is written of a field may be much more than the field. */
static void a_field_of_many_addresses_comes_in_pieces(void **state)
{
    enum { ADDRESSES = 9000 };
    static char message[4 * ADDRESSES] = "To: é";
    static const char one[] = "\n =?UTF-8?B?w6k=?=\n " NOBODY ",";
    (void)state;
    char *end = message + strlen(message);
    for (int i = 1; i < ADDRESSES; i++) {
        memcpy(end, ",é", 3);
        end += 3;
    }
    *end = '\n';
    int differs;
    size_t made = convert(bytes_of(message), 4096, 100, &differs);
    assert_int_equal(made, strlen("To:") + ADDRESSES * strlen(one) - strlen("\n") - strlen(",") +
                               strlen("\n"));
    assert_true(differs != 0);
}

static void parts_are_seen_to_a_depth(void **state)
{
    static char message[4000];
    static char expected[4000];
    (void)state;
    for (int depth = 32; depth <= 33; depth++) {
        message[0] = expected[0] = '\0';
        for (int i = 0; i < depth; i++) {
            char level[100];
            (void)snprintf(level, sizeof level, "Content-Type: multipart/x; boundary=%d\n\n--%d\n",
                           i, i);
            append(message, sizeof message, level);
        }
        append(expected, sizeof expected, message);
        append(expected, sizeof expected, depth == 32 ? "\n" : "X: é\n\n");
        append(message, sizeof message, "X: é\n\n");
        int differs;
        (void)convert(bytes_of(message), 5000, 5000, &differs);
        assert_string_equal((const char *)result, expected);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_ascii_stays_as_it_is),
        cmocka_unit_test(addresses_become_nobodys),
        cmocka_unit_test(names_of_ascii_addresses_become_words),
        cmocka_unit_test(parameters_are_left_out),
        cmocka_unit_test(a_subject_becomes_words),
        cmocka_unit_test(other_fields_are_left_out),
        cmocka_unit_test(headers_within_are_seen),
        cmocka_unit_test(long_fields_need_no_more_memory),
        cmocka_unit_test(a_field_of_many_addresses_comes_in_pieces),
        cmocka_unit_test(parts_are_seen_to_a_depth),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
