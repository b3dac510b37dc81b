/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_ACCOUNT_ACCOUNTS_EDIT_H
#define RESTANTE_ACCOUNT_ACCOUNTS_EDIT_H

/* Changes of the accounts file, for `restante user`. A change is made whole or not at all: a new file
 * beside the old one with its mode, owner and access list, fsync, rename, fsync of the folder. Every line
 * but the one that is meant stays as it is, octet for octet. Editors wait for each other (flock). */

#include <sys/types.h>

#include "base/attributes.h"
#include "base/bytes.h"
#include "base/error.h"

enum accounts_change {
    ACCOUNTS_ADD,          /* a new line at the end */
    ACCOUNTS_SET_VERIFIER, /* replaces the second field of the account's line */
    ACCOUNTS_REMOVE,       /* removes the account's line */
};

/* `verifier` is NULL for ACCOUNTS_REMOVE. ERROR_USAGE: the account exists already, or the name cannot
 * stand in the file; ERROR_NO_SUCH_USER: there is no such account; ERROR_CONFIGURATION: the file has a
 * mistake, as accounts_load says it; else what the file system said. On any error the old file stands,
 * save that a failed fsync of the folder is reported when the new one is in its place already. */
int accounts_edit(const char *path, enum accounts_change kind, struct bytes name,
                  const char *verifier, struct error *error) MUST_CHECK;

/* Makes an empty file, mode 0600, that belongs to `uid` and `gid` (-1: whose it would be anyway). One that
 * is there already is left as it is. */
int accounts_create(const char *path, uid_t uid, gid_t gid, struct error *error) MUST_CHECK;

#endif
