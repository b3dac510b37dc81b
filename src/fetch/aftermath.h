/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_FETCH_AFTERMATH_H
#define RESTANTE_FETCH_AFTERMATH_H

/* What follows an account's run, beside the loop: its status and the metrics are written, then the commands on-new
 * and on-error run, and alive-url is asked for. What fails here is told and changes nothing else. */

#include <uv.h>

#include "fetch/account.h"
#include "fetch/alive.h"
#include "fetch/status.h"

enum { AFTERMATH_COMMAND_MS = 60000 };

struct aftermath;

struct aftermath_options {
    uv_loop_t *loop;
    struct alive_queue *alive; /* of the loop */
    const struct fetch_account *account;
    const char *place;          /* where its mail goes, as text */
    struct fetch_result result; /* of the run */
    struct fetch_status known;  /* before the run: counts where the file cannot be used */
    int64_t next;               /* for the status: of a watcher; 0: none */
    uint64_t interval_s;
    const char *state_folder;
    const char *metrics; /* the file; NULL: none */
    const char *const *names;
    size_t name_count; /* the accounts whose metrics are written */
    /* From the loop. */
    void (*warn)(void *owner, const char *text);
    /* All is over, once. `before` is the status that the run found. */
    void (*done)(void *owner, const struct fetch_status *before, const struct fetch_status *after);
    void *owner;
};

/* `options` is copied, what it points to is borrowed until `done`. NULL: no memory. */
struct aftermath *aftermath_start(const struct aftermath_options *options);
/* What runs is ended, and nothing begins; `done` follows. */
void aftermath_cancel(struct aftermath *aftermath);

#endif
