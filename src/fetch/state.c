/* SPDX-License-Identifier: MIT */
/* The state's file: opening, locking, schema, transactions. A write-ahead log with synchronous=FULL: a commit
 * is one fsync, and durable. The lock is a flock on a file beside it, so that it dies with its holder. */
#include "fetch/state.h"

#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/folder.h"
#include "fetch/state_name.h"
#include "fetch/state_rows.h"

/* "Rst1": no other program's database is taken for a state. */
#define APPLICATION_ID 0x52737431
#define SCHEMA_VERSION 2

static const char schema[] =
    "CREATE TABLE message ("
    " id INTEGER PRIMARY KEY,"
    " unique_id BLOB NOT NULL,"
    " occurrence INTEGER NOT NULL,"
    " octets INTEGER,"
    " content_octets INTEGER,"
    " content_hash BLOB,"
    " header_hash BLOB,"
    " status INTEGER NOT NULL,"
    " refusals INTEGER NOT NULL,"
    " first_seen INTEGER NOT NULL,"
    " stored INTEGER,"
    " absent_since INTEGER,"
    " deleted INTEGER,"
    " placed INTEGER,"
    " place TEXT,"
    " reason TEXT);"
    "CREATE INDEX message_unique_id ON message (unique_id);"
    "CREATE INDEX message_gone ON message (coalesce(deleted, absent_since))"
    " WHERE absent_since IS NOT NULL OR deleted IS NOT NULL;"
    /* All that a listing is held against, so that it is read from here alone. */
    "CREATE INDEX message_present ON message"
    " (id, unique_id, octets, status, refusals, first_seen, stored)"
    " WHERE absent_since IS NULL AND deleted IS NULL;"
    "CREATE INDEX message_placing ON message (id) WHERE status = 1;"
    "CREATE TABLE fact (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;"
    "PRAGMA application_id = 1383298097;"
    "PRAGMA user_version = 2;";

_Static_assert(APPLICATION_ID == 1383298097 && SCHEMA_VERSION == 2, "as the schema says");

/* What makes a state of version n, from 1, one of n + 1. */
static const char *const upgrades[SCHEMA_VERSION] = {
    [1] = "PRAGMA user_version = 2;", /* nothing but STATE_SEEN, which older programs do not know */
};

int state_failure(struct state *state, const char *what, struct error *error)
{
    int code = sqlite3_extended_errcode(state->database);
    enum error_kind kind = ERROR_TEMPORARY;
    switch (code & 0xFF) {
    case SQLITE_FULL:
        kind = ERROR_NO_SPACE;
        break;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
    case SQLITE_MISMATCH:
        kind = ERROR_CORRUPT;
        break;
    default:
        break;
    }
    return error_set(error, kind, 0, "%s: %s: %s", state->path, what,
                     sqlite3_errmsg(state->database));
}

int state_execute(struct state *state, const char *text, struct error *error)
{
    if (sqlite3_exec(state->database, text, NULL, NULL, NULL) != SQLITE_OK) {
        return state_failure(state, "cannot be used", error);
    }
    return 0;
}

int state_begin(struct state *state, struct error *error)
{
    if (!state->in_transaction) {
        if (state_execute(state, "BEGIN IMMEDIATE", error) < 0) {
            return -1;
        }
        state->in_transaction = true;
    }
    return 0;
}

int state_commit(struct state *state, struct error *error)
{
    if (state->in_transaction) {
        if (sqlite3_exec(state->database, "COMMIT", NULL, NULL, NULL) != SQLITE_OK) {
            return state_failure(state, "what is new cannot be made durable", error);
        }
        state->in_transaction = false;
    }
    return 0;
}

static int read_number(struct state *state, const char *text, int64_t *number_out,
                       struct error *error)
{
    sqlite3_stmt *statement = NULL;
    if (sqlite3_prepare_v2(state->database, text, -1, &statement, NULL) != SQLITE_OK ||
        sqlite3_step(statement) != SQLITE_ROW) {
        (void)sqlite3_finalize(statement);
        return state_failure(state, "cannot be read", error);
    }
    *number_out = sqlite3_column_int64(statement, 0);
    (void)sqlite3_finalize(statement);
    return 0;
}

static int upgrade(struct state *state, int64_t version, struct error *error)
{
    if (version == SCHEMA_VERSION) {
        return 0;
    }
    if (state_begin(state, error) < 0) {
        return -1;
    }
    for (; version < SCHEMA_VERSION; version++) {
        if (state_execute(state, upgrades[version], error) < 0) {
            return -1;
        }
    }
    return state_commit(state, error);
}

