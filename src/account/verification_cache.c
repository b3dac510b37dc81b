/* SPDX-License-Identifier: MIT */
/* A ring of entries, the oldest overwritten first, with a chained table of buckets over it. The MAC (BLAKE2b,
 * 32 octets, keyed) stands for the whole question: what it is made of is written down with the length of
 * each part, so that two questions never look alike, in memory that is locked and wiped at once. */
#include "account/verification_cache.h"

#include <stdlib.h>

#include <sodium.h>

#include "base/user_name.h"

enum {
    BUCKETS = 2 * VERIFICATION_CACHE_ENTRIES,
    MAC_OCTETS = 32,
    NONE = VERIFICATION_CACHE_ENTRIES, /* no entry */
};

struct entry {
    uint8_t mac[MAC_OCTETS];
    uint64_t generation;
    char *texts; /* user, NUL, maildrop, NUL; NULL: the entry is free */
    bool has_maildrop;
    uint16_t next; /* in its bucket */
};

struct secrets {
    uint8_t key[crypto_generichash_KEYBYTES];
    crypto_generichash_state state;
};

struct verification_cache {
    struct secrets *secrets; /* locked memory */
    uint16_t oldest;         /* the entry that the next insertion takes */
    uint16_t buckets[BUCKETS];
    struct entry entries[VERIFICATION_CACHE_ENTRIES];
};

int verification_cache_create(struct verification_cache **cache_out, struct error *error)
{
    struct verification_cache *cache = calloc(1, sizeof *cache);
    if (cache == NULL || sodium_init() < 0 ||
        (cache->secrets = sodium_malloc(sizeof *cache->secrets)) == NULL) {
        free(cache);
        return error_set(error, ERROR_TEMPORARY, 0, "no memory for the cache of checked passwords");
    }
    crypto_generichash_keygen(cache->secrets->key);
    for (size_t i = 0; i < BUCKETS; i++) {
        cache->buckets[i] = NONE;
    }
    *cache_out = cache;
    return 0;
}

static void update_part(struct secrets *secrets, struct bytes part)
{
    uint64_t size = part.size;
    (void)crypto_generichash_update(&secrets->state, (const uint8_t *)&size,
                                    sizeof size); /* always 0, as those below */
    if (part.size > 0) {
        (void)crypto_generichash_update(&secrets->state, part.data, part.size);
    }
}

static void make_mac(struct verification_cache *cache, const struct verification_question *question,
                     uint8_t mac_out[MAC_OCTETS])
{
    struct secrets *secrets = cache->secrets;
    (void)crypto_generichash_init(&secrets->state, secrets->key, sizeof secrets->key, MAC_OCTETS);
    update_part(secrets, question->source);
    update_part(secrets, question->user);
    update_part(secrets, question->service);
    update_part(secrets, question->rules);
    update_part(secrets, question->connection);
    update_part(secrets, secret_octets(question->password));
    (void)crypto_generichash_final(&secrets->state, mac_out, MAC_OCTETS);
    sodium_memzero(&secrets->state, sizeof secrets->state);
    secret_wipe_stack();
}

static uint16_t *bucket_of(struct verification_cache *cache, const uint8_t mac[MAC_OCTETS])
{
    return &cache->buckets[(mac[0] | (unsigned)mac[1] << 8) % BUCKETS];
}

static uint16_t find(struct verification_cache *cache, const uint8_t mac[MAC_OCTETS])
{
    uint16_t index = *bucket_of(cache, mac);
    while (index != NONE && sodium_memcmp(cache->entries[index].mac, mac, MAC_OCTETS) != 0) {
        index = cache->entries[index].next;
    }
    return index;
}

static void remove_entry(struct verification_cache *cache, uint16_t index)
{
    struct entry *entry = &cache->entries[index];
    if (entry->texts == NULL) {
        return;
    }
    uint16_t *link = bucket_of(cache, entry->mac);
    while (*link != index) {
        link = &cache->entries[*link].next;
    }
    *link = entry->next;
    free(entry->texts);
    sodium_memzero(entry, sizeof *entry);
}

bool verification_cache_lookup(struct verification_cache *cache,
                               const struct verification_question *question, uint64_t generation,
                               struct verification_answer *answer_out)
{
    uint8_t mac[MAC_OCTETS];
    make_mac(cache, question, mac);
    uint16_t index = find(cache, mac);
    if (index == NONE) {
        return false;
    }
    if (cache->entries[index].generation != generation) {
        remove_entry(cache, index);
        return false;
    }
    const struct entry *entry = &cache->entries[index];
    answer_out->user = entry->texts;
    answer_out->maildrop = entry->has_maildrop ? entry->texts + strlen(entry->texts) + 1 : NULL;
    return true;
}

void verification_cache_insert(struct verification_cache *cache,
                               const struct verification_question *question, uint64_t generation,
                               const struct verification_answer *answer)
{
    uint8_t mac[MAC_OCTETS];
    size_t user_size = strlen(answer->user) + 1;
    size_t maildrop_size = answer->maildrop != NULL ? strlen(answer->maildrop) + 1 : 0;
    char *texts = malloc(user_size + maildrop_size);
    if (texts == NULL) {
        return;
    }
    memcpy(texts, answer->user, user_size);
    if (maildrop_size > 0) {
        memcpy(texts + user_size, answer->maildrop, maildrop_size);
    }
    make_mac(cache, question, mac);
    uint16_t index = find(cache, mac);
    if (index != NONE) {
        remove_entry(cache, index);
    }
    index = cache->oldest;
    remove_entry(cache, index);
    cache->oldest = (uint16_t)((index + 1) % VERIFICATION_CACHE_ENTRIES);
    struct entry *entry = &cache->entries[index];
    uint16_t *bucket = bucket_of(cache, mac);
    memcpy(entry->mac, mac, MAC_OCTETS);
    entry->generation = generation;
    entry->texts = texts;
    entry->has_maildrop = maildrop_size > 0;
    entry->next = *bucket;
    *bucket = index;
}

void verification_cache_clear(struct verification_cache *cache)
{
    for (uint16_t i = 0; i < VERIFICATION_CACHE_ENTRIES; i++) {
        remove_entry(cache, i);
    }
}

struct verification_cache *verification_cache_free(struct verification_cache *cache)
{
    if (cache != NULL) {
        verification_cache_clear(cache);
        sodium_free(cache->secrets);
        free(cache);
    }
    return NULL;
}
