/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_OAUTH_ASSERTION_H
#define RESTANTE_OAUTH_ASSERTION_H

/* A service account (RFC 7523): a JSON file with "client_email", "private_key" and "token_uri", as Google gives it, and what
 * is signed with that key. */

#include <stdint.h>

#include "oauth/provider.h"

/* A JWT signed by RS256, malloc'ed, that asks for a token to act as the grant's user. Where the grant names no
 * endpoint for tokens, `endpoints` gets the file's. ERROR_CONFIGURATION: the file cannot be used, and why. */
int oauth_assertion_make(const struct oauth_grant *grant, struct oauth_endpoints *endpoints,
                         uint64_t now_s, char **assertion_out, struct error *error) MUST_CHECK;

#endif
