/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_BASE_BYTES_H
#define RESTANTE_BASE_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Octets that came from outside: borrowed, of known size, never NUL-terminated. Passed by value. */
struct bytes {
    const uint8_t *data;
    size_t size;
};

/* Borrows a NUL-terminated text of our own. */
static inline struct bytes bytes_of(const char *text)
{
    return (struct bytes){.data = (const uint8_t *)text, .size = strlen(text)};
}

static inline bool bytes_equal(struct bytes a, struct bytes b)
{
    return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

/* The octets from `from` on; empty if there are none. */
static inline struct bytes bytes_from(struct bytes b, size_t from)
{
    if (from >= b.size) {
        return (struct bytes){0};
    }
    return (struct bytes){.data = b.data + from, .size = b.size - from};
}

/* Index of the first `octet`, or b.size. */
size_t bytes_find(struct bytes b, uint8_t octet);

/* Cuts `rest` at the first `octet`, which goes, too: what was before it. Without one that is all. */
struct bytes bytes_take(struct bytes *rest, uint8_t octet);

bool bytes_begin(struct bytes b, struct bytes prefix);
/* Cuts `prefix` off the front of `b`, if it is there. */
bool bytes_take_prefix(struct bytes *b, const char *prefix);

/* Equality without regard to ASCII case, whatever the locale. */
bool bytes_equal_ignoring_case(struct bytes a, struct bytes b);

/* Puts `b` into `out` as printable ASCII and NUL-terminates it: other octets, the backslash and the
 * double quote become \xHH, so that a stranger's octets can neither forge a log line nor reach a
 * terminal. What does not fit is cut and ends in "..."; `capacity` is at least 8. Returns `out`. */
char *bytes_escape(struct bytes b, char *out, size_t capacity);

#endif
