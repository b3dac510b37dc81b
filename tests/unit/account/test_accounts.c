/* SPDX-License-Identifier: MIT */
#include "account/account_secrets.h"
#include "account/accounts.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "account/verifier.h"
#include "scratch.h"

#define SCRAM                                                                                      \
    "{SCRAM-SHA-256}4096,W22ZaJ0SNY7soEsUEjb6gQ==,WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=,"   \
    "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=" /* "pencil" */

static struct accounts *load(const struct scratch *scratch)
{
    struct accounts *accounts = NULL;
    struct error error = {0};
    if (accounts_load(scratch->path, &accounts, &error) < 0) {
        fail_msg("%s", error.text);
    }
    return accounts;
}

static struct account *lookup(const struct accounts *accounts, const char *name)
{
    struct account *account = NULL;
    struct error error = {0};
    if (accounts_lookup(accounts, bytes_of(name), &account, &error) < 0) {
        fail_msg("%s: %s", name, error.text);
    }
    return account;
}

static enum error_kind check(const struct account *account, const char *password)
{
    struct error error = {0};
    struct secret *secret = secret_of(password);
    size_t number;
    int result = account_check(account, secret, &number, &error);
    assert_int_equal(result == 0, error.kind == ERROR_NONE);
    secret_free(secret);
    return error.kind;
}

static void sleep_ms(long milliseconds)
{
    struct timespec time = {.tv_nsec = milliseconds * 1000000};
    (void)nanosleep(&time, NULL);
}

/* One line each; name "" means that the line holds no account. */
static const struct {
    const char *line;
    const char *name, *maildrop, *password; /* password NULL: locked */
} lines[] = {
    {"# a comment: with a colon", "", NULL, NULL},
    {"", "", NULL, NULL},
    {"  \t", "", NULL, NULL},
    {"plain:{PLAIN}pass word", "plain", NULL, "pass word"},
    {"spaced:{PLAIN}pw ", "spaced", NULL, "pw "},
    {"pencil:" SCRAM, "pencil", NULL, "pencil"},
    {"whole@example.org:{PLAIN}pw:1000:1000:Whole Name:/home/w:/bin/sh:", "whole@example.org", NULL,
     "pw"},
    {"uid:{PLAIN}pw:1000", "uid", NULL, "pw"},
    {"home:{PLAIN}pw::::/home/h", "home", NULL, "pw"},
    {"path:{PLAIN}pw::::::userdb_mail=/srv/mail/path", "path", "/srv/mail/path", "pw"},
    {"dir:{PLAIN}pw::::::userdb_mail=maildir:/srv/mail/dir", "dir", "/srv/mail/dir", "pw"},
    {"opts:{PLAIN}pw::::::userdb_mail=maildir:/srv/o:INDEX=/var/i:LAYOUT=fs", "opts", "/srv/o",
     "pw"},
    {"inbox:{PLAIN}pw::::::userdb_mail=maildir:/srv/o:INBOX=/var/mail/i:INDEX=/x", "inbox",
     "/var/mail/i", "pw"},
    {"tilde:{PLAIN}pw::::/home/t::userdb_mail=maildir:~/Maildir", "tilde", "/home/t/Maildir", "pw"},
    {"other:{PLAIN}pw::::/home/o::userdb_quota_rule=*:bytes=1G userdb_mail=/m/o proxy=y", "other",
     "/m/o", "pw"},
    {"last:{PLAIN}pw::::/home/l::userdb_mail=~/a userdb_mail=/m/l", "last", "/m/l", "pw"},
    {"rel:{PLAIN}pw::::rel::x=y", "rel", NULL, "pw"},
    {"empty:", "empty", NULL, NULL},
    {"empty2::1:1::/h::userdb_mail=/m/e", "empty2", "/m/e", NULL},
    {"bang:!", "bang", NULL, NULL},
    {"star:*:1:1", "star", NULL, NULL},
    {"off:{CRYPT}!$6$x$y", "off", NULL, NULL},
    {"nologin:{PLAIN}pw::::::nologin", "nologin", NULL, NULL},
    {"nologin2:{PLAIN}pw::::::a=b nologin=y", "nologin2", NULL, NULL},
    {"loggable:{PLAIN}pw::::::nologin_hint=x", "loggable", NULL, "pw"},
    {"bangs:{PLAIN}!x", "bangs", NULL, "!x"},
    {"o'n eil:{PLAIN}pw", "o'n eil", NULL, "pw"},
    {"\xC3\xA9:{PLAIN}\xC3\xA9", "\xC3\xA9", NULL, "\xC3\xA9"},
};

