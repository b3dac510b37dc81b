/* SPDX-License-Identifier: MIT */
/* After a password was checked, made into a verifier or looked up in the cache, and its secret freed, its
 * octets are nowhere in this process: all that is mapped and writable is searched. The test itself knows the
 * password only with every octet changed. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "account/account_secrets.h"
#include "account/accounts.h"
#include "account/verification_cache.h"
#include "account/verifier.h"
#include "scratch.h"

enum {
    PASSWORD_OCTETS = 24,
    PIECE_OCTETS = 12, /* already half of it is too much */
    HIDING = 0xA5,
};

#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED 1
#endif
#endif

#ifdef SANITIZED
#define READS_ANY_MEMORY __attribute__((no_sanitize("address", "undefined"), noinline))
#else
#define READS_ANY_MEMORY __attribute__((noinline))
#endif

static const uint8_t hidden[PASSWORD_OCTETS] = {
    0xD4, 0x92, 0xF3, 0xDF, 0x88, 0xF7, 0x97, 0xC8, 0xFD, 0xFA, 0xCE, 0xF2,
    0x9C, 0xD5, 0xE9, 0xD6, 0x8E, 0xF1, 0x91, 0xCB, 0xFC, 0xC7, 0x9D, 0xC6,
};

/* How often a piece of the password is in [from, to). */
READS_ANY_MEMORY static unsigned count_in(const volatile uint8_t *from, const volatile uint8_t *to)
{
    unsigned found = 0;
    for (; from + PIECE_OCTETS <= to; from++) {
        uint8_t octet = *from ^ HIDING;
        if (octet != hidden[0] && octet != hidden[PIECE_OCTETS]) {
            continue;
        }
        size_t start = octet == hidden[0] ? 0 : PIECE_OCTETS;
        size_t i = 0;
        while (i < PIECE_OCTETS && (from[i] ^ HIDING) == hidden[start + i]) {
            i++;
        }
        found += i == PIECE_OCTETS;
    }
    return found;
}

/* The pages from `page` on that have ever been touched; the sanitizers map much more. */
static size_t present_pages(int pagemap, size_t page, size_t end)
{
    size_t count = 0;
    uint64_t entry;
    while (page + count < end &&
           pread(pagemap, &entry, sizeof entry, (off_t)((page + count) * sizeof entry)) ==
               (ssize_t)sizeof entry &&
           (entry >> 62) != 0) { /* in memory or swapped */
        count++;
    }
    return count;
}

static unsigned count_in_memory(void)
{
    static char line[512];
    size_t page_size = (size_t)sysconf(_SC_PAGESIZE);
    unsigned found = 0;
    FILE *maps = fopen("/proc/self/maps", "r");
    int pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
    assert_non_null(maps);
    assert_true(pagemap >= 0);
    while (fgets(line, sizeof line, maps) != NULL) {
        unsigned long from, to;
        char rights[5];
        if (sscanf(line, "%lx-%lx %4s", &from, &to, rights) != 3 || strncmp(rights, "rw", 2) != 0 ||
            to - from > 1024UL * 1024 * 1024) { /* the sanitizer's shadow */
            continue;
        }
        for (size_t page = from / page_size; page < to / page_size;) {
            size_t count = present_pages(pagemap, page, to / page_size);
            const volatile uint8_t *start = (const volatile uint8_t *)(page * page_size);
            found += count_in(start, start + count * page_size);
            page += count + 1;
        }
    }
    assert_int_equal(fclose(maps), 0);
    (void)close(pagemap);
    return found;
}

/* As the server does it: the octets come in a buffer that is wiped once they are in a secret. */
static struct secret *reveal(void)
{
    struct secret *secret;
    volatile uint8_t octets[PASSWORD_OCTETS];
    for (size_t i = 0; i < PASSWORD_OCTETS; i++) {
        octets[i] = hidden[i] ^ HIDING;
    }
    struct bytes bytes = {(const uint8_t *)(uintptr_t)octets, PASSWORD_OCTETS};
    assert_int_equal(secret_create(bytes, &secret, NULL), 0);
    for (size_t i = 0; i < PASSWORD_OCTETS; i++) {
        octets[i] = 0;
    }
    return secret;
}

static void search_finds_what_is_there(void **state)
{
    (void)state;
    assert_int_equal(count_in_memory(), 0);
    struct secret *secret = reveal();
    assert_int_equal(count_in_memory(), 2);
    secret_free(secret);
    assert_int_equal(count_in_memory(), 0);
}

