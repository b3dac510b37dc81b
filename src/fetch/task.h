/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_FETCH_TASK_H
#define RESTANTE_FETCH_TASK_H

/* One account on the loop, from its state on the disk to the last listing that brought nothing new. */

#include "account/secret.h"
#include "fetch/report.h"
#include "net/stream.h"

struct task;

struct task_options {
    struct stream_loop *shared;
    int stop; /* a descriptor, borrowed: readable once task_stop is called; ends questions by HTTP */
    const struct fetch_account *account; /* complete */
    const char *state_folder;            /* NULL: the person's */
    bool dry_run;
    bool
        mark_seen; /* nothing is fetched or deleted: all that is listed counts as seen from now on */
    bool headers;  /* show the headers of what is new; a dry run too */
    bool dialogue; /* report what is sent and received */
    fetch_reporter *report;
    void (*done)(void *owner); /* from the loop, once; task_free may be called within */
    void *owner;
};

/* `options` is copied, what it points to is not. NULL: no memory. */
struct task *task_create(const struct task_options *options);
/* Takes the password that the person was asked for, or NULL where the account has a source. */
void task_start(struct task *task, struct secret *password);
/* The person wants it to end: the connection is closed, what is whole is stored. A second call waits for nothing
 * that it can do without. `done` follows. */
void task_stop(struct task *task);
/* What went wrong; ERROR_NONE: nothing. After `done`. */
enum error_kind task_result(const struct task *task);
/* What ended the account's session; ERROR_NONE: it was whole, whatever became of single messages. After `done`. */
enum error_kind task_session_result(const struct task *task);
/* LOGIN-DELAY of the server, RFC 2449 section 6.5; UINT64_MAX: it never said what it can. After `done`. */
uint64_t task_login_delay_ms(const struct task *task);
/* Where the mail goes, as its option says. */
const char *task_place(const struct task *task);
/* After `done` (or if it was never started). Takes NULL; returns NULL. */
struct task *task_free(struct task *task);

#endif
