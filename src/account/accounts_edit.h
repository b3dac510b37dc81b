/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_ACCOUNT_ACCOUNTS_EDIT_H
#define RESTANTE_ACCOUNT_ACCOUNTS_EDIT_H

/* Changes of the accounts file, for `restante user`. A change is made whole or not at all: a new file
 * beside the old one with its mode, owner and access list, fsync, rename, fsync of the folder. Every line
 * but the one that is meant stays as it is, octet for octet. Editors wait for each other (flock). */

#include <sys/types.h>

#include "base/attributes.h"
#include "base/buffer.h"
#include "base/bytes.h"
#include "base/error.h"

enum accounts_change {
    ACCOUNTS_ADD,    /* a new line at the end */
    ACCOUNTS_REMOVE, /* removes the account's line */
};

/* `verifier` is NULL for ACCOUNTS_REMOVE. ERROR_USAGE: the account exists already, or the name cannot
 * stand in the file; ERROR_NO_SUCH_USER: there is no such account; ERROR_CONFIGURATION: the file has a
 * mistake, as accounts_load says it; else what the file system said. On any error the old file stands,
 * save that a failed fsync of the folder is reported when the new one is in its place already. */
int accounts_edit(const char *path, enum accounts_change kind, struct bytes name,
                  const char *verifier, struct error *error) MUST_CHECK;

/* Writes the line that is to take the place of `line`; both come without their line end. Called under the
 * file's lock: what it computes from the line still holds when it is written. */
typedef int accounts_rewrite(struct bytes line, struct buffer *line_out, void *context,
                             struct error *error);

/* Replaces the account's line. Errors as accounts_edit; those of `rewrite` pass, one of the kind
 * ERROR_CONFIGURATION with the file and the number of the line in front. ERROR_USAGE: the new line is
 * longer than ACCOUNT_LINE_OCTETS_MAX. */
int accounts_edit_line(const char *path, struct bytes name, accounts_rewrite *rewrite,
                       void *context, struct error *error) MUST_CHECK;

/* Makes an empty file, mode 0600, that belongs to `uid` and `gid` (-1: whose it would be anyway). One that
 * is there already is left as it is. */
int accounts_create(const char *path, uid_t uid, gid_t gid, struct error *error) MUST_CHECK;

#endif
