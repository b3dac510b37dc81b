/* SPDX-License-Identifier: MIT */
/* The hashes come from other programs: Dovecot 2.3.19 `doveadm pw`, mkpasswd 5.5, argon2 20171227, and Python
 * 3.11's hashlib, hmac and crypt; one from RFC 7677 section 3. */
#include "account/verifier.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "scratch.h"

#define HORSE  "correct horse"
#define UMLAUT "p\xC3\xA4ssw\xC3\xB6rd"
#define A43    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define B43    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaA" /* as base64: no bits left over */
#define A53    A43 "aaaaaaaaaa"
#define A86    A43 A43
#define KEY    "WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY="

enum { MIB = 1024 * 1024 };

static const struct {
    const char *password;
    const char *verifier;
    enum verifier_scheme scheme;
    uint64_t memory_min; /* a check takes this and at most 1 MiB more */
} known[] = {
    {HORSE, "{PLAIN}correct horse", VERIFIER_PLAIN, 0},
    {UMLAUT, "{plain}" UMLAUT, VERIFIER_PLAIN, 0},
    {"{PLAIN}", "{PLAIN}{PLAIN}", VERIFIER_PLAIN, 0},
    {HORSE, "{CRYPT}$2y$05$pZEbTjMK1yFFS2Eehq/TdO4wdDrBms2oD/58pEyV42euNTy5VGG86", VERIFIER_CRYPT,
     0},
    {UMLAUT, "{CRYPT}$2y$05$ELLUOH0lduy1XTLwpEsmKugYvwweXb0b4o5zPCObnWQafOOJBVEHq", VERIFIER_CRYPT,
     0},
    {HORSE,
     "{SHA512-CRYPT}$6$l73L39vigdUv/uUL$6ihnprI.iI8FwZgqz2fHgqNs8pL.jtzF/"
     "JVbX1S954lMKn2i8em44X.guBtdxq9i6bGP/rzYasOdbrVZOTwF/0",
     VERIFIER_CRYPT, 0},
    {UMLAUT,
     "{SHA512-CRYPT}$6$onXNal7XiSxSmcRE$ozURkBqUUAMyCXiDh4nM.AY7Y4B/uQq/"
     "iOe.10dtMhyhKXZGXifFTRES9.JatWmQGyP1DiFlFDc.JHRgYME9M.",
     VERIFIER_CRYPT, 0},
    {HORSE,
     "{CRYPT}$6$rounds=12345$8HuIqVMWJpZusv5M$nOvALDm1q7l7fwpNQEg.."
     "JmsWmx7hzHX041KUC8YpBSWL3Y3SiC5f6wmXvq0TENmxmHXZS4YUFyr8C1Ab1i5./",
     VERIFIER_CRYPT, 0},
    {HORSE, "{SHA256-CRYPT}$5$sVsGfmnwNcb5lLQQ$qd8qjC6Fwks9UgXpmmVxxIIDc8zuPCBYvIC/JhriJa6",
     VERIFIER_CRYPT, 0},
    {HORSE, "{BLF-CRYPT}$2y$05$w1ss7.EcsBsAr0pA8KIOL.A.k3I2qaYLWyT1Zy2aKuDGnYeZan/3y",
     VERIFIER_CRYPT, 0},
    {UMLAUT, "{blf-crypt}$2y$05$PKRDDS4JlxumejGIkLrvXehNtgO5PMBwuMI17rm0j1H6voVy.G1c.",
     VERIFIER_CRYPT, 0},
    {HORSE, "{BLF-CRYPT}$2b$05$abcdefghijklmnopqrstuuHNbAKRhpaujgo33bRWs.NLUTJO3lOy2",
     VERIFIER_CRYPT, 0},
    {HORSE, "{BLF-CRYPT}$2a$05$z3UpwABl73OV.dqLbHXtce0QBWYSeVfRMFJwLHM.4Z/6hUycjgScu",
     VERIFIER_CRYPT, 0},
    {HORSE, "{MD5-CRYPT}$1$wymQeTKp$8yFaoZ2CmhGFWcU9dmScb0", VERIFIER_CRYPT, 0},
    {HORSE, "{CRYPT}UZTwSHqkjoYSE", VERIFIER_CRYPT, 0},
    {HORSE, "{CRYPT}$y$j9T$vnSdhlLZkxg.7uz6Kn6Cz.$ucJPvQV3.rRyxNQjipQK2CV7yhMECssNJRiGR6FAa94",
     VERIFIER_CRYPT, 16 * MIB},
    {HORSE, "{CRYPT}$y$j75$qDy84F0x6/HNRw2wGoyJy.$E0/SSUjes86KascqkfjlbCwNznV.dDbmOrXDbj80VZ.",
     VERIFIER_CRYPT, 1 * MIB},
    {HORSE, "{CRYPT}$y$j75..$abcdefgh$RSWnqWgzjG9/BDmcpXfddRWaTqX/Sh9TOeljShAqa13", VERIFIER_CRYPT,
     1 * MIB},
    {HORSE,
     "{CRYPT}$y$j4kD$abcdefgh$EcOGXd9iW86Uf.CJVjdS9dGZ3SV5ppdxdOKQ.J7LnO5", /* r in two digits */
     VERIFIER_CRYPT, 1 * MIB},
    {HORSE, "{CRYPT}$gy$j9T$tdt6oW0h.3bo5IQusqDaX0$Li/ypEwILPBXAGHZbU6y3a2yq989zodqnoTH0VoGTp8",
     VERIFIER_CRYPT, 16 * MIB},
    {HORSE,
     "{CRYPT}$7$CU..../....aACAQIWQkzULleRUAgYwo/$Dp6I97sFqh5AjpPO5eSZhmInOpogslWrRWrgbNE8Gc3",
     VERIFIER_CRYPT, 64 * MIB},
    {HORSE,
     "{ARGON2ID}$argon2id$v=19$m=65536,t=3,p=1$wobN5ETNm6kNXVHpab9MTQ$"
     "JcoPPOcaSkT0JSzTfxoB5LtZyMgVIOGKaxgTA4BKj9w",
     VERIFIER_ARGON2, 64 * MIB},
    {HORSE,
     "{ARGON2ID}$argon2id$v=19$m=1024,t=3,p=4$c2FsdHNhbHQxMjM0$"
     "VWAeF53dIf+eip3X3PTXNqo9Wywi9tHjVCeCzrhkdWw",
     VERIFIER_ARGON2, 1 * MIB},
    {HORSE,
     "{ARGON2I}$argon2i$v=19$m=512,t=3,p=1$c2FsdHNhbHQxMjM0$zfKnzHSHUXxZCnfAB9F4U3ymsbdyinBN",
     VERIFIER_ARGON2, MIB / 2},
    {HORSE,
     "{SCRAM-SHA-256}4096,avv9vU4fM3Jrpl+z7fRaig==,AzY5bFhuW/y5MBbT+BeyBJCuVxUp4rIxSmLyVhrx37c=,"
     "Wt0ZVadFhn+myo+fVDbofVe0dH3uJ7/oBUzQk6kH7gA=",
     VERIFIER_SCRAM_SHA_256, 0},
    {UMLAUT,
     "{SCRAM-SHA-256}4096,ZI+DYovAJ7nqz6+k5aleGA==,CajxhloBjoc16pStw0ziCsQJjVKnqbbF+Hqoimn+HsU=,"
     "+erq9fNp4PQlcjExrZ8IP3JyJZZoXcnChB4MxhzktiU=",
     VERIFIER_SCRAM_SHA_256, 0},
    {HORSE,
     "{scram-sha-256}100000,AAECAwQFBgcICQoLDA0ODw==,mtSW/tBUvk0eIC+2GRlAofx/HCzHwrwx1gCoaD83Lx4=,"
     "0tpaCzYBUAbPrhDg3U5WugRXhmOHqiBWP5R2QA7Nwfo=",
     VERIFIER_SCRAM_SHA_256, 0},
    {"pencil", /* RFC 7677 section 3 */
     "{SCRAM-SHA-256}4096,W22ZaJ0SNY7soEsUEjb6gQ==," KEY
     ",wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=",
     VERIFIER_SCRAM_SHA_256, 0},
    {"pencil", /* RFC 5802 section 5 */
     "{SCRAM-SHA-1}4096,QSXCR+Q6sek8bf92,6dlGYMOdZcOPutkcNY8U2g7vK9Y=,D+CSWLOshSulAsxiupA+qs2/fTE=",
     VERIFIER_SCRAM_SHA_1, 0},
    {UMLAUT,
     "{scram-sha-1}5000,MDEyMzQ1Njc4OWFiY2RlZg==,rKJZ/XKF0/FlYK4HSZnOZDXmV0U=,h6/"
     "LfqxA6Juby0gpFPJ5OOHS1to=",
     VERIFIER_SCRAM_SHA_1, 0},
};

