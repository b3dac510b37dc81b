/* SPDX-License-Identifier: MIT */
/* The loaded accounts file: entries in the order of the file, and an open-addressing table over them by a
 * keyed hash of the name (64 bits that no stranger can aim at: equal means equal names, and a look-up
 * compares them all the same). Names and verifiers stay in the file: a look-up reads its line again and
 * compares a keyed hash of it, so that what was checked at load time is what is used. Invariant: a
 * name is in the table once. */
#include "account/accounts.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <sodium.h>

#include "account/account_line.h"
#include "account/line_reader.h"
#include "account/verifier.h"
#include "base/user_name.h"

enum {
    KINDS_MAX = 64, /* of cost in one file that compete for the decoy */
    LOAD_TRIES = 3,
    PATH_SHOWN = 80,
    UNSETTLED_MS = 20, /* two clock ticks of the slowest kernels in use, and some */
};

#define DOUBLE_NAME "the name is on line %u already: remove one of the two"

struct entry {
    uint64_t name_hash;
    uint64_t offset;
    uint32_t octets; /* of the line, without its line end */
    uint32_t octets_whole;
    uint32_t number;
    uint32_t line_hash;
    uint32_t earlier, later; /* numbers of other lines for the same name, or 0 */
};

struct kind {
    struct verifier_cost cost;
    uint32_t count;
    uint32_t example; /* index of an entry */
};

struct accounts {
    char *path;
    int descriptor;
    struct stat status;
    bool is_settled;
    struct timespec loaded; /* CLOCK_MONOTONIC */
    uint8_t key[crypto_shorthash_KEYBYTES];
    uint8_t digest[crypto_generichash_BYTES];
    struct entry *entries;
    uint32_t count, capacity;
    uint32_t *slots; /* index + 1, or 0 */
    uint32_t slots_mask;
    struct accounts_facts facts;
    bool has_decoy;
    uint32_t decoy;         /* index of an entry of the commonest kind */
    uint32_t long_line;     /* the one of which pieces come */
    struct error *mistakes; /* the first ACCOUNTS_MISTAKES_KEPT */
};

/* One allocation: texts follow the struct. */
struct account_memory {
    struct account account;
    size_t size;
    char text[];
};

/* Where nobody in the file can log in: what `restante user add` would have made. */
static const char decoy_verifier[] =
    "{SCRAM-SHA-256}100000,AAAAAAAAAAAAAAAAAAAAAA==,AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=,"
    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";

/* The end of a long path says more than its beginning. */
static const char *shown(const char *path)
{
    size_t size = strlen(path);
    return size > PATH_SHOWN ? path + size - PATH_SHOWN : path;
}

static uint64_t keyed_hash(const struct accounts *accounts, struct bytes octets)
{
    uint8_t hash[crypto_shorthash_BYTES];
    uint64_t value;
    _Static_assert(sizeof hash == sizeof value, "the hash fills the value");
    (void)crypto_shorthash(hash, octets.data, octets.size, accounts->key); /* always 0 */
    memcpy(&value, hash, sizeof value);
    return value;
}

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

static int add_entry(struct accounts *accounts, const struct line *line, struct bytes name,
                     struct error *error)
{
    if (accounts->count == accounts->capacity) {
        if (accounts->count >= ACCOUNTS_MAX) {
            return error_set(error, ERROR_CONFIGURATION, 0, "%s: more than %d accounts",
                             shown(accounts->path), ACCOUNTS_MAX);
        }
        uint32_t capacity = accounts->capacity == 0 ? 64 : accounts->capacity * 2;
        struct entry *entries = reallocarray(accounts->entries, capacity, sizeof *entries);
        if (entries == NULL) {
            return error_set(error, ERROR_TEMPORARY, ENOMEM, "no memory for the accounts");
        }
        accounts->entries = entries;
        accounts->capacity = capacity;
    }
    accounts->entries[accounts->count++] =
        (struct entry){.name_hash = keyed_hash(accounts, name),
                       .offset = line->offset,
                       .octets = (uint32_t)line->text.size,
                       .octets_whole = line->octets,
                       .number = line->number,
                       .line_hash = (uint32_t)keyed_hash(accounts, line->text)};
    return 0;
}

