/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_ACCOUNT_SECRET_H
#define RESTANTE_ACCOUNT_SECRET_H

/* A password or a token while it is being checked: in locked memory between guard pages, kept out of core dumps,
 * wiped when freed. It is opaque so that nothing prints it by mistake. Secrets come from one pool of the
 * process; create and free take its mutex for some instructions, from any thread. */

#include "base/attributes.h"
#include "base/bytes.h"
#include "base/error.h"
#include "sasl/prepare.h"

enum {
    SECRET_OCTETS_MAX = 512,
    SECRETS_MAX = 16384, /* alive at once in one process: 8 MiB */
    SECRET_TOKEN_OCTETS_MAX = 8192,
    SECRET_TOKENS_MAX = 1024, /* as many octets again */
};

struct secret;

/* Copies `octets`; the caller wipes its own copy. ERROR_LIMIT: more than SECRET_OCTETS_MAX octets, or
 * SECRETS_MAX are alive; ERROR_TEMPORARY: no memory. */
int secret_create(struct bytes octets, struct secret **secret_out, struct error *error) MUST_CHECK;

/* The same for an access token, of up to SECRET_TOKEN_OCTETS_MAX octets, with a limit of its own. */
int secret_create_token(struct bytes octets, struct secret **secret_out,
                        struct error *error) MUST_CHECK;

/* Appends octets that come in pieces. ERROR_LIMIT, and nothing is appended, where they do not fit. */
int secret_append(struct secret *secret, struct bytes octets, struct error *error) MUST_CHECK;

/* The prepared form of a secret (sasl_prepare), as a secret of its own; NULL where it is the same. ERROR_USAGE:
 * there is none; else as secret_create. */
int secret_prepare(const struct secret *secret, enum sasl_prepare_use use,
                   struct secret **prepared_out, struct error *error) MUST_CHECK;

/* Borrowed until the secret is freed; a NUL that is not part of `size` follows the octets. */
struct bytes secret_octets(const struct secret *secret);

/* In a time that depends on neither value nor length. A token is equal to no password. */
bool secret_equal(const struct secret *a, const struct secret *b);
bool secret_equal_octets(const struct secret *secret, struct bytes octets);

/* Wipes and gives back. Takes NULL; returns NULL. */
struct secret *secret_free(struct secret *secret);

/* Wipes the stack below the caller: hashes and copies leave there what they had in registers. For the end of
 * whatever handled a password; a quarter of a microsecond. */
void secret_wipe_stack(void);

#endif