enum { KNOWN = sizeof known / sizeof *known };

static enum error_kind check(const char *verifier, struct bytes password)
{
    struct error error = {0};
    struct secret *secret;
    assert_int_equal(secret_create(password, &secret, NULL), 0);
    int result = verifier_check(bytes_of(verifier), secret, &error);
    secret_free(secret);
    assert_int_equal(result == 0, error.kind == ERROR_NONE);
    return error.kind;
}

static void right_password_fits(void **state)
{
    (void)state;
    for (size_t i = 0; i < KNOWN; i++) {
        if (check(known[i].verifier, bytes_of(known[i].password)) != ERROR_NONE) {
            fail_msg("%s", known[i].verifier);
        }
    }
}

/* One octet more, one less, one changed, another case, none at all, and one behind a NUL. */
static void wrong_passwords_do_not(void **state)
{
    (void)state;
    for (size_t i = 0; i < KNOWN; i++) {
        char wrong[6][32] = {{0}};
        size_t size = strlen(known[i].password);
        (void)snprintf(wrong[0], 32, "%s ", known[i].password);
        (void)snprintf(wrong[1], 32, "%.*s", (int)size - 1, known[i].password);
        (void)snprintf(wrong[2], 32, "%s", known[i].password);
        wrong[2][0] = '~';
        (void)snprintf(wrong[3], 32, "%s", known[i].password);
        wrong[3][0] = (char)(wrong[3][0] ^ 0x20);
        (void)snprintf(wrong[5], 32, "%s", known[i].password);
        bool is_des = strcmp(known[i].verifier, "{CRYPT}UZTwSHqkjoYSE") == 0;
        for (size_t j = 0; j < 6; j++) {
            if (is_des && j < 2) {
                continue; /* DES knows 8 octets only */
            }
            struct bytes octets = {(const uint8_t *)wrong[j], j == 5 ? size + 2 : strlen(wrong[j])};
            enum error_kind kind = check(known[i].verifier, octets);
            if (kind != ERROR_BAD_CREDENTIALS) {
                fail_msg("%s takes variant %zu: %d", known[i].verifier, j, (int)kind);
            }
        }
    }
}

