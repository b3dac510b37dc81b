/* SPDX-License-Identifier: MIT */
/* Real database files, made by SQLite's own library. */
#include "account/source.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "scratch.h"

#define QUERY "SELECT name, password FROM people WHERE name = :user"

static struct scratch scratch;

static void execute(sqlite3 *database, const char *sql)
{
    char *text = NULL;
    if (sqlite3_exec(database, sql, NULL, NULL, &text) != SQLITE_OK) {
        fail_msg("%s: %s", sql, text);
    }
}

static sqlite3 *open_database(const char *path)
{
    sqlite3 *database;
    assert_int_equal(sqlite3_open(path, &database), SQLITE_OK);
    return database;
}

static void make(const char *sql)
{
    sqlite3 *database = open_database(scratch.path);
    execute(database, sql);
    assert_int_equal(sqlite3_close(database), SQLITE_OK);
}

static void add(const char *name, const char *password)
{
    sqlite3 *database = open_database(scratch.path);
    sqlite3_stmt *statement;
    assert_int_equal(
        sqlite3_prepare_v2(database, "INSERT INTO people VALUES (?, ?)", -1, &statement, NULL),
        SQLITE_OK);
    (void)sqlite3_bind_text(statement, 1, name, -1, SQLITE_STATIC);
    (void)sqlite3_bind_text(statement, 2, password, -1, SQLITE_STATIC);
    assert_int_equal(sqlite3_step(statement), SQLITE_DONE);
    (void)sqlite3_finalize(statement);
    assert_int_equal(sqlite3_close(database), SQLITE_OK);
}

static int set_up(void **state)
{
    (void)state;
    scratch_init(&scratch);
    make("CREATE TABLE people (name TEXT, password TEXT)");
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    scratch_finish(&scratch);
    return 0;
}

static int try_open(const char *query, struct source **source_out, struct error *error)
{
    struct source_options options = {.sqlite_file = scratch.path, .sqlite_query = query};
    *error = (struct error){0};
    return source_sqlite.open(&options, source_out, error);
}

static struct source *open_source(const char *query)
{
    struct source *source;
    struct error error;
    if (try_open(query, &source, &error) < 0) {
        fail_msg("%s", error.text);
    }
    return source;
}

static enum error_kind ask(struct source *source, const char *name, struct source_answer *answer,
                           struct error *error)
{
    struct source_question question = {
        .name = bytes_of(name), .service = "pop3", .address = "192.0.2.1"};
    *error = (struct error){0};
    if (source_sqlite.ask(source, &question, answer, error) == 0) {
        return ERROR_NONE;
    }
    assert_int_not_equal(error->kind, ERROR_NONE);
    return error->kind;
}

static void test_a_row_is_found_by_its_name_only(void **state)
{
    (void)state;
    static const char *const names[] = {
        "alice",
        "O'Brien",
        "a\"b",
        "100%",
        "*()",
        "back\\slash",
        "'; DROP TABLE people; --",
        "' OR '1'='1",
        "a;b",
        ":user",
        "?1",
        "\xC3\xA4\xE2\x82\xAC",
        "$1",
        "a--b",
        "_",
        "alice@example.org",
    };
    struct source *source = open_source(QUERY);
    struct source_answer answer;
    struct error error;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        assert_int_equal(ask(source, names[i], &answer, &error), ERROR_NO_SUCH_USER);
        add(names[i], "{PLAIN}secret");
        assert_int_equal(ask(source, names[i], &answer, &error), ERROR_NONE);
        assert_string_equal(answer.name, names[i]);
        assert_string_equal(answer.verifier, "{PLAIN}secret");
    }
    assert_int_equal(ask(source, "nobody", &answer, &error), ERROR_NO_SUCH_USER);
    (void)source_sqlite.close(source);
}

