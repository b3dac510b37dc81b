/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_ACCOUNT_VERIFICATION_CACHE_H
#define RESTANTE_ACCOUNT_VERIFICATION_CACHE_H

/* A worker's memory of password checks that succeeded, so that a client that comes back every minute
 * waits for nobody. It holds no password: an entry is found by a keyed BLAKE2b of all that the answer
 * depends on, under a random key that lives and dies with the cache. One thread. */

#include "account/secret.h"
#include "base/attributes.h"
#include "base/bytes.h"
#include "base/error.h"

struct verification_cache;

enum { VERIFICATION_CACHE_ENTRIES = 4096 };

/* What the answer depends on; any octets, each may be empty. Two questions differ if any member does. */
struct verification_question {
    struct bytes source;     /* which source of accounts, by its name */
    struct bytes user;       /* as the client gave it */
    struct bytes service;    /* "pop3" */
    struct bytes rules;      /* the settings that decided, e.g. their generation */
    struct bytes connection; /* facts that decided: TLS, addresses, certificate */
    const struct secret *password;
};

/* What a hit brings; borrowed until the next call on the cache. */
struct verification_answer {
    const char *user;     /* canonical */
    const char *maildrop; /* path, or NULL */
};

/* ERROR_TEMPORARY: no memory. */
int verification_cache_create(struct verification_cache **cache_out,
                              struct error *error) MUST_CHECK;
/* Takes NULL; returns NULL. */
struct verification_cache *verification_cache_free(struct verification_cache *cache);

/* True, and the answer, if this question was answered under the same `generation` of its source. Allocates
 * nothing; a microsecond. */
bool verification_cache_lookup(struct verification_cache *cache,
                               const struct verification_question *question, uint64_t generation,
                               struct verification_answer *answer_out);

/* Remembers a success; the oldest entry goes when all are taken. `generation` is the one that the source
 * said it answered under, never one read after the answer: a change between the two must void the entry.
 * The answer is copied; out of memory, nothing is remembered. */
void verification_cache_insert(struct verification_cache *cache,
                               const struct verification_question *question, uint64_t generation,
                               const struct verification_answer *answer);

/* Forgets everything: a reload. */
void verification_cache_clear(struct verification_cache *cache);

#endif