static void longest_password_is_only_wrong(void **state)
{
    (void)state;
    uint8_t octets[SECRET_OCTETS_MAX];
    memset(octets, 'x', sizeof octets);
    for (size_t i = 0; i < KNOWN; i++) {
        struct bytes password = {octets, sizeof octets};
        assert_int_equal(check(known[i].verifier, password), ERROR_BAD_CREDENTIALS);
    }
}

static void costs_are_read(void **state)
{
    (void)state;
    for (size_t i = 0; i < KNOWN; i++) {
        struct verifier_cost cost;
        struct error error = {0};
        if (verifier_examine(bytes_of(known[i].verifier), &cost, &error) < 0) {
            fail_msg("%s: %s", known[i].verifier, error.text);
        }
        assert_int_equal(cost.scheme, known[i].scheme);
        assert_in_range(cost.memory, known[i].memory_min, known[i].memory_min + MIB);
        assert_int_equal(verifier_memory(bytes_of(known[i].verifier)), cost.memory);
    }
}

static void equal_costs_are_told_from_others(void **state)
{
    (void)state;
    static const struct {
        const char *a, *b;
        bool are_equal;
    } pairs[] = {
        {"{PLAIN}a", "{PLAIN}bb", true},
        {"{PLAIN}a", "{CRYPT}UZTwSHqkjoYSE", false},
        {"{CRYPT}$6$x$" A86, "{SHA512-CRYPT}$6$yy$" A86, true},
        {"{CRYPT}$6$x$" A86, "{CRYPT}$6$rounds=5000$x$" A86, true},
        {"{CRYPT}$6$x$" A86, "{CRYPT}$6$rounds=5001$x$" A86, false},
        {"{CRYPT}$6$x$" A86, "{CRYPT}$5$x$" A43, false},
        {"{BLF-CRYPT}$2y$05$" A53, "{BLF-CRYPT}$2y$06$" A53, false},
        {"{CRYPT}$y$j9T$x$" A43, "{CRYPT}$y$j8T$x$" A43, false},
        {"{CRYPT}$y$j9T$x$" A43, "{CRYPT}$y$j9T$yy$" A43, true},
        {"{SCRAM-SHA-256}4096,AA==," KEY "," KEY, "{SCRAM-SHA-256}4096,AAA=," KEY "," KEY, true},
        {"{SCRAM-SHA-256}4096,AA==," KEY "," KEY, "{SCRAM-SHA-256}4097,AA==," KEY "," KEY, false},
        {"{ARGON2ID}$argon2id$v=19$m=64,t=1,p=1$" B43 "$" B43,
         "{ARGON2ID}$argon2id$v=19$m=64,t=2,p=1$" B43 "$" B43, false},
        {"{ARGON2ID}$argon2id$v=19$m=64,t=1,p=1$" B43 "$" B43,
         "{ARGON2I}$argon2i$v=19$m=64,t=1,p=1$" B43 "$" B43, false},
    };
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        struct verifier_cost a, b;
        assert_int_equal(verifier_examine(bytes_of(pairs[i].a), &a, NULL), 0);
        assert_int_equal(verifier_examine(bytes_of(pairs[i].b), &b, NULL), 0);
        if (verifier_cost_equal(&a, &b) != pairs[i].are_equal) {
            fail_msg("%s and %s", pairs[i].a, pairs[i].b);
        }
    }
}