static void test_every_parameter_is_bound(void **state)
{
    (void)state;
    struct source_answer answer;
    struct error error;
    struct source *source =
        open_source("SELECT :user AS name, :name || '|' || :domain || '|' || :service || '|' || "
                    ":address || '|' || :user AS password");
    assert_int_equal(ask(source, "a'b@c", &answer, &error), ERROR_NONE);
    assert_string_equal(answer.name, "a'b@c");
    assert_string_equal(answer.verifier, "a'b|c|pop3|192.0.2.1|a'b@c");
    (void)source_sqlite.close(source);
    source = open_source("SELECT :user AS name, :address IS NULL AS password");
    struct source_question question = {.name = bytes_of("a"), .service = "pop3", .address = ""};
    assert_int_equal(source_sqlite.ask(source, &question, &answer, &error), 0);
    assert_string_equal(answer.verifier, "1");
    (void)source_sqlite.close(source);
}

static void test_columns_of_all_types_are_read(void **state)
{
    (void)state;
    struct source_answer answer;
    struct error error;
    struct source *source = open_source(
        "SELECT 'bob' AS user, NULL AS password, 1000 AS uid, '100' AS gid, '/home/bob' AS home, "
        "'~/Maildir' AS maildrop, 'nologin' AS extra");
    assert_int_equal(ask(source, "bob", &answer, &error), ERROR_NONE);
    assert_string_equal(answer.name, "bob");
    assert_string_equal(answer.verifier, ""); /* locked */
    assert_string_equal(answer.maildrop, "~/Maildir");
    assert_string_equal(answer.home, "/home/bob");
    assert_string_equal(answer.extra, "nologin");
    assert_int_equal(answer.uid, 1000);
    assert_int_equal(answer.gid, 100);
    (void)source_sqlite.close(source);
}

static void test_a_wrong_query_is_found_when_it_is_opened(void **state)
{
    (void)state;
    static const struct {
        const char *query;
        const char *says;
    } wrong[] = {
        {"", "empty"},
        {"SELECT name password FROM people WHERE", "incomplete input"},
        {"SELECT name, password FROM persons", "no such table: persons"},
        {"SELECT name, hash AS password FROM people", "no such column: hash"},
        {"SELECT name, password FROM people WHERE name = ?", "write :user in place of ?"},
        {"SELECT name, password FROM people WHERE name = ?1", "write :user in place of ?1"},
        {"SELECT name, password FROM people WHERE name = @user", "write :user in place of @user"},
        {"SELECT name, password FROM people WHERE name = $user", "write :user in place of $user"},
        {"SELECT name, password FROM people WHERE name = :usr", "no parameter :usr"},
        {"SELECT name, password, 1 FROM people", "a column 1 that means nothing"},
        {"SELECT name FROM people", "no column password"},
        {"SELECT name, password FROM people; DELETE FROM people", "more than one statement"},
        {"DELETE FROM people", "write SELECT"},
        {"DELETE FROM people RETURNING name, password", "write SELECT"},
        {"-- nothing", "write SELECT"},
        {"ATTACH ':memory:' AS other", "write SELECT"},
        {"SELECT name, load_extension(name) AS password FROM people", ""},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct source *source;
        struct error error;
        if (try_open(wrong[i].query, &source, &error) == 0) {
            struct source_answer answer;
            add("alice", "x");
            assert_int_equal(wrong[i].says[0], '\0'); /* found when it is asked */
            assert_int_not_equal(ask(source, "alice", &answer, &error), ERROR_NONE);
            (void)source_sqlite.close(source);
        } else {
            assert_int_equal(error.kind, ERROR_CONFIGURATION);
            if (strstr(error.text, wrong[i].says) == NULL) {
                fail_msg("%s: %s", wrong[i].query, error.text);
            }
        }
    }
}

static void test_two_rows_for_a_name_are_a_mistake(void **state)
{
    (void)state;
    struct source *source = open_source(QUERY);
    struct source_answer answer;
    struct error error;
    add("alice", "{PLAIN}one");
    add("alice", "{PLAIN}two");
    assert_int_equal(ask(source, "alice", &answer, &error), ERROR_CONFIGURATION);
    assert_non_null(strstr(error.text, "more than one row"));
    (void)source_sqlite.close(source);
}

