/* SPDX-License-Identifier: MIT */
/* Against the plain code of host_expand and host_cut: every message over a small alphabet, and long random
 * ones, in random pieces into random room. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "host.h"
#include "pop3/multiline.h"
#include "pop3/stretch.h"

enum { MESSAGE_MOST = 1200, OUT_MOST = 3 * MESSAGE_MOST + 16 };

static uint64_t seed = 1;

static uint64_t draw(uint64_t below)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed % below;
}

/* Sends a message, `piece` octets at most at once (0: random), through output of `room` octets. */
static size_t convert(struct multiline *message, struct bytes stored, size_t piece, size_t room,
                      uint8_t *out)
{
    uint8_t memory[OUT_MOST];
    struct buffer buffer;
    size_t made = 0;
    buffer_init(&buffer, memory, room);
    while (stored.size != 0 && !message->enough) {
        size_t most = piece != 0 ? piece : 1 + draw(100);
        struct bytes part = {.data = stored.data, .size = most < stored.size ? most : stored.size};
        size_t taken = multiline_feed(message, &buffer, part);
        assert_true(taken != 0 || buffer_room(&buffer) < room);
        assert_true(buffer_room(&buffer) >= MULTILINE_RESERVE_OCTETS);
        stored = bytes_from(stored, taken);
        memcpy(out + made, memory, buffer.written);
        made += buffer.written;
        buffer_consume(&buffer, buffer.written);
    }
    multiline_end(message, &buffer);
    memcpy(out + made, memory, buffer.written);
    return made + buffer.written;
}

static void check_whole(struct bytes stored, size_t piece, size_t room)
{
    uint8_t expected[OUT_MOST];
    uint8_t out[OUT_MOST];
    uint64_t octets;
    size_t size = host_expand(stored.data, stored.size, expected, &octets);
    struct multiline message = {0};
    assert_int_equal(convert(&message, stored, piece, room, out), size);
    assert_memory_equal(out, expected, size);
    assert_int_equal(message.octets, octets);
}

static void check_top(struct bytes stored, uint64_t lines, size_t piece, size_t room)
{
    uint8_t expected[OUT_MOST];
    uint8_t out[OUT_MOST];
    uint64_t octets;
    size_t size = host_expand(stored.data, stored.size, expected, &octets);
    size = host_cut(expected, size, lines);
    struct multiline message;
    multiline_begin_top(&message, lines);
    assert_int_equal(convert(&message, stored, piece, room, out), size);
    assert_memory_equal(out, expected, size);
}

static void check_count(struct bytes stored)
{
    uint8_t expected[OUT_MOST];
    uint64_t octets;
    (void)host_expand(stored.data, stored.size, expected, &octets);
    struct pop3_octet_count count = {0};
    while (stored.size != 0) {
        size_t piece = 1 + draw(stored.size);
        pop3_octet_count_feed(&count, stored.data, piece);
        stored = bytes_from(stored, piece);
    }
    assert_int_equal(pop3_octet_count_end(&count), octets);
}

/* All 55 987 messages of up to 6 octets over an alphabet of all that is special, and one that is not. */
static void test_every_short_message(void **state)
{
    (void)state;
    static const uint8_t alphabet[] = {'a', '.', '\r', '\n', 0, 0xff};
    uint8_t data[6];
    for (size_t size = 0; size <= sizeof data; size++) {
        size_t all = 1;
        for (size_t i = 0; i < size; i++) {
            all *= sizeof alphabet;
        }
        for (size_t n = 0; n < all; n++) {
            size_t rest = n;
            for (size_t i = 0; i < size; i++) {
                data[i] = alphabet[rest % sizeof alphabet];
                rest /= sizeof alphabet;
            }
            struct bytes stored = {.data = data, .size = size};
            check_whole(stored, 7, OUT_MOST);
            check_whole(stored, 1, MULTILINE_RESERVE_OCTETS + 3);
            check_top(stored, n % 3, 7, OUT_MOST);
            check_top(stored, n % 3, 1, MULTILINE_RESERVE_OCTETS + 3);
            check_count(stored);
        }
    }
}

static struct bytes random_message(uint8_t *data)
{
    static const uint8_t special[] = {'\n', '\n', '\r', '.', '.', 0, '\n', 0xe9};
    size_t size = draw(MESSAGE_MOST);
    uint64_t often = 2 + draw(90);
    for (size_t i = 0; i < size; i++) {
        data[i] = draw(often) == 0 ? special[draw(sizeof special)] : (uint8_t)('a' + draw(26));
    }
    return (struct bytes){.data = data, .size = size};
}

static void test_random_messages(void **state)
{
    (void)state;
    uint8_t data[MESSAGE_MOST];
    for (int i = 0; i < 3000; i++) {
        struct bytes stored = random_message(data);
        size_t room = MULTILINE_RESERVE_OCTETS + 3 + draw(300);
        check_whole(stored, 0, room);
        check_whole(stored, MESSAGE_MOST, OUT_MOST);
        check_top(stored, draw(10), 0, room);
        check_count(stored);
    }
}

