/* SPDX-License-Identifier: MIT */
#include "account/source_query.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "scratch.h"

static const struct {
    const char *text;
    const char *numbered;
    const char *parameters; /* a letter each, in order */
} numbered[] = {
    {"SELECT 1", "SELECT 1", ""},
    {"SELECT :user", "SELECT $1", "u"},
    {":user :user,:user", "$1 $1,$1", "u"},
    {":domain :name :address :service :user :name", "$1 $2 $3 $4 $5 $2", "dnasu"},
    {"(:user)", "($1)", "u"},
    {":user::text", "$1::text", "u"},
    {"x::text = :user::citext", "x::text = $1::citext", "u"},
    {"f(a := :user)", "f(a := $1)", "u"},
    {"a[1:2] || :user", "a[1:2] || $1", "u"},
    {"a[: 2]", "a[: 2]", ""},
    {"x=:user", "x=$1", "u"},
    {"1:user", "1$1", "u"},
    {"':user'", "':user'", ""},
    {"'it''s :user' || :name", "'it''s :user' || $1", "n"},
    {"'\\' || :user || '\\'", "'\\' || $1 || '\\'", "u"},
    {"E'\\' :user' || :name", "E'\\' :user' || $1", "n"},
    {"e'\\\\' || :name", "e'\\\\' || $1", "n"},
    {"E'it''s' || :name", "E'it''s' || $1", "n"},
    {"name'\\' || :user", "name'\\' || $1", "u"},
    {"case'\\' || :user", "case'\\' || $1", "u"},
    {"U&'\\' || :user", "U&'\\' || $1", "u"},
    {"B'0' X'0' N'\\' || :user", "B'0' X'0' N'\\' || $1", "u"},
    {"\":user\" = :user", "\":user\" = $1", "u"},
    {"\"a\"\":user\" = :user", "\"a\"\":user\" = $1", "u"},
    {"\"\\\" = :user", "\"\\\" = $1", "u"},
    {"'a\nb' :user", "'a\nb' $1", "u"},
    {"-- :user\n:name", "-- :user\n$1", "n"},
    {"-- :user", "-- :user", ""},
    {"1--':user\n,:name", "1--':user\n,$1", "n"},
    {"- :user", "- $1", "u"},
    {"/* :user */ :name", "/* :user */ $1", "n"},
    {"/* ' */ :user /* \" */", "/* ' */ $1 /* \" */", "u"},
    {"/* /* :user */ :user */ :name", "/* /* :user */ :user */ $1", "n"},
    {"/**/ :name /*/ :user */", "/**/ $1 /*/ :user */", "n"},
    {"1 / :user * 2", "1 / $1 * 2", "u"},
    {"$$ :user ' $$ || :name", "$$ :user ' $$ || $1", "n"},
    {"$a$ $$ :user $b$ $a$ || :name", "$a$ $$ :user $b$ $a$ || $1", "n"},
    {"$\xC3\xA4_1$ :user $\xC3\xA4_1$ :name", "$\xC3\xA4_1$ :user $\xC3\xA4_1$ $1", "n"},
    {"a$b$ = :user", "a$b$ = $1", "u"},
    {"a$1 = :user", "a$1 = $1", "u"},
    {"\xC3\xA4$$ = :user", "\xC3\xA4$$ = $1", "u"},
    {"'$$' :user '$$'", "'$$' $1 '$$'", "u"},
    {"\"$$\" :user", "\"$$\" $1", "u"},
    {"':' :user ':'", "':' $1 ':'", "u"},
    {":user;", "$1;", "u"},
    {"E :user", "E $1", "u"},
    {"nameE'\\' || :user", "nameE'\\' || $1", "u"},
};

static const char letters[] = "undsa";

static void test_parameters_are_numbered(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof numbered / sizeof numbered[0]; i++) {
        struct source_numbered_query query;
        struct error error = {0};
        char parameters[SOURCE_PARAMETER_COUNT + 1] = "";
        if (source_query_number(numbered[i].text, &query, &error) < 0) {
            fail_msg("%s: %s", numbered[i].text, error.text);
        }
        for (unsigned k = 0; k < query.count; k++) {
            parameters[k] = letters[query.parameters[k]];
        }
        assert_string_equal(query.text, numbered[i].numbered);
        assert_string_equal(parameters, numbered[i].parameters);
        free(query.text);
    }
}

