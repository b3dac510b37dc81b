/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_FETCH_GRANT_H
#define RESTANTE_FETCH_GRANT_H

#include "fetch/account.h"
#include "oauth/oauth.h"

/* The grant by which an account gets tokens for `use`, as `user`; it borrows from the account. `cancel` is -1. */
void fetch_grant_make(const struct fetch_account *account, enum oauth_use use, const char *user,
                      struct oauth_grant *grant_out);

/* The same for the mailbox that `gmail` names: Google's, unless `oauth` is custom. */
void fetch_grant_make_gmail(const struct fetch_account *account, struct oauth_grant *grant_out);

/* The same for the IMAP server that mail goes to, as `imap-oauth` says. What `oauth` has of another provider is not
 * used. */
void fetch_grant_make_imap(const struct fetch_account *account, struct oauth_grant *grant_out);

enum { FETCH_GRANTS_MAX = 4 };
/* All grants that the account needs; how many. */
size_t fetch_grants_list(const struct fetch_account *account,
                         struct oauth_grant grants_out[FETCH_GRANTS_MAX]);

#endif
