/* SPDX-License-Identifier: MIT */
/* The frozen grammar of names and unique ids: a change here sends every client its mail again. */
#include "support.h"

#include "maildrop/maildir/name.h"

#include <string.h>

struct vector {
    const char *base;
    const char *id;
};

static void unique_ids_are_as_frozen(void **state)
{
    (void)state;
    /* The hashes were made with Python's hashlib.blake2b(digest_size=20) and base64.b32encode. */
    static const struct vector vectors[] = {
        {"1700000000.M1P2Q3.host", "1700000000.M1P2Q3.host"},
        {"1700000000.M1P2Q3.host,S=17,W=21", "1700000000.M1P2Q3.host"},
        {"1700000000.host,W=21,S=17", "1700000000.host"},
        {"a,S=1,b,W=2,c", "a,b,c"},
        {"a,S=", "a,S="},
        {"a,S=1x", "a,S=1x"},
        {"a,S=1x,S=2", "a,S=1x"},
        {"a,s=1", "a,s=1"},
        {"a,T=1", "a,T=1"},
        {"a,S=99999999999999999999999999999999", "a"},
        {"a,,S=1,", "a,,"},
        {"x", "x"},
        {"=x", "=bnk45z6y7xjrsbituj7qyugbfsoa6ygz"},
        {"", "=gncvesv7no7bqckesisllfzmif4qw3hs"},
        {",S=5", "=gncvesv7no7bqckesisllfzmif4qw3hs"},
        {"with space", "=e2bbru6pvkxzxjj4yopuskoxk64mba4d"},
        {"with space,S=5", "=e2bbru6pvkxzxjj4yopuskoxk64mba4d"},
        {"with\nnewline", "=jdadpprt7gl2wnzwk4vashut6qb37mtr"},
        {"caf\xc3\xa9", "=27z6san5oeawuebv7pqyohu6cf7tdh7b"},
        {"1234567890123456789012345678901234567890123456789012345678901234567890",
         "1234567890123456789012345678901234567890123456789012345678901234567890"},
        {"1234567890123456789012345678901234567890123456789012345678901234567890,S=1",
         "1234567890123456789012345678901234567890123456789012345678901234567890"},
        {"12345678901234567890123456789012345678901234567890123456789012345678901",
         "=qxb4xhw2lbuibijyytovvy4mgwoalzt5"},
    };
    for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++) {
        char id[POP3_UNIQUE_ID_OCTETS + 1] = {0};
        size_t size = maildir_unique_id(bytes_of(vectors[i].base), id);
        id[size] = '\0';
        assert_string_equal(id, vectors[i].id);
    }
}

static void whole_ids_are_as_frozen(void **state)
{
    (void)state;
    char id[POP3_UNIQUE_ID_OCTETS + 1] = {0};
    assert_int_equal(maildir_unique_id_whole(bytes_of("a,S=1"), 0, id), 33);
    assert_string_equal(id, "=xlbz24fj2gjqktrmkcxb6mosjpsyzeor");
    assert_int_equal(maildir_unique_id_whole(bytes_of("a,S=1"), 1, id), 33);
    assert_string_equal(id, "=35gydya5qipgi3et2dobhczabqpjdhve");
    assert_int_equal(maildir_unique_id_whole(bytes_of("a,S=1"), 12, id), 33);
    assert_string_equal(id, "=lovnsfjw32bx2nrhtsiitanea44mclqb");
}

static void an_octet_that_no_id_may_have_is_hashed_away(void **state)
{
    (void)state;
    for (int octet = 1; octet < 256; octet++) {
        char base[4] = {'a', (char)octet, 'b', '\0'};
        char id[POP3_UNIQUE_ID_OCTETS];
        size_t size = maildir_unique_id(bytes_of(base), id);
        bool plain = octet >= 0x21 && octet <= 0x7E;
        assert_int_equal(size, plain ? 3 : 33);
        assert_true(maildir_is_unique_id((struct bytes){(const uint8_t *)id, size}));
    }
}

