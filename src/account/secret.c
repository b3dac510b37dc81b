/* SPDX-License-Identifier: MIT */
/* Secrets are handed out from slabs of libsodium memory (mlock, MADV_DONTDUMP, guard pages), because one
 * sodium_malloc a login would be six system calls. A slab is never given back: its pages would have to be
 * locked anew for the next burst of logins. The octets behind `size` are always zero. */
#include "account/secret.h"

#include <pthread.h>

#include <sodium.h>

enum {
    SLAB_SECRETS = 64,
    STACK_OCTETS = 16384, /* more than any hash, and the dynamic linker under it, goes down */
};

struct secret {
    struct secret *next_free;
    size_t size;
    uint8_t
        octets[SECRET_OCTETS_MAX + 16]; /* at least one NUL behind them, and a whole alignment */
};

static pthread_mutex_t pool_mutex = PTHREAD_MUTEX_INITIALIZER;
static struct secret *pool_free;
static unsigned pool_size;

/* Called with the mutex held. */
static int grow(struct error *error)
{
    if (pool_size + SLAB_SECRETS > SECRETS_MAX) {
        return error_set(error, ERROR_LIMIT, 0, "%d passwords are being checked already",
                         SECRETS_MAX);
    }
    if (sodium_init() < 0) {
        return error_set(error, ERROR_TEMPORARY, 0, "libsodium does not start");
    }
    struct secret *slab = sodium_allocarray(SLAB_SECRETS, sizeof *slab);
    if (slab == NULL) {
        return error_set(error, ERROR_TEMPORARY, 0, "no memory for passwords");
    }
    sodium_memzero(slab, SLAB_SECRETS * sizeof *slab);
    for (size_t i = 0; i < SLAB_SECRETS; i++) {
        slab[i].next_free = pool_free;
        pool_free = &slab[i];
    }
    pool_size += SLAB_SECRETS;
    return 0;
}

int secret_create(struct bytes octets, struct secret **secret_out, struct error *error)
{
    if (octets.size > SECRET_OCTETS_MAX) {
        return error_set(error, ERROR_LIMIT, 0, "a password has at most %d octets",
                         SECRET_OCTETS_MAX);
    }
    (void)pthread_mutex_lock(&pool_mutex); /* cannot fail: neither recursive nor robust */
    int result = pool_free != NULL ? 0 : grow(error);
    struct secret *secret = pool_free;
    if (result == 0) {
        pool_free = secret->next_free;
    }
    (void)pthread_mutex_unlock(&pool_mutex);
    if (result < 0) {
        return -1;
    }
    secret->next_free = NULL;
    if (octets.size > 0) {
        memcpy(secret->octets, octets.data, octets.size);
    }
    secret->size = octets.size;
    *secret_out = secret;
    return 0;
}

int secret_append(struct secret *secret, struct bytes octets, struct error *error)
{
    if (octets.size > SECRET_OCTETS_MAX - secret->size) {
        return error_set(error, ERROR_LIMIT, 0, "a password has at most %d octets",
                         SECRET_OCTETS_MAX);
    }
    if (octets.size > 0) {
        memcpy(secret->octets + secret->size, octets.data, octets.size);
    }
    secret->size += octets.size;
    return 0;
}

struct bytes secret_octets(const struct secret *secret)
{
    return (struct bytes){.data = secret->octets, .size = secret->size};
}

bool secret_equal(const struct secret *a, const struct secret *b)
{
    int octets = sodium_memcmp(a->octets, b->octets, SECRET_OCTETS_MAX);
    int size = sodium_memcmp(&a->size, &b->size, sizeof a->size);
    return (octets | size) == 0;
}

bool secret_equal_octets(const struct secret *secret, struct bytes octets)
{
    struct secret other = {.size = octets.size};
    if (octets.size > SECRET_OCTETS_MAX) {
        return false;
    }
    if (octets.size > 0) {
        memcpy(other.octets, octets.data, octets.size);
    }
    bool equal = secret_equal(secret, &other);
    sodium_memzero(&other, sizeof other);
    return equal;
}

struct secret *secret_free(struct secret *secret)
{
    if (secret == NULL) {
        return NULL;
    }
    sodium_memzero(secret->octets, sizeof secret->octets);
    secret->size = 0;
    (void)pthread_mutex_lock(&pool_mutex);
    secret->next_free = pool_free;
    pool_free = secret;
    (void)pthread_mutex_unlock(&pool_mutex);
    return NULL;
}

void secret_wipe_stack(void)
{
    sodium_stackzero(STACK_OCTETS);
}
