/* SPDX-License-Identifier: MIT */
/* Looking for a message in an mbox after a kill. It is known by its From_ line and its hash, which leaves out what
 * mail clients add. A torn tail is ours only if it begins with the very From_ line that was recorded, and no other
 * message follows: quoting sees to it that no line of ours looks like one. */
#include "fetch/mbox_search.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"

enum { CHUNK_OCTETS = 65536, FROM_OCTETS = 5 };

struct mbox_found {
    uint8_t from_hash[MBOX_HASH_OCTETS], hash[MBOX_HASH_OCTETS];
    bool taken;
};

void mbox_place_write(const struct mbox_place *place, char out[MBOX_PLACE_OCTETS])
{
    char digits[2 * MBOX_HASH_OCTETS + 1];
    (void)sodium_bin2hex(digits, sizeof digits, place->hash, MBOX_HASH_OCTETS);
    (void)snprintf(out, MBOX_PLACE_OCTETS, "%" PRIu64 " %" PRIu64 " %" PRId64 " %s", place->offset,
                   place->length, place->time_s, digits);
}

bool mbox_place_read(const char *text, struct mbox_place *place_out)
{
    char digits[2 * MBOX_HASH_OCTETS + 1] = "";
    size_t size = 0;
    return sscanf(text, "%" SCNu64 " %" SCNu64 " %" SCNd64 " %32[0-9a-f]", &place_out->offset,
                  &place_out->length, &place_out->time_s, digits) == 4 &&
           place_out->offset <= INT64_MAX && place_out->length <= INT64_MAX / 2 &&
           sodium_hex2bin(place_out->hash, MBOX_HASH_OCTETS, digits, strlen(digits), NULL, &size,
                          NULL) == 0 &&
           size == MBOX_HASH_OCTETS;
}

static int fail(ssize_t result, struct error *error)
{
    return error_from_errno(error, (int)-result, "the mbox cannot be read");
}

/* Is the message whole where it was put? */
static int is_at(int file, const struct mbox_place *place, uint8_t *chunk, bool *is_out,
                 struct error *error)
{
    char from[MBOX_FROM_OCTETS];
    size_t from_size = mbox_from_line(place->time_s, from);
    struct mbox_hash hash;
    uint8_t found[MBOX_HASH_OCTETS];
    *is_out = false;
    if (place->length < from_size) {
        return 0;
    }
    ssize_t size = fs_read_full(&fs_real, file, chunk, from_size, place->offset);
    if (size < 0) {
        return fail(size, error);
    }
    if ((size_t)size != from_size || memcmp(chunk, from, from_size) != 0) {
        return 0;
    }
    mbox_hash_init(&hash);
    uint64_t end = place->offset + place->length;
    for (uint64_t at = place->offset + from_size; at < end; at += (uint64_t)size) {
        size_t wanted = end - at < CHUNK_OCTETS ? (size_t)(end - at) : CHUNK_OCTETS;
        size = fs_read_full(&fs_real, file, chunk, wanted, at);
        if (size <= 0) {
            return size < 0 ? fail(size, error) : 0;
        }
        mbox_hash_feed(&hash, (struct bytes){chunk, (size_t)size});
    }
    mbox_hash_finish(&hash, found);
    *is_out = memcmp(found, place->hash, MBOX_HASH_OCTETS) == 0;
    return 0;
}

/* Goes through octets that are messages with their From_ lines. */
struct scan {
    struct mbox_search *search; /* gets what is found; NULL: only the count is wanted */
    crypto_generichash_state from;
    struct mbox_hash hash;
    size_t begun;   /* messages */
    size_t matched; /* octets of "From " at a line's beginning */
    bool in_line, in_from;
    bool only_nuls;
    struct error *error;
};

static int add_found(struct scan *scan)
{
    struct mbox_search *search = scan->search;
    if (search == NULL || scan->begun == 0) {
        return 0;
    }
    if ((search->count & (search->count - 1)) == 0) {
        size_t room = search->count == 0 ? 1 : 2 * search->count;
        struct mbox_found *found = realloc(search->found, room * sizeof *found);
        if (found == NULL) {
            return error_set(scan->error, ERROR_TEMPORARY, 0, "out of memory");
        }
        search->found = found;
    }
    struct mbox_found *found = &search->found[search->count++];
    found->taken = false;
    (void)crypto_generichash_final(&scan->from, found->from_hash, MBOX_HASH_OCTETS);
    mbox_hash_finish(&scan->hash, found->hash);
    return 0;
}

static void put(struct scan *scan, struct bytes octets)
{
    if (scan->in_from) {
        (void)crypto_generichash_update(&scan->from, octets.data, octets.size);
    } else {
        mbox_hash_feed(&scan->hash, octets);
    }
}

static int begin_message(struct scan *scan)
{
    if (add_found(scan) < 0) {
        return -1;
    }
    scan->begun++;
    (void)crypto_generichash_init(&scan->from, NULL, 0, MBOX_HASH_OCTETS);
    mbox_hash_init(&scan->hash);
    scan->in_from = true;
    return 0;
}

static const uint8_t pattern[FROM_OCTETS] = {'F', 'r', 'o', 'm', ' '};

