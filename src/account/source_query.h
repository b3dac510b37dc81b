/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_ACCOUNT_SOURCE_QUERY_H
#define RESTANTE_ACCOUNT_SOURCE_QUERY_H

/* What the sources that ask a database have in common: one query that finds one account. Its parameters are
 * written :user and the like, and are only ever bound; its columns are found by their names. */

#include "account/source.h"
#include "base/attributes.h"
#include "base/bytes.h"
#include "base/error.h"
#include "base/user_name.h"

enum { SOURCE_QUERY_OCTETS_MAX = 16 * 1024 };

enum source_parameter {
    SOURCE_PARAMETER_USER,    /* the name as it was given */
    SOURCE_PARAMETER_NAME,    /* of that, what stands before the last '@' */
    SOURCE_PARAMETER_DOMAIN,  /* what stands behind it; may be empty */
    SOURCE_PARAMETER_SERVICE, /* pop3 */
    SOURCE_PARAMETER_ADDRESS, /* the client's; NULL where no client asks */
    SOURCE_PARAMETER_COUNT
};

enum source_column {
    SOURCE_COLUMN_NAME,     /* the canonical name; must be there */
    SOURCE_COLUMN_PASSWORD, /* {SCHEME}hash; must be there */
    SOURCE_COLUMN_MAILDROP,
    SOURCE_COLUMN_UID,
    SOURCE_COLUMN_GID,
    SOURCE_COLUMN_HOME,
    SOURCE_COLUMN_EXTRA,
    SOURCE_COLUMN_COUNT
};

/* The query of a setting: the SQL itself or, where the setting begins with '/' and is no comment, what the file
 * of that path has. malloc'ed, the caller's. ERROR_CONFIGURATION: empty, over SOURCE_QUERY_OCTETS_MAX, with a NUL,
 * or the file cannot be read. */
int source_query_read(const char *setting, char **text_out, struct error *error) MUST_CHECK;

/* The parameter called `name`, which comes without its colon. ERROR_CONFIGURATION: there is none; the text has
 * those that there are. */
int source_parameter_find(struct bytes name, enum source_parameter *parameter_out,
                          struct error *error) MUST_CHECK;

/* A query as PostgreSQL takes it: $1 to $`count` stand for `parameters`, in this order, each once. */
struct source_numbered_query {
    char *text; /* malloc'ed */
    enum source_parameter parameters[SOURCE_PARAMETER_COUNT];
    unsigned count;
};

/* Rewrites the parameters, and nothing in strings, quoted names, comments or casts (PostgreSQL's manual, 4.1).
 * ERROR_CONFIGURATION: an unknown parameter, one that is numbered already, a quote or a comment without end. */
int source_query_number(const char *text, struct source_numbered_query *query_out,
                        struct error *error) MUST_CHECK;

/* What is bound. Each is UTF-8; NULL is SQL's NULL. */
struct source_values {
    const char *texts[SOURCE_PARAMETER_COUNT]; /* in what follows, or the question's */
    char user[USER_NAME_OCTETS_MAX + 1];
    char name[USER_NAME_OCTETS_MAX + 1];
    char domain[USER_NAME_OCTETS_MAX + 1];
};

/* Fills in place: `values` must not be copied, and the question must outlive it. ERROR_NO_SUCH_USER: a name that is no
 * UTF-8, which no database has. */
int source_values_init(struct source_values *values, const struct source_question *question,
                       struct error *error) MUST_CHECK;

/* Which column of a result is which; -1: not there. */
struct source_columns {
    int index[SOURCE_COLUMN_COUNT];
};

/* Finds the columns of a result; `name_of` gives the name of each of `count`, borrowed. ERROR_CONFIGURATION: one that is
 * unknown, there twice, or missing and must be there. */
int source_columns_find(const char *(*name_of)(void *result, int index), void *result, int count,
                        struct source_columns *columns_out, struct error *error) MUST_CHECK;

/* One row: borrowed octets; data NULL is SQL's NULL, or a column that is not there. */
struct source_row {
    struct bytes values[SOURCE_COLUMN_COUNT];
};

/* Fills the answer, whose texts mean what they mean in the accounts file: no password locks the account. ERROR_CONFIGURATION:
 * a value that its column cannot have; the text has what would be right, and not the value. */
int source_row_answer(const struct source_row *row, struct source_answer *answer_out,
                      struct error *error) MUST_CHECK;

/* ERROR_CONFIGURATION: there is more than one row; which of them is right, nobody can say. */
int source_rows_many(struct error *error);

#endif
