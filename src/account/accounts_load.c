/* SPDX-License-Identifier: MIT */
/* Reads the accounts file, line by line, into the table, and tells whether the file is still the one that
 * was read. A file that changes under the reader is read again. */
#include "account/accounts.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "account/account_line.h"
#include "account/accounts_table.h"
#include "account/cost_kinds.h"
#include "account/line_reader.h"

enum {
    LOAD_TRIES = 3,
    UNSETTLED_MS = 20, /* two clock ticks of the slowest kernels in use, and some */
};

static bool same_status(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
           a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec &&
           a->st_ctim.tv_sec == b->st_ctim.tv_sec && a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

static int64_t elapsed_ms(const struct timespec *from, const struct timespec *to)
{
    return ((int64_t)to->tv_sec - from->tv_sec) * 1000 + (to->tv_nsec - from->tv_nsec) / 1000000;
}

/* What a check of a line costs, and what its exchanges of SCRAM cost a client. */
struct kinds {
    struct cost_kinds checks, exchanges;
};

static void note_schemes(struct accounts *accounts, const struct account_line *line)
{
    const struct extra_fields *fields = &line->fields;
    if (!fields->refuses_main_password) {
        accounts->facts.schemes |= 1U << line->cost.scheme;
    }
    for (size_t i = 0; i < fields->app_password_count; i++) {
        struct bytes text;
        bool is_plain = verifier_text(fields->app_passwords[i].verifier, &text);
        accounts->facts.schemes |= 1U << (is_plain ? VERIFIER_PLAIN : VERIFIER_SCRAM_SHA_256);
    }
}

/* Which iterations a client is told, of the main password or, where that has none, of the app passwords. */
static void count_exchange(struct accounts *accounts, struct kinds *kinds,
                           const struct account_line *line)
{
    struct verifier_cost cost = line->cost;
    struct scram_keys keys;
    if (cost.scheme != VERIFIER_SCRAM_SHA_256 && cost.scheme != VERIFIER_SCRAM_SHA_1 &&
        extra_fields_scram(&line->fields, &keys)) {
        cost = (struct verifier_cost){.scheme = VERIFIER_SCRAM_SHA_256, .work = keys.iterations};
    }
    cost_kinds_count(&kinds->exchanges, &cost, accounts->count - 1);
}

/* Counts the newest entry among those of its kind. */
static void count_kind(struct accounts *accounts, struct kinds *kinds,
                       const struct account_line *line)
{
    const struct verifier_cost *cost = &line->cost;
    note_schemes(accounts, line);
    count_exchange(accounts, kinds, line);
    if (cost->memory > accounts->facts.memory_max) {
        accounts->facts.memory_max = cost->memory;
        accounts->facts.memory_max_line = accounts->entries[accounts->count - 1].number;
    }
    cost_kinds_count(&kinds->checks, cost, accounts->count - 1);
}

static int load_line(struct accounts *accounts, const struct line *line, struct kinds *kinds,
                     struct error *error)
{
    struct account_line account;
    struct error mistake;
    if (!line->is_piece && account_line_is_blank(line->text)) {
        return 0;
    }
    if (line->is_piece || line->text.size > ACCOUNT_LINE_OCTETS_MAX) {
        bool is_told = line->number == accounts->long_line;
        accounts->long_line = line->number;
        return is_told
                   ? 0
                   : accounts_table_note(accounts, line->number,
                                         "a line over 8192 octets: is a line end missing?", error);
    }
    int result = account_line_parse(line->text, &account, &mistake);
    if (account.name.size > 0 && accounts_table_add(accounts, line, account.name, error) < 0) {
        return -1;
    }
    if (result < 0) {
        return accounts_table_note(accounts, line->number, mistake.text, error);
    }
    if (account.is_locked) {
        accounts->facts.locked++;
    } else {
        count_kind(accounts, kinds, &account);
    }
    return 0;
}

static void note_commonest(struct accounts *accounts, const struct kinds *kinds)
{
    struct accounts_facts *facts = &accounts->facts;
    accounts->has_decoy = cost_kinds_commonest(&kinds->checks, &accounts->decoy);
    facts->scram_iterations[SCRAM_SHA_256] =
        (uint32_t)cost_kinds_commonest_work(&kinds->exchanges, VERIFIER_SCRAM_SHA_256);
    facts->scram_iterations[SCRAM_SHA_1] =
        (uint32_t)cost_kinds_commonest_work(&kinds->exchanges, VERIFIER_SCRAM_SHA_1);
}

static int load_lines(struct accounts *accounts, struct error *error)
{
    struct kinds kinds = {0};
    struct line_reader reader;
    struct line line;
    int more = -1;
    accounts->count = 0;
    accounts->long_line = 0;
    accounts->facts = (struct accounts_facts){0};
    if (line_reader_init(&reader, accounts->descriptor, error) == 0) {
        while ((more = line_reader_next(&reader, &line, error)) == 1) {
            if (load_line(accounts, &line, &kinds, error) < 0) {
                more = -1;
                break;
            }
        }
        (void)crypto_generichash_final(&reader.digest, accounts->digest,
                                       sizeof accounts->digest); /* always 0 the first time */
    }
    line_reader_finish(&reader);
    secret_wipe_stack();
    note_commonest(accounts, &kinds);
    return more;
}

static int load(struct accounts *accounts, struct error *error)
{
    struct stat after;
    struct timespec now;
    for (int i = 0; i < LOAD_TRIES; i++) {
        if (fstat(accounts->descriptor, &accounts->status) < 0) {
            return error_from_errno(error, errno, "%s", accounts_table_path(accounts));
        }
        if (!S_ISREG(accounts->status.st_mode)) {
            return error_set(error, ERROR_CONFIGURATION, 0, "%s: not a regular file",
                             accounts_table_path(accounts));
        }
        int result = load_lines(accounts, error);
        if (fstat(accounts->descriptor, &after) < 0) {
            return error_from_errno(error, errno, "%s", accounts_table_path(accounts));
        }
        if (!same_status(&accounts->status, &after)) {
            continue; /* what was read, or wrong in it, may be half of a change */
        }
        if (result < 0 || accounts_table_build(accounts, error) < 0) {
            return -1;
        }
        (void)clock_gettime(CLOCK_MONOTONIC, &accounts->loaded);
        (void)clock_gettime(CLOCK_REALTIME, &now);
        int64_t age = elapsed_ms(&accounts->status.st_ctim, &now);
        accounts->is_settled = age < 0 || age >= UNSETTLED_MS;
        accounts->facts.count = accounts->count;
        accounts->facts.readable_by_all = (accounts->status.st_mode & S_IROTH) != 0;
        return 0;
    }
    return error_set(error, ERROR_TEMPORARY, 0, "%s: changes while it is read",
                     accounts_table_path(accounts));
}

int accounts_load_descriptor(int descriptor, const char *path, struct accounts **accounts_out,
                             struct error *error)
{
    struct accounts *accounts = calloc(1, sizeof *accounts);
    if (accounts == NULL || (accounts->path = strdup(path)) == NULL || sodium_init() < 0) {
        free(accounts != NULL ? accounts->path : NULL);
        free(accounts);
        return error_set(error, ERROR_TEMPORARY, ENOMEM, "no memory for the accounts");
    }
    accounts->descriptor = descriptor;
    crypto_shorthash_keygen(accounts->key);
    if (load(accounts, error) < 0) {
        accounts->descriptor = -1; /* stays the caller's */
        accounts_free(accounts);
        return -1;
    }
    *accounts_out = accounts;
    return 0;
}

int accounts_load(const char *path, struct accounts **accounts_out, struct error *error)
{
    int descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (descriptor < 0) {
        return error_from_errno(error, errno, "%s", path);
    }
    if (accounts_load_descriptor(descriptor, path, accounts_out, error) < 0) {
        (void)close(descriptor); /* read-only */
        return -1;
    }
    return 0;
}

struct accounts *accounts_free(struct accounts *accounts)
{
    if (accounts == NULL) {
        return NULL;
    }
    if (accounts->descriptor >= 0) {
        (void)close(accounts->descriptor); /* read-only */
    }
    free(accounts->path);
    free(accounts->entries);
    free(accounts->slots);
    free(accounts->mistakes);
    sodium_memzero(accounts, sizeof *accounts);
    free(accounts);
    return NULL;
}

bool accounts_is_current(const struct accounts *accounts)
{
    struct stat status;
    struct timespec now;
    if (stat(accounts->path, &status) < 0 || !same_status(&accounts->status, &status)) {
        return false;
    }
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return accounts->is_settled || elapsed_ms(&accounts->loaded, &now) < UNSETTLED_MS;
}

bool accounts_equal(const struct accounts *a, const struct accounts *b)
{
    return memcmp(a->digest, b->digest, sizeof a->digest) == 0;
}

struct accounts_facts accounts_facts(const struct accounts *accounts)
{
    return accounts->facts;
}

const char *accounts_mistake(const struct accounts *accounts, uint32_t index)
{
    if (index >= accounts->facts.mistakes || index >= ACCOUNTS_MISTAKES_KEPT) {
        return NULL;
    }
    return accounts->mistakes[index].text;
}
