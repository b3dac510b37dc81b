/* SPDX-License-Identifier: MIT */
/* SASLprep: RFC 4013's examples, what it refuses, and GNU libidn's own SASLprep as the judge of any text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>
#include <stringprep.h>

#include "sasl/prepare.h"

static const char refused[] = "refused";

static const struct {
    const char *text;
    const char *query;  /* what it becomes, or `refused` */
    const char *stored; /* NULL: the same */
} cases[] = {
    /* RFC 4013 section 3 */
    {"I\xC2\xADX", "IX", NULL},
    {"user", "user", NULL},
    {"USER", "USER", NULL},
    {"\xC2\xAA", "a", NULL},
    {"\xE2\x85\xA8", "IX", NULL},
    {"\x07", refused, NULL},
    {"\xD8\xA7\x31", refused, NULL},
    /* what people type */
    {"", "", NULL},
    {"pa ss~", "pa ss~", NULL},
    {"jose\xCC\x81", "jos\xC3\xA9", NULL},
    {"jos\xC3\xA9", "jos\xC3\xA9", NULL},
    {"a\xC2\xA0"
     "b",
     "a b", NULL},
    {"\xEF\xBC\x8Fx", "/x", NULL}, /* who uses it as a name looks at it after this */
    {"\xD8\xA7\x31\xD8\xA8", "\xD8\xA7\x31\xD8\xA8", NULL},
    {"\xD8\xA7"
     "b\xD8\xA8",
     refused, NULL},
    {"\xC2\xAD", refused, NULL},                       /* nothing is left */
    {"\xF0\x9F\x98\x80", "\xF0\x9F\x98\x80", refused}, /* newer than Unicode 3.2 */
    {"a\tb", refused, NULL},
    {"a\x7F", refused, NULL},
    {"\xC2\x85", refused, NULL},
    {"\xEE\x80\x80", refused, NULL},     /* private use */
    {"\xEF\xBF\xBD", refused, NULL},     /* inappropriate for plain text */
    {"\xE2\x80\xAA", refused, NULL},     /* deprecated */
    {"\xF3\xA0\x80\x81", refused, NULL}, /* tagging */
    /* not UTF-8 */
    {"caf\xE9", refused, NULL},
    {"\xC0\xAF", refused, NULL},
    {"\xED\xA0\x80", refused, NULL},
    {"\xF4\x90\x80\x80", refused, NULL},
    {"\xC3", refused, NULL},
};

static void check(const char *text, enum sasl_prepare_use use, const char *expected)
{
    uint8_t memory[SASL_PREPARED_OCTETS];
    struct bytes prepared = {0};
    struct error error = {0};
    int result = sasl_prepare(bytes_of(text), use, memory, &prepared, &error);
    if (expected == refused) {
        assert_int_equal(result, -1);
        assert_int_equal(error.kind, ERROR_USAGE);
        assert_true(error.text[0] != '\0');
        return;
    }
    assert_int_equal(result, 0);
    assert_int_equal(prepared.size, strlen(expected));
    assert_memory_equal(prepared.data, expected, prepared.size);
}

static void texts_become_what_the_rfc_says(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        check(cases[i].text, SASL_PREPARE_QUERY, cases[i].query);
        check(cases[i].text, SASL_PREPARE_STORED,
              cases[i].stored != NULL ? cases[i].stored : cases[i].query);
    }
}

static void ascii_is_not_copied(void **state)
{
    uint8_t memory[SASL_PREPARED_OCTETS];
    struct bytes text = bytes_of("alice@example.com"), prepared;
    (void)state;
    assert_int_equal(sasl_prepare(text, SASL_PREPARE_STORED, memory, &prepared, NULL), 0);
    assert_ptr_equal(prepared.data, text.data);
}