static void test_mistakes_of_a_query_say_what_to_write(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *says;
    } wrong[] = {
        {"SELECT :usr", ":usr"},
        {"SELECT :User", "write :user, :name, :domain, :service or :address"},
        {"SELECT :user_", ":user_"},
        {"SELECT :user\xC3\xA4", ":user\\xc3\\xa4"},
        {"SELECT :password", ":password"},
        {"SELECT $1", "write :user in place of $1"},
        {"SELECT\n'a", "a quote that begins in line 2"},
        {"SELECT 'a''", "a quote that begins in line 1"},
        {"SELECT E'a\\'", "a quote"},
        {"SELECT E'a\\", "a quote"},
        {"SELECT \"a", "a quote"},
        {"\n\n/* /* */", "a comment that begins in line 3"},
        {"/*/", "a comment"},
        {"$$ $", "a dollar quote"},
        {"$a$ $b$ $$", "a dollar quote"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct source_numbered_query query;
        struct error error = {0};
        assert_int_equal(source_query_number(wrong[i].text, &query, &error), -1);
        assert_int_equal(error.kind, ERROR_CONFIGURATION);
        if (strstr(error.text, wrong[i].says) == NULL) {
            fail_msg("%s: %s", wrong[i].text, error.text);
        }
    }
}

/* Cut anywhere, no query makes it read beyond its end; the sanitizers look. */
static void test_a_query_that_is_cut_is_read_to_its_end(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof numbered / sizeof numbered[0]; i++) {
        size_t size = strlen(numbered[i].text);
        for (size_t cut = 0; cut <= size; cut++) {
            struct source_numbered_query query;
            struct error error;
            char *text = strndup(numbered[i].text, cut);
            assert_non_null(text);
            if (source_query_number(text, &query, &error) == 0) {
                assert_true(strlen(query.text) <= cut);
                free(query.text);
            }
            free(text);
        }
    }
}

static void test_a_query_is_text_or_the_path_of_a_file(void **state)
{
    (void)state;
    struct scratch scratch;
    struct error error = {0};
    char *text;
    scratch_init(&scratch);
    assert_int_equal(source_query_read("SELECT 1", &text, &error), 0);
    assert_string_equal(text, "SELECT 1");
    free(text);
    assert_int_equal(source_query_read("/* no path */ SELECT 2", &text, &error), 0);
    assert_string_equal(text, "/* no path */ SELECT 2");
    free(text);
    scratch_write_text(&scratch, "SELECT\n3\n");
    assert_int_equal(source_query_read(scratch.path, &text, &error), 0);
    assert_string_equal(text, "SELECT\n3\n");
    free(text);
    scratch_write(&scratch, "SELECT\0003", 8);
    assert_int_equal(source_query_read(scratch.path, &text, &error), -1);
    assert_non_null(strstr(error.text, "NUL"));
    scratch_write_text(&scratch, " \n\t\n");
    assert_int_equal(source_query_read(scratch.path, &text, &error), -1);
    assert_int_equal(error.kind, ERROR_CONFIGURATION);
    assert_int_equal(source_query_read("", &text, &error), -1);
    assert_non_null(strstr(error.text, "empty"));
    assert_int_equal(source_query_read("/nonexistent/query", &text, &error), -1);
    assert_non_null(strstr(error.text, "/nonexistent/query"));
    scratch_finish(&scratch);
}

static struct source_question question_of(const char *name)
{
    return (struct source_question){
        .name = bytes_of(name), .service = "pop3", .address = "192.0.2.1"};
}

static void test_values_are_the_parts_of_a_name(void **state)
{
    (void)state;
    static const struct {
        const char *user;
        const char *name;
        const char *domain;
    } names[] = {
        {"alice", "alice", ""},
        {"alice@example.org", "alice", "example.org"},
        {"a@b@example.org", "a@b", "example.org"},
        {"alice@", "alice", ""},
        {"@example.org", "", "example.org"},
        {"'; DROP TABLE a; --", "'; DROP TABLE a; --", ""},
        {"\xC3\xA4\xE2\x82\xAC\xF0\x9F\x93\xAC@\xC3\xB6", "\xC3\xA4\xE2\x82\xAC\xF0\x9F\x93\xAC",
         "\xC3\xB6"},
    };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct source_values values;
        struct error error = {0};
        struct source_question question = question_of(names[i].user);
        assert_int_equal(source_values_init(&values, &question, &error), 0);
        assert_string_equal(values.texts[SOURCE_PARAMETER_USER], names[i].user);
        assert_string_equal(values.texts[SOURCE_PARAMETER_NAME], names[i].name);
        assert_string_equal(values.texts[SOURCE_PARAMETER_DOMAIN], names[i].domain);
        assert_string_equal(values.texts[SOURCE_PARAMETER_SERVICE], "pop3");
        assert_string_equal(values.texts[SOURCE_PARAMETER_ADDRESS], "192.0.2.1");
        question.address = "";
        assert_int_equal(source_values_init(&values, &question, &error), 0);
        assert_null(values.texts[SOURCE_PARAMETER_ADDRESS]);
    }
}

