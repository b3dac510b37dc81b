/* SPDX-License-Identifier: MIT */
/* Commands by the ten thousand: all of one and two octets, and random sessions against a model that says
 * octet for octet what the server sends. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/attributes.h"
#include "host.h"

static uint64_t seed;

static uint64_t draw(uint64_t below)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed % below;
}

/* Replies that one or two octets and CR LF must get: one for each line that is not blank. */
static unsigned expected_replies(const uint8_t *octets, size_t size)
{
    unsigned replies = 0;
    bool blank = true;
    for (size_t i = 0; i < size; i++) {
        bool ends = octets[i] == '\n';
        bool ending_cr = octets[i] == '\r' && octets[i + 1 < size ? i + 1 : i] == '\n';
        if (!ends && !ending_cr && octets[i] != ' ') {
            blank = false;
        }
        if (ends) {
            replies += blank ? 0 : 1;
            blank = true;
        }
    }
    return replies;
}

static void check_short_command(struct host *host, const uint8_t *octets, size_t size)
{
    uint8_t line[4];
    memcpy(line, octets, size);
    memcpy(line + size, "\r\n", 2);
    host_feed(host, line, size + 2);
    const char *sent = host_sent(host);
    unsigned replies = 0;
    for (; *sent != '\0'; replies++) {
        assert_memory_equal(sent, "-ERR ", 5);
        sent = strchr(sent, '\n') + 1;
    }
    assert_int_equal(replies, expected_replies(line, size + 2));
    assert_false(host->closed);
}

/* No command is so short: 65 792 times -ERR, and the session is none the worse. */
static void test_all_short_commands(void **state)
{
    (void)state;
    for (int logged_in = 0; logged_in < 2; logged_in++) {
        struct host *host = host_new(2);
        host->output_size = 2048;
        host_start(host);
        if (logged_in != 0) {
            host_log_in(host);
        }
        (void)host_sent(host);
        for (unsigned first = 0; first < 256; first++) {
            uint8_t octets[2] = {(uint8_t)first, 0};
            check_short_command(host, octets, 1);
            for (unsigned second = 0; second < 256; second++) {
                octets[1] = (uint8_t)second;
                check_short_command(host, octets, 2);
            }
        }
        host_feed_text(host, "STAT\r\n");
        assert_string_equal(host_sent(host),
                            logged_in != 0 ? "+OK 2 40\r\n" : "-ERR Log in first\r\n");
        host_delete(host);
    }
}

enum { MODEL_MESSAGES = 5, MODEL_OCTETS = 400, SCRIPT_MOST = 1 << 20 };

struct model {
    struct host *host;
    uint8_t data[MODEL_MESSAGES][MODEL_OCTETS];
    uint32_t count;
    bool marked[MODEL_MESSAGES];
    bool quit;
    uint8_t *expected;
    size_t expected_size;
    uint8_t *script;
    size_t script_size;
};

static void expect(struct model *model, const void *octets, size_t size)
{
    memcpy(model->expected + model->expected_size, octets, size);
    model->expected_size += size;
}

static void expect_text(struct model *model, const char *text)
{
    expect(model, text, strlen(text));
}

static void expect_format(struct model *model, const char *format, ...) PRINTF_LIKE(2, 3);

static void expect_format(struct model *model, const char *format, ...)
{
    char text[100];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    expect_text(model, text);
}

static unsigned long long octets_of(const struct model *model, uint32_t index)
{
    uint8_t out[3 * MODEL_OCTETS + 16];
    uint64_t octets;
    const struct host_message *message = &model->host->messages[index];
    (void)host_expand(message->data, message->size, out, &octets);
    return octets;
}

static void model_stat(struct model *model)
{
    unsigned long long count = 0;
    unsigned long long octets = 0;
    for (uint32_t i = 0; i < model->count; i++) {
        count += model->marked[i] ? 0 : 1;
        octets += model->marked[i] ? 0 : octets_of(model, i);
    }
    expect_format(model, "+OK %llu %llu\r\n", count, octets);
}

static void model_list(struct model *model, bool unique_ids)
{
    unsigned long long count = 0;
    for (uint32_t i = 0; i < model->count; i++) {
        count += model->marked[i] ? 0 : 1;
    }
    if (unique_ids) {
        expect_text(model, "+OK Unique-id listing follows\r\n");
    } else {
        expect_format(model, "+OK %llu message%s\r\n", count, count == 1 ? "" : "s");
    }
    for (uint32_t i = 0; i < model->count; i++) {
        if (!model->marked[i]) {
            expect_format(model, "%u %llu%s\r\n", i + 1,
                          unique_ids ? i + 1ULL : octets_of(model, i),
                          unique_ids ? ".dialogue" : "");
        }
    }
    expect_text(model, ".\r\n");
}

