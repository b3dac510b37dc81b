/* SPDX-License-Identifier: MIT */
#include "base/bytes.h"

#include <assert.h>

size_t bytes_find(struct bytes b, uint8_t octet)
{
    if (b.size == 0) {
        return 0;
    }
    const uint8_t *found = memchr(b.data, octet, b.size);
    return found == NULL ? b.size : (size_t)(found - b.data);
}

struct bytes bytes_take(struct bytes *rest, uint8_t octet)
{
    struct bytes front = {.data = rest->data, .size = bytes_find(*rest, octet)};
    *rest = bytes_from(*rest, front.size + 1);
    return front;
}

bool bytes_begin(struct bytes b, struct bytes prefix)
{
    return b.size >= prefix.size &&
           (prefix.size == 0 || memcmp(b.data, prefix.data, prefix.size) == 0);
}

bool bytes_take_prefix(struct bytes *b, const char *prefix)
{
    bool begins = bytes_begin(*b, bytes_of(prefix));
    if (begins) {
        *b = bytes_from(*b, strlen(prefix));
    }
    return begins;
}

static uint8_t lower(uint8_t octet)
{
    return octet >= 'A' && octet <= 'Z' ? (uint8_t)(octet + ('a' - 'A')) : octet;
}

bool bytes_equal_ignoring_case(struct bytes a, struct bytes b)
{
    if (a.size != b.size) {
        return false;
    }
    for (size_t i = 0; i < a.size; i++) {
        if (lower(a.data[i]) != lower(b.data[i])) {
            return false;
        }
    }
    return true;
}

static bool is_plain(uint8_t octet)
{
    return octet >= 0x20 && octet <= 0x7e && octet != '\\' && octet != '"';
}

char *bytes_escape(struct bytes b, char *out, size_t capacity)
{
    static const char digits[] = "0123456789abcdef";
    assert(capacity >= 8);
    size_t whole = 0;
    for (size_t i = 0; i < b.size && whole < capacity; i++) {
        whole += is_plain(b.data[i]) ? 1 : 4;
    }
    const char *ending = whole < capacity ? "" : "...";
    size_t room = capacity - 1 - strlen(ending);
    size_t used = 0;
    for (size_t i = 0; i < b.size; i++) {
        uint8_t octet = b.data[i];
        if (used + (is_plain(octet) ? 1 : 4) > room) {
            break;
        }
        if (is_plain(octet)) {
            out[used++] = (char)octet;
        } else {
            out[used++] = '\\';
            out[used++] = 'x';
            out[used++] = digits[octet >> 4];
            out[used++] = digits[octet & 15];
        }
    }
    memcpy(out + used, ending, strlen(ending) + 1);
    return out;
}