enum { LINES = sizeof lines / sizeof *lines };

static void check_line(const struct accounts *accounts, size_t i)
{
    struct account *account = lookup(accounts, lines[i].name);
    assert_string_equal(account->name, lines[i].name);
    assert_int_equal(account->line, i + 1);
    assert_int_equal(account->may_login, lines[i].password != NULL);
    if (lines[i].maildrop == NULL) {
        assert_null(account->maildrop);
    } else {
        assert_string_equal(account->maildrop, lines[i].maildrop);
    }
    const char *password = lines[i].password != NULL ? lines[i].password : "pw";
    assert_int_equal(check(account, password),
                     lines[i].password != NULL ? ERROR_NONE : ERROR_BAD_CREDENTIALS);
    assert_int_equal(check(account, "wrong"), ERROR_BAD_CREDENTIALS);
    account_free(account);
}

static void says_whose_mail_it_is(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        const char *home; /* NULL: none */
        uint32_t uid, gid;
    } cases[] = {
        {"u:{PLAIN}pw:1000:1001:Whole Name:/home/w:/bin/sh:", "/home/w", 1000, 1001},
        {"u:{PLAIN}pw:0:0::/root", "/root", 0, 0},
        {"u:{PLAIN}pw:4294967294:4294967294", NULL, 4294967294, 4294967294},
        {"u:{PLAIN}pw:4294967295:4294967296::/h", "/h", ACCOUNT_NO_ID, ACCOUNT_NO_ID},
        {"u:{PLAIN}pw:-1:+5::/h", "/h", ACCOUNT_NO_ID, ACCOUNT_NO_ID},
        {"u:{PLAIN}pw:vmail:mail::/h", "/h", ACCOUNT_NO_ID, ACCOUNT_NO_ID},
        {"u:{PLAIN}pw:::: /h", NULL, ACCOUNT_NO_ID, ACCOUNT_NO_ID},
        {"u:{PLAIN}pw:1000:::h", NULL, 1000, ACCOUNT_NO_ID},
        {"u:{PLAIN}pw", NULL, ACCOUNT_NO_ID, ACCOUNT_NO_ID},
        {"u:{PLAIN}pw:7:8::/h::userdb_mail=~/mail", "/h", 7, 8},
        {"u:{PLAIN}pw:7:8::/h::userdb_mail=/var/mail/u", "/h", 7, 8},
        {"u:!:7:8::/h", "/h", 7, 8},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct scratch scratch;
        scratch_init(&scratch);
        scratch_write_text(&scratch, cases[i].line);
        struct accounts *accounts = load(&scratch);
        struct account *account = lookup(accounts, "u");
        assert_int_equal(account->uid, cases[i].uid);
        assert_int_equal(account->gid, cases[i].gid);
        if (cases[i].home == NULL) {
            assert_null(account->home);
        } else {
            assert_string_equal(account->home, cases[i].home);
        }
        account_free(account);
        accounts_free(accounts);
        scratch_finish(&scratch);
    }
}

