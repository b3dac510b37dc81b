/* SPDX-License-Identifier: MIT */
/* The query of the sources that ask a database: its parameters and its columns. No octet of a name ever becomes
 * SQL: what is rewritten here is the operator's own text, before any name is known. */
#include "account/source_query.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/buffer.h"
#include "base/file.h"
#include "base/number.h"

static const char *const parameter_names[SOURCE_PARAMETER_COUNT] = {
    [SOURCE_PARAMETER_USER] = "user",       [SOURCE_PARAMETER_NAME] = "name",
    [SOURCE_PARAMETER_DOMAIN] = "domain",   [SOURCE_PARAMETER_SERVICE] = "service",
    [SOURCE_PARAMETER_ADDRESS] = "address",
};

static const char *const column_names[SOURCE_COLUMN_COUNT] = {
    [SOURCE_COLUMN_NAME] = "name",         [SOURCE_COLUMN_PASSWORD] = "password",
    [SOURCE_COLUMN_MAILDROP] = "maildrop", [SOURCE_COLUMN_UID] = "uid",
    [SOURCE_COLUMN_GID] = "gid",           [SOURCE_COLUMN_HOME] = "home",
    [SOURCE_COLUMN_EXTRA] = "extra",
};

/* The index of a name, or `count`. */
static int find_name(const char *const names[], int count, struct bytes name,
                     bool (*is_equal)(struct bytes a, struct bytes b))
{
    int i = 0;
    while (i < count && !is_equal(name, bytes_of(names[i]))) {
        i++;
    }
    return i;
}

static int check_text(struct bytes text, struct error *error)
{
    size_t blanks = 0;
    while (blanks < text.size && strchr(" \t\r\n", text.data[blanks]) != NULL &&
           text.data[blanks] != '\0') {
        blanks++;
    }
    if (blanks == text.size) {
        return error_set(error, ERROR_CONFIGURATION, 0, "the query is empty");
    }
    if (bytes_find(text, '\0') < text.size) {
        return error_set(error, ERROR_CONFIGURATION, 0, "the query has a NUL octet; write text");
    }
    return 0;
}

int source_query_read(const char *setting, char **text_out, struct error *error)
{
    struct bytes text = bytes_of(setting);
    struct bytes read = {0};
    bool is_path = setting[0] == '/' && setting[1] != '*';
    if (is_path) {
        int result = file_read(setting, SOURCE_QUERY_OCTETS_MAX, &read);
        if (result < 0) {
            return error_set(error, ERROR_CONFIGURATION, -result, "%s", setting);
        }
        text = read;
    }
    int result = check_text(text, error);
    if (result == 0) {
        *text_out = strndup((const char *)text.data, text.size);
        if (*text_out == NULL) {
            result = error_set(error, ERROR_TEMPORARY, ENOMEM, "reading the query");
        }
    }
    free((void *)(uintptr_t)read.data);
    return result;
}

int source_parameter_find(struct bytes name, enum source_parameter *parameter_out,
                          struct error *error)
{
    int index = find_name(parameter_names, SOURCE_PARAMETER_COUNT, name, bytes_equal);
    if (index < SOURCE_PARAMETER_COUNT) {
        *parameter_out = (enum source_parameter)index;
        return 0;
    }
    char escaped[64];
    return error_set(error, ERROR_CONFIGURATION, 0,
                     "the query has no parameter :%s to ask with; write :user, :name, :domain, "
                     ":service or :address",
                     bytes_escape(name, escaped, sizeof escaped));
}

/* PostgreSQL's lexical structure, as far as it matters where a ':' stands. */
struct lexer {
    struct bytes rest;
    struct bytes whole;
    struct buffer out;
    struct source_numbered_query *query;
};

static uint8_t octet_at(const struct lexer *lexer, size_t index)
{
    return index < lexer->rest.size ? lexer->rest.data[index] : 0;
}

static bool starts_identifier(uint8_t octet)
{
    return (octet >= 'a' && octet <= 'z') || (octet >= 'A' && octet <= 'Z') || octet == '_' ||
           octet >= 0x80;
}

static bool continues_identifier(uint8_t octet)
{
    return starts_identifier(octet) || (octet >= '0' && octet <= '9') || octet == '$';
}

static void copy(struct lexer *lexer, size_t size)
{
    buffer_append(&lexer->out, (struct bytes){lexer->rest.data, size});
    lexer->rest = bytes_from(lexer->rest, size);
}

