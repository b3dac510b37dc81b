/* SPDX-License-Identifier: MIT */
#include "fetch/message_hash.h"

void message_hash_init(struct message_hash *hash)
{
    *hash = (struct message_hash){.in_header = true, .line_begins = true};
    (void)crypto_generichash_init(&hash->content, NULL, 0, CONTENT_HASH_OCTETS);
    (void)crypto_generichash_init(&hash->header, NULL, 0, HEADER_HASH_OCTETS);
}

static void feed_header(struct message_hash *hash, const uint8_t *data, size_t size)
{
    (void)crypto_generichash_update(&hash->header, data, size);
}

/* The first octets of a line, which may be the empty one. Returns how many were looked at. */
static size_t begin_line(struct message_hash *hash, struct bytes octets)
{
    uint8_t octet = octets.data[0];
    if (octet == '\n') {
        hash->in_header = false;
        return 1;
    }
    if (hash->cr_held) {
        feed_header(hash, (const uint8_t *)"\r", 1);
        hash->cr_held = false;
        hash->line_begins = false;
        return 0;
    }
    if (octet == '\r') {
        hash->cr_held = true;
        return 1;
    }
    hash->line_begins = false;
    return 0;
}

void message_hash_feed(struct message_hash *hash, struct bytes octets)
{
    (void)crypto_generichash_update(&hash->content, octets.data, octets.size);
    hash->octets += octets.size;
    while (hash->in_header && octets.size != 0) {
        if (hash->line_begins) {
            octets = bytes_from(octets, begin_line(hash, octets));
            continue;
        }
        size_t end = bytes_find(octets, '\n');
        size_t size = end < octets.size ? end + 1 : end;
        feed_header(hash, octets.data, size);
        hash->line_begins = end < octets.size;
        octets = bytes_from(octets, size);
    }
}

void message_hash_finish(struct message_hash *hash, struct message_digest *digest_out)
{
    if (hash->in_header && hash->cr_held) {
        feed_header(hash, (const uint8_t *)"\r", 1);
    }
    digest_out->octets = hash->octets;
    (void)crypto_generichash_final(&hash->content, digest_out->content, CONTENT_HASH_OCTETS);
    (void)crypto_generichash_final(&hash->header, digest_out->header, HEADER_HASH_OCTETS);
}