static void test_names_that_no_database_has_are_not_asked_for(void **state)
{
    (void)state;
    static const char *const names[] = {
        "",
        "a/b",
        ".a",
        "a\tb",
        "a\xFF",
        "\x80",
        "\xC0\xAF",
        "\xC1\xBF",
        "\xC3",
        "\xC3(",
        "\xE0\x9F\xBF",
        "\xE2\x82",
        "\xED\xA0\x80", /* a surrogate */
        "\xF0\x8F\xBF\xBF",
        "\xF4\x90\x80\x80",
        "\xF5\x80\x80\x80",
        "\xE2(\xA1",
        "\xE2\x82(",
    };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct source_values values;
        struct error error = {0};
        struct source_question question = question_of(names[i]);
        assert_int_equal(source_values_init(&values, &question, &error), -1);
        assert_int_equal(error.kind, ERROR_NO_SUCH_USER);
    }
}

struct columns {
    const char *names[SOURCE_COLUMN_COUNT + 1];
};

static const char *name_of(void *result, int index)
{
    return ((const struct columns *)result)->names[index];
}

static int find(const struct columns *names, struct source_columns *columns, struct error *error)
{
    struct columns copy = *names;
    int count = 0;
    while (count <= SOURCE_COLUMN_COUNT && copy.names[count] != NULL) {
        count++;
    }
    return source_columns_find(name_of, &copy, count, columns, error);
}

