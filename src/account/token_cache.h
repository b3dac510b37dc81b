/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_ACCOUNT_TOKEN_CACHE_H
#define RESTANTE_ACCOUNT_TOKEN_CACHE_H

#include "account/source.h"

/* Whose an access token was when its issuer was asked, for some time: else every login of a phone would wait for the
 * issuer. A token that is revoked meanwhile lets in until that time is over, so it is short. No token is in it, only a
 * keyed hash of each. Of fixed size; one thread. */
struct token_cache;

/* `most_ms`: for how long a verdict is believed at most. NULL: no memory. */
struct token_cache *token_cache_create(uint64_t most_ms);
/* Takes NULL; returns NULL. */
struct token_cache *token_cache_free(struct token_cache *cache);

/* `now_ms` is a clock that only goes forward. The name is borrowed until the next call; NULL: nothing is known. */
const char *token_cache_find(struct token_cache *cache, struct bytes token, uint64_t now_ms);
/* `valid_ms`: how long the token itself is good for. */
void token_cache_add(struct token_cache *cache, struct bytes token, const char *user,
                     uint64_t now_ms, uint64_t valid_ms);

#endif