static const struct {
    const char *verifier;
    const char *text; /* of the error: how it begins */
} malformed[] = {
    {"", "the password has no scheme: write {CRYPT} before"},
    {"secret", "the password has no scheme: write {CRYPT} before"},
    {"$6$x$" A86, "the password has no scheme: write {CRYPT} before"},
    {"{CRYPT$6$x$" A86, "the scheme has no closing brace: write {SCHEME}hash"},
    {"{}x", "scheme {} is not served: use SCRAM-SHA-256"},
    {"{SSHA}x", "scheme {SSHA} is not served: use SCRAM-SHA-256"},
    {"{PLAIN.b64}eA==", "scheme {PLAIN.b64} is not served: use SCRAM-SHA-256"},
    {"{P\x01}x", "scheme {P\\x01} is not served"},
    {"{PLAIN}", "an empty {PLAIN} password: leave the whole field empty"},
    {"{CRYPT}", "a hash of a crypt(3) method that is not served: use"},
    {"{CRYPT}x", "a hash of a crypt(3) method that is not served: use"},
    {"{CRYPT}UZTwSHqkjoYS:", "a hash of a crypt(3) method that is not served: use"},
    {"{CRYPT}$3$$8846f7eaee8fb117ad06bdd830b7586c", "a hash of a crypt(3) method that"},
    {"{CRYPT}$6$", "a hash of a crypt(3) method that is not served: use"},
    {"{CRYPT}$6$x", "a malformed $6$ hash: no '$' between its salt and the rest"},
    {"{CRYPT}$6$" A86, "a malformed $6$ hash: no '$' between its salt and the rest"},
    {"{CRYPT}$6$x$", "a malformed $6$ hash: 86 of ./0-9A-Za-z follow its last '$', not 0"},
    {"{CRYPT}$6$x$" A86 "a", "a malformed $6$ hash: 86 of ./0-9A-Za-z follow"},
    {"{CRYPT}$6$x$" A43 A43 "\xE4", "a malformed $6$ hash: 86 of ./0-9A-Za-z follow"},
    {"{CRYPT}$6$rounds=999$x$" A86, "a malformed sha-crypt hash: it is like"},
    {"{CRYPT}$6$rounds=05000$x$" A86, "a malformed sha-crypt hash: it is like"},
    {"{CRYPT}$6$rounds=$x$" A86, "a malformed sha-crypt hash: it is like"},
    {"{CRYPT}$6$rounds=10000001$x$" A86,
     "the count of sha-crypt rounds would cost a login too much"},
    {"{CRYPT}$6$rounds=99999999999$x$" A86, "a malformed sha-crypt hash: it is like"},
    {"{SHA512-CRYPT}$5$x$" A43, "a hash of {SHA512-CRYPT} begins with $6$: correct it"},
    {"{BLF-CRYPT}$6$x$" A86, "a hash of {BLF-CRYPT} begins with $2: correct it"},
    {"{BLF-CRYPT}$2x$05$" A53, "a hash of a crypt(3) method that is not served"},
    {"{BLF-CRYPT}$2y$5$" A53, "a malformed bcrypt hash: it is like"},
    {"{BLF-CRYPT}$2y$03$" A53, "a malformed bcrypt hash: it is like"},
    {"{BLF-CRYPT}$2y$17$" A53, "the bcrypt cost would cost a login too much: at most 16"},
    {"{BLF-CRYPT}$2y$05$" A43, "a malformed $2y$ hash: 53 of"},
    {"{BLF-CRYPT}$2y$" A53, "a malformed $2y$ hash: no '$'"},
    {"{CRYPT}$y$j9$x$" A43, "a malformed yescrypt hash: it is like"},
    {"{CRYPT}$y$j9Tz$x$" A43, "a malformed yescrypt hash: it is like"},
    {"{CRYPT}$y$j9T1.$x$" A43, "a yescrypt hash with an upgrade or a ROM: make one without"},
    {"{CRYPT}$y$jMT$x$" A43, "the memory of the hash, in octets, would cost"},
    {"{CRYPT}$y$jzT$x$" A43, "a malformed yescrypt hash: it is like"},
    {"{CRYPT}$y$j9zzzzzz$x$" A43, "the memory of the hash, in octets, would cost"},
    {"{CRYPT}$7$CU....$" A43, "a malformed scrypt hash: it is like"},
    {"{CRYPT}$7$JU..../....x$" A43, "the memory of the hash, in octets, would cost"},
    {"{CRYPT}$7$CU.........x$" A43, "the memory of the hash, in octets, would cost"},
    {"{CRYPT}$7$C...../....x$" A43, "the memory of the hash, in octets, would cost"},
    {"{ARGON2ID}", "a hash of {ARGON2ID} begins with $argon2id$: correct it"},
    {"{ARGON2ID}$argon2i$v=19$m=64,t=1,p=1$" B43 "$" B43, "a hash of {ARGON2ID} begins with"},
    {"{ARGON2ID}$argon2id$", "a malformed argon2 hash: it is $argon2id$v=19$m=65536"},
    {"{ARGON2ID}$argon2id$v=16$m=64,t=1,p=1$" B43 "$" B43, "a malformed argon2 hash"},
    {"{ARGON2ID}$argon2id$m=64,t=1,p=1$" B43 "$" B43, "a malformed argon2 hash"},
    {"{ARGON2ID}$argon2id$v=19$m=64,t=1$" B43 "$" B43, "a malformed argon2 hash"},
    {"{ARGON2ID}$argon2id$v=19$m=64,t=0,p=1$" B43 "$" B43, "a malformed argon2 hash"},
    {"{ARGON2ID}$argon2id$v=19$m=64,t=1,p=0$" B43 "$" B43, "a malformed argon2 hash"},
    {"{ARGON2ID}$argon2id$v=19$m=7,t=1,p=1$" B43 "$" B43, "a malformed argon2 hash"},
    {"{ARGON2ID}$argon2id$v=19$m=64,t=1,p=1$" B43, "a malformed argon2 hash"},
    {"{ARGON2ID}$argon2id$v=19$m=64,t=1,p=1$AA$" B43, "a malformed argon2 hash"},
    {"{ARGON2ID}$argon2id$v=19$m=64,t=1,p=1$" B43 "$*", "a malformed argon2 hash"},
    {"{ARGON2ID}$argon2id$v=19$m=10485760,t=1,p=1$" B43 "$" B43,
     "the argon2 memory (m, in KiB) would cost a login too much: at most 1048576"},
    {"{ARGON2ID}$argon2id$v=19$m=4294967295,t=4294967295,p=1$" B43 "$" B43, "the argon2 memory"},
    {"{ARGON2ID}$argon2id$v=19$m=65536,t=257,p=1$" B43 "$" B43, "the argon2 passes (t) times"},
    {"{ARGON2ID}$argon2id$v=19$m=4096,t=1,p=257$" B43 "$" B43, "the argon2 lanes (p) would"},
    {"{ARGON2ID}$argon2id$v=19$m=64,t=1,p=1$" B43 B43 B43 B43 B43 "$" B43,
     "an argon2 hash that is too long"},
    {"{SCRAM-SHA-256}", "a malformed SCRAM-SHA-256 hash: it is iterations,salt"},
    {"{SCRAM-SHA-256}0,AA==," KEY "," KEY, "a malformed SCRAM-SHA-256 hash"},
    {"{SCRAM-SHA-256}x,AA==," KEY "," KEY, "a malformed SCRAM-SHA-256 hash"},
    {"{SCRAM-SHA-256}4096,," KEY "," KEY, "a malformed SCRAM-SHA-256 hash"},
    {"{SCRAM-SHA-256}4096,A," KEY "," KEY, "a malformed SCRAM-SHA-256 hash"},
    {"{SCRAM-SHA-256}4096,AA==," KEY, "a malformed SCRAM-SHA-256 hash"},
    {"{SCRAM-SHA-256}4096,AA==," KEY ",", "a malformed SCRAM-SHA-256 hash"},
    {"{SCRAM-SHA-256}4096,AA==,AAAA," KEY, "a malformed SCRAM-SHA-256 hash"},
    {"{SCRAM-SHA-256}4096,AA==," KEY "," KEY ",x", "a malformed SCRAM-SHA-256 hash"},
    {"{SCRAM-SHA-256}10000001,AA==," KEY "," KEY, "the count of SCRAM iterations would cost"},
};

