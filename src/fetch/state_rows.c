/* SPDX-License-Identifier: MIT */
/* The statements of a state. Each is prepared once; numbers that SQL knows as NULL are 0 in a row. */
#include "fetch/state_rows.h"

#include <stdio.h>
#include <string.h>

#define COLUMNS                                                                                    \
    "id, unique_id, occurrence, octets, content_octets, content_hash, header_hash, status,"        \
    " refusals, first_seen, stored, absent_since, deleted, placed"

static const char *const texts[STATE_STATEMENTS] = {
    [STATE_PRESENT] = "SELECT id, unique_id, octets, status, refusals, first_seen, stored"
                      " FROM message INDEXED BY message_present"
                      " WHERE absent_since IS NULL AND deleted IS NULL ORDER BY id",
    [STATE_OF_ID] = "SELECT " COLUMNS ", place, reason FROM message WHERE unique_id = ?1"
                    " ORDER BY id",
    [STATE_PLACING_ROWS] = "SELECT " COLUMNS ", place, reason FROM message WHERE status = 1"
                           " ORDER BY id",
    [STATE_GONE] = "SELECT EXISTS (SELECT 1 FROM message"
                   " WHERE absent_since IS NOT NULL OR deleted IS NOT NULL)",
    [STATE_INSERT] = "INSERT INTO message (octets, content_octets, content_hash, header_hash,"
                     " status, refusals, stored, absent_since, deleted, placed, place, reason,"
                     " unique_id, first_seen, occurrence)"
                     " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)",
    [STATE_REPLACE] = "UPDATE message SET octets = ?1, content_octets = ?2, content_hash = ?3,"
                      " header_hash = ?4, status = ?5, refusals = ?6, stored = ?7,"
                      " absent_since = ?8, deleted = ?9, placed = ?10, place = ?11, reason = ?12"
                      " WHERE id = ?13",
    [STATE_SET_PRESENT] = "UPDATE message SET octets = ?2, absent_since = NULL, deleted = NULL"
                          " WHERE id = ?1",
    [STATE_SET_ABSENT] = "UPDATE message SET absent_since = ?2 WHERE id = ?1",
    [STATE_SET_DELETED] = "UPDATE message SET deleted = ?2 WHERE id = ?1",
    [STATE_SET_ALL_STORED] = "UPDATE message SET status = 2, stored = ?1 WHERE status = 1",
    [STATE_SET_STORED] = "UPDATE message SET status = 2, stored = ?2 WHERE id = ?1",
    [STATE_DROP_UNPLACED] = "DELETE FROM message WHERE id = ?1 AND refusals = 0",
    [STATE_SET_UNPLACED] = "UPDATE message SET status = 4, place = NULL, placed = NULL"
                           " WHERE id = ?1",
    [STATE_PRUNE] = "DELETE FROM message WHERE (absent_since IS NOT NULL OR deleted IS NOT NULL)"
                    " AND coalesce(deleted, absent_since) < ?1",
    [STATE_RENAME] = "UPDATE message SET unique_id = ?2 WHERE id = ?1",
    [STATE_FACT] = "SELECT value FROM fact WHERE name = ?1",
    [STATE_SET_FACT] = "REPLACE INTO fact (name, value) VALUES (?1, ?2)",
};

static sqlite3_stmt *prepared(struct state *state, enum state_statement which, struct error *error)
{
    sqlite3_stmt **statement = &state->statements[which];
    if (*statement == NULL &&
        sqlite3_prepare_v3(state->database, texts[which], -1, SQLITE_PREPARE_PERSISTENT, statement,
                           NULL) != SQLITE_OK) {
        (void)state_failure(state, "cannot be asked", error);
    }
    return *statement;
}

/* Binds nothing where a number is 0. Out of memory shows when the statement runs. */
static void bind_number(sqlite3_stmt *statement, int column, int64_t value)
{
    if (value == 0) {
        (void)sqlite3_bind_null(statement, column);
    } else {
        (void)sqlite3_bind_int64(statement, column, value);
    }
}

static void bind_octets(sqlite3_stmt *statement, int column, uint64_t octets)
{
    if (octets > INT64_MAX) {
        (void)sqlite3_bind_null(statement, column);
    } else {
        (void)sqlite3_bind_int64(statement, column, (int64_t)octets);
    }
}

static void bind_blob(sqlite3_stmt *statement, int column, struct bytes octets)
{
    (void)sqlite3_bind_blob64(statement, column,
                              octets.size == 0 ? (const uint8_t *)"" : octets.data, octets.size,
                              SQLITE_STATIC);
}

static void bind_text(sqlite3_stmt *statement, int column, const char *text)
{
    if (text[0] == '\0') {
        (void)sqlite3_bind_null(statement, column);
    } else {
        (void)sqlite3_bind_text(statement, column, text, -1, SQLITE_STATIC);
    }
}

static void column_text(sqlite3_stmt *statement, int column, char *out, size_t capacity)
{
    const void *text = sqlite3_column_text(statement, column);
    (void)snprintf(out, capacity, "%s", text == NULL ? "" : (const char *)text);
}

