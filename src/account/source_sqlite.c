/* SPDX-License-Identifier: MIT */
/* Accounts in an SQLite database, which is only read. It is opened for each question: a file that was replaced is
 * found, no lock outlives an answer, and nothing of a row stays in a cache of pages. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <sqlite3.h>

#include "account/source.h"
#include "account/source_query.h"

/* Whoever writes is waited for so long; the time limit of the source's process is longer. */
enum { BUSY_MS = 2000 };

struct source {
    const char *path; /* the options' */
    char *query;
};

/* What one question needs. */
struct reading {
    sqlite3 *database;
    sqlite3_stmt *statement;
};

static void finish(struct reading *reading)
{
    (void)sqlite3_finalize(reading->statement);
    (void)sqlite3_close_v2(reading->database);
}

static int set_error(const struct source *source, const struct reading *reading,
                     enum error_kind kind, struct error *error)
{
    const char *hint = "";
    int code = sqlite3_errcode(reading->database);
    if (code == SQLITE_CANTOPEN) {
        hint = "; who runs auth must be able to read it, and where it is in WAL mode to write its "
               "folder (or PRAGMA journal_mode = DELETE)";
    } else if (code == SQLITE_READONLY) {
        hint = "; a writer that died has left it unfinished: open it once with sqlite3";
    }
    return error_set(error, kind, 0, "%s: %s%s", source->path, sqlite3_errmsg(reading->database),
                     hint);
}

