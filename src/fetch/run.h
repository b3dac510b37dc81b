/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_FETCH_RUN_H
#define RESTANTE_FETCH_RUN_H

/* Many accounts at once, on one loop: none waits for another, save for a place among the parallel ones. They are
 * run once, or watched: then each has its own clock. */

#include "account/secret.h"
#include "fetch/report.h"

struct run_account {
    const struct fetch_account *account; /* complete */
    struct secret *password;             /* taken; NULL: the account has a source */
};

/* Accounts of one reading of the configuration. */
struct run_set {
    struct run_account *accounts;
    size_t count;
};

struct run_options {
    struct run_account *accounts;
    size_t count;
    uint32_t parallel; /* at least 1 */
    const char *state_folder;
    const char *metrics; /* a text file of Prometheus, written after each run; NULL: none */
    bool dry_run, headers, mark_seen, dialogue;
    fetch_reporter *report;
    void *owner;
    /* For run_watch: */
    uint64_t interval_ms; /* between the runs of an account */
    bool tells_all;       /* report again what has been reported and has not changed */
    /* Reads the configuration again, for the same accounts; NULL: it has said why it cannot. */
    struct run_set *(*reload)(void *owner);
    /* Nothing refers to a set of `reload` any more. */
    void (*release)(void *owner, struct run_set *set);
};

/* Runs them to their end; SIGINT, SIGTERM and SIGHUP end them early. The exit status: 0, if nothing went wrong
 * in any of them; else that of what will not pass by itself, if there is such; else EX_TEMPFAIL. */
int run_accounts(const struct run_options *options);

/* Runs each again and again, until SIGINT or SIGTERM; SIGHUP reads the configuration again, SIGUSR1 runs all that
 * wait now. Tells systemd how it goes, where NOTIFY_SOCKET is set. 0, or EX_OSERR if it cannot begin. */
int run_watch(const struct run_options *options);

#endif
