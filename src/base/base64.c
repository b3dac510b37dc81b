/* SPDX-License-Identifier: MIT */
#include "base/base64.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/* 0 to 63, or 64 for an octet that is not of the alphabet. */
static uint32_t value_of(uint8_t octet)
{
    const char *found = octet == 0 ? NULL : memchr(alphabet, octet, 64);
    return found == NULL ? 64 : (uint32_t)(found - alphabet);
}

int base64_decode(uint8_t *data, size_t size, size_t *size_out)
{
    if (size % 4 != 0) {
        return -1;
    }
    size_t padding = 0;
    while (padding < 2 && padding < size && data[size - 1 - padding] == '=') {
        padding++;
    }
    size_t decoded = 0;
    for (size_t i = 0; i < size; i += 4) {
        size_t digits = i + 4 == size ? 4 - padding : 4;
        uint32_t group = 0;
        for (size_t k = 0; k < 4; k++) {
            uint32_t value = k < digits ? value_of(data[i + k]) : 0;
            if (value > 63) {
                return -1;
            }
            group = group << 6 | value;
        }
        for (size_t k = 0; k + 1 < digits; k++) {
            data[decoded++] = (uint8_t)(group >> (16 - 8 * k));
        }
    }
    *size_out = decoded;
    return 0;
}

void base64_encode(struct buffer *out, struct bytes octets)
{
    for (size_t i = 0; i < octets.size; i += 3) {
        size_t given = octets.size - i < 3 ? octets.size - i : 3;
        uint32_t group = 0;
        for (size_t k = 0; k < 3; k++) {
            group = group << 8 | (k < given ? octets.data[i + k] : 0U);
        }
        for (size_t k = 0; k < 4; k++) {
            buffer_append_octet(out, k <= given ? (uint8_t)alphabet[group >> (18 - 6 * k) & 63]
                                                : (uint8_t)'=');
        }
    }
}