/* The whole table as one file with each kind of line end, the last line without one. */
static void reads_passwd_file(void **state)
{
    (void)state;
    static const char *const ends[] = {"\n", "\r\n"};
    for (size_t e = 0; e < 2; e++) {
        struct scratch scratch;
        char text[4096] = "";
        size_t used = 0;
        uint32_t count = 0, locked = 0;
        scratch_init(&scratch);
        for (size_t i = 0; i < LINES; i++) {
            used += (size_t)snprintf(text + used, sizeof text - used, "%s%s", lines[i].line,
                                     i + 1 < LINES ? ends[e] : "");
            count += lines[i].name[0] != '\0';
            locked += lines[i].name[0] != '\0' && lines[i].password == NULL;
        }
        assert_true(used < sizeof text);
        scratch_write_text(&scratch, text);
        struct accounts *accounts = load(&scratch);
        assert_int_equal(accounts_facts(accounts).count, count);
        assert_int_equal(accounts_facts(accounts).locked, locked);
        uint32_t index = 0;
        for (size_t i = 0; i < LINES; i++) {
            if (lines[i].name[0] != '\0') {
                struct account *account;
                check_line(accounts, i);
                assert_int_equal(accounts_at(accounts, index++, &account, NULL), 0);
                assert_string_equal(account->name, lines[i].name);
                account_free(account);
            }
        }
        accounts_free(accounts);
        scratch_finish(&scratch);
    }
}

static void names_are_found_as_given_or_in_lower_case(void **state)
{
    (void)state;
    static const struct {
        const char *asked, *found;
    } cases[] = {
        {"alice", "alice"}, {"Alice", "Alice"},
        {"ALICE", "alice"}, {"BOB@Example.Org", "bob@example.org"},
        {"Carol", "Carol"}, {"carol", NULL},
        {"alic", NULL},     {"alicee", NULL},
        {"alice:", NULL},   {"", NULL},
        {".", NULL},        {"{PLAIN}1", NULL},
        {"a/b", NULL},      {"alice\n", NULL},
        {"\xC3\x89", NULL},
    };
    struct scratch scratch;
    scratch_init(&scratch);
    scratch_write_text(&scratch, "alice:{PLAIN}1\nAlice:{PLAIN}2\nbob@example.org:{PLAIN}3\n"
                                 "Carol:{PLAIN}4\n\xC3\xA9:{PLAIN}5\n");
    struct accounts *accounts = load(&scratch);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct account *account = NULL;
        struct error error = {0};
        int result = accounts_lookup(accounts, bytes_of(cases[i].asked), &account, &error);
        if (cases[i].found == NULL) {
            assert_int_equal(result, -1);
            assert_int_equal(error.kind, ERROR_NO_SUCH_USER);
            assert_null(account);
        } else {
            assert_int_equal(result, 0);
            assert_string_equal(account->name, cases[i].found);
        }
        account_free(account);
    }
    accounts_free(accounts);
    scratch_finish(&scratch);
}

