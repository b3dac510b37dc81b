/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_FETCH_STATE_ROWS_H
#define RESTANTE_FETCH_STATE_ROWS_H

#include <sqlite3.h>

#include "fetch/state.h"

/* Between state.c, which opens, and state_rows.c, which asks. */

enum state_statement {
    STATE_PRESENT,
    STATE_OF_ID,
    STATE_PLACING_ROWS,
    STATE_GONE,
    STATE_INSERT,
    STATE_REPLACE,
    STATE_SET_PRESENT,
    STATE_SET_ABSENT,
    STATE_SET_DELETED,
    STATE_SET_ALL_STORED,
    STATE_SET_STORED,
    STATE_DROP_UNPLACED,
    STATE_SET_UNPLACED,
    STATE_PRUNE,
    STATE_RENAME,
    STATE_FACT,
    STATE_SET_FACT,
    STATE_STATEMENTS
};

struct state {
    sqlite3 *database;
    sqlite3_stmt *statements[STATE_STATEMENTS]; /* prepared when first used */
    bool in_transaction;
    int folder, lock;
    char *name; /* of the account, as a file's */
    char *path; /* of the database */
};

/* Fills `error` with what SQLite says; returns -1. */
int state_failure(struct state *state, const char *what, struct error *error);
int state_execute(struct state *state, const char *text, struct error *error) MUST_CHECK;
int state_begin(struct state *state, struct error *error) MUST_CHECK;

#endif
