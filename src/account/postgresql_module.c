/* SPDX-License-Identifier: MIT */
/* Accounts in a PostgreSQL database, by libpq. This is a module of its own: libpq brings some twenty libraries, which
 * only the processes that ask this source shall load. One connection is kept, and made anew once where it was lost.
 * Nothing is set in the session, for a pooler (PgBouncer) may give the next query to another. */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <libpq-fe.h>

#include "account/source.h"
#include "account/source_query.h"
#include "base/file.h"
#include "base/module.h"
#include "base/version.h"

enum { CONNECTION_OCTETS_MAX = 4096 };

struct source {
    char *connection; /* libpq's connection string; may hold a password */
    struct source_numbered_query query;
    PGconn *link; /* NULL: none now */
};

static void drop(struct source *source)
{
    PQfinish(source->link);
    source->link = NULL;
}

/* libpq's texts end in a line end, and may have several lines. */
static int set_link_error(const struct source *source, struct error *error)
{
    const char *text = source->link == NULL ? "no memory" : PQerrorMessage(source->link);
    return error_set(error, ERROR_TEMPORARY, 0, "PostgreSQL: %.*s", (int)strcspn(text, "\n"), text);
}

static int connect_anew(struct source *source, struct error *error)
{
    /* What comes before dbname, the connection string may say otherwise. */
    static const char *const keys[] = {
        "connect_timeout", "gssencmode",      "fallback_application_name",
        "dbname",          "client_encoding", NULL,
    };
    const char *const values[] = {
        "3", "disable", "restante", source->connection, "UTF8", NULL,
    };
    drop(source);
    source->link = PQconnectdbParams(keys, values, 1);
    if (PQstatus(source->link) != CONNECTION_OK) {
        (void)set_link_error(source, error);
        drop(source);
        return -1;
    }
    const char *strings = PQparameterStatus(source->link, "standard_conforming_strings");
    if (strings != NULL && strcmp(strings, "on") != 0) {
        drop(source);
        return error_set(error, ERROR_CONFIGURATION, 0,
                         "PostgreSQL reads backslashes in strings otherwise than its standard; "
                         "ALTER ROLE ... SET standard_conforming_strings = on");
    }
    return 0;
}

static PGresult *send(struct source *source, const struct source_values *values)
{
    const char *texts[SOURCE_PARAMETER_COUNT];
    const struct source_numbered_query *query = &source->query;
    for (unsigned i = 0; i < query->count; i++) {
        texts[i] = values->texts[query->parameters[i]];
    }
    return PQexecParams(source->link, query->text, (int)query->count, NULL, texts, NULL, NULL, 0);
}

/* A connection that a restart of the database has ended is found out by its use only. */
static int query(struct source *source, const struct source_values *values, PGresult **result_out,
                 struct error *error)
{
    bool is_kept = source->link != NULL;
    if (!is_kept && connect_anew(source, error) < 0) {
        return -1;
    }
    *result_out = send(source, values);
    if (is_kept && PQstatus(source->link) != CONNECTION_OK) {
        PQclear(*result_out);
        if (connect_anew(source, error) < 0) {
            return -1;
        }
        *result_out = send(source, values);
    }
    return 0;
}

static bool is_class(const char *state, const char *class)
{
    return strncmp(state, class, 2) == 0;
}

/* What went wrong, by SQLSTATE (the manual's appendix A). Messages about data have the data in them. */
static int set_result_error(struct source *source, const PGresult *result, struct error *error)
{
    const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    const char *text = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    if (state == NULL || text == NULL) {
        return set_link_error(source, error);
    }
    if (strcmp(state, "22P05") == 0 || strcmp(state, "22021") == 0) {
        return error_set(error, ERROR_NO_SUCH_USER, 0, "the database's encoding has no such name");
    }
    if (is_class(state, "22")) {
        return error_set(error, ERROR_TEMPORARY, 0,
                         "PostgreSQL: the query fails on a value of a row or a parameter (SQLSTATE "
                         "%s)",
                         state);
    }
    bool is_wrong = is_class(state, "42") || is_class(state, "0A");
    return error_set(error, is_wrong ? ERROR_CONFIGURATION : ERROR_TEMPORARY, 0,
                     "PostgreSQL: %.200s (SQLSTATE %s)", text, state);
}

static const char *name_of(void *result, int index)
{
    return PQfname(result, index);
}

static int take_rows(PGresult *result, struct source_answer *answer_out, struct error *error)
{
    struct source_row row = {0};
    struct source_columns columns;
    if (source_columns_find(name_of, result, PQnfields(result), &columns, error) < 0) {
        return -1;
    }
    if (PQntuples(result) == 0) {
        return error_set(error, ERROR_NO_SUCH_USER, 0, "no row for the name");
    }
    if (PQntuples(result) > 1) {
        return source_rows_many(error);
    }
    for (int i = 0; i < SOURCE_COLUMN_COUNT; i++) {
        int index = columns.index[i];
        if (index >= 0 && PQgetisnull(result, 0, index) == 0) {
            row.values[i].data = (const uint8_t *)PQgetvalue(result, 0, index);
            row.values[i].size = (size_t)PQgetlength(result, 0, index);
        }
    }
    return source_row_answer(&row, answer_out, error);
}

