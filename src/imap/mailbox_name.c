/* SPDX-License-Identifier: MIT */
#include "imap/mailbox_name.h"

#include <unistr.h>

#include "base/buffer.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,";

/* A run of what is not printable ASCII: UTF-16 in base64, whose bits go on from one unit to the next. */
struct run {
    uint32_t bits;
    unsigned count;
    bool is_open;
};

static void put_unit(struct run *run, struct buffer *out, uint32_t unit)
{
    if (!run->is_open) {
        buffer_append_octet(out, '&');
        run->is_open = true;
    }
    run->bits = (run->bits << 16) | unit;
    for (run->count += 16; run->count >= 6; run->count -= 6) {
        buffer_append_octet(out, (uint8_t)alphabet[(run->bits >> (run->count - 6)) & 63]);
    }
    run->bits &= (1U << run->count) - 1;
}

static void end_run(struct run *run, struct buffer *out)
{
    if (run->is_open) {
        if (run->count > 0) {
            buffer_append_octet(out, (uint8_t)alphabet[(run->bits << (6 - run->count)) & 63]);
        }
        buffer_append_octet(out, '-');
    }
    *run = (struct run){0};
}

static void put_character(struct run *run, struct buffer *out, ucs4_t character)
{
    if (character >= 0x10000) {
        put_unit(run, out, 0xD800 + ((character - 0x10000) >> 10));
        put_unit(run, out, 0xDC00 + ((character - 0x10000) & 0x3FF));
    } else if (character > '~') {
        put_unit(run, out, character);
    } else {
        end_run(run, out);
        buffer_append_octet(out, (uint8_t)character);
        if (character == '&') {
            buffer_append_octet(out, '-');
        }
    }
}

int imap_mailbox_name_encode(const char *name, char *out, size_t capacity)
{
    struct buffer encoded;
    struct run run = {0};
    buffer_init(&encoded, out, capacity);
    const uint8_t *at = (const uint8_t *)name;
    while (*at != '\0') {
        ucs4_t character;
        const uint8_t *next = u8_next(&character, at);
        if (next == NULL || character < ' ' || (character >= 0x7F && character < 0xA0)) {
            return -1;
        }
        put_character(&run, &encoded, character);
        at = next;
    }
    end_run(&run, &encoded);
    bool is_empty = buffer_pending(&encoded).size == 0;
    buffer_append_octet(&encoded, '\0');
    return is_empty || encoded.overflow ? -1 : 0;
}
