/* SPDX-License-Identifier: MIT */
/* Shared counts. Connections: a hash table with chains; an entry is in use while the sum of its counts is
 * not zero, which is all that a repair needs after a worker died inside the mutex. The memory is as large as
 * the most connections that a configuration may ask for, two entries each, so that it need not grow at a
 * reload; what was never used takes no page. Failures and logins: sets of eight. */
#include "server/connection_limits.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sodium.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    FAILURE_WAYS = 8,
    FAILURE_SETS = 1024,
    LOGIN_WAYS = 8,
    LOGIN_SETS = 4096,
    MOST_ENTRIES = 2 * 1000000,
    NONE = 0
};

struct entry {
    uint8_t key[LIMITS_KEY_SIZE];
    uint32_t kind;
    uint32_t next; /* number of the next in the chain, or in the list of free ones; from 1 */
    uint32_t sum;
    uint16_t counts[LIMITS_MOST_PROCESSES];
};

struct failure {
    uint8_t key[LIMITS_KEY_SIZE];
    uint64_t since_ms;
    uint32_t count;
};

/* `full_ms` is when all of the burst can be used again: a login moves it by one interval. */
struct login {
    uint8_t user[LIMITS_KEY_SIZE];
    uint64_t full_ms; /* 0: not in use */
};

struct limits {
    size_t size; /* of the mapping */
    pthread_mutex_t mutex;
    uint8_t
        hash_key[crypto_shorthash_KEYBYTES]; /* a stranger cannot choose what shares his chain */
    uint32_t connections[LIMITS_MOST_PROCESSES];
    uint32_t connection_sum;
    uint32_t buckets; /* a power of two */
    uint32_t used;    /* entries 1 .. used have been in use */
    uint32_t free;    /* of those, the list of free ones */
    struct failure failures[LIMIT_FAILURE_KINDS][FAILURE_SETS][FAILURE_WAYS];
    struct login logins[LOGIN_SETS][LOGIN_WAYS];
    uint32_t tail[]; /* heads of the chains, then the entries */
};

static struct entry *entry_at(struct limits *limits, uint32_t number)
{
    struct entry *entries = (struct entry *)(void *)(limits->tail + limits->buckets);
    return &entries[number - 1];
}

static uint64_t hash(const struct limits *limits, const uint8_t key[LIMITS_KEY_SIZE], uint32_t kind)
{
    uint8_t octets[LIMITS_KEY_SIZE + 1];
    uint64_t value;
    memcpy(octets, key, LIMITS_KEY_SIZE);
    octets[LIMITS_KEY_SIZE] = (uint8_t)kind;
    crypto_shorthash((uint8_t *)&value, octets, sizeof octets, limits->hash_key);
    return value;
}

static uint32_t *head_of(struct limits *limits, const uint8_t key[LIMITS_KEY_SIZE], uint32_t kind)
{
    return &limits->tail[hash(limits, key, kind) & (limits->buckets - 1)];
}

/* Builds chains and free list from what the entries say. */
static void rebuild(struct limits *limits)
{
    limits->free = NONE;
    for (uint32_t i = 0; i < limits->buckets; i++) {
        limits->tail[i] = NONE;
    }
    for (uint32_t i = limits->used; i > 0; i--) {
        struct entry *entry = entry_at(limits, i);
        entry->sum = 0;
        for (uint32_t process = 0; process < LIMITS_MOST_PROCESSES; process++) {
            entry->sum += entry->counts[process];
        }
        uint32_t *list = entry->sum == 0 ? &limits->free : head_of(limits, entry->key, entry->kind);
        entry->next = *list;
        *list = i;
    }
    limits->connection_sum = 0;
    for (uint32_t process = 0; process < LIMITS_MOST_PROCESSES; process++) {
        limits->connection_sum += limits->connections[process];
    }
}

static void lock(struct limits *limits)
{
    if (pthread_mutex_lock(&limits->mutex) == EOWNERDEAD) {
        rebuild(limits);
        (void)pthread_mutex_consistent(&limits->mutex);
    }
}

static void unlock(struct limits *limits)
{
    (void)pthread_mutex_unlock(&limits->mutex);
}

static int init_mutex(struct limits *limits)
{
    pthread_mutexattr_t attributes;
    int result = pthread_mutexattr_init(&attributes);
    if (result != 0) {
        return result;
    }
    (void)pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
    (void)pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
    result = pthread_mutex_init(&limits->mutex, &attributes);
    (void)pthread_mutexattr_destroy(&attributes);
    return result;
}