static int take_result(struct source *source, PGresult *result, struct source_answer *answer_out,
                       struct error *error)
{
    switch (PQresultStatus(result)) {
    case PGRES_TUPLES_OK:
        return take_rows(result, answer_out, error);
    case PGRES_EMPTY_QUERY:
    case PGRES_COMMAND_OK:
        return error_set(error, ERROR_CONFIGURATION, 0,
                         "the query gives no rows; write SELECT ...");
    case PGRES_COPY_OUT:
    case PGRES_COPY_IN:
    case PGRES_COPY_BOTH:
        drop(source);
        return error_set(error, ERROR_CONFIGURATION, 0, "the query is COPY; write SELECT ...");
    case PGRES_BAD_RESPONSE:
    case PGRES_NONFATAL_ERROR:
    case PGRES_FATAL_ERROR:
    case PGRES_SINGLE_TUPLE:
    case PGRES_PIPELINE_SYNC:
    case PGRES_PIPELINE_ABORTED:
        break;
    }
    return set_result_error(source, result, error);
}

static bool is_plain(const struct source_answer *answer)
{
    return strncasecmp(answer->verifier, "{PLAIN}", strlen("{PLAIN}")) == 0;
}

static int postgresql_ask(struct source *source, const struct source_question *question,
                          struct source_answer *answer_out, struct error *error)
{
    struct source_values values;
    PGresult *rows;
    if (source_values_init(&values, question, error) < 0 ||
        query(source, &values, &rows, error) < 0) {
        return -1;
    }
    int result = take_result(source, rows, answer_out, error);
    PQclear(rows);
    /* A connection keeps what it received last: a password must not stay there. */
    if (PQstatus(source->link) != CONNECTION_OK || (result == 0 && is_plain(answer_out))) {
        drop(source);
    }
    return result;
}

static struct source *postgresql_close(struct source *source)
{
    if (source != NULL) {
        drop(source);
        if (source->connection != NULL) {
            explicit_bzero(source->connection, strlen(source->connection));
        }
        free(source->connection);
        free(source->query.text);
        free(source);
    }
    return NULL;
}

/* A file that holds a password is its reader's own. */
static int check_private(const char *path, struct error *error)
{
    struct stat facts;
    if (stat(path, &facts) < 0) {
        return error_set(error, ERROR_CONFIGURATION, errno, "postgresql-connection: %s", path);
    }
    if ((facts.st_mode & S_IRWXO) != 0) {
        return error_set(error, ERROR_CONFIGURATION, 0,
                         "postgresql-connection: everybody on this machine may read %s; "
                         "chmod o= %s",
                         path, path);
    }
    return 0;
}

static int read_connection(const char *setting, struct source *source, struct error *error)
{
    struct bytes text = bytes_of(setting);
    struct bytes read = {0};
    if (setting[0] == '/') {
        if (check_private(setting, error) < 0) {
            return -1;
        }
        int result = file_read(setting, CONNECTION_OCTETS_MAX, &read);
        if (result < 0) {
            return error_set(error, ERROR_CONFIGURATION, -result, "postgresql-connection: %s",
                             setting);
        }
        text = read;
    }
    while (text.size > 0 && strchr(" \t\r\n", text.data[text.size - 1]) != NULL) {
        text.size--;
    }
    source->connection = strndup((const char *)text.data, text.size);
    if (read.data != NULL) {
        explicit_bzero((void *)(uintptr_t)read.data, read.size);
        free((void *)(uintptr_t)read.data);
    }
    return source->connection == NULL
               ? error_set(error, ERROR_TEMPORARY, ENOMEM, "postgresql-connection")
               : 0;
}

/* libpq quotes the word that it does not understand, which may be a piece of a password: only the name of an option
 * that it does not know is repeated. */
static int check_connection(const char *setting, const struct source *source, struct error *error)
{
    char *text = NULL;
    bool has_password = false;
    PQconninfoOption *options = PQconninfoParse(source->connection, &text);
    if (options == NULL) {
        bool is_name = text != NULL && strncmp(text, "invalid connection option", 25) == 0;
        (void)error_set(
            error, ERROR_CONFIGURATION, 0,
            "postgresql-connection: %.*s; write it as libpq has it: host=/run/postgresql "
            "dbname=mail user=restante",
            is_name ? (int)strcspn(text, "\n") : INT_MAX,
            is_name ? text : "this is no connection string");
        PQfreemem(text);
        return -1;
    }
    for (const PQconninfoOption *option = options; option->keyword != NULL; option++) {
        has_password |= strcmp(option->keyword, "password") == 0 && option->val != NULL;
    }
    PQconninfoFree(options);
    if (has_password && setting[0] != '/') {
        return error_set(
            error, ERROR_CONFIGURATION, 0,
            "postgresql-connection has a password, which others may read here; write "
            "passfile=/path (as .pgpass), or put the whole string into a file and write "
            "its path");
    }
    return 0;
}

static int postgresql_open(const struct source_options *options, struct source **source_out,
                           struct error *error)
{
    struct source *source = calloc(1, sizeof *source);
    char *text = NULL;
    if (source == NULL) {
        return error_set(error, ERROR_TEMPORARY, ENOMEM, "opening the source postgresql");
    }
    if (read_connection(options->postgresql_connection, source, error) < 0 ||
        check_connection(options->postgresql_connection, source, error) < 0 ||
        source_query_read(options->postgresql_query, &text, error) < 0 ||
        source_query_number(text, &source->query, error) < 0) {
        free(text);
        (void)postgresql_close(source);
        return -1;
    }
    free(text);
    (void)unsetenv("HOME"); /* that of who started the server, and not of this user */
    *source_out = source;
    return 0;
}

static const struct source_functions postgresql_functions = {
    .open = postgresql_open,
    .ask = postgresql_ask,
    .close = postgresql_close,
};

const struct module restante_module = {
    .version = RESTANTE_VERSION,
    .interface = &postgresql_functions,
};