static void malformed_is_told(void **state)
{
    (void)state;
    struct secret *secret = secret_of(HORSE);
    for (size_t i = 0; i < sizeof malformed / sizeof *malformed; i++) {
        struct verifier_cost cost;
        struct error error = {0}, check_error = {0};
        struct bytes verifier = bytes_of(malformed[i].verifier);
        if (verifier_examine(verifier, &cost, &error) == 0) {
            fail_msg("%s is taken", malformed[i].verifier);
        }
        assert_int_equal(error.kind, ERROR_CONFIGURATION);
        if (strncmp(error.text, malformed[i].text, strlen(malformed[i].text)) != 0) {
            fail_msg("%s: %s", malformed[i].verifier, error.text);
        }
        assert_int_equal(verifier_check(verifier, secret, &check_error), -1);
        assert_string_equal(check_error.text, error.text);
        assert_int_equal(verifier_memory(verifier), 0);
    }
    secret_free(secret);
}

/* No prefix of a good one, and no single octet replaced, may do worse than be refused or be wrong. */
static void damage_is_harmless(void **state)
{
    (void)state;
    for (size_t i = 0; i < KNOWN; i++) {
        char damaged[256];
        size_t size = strlen(known[i].verifier);
        assert_true(size < sizeof damaged);
        for (size_t at = 0; at <= size; at++) {
            struct verifier_cost cost;
            memcpy(damaged, known[i].verifier, size + 1);
            int result = verifier_examine((struct bytes){(uint8_t *)damaged, at}, &cost, NULL);
            for (size_t j = 0; at < size && j < 4; j++) {
                damaged[at] = "$,\xFFz"[j];
                result |= verifier_examine((struct bytes){(uint8_t *)damaged, size}, &cost, NULL);
            }
            assert_in_range(result + 1, 0, 1);
        }
    }
}