int limits_create(uint32_t connections, struct error *error)
{
    uint32_t buckets = 64;
    while (buckets < 2 * connections) {
        buckets *= 2;
    }
    size_t size =
        sizeof(struct limits) + buckets * sizeof(uint32_t) + MOST_ENTRIES * sizeof(struct entry);
    int descriptor = memfd_create("restante-limits", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (descriptor < 0 || ftruncate(descriptor, (off_t)size) < 0) {
        int number = errno;
        if (descriptor >= 0) {
            (void)close(descriptor);
        }
        return error_set(error, ERROR_TEMPORARY, number, "shared memory for the limits");
    }
    struct limits *limits = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
    int number = limits == MAP_FAILED ? errno : init_mutex(limits);
    if (number != 0) {
        (void)close(descriptor);
        return error_set(error, ERROR_TEMPORARY, number, "shared memory for the limits");
    }
    limits->size = size;
    limits->buckets = buckets;
    crypto_shorthash_keygen(limits->hash_key);
    (void)munmap(limits, size);
    /* A child that shrank it would kill the others by SIGBUS. */
    (void)fcntl(descriptor, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
    return descriptor;
}

int limits_map(int descriptor, struct limits **limits_out, struct error *error)
{
    struct stat facts;
    if (fstat(descriptor, &facts) < 0) {
        return error_set(error, ERROR_TEMPORARY, errno, "shared memory for the limits");
    }
    struct limits *limits =
        mmap(NULL, (size_t)facts.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
    if (limits == MAP_FAILED) {
        return error_set(error, ERROR_TEMPORARY, errno, "shared memory for the limits");
    }
    *limits_out = limits;
    return 0;
}

struct limits *limits_unmap(struct limits *limits)
{
    if (limits != NULL) {
        (void)munmap(limits, limits->size);
    }
    return NULL;
}

bool limits_connect(struct limits *limits, uint32_t process, uint32_t most)
{
    lock(limits);
    bool room = limits->connection_sum < most;
    if (room) {
        limits->connections[process]++;
        limits->connection_sum++;
    }
    unlock(limits);
    return room;
}

void limits_disconnect(struct limits *limits, uint32_t process)
{
    lock(limits);
    limits->connections[process]--;
    limits->connection_sum--;
    unlock(limits);
}

/* The link that leads to the key's entry, or to NONE at the chain's end. */
static uint32_t *find(struct limits *limits, enum limit_kind kind,
                      const uint8_t key[LIMITS_KEY_SIZE])
{
    uint32_t *link = head_of(limits, key, kind);
    while (*link != NONE) {
        struct entry *entry = entry_at(limits, *link);
        if (entry->kind == (uint32_t)kind && memcmp(entry->key, key, LIMITS_KEY_SIZE) == 0) {
            break;
        }
        link = &entry->next;
    }
    return link;
}

/* A new entry that counts nothing yet; NONE if there is no room. */
static uint32_t add(struct limits *limits, enum limit_kind kind, const uint8_t key[LIMITS_KEY_SIZE])
{
    uint32_t number = limits->free;
    if (number != NONE) {
        limits->free = entry_at(limits, number)->next;
    } else if (limits->used < MOST_ENTRIES) {
        number = ++limits->used;
    } else {
        return NONE;
    }
    struct entry *entry = entry_at(limits, number);
    memcpy(entry->key, key, LIMITS_KEY_SIZE);
    entry->kind = kind;
    entry->next = NONE;
    return number;
}

bool limits_take(struct limits *limits, enum limit_kind kind, const uint8_t key[LIMITS_KEY_SIZE],
                 uint32_t process, uint32_t most)
{
    lock(limits);
    uint32_t *link = find(limits, kind, key);
    if (*link == NONE && most > 0) {
        *link = add(limits, kind, key);
    }
    bool room = *link != NONE && entry_at(limits, *link)->sum < most;
    if (room) {
        struct entry *entry = entry_at(limits, *link);
        entry->counts[process]++;
        entry->sum++;
    }
    unlock(limits);
    return room;
}

/* Takes the entry behind `link` out of its chain if nothing is counted in it. */
static void retire(struct limits *limits, uint32_t *link)
{
    struct entry *entry = entry_at(limits, *link);
    if (entry->sum == 0) {
        uint32_t number = *link;
        *link = entry->next;
        entry->next = limits->free;
        limits->free = number;
    }
}

void limits_give(struct limits *limits, enum limit_kind kind, const uint8_t key[LIMITS_KEY_SIZE],
                 uint32_t process)
{
    lock(limits);
    uint32_t *link = find(limits, kind, key);
    if (*link != NONE && entry_at(limits, *link)->counts[process] > 0) {
        entry_at(limits, *link)->counts[process]--;
        entry_at(limits, *link)->sum--;
        retire(limits, link);
    }
    unlock(limits);
}

void limits_clear(struct limits *limits, uint32_t process)
{
    lock(limits);
    limits->connections[process] = 0;
    for (uint32_t i = 1; i <= limits->used; i++) {
        entry_at(limits, i)->counts[process] = 0;
    }
    rebuild(limits);
    unlock(limits);
}

static bool is_over(const struct failure *failure, uint64_t now_ms)
{
    return failure->count == 0 || now_ms - failure->since_ms >= LIMITS_FAILURE_WINDOW_MS;
}

/* Which of two records is missed less. Of users that with fewer failures: who tries a name once after the
 * other must not make us forget the name that he is after. */
static bool is_worth_less(const struct failure *a, const struct failure *b, enum limit_kind kind,
                          uint64_t now_ms)
{
    if (is_over(a, now_ms) != is_over(b, now_ms)) {
        return is_over(a, now_ms);
    }
    if (kind == LIMIT_USER && a->count != b->count) {
        return a->count < b->count;
    }
    return a->since_ms < b->since_ms;
}

/* The key's record, or the one to be replaced by it. */
static struct failure *failure_of(struct limits *limits, enum limit_kind kind,
                                  const uint8_t key[LIMITS_KEY_SIZE], uint64_t now_ms)
{
    struct failure *set = limits->failures[kind][hash(limits, key, UINT8_MAX) % FAILURE_SETS];
    struct failure *least = &set[0];
    for (uint32_t way = 0; way < FAILURE_WAYS; way++) {
        if (set[way].count != 0 && memcmp(set[way].key, key, LIMITS_KEY_SIZE) == 0) {
            return &set[way];
        }
        if (is_worth_less(&set[way], least, kind, now_ms)) {
            least = &set[way];
        }
    }
    return least;
}

static bool is_running(const struct failure *failure, const uint8_t key[LIMITS_KEY_SIZE],
                       uint64_t now_ms)
{
    return !is_over(failure, now_ms) && memcmp(failure->key, key, LIMITS_KEY_SIZE) == 0;
}

void limits_fail(struct limits *limits, enum limit_kind kind, const uint8_t key[LIMITS_KEY_SIZE],
                 uint64_t now_ms)
{
    lock(limits);
    struct failure *failure = failure_of(limits, kind, key, now_ms);
    if (!is_running(failure, key, now_ms)) {
        memcpy(failure->key, key, LIMITS_KEY_SIZE);
        failure->since_ms = now_ms;
        failure->count = 0;
    }
    failure->count++;
    unlock(limits);
}

uint32_t limits_failures(struct limits *limits, enum limit_kind kind,
                         const uint8_t key[LIMITS_KEY_SIZE], uint64_t now_ms)
{
    lock(limits);
    const struct failure *failure = failure_of(limits, kind, key, now_ms);
    uint32_t count = is_running(failure, key, now_ms) ? failure->count : 0;
    unlock(limits);
    return count;
}

/* The user's record, or the one to be replaced by it. */
static struct login *login_of(struct limits *limits, const uint8_t user[LIMITS_KEY_SIZE])
{
    struct login *set = limits->logins[hash(limits, user, UINT8_MAX - 1) % LOGIN_SETS];
    struct login *earliest = &set[0];
    for (uint32_t way = 0; way < LOGIN_WAYS; way++) {
        if (set[way].full_ms != 0 && memcmp(set[way].user, user, LIMITS_KEY_SIZE) == 0) {
            return &set[way];
        }
        if (set[way].full_ms < earliest->full_ms) {
            earliest = &set[way];
        }
    }
    *earliest = (struct login){0};
    memcpy(earliest->user, user, LIMITS_KEY_SIZE);
    return earliest;
}

bool limits_login(struct limits *limits, const uint8_t user[LIMITS_KEY_SIZE],
                  const struct limits_pace *pace, uint64_t now_ms)
{
    lock(limits);
    struct login *login = login_of(limits, user);
    uint64_t full_ms = login->full_ms > now_ms ? login->full_ms : now_ms;
    bool soon = full_ms - now_ms > (pace->burst - 1) * pace->every_ms;
    if (!soon) {
        login->full_ms = full_ms + pace->every_ms;
    }
    unlock(limits);
    return !soon;
}

uint64_t limits_throttle_ms(uint32_t failures_of_address, uint32_t failures_of_user,
                            uint64_t first_ms, uint64_t most_ms)
{
    if (failures_of_address == 0) {
        return 0; /* whatever others do to the user: this address has not */
    }
    uint32_t failures =
        failures_of_address > failures_of_user ? failures_of_address : failures_of_user;
    uint64_t delay = first_ms;
    if (failures <= LIMITS_FAILURES_FREE) {
        return 0;
    }
    for (uint32_t i = LIMITS_FAILURES_FREE + 1; i < failures && delay < most_ms && delay > 0; i++) {
        delay *= 2;
    }
    return delay < most_ms ? delay : most_ms;
}

void limits_user_key(struct bytes user, uint8_t key_out[LIMITS_KEY_SIZE])
{
    memset(key_out, 0, LIMITS_KEY_SIZE);
    if (user.size < LIMITS_KEY_SIZE) {
        key_out[0] =
            (uint8_t)user.size; /* short names as they are: no key of a long one begins so */
        if (user.size > 0) {
            memcpy(key_out + 1, user.data, user.size);
        }
        return;
    }
    (void)crypto_generichash(key_out, LIMITS_KEY_SIZE, user.data, user.size, NULL, 0);
    key_out[0] |= 0x80;
}