/* The next octet at a line's beginning. Returns how many were taken, or -1. */
static int line_octet(struct scan *scan, uint8_t octet)
{
    if (octet == pattern[scan->matched]) {
        if (++scan->matched < FROM_OCTETS) {
            return 1;
        }
        if (begin_message(scan) < 0) {
            return -1;
        }
        put(scan, (struct bytes){pattern, FROM_OCTETS});
        scan->matched = 0;
        scan->in_line = true;
        return 1;
    }
    put(scan, (struct bytes){pattern, scan->matched});
    scan->matched = 0;
    scan->in_line = true;
    return 0;
}

static int scan_feed(struct scan *scan, struct bytes octets)
{
    scan->only_nuls = scan->only_nuls && octets.data[0] == 0 &&
                      memcmp(octets.data, octets.data + 1, octets.size - 1) == 0;
    while (octets.size != 0) {
        if (!scan->in_line) {
            int taken = line_octet(scan, octets.data[0]);
            if (taken < 0) {
                return -1;
            }
            octets = bytes_from(octets, (size_t)taken);
            continue;
        }
        size_t end = bytes_find(octets, '\n');
        size_t size = end < octets.size ? end + 1 : end;
        put(scan, (struct bytes){octets.data, size});
        if (end < octets.size) {
            scan->in_line = scan->in_from = false;
        }
        octets = bytes_from(octets, size);
    }
    return 0;
}

static int scan_file(struct scan *scan, int file, uint64_t from, uint8_t *chunk)
{
    for (uint64_t at = from;;) {
        ssize_t size = fs_read_full(&fs_real, file, chunk, CHUNK_OCTETS, at);
        if (size < 0) {
            return fail(size, scan->error);
        }
        if (size == 0) {
            put(scan, (struct bytes){pattern, scan->matched});
            return add_found(scan);
        }
        if (scan_feed(scan, (struct bytes){chunk, (size_t)size}) < 0) {
            return -1;
        }
        at += (uint64_t)size;
    }
}

/* Cuts off what a kill, or a power cut, left of a message at the end of the file. */
static int cut_torn(int file, const struct mbox_place *place, uint8_t *chunk, struct error *error)
{
    struct stat stat;
    char from[MBOX_FROM_OCTETS];
    size_t from_size = mbox_from_line(place->time_s, from);
    if (fstat(file, &stat) < 0) {
        return fail(-errno, error);
    }
    uint64_t size = (uint64_t)stat.st_size;
    if (size <= place->offset) {
        return 0;
    }
    ssize_t count = fs_read_full(&fs_real, file, chunk, from_size, place->offset);
    if (count < 0) {
        return fail(count, error);
    }
    bool begins_as_ours = memcmp(chunk, from, (size_t)count) == 0;
    struct scan scan = {.only_nuls = true, .error = error};
    if (scan_file(&scan, file, place->offset, chunk) < 0) {
        return -1;
    }
    bool is_torn = size < place->offset + place->length && begins_as_ours && scan.begun <= 1;
    if ((is_torn || scan.only_nuls) &&
        (ftruncate(file, (off_t)place->offset) < 0 || fsync(file) < 0)) {
        return error_from_errno(error, errno, "the end of the mbox cannot be cut off");
    }
    return 0;
}

static int find_all(struct mbox_search *search, uint8_t *chunk, struct error *error)
{
    if (!search->searched) {
        struct scan scan = {.search = search, .only_nuls = true, .error = error};
        if (scan_file(&scan, search->file, 0, chunk) < 0) {
            return -1;
        }
        search->searched = true;
    }
    return 0;
}

static bool take_found(struct mbox_search *search, const struct mbox_place *place)
{
    char from[MBOX_FROM_OCTETS];
    uint8_t from_hash[MBOX_HASH_OCTETS];
    size_t from_size = mbox_from_line(place->time_s, from);
    (void)crypto_generichash(from_hash, sizeof from_hash, (const uint8_t *)from, from_size, NULL,
                             0);
    for (size_t i = 0; i < search->count; i++) {
        struct mbox_found *found = &search->found[i];
        if (!found->taken && memcmp(found->from_hash, from_hash, MBOX_HASH_OCTETS) == 0 &&
            memcmp(found->hash, place->hash, MBOX_HASH_OCTETS) == 0) {
            found->taken = true;
            return true;
        }
    }
    return false;
}

int mbox_search(struct mbox_search *search, const struct mbox_place *place, bool *there_out,
                struct error *error)
{
    AUTO_FREE uint8_t *chunk = malloc(CHUNK_OCTETS);
    if (chunk == NULL) {
        return error_set(error, ERROR_TEMPORARY, 0, "out of memory");
    }
    if (is_at(search->file, place, chunk, there_out, error) < 0) {
        return -1;
    }
    if (*there_out) {
        return 0;
    }
    if (cut_torn(search->file, place, chunk, error) < 0 || find_all(search, chunk, error) < 0) {
        return -1;
    }
    *there_out = take_found(search, place);
    return 0;
}

void mbox_search_finish(struct mbox_search *search)
{
    free(search->found);
    *search = (struct mbox_search){.file = -1};
}