static const struct {
    const char *text;
    size_t size;       /* 0: strlen */
    const char *error; /* behind the path: how it begins */
} mistakes[] = {
    {"alice\n", 0, ":1: no ':' after the name: write name:{SCHEME}hash, or # before a comment"},
    {"\n# c\n\nalice:secret\n", 0, ":4: the password has no scheme: write {CRYPT} before"},
    {"a:{PLAIN}x\r\nalice:$6$x$y\r\n", 0, ":2: the password has no scheme: write {CRYPT} before"},
    {"alice:{MD5}x", 0, ":1: scheme {MD5} is not served: use SCRAM-SHA-256, ARGON2ID, CRYPT"},
    {"alice:{CRYPT}$6$x$y", 0, ":1: a malformed $6$ hash"},
    {"alice:{SCRAM-SHA-256}1,2,3,4", 0, ":1: a malformed SCRAM-SHA-256 hash: it is iterations,"},
    {"alice:{ARGON2ID}$argon2id$v=19$m=10485760,t=3,p=1$c2FsdHNhbHQ$"
     "zfKnzHSHUXxZCnfAB9F4U3ymsbdyinBN",
     0, ":1: the argon2 memory (m, in KiB) would cost a login too much: at most 1048576"},
    {":{PLAIN}x", 0, ":1: a user name is not empty: correct the name before the first ':'"},
    {".alice:{PLAIN}x", 0, ":1: a user name does not begin with '.': correct the name"},
    {"a/b:{PLAIN}x", 0, ":1: a user name has no '/' in it: correct the name"},
    {"\talice:{PLAIN}x", 0, ":1: a user name has no control characters in it: correct"},
    {"a:{PLAIN}x\nali\0ce:{PLAIN}x\n", 27, ":2: a NUL octet: is this a text file? remove it"},
    {"a:{PLAIN}x\n#\nb:{PLAIN}y\na:{PLAIN}z\n", 0, ":4: the name is on line 1 already: remove one"},
    {"a:{PLAIN}x::::::userdb_mail=maildir:Mail", 0,
     ":1: userdb_mail is no Maildir: write userdb_mail="},
    {"a:{PLAIN}x::::::userdb_mail=mbox:/var/mail/a", 0, ":1: userdb_mail is no Maildir: write"},
    {"a:{PLAIN}x::::::userdb_mail=", 0, ":1: userdb_mail is no Maildir: write"},
    {"a:{PLAIN}x::::::userdb_mail=maildir:~/Mail", 0,
     ":1: userdb_mail begins with ~/ but the home"},
    {"a:{PLAIN}x::::rel::userdb_mail=~/Mail", 0,
     ":1: userdb_mail begins with ~/ but the home field"},
    {"a:{PLAIN}x::::::userdb_mail=/srv/%u", 0,
     ":1: userdb_mail has a % variable: write the path out"},
    {"a:{PLAIN}x::::/h/%u::userdb_mail=~/m", 0, ":1: userdb_mail has a % variable: write the path"},
    {"a:{PLAIN}x::::::allow_nets=10.0.0.1/8", 0,
     ":1: allow_nets: 10.0.0.1/8 is no network: write ADDRESS or"},
};

static void mistakes_are_told_with_file_and_line(void **state)
{
    (void)state;
    struct scratch scratch;
    scratch_init(&scratch);
    for (size_t i = 0; i < sizeof mistakes / sizeof *mistakes; i++) {
        size_t size = mistakes[i].size != 0 ? mistakes[i].size : strlen(mistakes[i].text);
        char expected[256];
        scratch_write(&scratch, mistakes[i].text, size);
        (void)snprintf(expected, sizeof expected, "%s%s", scratch.path, mistakes[i].error);
        struct accounts *accounts = load(&scratch);
        assert_int_equal(accounts_facts(accounts).mistakes, 1);
        const char *text = accounts_mistake(accounts, 0);
        if (strncmp(text, expected, strlen(expected)) != 0) {
            fail_msg("\"%s\" instead of \"%s\"", text, expected);
        }
        assert_null(accounts_mistake(accounts, 1));
        accounts_free(accounts);
    }
    scratch_finish(&scratch);
}

/* Whoever stands on a bad line is not let in and not unknown; all others are served. */
static void mistake_costs_its_line_only(void **state)
{
    (void)state;
    struct scratch scratch;
    struct account *account = NULL;
    struct error error = {0};
    scratch_init(&scratch);
    scratch_write_text(&scratch, "alice:{PLAIN}a\nbroken\nbob:{NOSUCH}x\ncarol:{PLAIN}c\n"
                                 "net:{PLAIN}pw::::::allow_nets=10.0.0.0/33\n"
                                 "alice:{PLAIN}other\nzoe:{PLAIN}z");
    struct accounts *accounts = load(&scratch);
    assert_int_equal(accounts_facts(accounts).mistakes, 4);
    account = lookup(accounts, "alice");
    assert_int_equal(check(account, "a"), ERROR_NONE);
    assert_int_equal(check(account, "other"), ERROR_BAD_CREDENTIALS);
    account_free(account);
    account_free(lookup(accounts, "carol"));
    account_free(lookup(accounts, "zoe"));
    account = NULL;
    assert_int_equal(accounts_lookup(accounts, bytes_of("broken"), &account, &error), -1);
    assert_int_equal(error.kind, ERROR_NO_SUCH_USER);
    assert_int_equal(accounts_lookup(accounts, bytes_of("bob"), &account, &error), -1);
    assert_int_equal(error.kind, ERROR_TEMPORARY);
    assert_non_null(strstr(error.text, "accounts:3: scheme {NOSUCH} is not served"));
    assert_int_equal(accounts_lookup(accounts, bytes_of("net"), &account, &error), -1);
    assert_int_equal(error.kind, ERROR_TEMPORARY);
    assert_non_null(strstr(error.text, "accounts:5: allow_nets: 10.0.0.0/33 is no network"));
    assert_int_equal(accounts_facts(accounts).count, 6);
    assert_int_equal(accounts_at(accounts, 4, &account, &error), -1);
    assert_non_null(strstr(error.text, "accounts:6: the name is on line 1 already"));
    assert_null(account);
    accounts_free(accounts);
    scratch_finish(&scratch);
}

