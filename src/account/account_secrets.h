/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_ACCOUNT_ACCOUNT_SECRETS_H
#define RESTANTE_ACCOUNT_ACCOUNT_SECRETS_H

/* The secrets of an account: the one of its verifier, and its app passwords. They have numbers: 0, and
 * 1 + the index of the app password. Any thread. */

#include "account/accounts.h"
#include "account/extra_fields.h"

enum {
    ACCOUNT_MAIN_SECRET = 0,
    ACCOUNT_SECRETS_MAX = 1 + APP_PASSWORDS_MAX,
    SECRET_FINGERPRINT_OCTETS = 16,
};

/* Blocks: off the loops only. 0 and the number of the secret that it is; ERROR_BAD_CREDENTIALS: it is none of
 * the account's, or the account may not log in; else as verifier_check. All secrets are tried, whichever it
 * is, so that the time tells nothing. One that preparation changes (RFC 4013) is tried prepared, and then as it
 * came: what was kept before, or by others, may be of that. Rules are not looked at. */
int account_check(const struct account *account, const struct secret *secret, size_t *number_out,
                  struct error *error) MUST_CHECK;
/* The octets that account_check will take. */
uint64_t account_memory(const struct account *account);

/* For exchanges that prove a secret without sending it: what each secret is kept as. Borrowed as long as the
 * account; returns how many there are, in the order of their numbers. */
size_t account_verifiers(const struct account *account,
                         struct bytes verifiers_out[ACCOUNT_SECRETS_MAX]);

/* The rule, if any, that refuses a login by this secret. */
enum account_rule account_refusal(const struct account *account, size_t number,
                                  const struct account_connection *connection);
/* The rule, if any, that refuses a login which no secret has proved: by a certificate, by a token. */
enum account_rule account_refusal_without_secret(const struct account *account,
                                                 const struct account_connection *connection);

/* What a user's secret is called where nothing must be known of it. */
void account_fingerprint(struct bytes user, struct bytes verifier,
                         uint8_t out[SECRET_FINGERPRINT_OCTETS]);

#endif