static void lengths_are_bounded(void **state)
{
    static const struct {
        const char *piece;
        size_t fits, exceeds;
    } pieces[] = {
        {"\xC3\xA9", SASL_PREPARED_OCTETS / 2, SASL_PREPARED_OCTETS / 2 + 1},
        {"\xEF\xB7\xBA", 31, 32},                                         /* 33 octets of each 3 */
        {"\xCC\x80", SASL_PREPARE_MARKS, SASL_PREPARE_MARKS + 1},         /* combining marks */
        {"\xCD\x84", SASL_PREPARE_MARKS / 2, SASL_PREPARE_MARKS / 2 + 1}, /* two of them each */
    };
    uint8_t memory[SASL_PREPARED_OCTETS];
    struct bytes prepared;
    (void)state;
    for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++) {
        char text[2 * SASL_PREPARED_OCTETS] = "";
        struct bytes piece = bytes_of(pieces[i].piece);
        for (size_t count = 1; count <= pieces[i].exceeds; count++) {
            memcpy(text + (count - 1) * piece.size, piece.data, piece.size);
            struct bytes all = {(const uint8_t *)text, count * piece.size};
            int result = sasl_prepare(all, SASL_PREPARE_QUERY, memory, &prepared, NULL);
            assert_int_equal(result, count <= pieces[i].fits ? 0 : -1);
        }
    }
}

static uint32_t draw(uint64_t *seed, uint32_t below)
{
    *seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(*seed >> 33) % below;
}

/* Code points of the first planes, marks after letters among them. */
static uint32_t draw_point(uint64_t *seed)
{
    static const struct {
        uint32_t first, count;
    } ranges[] = {{0x20, 0x5F},    {0xA0, 0x160},  {0x300, 0x70},  {0x370, 0x90},  {0x5D0, 0x1B},
                  {0x621, 0x1A},   {0x1E00, 0x9B}, {0x2000, 0x60}, {0x2100, 0x3B}, {0x3041, 0x54},
                  {0xAC00, 0x400}, {0xF900, 0x80}, {0xFB00, 0x07}, {0xFF01, 0xBE}};
    uint32_t range = draw(seed, sizeof ranges / sizeof *ranges);
    return ranges[range].first + draw(seed, ranges[range].count);
}

static void libidn_agrees(void **state)
{
    uint64_t seed = 6856;
    unsigned accepted = 0;
    (void)state;
    for (int i = 0; i < 20000; i++) {
        char text[200] = "";
        size_t size = 0;
        uint8_t memory[SASL_PREPARED_OCTETS];
        struct bytes prepared = {0};
        for (uint32_t count = 1 + draw(&seed, 6); count > 0; count--) {
            size += (size_t)stringprep_unichar_to_utf8(draw_point(&seed), text + size);
        }
        char *judged = NULL;
        int judge = stringprep_profile(text, &judged, "SASLprep", STRINGPREP_NO_UNASSIGNED);
        if (judge == STRINGPREP_CONTAINS_UNASSIGNED) {
            continue; /* newer than its tables: how it is normalized may differ */
        }
        enum sasl_prepare_use use = draw(&seed, 2) == 0 ? SASL_PREPARE_STORED : SASL_PREPARE_QUERY;
        int result =
            sasl_prepare((struct bytes){(const uint8_t *)text, size}, use, memory, &prepared, NULL);
        bool is_good = judge == STRINGPREP_OK && judged[0] != '\0';
        assert_int_equal(result, is_good ? 0 : -1);
        if (is_good) {
            accepted++;
            assert_int_equal(prepared.size, strlen(judged));
            assert_memory_equal(prepared.data, judged, prepared.size);
        }
        free(judged);
    }
    assert_true(accepted > 2000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_become_what_the_rfc_says),
        cmocka_unit_test(ascii_is_not_copied),
        cmocka_unit_test(lengths_are_bounded),
        cmocka_unit_test(libidn_agrees),
    };
    return cmocka_run_group_tests_name("prepare", tests, NULL, NULL);
}