static int set_open(const struct lexer *lexer, const char *what, struct error *error)
{
    unsigned line = 1;
    size_t before = lexer->whole.size - lexer->rest.size;
    for (size_t i = 0; i < before; i++) {
        line += lexer->whole.data[i] == '\n';
    }
    return error_set(error, ERROR_CONFIGURATION, 0,
                     "%s that begins in line %u of the query does not end", what, line);
}

/* A string or a quoted name; a doubled quote inside is two that follow each other. */
static int copy_quoted(struct lexer *lexer, bool has_escapes, struct error *error)
{
    uint8_t quote = octet_at(lexer, 0);
    for (size_t i = 1; i < lexer->rest.size; i++) {
        if (has_escapes && lexer->rest.data[i] == '\\') {
            i++;
        } else if (lexer->rest.data[i] == quote) {
            copy(lexer, i + 1);
            return 0;
        }
    }
    return set_open(lexer, "a quote", error);
}

static void copy_line_comment(struct lexer *lexer)
{
    copy(lexer, bytes_find(lexer->rest, '\n'));
}

/* They nest, unlike those of C. */
static int copy_comment(struct lexer *lexer, struct error *error)
{
    unsigned depth = 0;
    for (size_t i = 0; i + 1 < lexer->rest.size; i++) {
        if (lexer->rest.data[i] == '/' && lexer->rest.data[i + 1] == '*') {
            depth++;
            i++;
        } else if (lexer->rest.data[i] == '*' && lexer->rest.data[i + 1] == '/') {
            i++;
            if (--depth == 0) {
                copy(lexer, i + 1);
                return 0;
            }
        }
    }
    return set_open(lexer, "a comment", error);
}

/* $$...$$ or $tag$...$tag$. */
static int copy_dollar(struct lexer *lexer, struct error *error)
{
    size_t tag = 1;
    if (octet_at(lexer, 1) >= '0' && octet_at(lexer, 1) <= '9') {
        return error_set(error, ERROR_CONFIGURATION, 0,
                         "the query has a numbered parameter; write :user in place of $1");
    }
    while (octet_at(lexer, tag) != '$' && continues_identifier(octet_at(lexer, tag))) {
        tag++;
    }
    if (octet_at(lexer, tag) != '$') {
        copy(lexer, 1);
        return 0;
    }
    tag++;
    const uint8_t *end =
        memmem(lexer->rest.data + tag, lexer->rest.size - tag, lexer->rest.data, tag);
    if (end == NULL) {
        return set_open(lexer, "a dollar quote", error);
    }
    copy(lexer, (size_t)(end - lexer->rest.data) + tag);
    return 0;
}

static unsigned number_of(struct source_numbered_query *query, enum source_parameter parameter)
{
    unsigned i = 0;
    while (i < query->count && query->parameters[i] != parameter) {
        i++;
    }
    if (i == query->count) {
        query->parameters[query->count++] = parameter;
    }
    return i + 1;
}

static int take_colon(struct lexer *lexer, struct error *error)
{
    size_t size = 1;
    enum source_parameter parameter;
    if (octet_at(lexer, 1) == ':' || octet_at(lexer, 1) == '=') {
        copy(lexer, 2); /* a cast; an argument with a name */
        return 0;
    }
    if (!starts_identifier(octet_at(lexer, 1))) {
        copy(lexer, 1); /* a slice of an array */
        return 0;
    }
    while (continues_identifier(octet_at(lexer, size))) {
        size++;
    }
    if (source_parameter_find((struct bytes){lexer->rest.data + 1, size - 1}, &parameter, error) <
        0) {
        return -1;
    }
    buffer_append_octet(&lexer->out, '$');
    buffer_append_number(&lexer->out, number_of(lexer->query, parameter));
    lexer->rest = bytes_from(lexer->rest, size);
    return 0;
}

/* A word, a number, or the E that lets a string have escapes. */
static int copy_word(struct lexer *lexer, struct error *error)
{
    size_t size = 0;
    while (continues_identifier(octet_at(lexer, size))) {
        size++;
    }
    uint8_t first = octet_at(lexer, 0);
    bool has_escapes = size == 1 && (first == 'e' || first == 'E') && octet_at(lexer, 1) == '\'';
    copy(lexer, size);
    return has_escapes ? copy_quoted(lexer, true, error) : 0;
}

