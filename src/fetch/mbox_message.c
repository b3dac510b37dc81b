/* SPDX-License-Identifier: MIT */
#include "fetch/mbox_message.h"

#include <stdio.h>
#include <time.h>

enum { CHUNK_OCTETS = 8192, PATTERN_OCTETS = 5 };

static const char pattern[] = "From ";

size_t mbox_from_line(int64_t now_s, char out[MBOX_FROM_OCTETS])
{
    static const char days[][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static const char months[][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                     "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    time_t now = (time_t)now_s;
    struct tm date;
    if (gmtime_r(&now, &date) == NULL) {
        date = (struct tm){.tm_mday = 1, .tm_year = 70, .tm_wday = 4};
    }
    int size = snprintf(out, MBOX_FROM_OCTETS, "From MAILER-DAEMON %s %s %2d %02d:%02d:%02d %d\n",
                        days[date.tm_wday % 7], months[date.tm_mon % 12], date.tm_mday,
                        date.tm_hour, date.tm_min, date.tm_sec, date.tm_year + 1900);
    return (size_t)size;
}

static size_t quote_octet(struct mbox_quoting *quoting, uint8_t octet, uint8_t *out)
{
    size_t made = 0;
    if (!quoting->in_line) {
        if (octet == (uint8_t)pattern[quoting->matched]) {
            quoting->matched++;
            if (quoting->matched < PATTERN_OCTETS) {
                return 0;
            }
            /* Where among its `>`s one more is put, nobody can tell. */
            out[made++] = '>';
            memcpy(out + made, pattern, PATTERN_OCTETS);
            made += PATTERN_OCTETS;
            quoting->matched = 0;
            quoting->in_line = quoting->open = true;
            return made;
        }
        memcpy(out, pattern, quoting->matched);
        made = quoting->matched;
        quoting->in_line = octet != '>' || quoting->matched != 0;
        quoting->matched = 0;
    }
    out[made++] = octet;
    quoting->open = octet != '\n';
    quoting->in_line = quoting->in_line && quoting->open;
    return made;
}

static size_t quote(struct mbox_quoting *quoting, struct bytes octets, uint8_t *out)
{
    size_t made = 0;
    while (octets.size != 0) {
        if (!quoting->in_line) {
            made += quote_octet(quoting, octets.data[0], out + made);
            octets = bytes_from(octets, 1);
            continue;
        }
        size_t end = bytes_find(octets, '\n');
        size_t size = end < octets.size ? end + 1 : end;
        memcpy(out + made, octets.data, size);
        made += size;
        quoting->in_line = quoting->open = end == octets.size;
        octets = bytes_from(octets, size);
    }
    return made;
}

size_t mbox_quote(struct mbox_quoting *quoting, struct bytes octets, uint8_t *out)
{
    uint8_t plain[CHUNK_OCTETS + 1];
    size_t made = 0;
    while (octets.size != 0) {
        size_t size = octets.size < CHUNK_OCTETS ? octets.size : CHUNK_OCTETS;
        size_t count =
            line_ends_feed(&quoting->line_ends, (struct bytes){octets.data, size}, plain);
        made += quote(quoting, (struct bytes){plain, count}, out + made);
        octets = bytes_from(octets, size);
    }
    return made;
}

size_t mbox_quote_finish(struct mbox_quoting *quoting, uint8_t *out)
{
    uint8_t last[1];
    size_t count = line_ends_finish(&quoting->line_ends, last);
    size_t made = quote(quoting, (struct bytes){last, count}, out);
    bool line_is_open = quoting->open || quoting->matched != 0;
    memcpy(out + made, pattern, quoting->matched);
    made += quoting->matched;
    if (line_is_open) {
        out[made++] = '\n';
    }
    out[made++] = '\n';
    *quoting = (struct mbox_quoting){.matched = 0};
    return made;
}

void mbox_hash_init(struct mbox_hash *hash)
{
    *hash = (struct mbox_hash){.in_header = true, .line_begins = true};
    (void)crypto_generichash_init(&hash->state, NULL, 0, MBOX_HASH_OCTETS);
}

static void count_octets(struct mbox_hash *hash, struct bytes octets)
{
    while (octets.size != 0) {
        if (octets.data[0] == '\n') {
            hash->newlines++;
            octets = bytes_from(octets, 1);
            continue;
        }
        for (; hash->newlines != 0; hash->newlines--) {
            (void)crypto_generichash_update(&hash->state, (const uint8_t *)"\n", 1);
        }
        size_t size = bytes_find(octets, '\n');
        (void)crypto_generichash_update(&hash->state, octets.data, size);
        octets = bytes_from(octets, size);
    }
}

/* What mail clients write into a message of an mbox. */
static bool is_clients_note(const struct mbox_hash *hash)
{
    static const char *const notes[] = {"status", "x-status",   "x-keywords",     "x-uid",
                                        "x-imap", "x-imapbase", "content-length", "lines"};
    struct bytes name = {(const uint8_t *)hash->name, hash->name_size};
    for (size_t i = 0; i < sizeof notes / sizeof *notes; i++) {
        if (bytes_equal_ignoring_case(name, bytes_of(notes[i]))) {
            return true;
        }
    }
    return false;
}

/* One octet of a header's line where the field's name is not yet known. */
static void name_octet(struct mbox_hash *hash, uint8_t octet)
{
    bool ends = octet == ':' || octet == '\n' || hash->name_size == MBOX_NAME_OCTETS;
    if (!ends) {
        hash->name[hash->name_size++] = (char)octet;
        return;
    }
    hash->left_out = octet == ':' && is_clients_note(hash);
    if (!hash->left_out) {
        count_octets(hash, (struct bytes){(const uint8_t *)hash->name, hash->name_size});
        count_octets(hash, (struct bytes){&octet, 1});
    }
    hash->in_name = false;
    hash->line_begins = octet == '\n';
}

static void line_begins(struct mbox_hash *hash, uint8_t octet)
{
    hash->line_begins = false;
    hash->name_size = 0;
    if (octet == '\n') {
        hash->in_header = false;
        hash->left_out = false;
    } else if (octet != ' ' && octet != '\t') {
        hash->in_name = true;
        hash->left_out = false;
    }
}

void mbox_hash_feed(struct mbox_hash *hash, struct bytes octets)
{
    while (octets.size != 0 && hash->in_header) {
        if (hash->line_begins) {
            line_begins(hash, octets.data[0]);
        } else if (hash->in_name) {
            name_octet(hash, octets.data[0]);
            octets = bytes_from(octets, 1);
        } else {
            size_t end = bytes_find(octets, '\n');
            size_t size = end < octets.size ? end + 1 : end;
            if (!hash->left_out) {
                count_octets(hash, (struct bytes){octets.data, size});
            }
            hash->line_begins = end < octets.size;
            octets = bytes_from(octets, size);
        }
    }
    count_octets(hash, octets);
}

void mbox_hash_finish(struct mbox_hash *hash, uint8_t hash_out[MBOX_HASH_OCTETS])
{
    if (hash->in_name) {
        count_octets(hash, (struct bytes){(const uint8_t *)hash->name, hash->name_size});
    }
    (void)crypto_generichash_final(&hash->state, hash_out, MBOX_HASH_OCTETS);
}