/* What a CR at a piece's end means is decided by the next piece, however long that is. */
static void test_counts_pieces_behind_a_cr(void **state)
{
    (void)state;
    static const char *const begins[] = {"a\r", "\r", "\n\r"};
    static const char next[] = {'\n', '.', 'a', '\r'};
    for (size_t i = 0; i < sizeof begins / sizeof begins[0]; i++) {
        for (size_t k = 0; k < sizeof next; k++) {
            uint8_t data[MESSAGE_MOST];
            uint8_t expected[OUT_MOST];
            uint64_t octets;
            struct pop3_octet_count count = {0};
            size_t first = strlen(begins[i]);
            memset(data, 'b', sizeof data);
            memcpy(data, begins[i], first);
            data[first] = (uint8_t)next[k];
            (void)host_expand(data, sizeof data, expected, &octets);
            pop3_octet_count_feed(&count, data, first);
            pop3_octet_count_feed(&count, data + first, sizeof data - first);
            assert_int_equal(pop3_octet_count_end(&count), octets);
        }
    }
}

/* The client undoes it: nothing but line ends has changed. */
static void test_unstuffs_to_the_message(void **state)
{
    (void)state;
    uint8_t data[MESSAGE_MOST];
    uint8_t out[OUT_MOST];
    for (int i = 0; i < 500; i++) {
        struct bytes stored = random_message(data);
        struct multiline message = {0};
        size_t size = convert(&message, stored, 0, 200, out);
        size_t kept = 0;
        bool line_start = true;
        for (size_t k = 0; k < size - 3; k++) {
            if (line_start && out[k] == '.') {
                k++; /* unstuffed; a terminator before the end would be cut here */
                assert_false(out[k] == '\r' && out[k + 1] == '\n' && out[k - 1] != '.');
            }
            line_start = k > 0 && out[k] == '\n' && out[k - 1] == '\r';
            kept++;
        }
        assert_int_equal(kept, message.octets);
        assert_memory_equal(out + size - 3, ".\r\n", 3);
    }
}

/* In memory of exactly the size, so that the sanitizer sees an octet too many. */
static void check_stretch(const uint8_t *octets, size_t size, size_t expected)
{
    uint8_t *from = malloc(size + 1);
    uint8_t *to = malloc(size + 1);
    assert_non_null(from);
    assert_non_null(to);
    memcpy(from + 1, octets, size);
    assert_int_equal(stretch(NULL, from + 1, size), expected);
    assert_int_equal(stretch(to + 1, from + 1, size), expected);
    assert_memory_equal(to + 1, octets, expected);
    if (size >= STRETCH_BLOCK) {
        size_t in_block = expected < STRETCH_BLOCK ? expected : STRETCH_BLOCK;
        assert_int_equal(stretch_block_of_words(NULL, from + 1), in_block);
        assert_int_equal(stretch_block_of_words(to + 1, from + 1), in_block);
        assert_memory_equal(to + 1, octets, in_block);
    }
    free(from);
    free(to);
}

/* An end at each place of each size, behind and before octets that differ from one by a bit. */
static void test_stretch_finds_the_first_end(void **state)
{
    (void)state;
    static const uint8_t ends[] = {'\r', '\n'};
    static const uint8_t others[] = {'x', '\0', '\f', '\v', 0x0e, 0x8a, 0x8d, 0xff};
    uint8_t octets[70];
    for (size_t size = 0; size < sizeof octets; size++) {
        for (size_t end = 0; end <= size; end++) {
            for (size_t i = 0; i < size; i++) {
                octets[i] = i < end ? others[(i + end) % sizeof others]
                                    : ends[i == end ? size % 2 : draw(2)];
            }
            check_stretch(octets, size, end);
        }
    }
}

/* No message makes the scan run over the same octets again and again: this would take minutes. */
static void test_no_message_costs_more(void **state)
{
    (void)state;
    static const struct {
        uint8_t octet;
        unsigned each, end; /* octets on the wire */
    } cases[] = {{'\r', 1, 2}, {'\n', 2, 0}, {'.', 1, 2}, {'x', 1, 2}};
    size_t size = 1U << 22;
    uint8_t *data = malloc(size);
    assert_non_null(data);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct pop3_octet_count count = {0};
        memset(data, cases[i].octet, size);
        pop3_octet_count_feed(&count, data, size);
        assert_int_equal(pop3_octet_count_end(&count), size * cases[i].each + cases[i].end);
    }
    free(data);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_short_message),
        cmocka_unit_test(test_random_messages),
        cmocka_unit_test(test_counts_pieces_behind_a_cr),
        cmocka_unit_test(test_unstuffs_to_the_message),
        cmocka_unit_test(test_stretch_finds_the_first_end),
        cmocka_unit_test(test_no_message_costs_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