static void too_long_is_told(void **state)
{
    (void)state;
    char text[VERIFIER_OCTETS_MAX + 2] = "{PLAIN}";
    struct verifier_cost cost;
    struct error error = {0};
    memset(text + 7, 'x', sizeof text - 8);
    assert_int_equal(verifier_examine(bytes_of(text), &cost, &error), -1);
    assert_string_equal(error.text, "a password hash has at most 1024 octets: is a ':' missing?");
    text[7 + SECRET_OCTETS_MAX + 1] = '\0';
    assert_int_equal(verifier_examine(bytes_of(text), &cost, &error), -1);
    assert_string_equal(error.text, "a {PLAIN} password has at most 512 octets");
    text[7 + SECRET_OCTETS_MAX] = '\0';
    assert_int_equal(verifier_examine(bytes_of(text), &cost, &error), 0);
    assert_int_equal(check(text, bytes_of(text + 7)), ERROR_NONE);
}

static void made_ones_fit(void **state)
{
    (void)state;
    static const struct {
        const char *scheme, *begins;
    } schemes[] = {
        {"scram-sha-256", "{SCRAM-SHA-256}100000,"},
        {"SCRAM-SHA-256", "{SCRAM-SHA-256}100000,"},
        {"argon2id", "{ARGON2ID}$argon2id$v=19$m=65536,t=2,p=1$"},
    };
    for (size_t i = 0; i < sizeof schemes / sizeof *schemes; i++) {
        char first[VERIFIER_MADE_OCTETS], second[VERIFIER_MADE_OCTETS];
        struct secret *secret = secret_of(UMLAUT);
        assert_int_equal(verifier_make(schemes[i].scheme, secret, NULL, first, NULL), 0);
        assert_int_equal(verifier_make(schemes[i].scheme, secret, NULL, second, NULL), 0);
        secret_free(secret);
        assert_memory_equal(first, schemes[i].begins, strlen(schemes[i].begins));
        assert_string_not_equal(first, second);
        assert_int_equal(check(first, bytes_of(UMLAUT)), ERROR_NONE);
        assert_int_equal(check(second, bytes_of(UMLAUT)), ERROR_NONE);
        assert_int_equal(check(first, bytes_of("password")), ERROR_BAD_CREDENTIALS);
        assert_null(strchr(first, ':')); /* would end the field */
    }
}

