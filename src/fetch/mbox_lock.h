/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_FETCH_MBOX_LOCK_H
#define RESTANTE_FETCH_MBOX_LOCK_H

#include "base/attributes.h"
#include "base/error.h"

/* An mbox, locked in both ways that mail programs know: a file MBOX.lock, where its folder allows to make one,
 * and fcntl. The fcntl lock belongs to the open file, so that it also holds between the threads of a process
 * (closing some other descriptor of the file does not lose it). */
struct mbox_lock {
    int file;      /* -1: not locked */
    char *dotlock; /* NULL: there is none */
};

/* Opens it, making it if it is missing, and waits for the locks, at most `limit_s`; IN_USE then. What a dead
 * process left as MBOX.lock is removed. `cancel`: readable ends the waiting. */
int mbox_lock(struct mbox_lock *lock, const char *path, unsigned limit_s, int cancel,
              struct error *error) MUST_CHECK;
void mbox_unlock(struct mbox_lock *lock);

#endif
