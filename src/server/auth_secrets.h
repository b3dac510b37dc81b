/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_SERVER_AUTH_SECRETS_H
#define RESTANTE_SERVER_AUTH_SECRETS_H

/* Which of an account's secrets an exchange of SASL may prove. */

#include "account/account_secrets.h"
#include "server/messages.h"

struct auth;

_Static_assert((int)ACCOUNT_SECRETS_MAX == (int)SASL_SECRETS_MAX, "an exchange takes all");

struct auth_secrets {
    size_t count;
    struct scram_keys *keys; /* all under one salt */
    struct secret
        *texts[SASL_SECRETS_MAX]; /* of which keys are to be derived yet; NULL: they are there */
    uint8_t numbers[SASL_SECRETS_MAX]; /* as account_secrets.h counts them */
    uint8_t rules[SASL_SECRETS_MAX];   /* enum account_rule: what refuses a login by it */
};

/* What is known of the connection; borrows `facts`. */
struct account_connection auth_connection(const struct auth_facts *facts);

/* Those that SCRAM can prove. The salt is that of the main password, unless that is not for POP3; secrets with
 * another one are left out. `account` NULL, or one with no such secret: one that nobody knows, with a salt that
 * is made of `name`, so that it stays the same, and the commonest count of iterations. ERROR_TEMPORARY, and
 * nothing to free: no memory. */
int auth_secrets_collect(const struct auth *auth, const char *name, enum scram_hash hash,
                         const struct account *account, const struct account_connection *connection,
                         struct auth_secrets *secrets_out, struct error *error) MUST_CHECK;
bool auth_secrets_must_derive(const struct auth_secrets *secrets);
/* Blocks, for as long as the iterations take, once for each text. */
int auth_secrets_derive(struct auth_secrets *secrets, enum scram_hash hash,
                        struct error *error) MUST_CHECK;
/* Answers the exchange's LOOKUP. Numbers and rules stay, keys and texts go. */
void auth_secrets_give(struct auth_secrets *secrets, struct sasl_server *server,
                       struct sasl_event *event_out);
/* Wipes keys and texts. */
void auth_secrets_forget(struct auth_secrets *secrets);

/* Those of which the account has the text, for CRAM-MD5 and APOP: borrowed as long as the account. Fills numbers
 * and the count. */
void auth_secrets_texts(const struct account *account, struct auth_secrets *secrets_out,
                        struct bytes texts_out[SASL_SECRETS_MAX]);

#endif
