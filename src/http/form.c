/* SPDX-License-Identifier: MIT */
#include "http/form.h"

static const char digits[] = "0123456789ABCDEF";

static bool is_unreserved(uint8_t octet)
{
    return (octet >= 'A' && octet <= 'Z') || (octet >= 'a' && octet <= 'z') ||
           (octet >= '0' && octet <= '9') || octet == '-' || octet == '.' || octet == '_' ||
           octet == '~';
}

void http_append_encoded(struct buffer *out, struct bytes octets)
{
    for (size_t i = 0; i < octets.size; i++) {
        uint8_t octet = octets.data[i];
        if (is_unreserved(octet)) {
            buffer_append_octet(out, octet);
        } else {
            buffer_append(out, (struct bytes){(uint8_t[]){'%', (uint8_t)digits[octet >> 4],
                                                          (uint8_t)digits[octet & 15]},
                                              3});
        }
    }
}

void http_append_pair(struct buffer *out, const char *name, struct bytes value)
{
    if (out->written != 0 && out->data[out->written - 1] != '?') {
        buffer_append_octet(out, '&');
    }
    http_append_encoded(out, bytes_of(name));
    buffer_append_octet(out, '=');
    http_append_encoded(out, value);
}

static int value_of(uint8_t digit)
{
    const char *at = digit == '\0' ? NULL : strchr(digits, digit & ~(digit >= 'a' ? 0x20 : 0));
    return at == NULL ? -1 : (int)(at - digits);
}

static bool decode(struct bytes text, char *out, size_t capacity)
{
    size_t size = 0;
    for (size_t i = 0; i < text.size; i++) {
        int octet = text.data[i] == '+' ? ' ' : text.data[i];
        if (octet == '%') {
            int high = i + 2 < text.size ? value_of(text.data[i + 1]) : -1;
            int low = high < 0 ? -1 : value_of(text.data[i + 2]);
            octet = low < 0 ? 0 : high * 16 + low;
            i += 2;
        }
        if (octet == 0 || size + 1 >= capacity) {
            return false;
        }
        out[size++] = (char)octet;
    }
    out[size] = '\0';
    return true;
}

bool http_find_pair(struct bytes text, const char *name, char *out, size_t capacity)
{
    while (text.size != 0) {
        struct bytes pair = {text.data, bytes_find(text, '&')};
        struct bytes key = {pair.data, bytes_find(pair, '=')};
        if (bytes_equal(key, bytes_of(name))) {
            return decode(bytes_from(pair, key.size + 1), out, capacity);
        }
        text = bytes_from(text, pair.size + 1);
    }
    return false;
}