static void what_cannot_be_made_is_told(void **state)
{
    (void)state;
    char out[VERIFIER_MADE_OCTETS];
    struct error error = {0};
    struct secret *secret = secret_of("x");
    assert_int_equal(verifier_make("plain", secret, NULL, out, &error), -1);
    assert_int_equal(error.kind, ERROR_USAGE);
    assert_string_equal(error.text,
                        "new passwords are kept as scram-sha-256 or argon2id, not as plain");
    assert_int_equal(secret_append(secret, (struct bytes){(const uint8_t *)"\0y", 2}, NULL), 0);
    assert_int_equal(verifier_make("argon2id", secret, NULL, out, &error), -1);
    assert_string_equal(error.text, "the password has a NUL octet in it");
    secret_free(secret);
    secret = secret_of("");
    assert_int_equal(verifier_make("argon2id", secret, NULL, out, &error), -1);
    assert_string_equal(error.text, "the password is empty");
    secret_free(secret);
}

static void keys_and_texts_are_told_apart(void **state)
{
    (void)state;
    for (size_t i = 0; i < KNOWN; i++) {
        struct bytes verifier = bytes_of(known[i].verifier);
        struct bytes text;
        struct scram_keys keys;
        assert_int_equal(verifier_text(verifier, &text), known[i].scheme == VERIFIER_PLAIN);
        if (known[i].scheme == VERIFIER_PLAIN) {
            assert_true(bytes_equal(text, bytes_of(known[i].password)));
        }
        for (unsigned hash = 0; hash < SCRAM_HASH_COUNT; hash++) {
            bool is_sha_1 = hash == SCRAM_SHA_1;
            assert_int_equal(verifier_scram_keys(verifier, (enum scram_hash)hash, &keys),
                             known[i].scheme ==
                                 (is_sha_1 ? VERIFIER_SCRAM_SHA_1 : VERIFIER_SCRAM_SHA_256));
        }
    }
    struct scram_keys keys;
    assert_false(verifier_scram_keys((struct bytes){0}, SCRAM_SHA_256, &keys));
    assert_false(verifier_scram_keys(bytes_of("{SCRAM-SHA-256}4096,x"), SCRAM_SHA_256, &keys));
    /* the keys of one hash under the name of the other */
    assert_false(verifier_scram_keys(bytes_of("{SCRAM-SHA-1}4096,W22ZaJ0SNY7soEsUEjb6gQ==," KEY
                                              ",wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="),
                                     SCRAM_SHA_1, &keys));
}

