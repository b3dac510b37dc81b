/* SPDX-License-Identifier: MIT */
/* What goes out in each form, and that nobody's octets can change it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/log_line.h"

static char memory[16384];

static const char *make(const struct log_line *line, enum log_target target, enum log_format format,
                        size_t capacity)
{
    struct log_output output = {.target = target, .format = format};
    struct buffer buffer;
    struct log_line whole = *line;
    whole.process = "restante-worker";
    whole.process_id = 12;
    whole.time = (struct timespec){.tv_sec = 1700000000, .tv_nsec = 7000000};
    buffer_init(&buffer, memory, capacity);
    log_line_make(&whole, &output, &buffer);
    assert_true(buffer.written < sizeof memory);
    memory[buffer.written] = '\0';
    return memory;
}

static const uint8_t hostile[] = "a\" address=1.2.3.4:5\n\\\xff\0b";

static struct log_line hostile_event(void)
{
    static struct log_field fields[6];
    fields[0] = log_quoted("user", (struct bytes){.data = hostile, .size = sizeof hostile - 1});
    fields[1] = log_address("address", "[::1]:995");
    fields[2] = log_counted("retr", 2, 900);
    fields[3] = log_duration("duration", 61005);
    fields[4] = log_name("name", NULL);
    fields[5] = log_number("failed-logins", 3);
    return (struct log_line){
        .level = LOG_LEVEL_INFO, .event = "login failed", .fields = fields, .field_count = 6};
}

static void test_event_as_text(void **state)
{
    (void)state;
    struct log_line line = hostile_event();
    assert_string_equal(make(&line, LOG_TARGET_STREAM, LOG_FORMAT_TEXT, sizeof memory),
                        "2023-11-14T22:13:20.007Z info restante-worker[12]: login failed "
                        "user=\"a\\x22 address=1.2.3.4:5\\x0a\\x5c\\xff\\x00b\" address=[::1]:995 "
                        "retr=2/900 duration=61.005 name=- failed-logins=3\n");
}

static void test_event_as_json(void **state)
{
    (void)state;
    struct log_line line = hostile_event();
    assert_string_equal(
        make(&line, LOG_TARGET_STREAM, LOG_FORMAT_JSON, sizeof memory),
        "{\"time\":\"2023-11-14T22:13:20.007Z\",\"level\":\"info\",\"process\":\"restante-worker\","
        "\"pid\":12,\"event\":\"login failed\","
        "\"user\":\"a\\u0022 address=1.2.3.4:5\\u000a\\u005c\\u00ff\\u0000b\","
        "\"address\":\"::1\",\"port\":995,\"retr\":{\"messages\":2,\"octets\":900},"
        "\"duration\":61.005,\"name\":null,\"failed-logins\":3}\n");
}

static void test_event_for_syslog(void **state)
{
    (void)state;
    struct log_line line = hostile_event();
    line.level = LOG_LEVEL_WARNING;
    line.fields = NULL;
    line.field_count = 0;
    assert_string_equal(make(&line, LOG_TARGET_SYSLOG, LOG_FORMAT_TEXT, sizeof memory),
                        "<20>Nov 14 22:13:20 restante-worker[12]: login failed");
    assert_string_equal(
        make(&line, LOG_TARGET_SYSLOG, LOG_FORMAT_JSON, sizeof memory),
        "<20>Nov 14 22:13:20 restante-worker[12]: {\"time\":\"2023-11-14T22:13:20.007Z\","
        "\"level\":\"warning\",\"process\":\"restante-worker\",\"pid\":12,"
        "\"event\":\"login failed\"}");
}

static void test_event_for_the_journal(void **state)
{
    (void)state;
    struct log_line line = hostile_event();
    assert_string_equal(
        make(&line, LOG_TARGET_JOURNAL, LOG_FORMAT_TEXT, sizeof memory),
        "PRIORITY=6\nSYSLOG_FACILITY=2\nSYSLOG_IDENTIFIER=restante-worker\nSYSLOG_PID=12\n"
        "MESSAGE=login failed user=\"a\\x22 address=1.2.3.4:5\\x0a\\x5c\\xff\\x00b\" "
        "address=[::1]:995 retr=2/900 duration=61.005 name=- failed-logins=3\n"
        "RESTANTE_EVENT=login failed\n"
        "RESTANTE_USER=a\\x22 address=1.2.3.4:5\\x0a\\x5c\\xff\\x00b\n"
        "RESTANTE_ADDRESS=::1\nRESTANTE_PORT=995\nRESTANTE_RETR_MESSAGES=2\n"
        "RESTANTE_RETR_OCTETS=900\nRESTANTE_DURATION=61.005\nRESTANTE_NAME=\n"
        "RESTANTE_FAILED_LOGINS=3\n");
}

static void test_text_ends_no_line(void **state)
{
    (void)state;
    struct log_line line = {.level = LOG_LEVEL_ERROR, .text = "one\nMESSAGE=two\x1b[31m \"q\""};
    assert_string_equal(make(&line, LOG_TARGET_STREAM, LOG_FORMAT_TEXT, sizeof memory),
                        "2023-11-14T22:13:20.007Z error restante-worker[12]: one MESSAGE=two "
                        "[31m \"q\"\n");
    assert_non_null(strstr(make(&line, LOG_TARGET_JOURNAL, LOG_FORMAT_TEXT, sizeof memory),
                           "\nMESSAGE=one MESSAGE=two [31m \"q\"\n"));
    assert_non_null(strstr(make(&line, LOG_TARGET_STREAM, LOG_FORMAT_JSON, sizeof memory),
                           "\"message\":\"one\\u000aMESSAGE=two\\u001b[31m \\u0022q\\u0022\"}\n"));
}

/* With too little room fields are left out whole, and the line still ends as it must. */
static void test_too_little_room(void **state)
{
    (void)state;
    struct log_line line = hostile_event();
    size_t full = strlen(make(&line, LOG_TARGET_STREAM, LOG_FORMAT_JSON, sizeof memory));
    size_t least = strlen("{\"time\":\"2023-11-14T22:13:20.007Z\",\"level\":\"info\",\"process\":"
                          "\"restante-worker\",\"pid\":12}\n");
    for (size_t capacity = least; capacity < full; capacity++) {
        const char *text = make(&line, LOG_TARGET_STREAM, LOG_FORMAT_JSON, capacity);
        size_t size = strlen(text);
        assert_true(size <= capacity);
        assert_string_equal(text + size - 2, "}\n");
        assert_int_equal(text[size - 3] == ',' || text[size - 3] == ':', 0);
        text = make(&line, LOG_TARGET_STREAM, LOG_FORMAT_TEXT, capacity);
        assert_int_equal(text[strlen(text) - 1], '\n');
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_event_as_text),     cmocka_unit_test(test_event_as_json),
        cmocka_unit_test(test_event_for_syslog),  cmocka_unit_test(test_event_for_the_journal),
        cmocka_unit_test(test_text_ends_no_line), cmocka_unit_test(test_too_little_room),
    };
    (void)setenv("TZ", "UTC", 1);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