static void mistakes_are_kept_up_to_a_limit(void **state)
{
    (void)state;
    struct scratch scratch;
    scratch_init(&scratch);
    char text[ACCOUNTS_MISTAKES_KEPT * 4 + 32];
    size_t used = 0;
    for (int i = 0; i < ACCOUNTS_MISTAKES_KEPT * 2; i++) {
        used += (size_t)snprintf(text + used, sizeof text - used, "x\n");
    }
    (void)snprintf(text + used, sizeof text - used, "alice:{PLAIN}a\n");
    scratch_write_text(&scratch, text);
    struct accounts *accounts = load(&scratch);
    assert_int_equal(accounts_facts(accounts).mistakes, ACCOUNTS_MISTAKES_KEPT * 2);
    assert_non_null(
        strstr(accounts_mistake(accounts, ACCOUNTS_MISTAKES_KEPT - 1), "accounts:32: "));
    assert_null(accounts_mistake(accounts, ACCOUNTS_MISTAKES_KEPT));
    account_free(lookup(accounts, "alice"));
    accounts_free(accounts);
    scratch_finish(&scratch);
}

/* Lines of every length around the limit and around the reader's buffer; a comment is one of them, and no
 * piece of it may become an account. */
static void long_lines_have_a_limit(void **state)
{
    (void)state;
    enum { BUFFER = 65536 };
    static const size_t sizes[] = {ACCOUNT_LINE_OCTETS_MAX - 1,
                                   ACCOUNT_LINE_OCTETS_MAX,
                                   ACCOUNT_LINE_OCTETS_MAX + 1,
                                   BUFFER - 1,
                                   BUFFER,
                                   BUFFER + 1,
                                   2 * BUFFER,
                                   3 * BUFFER + 7};
    static const char *const starts[] = {"alice:{PLAIN}pw:", "#"};
    struct scratch scratch;
    scratch_init(&scratch);
    char *text = malloc(4 * BUFFER);
    assert_non_null(text);
    for (size_t i = 0; i < 2 * (sizeof sizes / sizeof *sizes); i++) {
        size_t size = sizes[i / 2];
        bool is_comment = i % 2 == 1;
        size_t start = strlen(starts[i % 2]);
        memcpy(text, "#\n", 2);
        memset(text + 2, 'x', size);
        memcpy(text + 2, starts[i % 2], start);
        memcpy(text + 2 + size - 18, ":mallory:{PLAIN}pw", 18);
        memcpy(text + 2 + size, "\nbob:{PLAIN}pw\n", 16);
        scratch_write(&scratch, text, 2 + size + 15);
        struct accounts *accounts = load(&scratch);
        bool is_good = size < (is_comment ? BUFFER : ACCOUNT_LINE_OCTETS_MAX + 1);
        assert_int_equal(accounts_facts(accounts).mistakes, is_good ? 0 : 1);
        assert_int_equal(accounts_facts(accounts).count, is_good && !is_comment ? 2 : 1);
        if (!is_good) {
            assert_non_null(
                strstr(accounts_mistake(accounts, 0), "accounts:2: a line over 8192 octets:"));
        }
        struct account *bob = lookup(accounts, "bob");
        assert_int_equal(bob->line, 3);
        account_free(bob);
        accounts_free(accounts);
    }
    free(text);
    scratch_finish(&scratch);
}

