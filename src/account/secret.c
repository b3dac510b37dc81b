/* SPDX-License-Identifier: MIT */
/* Secrets are handed out from slabs of libsodium memory (mlock, MADV_DONTDUMP, guard pages), because one
 * sodium_malloc a login would be six system calls. A slab is never given back: its pages would have to be
 * locked anew for the next burst of logins. Tokens are few and long: each has memory of its own. The octets
 * behind `size` are always zero. */
#include "account/secret.h"

#include <pthread.h>
#include <stdatomic.h>

#include <sodium.h>

struct secret {
    struct secret *next_free;
    size_t size, most;
    uint8_t octets[]; /* `most`, then NULs */
};

enum {
    SLAB_SECRETS = 64,
    NULS = 16, /* at least one, and a whole alignment */
    SLAB_SECRET_SIZE = sizeof(struct secret) + SECRET_OCTETS_MAX + NULS,
    STACK_OCTETS = 16384, /* more than any hash, and the dynamic linker under it, goes down */
};

static atomic_uint tokens;
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
    uint8_t *slab = sodium_allocarray(SLAB_SECRETS, SLAB_SECRET_SIZE);
    if (slab == NULL) {
        return error_set(error, ERROR_TEMPORARY, 0, "no memory for passwords");
    }
    sodium_memzero(slab, (size_t)SLAB_SECRETS * SLAB_SECRET_SIZE);
    for (size_t i = 0; i < SLAB_SECRETS; i++) {
        void *place = slab + i * SLAB_SECRET_SIZE;
        struct secret *secret = place;
        secret->next_free = pool_free;
        secret->most = SECRET_OCTETS_MAX;
        pool_free = secret;
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

int secret_create_token(struct bytes octets, struct secret **secret_out, struct error *error)
{
    if (octets.size > SECRET_TOKEN_OCTETS_MAX) {
        return error_set(error, ERROR_LIMIT, 0, "a token has at most %d octets",
                         SECRET_TOKEN_OCTETS_MAX);
    }
    if (atomic_fetch_add(&tokens, 1) >= SECRET_TOKENS_MAX) {
        (void)atomic_fetch_sub(&tokens, 1);
        return error_set(error, ERROR_LIMIT, 0, "%d tokens are being checked already",
                         SECRET_TOKENS_MAX);
    }
    size_t size = sizeof(struct secret) + SECRET_TOKEN_OCTETS_MAX + NULS;
    struct secret *secret = sodium_init() < 0 ? NULL : sodium_malloc(size);
    if (secret == NULL) {
        (void)atomic_fetch_sub(&tokens, 1);
        return error_set(error, ERROR_TEMPORARY, 0, "no memory for a token");
    }
    sodium_memzero(secret, size);
    secret->most = SECRET_TOKEN_OCTETS_MAX;
    secret->size = octets.size;
    if (octets.size > 0) {
        memcpy(secret->octets, octets.data, octets.size);
    }
    *secret_out = secret;
    return 0;
}

int secret_append(struct secret *secret, struct bytes octets, struct error *error)
{
    if (octets.size > secret->most - secret->size) {
        return error_set(error, ERROR_LIMIT, 0, "a %s has at most %zu octets",
                         secret->most == SECRET_OCTETS_MAX ? "password" : "token", secret->most);
    }
    if (octets.size > 0) {
        memcpy(secret->octets + secret->size, octets.data, octets.size);
    }
    secret->size += octets.size;
    return 0;
}

int secret_prepare(const struct secret *secret, enum sasl_prepare_use use,
                   struct secret **prepared_out, struct error *error)
{
    uint8_t memory[SASL_PREPARED_OCTETS];
    struct bytes octets = {.data = secret->octets, .size = secret->size};
    struct bytes prepared;
    *prepared_out = NULL;
    if (sasl_prepare(octets, use, memory, &prepared, error) < 0) {
        return -1;
    }
    if (prepared.data == octets.data) {
        return 0;
    }
    int result = bytes_equal(prepared, octets) ? 0 : secret_create(prepared, prepared_out, error);
    sodium_memzero(memory, sizeof memory);
    return result;
}

struct bytes secret_octets(const struct secret *secret)
{
    return (struct bytes){.data = secret->octets, .size = secret->size};
}

bool secret_equal(const struct secret *a, const struct secret *b)
{
    if (a->most != b->most) {
        return false;
    }
    int octets = sodium_memcmp(a->octets, b->octets, a->most);
    int size = sodium_memcmp(&a->size, &b->size, sizeof a->size);
    return (octets | size) == 0;
}

bool secret_equal_octets(const struct secret *secret, struct bytes octets)
{
    uint8_t other[SECRET_OCTETS_MAX] = {0};
    if (octets.size > SECRET_OCTETS_MAX || secret->most != SECRET_OCTETS_MAX) {
        return false;
    }
    if (octets.size > 0) {
        memcpy(other, octets.data, octets.size);
    }
    int content = sodium_memcmp(secret->octets, other, sizeof other);
    int size = sodium_memcmp(&secret->size, &octets.size, sizeof octets.size);
    sodium_memzero(other, sizeof other);
    return (content | size) == 0;
}

struct secret *secret_free(struct secret *secret)
{
    if (secret == NULL) {
        return NULL;
    }
    if (secret->most != SECRET_OCTETS_MAX) {
        sodium_free(secret); /* which wipes */
        (void)atomic_fetch_sub(&tokens, 1);
        return NULL;
    }
    sodium_memzero(secret->octets, secret->most);
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