static void fields_give_sizes(void **state)
{
    (void)state;
    struct {
        const char *name;
        uint64_t size, octets;
    } cases[] = {
        {"1.a,S=17,W=21:2,S", 17, 21},
        {"1.a,W=21,S=17", 17, 21},
        {"1.a", MAILDIR_UNKNOWN, MAILDIR_UNKNOWN},
        {"1.a:2,S=5", MAILDIR_UNKNOWN, MAILDIR_UNKNOWN},
        {"1.a,S=17,S=18", 17, MAILDIR_UNKNOWN},
        {"1.a,S=0,W=0", 0, 0},
        {"1.a,S=-1", MAILDIR_UNKNOWN, MAILDIR_UNKNOWN},
        {"1.a,S=281474976710655", 281474976710655, MAILDIR_UNKNOWN},
        {"1.a,S=281474976710656", MAILDIR_UNKNOWN, MAILDIR_UNKNOWN},
        {"1.a,S=99999999999999999999", MAILDIR_UNKNOWN, MAILDIR_UNKNOWN},
        {"1.a,S=5.b", MAILDIR_UNKNOWN, MAILDIR_UNKNOWN},
        {",S=5", 5, MAILDIR_UNKNOWN},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct maildir_name name;
        maildir_name_parse(bytes_of(cases[i].name), &name);
        assert_int_equal(name.size, cases[i].size);
        assert_int_equal(name.octets, cases[i].octets);
    }
}

static int sign(int value)
{
    return (value > 0) - (value < 0);
}

static void order_is_by_number_then_octets(void **state)
{
    (void)state;
    static const char *const sorted[] = {
        "",
        ".5",
        "1234", /* no dot: no number */
        "1x.a", /* not a number */
        "a.1",
        "0.a",
        "00.a", /* the same number: by octets */
        "1.a",
        "1.b",
        "01.c", /* octets: '0' < '1' */
        "2.a",
        "10.a",
        "999999999999999999.a",
        "1000000000000000000.a",
        "18446744073709551615.a",
        "18446744073709551616.a",
        "99999999999999999999999999999999999999.a",
        "100000000000000000000000000000000000000.a",
    };
    /* Where octets decide between equal numbers, the list above is by hand. */
    const size_t count = sizeof sorted / sizeof sorted[0];
    for (size_t i = 0; i < count; i++) {
        for (size_t j = 0; j < count; j++) {
            if ((i == 7 || i == 8 || i == 9) && (j == 7 || j == 8 || j == 9)) {
                continue; /* equal numbers: below */
            }
            if ((i == 5 || i == 6) && (j == 5 || j == 6)) {
                continue;
            }
            struct bytes a = bytes_of(sorted[i]);
            struct bytes b = bytes_of(sorted[j]);
            int expected = (i > j) - (i < j);
            assert_int_equal(sign(maildir_name_compare(a, b)), expected);
            uint64_t key_a = maildir_name_key(a);
            uint64_t key_b = maildir_name_key(b);
            if (key_a != key_b) {
                assert_int_equal((key_a > key_b) - (key_a < key_b), expected);
            }
        }
    }
    assert_true(maildir_name_compare(bytes_of("01.c"), bytes_of("1.a")) < 0);
    assert_true(maildir_name_compare(bytes_of("1.a"), bytes_of("1.b")) < 0);
    assert_true(maildir_name_compare(bytes_of("0.a"), bytes_of("00.a")) < 0);
    assert_int_equal(maildir_name_compare(bytes_of("1.a"), bytes_of("1.a")), 0);
}

/* What scan_write.c rests on: fields never change the key. */
static void fields_do_not_change_the_key(void **state)
{
    (void)state;
    static const char *const bases[] = {"12.x,S=3", "12,S=3,.x", "12,S=3",
                                        ",S=3,W=4", "12,S=3.x",  "7.a,W=1,b"};
    for (size_t i = 0; i < sizeof bases / sizeof bases[0]; i++) {
        char id[POP3_UNIQUE_ID_OCTETS];
        size_t size = maildir_unique_id(bytes_of(bases[i]), id);
        struct bytes stripped = {(const uint8_t *)id, size};
        if (id[0] != '=') {
            assert_int_equal(maildir_name_key(stripped), maildir_name_key(bytes_of(bases[i])));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(unique_ids_are_as_frozen),
        cmocka_unit_test(whole_ids_are_as_frozen),
        cmocka_unit_test(an_octet_that_no_id_may_have_is_hashed_away),
        cmocka_unit_test(fields_give_sizes),
        cmocka_unit_test(order_is_by_number_then_octets),
        cmocka_unit_test(fields_do_not_change_the_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