static void what_is_no_file_is_told(void **state)
{
    (void)state;
    struct scratch scratch;
    struct accounts *accounts = NULL;
    struct error error = {0};
    scratch_init(&scratch);
    assert_int_equal(accounts_load(scratch.path, &accounts, &error), -1);
    assert_int_equal(error.number, 2);
    assert_non_null(strstr(error.text, "/accounts: No such file or directory"));
    assert_int_equal(accounts_load(scratch.folder, &accounts, &error), -1);
    assert_int_equal(error.kind, ERROR_CONFIGURATION);
    assert_non_null(strstr(error.text, "not a regular file"));
    assert_int_equal(mkfifo(scratch.path, 0600), 0); /* must not wait for a writer */
    assert_int_equal(accounts_load(scratch.path, &accounts, &error), -1);
    assert_non_null(strstr(error.text, "not a regular file"));
    scratch_finish(&scratch);
}

static void empty_file_has_a_decoy(void **state)
{
    (void)state;
    struct scratch scratch;
    struct account *decoy = NULL;
    scratch_init(&scratch);
    scratch_write_text(&scratch, "");
    struct accounts *accounts = load(&scratch);
    assert_int_equal(accounts_facts(accounts).count, 0);
    assert_int_equal(accounts_decoy(accounts, &decoy, NULL), 0);
    assert_false(decoy->may_login);
    assert_memory_equal(decoy->verifier, "{SCRAM-SHA-256}100000,", 22);
    assert_int_equal(check(decoy, ""), ERROR_BAD_CREDENTIALS);
    assert_int_not_equal(account_memory(decoy), 0);
    account_free(decoy);
    accounts_free(accounts);
    scratch_finish(&scratch);
}

/* The decoy costs what the commonest kind costs, and its check fails even with the right password of the
 * account that it was made from. */
static void decoy_is_of_the_commonest_kind(void **state)
{
    (void)state;
    struct scratch scratch;
    struct account *decoy = NULL;
    struct verifier_cost cost;
    scratch_init(&scratch);
    scratch_write_text(&scratch,
                       "a:{PLAIN}pencil\nb:" SCRAM "\nl1:!\nc:{PLAIN}pencil\nl2:!\nl3:!\nd:" SCRAM
                       "\nl4:\ne:" SCRAM "\nf:{CRYPT}UZTwSHqkjoYSE\n");
    struct accounts *accounts = load(&scratch);
    assert_int_equal(accounts_facts(accounts).locked, 4);
    assert_int_equal(accounts_decoy(accounts, &decoy, NULL), 0);
    assert_int_equal(verifier_examine(bytes_of(decoy->verifier), &cost, NULL), 0);
    assert_int_equal(cost.scheme, VERIFIER_SCRAM_SHA_256);
    assert_int_equal(cost.work, 4096);
    assert_int_equal(decoy->line, 0);
    assert_string_equal(decoy->name, "");
    assert_null(decoy->maildrop);
    assert_int_equal(check(decoy, "pencil"), ERROR_BAD_CREDENTIALS);
    assert_int_equal(check(decoy, "pen"), ERROR_BAD_CREDENTIALS);
    account_free(decoy);
    struct account *locked = lookup(accounts, "l3");
    assert_int_equal(verifier_examine(bytes_of(locked->verifier), &cost, NULL), 0);
    assert_int_equal(cost.scheme, VERIFIER_SCRAM_SHA_256);
    assert_int_equal(check(locked, "pencil"), ERROR_BAD_CREDENTIALS);
    account_free(locked);
    accounts_free(accounts);
    scratch_finish(&scratch);
}