static int take_token(struct lexer *lexer, struct error *error)
{
    uint8_t octet = octet_at(lexer, 0);
    if (octet == ':') {
        return take_colon(lexer, error);
    }
    if (octet == '\'' || octet == '"') {
        return copy_quoted(lexer, false, error);
    }
    if (octet == '$') {
        return copy_dollar(lexer, error);
    }
    if (octet == '/' && octet_at(lexer, 1) == '*') {
        return copy_comment(lexer, error);
    }
    if (continues_identifier(octet)) {
        return copy_word(lexer, error);
    }
    if (octet == '-' && octet_at(lexer, 1) == '-') {
        copy_line_comment(lexer);
    } else {
        copy(lexer, 1);
    }
    return 0;
}

int source_query_number(const char *text, struct source_numbered_query *query_out,
                        struct error *error)
{
    struct lexer lexer = {.rest = bytes_of(text), .whole = bytes_of(text), .query = query_out};
    *query_out = (struct source_numbered_query){0};
    char *numbered = malloc(lexer.whole.size + 1); /* :user is longer than $1 */
    if (numbered == NULL) {
        return error_set(error, ERROR_TEMPORARY, ENOMEM, "reading the query");
    }
    buffer_init(&lexer.out, numbered, lexer.whole.size);
    while (lexer.rest.size > 0) {
        if (take_token(&lexer, error) < 0) {
            free(numbered);
            return -1;
        }
    }
    numbered[lexer.out.written] = '\0';
    query_out->text = numbered;
    return 0;
}

/* Well-formed by table 3-7 of the Unicode standard: no overlong form, no surrogate, none beyond U+10FFFF. */
static bool is_utf8(struct bytes text)
{
    size_t i = 0;
    while (i < text.size) {
        uint8_t first = text.data[i];
        size_t more = first < 0x80 ? 0 : first < 0xE0 ? 1 : first < 0xF0 ? 2 : 3;
        uint8_t low = first == 0xE0 ? 0xA0 : first == 0xF0 ? 0x90 : 0x80;
        uint8_t high = first == 0xED ? 0x9F : first == 0xF4 ? 0x8F : 0xBF;
        if ((first >= 0x80 && first < 0xC2) || first > 0xF4 || text.size - i <= more) {
            return false;
        }
        for (size_t k = 1; k <= more; k++) {
            uint8_t octet = text.data[i + k];
            if (octet < (k == 1 ? low : 0x80) || octet > (k == 1 ? high : 0xBF)) {
                return false;
            }
        }
        i += more + 1;
    }
    return true;
}

static void copy_text(struct bytes octets, char out[USER_NAME_OCTETS_MAX + 1])
{
    if (octets.size > 0) {
        memcpy(out, octets.data, octets.size);
    }
    out[octets.size] = '\0';
}

int source_values_init(struct source_values *values, const struct source_question *question,
                       struct error *error)
{
    struct bytes user = question->name;
    if (user_name_check(user, error) < 0) {
        return -1;
    }
    if (!is_utf8(user)) {
        return error_set(error, ERROR_NO_SUCH_USER, 0, "the name is not UTF-8");
    }
    const uint8_t *at = memrchr(user.data, '@', user.size);
    size_t name_size = at == NULL ? user.size : (size_t)(at - user.data);
    copy_text(user, values->user);
    copy_text((struct bytes){user.data, name_size}, values->name);
    copy_text(bytes_from(user, name_size + 1), values->domain);
    values->texts[SOURCE_PARAMETER_USER] = values->user;
    values->texts[SOURCE_PARAMETER_NAME] = values->name;
    values->texts[SOURCE_PARAMETER_DOMAIN] = values->domain;
    values->texts[SOURCE_PARAMETER_SERVICE] = question->service;
    values->texts[SOURCE_PARAMETER_ADDRESS] =
        question->address[0] == '\0' ? NULL : question->address;
    return 0;
}