static bool column_blob(sqlite3_stmt *statement, int column, uint8_t *out, size_t size)
{
    const void *data = sqlite3_column_blob(statement, column);
    if (data == NULL || sqlite3_column_bytes(statement, column) != (int)size) {
        return false;
    }
    memcpy(out, data, size);
    return true;
}

static uint64_t column_octets(sqlite3_stmt *statement, int column)
{
    return sqlite3_column_type(statement, column) == SQLITE_NULL
               ? STATE_OCTETS_UNKNOWN
               : (uint64_t)sqlite3_column_int64(statement, column);
}

static void read_row(sqlite3_stmt *statement, struct state_row *row)
{
    *row = (struct state_row){
        .id = sqlite3_column_int64(statement, 0),
        .occurrence = (uint32_t)sqlite3_column_int64(statement, 2),
        .octets = column_octets(statement, 3),
        .status = (enum state_status)sqlite3_column_int(statement, 7),
        .refusals = (uint32_t)sqlite3_column_int64(statement, 8),
        .first_seen = sqlite3_column_int64(statement, 9),
        .stored = sqlite3_column_int64(statement, 10),
        .absent_since = sqlite3_column_int64(statement, 11),
        .deleted = sqlite3_column_int64(statement, 12),
        .placed = sqlite3_column_int64(statement, 13),
    };
    row->unique_id.data = sqlite3_column_blob(statement, 1);
    row->unique_id.size = (size_t)sqlite3_column_bytes(statement, 1);
    row->digest.octets = (uint64_t)sqlite3_column_int64(statement, 4);
    row->has_digest = column_blob(statement, 5, row->digest.content, CONTENT_HASH_OCTETS) &&
                      column_blob(statement, 6, row->digest.header, HEADER_HASH_OCTETS);
    column_text(statement, 14, row->place, sizeof row->place);
    column_text(statement, 15, row->reason, sizeof row->reason);
}

/* The bindings borrow from the caller: they are dropped with the result. */
static void reset(sqlite3_stmt *statement)
{
    (void)sqlite3_reset(statement);
    (void)sqlite3_clear_bindings(statement);
}

/* Of a row that state_each_present shows: what it does not have stays as it is. */
static void read_present(sqlite3_stmt *statement, struct state_row *row)
{
    row->id = sqlite3_column_int64(statement, 0);
    row->unique_id.data = sqlite3_column_blob(statement, 1);
    row->unique_id.size = (size_t)sqlite3_column_bytes(statement, 1);
    row->octets = column_octets(statement, 2);
    row->status = (enum state_status)sqlite3_column_int(statement, 3);
    row->refusals = (uint32_t)sqlite3_column_int64(statement, 4);
    row->first_seen = sqlite3_column_int64(statement, 5);
    row->stored = sqlite3_column_int64(statement, 6);
}

static int each(struct state *state, sqlite3_stmt *statement, state_visitor *visit, void *owner,
                struct error *error)
{
    bool is_present = statement == state->statements[STATE_PRESENT];
    struct state_row row = {0};
    int code = SQLITE_DONE;
    int result = 0;
    while (result >= 0 && (code = sqlite3_step(statement)) == SQLITE_ROW) {
        if (is_present) {
            read_present(statement, &row);
        } else {
            read_row(statement, &row);
        }
        result = visit(owner, &row);
    }
    if (result >= 0 && code != SQLITE_DONE) {
        result = state_failure(state, "cannot be read", error);
    }
    reset(statement);
    return result < 0 ? result : 0;
}

int state_each_present(struct state *state, state_visitor *visit, void *owner, struct error *error)
{
    sqlite3_stmt *statement = prepared(state, STATE_PRESENT, error);
    return statement == NULL ? -1 : each(state, statement, visit, owner, error);
}

int state_each_of_id(struct state *state, struct bytes unique_id, state_visitor *visit, void *owner,
                     struct error *error)
{
    sqlite3_stmt *statement = prepared(state, STATE_OF_ID, error);
    if (statement == NULL) {
        return -1;
    }
    bind_blob(statement, 1, unique_id);
    return each(state, statement, visit, owner, error);
}

int state_each_placing(struct state *state, state_visitor *visit, void *owner, struct error *error)
{
    sqlite3_stmt *statement = prepared(state, STATE_PLACING_ROWS, error);
    return statement == NULL ? -1 : each(state, statement, visit, owner, error);
}

int state_has_gone(struct state *state, bool *has_out, struct error *error)
{
    sqlite3_stmt *statement = prepared(state, STATE_GONE, error);
    if (statement == NULL) {
        return -1;
    }
    int result = 0;
    if (sqlite3_step(statement) == SQLITE_ROW) {
        *has_out = sqlite3_column_int(statement, 0) != 0;
    } else {
        result = state_failure(state, "cannot be read", error);
    }
    reset(statement);
    return result;
}

static int run(struct state *state, sqlite3_stmt *statement, struct error *error)
{
    int result = state_begin(state, error);
    if (result == 0 && sqlite3_step(statement) != SQLITE_DONE) {
        result = state_failure(state, "cannot be written", error);
    }
    reset(statement);
    return result;
}

