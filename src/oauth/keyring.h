/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_OAUTH_KEYRING_H
#define RESTANTE_OAUTH_KEYRING_H

/* Tokens in the person's keyring, by secret-tool(1), as "service restante-oauth grant NAME". A secret goes through pipes,
 * never into arguments. The person may have to unlock it: that is waited for, for five minutes. */

#include "base/attributes.h"
#include "base/bytes.h"
#include "base/error.h"

/* What is kept under `name`, in `memory`; nothing: empty. */
int oauth_keyring_load(const char *name, uint8_t *memory, size_t capacity, struct bytes *out,
                       struct error *error) MUST_CHECK;
int oauth_keyring_save(const char *name, const char *text, struct error *error) MUST_CHECK;

#endif
