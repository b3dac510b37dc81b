/* SPDX-License-Identifier: MIT */
/* Against plain code that looks at one octet after another: every short stream over the octets that matter,
 * cut everywhere. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "pop3/unstuff.h"

enum { MOST = 9 };

/* RFC 1939 section 3, word by word. Returns octets of the message; *used is what was read, SIZE_MAX where the
 * terminator did not come. */
static size_t unstuff_plainly(const uint8_t *stream, size_t size, uint8_t *out, size_t *used)
{
    size_t made = 0;
    size_t line = 0;
    for (size_t i = 0; i < size; i++) {
        bool starts = i == line;
        if (starts && size - i >= 3 && memcmp(stream + i, ".\r\n", 3) == 0) {
            *used = i + 3;
            return made;
        }
        if (!(starts && stream[i] == '.')) {
            out[made++] = stream[i];
        }
        if (stream[i] == '\n' && i > line && stream[i - 1] == '\r') {
            line = i + 1;
        }
    }
    *used = SIZE_MAX;
    return made;
}

/* In pieces of `piece` octets, each in memory of its own. */
static size_t unstuff_in_pieces(const uint8_t *stream, size_t size, size_t piece, uint8_t *out,
                                size_t *used)
{
    enum unstuff state = UNSTUFF_LINE_START;
    size_t made = 0;
    size_t at = 0;
    while (at < size && state != UNSTUFF_END) {
        size_t part = piece < size - at ? piece : size - at;
        uint8_t *copy = malloc(part);
        assert_non_null(copy);
        memcpy(copy, stream + at, part);
        for (size_t taken = 0; taken < part && state != UNSTUFF_END;) {
            struct bytes text;
            struct bytes input = {.data = copy + taken, .size = part - taken};
            size_t step = unstuff(&state, input, &text);
            assert_true(step <= part - taken && (step != 0 || text.size != 0));
            if (text.size != 0) {
                memcpy(out + made, text.data, text.size);
            }
            made += text.size;
            taken += step;
            at += step;
        }
        free(copy);
    }
    *used = state == UNSTUFF_END ? at : SIZE_MAX;
    return made;
}

/* A stream that is cut off may hold octets back, never more than the two that may be a terminator. */
static void check(const uint8_t *stream, size_t size)
{
    uint8_t want[2 * MOST];
    size_t want_used;
    size_t wanted = unstuff_plainly(stream, size, want, &want_used);
    for (size_t piece = 1; piece <= size; piece++) {
        uint8_t got[2 * MOST];
        size_t used;
        size_t made = unstuff_in_pieces(stream, size, piece, got, &used);
        assert_int_equal(used, want_used);
        assert_true(made <= wanted && wanted - made <= (used == SIZE_MAX ? 1 : 0));
        assert_memory_equal(got, want, made);
    }
}

static void test_every_short_stream(void **state)
{
    static const uint8_t octets[] = {'.', '\r', '\n', 'a'};
    (void)state;
    for (size_t size = 1; size <= MOST; size++) {
        for (unsigned number = 0; number < 1U << 2 * size; number++) {
            uint8_t stream[MOST];
            for (size_t i = 0; i < size; i++) {
                stream[i] = octets[number >> 2 * i & 3];
            }
            check(stream, size);
        }
    }
}

/* Nothing less than CR LF `.` CR LF ends a message. */
static void test_what_is_no_end(void **state)
{
    static const char *const streams[] = {"a\n.\n",   "a\n.\r\n",    "a\r.\r\n",    "a\r\n.\n",
                                          "a\r\n.\r", "a\r\n. \r\n", "a\r\n..\r\n", ".\n"};
    (void)state;
    for (size_t i = 0; i < sizeof streams / sizeof streams[0]; i++) {
        uint8_t out[20];
        size_t used;
        size_t size = strlen(streams[i]);
        (void)unstuff_in_pieces((const uint8_t *)streams[i], size, size, out, &used);
        assert_int_equal(used, SIZE_MAX);
    }
}

/* Base64 goes through in one piece, whatever its size. */
static void test_pieces_are_large(void **state)
{
    (void)state;
    size_t size = 1U << 20;
    uint8_t *text = malloc(size);
    assert_non_null(text);
    memset(text, 'x', size);
    for (size_t i = 77; i < size; i += 78) {
        memcpy(text + i - 1, "\r\n", 2);
    }
    enum unstuff unstuffing = UNSTUFF_LINE_START;
    struct bytes piece;
    struct bytes input = {.data = text, .size = size};
    assert_int_equal(unstuff(&unstuffing, input, &piece), size);
    assert_ptr_equal(piece.data, text);
    assert_int_equal(piece.size, size);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_short_stream),
        cmocka_unit_test(test_what_is_no_end),
        cmocka_unit_test(test_pieces_are_large),
    };
    return cmocka_run_group_tests_name("unstuff", tests, NULL, NULL);
}
