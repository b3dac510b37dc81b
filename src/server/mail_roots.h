/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_SERVER_MAIL_ROOTS_H
#define RESTANTE_SERVER_MAIL_ROOTS_H

#include "server/configuration.h"

/* The folders that maildrops may lie in: the part of `[maildrop] path` that is the same for all, unless it is in
 * each one's home, and what `[maildrop] roots` adds for accounts that name a maildrop of their own. Workers can
 * open nothing else; the maildrops of system users are their delegates' business. */
struct mail_roots {
    char list[CONFIGURATION_MOST_FILES + 1][CONFIGURATION_VALUE_SIZE];
    uint32_t count;
};

void mail_roots_of(const struct configuration *configuration, struct mail_roots *roots_out);

/* Does an account's own path lie in one of them? Only the text is looked at; "." and ".." are in none. */
bool mail_roots_hold(const struct mail_roots *roots, const char *path);

#endif
