/* SPDX-License-Identifier: MIT */
/* SASLprep, RFC 4013: mapping, prohibited output, bidirectional text and unassigned code points are GNU
 * libidn's, with the tables of Unicode 3.2 that RFC 3454 names. The normalization between them is libunistring's,
 * because libidn's leaves copies of a password in memory that it frees: this one works in memory that it is
 * given, and on the stack, as long as few combining marks follow one another. */
#include "sasl/prepare.h"

#include <assert.h>
#include <sodium.h>
#include <stdlib.h>
#include <stringprep.h>
#include <unictype.h>
#include <uninorm.h>
#include <unistr.h>

enum {
    POINTS_MOST = SASL_PREPARED_OCTETS,
    MAPPINGS_MOST = 4,
    STACK_OCTETS = 8192 /* more than what is called here goes down */
};

/* What stringprep_4i checks of a query. */
static const Stringprep_profile_flags query = (Stringprep_profile_flags)0;

struct points {
    size_t count;
    uint32_t points[POINTS_MOST];
};

static bool is_printable_ascii(struct bytes text)
{
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] < 0x20 || text.data[i] > 0x7E) {
            return false;
        }
    }
    return true;
}

/* Strict: neither overlong forms nor surrogates. */
static bool decode(struct bytes text, struct points *out)
{
    out->count = POINTS_MOST;
    return text.size <= POINTS_MOST &&
           u8_to_u32(text.data, text.size, out->points, &out->count) != NULL;
}

static bool has_few_marks(const struct points *text)
{
    size_t in_a_row = 0;
    for (size_t i = 0; i < text->count; i++) {
        in_a_row = uc_combining_class(text->points[i]) == 0 ? 0 : in_a_row + 1;
        if (in_a_row > SASL_PREPARE_MARKS) {
            return false;
        }
    }
    return true;
}

/* RFC 4013 sections 2.1 and 2.2. False: too long. */
static bool map_and_normalize(struct points *text, struct points *out)
{
    Stringprep_profile mapping[MAPPINGS_MOST + 1];
    memset(mapping, 0, sizeof mapping);
    for (size_t i = 0; stringprep_saslprep[i].operation != STRINGPREP_NFKC; i++) {
        assert(i < MAPPINGS_MOST);
        mapping[i] = stringprep_saslprep[i];
    }
    if (stringprep_4i(text->points, &text->count, POINTS_MOST, query, mapping) != STRINGPREP_OK) {
        return false;
    }
    out->count = POINTS_MOST;
    uint32_t *normal =
        u32_normalize(UNINORM_NFKC, text->points, text->count, out->points, &out->count);
    if (normal != NULL && normal != out->points) {
        sodium_memzero(normal, out->count * sizeof *normal);
        free(normal);
    }
    return normal == out->points;
}

/* Sections 2.3, 2.4 and 2.5. NULL, or what is wrong. */
static const char *check(struct points *text, enum sasl_prepare_use use)
{
    const Stringprep_profile *step = stringprep_saslprep;
    while (step->operation != STRINGPREP_NFKC) {
        step++;
    }
    Stringprep_profile_flags flags = use == SASL_PREPARE_STORED ? STRINGPREP_NO_UNASSIGNED : query;
    int result = stringprep_4i(text->points, &text->count, POINTS_MOST, flags, step + 1);
    if (result == STRINGPREP_OK) {
        return NULL;
    }
    if (result == STRINGPREP_CONTAINS_UNASSIGNED) {
        return "it has a character that is newer than Unicode 3.2, which may look or compare "
               "differently elsewhere";
    }
    if (result == STRINGPREP_BIDI_BOTH_L_AND_RAL || result == STRINGPREP_BIDI_LEADTRAIL_NOT_RAL ||
        result == STRINGPREP_BIDI_CONTAINS_PROHIBITED) {
        return "it mixes text that is written from right to left with other text";
    }
    return "it has a control character, or another one that nobody can see or type";
}

static const char *prepare(struct bytes text, enum sasl_prepare_use use, struct points work[2],
                           struct bytes *prepared_out, uint8_t memory[SASL_PREPARED_OCTETS])
{
    if (!decode(text, &work[0])) {
        return "it is not UTF-8";
    }
    if (!has_few_marks(&work[0]) || !map_and_normalize(&work[0], &work[1]) ||
        !has_few_marks(&work[1])) { /* or what is kept could not be prepared again */
        return "it is too long, or has too many marks on one letter";
    }
    const char *wrong = check(&work[1], use);
    if (wrong != NULL) {
        return wrong;
    }
    size_t size = SASL_PREPARED_OCTETS;
    uint8_t *encoded = u32_to_u8(work[1].points, work[1].count, memory, &size);
    if (encoded != NULL && encoded != memory) {
        sodium_memzero(encoded, size);
        free(encoded);
    }
    if (encoded != memory) {
        return "it is too long";
    }
    *prepared_out = (struct bytes){.data = memory, .size = size};
    return size == 0 ? "nothing of it can be seen" : NULL;
}

static int prepare_and_wipe(struct bytes text, enum sasl_prepare_use use,
                            uint8_t memory[SASL_PREPARED_OCTETS], struct bytes *prepared_out,
                            struct error *error)
{
    struct points work[2];
    const char *wrong = prepare(text, use, work, prepared_out, memory);
    sodium_memzero(work, sizeof work);
    sodium_stackzero(STACK_OCTETS);
    return wrong == NULL ? 0 : error_set(error, ERROR_USAGE, 0, "%s", wrong);
}

int sasl_prepare(struct bytes text, enum sasl_prepare_use use, uint8_t memory[SASL_PREPARED_OCTETS],
                 struct bytes *prepared_out, struct error *error)
{
    if (is_printable_ascii(text)) {
        *prepared_out = text;
        return 0;
    }
    return prepare_and_wipe(text, use, memory, prepared_out, error);
}
