/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_FETCH_RUN_H
#define RESTANTE_FETCH_RUN_H

/* Many accounts at once, on one loop: none waits for another, save for a place among the parallel ones. */

#include "account/secret.h"
#include "fetch/report.h"

struct run_account {
    const struct fetch_account *account; /* complete */
    struct secret *password;             /* taken; NULL: the account has a source */
};

struct run_options {
    struct run_account *accounts;
    size_t count;
    uint32_t parallel; /* at least 1 */
    const char *state_folder;
    bool dry_run, headers, mark_seen, dialogue;
    fetch_reporter *report;
    void *owner;
};

/* Runs them to their end; SIGINT, SIGTERM and SIGHUP end them early. The exit status: 0, if nothing went wrong
 * in any of them; else that of what will not pass by itself, if there is such; else EX_TEMPFAIL. */
int run_accounts(const struct run_options *options);

#endif