static void keys_are_those_of_the_verifier(void **state)
{
    (void)state;
    struct scram_keys kept, derived;
    assert_true(
        verifier_scram_keys(bytes_of("{SCRAM-SHA-1}4096,QSXCR+Q6sek8bf92,"
                                     "6dlGYMOdZcOPutkcNY8U2g7vK9Y=,D+CSWLOshSulAsxiupA+qs2/fTE="),
                            SCRAM_SHA_1, &kept));
    assert_int_equal(kept.iterations, 4096);
    assert_int_equal(kept.salt_size, 12);
    derived = kept;
    memset(derived.stored_key, 0, sizeof derived.stored_key);
    assert_int_equal(scram_derive(SCRAM_SHA_1, bytes_of("pencil"), &derived, NULL), 0);
    assert_memory_equal(derived.stored_key, kept.stored_key, 20);
    assert_memory_equal(derived.server_key, kept.server_key, 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_and_texts_are_told_apart),
        cmocka_unit_test(keys_are_those_of_the_verifier),
        cmocka_unit_test(right_password_fits),
        cmocka_unit_test(wrong_passwords_do_not),
        cmocka_unit_test(longest_password_is_only_wrong),
        cmocka_unit_test(costs_are_read),
        cmocka_unit_test(equal_costs_are_told_from_others),
        cmocka_unit_test(malformed_is_told),
        cmocka_unit_test(damage_is_harmless),
        cmocka_unit_test(too_long_is_told),
        cmocka_unit_test(made_ones_fit),
        cmocka_unit_test(what_cannot_be_made_is_told),
    };
    return cmocka_run_group_tests_name("verifier", tests, NULL, NULL);
}
