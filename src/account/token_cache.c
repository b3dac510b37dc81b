/* SPDX-License-Identifier: MIT */
#include "account/token_cache.h"

#include <stdio.h>
#include <stdlib.h>

#include <sodium.h>

enum { SETS = 512, WAYS = 4, HASH_SIZE = 32 };

struct token_entry {
    uint8_t hash[HASH_SIZE];
    uint64_t until_ms; /* 0: free */
    char user[SOURCE_NAME_SIZE];
};

struct token_cache {
    uint64_t most_ms;
    uint8_t key[crypto_generichash_KEYBYTES];
    struct token_entry entries[SETS][WAYS];
};

struct token_cache *token_cache_create(uint64_t most_ms)
{
    struct token_cache *cache = sodium_init() < 0 ? NULL : calloc(1, sizeof *cache);
    if (cache != NULL) {
        cache->most_ms = most_ms;
        randombytes_buf(cache->key, sizeof cache->key);
    }
    return cache;
}

struct token_cache *token_cache_free(struct token_cache *cache)
{
    if (cache != NULL) {
        sodium_memzero(cache, sizeof *cache);
        free(cache);
    }
    return NULL;
}

static struct token_entry *set_of(struct token_cache *cache, struct bytes token,
                                  uint8_t hash[HASH_SIZE])
{
    (void)crypto_generichash(hash, HASH_SIZE, token.data, token.size, cache->key,
                             sizeof cache->key);
    return cache->entries[(hash[0] | hash[1] << 8) % SETS];
}

const char *token_cache_find(struct token_cache *cache, struct bytes token, uint64_t now_ms)
{
    uint8_t hash[HASH_SIZE];
    const struct token_entry *set = set_of(cache, token, hash);
    for (size_t i = 0; i < WAYS; i++) {
        if (now_ms < set[i].until_ms && sodium_memcmp(set[i].hash, hash, HASH_SIZE) == 0) {
            return set[i].user;
        }
    }
    return NULL;
}

/* The place of the same token, or of the one that is the next to be forgotten. */
void token_cache_add(struct token_cache *cache, struct bytes token, const char *user,
                     uint64_t now_ms, uint64_t valid_ms)
{
    uint8_t hash[HASH_SIZE];
    uint64_t for_ms = valid_ms < cache->most_ms ? valid_ms : cache->most_ms;
    struct token_entry *set = set_of(cache, token, hash);
    struct token_entry *place = set;
    for (size_t i = 0; i < WAYS; i++) {
        if (sodium_memcmp(set[i].hash, hash, HASH_SIZE) == 0) {
            place = &set[i];
            break;
        }
        if (set[i].until_ms < place->until_ms) {
            place = &set[i];
        }
    }
    place->until_ms = for_ms == 0 ? 0 : now_ms + for_ms;
    memcpy(place->hash, hash, HASH_SIZE);
    (void)snprintf(place->user, sizeof place->user, "%s", user);
}