static int prepare_schema(struct state *state, struct error *error)
{
    int64_t application;
    int64_t version;
    int64_t tables;
    if (read_number(state, "PRAGMA application_id", &application, error) < 0 ||
        read_number(state, "PRAGMA user_version", &version, error) < 0 ||
        read_number(state, "SELECT count(*) FROM sqlite_schema", &tables, error) < 0) {
        return -1;
    }
    if (tables == 0) {
        if (state_begin(state, error) < 0 || state_execute(state, schema, error) < 0) {
            return -1;
        }
        return state_commit(state, error);
    }
    if (application != APPLICATION_ID) {
        return error_set(error, ERROR_CORRUPT, 0, "%s is not a state of restante fetch",
                         state->path);
    }
    if (version < 1 || version > SCHEMA_VERSION) {
        return error_set(error, ERROR_CONFIGURATION, 0,
                         "%s is of version %lld and this program knows %d: use a newer one",
                         state->path, (long long)version, SCHEMA_VERSION);
    }
    return upgrade(state, version, error);
}

static int open_database(struct state *state, bool dry_run, struct error *error)
{
    const char *path = state->path;
    if (dry_run && faccessat(AT_FDCWD, path, F_OK, 0) < 0) {
        path = ":memory:";
    } else {
        /* Before SQLite, which would ask the umask who may read it. */
        int descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (descriptor < 0) {
            return error_from_errno(error, errno, "%s", path);
        }
        (void)close(descriptor); /* nothing was written */
    }
    if (sqlite3_open_v2(path, &state->database, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX,
                        NULL) != SQLITE_OK) {
        return state_failure(state, "cannot be opened", error);
    }
    (void)sqlite3_extended_result_codes(state->database, 1);
    (void)sqlite3_busy_timeout(state->database, 10000); /* a backup may be reading it */
    /* Exclusive: there is one user, and no shared memory is needed. */
    if (state_execute(state,
                      "PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL;"
                      "PRAGMA synchronous = FULL; PRAGMA trusted_schema = OFF;"
                      "PRAGMA cache_size = -1024;",
                      error) < 0) {
        return -1;
    }
    return prepare_schema(state, error);
}

static int open_folder(struct state *state, const char *folder, bool dry_run, struct error *error)
{
    AUTO_FREE char *path = state_folder_of(folder, error);
    if (path == NULL || (!dry_run && folder_make(path, error) < 0)) {
        return -1;
    }
    size_t size = strlen(path) + strlen(state->name) + sizeof "/.db";
    state->path = malloc(size);
    if (state->path == NULL) {
        return error_set(error, ERROR_TEMPORARY, 0, "out of memory");
    }
    (void)snprintf(state->path, size, "%s/%s.db", path, state->name);
    state->folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (state->folder < 0 && !(dry_run && errno == ENOENT)) {
        return error_from_errno(error, errno, "%s", path);
    }
    return 0;
}

static int lock(struct state *state, const char *account, struct error *error)
{
    char name[256];
    (void)snprintf(name, sizeof name, "%s.lock", state->name);
    state->lock = openat(state->folder, name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (state->lock < 0) {
        return error_from_errno(error, errno, "%s", state->path);
    }
    if (flock(state->lock, LOCK_EX | LOCK_NB) < 0) {
        if (errno == EWOULDBLOCK) {
            return error_set(error, ERROR_IN_USE, 0, "another run is fetching the mail of %s",
                             account);
        }
        return error_from_errno(error, errno, "%s cannot be locked", state->path);
    }
    return 0;
}

int state_open(const char *folder, const char *account, bool dry_run, struct state **state_out,
               struct error *error)
{
    struct state *state = calloc(1, sizeof *state);
    if (state == NULL) {
        return error_set(error, ERROR_TEMPORARY, 0, "out of memory");
    }
    state->folder = state->lock = -1;
    state->name = state_name_of(account);
    int result = -1;
    if (state->name == NULL) {
        (void)error_set(error, ERROR_TEMPORARY, 0, "out of memory");
    } else {
        result = open_folder(state, folder, dry_run, error);
    }
    if (result == 0 && state->folder >= 0) {
        result = lock(state, account, error);
    }
    if (result == 0) {
        result = open_database(state, dry_run, error);
    }
    if (result < 0) {
        (void)state_close(state);
        return -1;
    }
    *state_out = state;
    return 0;
}

struct state *state_close(struct state *state)
{
    if (state != NULL) {
        for (int i = 0; i < STATE_STATEMENTS; i++) {
            (void)sqlite3_finalize(state->statements[i]);
        }
        (void)sqlite3_close(state->database); /* rolls back what was not committed */
        auto_close(&state->folder);
        auto_close(&state->lock);
        free(state->name);
        free(state->path);
        free(state);
    }
    return NULL;
}

int state_folder(const struct state *state)
{
    return state->folder;
}