/* -1: the number reaches no message, and the model has said so. */
static int reach(struct model *model, unsigned long long number)
{
    if (number == 0) {
        expect_text(model, "-ERR Message number expected: 1 or more, digits only\r\n");
    } else if (number > model->count) {
        expect_format(model, "-ERR No such message, messages in the mailbox: %llu\r\n",
                      (unsigned long long)model->count);
    } else if (model->marked[number - 1]) {
        expect_format(model, "-ERR Message %llu is marked for deletion\r\n", number);
    } else {
        return (int)number - 1;
    }
    return -1;
}

static void model_send(struct model *model, uint64_t number, bool top, uint64_t lines)
{
    int index = reach(model, number);
    if (index < 0) {
        return;
    }
    const struct host_message *message = &model->host->messages[index];
    uint8_t out[3 * MODEL_OCTETS + 16];
    uint64_t octets;
    size_t size = host_expand(message->data, message->size, out, &octets);
    if (top) {
        size = host_cut(out, size, lines);
    }
    expect_text(model, top ? "+OK Top of message follows\r\n" : "+OK Message follows\r\n");
    expect(model, out, size);
}

static void say(struct model *model, const char *format, ...) PRINTF_LIKE(2, 3);

/* A command, with the line end that the RFC wants or with the one that is tolerated. */
static void say(struct model *model, const char *format, ...)
{
    char text[100];
    va_list arguments;
    va_start(arguments, format);
    int size = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    memcpy(model->script + model->script_size, text, (size_t)size);
    model->script_size += (size_t)size;
    const char *end = draw(4) == 0 ? "\n" : "\r\n";
    memcpy(model->script + model->script_size, end, strlen(end));
    model->script_size += strlen(end);
}

static void command_on_a_message(struct model *model, uint64_t kind, unsigned long long number)
{
    int index;
    switch (kind) {
    case 0:
        say(model, "LIST %llu", number);
        index = reach(model, number);
        if (index >= 0) {
            expect_format(model, "+OK %llu %llu\r\n", number, octets_of(model, (uint32_t)index));
        }
        break;
    case 1:
        say(model, "uidl %llu ", number);
        if (reach(model, number) >= 0) {
            expect_format(model, "+OK %llu %llu.dialogue\r\n", number, number);
        }
        break;
    case 2:
        say(model, "DELE %llu", number);
        index = reach(model, number);
        if (index >= 0) {
            model->marked[index] = true;
            expect_text(model, "+OK Message marked for deletion\r\n");
        }
        break;
    default:
        say(model, "RETR %llu", number);
        model_send(model, number, false, 0);
        break;
    }
}

static void command(struct model *model)
{
    unsigned long long number = draw(MODEL_MESSAGES + 3);
    unsigned long long lines = draw(12);
    switch (draw(14)) {
    case 0:
        say(model, "STAT");
        model_stat(model);
        break;
    case 1:
        say(model, "LIST");
        model_list(model, false);
        break;
    case 2:
        say(model, "UIDL");
        model_list(model, true);
        break;
    case 3:
        say(model, "TOP %llu %llu", number, lines);
        model_send(model, number, true, lines);
        break;
    case 4:
        say(model, "noop:");
        expect_text(model, "+OK\r\n");
        break;
    case 5:
        say(model, "X%llu %llu", number, lines);
        expect_text(model, "-ERR Unknown command\r\n");
        break;
    case 6:
        say(model, "STAT %llu", number);
        expect_text(model, "-ERR Too many arguments\r\n");
        break;
    case 7:
        say(model, " ");
        break;
    case 8:
        if (draw(5) == 0) {
            say(model, "RSET");
            memset(model->marked, 0, sizeof model->marked);
            expect_text(model, "+OK Nothing is marked for deletion now\r\n");
        }
        break;
    default:
        command_on_a_message(model, draw(4), number);
        break;
    }
}