/* Counts the newest entry among those of its kind. */
static void count_kind(struct accounts *accounts, struct kind kinds[KINDS_MAX],
                       const struct verifier_cost *cost)
{
    if (cost->memory > accounts->facts.memory_max) {
        accounts->facts.memory_max = cost->memory;
        accounts->facts.memory_max_line = accounts->entries[accounts->count - 1].number;
    }
    for (size_t i = 0; i < KINDS_MAX; i++) {
        if (kinds[i].count == 0) {
            kinds[i].cost = *cost;
            kinds[i].example = accounts->count - 1;
        }
        if (verifier_cost_equal(&kinds[i].cost, cost)) {
            kinds[i].count++;
            return;
        }
    }
}

static int note_mistake(struct accounts *accounts, uint32_t number, const char *text,
                        struct error *error)
{
    if (accounts->mistakes == NULL) {
        accounts->mistakes = calloc(ACCOUNTS_MISTAKES_KEPT, sizeof *accounts->mistakes);
        if (accounts->mistakes == NULL) {
            return error_set(error, ERROR_TEMPORARY, ENOMEM, "no memory for the accounts");
        }
    }
    if (accounts->facts.mistakes < ACCOUNTS_MISTAKES_KEPT) {
        (void)error_set(&accounts->mistakes[accounts->facts.mistakes], ERROR_CONFIGURATION, 0,
                        "%s:%u: %s", shown(accounts->path), number, text);
    }
    accounts->facts.mistakes++;
    return 0;
}

static int load_line(struct accounts *accounts, const struct line *line,
                     struct kind kinds[KINDS_MAX], struct error *error)
{
    struct account_line account;
    struct error mistake;
    if (!line->is_piece && account_line_is_blank(line->text)) {
        return 0;
    }
    if (line->is_piece || line->text.size > ACCOUNT_LINE_OCTETS_MAX) {
        bool is_told = line->number == accounts->long_line;
        accounts->long_line = line->number;
        return is_told ? 0
                       : note_mistake(accounts, line->number,
                                      "a line over 8192 octets: is a line end missing?", error);
    }
    int result = account_line_parse(line->text, &account, &mistake);
    if (account.name.size > 0 && add_entry(accounts, line, account.name, error) < 0) {
        return -1;
    }
    if (result < 0) {
        return note_mistake(accounts, line->number, mistake.text, error);
    }
    if (account.is_locked) {
        accounts->facts.locked++;
    } else {
        count_kind(accounts, kinds, &account.cost);
    }
    return 0;
}

static int load_lines(struct accounts *accounts, struct error *error)
{
    struct kind kinds[KINDS_MAX] = {0};
    struct line_reader reader;
    struct line line;
    int more = -1;
    accounts->count = 0;
    accounts->long_line = 0;
    accounts->facts = (struct accounts_facts){0};
    if (line_reader_init(&reader, accounts->descriptor, error) == 0) {
        while ((more = line_reader_next(&reader, &line, error)) == 1) {
            if (load_line(accounts, &line, kinds, error) < 0) {
                more = -1;
                break;
            }
        }
        (void)crypto_generichash_final(&reader.digest, accounts->digest,
                                       sizeof accounts->digest); /* always 0 the first time */
    }
    line_reader_finish(&reader);
    secret_wipe_stack();
    uint32_t most = 0;
    for (size_t i = 0; i < KINDS_MAX; i++) {
        if (kinds[i].count > most) {
            most = kinds[i].count;
            accounts->decoy = kinds[i].example;
        }
    }
    accounts->has_decoy = most > 0;
    return more;
}

/* Reads the line of an entry anew. `text_out` is in `buffer`, which the caller wipes. */
static int read_entry(const struct accounts *accounts, const struct entry *entry,
                      uint8_t buffer[ACCOUNT_LINE_OCTETS_MAX], struct bytes *text_out,
                      struct error *error)
{
    ssize_t got;
    do {
        got = pread(accounts->descriptor, buffer, entry->octets, (off_t)entry->offset);
    } while (got < 0 && errno == EINTR);
    if (got < 0) {
        return error_from_errno(error, errno, "%s: cannot read", shown(accounts->path));
    }
    *text_out = (struct bytes){buffer, (size_t)got};
    if ((size_t)got != entry->octets ||
        (uint32_t)keyed_hash(accounts, *text_out) != entry->line_hash) {
        return error_set(error, ERROR_TEMPORARY, 0, "%s:%u: changed since it was loaded",
                         shown(accounts->path), entry->number);
    }
    return 0;
}

