/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_ACCOUNT_ACCOUNT_CHANGE_H
#define RESTANTE_ACCOUNT_ACCOUNT_CHANGE_H

/* Changes of one account's line, for `restante user`: its password, its app passwords, its rules. All other
 * fields of the line stay as they are, octet for octet; all errors are those of accounts_edit.h, and those that
 * are named here. Blocks. */

#include "account/extra_fields.h"
#include "account/secret.h"
#include "base/attributes.h"
#include "base/bytes.h"
#include "base/error.h"

enum { APP_PASSWORD_SECRET_SIZE = 35 /* of what account_make_secret writes, its NUL included */ };

/* Another password, kept as verifier_make's `scheme`; where app passwords are kept by SCRAM, one of that scheme
 * gets their salt and iterations. */
int account_change_password(const char *path, struct bytes name, const char *scheme,
                            const struct secret *secret, struct error *error) MUST_CHECK;

/* A password that nobody chose: 140 bits, in groups that can be read out and typed in. ERROR_TEMPORARY: no
 * memory. */
int account_make_secret(struct secret **secret_out, struct error *error) MUST_CHECK;

struct app_password_change {
    struct bytes name;
    bool is_plain;          /* kept as it is, for APOP and CRAM-MD5 */
    const char *allow_nets; /* NULL: from anywhere */
    bool needs_tls;
};

/* ERROR_USAGE: the name is taken or none, a network is none, or there are APP_PASSWORDS_MAX already. */
int account_add_app_password(const char *path, struct bytes name,
                             const struct app_password_change *change, const struct secret *secret,
                             struct error *error) MUST_CHECK;
/* ERROR_USAGE: there is none of that name. */
int account_revoke_app_password(const char *path, struct bytes name, struct bytes app_password,
                                struct error *error) MUST_CHECK;

/* A text of the file's own that takes the place of a rule; empty: the rule goes; NULL: it stays as it is. */
struct account_rules_change {
    const char *allow_nets, *tls, *main_password;
};

/* ERROR_USAGE: a network is none. */
int account_change_rules(const char *path, struct bytes name,
                         const struct account_rules_change *change, struct error *error) MUST_CHECK;

#endif
