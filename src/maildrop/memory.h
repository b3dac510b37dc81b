/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_MAILDROP_MEMORY_H
#define RESTANTE_MAILDROP_MEMORY_H

#include "maildrop/maildrop.h"

/* What tests do to a memory store behind the back of its sessions. Users are made by their first
 * delivery; 0, or -1 where there is no such user or message. */

/* The `nth` call from now on (1: the next) of open, rows, read, check and the deliver functions fails
 * with ERROR_TEMPORARY, and a commit removes nothing; 0: none. */
void maildrop_memory_fail_at(struct maildrop_store *store, uint64_t nth);

/* Another program removes message `index`: the session that shows it gets ERROR_GONE. */
int maildrop_memory_remove(struct maildrop_store *store, const char *user, uint32_t index);

/* Message `index` cannot be read any more: ERROR_UNREADABLE. */
int maildrop_memory_spoil(struct maildrop_store *store, const char *user, uint32_t index);

#endif