static void fill(struct model *model)
{
    static const char special[] = "\n\n\r..\n";
    model->count = (uint32_t)draw(MODEL_MESSAGES + 1);
    for (uint32_t i = 0; i < model->count; i++) {
        size_t size = draw(MODEL_OCTETS);
        for (size_t k = 0; k < size; k++) {
            uint64_t which = draw(60);
            model->data[i][k] =
                which < 6 ? (uint8_t)special[which] : (uint8_t)(which * 4 + which % 3);
        }
        host_add_message(model->host, model->data[i], size);
    }
}

static void check_removed(const struct model *model)
{
    for (uint32_t i = 0; i < model->count; i++) {
        assert_int_equal(model->host->messages[i].removed, model->quit && model->marked[i]);
    }
    assert_int_equal(model->host->committed, model->quit);
    assert_int_equal(model->host->released, !model->quit);
}

static void play(struct model *model)
{
    struct host *host = model->host;
    static const size_t outputs[] = {1024, 1025, 2000, 65536};
    host->output_size = outputs[draw(4)];
    host->write_size = draw(3) == 0 ? 1 + draw(300) : 0;
    host->read_size = draw(3) == 0 ? 1 + draw(50) : 0;
    host->feed_size = draw(2) == 0 ? 1 + draw(40) : 0;
    host->flush = draw(4) == 0;
    fill(model);
    host_start(host);
    host_log_in(host);
    uint64_t commands = draw(80);
    for (uint64_t i = 0; i < commands; i++) {
        command(model);
    }
    model->quit = draw(2) == 0;
    if (model->quit) {
        say(model, "QUIT");
        expect_text(model, "+OK Goodbye\r\n");
    }
    host_feed(host, model->script, model->script_size);
    assert_int_equal(host->sent_size, model->expected_size);
    assert_memory_equal(host->sent, model->expected, model->expected_size);
    if (!model->quit) {
        host_end(host, POP3_END_PEER_GONE);
    }
    check_removed(model);
}

static void test_random_sessions(void **state)
{
    (void)state;
    struct model *model = malloc(sizeof *model);
    uint8_t *expected = malloc(SCRIPT_MOST);
    uint8_t *script = malloc(SCRIPT_MOST);
    assert_true(model != NULL && expected != NULL && script != NULL);
    for (uint64_t i = 1; i <= 1000; i++) {
        seed = i * UINT64_C(0x9E3779B97F4A7C15);
        *model = (struct model){.expected = expected, .script = script, .host = host_new(0)};
        play(model);
        host_delete(model->host);
    }
    free(script);
    free(expected);
    free(model);
}

/* Octets that mean nothing: each session gets replies or an end, and removes nothing. */
static void test_random_octets(void **state)
{
    (void)state;
    static const char *const words[] = {
        "USER alice", "PASS secret", "RETR 1", "DELE 1",  "TOP 1 1", "LIST", "UIDL",
        "AUTH PLAIN", "*",           "CAPA",   "LANG ru", "STLS",    "UTF8", "RSET",
        "APOP a b",   "\r\n",        "\n",     " ",       "\r"};
    for (uint64_t i = 1; i <= 2000; i++) {
        seed = i * UINT64_C(0x9E3779B97F4A7C15);
        struct host *host = host_new(3);
        host->output_size = 1024 + draw(3000);
        host->options.utf8 = draw(2) == 0;
        host->options.max_bad_commands = (uint32_t)draw(10);
        host->connection.sasl_mechanisms = draw(2) == 0 ? "PLAIN TWICE" : NULL;
        host->connection.starttls = draw(2) == 0;
        host->connection.timestamp = draw(2) == 0 ? "<1@x>" : NULL;
        host->fail_event = draw(20);
        host->refuse = (int)draw(6) - 1;
        host_start(host);
        for (int k = 0; k < 40 && !host->closed; k++) {
            const char *word = words[draw(sizeof words / sizeof words[0])];
            uint8_t noise[20];
            for (size_t n = 0; n < sizeof noise; n++) {
                noise[n] = (uint8_t)draw(256);
            }
            host_feed(host, word, strlen(word));
            host_feed(host, noise, draw(8) == 0 ? draw(sizeof noise) : 0);
            host_feed(host, "\r\n", 2);
        }
        host_end(host, POP3_END_PEER_GONE);
        assert_true(host->closed && !host->committed);
        for (uint32_t n = 0; n < host->message_count; n++) {
            assert_false(host->messages[n].removed);
        }
        host_delete(host);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_short_commands),
        cmocka_unit_test(test_random_sessions),
        cmocka_unit_test(test_random_octets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
