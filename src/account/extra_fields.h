/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_ACCOUNT_EXTRA_FIELDS_H
#define RESTANTE_ACCOUNT_EXTRA_FIELDS_H

/* The extra fields of an account: what stands behind the seventh colon of a line of the accounts file, and
 * what other sources answer as text. They are parted by blanks; those whose key is not named here are for
 * other readers of the file:
 *
 *     userdb_mail=VALUE           where the maildrop is (Dovecot's)
 *     nologin                     the account is locked (Dovecot's)
 *     allow_nets=NETWORK,...      logins come from there only (Dovecot's)
 *     restante_tls=required       logins use TLS only
 *     restante_main_password=no   the account's own password is not for POP3
 *     restante_app_password=NAME[;allow_nets=NETWORK,...][;tls=required];{SCHEME}hash
 *                                 one more password, with rules that come on top of the account's
 *
 * An app password has full entropy, so that what is kept of it needs no slow hash. It is {SCRAM-SHA-256} all
 * the same, for SCRAM is what a mail client does with it; all of an account have one salt and one count of
 * iterations, so that one derivation checks all, and one challenge of SCRAM is right for all. {PLAIN} is for
 * those that APOP or CRAM-MD5 need. */

#include <sys/socket.h>

#include "account/verifier.h"
#include "base/attributes.h"
#include "base/bytes.h"
#include "base/error.h"

enum {
    APP_PASSWORDS_MAX = 16,
    APP_PASSWORD_NAME_MAX = 32, /* octets: letters, digits, '.', '_' and '-' */
};

struct account_rules {
    struct bytes allow_nets; /* each has been parsed; empty: from anywhere */
    bool needs_tls;
};

struct app_password {
    struct bytes name;
    struct bytes verifier;
    struct account_rules rules;
};

/* All is borrowed from the text. */
struct extra_fields {
    bool has_mail;
    struct bytes mail; /* the value of the last userdb_mail */
    bool is_locked;
    bool refuses_main_password;
    struct account_rules rules;
    size_t app_password_count;
    struct app_password app_passwords[APP_PASSWORDS_MAX];
};

/* Why a secret that is right lets nobody in. */
enum account_rule {
    ACCOUNT_RULE_NONE,
    ACCOUNT_RULE_NETWORK,
    ACCOUNT_RULE_TLS,
    ACCOUNT_RULE_MAIN_PASSWORD,
};

/* What the rules are about. */
struct account_connection {
    const struct sockaddr *peer;
    bool is_tls;
};

/* ERROR_CONFIGURATION with what is wrong and what would be right: a rule that cannot be kept must never be
 * overlooked. The value of userdb_mail is not looked at. */
int extra_fields_parse(struct bytes text, struct extra_fields *fields_out,
                       struct error *error) MUST_CHECK;

/* Does a text have the form of a name of an app password? ERROR_USAGE: no. */
int app_password_check_name(struct bytes name, struct error *error) MUST_CHECK;

/* The salt and the iterations that its {SCRAM-SHA-256} app passwords have, and the keys of the first; false
 * if it has none. */
bool extra_fields_scram(const struct extra_fields *fields, struct scram_keys *keys_out);

/* The first of the rules that refuses. */
enum account_rule account_rules_refusal(const struct account_rules *rules,
                                        const struct account_connection *connection);

/* The word for the log. */
const char *account_rule_name(enum account_rule rule);

#endif
