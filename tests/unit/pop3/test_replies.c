/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "pop3/replies.h"

static struct bytes render(const struct reply *reply, enum language language, uint8_t *memory,
                           size_t capacity)
{
    struct buffer buffer;
    buffer_init(&buffer, memory, capacity);
    reply_append(&buffer, language, reply);
    return buffer_pending(&buffer);
}

static bool begins(struct bytes line, const char *text)
{
    return line.size >= strlen(text) && memcmp(line.data, text, strlen(text)) == 0;
}

static bool is_ascii(struct bytes line)
{
    for (size_t i = 0; i < line.size; i++) {
        if (line.data[i] >= 0x80) {
            return false;
        }
    }
    return true;
}

/* Each row in each language is one line: status, CR LF at the end and nowhere else, ASCII in English. */
static void test_every_text(void **state)
{
    (void)state;
    for (enum text text = TEXT_NONE + 1; text < TEXT_COUNT; text++) {
        for (enum language language = 0; language < LANGUAGE_COUNT; language++) {
            uint8_t memory[REPLY_OCTETS];
            struct reply reply = {.text = text, .numbers = {UINT64_MAX, UINT64_MAX}};
            struct bytes line = render(&reply, language, memory, sizeof memory);
            assert_true(begins(line, "+OK") || begins(line, "-ERR"));
            assert_int_equal(bytes_find(line, '\r'), line.size - 2);
            assert_int_equal(bytes_find(line, '\n'), line.size - 1);
            assert_true(language != LANGUAGE_en || is_ascii(line));
            assert_true(line.data[line.size - 3] != ' ');
            assert_int_equal(bytes_find(line, '#'), line.size);
        }
    }
}

/* What is [AUTH] in one language is [AUTH] in all. */
static void test_codes_do_not_depend_on_language(void **state)
{
    (void)state;
    for (enum text text = TEXT_NONE + 1; text < TEXT_COUNT; text++) {
        uint8_t first[REPLY_OCTETS];
        uint8_t second[REPLY_OCTETS];
        struct reply reply = {.text = text};
        struct bytes en = render(&reply, LANGUAGE_en, first, sizeof first);
        struct bytes ru = render(&reply, LANGUAGE_ru, second, sizeof second);
        size_t code = bytes_find(en, ']');
        if (code < en.size) {
            assert_memory_equal(en.data, ru.data, code + 1);
        } else {
            assert_int_equal(bytes_find(ru, '['), ru.size);
            assert_memory_equal(en.data, ru.data, 3);
        }
    }
}

static void test_failures_have_their_codes(void **state)
{
    (void)state;
    static const char *const lines[POP3_FAILURE_COUNT] = {
        [POP3_FAILURE_TEMPORARY] = "-ERR [SYS/TEMP] ",
        [POP3_FAILURE_PERMANENT] = "-ERR [SYS/PERM] ",
        [POP3_FAILURE_IN_USE] = "-ERR [IN-USE] ",
        [POP3_FAILURE_CREDENTIALS] = "-ERR [AUTH] Invalid credentials\r\n",
        [POP3_FAILURE_LOGIN_DELAY] = "-ERR [LOGIN-DELAY] ",
        [POP3_FAILURE_GONE] = "-ERR Message was removed",
        [POP3_FAILURE_UNREADABLE] = "-ERR [SYS/PERM] Message",
        [POP3_FAILURE_NOT_REMOVED] = "-ERR Some deleted messages not removed\r\n",
        [POP3_FAILURE_SYNTAX] = "-ERR ",
    };
    for (enum pop3_failure failure = 1; failure < POP3_FAILURE_COUNT; failure++) {
        uint8_t memory[REPLY_OCTETS];
        struct reply reply = reply_of_failure(failure);
        assert_true(begins(render(&reply, 0, memory, sizeof memory), lines[failure]));
    }
}

/* Whatever a reply repeats, it is 512 octets at most, CR LF included. */
static void test_is_cut_at_512(void **state)
{
    (void)state;
    char prefix[1000];
    uint8_t suffix[1000];
    memset(prefix, 'p', sizeof prefix);
    memset(suffix, 's', sizeof suffix);
    for (size_t size = 0; size < sizeof suffix; size++) {
        uint8_t memory[2000];
        struct reply reply = {.text = TEXT_NUMBERS, .numbers = {UINT64_MAX, UINT64_MAX}};
        reply.suffix = (struct bytes){.data = suffix, .size = size};
        prefix[size] = '\0';
        reply.prefix = prefix;
        struct bytes line = render(&reply, 0, memory, sizeof memory);
        size_t whole = 3 + (size == 0 ? 0 : 2 + 2 * size) + 1 + 41 + 2;
        assert_true(whole <= 512 ? line.size == whole : line.size >= 511 && line.size <= 512);
        assert_memory_equal(line.data + line.size - 2, "\r\n", 2);
        struct buffer buffer;
        buffer_init(&buffer, memory, sizeof memory);
        reply_append_line(&buffer, reply.suffix, reply.suffix);
        assert_true(buffer.written <= 512);
        prefix[size] = 'p';
    }
}

static void test_language_ranges(void **state)
{
    (void)state;
    static const struct {
        const char *range;
        enum language language;
    } cases[] = {
        {"en", LANGUAGE_en},       {"EN", LANGUAGE_en},        {"ru", LANGUAGE_ru},
        {"ru-RU", LANGUAGE_ru},    {"en-GB-oed", LANGUAGE_en}, {"*", LANGUAGE_en},
        {"de", LANGUAGE_COUNT},    {"e", LANGUAGE_COUNT},      {"eng", LANGUAGE_COUNT},
        {"", LANGUAGE_COUNT},      {"-", LANGUAGE_COUNT},      {"ru-", LANGUAGE_COUNT},
        {"-ru", LANGUAGE_COUNT},   {"ru--RU", LANGUAGE_COUNT}, {"ru-RU ", LANGUAGE_COUNT},
        {"ru_RU", LANGUAGE_COUNT}, {"**", LANGUAGE_COUNT},     {"ru-123456789", LANGUAGE_COUNT},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(language_find(bytes_of(cases[i].range)), cases[i].language);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_text),
        cmocka_unit_test(test_codes_do_not_depend_on_language),
        cmocka_unit_test(test_failures_have_their_codes),
        cmocka_unit_test(test_is_cut_at_512),
        cmocka_unit_test(test_language_ranges),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