static void test_a_database_that_is_not_there_yet_is_waited_for(void **state)
{
    (void)state;
    struct source_answer answer;
    struct error error;
    assert_int_equal(unlink(scratch.path), 0);
    struct source *source = open_source(QUERY);
    assert_int_equal(ask(source, "alice", &answer, &error), ERROR_TEMPORARY);
    assert_non_null(strstr(error.text, scratch.path));
    assert_int_equal(access(scratch.path, F_OK), -1); /* nor was it made */
    make("CREATE TABLE people (name TEXT, password TEXT)");
    add("alice", "{PLAIN}secret");
    assert_int_equal(ask(source, "alice", &answer, &error), ERROR_NONE);
    (void)source_sqlite.close(source);
}

static void test_a_file_in_the_place_of_another_is_found(void **state)
{
    (void)state;
    char old[128];
    struct source_answer answer;
    struct error error;
    struct source *source = open_source(QUERY);
    add("alice", "{PLAIN}one");
    assert_int_equal(ask(source, "alice", &answer, &error), ERROR_NONE);
    (void)snprintf(old, sizeof old, "%s.old", scratch.path);
    assert_int_equal(rename(scratch.path, old), 0);
    make("CREATE TABLE people (name TEXT, password TEXT)");
    add("alice", "{PLAIN}two");
    assert_int_equal(ask(source, "alice", &answer, &error), ERROR_NONE);
    assert_string_equal(answer.verifier, "{PLAIN}two");
    assert_int_equal(unlink(old), 0);
    (void)source_sqlite.close(source);
}

static void test_a_locked_database_is_no_unknown_name(void **state)
{
    (void)state;
    struct source_answer answer;
    struct error error;
    struct source *source = open_source(QUERY);
    add("alice", "{PLAIN}secret");
    sqlite3 *writer = open_database(scratch.path);
    execute(writer, "BEGIN EXCLUSIVE");
    assert_int_equal(ask(source, "alice", &answer, &error), ERROR_TEMPORARY);
    assert_non_null(strstr(error.text, "locked"));
    execute(writer, "COMMIT");
    assert_int_equal(ask(source, "alice", &answer, &error), ERROR_NONE);
    assert_int_equal(sqlite3_close(writer), SQLITE_OK);
    (void)source_sqlite.close(source);
}

static void test_a_writer_in_wal_mode_is_not_in_the_way(void **state)
{
    (void)state;
    struct source_answer answer;
    struct error error;
    struct source *source = open_source(QUERY);
    sqlite3 *writer = open_database(scratch.path);
    execute(writer, "PRAGMA journal_mode = WAL");
    execute(writer, "INSERT INTO people VALUES ('alice', '{PLAIN}secret')");
    execute(writer, "BEGIN IMMEDIATE; INSERT INTO people VALUES ('bob', '{PLAIN}secret')");
    assert_int_equal(ask(source, "alice", &answer, &error), ERROR_NONE);
    assert_int_equal(ask(source, "bob", &answer, &error), ERROR_NO_SUCH_USER);
    execute(writer, "COMMIT");
    assert_int_equal(ask(source, "bob", &answer, &error), ERROR_NONE);
    assert_int_equal(sqlite3_close(writer), SQLITE_OK);
    assert_int_equal(ask(source, "bob", &answer, &error), ERROR_NONE);
    (void)source_sqlite.close(source);
    make("PRAGMA journal_mode = DELETE");
}

static void test_what_is_no_database_is_an_error(void **state)
{
    (void)state;
    struct source_answer answer;
    struct error error;
    struct source *source = open_source(QUERY);
    scratch_write_text(&scratch,
                       "alice:{PLAIN}secret\nthis is an accounts file, and no database\n");
    assert_int_equal(ask(source, "alice", &answer, &error), ERROR_TEMPORARY);
    assert_non_null(strstr(error.text, "not a database"));
    (void)source_sqlite.close(source);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_row_is_found_by_its_name_only, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_every_parameter_is_bound, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_columns_of_all_types_are_read, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_wrong_query_is_found_when_it_is_opened, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_two_rows_for_a_name_are_a_mistake, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_database_that_is_not_there_yet_is_waited_for, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_a_file_in_the_place_of_another_is_found, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_a_locked_database_is_no_unknown_name, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_a_writer_in_wal_mode_is_not_in_the_way, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_what_is_no_database_is_an_error, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
