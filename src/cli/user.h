/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_CLI_USER_H
#define RESTANTE_CLI_USER_H

/* `restante user` as its files see it: user.c is the command and what concerns an account as a whole,
 * user_secrets.c its app passwords and rules. */

#include "account/accounts.h"
#include "sasl/prepare.h"
#include "server/configuration.h"

struct user_job {
    struct configuration configuration;
    const char *name;
    const char *app_password; /* its name; NULL: none is meant */
    char shown[256];          /* the account's name, as a terminal may see it */
    char prepared[SASL_PREPARED_OCTETS + 1];

    /* options; NULL: not given */
    const char *scheme;
    const char *allow_nets, *tls, *main_password;
};

/* Loads the accounts file and warns of its mistakes. */
int user_load(const struct user_job *job, struct accounts **accounts_out,
              struct error *error) MUST_CHECK;
/* Finds the one account that the job is about. */
int user_lookup(const struct user_job *job, struct account **account_out,
                struct error *error) MUST_CHECK;
/* The file has changed: returns once a server that runs knows it; one that does not run needs no telling. */
int user_tell_server(const struct user_job *job, struct error *error) MUST_CHECK;

/* user_secrets.c: each is a subcommand and returns an exit status. */
int user_add_app_password(struct user_job *job);
int user_revoke_app_password(struct user_job *job);
int user_list_app_passwords(struct user_job *job);
int user_rules(struct user_job *job);

#endif
