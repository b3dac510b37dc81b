/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_CLI_FETCH_OUTPUT_H
#define RESTANTE_CLI_FETCH_OUTPUT_H

/* Shows what a run of restante fetch reports: bars on a terminal, JSON for programs, and what is wrong always.
 * Octets of a server are escaped wherever they go. */

#include "fetch/report.h"

enum { FETCH_OUTPUT_BARS = 16 }; /* accounts that have a bar at the same time */

struct fetch_output {
    bool json, verbose, quiet;
    bool watching;    /* only what happens is said, not that nothing did */
    bool is_terminal; /* standard error is one, and can do what bars need */
    struct fetch_bar {
        const struct fetch_account *account; /* NULL: free */
        struct fetch_progress progress;
    } bars[FETCH_OUTPUT_BARS];
    unsigned drawn; /* lines of bars that are on the terminal */
};

void fetch_output_init(struct fetch_output *output);
/* A fetch_reporter; `owner` is the struct fetch_output. */
void fetch_output_report(void *owner, const struct fetch_report *report);

#endif