static void test_columns_are_found_by_name(void **state)
{
    (void)state;
    struct source_columns columns;
    struct error error = {0};
    assert_int_equal(find(&(struct columns){{"password", "USER"}}, &columns, &error), 0);
    assert_int_equal(columns.index[SOURCE_COLUMN_NAME], 1);
    assert_int_equal(columns.index[SOURCE_COLUMN_PASSWORD], 0);
    assert_int_equal(columns.index[SOURCE_COLUMN_MAILDROP], -1);
    assert_int_equal(
        find(&(struct columns){{"extra", "home", "gid", "uid", "maildrop", "Password", "name"}},
             &columns, &error),
        0);
    for (int i = 0; i < SOURCE_COLUMN_COUNT; i++) {
        assert_int_equal(columns.index[i], SOURCE_COLUMN_COUNT - 1 - i);
    }
    static const struct {
        struct columns columns;
        const char *says;
    } wrong[] = {
        {{{"name", "password", "quota\n"}}, "a column quota\\x0a that means nothing"},
        {{{"name", "password", "name"}}, "the column name twice"},
        {{{"name", "password", "user"}}, "the column name twice"},
        {{{"name"}}, "no column password"},
        {{{"password"}}, "no column name"},
        {{{"?column?", "password"}}, "name each with AS"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        assert_int_equal(find(&wrong[i].columns, &columns, &error), -1);
        assert_int_equal(error.kind, ERROR_CONFIGURATION);
        if (strstr(error.text, wrong[i].says) == NULL) {
            fail_msg("%s", error.text);
        }
    }
}

#define ROW(name, password, maildrop, uid, gid, home, extra)                                       \
    {                                                                                              \
        name, password, maildrop, uid, gid, home, extra                                            \
    }

static struct source_row row_of(const char *const texts[SOURCE_COLUMN_COUNT])
{
    struct source_row row = {0};
    for (int i = 0; i < SOURCE_COLUMN_COUNT; i++) {
        if (texts[i] != NULL) {
            row.values[i] = bytes_of(texts[i]);
        }
    }
    return row;
}

static void test_a_row_is_an_answer(void **state)
{
    (void)state;
    static const char *const least[] = ROW("alice", "{PLAIN}a:b c", NULL, NULL, NULL, NULL, NULL);
    static const char *const locked[] = ROW("carol", NULL, NULL, NULL, NULL, NULL, NULL);
    static const char *const most[] = ROW("Bob@x", "{CRYPT}$y$", "/var/mail/b:b", "1000",
                                          "4294967294", "/home/bob", "a=b nologin");
    struct source_answer answer = {0};
    struct error error = {0};
    struct source_row row = row_of(least);
    assert_int_equal(source_row_answer(&row, &answer, &error), 0);
    assert_string_equal(answer.name, "alice");
    assert_string_equal(answer.verifier, "{PLAIN}a:b c");
    assert_string_equal(answer.maildrop, "");
    assert_string_equal(answer.home, "");
    assert_string_equal(answer.extra, "");
    assert_int_equal(answer.uid, ACCOUNT_NO_ID);
    assert_int_equal(answer.gid, ACCOUNT_NO_ID);
    row = row_of(most);
    assert_int_equal(source_row_answer(&row, &answer, &error), 0);
    assert_string_equal(answer.name, "Bob@x");
    assert_string_equal(answer.verifier, "{CRYPT}$y$");
    assert_string_equal(answer.maildrop, "/var/mail/b:b");
    assert_string_equal(answer.home, "/home/bob");
    assert_string_equal(answer.extra, "a=b nologin");
    assert_int_equal(answer.uid, 1000);
    assert_int_equal(answer.gid, ACCOUNT_NO_ID - 1);
    row = row_of(locked);
    answer = (struct source_answer){0};
    assert_int_equal(source_row_answer(&row, &answer, &error), 0);
    assert_string_equal(answer.verifier, "");
}

static void test_a_value_that_cannot_be_is_a_mistake_of_its_column(void **state)
{
    (void)state;
    static char large[SOURCE_EXTRA_SIZE + 1];
    memset(large, '/', sizeof large - 1);
    const struct {
        const char *texts[SOURCE_COLUMN_COUNT];
        const char *says;
    } rows[] = {
        {ROW(NULL, "secret", NULL, NULL, NULL, NULL, NULL), "column name"},
        {ROW("", "secret", NULL, NULL, NULL, NULL, NULL), "column name"},
        {ROW("../a", "secret", NULL, NULL, NULL, NULL, NULL), "column name"},
        {ROW("alice", large, NULL, NULL, NULL, NULL, NULL), "column password"},
        {ROW("alice", "secret", "", "-1", NULL, NULL, NULL), "column uid"},
        {ROW("alice", "secret", NULL, "", NULL, NULL, NULL), "column uid"},
        {ROW("alice", "secret", NULL, "4294967295", NULL, NULL, NULL), "column uid"},
        {ROW("alice", "secret", NULL, NULL, "1.0", NULL, NULL), "column gid"},
        {ROW("alice", "secret", large, NULL, NULL, NULL, NULL), "column maildrop"},
        {ROW("alice", "secret", NULL, NULL, NULL, large, NULL), "column home"},
        {ROW("alice", "secret", NULL, NULL, NULL, NULL, large), "column extra"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct source_answer answer;
        struct error error = {0};
        struct source_row row = row_of(rows[i].texts);
        assert_int_equal(source_row_answer(&row, &answer, &error), -1);
        assert_int_equal(error.kind, ERROR_CONFIGURATION);
        if (strstr(error.text, rows[i].says) == NULL) {
            fail_msg("%s: %s", rows[i].says, error.text);
        }
        assert_null(strstr(error.text, "secret"));
    }
}

static void test_a_nul_in_a_value_is_a_mistake(void **state)
{
    (void)state;
    struct source_answer answer;
    struct error error = {0};
    struct source_row row = {0};
    row.values[SOURCE_COLUMN_NAME] = bytes_of("alice");
    row.values[SOURCE_COLUMN_PASSWORD] =
        (struct bytes){(const uint8_t *)"{PLAIN}a\0b", strlen("{PLAIN}a") + 2};
    assert_int_equal(source_row_answer(&row, &answer, &error), -1);
    assert_non_null(strstr(error.text, "column password"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parameters_are_numbered),
        cmocka_unit_test(test_mistakes_of_a_query_say_what_to_write),
        cmocka_unit_test(test_a_query_that_is_cut_is_read_to_its_end),
        cmocka_unit_test(test_a_query_is_text_or_the_path_of_a_file),
        cmocka_unit_test(test_values_are_the_parts_of_a_name),
        cmocka_unit_test(test_names_that_no_database_has_are_not_asked_for),
        cmocka_unit_test(test_columns_are_found_by_name),
        cmocka_unit_test(test_a_row_is_an_answer),
        cmocka_unit_test(test_a_value_that_cannot_be_is_a_mistake_of_its_column),
        cmocka_unit_test(test_a_nul_in_a_value_is_a_mistake),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