static void facts_tell_memory_and_mode(void **state)
{
    (void)state;
    struct scratch scratch;
    scratch_init(&scratch);
    scratch_write_text(
        &scratch, "a:{PLAIN}x\n\nb:{ARGON2ID}$argon2id$v=19$m=65536,t=3,p=1$wobN5ETNm6kNXVHpab9MTQ$"
                  "JcoPPOcaSkT0JSzTfxoB5LtZyMgVIOGKaxgTA4BKj9w\nc:" SCRAM "\n");
    static const struct {
        mode_t mode;
        bool readable;
    } modes[] = {{0600, false}, {0640, false}, {0660, false}, {0644, true}, {0604, true}};
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
        assert_int_equal(chmod(scratch.path, modes[i].mode), 0);
        struct accounts *accounts = load(&scratch);
        struct accounts_facts facts = accounts_facts(accounts);
        assert_int_equal(facts.readable_by_all, modes[i].readable);
        assert_int_equal(facts.memory_max, 65536 * 1024);
        assert_int_equal(facts.memory_max_line, 3);
        accounts_free(accounts);
    }
    scratch_finish(&scratch);
}

static void facts_tell_the_schemes(void **state)
{
    (void)state;
    struct scratch scratch;
    scratch_init(&scratch);
    scratch_write_text(&scratch, "a:{PLAIN}x\nb:" SCRAM "\nc:" SCRAM "\n"
                                 "d:{SCRAM-SHA-256}9000,QSXCR+Q6sek8bf92," /* fewer */
                                 "WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=,"
                                 "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=\n"
                                 "locked:{CRYPT}UZTwSHqkjoYSE::::::nologin\n"
                                 "locked2:!\nmistake:{ARGON2ID}x\n");
    struct accounts *accounts = load(&scratch);
    struct accounts_facts facts = accounts_facts(accounts);
    assert_int_equal(facts.schemes, 1U << VERIFIER_PLAIN | 1U << VERIFIER_SCRAM_SHA_256);
    assert_int_equal(facts.scram_iterations[SCRAM_SHA_256], 4096);
    assert_int_equal(facts.scram_iterations[SCRAM_SHA_1], 0);
    accounts_free(accounts);
    scratch_finish(&scratch);
}

/* Loads the file as soon as it is written, and asks at once. Whether that was soon enough, within the clock
 * ticks in which a second change may hide, is known only after: a machine that stalls has to try again. */
static struct accounts *load_fresh(const struct scratch *scratch)
{
    for (;;) {
        struct timespec before, after;
        assert_int_equal(clock_gettime(CLOCK_MONOTONIC, &before), 0);
        scratch_write_text(scratch, "alice:{PLAIN}one\n");
        struct accounts *fresh = load(scratch);
        bool is_current = accounts_is_current(fresh);
        assert_int_equal(clock_gettime(CLOCK_MONOTONIC, &after), 0);
        int64_t taken_ns =
            (after.tv_sec - before.tv_sec) * 1000000000 + after.tv_nsec - before.tv_nsec;
        if (taken_ns < 5 * 1000000) {
            assert_true(is_current);
            return fresh;
        }
        accounts_free(fresh);
    }
}

