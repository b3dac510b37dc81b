/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_OAUTH_STORE_H
#define RESTANTE_OAUTH_STORE_H

/* Where the tokens of a grant are kept: NAME.json, 0600, in a folder that is the person's alone, or the keyring. NAME
 * comes from the provider, the client, the user and the scope, so that two accounts of one grant share it. Who has a store
 * open has its lock: no other thread or process has it. docs/formats.md describes the files. */

#include "oauth/provider.h"
#include "oauth/tokens.h"

struct oauth_store {
    int folder, lock; /* -1: not open */
    bool keyring;
    int cancel;
    char name[80];
    char place[400]; /* for messages */
};

/* Makes the folder, waits for the lock. ERROR_TEMPORARY: another has it for over a minute, or cancelled. */
int oauth_store_open(struct oauth_store *store, const struct oauth_grant *grant,
                     const struct oauth_endpoints *endpoints, struct error *error) MUST_CHECK;
void oauth_store_close(struct oauth_store *store);

/* No tokens at all: nothing is kept. ERROR_CORRUPT: it cannot be read. */
int oauth_store_load(const struct oauth_store *store, struct oauth_tokens *tokens_out,
                     struct error *error) MUST_CHECK;
/* Durable when it returns 0. */
int oauth_store_save(const struct oauth_store *store, const struct oauth_tokens *tokens,
                     struct error *error) MUST_CHECK;

/* Around a question whose answer may make what is kept worthless: a mark that a killed process leaves. `begin` also
 * sees that there is room for what will be kept. */
int oauth_store_begin(const struct oauth_store *store, struct error *error) MUST_CHECK;
void oauth_store_end(const struct oauth_store *store);
/* Did a process end between the two? */
bool oauth_store_was_cut_off(const struct oauth_store *store);

#endif