/* The file is not ours: what is in it must not become a call. */
static void harden(sqlite3 *database)
{
    (void)sqlite3_db_config(database, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    (void)sqlite3_db_config(database, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    (void)sqlite3_db_config(database, SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0, NULL);
    (void)sqlite3_limit(database, SQLITE_LIMIT_ATTACHED, 0);
    (void)sqlite3_busy_timeout(database, BUSY_MS);
    (void)sqlite3_exec(database, "PRAGMA temp_store = MEMORY", NULL, NULL, NULL);
}

static int check_parameters(const struct reading *reading, struct error *error)
{
    int count = sqlite3_bind_parameter_count(reading->statement);
    for (int i = 1; i <= count; i++) {
        const char *name = sqlite3_bind_parameter_name(reading->statement, i);
        enum source_parameter parameter;
        if (name == NULL || name[0] != ':') {
            return error_set(error, ERROR_CONFIGURATION, 0,
                             "the query has a parameter without a name of ours; write :user in "
                             "place of %s",
                             name == NULL ? "?" : name);
        }
        if (source_parameter_find(bytes_of(name + 1), &parameter, error) < 0) {
            return -1;
        }
    }
    return 0;
}

static const char *name_of(void *statement, int index)
{
    return sqlite3_column_name(statement, index);
}

static int check_statement(const struct reading *reading, const char *rest,
                           struct source_columns *columns_out, struct error *error)
{
    if (reading->statement == NULL || !sqlite3_stmt_readonly(reading->statement) ||
        sqlite3_column_count(reading->statement) == 0) {
        return error_set(error, ERROR_CONFIGURATION, 0,
                         "the query gives no rows, or changes the database; write SELECT ...");
    }
    if (rest[strspn(rest, " \t\r\n;")] != '\0') {
        return error_set(error, ERROR_CONFIGURATION, 0,
                         "the query is more than one statement; remove what is behind the ';'");
    }
    if (check_parameters(reading, error) < 0) {
        return -1;
    }
    return source_columns_find(name_of, reading->statement,
                               sqlite3_column_count(reading->statement), columns_out, error);
}

/* Opens the database and prepares the query. */
static int begin(const struct source *source, struct reading *reading,
                 struct source_columns *columns_out, struct error *error)
{
    const char *rest;
    *reading = (struct reading){0};
    if (sqlite3_open_v2(source->path, &reading->database,
                        SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX, NULL) != SQLITE_OK) {
        return set_error(source, reading, ERROR_TEMPORARY, error);
    }
    harden(reading->database);
    int code = sqlite3_prepare_v2(reading->database, source->query, -1, &reading->statement, &rest);
    if (code == SQLITE_ERROR) { /* of syntax; no such table, column or function */
        return set_error(source, reading, ERROR_CONFIGURATION, error);
    }
    if (code != SQLITE_OK) {
        return set_error(source, reading, ERROR_TEMPORARY, error);
    }
    return check_statement(reading, rest, columns_out, error);
}

static int bind(const struct source *source, const struct reading *reading,
                const struct source_values *values, struct error *error)
{
    int count = sqlite3_bind_parameter_count(reading->statement);
    for (int i = 1; i <= count; i++) {
        enum source_parameter parameter;
        const char *name = sqlite3_bind_parameter_name(reading->statement, i);
        if (source_parameter_find(bytes_of(name + 1), &parameter, error) < 0) {
            return -1;
        }
        const char *text = values->texts[parameter]; /* NULL binds NULL */
        if (sqlite3_bind_text(reading->statement, i, text, -1, SQLITE_STATIC) != SQLITE_OK) {
            return set_error(source, reading, ERROR_TEMPORARY, error);
        }
    }
    return 0;
}

/* Takes the row that the statement stands at. */
static int take_row(const struct reading *reading, const struct source_columns *columns,
                    struct source_answer *answer_out, struct error *error)
{
    struct source_row row = {0};
    for (int i = 0; i < SOURCE_COLUMN_COUNT; i++) {
        int index = columns->index[i];
        if (index >= 0) {
            row.values[i].data = sqlite3_column_text(reading->statement, index);
            row.values[i].size = (size_t)sqlite3_column_bytes(reading->statement, index);
        }
    }
    return source_row_answer(&row, answer_out, error);
}

static int step(const struct source *source, const struct reading *reading,
                const struct source_columns *columns, struct source_answer *answer_out,
                struct error *error)
{
    int code = sqlite3_step(reading->statement);
    if (code == SQLITE_DONE) {
        return error_set(error, ERROR_NO_SUCH_USER, 0, "no row for the name");
    }
    if (code == SQLITE_ROW) {
        if (take_row(reading, columns, answer_out, error) < 0) {
            return -1;
        }
        code = sqlite3_step(reading->statement);
    }
    if (code == SQLITE_ROW) {
        return source_rows_many(error);
    }
    return code == SQLITE_DONE ? 0 : set_error(source, reading, ERROR_TEMPORARY, error);
}

static int sqlite_ask(struct source *source, const struct source_question *question,
                      struct source_answer *answer_out, struct error *error)
{
    struct source_values values;
    struct source_columns columns;
    struct reading reading = {0};
    int result = source_values_init(&values, question, error);
    if (result == 0) {
        result = begin(source, &reading, &columns, error);
    }
    if (result == 0) {
        result = bind(source, &reading, &values, error);
    }
    if (result == 0) {
        result = step(source, &reading, &columns, answer_out, error);
    }
    finish(&reading);
    return result;
}

static struct source *sqlite_close(struct source *source)
{
    if (source != NULL) {
        free(source->query);
        free(source);
    }
    return NULL;
}

static int sqlite_open(const struct source_options *options, struct source **source_out,
                       struct error *error)
{
    struct source *source = calloc(1, sizeof *source);
    struct source_columns columns;
    struct reading reading;
    struct error reason;
    if (source == NULL) {
        return error_set(error, ERROR_TEMPORARY, ENOMEM, "opening the source sqlite");
    }
    source->path = options->sqlite_file;
    if (source_query_read(options->sqlite_query, &source->query, error) < 0) {
        (void)sqlite_close(source);
        return -1;
    }
    /* One that is away or locked now may not be so when a question comes. */
    int result = begin(source, &reading, &columns, &reason);
    finish(&reading);
    if (result < 0 && reason.kind == ERROR_CONFIGURATION) {
        *error = reason;
        (void)sqlite_close(source);
        return -1;
    }
    *source_out = source;
    return 0;
}

const struct source_functions source_sqlite = {
    .open = sqlite_open,
    .ask = sqlite_ask,
    .close = sqlite_close,
};