static void changes_are_seen(void **state)
{
    (void)state;
    struct scratch scratch;
    struct account *account = NULL;
    struct error error = {0};
    scratch_init(&scratch);
    struct accounts *fresh = load_fresh(&scratch);
    sleep_ms(50);
    assert_false(accounts_is_current(fresh)); /* a second change may hide behind the first */
    struct accounts *first = load(&scratch);
    assert_true(accounts_equal(fresh, first));
    sleep_ms(50);
    assert_true(accounts_is_current(first));

    scratch_write_text(&scratch, "alice:{PLAIN}two\n"); /* in place, the same size */
    assert_false(accounts_is_current(first));
    assert_int_equal(accounts_lookup(first, bytes_of("alice"), &account, &error), -1);
    assert_int_equal(error.kind, ERROR_TEMPORARY);
    assert_non_null(strstr(error.text, "accounts:1: changed since it was loaded"));
    struct accounts *second = load(&scratch);
    assert_false(accounts_equal(first, second));

    scratch_write_text(&scratch, ""); /* shorter */
    assert_int_equal(accounts_lookup(second, bytes_of("alice"), &account, &error), -1);
    assert_int_equal(accounts_decoy(second, &account, &error), -1);
    assert_int_equal(error.kind, ERROR_TEMPORARY);
    assert_int_equal(unlink(scratch.path), 0);
    assert_false(accounts_is_current(second));
    accounts_free(fresh);
    accounts_free(first);
    accounts_free(second);
    scratch_finish(&scratch);
}

/* What was loaded stays usable when another file takes the name. */
static void replaced_file_is_a_snapshot(void **state)
{
    (void)state;
    struct scratch scratch;
    scratch_init(&scratch);
    scratch_write_text(&scratch, "alice:{PLAIN}one\n");
    struct accounts *old = load(&scratch);
    assert_int_equal(unlink(scratch.path), 0);
    scratch_write_text(&scratch, "alice:{PLAIN}two\n");
    assert_false(accounts_is_current(old));
    struct account *account = lookup(old, "alice");
    assert_int_equal(check(account, "one"), ERROR_NONE);
    account_free(account);
    accounts_free(old);
    scratch_finish(&scratch);
}

static void hundred_thousand_lines_load_fast(void **state)
{
    (void)state;
    enum { COUNT = 100000 };
    struct scratch scratch;
    struct timespec start, end;
    scratch_init(&scratch);
    FILE *file = fopen(scratch.path, "w");
    assert_non_null(file);
    for (int i = 0; i < COUNT; i++) {
        (void)fprintf(file, "user%d@example.org:" SCRAM ":1000:1000::/home/user%d::\n", i, i);
    }
    assert_int_equal(fclose(file), 0);
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &start);
    struct accounts *accounts = load(&scratch);
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &end);
    long milliseconds =
        (end.tv_sec - start.tv_sec) * 1000 + (end.tv_nsec - start.tv_nsec) / 1000000;
    print_message("# %d accounts in %ld ms\n", COUNT, milliseconds);
    assert_in_range(milliseconds, 0,
                    5000); /* 120 ms without sanitizers; a quadratic load takes minutes */
    assert_int_equal(accounts_facts(accounts).count, COUNT);
    for (int i = 0; i < COUNT; i += 997) {
        char name[64];
        (void)snprintf(name, sizeof name, "user%d@example.org", i);
        struct account *account = lookup(accounts, name);
        assert_int_equal(account->line, i + 1);
        assert_string_equal(account->name, name);
        account_free(account);
    }
    accounts_free(accounts);
    scratch_finish(&scratch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(facts_tell_the_schemes),
        cmocka_unit_test(reads_passwd_file),
        cmocka_unit_test(says_whose_mail_it_is),
        cmocka_unit_test(names_are_found_as_given_or_in_lower_case),
        cmocka_unit_test(mistakes_are_told_with_file_and_line),
        cmocka_unit_test(mistake_costs_its_line_only),
        cmocka_unit_test(mistakes_are_kept_up_to_a_limit),
        cmocka_unit_test(long_lines_have_a_limit),
        cmocka_unit_test(what_is_no_file_is_told),
        cmocka_unit_test(empty_file_has_a_decoy),
        cmocka_unit_test(decoy_is_of_the_commonest_kind),
        cmocka_unit_test(facts_tell_memory_and_mode),
        cmocka_unit_test(changes_are_seen),
        cmocka_unit_test(replaced_file_is_a_snapshot),
        cmocka_unit_test(hundred_thousand_lines_load_fast),
    };
    return cmocka_run_group_tests_name("accounts", tests, NULL, NULL);
}
