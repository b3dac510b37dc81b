/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_FETCH_PASSWORD_KEEP_H
#define RESTANTE_FETCH_PASSWORD_KEEP_H

/* Where fetch/password.h will find a password. Blocking. */

#include "account/secret.h"

/* As the one line of a new file, 0600. ERROR_USAGE: there is a file of that name. */
int password_keep_in_file(const char *path, const struct secret *secret,
                          struct error *error) MUST_CHECK;

/* Is there a program to reach the keyring, secret-tool? */
bool password_has_keyring(void);

/* By secret-tool, as `keyring = yes` looks it up. */
int password_keep_in_keyring(const char *host, const char *user, const struct secret *secret,
                             struct error *error) MUST_CHECK;

#endif