static const struct {
    const char *verifier;
    bool is_right;
} verifiers[] = {
    {"{PLAIN}another password", false},
    {"{SHA512-CRYPT}$6$rounds=1000$saltstring$nvsgN/gDAlwiO39WRxGjFi/"
     "8vORsBO8Vxm2Oy8Pq0PyC8z6ZEX5GVd/weL7d2Lv02Otva637AFDFB85yU/o9r0",
     true},
    {"{SHA256-CRYPT}$5$rounds=1000$saltstring$Ry4DVBgiSMi1dcKNNjCrXIcPZBBB0f81qF9HJCKT2h.", true},
    {"{BLF-CRYPT}$2y$04$abcdefghijklmnopqrstuuGbdSPlYM3LUecY1ECxCE.FP79ZRmSOi", true},
    {"{CRYPT}$y$j75$abcdefgh$cAECHlVt9vB4qRXQ7EWU8uDcXq9vPAaCTvsaTeQbB74", true},
    {"{CRYPT}$7$AU..../....abcdefgh$AkhDSJCKZt6kCX2lmJ1FUCy327NfPeXyCMJFZULgSI.", true},
    {"{MD5-CRYPT}$1$abcdefgh$6Bb7iUr125oc8vHt2Lumb/", true},
    {"{CRYPT}abw85/1IazmNw", true},
    {"{ARGON2ID}$argon2id$v=19$m=1024,t=2,p=1$c2FsdHNhbHQxMjM0$"
     "fFcmnWxazBdkVSS8pg4O3SKbeK3iPP78rq9NNnt6WOE",
     true},
    {"{SCRAM-SHA-256}4096,AAAAAAAAAAAAAAAAAAAAAA==,bRxlawAPeSPQaMsXB/"
     "tLS2aOEbdT3v4fh4l6Gda4DY0=,ilse5wVxo+4foZ9YDlp7Szfcw5vxiBRqa3kadJkjn80=",
     true},
};

static void checks_leave_nothing(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof verifiers / sizeof *verifiers; i++) {
        struct error error = {0};
        struct secret *secret = reveal();
        int result = verifier_check(bytes_of(verifiers[i].verifier), secret, &error);
        secret_free(secret);
        unsigned found = count_in_memory();
        if (found != 0) {
            fail_msg("%u after %s", found, verifiers[i].verifier);
        }
        assert_int_equal(result, verifiers[i].is_right ? 0 : -1);
    }
}

static void making_leaves_nothing(void **state)
{
    (void)state;
    static const char *const schemes[] = {"scram-sha-256", "argon2id"};
    for (size_t i = 0; i < 2; i++) {
        char verifier[VERIFIER_MADE_OCTETS];
        struct secret *secret = reveal();
        assert_int_equal(verifier_make(schemes[i], secret, NULL, verifier, NULL), 0);
        secret_free(secret);
        assert_int_equal(count_in_memory(), 0);
    }
}

static void cache_keeps_no_password(void **state)
{
    (void)state;
    struct verification_cache *cache;
    struct verification_answer answer = {"alice", NULL};
    assert_int_equal(verification_cache_create(&cache, NULL), 0);
    struct secret *secret = reveal();
    struct verification_question question = {.user = bytes_of("alice"), .password = secret};
    verification_cache_insert(cache, &question, 1, &answer);
    bool is_hit = verification_cache_lookup(cache, &question, 1, &answer);
    secret_free(secret);
    assert_int_equal(count_in_memory(), 0);
    assert_true(is_hit);
    verification_cache_free(cache);
}

/* The file has the password itself, and the loaded accounts must not. */
static void plain_accounts_are_not_kept(void **state)
{
    (void)state;
    struct scratch scratch;
    struct accounts *accounts;
    struct account *account, *decoy;
    scratch_init(&scratch);
    FILE *file = fopen(scratch.path, "w");
    assert_non_null(file);
    assert_int_equal(setvbuf(file, NULL, _IONBF, 0), 0);
    for (int i = 0; i < 5000;
         i++) { /* to the middle of a buffer, where nothing else is put later */
        (void)fputs("# people\n", file);
    }
    (void)fputs("alice:{PLAIN}", file);
    for (size_t i = 0; i < PASSWORD_OCTETS; i++) {
        (void)fputc(hidden[i] ^ HIDING, file);
    }
    assert_int_equal(fclose(file), 0);
    assert_int_equal(accounts_load(scratch.path, &accounts, NULL), 0);
    assert_int_equal(count_in_memory(), 0);
    assert_int_equal(accounts_lookup(accounts, bytes_of("alice"), &account, NULL), 0);
    account_free(account);
    assert_int_equal(count_in_memory(), 0);
    assert_int_equal(accounts_decoy(accounts, &decoy, NULL), 0);
    account_free(decoy);
    assert_int_equal(count_in_memory(), 0);
    struct secret *secret = reveal();
    assert_int_equal(accounts_lookup(accounts, bytes_of("alice"), &account, NULL), 0);
    assert_int_equal(accounts_decoy(accounts, &decoy, NULL), 0);
    size_t number;
    int result = account_check(account, secret, &number, NULL);
    int decoy_result = account_check(decoy, secret, &number, NULL);
    account_free(account);
    account_free(decoy);
    secret_free(secret);
    assert_int_equal(count_in_memory(), 0);
    assert_int_equal(result, 0);
    assert_int_equal(decoy_result, -1);
    accounts_free(accounts);
    scratch_finish(&scratch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(search_finds_what_is_there),  cmocka_unit_test(checks_leave_nothing),
        cmocka_unit_test(making_leaves_nothing),       cmocka_unit_test(cache_keeps_no_password),
        cmocka_unit_test(plain_accounts_are_not_kept),
    };
    return cmocka_run_group_tests_name("residue", tests, NULL, NULL);
}