/* The index of the entry whose name has this hash, or accounts->count. */
static uint32_t find(const struct accounts *accounts, struct bytes name)
{
    uint64_t hash = keyed_hash(accounts, name);
    uint32_t slot = (uint32_t)hash & accounts->slots_mask;
    for (; accounts->slots[slot] != 0; slot = (slot + 1) & accounts->slots_mask) {
        if (accounts->entries[accounts->slots[slot] - 1].name_hash == hash) {
            return accounts->slots[slot] - 1;
        }
    }
    return accounts->count;
}

/* Puts an entry into the table; a second one for a name stays out of it. */
static int add_slot(struct accounts *accounts, uint32_t index, struct error *error)
{
    struct entry *entry = &accounts->entries[index];
    uint32_t slot = (uint32_t)entry->name_hash & accounts->slots_mask;
    for (; accounts->slots[slot] != 0; slot = (slot + 1) & accounts->slots_mask) {
        struct entry *other = &accounts->entries[accounts->slots[slot] - 1];
        if (other->name_hash == entry->name_hash) {
            char text[96];
            entry->earlier = other->number;
            other->later = entry->number;
            (void)snprintf(text, sizeof text, DOUBLE_NAME, other->number);
            return note_mistake(accounts, entry->number, text, error);
        }
    }
    accounts->slots[slot] = index + 1;
    return 0;
}

static int build_table(struct accounts *accounts, struct error *error)
{
    uint32_t size = 16;
    while (size / 2 < accounts->count) {
        size *= 2;
    }
    free(accounts->slots);
    accounts->slots_mask = size - 1;
    accounts->slots = calloc(size, sizeof *accounts->slots);
    if (accounts->slots == NULL) {
        return error_set(error, ERROR_TEMPORARY, ENOMEM, "no memory for the accounts");
    }
    for (uint32_t i = 0; i < accounts->count; i++) {
        if (add_slot(accounts, i, error) < 0) {
            return -1;
        }
    }
    return 0;
}

