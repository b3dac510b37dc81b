/* SPDX-License-Identifier: MIT */
/* Names of files in a Maildir: fields, order of arrival, unique ids. All of it is frozen: an id that
 * changed would bring every message to every client a second time. */
#include "maildrop/maildir/name.h"

#include <sodium.h>

#include "base/number.h"

enum { HASH_OCTETS = 20, BASE32_OCTETS = 32, KEY_DIGITS_MOST = 18 };

static bool is_digit(uint8_t octet)
{
    return octet >= '0' && octet <= '9';
}

/* The length of a field ",S=digits" or ",W=digits" that begins at `at` and ends before a comma or at
 * the end; 0 if there is none. */
static size_t field_length(struct bytes base, size_t at)
{
    const uint8_t *data = base.data + at;
    size_t left = base.size - at;
    if (left < 4 || data[0] != ',' || (data[1] != 'S' && data[1] != 'W') || data[2] != '=') {
        return 0;
    }
    size_t end = 3;
    while (end < left && is_digit(data[end])) {
        end++;
    }
    return end > 3 && (end == left || data[end] == ',') ? end : 0;
}

void maildir_name_parse(struct bytes name, struct maildir_name *name_out)
{
    struct bytes base = {.data = name.data, .size = bytes_find(name, ':')};
    *name_out =
        (struct maildir_name){.base = base, .size = MAILDIR_UNKNOWN, .octets = MAILDIR_UNKNOWN};
    size_t at = bytes_find(base, ',');
    while (at < base.size) {
        size_t length = field_length(base, at);
        if (length != 0) {
            struct bytes digits = {.data = base.data + at + 3, .size = length - 3};
            uint64_t *value = base.data[at + 1] == 'S' ? &name_out->size : &name_out->octets;
            uint64_t parsed;
            if (*value == MAILDIR_UNKNOWN &&
                number_parse(digits, MAILDIR_MOST_OCTETS, &parsed) == 0) {
                *value = parsed;
            }
        }
        at += length != 0 ? length : 1;
        at += bytes_find(bytes_from(base, at), ',');
    }
}

/* The digits before the first '.', without leading zeros; `data` NULL if there is no number. */
static struct bytes arrival_number(struct bytes base)
{
    size_t end = 0;
    while (end < base.size && is_digit(base.data[end])) {
        end++;
    }
    if (end == 0 || end == base.size || base.data[end] != '.') {
        return (struct bytes){0};
    }
    size_t zeros = 0;
    while (zeros < end && base.data[zeros] == '0') {
        zeros++;
    }
    return (struct bytes){.data = base.data + zeros, .size = end - zeros};
}

uint64_t maildir_name_key(struct bytes base)
{
    struct bytes number = arrival_number(base);
    if (number.data == NULL) {
        return 0;
    }
    if (number.size > KEY_DIGITS_MOST) {
        return UINT64_MAX;
    }
    uint64_t key = 0;
    for (const uint8_t *digit = number.data; digit < number.data + number.size; digit++) {
        key = key * 10 + (*digit & 0x0fU);
    }
    return key + 1;
}

static int compare_octets(struct bytes a, struct bytes b)
{
    size_t common = a.size < b.size ? a.size : b.size;
    int order = common == 0 ? 0 : memcmp(a.data, b.data, common);
    if (order == 0 && a.size != b.size) {
        order = a.size < b.size ? -1 : 1;
    }
    return order;
}

int maildir_name_compare(struct bytes a, struct bytes b)
{
    struct bytes number_a = arrival_number(a);
    struct bytes number_b = arrival_number(b);
    if ((number_a.data == NULL) != (number_b.data == NULL)) {
        return number_a.data == NULL ? -1 : 1;
    }
    if (number_a.size != number_b.size) {
        return number_a.size < number_b.size ? -1 : 1;
    }
    int order = compare_octets(number_a, number_b);
    return order != 0 ? order : compare_octets(a, b);
}

/* RFC 4648 section 6 in lower case; 20 octets need no padding. */
static void base32(const uint8_t hash[HASH_OCTETS], char *out)
{
    static const char alphabet[] = "abcdefghijklmnopqrstuvwxyz234567";
    for (size_t i = 0; i < BASE32_OCTETS; i++) {
        size_t bit = i * 5;
        unsigned pair = (unsigned)hash[bit / 8] << 8;
        if (bit / 8 + 1 < HASH_OCTETS) {
            pair |= hash[bit / 8 + 1];
        }
        out[i] = alphabet[pair >> (11 - bit % 8) & 31];
    }
}

static size_t finish_hash(crypto_generichash_state *state, char *id_out)
{
    uint8_t hash[HASH_OCTETS];
    (void)crypto_generichash_final(state, hash, sizeof hash); /* fails only when called twice */
    id_out[0] = '=';
    base32(hash, id_out + 1);
    return 1 + BASE32_OCTETS;
}

bool maildir_is_unique_id(struct bytes id)
{
    if (id.size == 0 || id.size > POP3_UNIQUE_ID_OCTETS) {
        return false;
    }
    for (size_t i = 0; i < id.size; i++) {
        if (id.data[i] < 0x21 || id.data[i] > 0x7E) {
            return false;
        }
    }
    return true;
}

/* The next octets that are no field; empty at the end. */
static struct bytes next_part(struct bytes base, size_t *at)
{
    size_t field = 0;
    while (*at < base.size && (field = field_length(base, *at)) != 0) {
        *at += field;
    }
    struct bytes rest = bytes_from(base, *at);
    if (rest.size != 0) {
        rest.size = 1 + bytes_find(bytes_from(rest, 1), ',');
        *at += rest.size;
    }
    return rest;
}

size_t maildir_unique_id(struct bytes base, char id_out[POP3_UNIQUE_ID_OCTETS])
{
    size_t size = 0;
    bool fits = true;
    size_t at = 0;
    for (struct bytes part = next_part(base, &at); part.size != 0; part = next_part(base, &at)) {
        fits = part.size <= POP3_UNIQUE_ID_OCTETS - size;
        if (!fits) {
            break;
        }
        memcpy(id_out + size, part.data, part.size);
        size += part.size;
    }
    struct bytes id = {.data = (const uint8_t *)id_out, .size = size};
    if (fits && maildir_is_unique_id(id) && id_out[0] != '=') {
        return size;
    }
    crypto_generichash_state state;
    (void)crypto_generichash_init(&state, NULL, 0, HASH_OCTETS); /* without a key: cannot fail */
    at = 0;
    for (struct bytes part = next_part(base, &at); part.size != 0; part = next_part(base, &at)) {
        (void)crypto_generichash_update(&state, part.data, part.size); /* cannot fail */
    }
    return finish_hash(&state, id_out);
}

size_t maildir_unique_id_whole(struct bytes base, unsigned attempt,
                               char id_out[POP3_UNIQUE_ID_OCTETS])
{
    crypto_generichash_state state;
    (void)crypto_generichash_init(&state, NULL, 0, HASH_OCTETS); /* as above */
    (void)crypto_generichash_update(&state, base.data, base.size);
    if (attempt > 0) {
        uint8_t suffix[21] = {0};
        size_t size = 1 + number_format(attempt, suffix + 1);
        (void)crypto_generichash_update(&state, suffix, size);
    }
    return finish_hash(&state, id_out);
}