static int find_column(const char *name, int *column_out, struct error *error)
{
    /* PostgreSQL folds names that are not quoted, SQLite gives them as they were written. */
    struct bytes wanted = bytes_of(strcasecmp(name, "user") == 0 ? "name" : name);
    int index = find_name(column_names, SOURCE_COLUMN_COUNT, wanted, bytes_equal_ignoring_case);
    if (index < SOURCE_COLUMN_COUNT) {
        *column_out = index;
        return 0;
    }
    char escaped[64];
    return error_set(error, ERROR_CONFIGURATION, 0,
                     "the query gives a column %s that means nothing here; name each with AS: "
                     "name, password, maildrop, uid, gid, home or extra",
                     bytes_escape(bytes_of(name), escaped, sizeof escaped));
}

int source_columns_find(const char *(*name_of)(void *result, int index), void *result, int count,
                        struct source_columns *columns_out, struct error *error)
{
    for (int i = 0; i < SOURCE_COLUMN_COUNT; i++) {
        columns_out->index[i] = -1;
    }
    for (int i = 0; i < count; i++) {
        const char *name = name_of(result, i);
        int column;
        if (name == NULL) {
            return error_set(error, ERROR_TEMPORARY, ENOMEM, "the columns of the query");
        }
        if (find_column(name, &column, error) < 0) {
            return -1;
        }
        if (columns_out->index[column] >= 0) {
            return error_set(error, ERROR_CONFIGURATION, 0,
                             "the query gives the column %s twice; leave one out",
                             column_names[column]);
        }
        columns_out->index[column] = i;
    }
    for (int i = SOURCE_COLUMN_NAME; i <= SOURCE_COLUMN_PASSWORD; i++) {
        if (columns_out->index[i] < 0) {
            return error_set(error, ERROR_CONFIGURATION, 0,
                             "the query gives no column %s; write SELECT ... AS name, "
                             "... AS password",
                             column_names[i]);
        }
    }
    return 0;
}

static int copy_value(const struct source_row *row, enum source_column column, char *out,
                      size_t capacity, struct error *error)
{
    struct bytes value = row->values[column];
    if (value.size >= capacity || bytes_find(value, '\0') < value.size) {
        return error_set(error, ERROR_CONFIGURATION, 0,
                         "the query's column %s has a value of %zu octets, or with a NUL; at most "
                         "%zu octets of text can be there",
                         column_names[column], value.size, capacity - 1);
    }
    if (value.size > 0) {
        memcpy(out, value.data, value.size);
    }
    out[value.size] = '\0';
    return 0;
}

static int copy_name(const struct source_row *row, struct source_answer *answer,
                     struct error *error)
{
    struct error wrong;
    if (user_name_check(row->values[SOURCE_COLUMN_NAME], &wrong) < 0) {
        return error_set(error, ERROR_CONFIGURATION, 0,
                         "the query's column name has a name that nobody can have: %s", wrong.text);
    }
    return copy_value(row, SOURCE_COLUMN_NAME, answer->name, sizeof answer->name, error);
}

static int take_id(const struct source_row *row, enum source_column column, uint32_t *id_out,
                   struct error *error)
{
    uint64_t id = ACCOUNT_NO_ID;
    struct bytes value = row->values[column];
    if (value.data != NULL && number_parse(value, ACCOUNT_NO_ID - 1, &id) < 0) {
        return error_set(error, ERROR_CONFIGURATION, 0,
                         "the query's column %s has no number of a user or a group; give one "
                         "from 0 to 4294967294, or NULL",
                         column_names[column]);
    }
    *id_out = (uint32_t)id;
    return 0;
}

int source_row_answer(const struct source_row *row, struct source_answer *answer_out,
                      struct error *error)
{
    struct source_answer *out = answer_out;
    bool is_good =
        copy_name(row, out, error) == 0 &&
        copy_value(row, SOURCE_COLUMN_PASSWORD, out->verifier, sizeof out->verifier, error) == 0 &&
        copy_value(row, SOURCE_COLUMN_MAILDROP, out->maildrop, sizeof out->maildrop, error) == 0 &&
        take_id(row, SOURCE_COLUMN_UID, &out->uid, error) == 0 &&
        take_id(row, SOURCE_COLUMN_GID, &out->gid, error) == 0 &&
        copy_value(row, SOURCE_COLUMN_HOME, out->home, sizeof out->home, error) == 0 &&
        copy_value(row, SOURCE_COLUMN_EXTRA, out->extra, sizeof out->extra, error) == 0;
    return is_good ? 0 : -1;
}

int source_rows_many(struct error *error)
{
    return error_set(error, ERROR_CONFIGURATION, 0,
                     "the query gives more than one row for a name; a name must be there once");
}
