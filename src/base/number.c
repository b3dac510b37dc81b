/* SPDX-License-Identifier: MIT */
#include "base/number.h"

enum { SAFE_DIGITS = 19 }; /* no number of so many wraps around */

int number_parse(struct bytes text, uint64_t most, uint64_t *value_out)
{
    if (text.size == 0) {
        return -1;
    }
    uint64_t value = 0;
    for (size_t i = 0; i < text.size; i++) {
        uint8_t octet = text.data[i];
        if (octet < '0' || octet > '9') {
            return -1;
        }
        uint64_t digit = (uint64_t)(octet - '0');
        if (i >= SAFE_DIGITS && value > (UINT64_MAX - digit) / 10) {
            return -1;
        }
        value = value * 10 + digit;
    }
    if (value > most) {
        return -1;
    }
    *value_out = value;
    return 0;
}

static size_t count_digits(struct bytes text)
{
    size_t digits = 0;
    while (digits < text.size && text.data[digits] >= '0' && text.data[digits] <= '9') {
        digits++;
    }
    return digits;
}

struct unit {
    const char *name;
    uint64_t factor;
};

static int parse_with_unit(struct bytes text, const struct unit *units, uint64_t most,
                           uint64_t *value_out)
{
    size_t digits = count_digits(text);
    struct bytes name = bytes_from(text, digits);
    for (const struct unit *unit = units; unit->name != NULL; unit++) {
        if (bytes_equal(name, bytes_of(unit->name))) {
            struct bytes number = {.data = text.data, .size = digits};
            uint64_t value;
            if (number_parse(number, most / unit->factor, &value) < 0) {
                return -1;
            }
            *value_out = value * unit->factor;
            return 0;
        }
    }
    return -1;
}

int number_parse_size(struct bytes text, uint64_t *octets_out)
{
    static const struct unit units[] = {
        {"", 1}, {"K", 1U << 10}, {"M", 1U << 20}, {"G", 1U << 30}, {NULL, 0}};
    return parse_with_unit(text, units, UINT64_MAX, octets_out);
}

int number_parse_duration(struct bytes text, uint64_t *milliseconds_out)
{
    static const struct unit units[] = {{"ms", 1},      {"s", 1000},     {"m", 60000},
                                        {"h", 3600000}, {"d", 86400000}, {NULL, 0}};
    if (bytes_equal(text, bytes_of("0"))) {
        *milliseconds_out = 0;
        return 0;
    }
    return parse_with_unit(text, units, UINT64_C(366) * 86400000, milliseconds_out);
}

size_t number_format(uint64_t value, uint8_t out[20])
{
    uint8_t reversed[20];
    size_t size = 0;
    do {
        reversed[size++] = (uint8_t)('0' + value % 10);
        value /= 10;
    } while (value != 0);
    for (size_t i = 0; i < size; i++) {
        out[i] = reversed[size - 1 - i];
    }
    return size;
}