int state_put(struct state *state, struct state_row *row, struct error *error)
{
    bool is_new = row->id == 0;
    sqlite3_stmt *statement = prepared(state, is_new ? STATE_INSERT : STATE_REPLACE, error);
    if (statement == NULL) {
        return -1;
    }
    bind_octets(statement, 1, row->octets);
    if (row->has_digest) {
        bind_octets(statement, 2, row->digest.octets);
        bind_blob(statement, 3, (struct bytes){row->digest.content, CONTENT_HASH_OCTETS});
        bind_blob(statement, 4, (struct bytes){row->digest.header, HEADER_HASH_OCTETS});
    }
    (void)sqlite3_bind_int(statement, 5, (int)row->status);
    (void)sqlite3_bind_int64(statement, 6, row->refusals);
    bind_number(statement, 7, row->stored);
    bind_number(statement, 8, row->absent_since);
    bind_number(statement, 9, row->deleted);
    bind_number(statement, 10, row->placed);
    bind_text(statement, 11, row->place);
    bind_text(statement, 12, row->reason);
    if (is_new) {
        bind_blob(statement, 13, row->unique_id);
        (void)sqlite3_bind_int64(statement, 14, row->first_seen);
        (void)sqlite3_bind_int64(statement, 15, row->occurrence);
    } else {
        (void)sqlite3_bind_int64(statement, 13, row->id);
    }
    int result = run(state, statement, error);
    if (result == 0 && is_new) {
        row->id = sqlite3_last_insert_rowid(state->database);
    }
    return result;
}

/* A statement about one row and perhaps a time or a number. */
static int run_on(struct state *state, enum state_statement which, int64_t first, int64_t second,
                  struct error *error)
{
    sqlite3_stmt *statement = prepared(state, which, error);
    if (statement == NULL) {
        return -1;
    }
    (void)sqlite3_bind_int64(statement, 1, first);
    if (sqlite3_bind_parameter_count(statement) > 1) {
        bind_number(statement, 2, second);
    }
    return run(state, statement, error);
}

int state_set_present(struct state *state, int64_t id, uint64_t octets, struct error *error)
{
    sqlite3_stmt *statement = prepared(state, STATE_SET_PRESENT, error);
    if (statement == NULL) {
        return -1;
    }
    (void)sqlite3_bind_int64(statement, 1, id);
    bind_octets(statement, 2, octets);
    return run(state, statement, error);
}

int state_set_absent(struct state *state, int64_t id, int64_t now, struct error *error)
{
    return run_on(state, STATE_SET_ABSENT, id, now, error);
}

int state_set_deleted(struct state *state, int64_t id, int64_t now, struct error *error)
{
    return run_on(state, STATE_SET_DELETED, id, now, error);
}

int state_set_all_stored(struct state *state, int64_t now, struct error *error)
{
    return run_on(state, STATE_SET_ALL_STORED, now, 0, error);
}

int state_set_stored(struct state *state, int64_t id, int64_t now, struct error *error)
{
    return run_on(state, STATE_SET_STORED, id, now, error);
}

int state_set_unplaced(struct state *state, int64_t id, struct error *error)
{
    if (run_on(state, STATE_DROP_UNPLACED, id, 0, error) < 0) {
        return -1;
    }
    return run_on(state, STATE_SET_UNPLACED, id, 0, error);
}

int state_prune(struct state *state, int64_t oldest, struct error *error)
{
    return run_on(state, STATE_PRUNE, oldest, 0, error);
}

int state_rename(struct state *state, int64_t id, struct bytes unique_id, struct error *error)
{
    sqlite3_stmt *statement = prepared(state, STATE_RENAME, error);
    if (statement == NULL) {
        return -1;
    }
    (void)sqlite3_bind_int64(statement, 1, id);
    bind_blob(statement, 2, unique_id);
    return run(state, statement, error);
}

int state_fact(struct state *state, const char *name, char *value_out, size_t capacity,
               struct error *error)
{
    sqlite3_stmt *statement = prepared(state, STATE_FACT, error);
    if (statement == NULL) {
        return -1;
    }
    value_out[0] = '\0';
    bind_text(statement, 1, name);
    int code = sqlite3_step(statement);
    if (code == SQLITE_ROW) {
        column_text(statement, 0, value_out, capacity);
    }
    int result = code == SQLITE_ROW || code == SQLITE_DONE
                     ? 0
                     : state_failure(state, "cannot be read", error);
    reset(statement);
    return result;
}

int state_set_fact(struct state *state, const char *name, const char *value, struct error *error)
{
    sqlite3_stmt *statement = prepared(state, STATE_SET_FACT, error);
    if (statement == NULL) {
        return -1;
    }
    bind_text(statement, 1, name);
    (void)sqlite3_bind_text(statement, 2, value, -1, SQLITE_STATIC);
    return run(state, statement, error);
}

int state_era(struct state *state, char *era_out, size_t capacity, struct error *error)
{
    return state_fact(state, "era", era_out, capacity, error);
}

int state_set_era(struct state *state, const char *era, struct error *error)
{
    return state_set_fact(state, "era", era, error);
}
