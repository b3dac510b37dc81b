/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_SWITCHING_IMPORT_H
#define RESTANTE_SWITCHING_IMPORT_H

#include "switching/foreign.h"

/* Takes over what another program was told and what it has retrieved. An account that fetch.conf has already stays
 * as it is, and so does a message that its state has already: to import again changes nothing. */

enum import_report_type {
    IMPORT_SECTION,  /* `path` was written (would be: NULL), with `text` */
    IMPORT_PASSWORD, /* it was put into `path` (would be: NULL) */
    IMPORT_KEPT,     /* the account is in `path` already */
    IMPORT_IDS,      /* `added` ids of `path` are known now, `known` ones were before */
    IMPORT_NO_IDS,   /* there is no `path`; NULL: the program was told to remember nothing */
    IMPORT_NOTE      /* `text`: of no single account */
};

struct import_report {
    enum import_report_type type;
    const char *account, *path, *text;
    size_t added, known;
};

struct import_options {
    const char *file;
    enum foreign_program program; /* FOREIGN_PROGRAMS: as it looks */
    const char *configuration;    /* of restante fetch; NULL: the person's */
    const char *state_folder;     /* NULL: the person's */
    bool dry_run;                 /* nothing is written */
    void (*report)(void *owner, const struct import_report *report);
    void *owner;
};

/* Blocks. ERROR_CONFIGURATION: what is wrong with one of the files, with its line and a remedy; ERROR_IN_USE: a run
 * has the account. What was done before an error stays done. */
int import_run(const struct import_options *options, struct error *error) MUST_CHECK;

#endif
