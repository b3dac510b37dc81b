/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_MAILDROP_PATH_H
#define RESTANTE_MAILDROP_PATH_H

#include "maildrop/maildrop.h"

struct maildrop_path {
    char *path;   /* without a slash at its end; free() it */
    size_t fixed; /* so much of it is there for all users, and must exist */
};

/* Does it start with '/', or with "~/" or "%h/" for the owner's home, and use no other '%' but %u, %n, %d and
 * %%? 0, or -1 with ERROR_CONFIGURATION. */
int maildrop_path_check(const char *pattern, struct error *error) MUST_CHECK;

/* What follows the home in a path that starts there, its slash included; else NULL. */
const char *maildrop_path_in_home(const char *pattern);

/* Where the owner's maildrop is: owner->path, or `pattern` with %u the user's name, %n what stands
 * before its last '@' (all of it if there is none), %d what stands after. A part that is used is checked
 * like a user name. ERROR_CONFIGURATION: the owner has no home, and the pattern starts there. */
int maildrop_path_expand(const char *pattern, const struct maildrop_owner *owner,
                         struct maildrop_path *path_out, struct error *error) MUST_CHECK;

#endif