static int load(struct accounts *accounts, struct error *error)
{
    struct stat after;
    struct timespec now;
    for (int i = 0; i < LOAD_TRIES; i++) {
        if (fstat(accounts->descriptor, &accounts->status) < 0) {
            return error_from_errno(error, errno, "%s", shown(accounts->path));
        }
        if (!S_ISREG(accounts->status.st_mode)) {
            return error_set(error, ERROR_CONFIGURATION, 0, "%s: not a regular file",
                             shown(accounts->path));
        }
        int result = load_lines(accounts, error);
        if (fstat(accounts->descriptor, &after) < 0) {
            return error_from_errno(error, errno, "%s", shown(accounts->path));
        }
        if (!same_status(&accounts->status, &after)) {
            continue; /* what was read, or wrong in it, may be half of a change */
        }
        if (result < 0 || build_table(accounts, error) < 0) {
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
                     shown(accounts->path));
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
        return error_from_errno(error, errno, "%s", shown(path));
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

static char *append(char *at, struct bytes octets)
{
    if (octets.size > 0) {
        memcpy(at, octets.data, octets.size);
    }
    return at + octets.size;
}

/* Copies what a line says; of a locked one the verifier is `verifier`. */
static int make_account(const struct account_line *line, struct bytes verifier, uint32_t number,
                        struct account **account_out, struct error *error)
{
    size_t path_size = line->maildrop.size > 0 ? line->home.size + 1 + line->maildrop.size : 0;
    size_t size = line->name.size + 1 + verifier.size + 1 + path_size + 1;
    struct account_memory *memory = calloc(1, sizeof *memory + size);
    if (memory == NULL) {
        return error_set(error, ERROR_TEMPORARY, ENOMEM, "no memory for an account");
    }
    memory->size = sizeof *memory + size;
    memory->account.line = number;
    memory->account.may_login = !line->is_locked;
    char *at = memory->text;
    memory->account.name = at;
    at = append(at, line->name) + 1;
    memory->account.verifier = at;
    at = append(at, verifier) + 1;
    if (path_size > 0) {
        memory->account.maildrop = at;
        if (line->home.size > 0) {
            at = append(append(at, line->home), bytes_of("/"));
        }
        (void)append(at, line->maildrop);
    }
    *account_out = &memory->account;
    return 0;
}

int accounts_decoy(const struct accounts *accounts, struct account **account_out,
                   struct error *error)
{
    struct account_line line = {.is_locked = true};
    struct account_line example;
    if (!accounts->has_decoy) {
        return make_account(&line, bytes_of(decoy_verifier), 0, account_out, error);
    }
    uint8_t buffer[ACCOUNT_LINE_OCTETS_MAX];
    struct bytes text;
    int result = read_entry(accounts, &accounts->entries[accounts->decoy], buffer, &text, error);
    if (result == 0) {
        result = account_line_parse(text, &example, error);
    }
    if (result == 0) {
        result = make_account(&line, example.password, 0, account_out, error);
    }
    sodium_memzero(buffer, sizeof buffer);
    secret_wipe_stack();
    return result;
}

int accounts_at(const struct accounts *accounts, uint32_t index, struct account **account_out,
                struct error *error)
{
    const struct entry *entry = &accounts->entries[index];
    struct account *decoy = NULL;
    struct account_line line;
    struct error mistake;
    struct bytes text;
    uint8_t buffer[ACCOUNT_LINE_OCTETS_MAX];
    if (entry->earlier != 0) {
        return error_set(error, ERROR_TEMPORARY, 0, "%s:%u: " DOUBLE_NAME, shown(accounts->path),
                         entry->number, entry->earlier);
    }
    int result = read_entry(accounts, entry, buffer, &text, error);
    if (result == 0 && account_line_parse(text, &line, &mistake) < 0) {
        result = error_set(error, ERROR_TEMPORARY, 0, "%s:%u: %s", shown(accounts->path),
                           entry->number, mistake.text);
    }
    if (result == 0 && line.is_locked) {
        result = accounts_decoy(accounts, &decoy, error);
    }
    if (result == 0) {
        struct bytes verifier = decoy != NULL ? bytes_of(decoy->verifier) : line.password;
        result = make_account(&line, verifier, entry->number, account_out, error);
    }
    account_free(decoy);
    sodium_memzero(buffer, sizeof buffer);
    secret_wipe_stack();
    return result;
}

static int no_such_user(struct bytes name, struct error *error)
{
    char escaped[64];
    return error_set(error, ERROR_NO_SUCH_USER, 0, "no account is called %s",
                     bytes_escape(name, escaped, sizeof escaped));
}

static int find_folded(const struct accounts *accounts, struct bytes name, uint32_t *index_out,
                       struct error *error)
{
    uint8_t folded[USER_NAME_OCTETS_MAX];
    if (user_name_check(name, error) < 0) {
        return -1;
    }
    *index_out = find(accounts, name);
    if (*index_out == accounts->count) {
        for (size_t i = 0; i < name.size; i++) {
            bool is_upper = name.data[i] >= 'A' && name.data[i] <= 'Z';
            folded[i] = (uint8_t)(is_upper ? name.data[i] + ('a' - 'A') : name.data[i]);
        }
        *index_out = find(accounts, (struct bytes){folded, name.size});
    }
    return *index_out < accounts->count ? 0 : no_such_user(name, error);
}

int accounts_lookup(const struct accounts *accounts, struct bytes name,
                    struct account **account_out, struct error *error)
{
    uint32_t index;
    if (find_folded(accounts, name, &index, error) < 0) {
        return -1;
    }
    if (accounts_at(accounts, index, account_out, error) < 0) {
        return -1;
    }
    if (!bytes_equal_ignoring_case(bytes_of((*account_out)->name), name)) { /* the hash collided */
        *account_out = account_free(*account_out);
        return no_such_user(name, error);
    }
    return 0;
}

int accounts_locate(const struct accounts *accounts, struct bytes name,
                    struct accounts_place *place_out, struct error *error)
{
    uint32_t index;
    if (find_folded(accounts, name, &index, error) < 0) {
        return -1;
    }
    const struct entry *entry = &accounts->entries[index];
    if (entry->later != 0) {
        return error_set(error, ERROR_CONFIGURATION, 0, "%s:%u: " DOUBLE_NAME,
                         shown(accounts->path), entry->later, entry->number);
    }
    *place_out = (struct accounts_place){
        .offset = entry->offset, .octets = entry->octets_whole, .line = entry->number};
    return 0;
}

struct account *account_free(struct account *account)
{
    if (account != NULL) {
        struct account_memory *memory = (struct account_memory *)account;
        sodium_memzero(memory, memory->size);
        free(memory);
    }
    return NULL;
}

int account_check(const struct account *account, const struct secret *secret, struct error *error)
{
    int result = verifier_check(bytes_of(account->verifier), secret, error);
    if (result == 0 && !account->may_login) {
        return error_set(error, ERROR_BAD_CREDENTIALS, 0, "wrong password");
    }
    return result;
}

uint64_t account_memory(const struct account *account)
{
    return verifier_memory(bytes_of(account->verifier));
}
