/* SPDX-License-Identifier: MIT */
/* The file of unique ids. It is replaced as a whole: written beside, fsynced, renamed, the folder
 * fsynced; so a line that is wrong is somebody's mistake, and ids that might be wrong are not shown. */
#include "maildrop/maildir/ids.h"

#include <errno.h>
#include <stdlib.h>

#include "maildrop/maildir/name.h"

#define FIRST_LINE "restante ids 1\n"

struct text {
    uint8_t *data;
    size_t size;
};

static int read_all(const struct fs *fs, int descriptor, struct text *text_out)
{
    size_t capacity = 65536;
    size_t size = 0;
    uint8_t *text = malloc(capacity);
    while (text != NULL) {
        ssize_t count = fs_read_full(fs, descriptor, text + size, capacity - size, size);
        if (count < 0) {
            free(text);
            return (int)count;
        }
        size += (size_t)count;
        if (size < capacity) {
            *text_out = (struct text){.data = text, .size = size};
            return 0;
        }
        capacity *= 2;
        uint8_t *larger = realloc(text, capacity);
        if (larger == NULL) {
            free(text);
        }
        text = larger;
    }
    return -ENOMEM;
}

/* 0 with `data` NULL if there is no file. */
static int read_file(const struct fs *fs, int root, struct text *text_out,
                     struct index_stamp *stamp_out)
{
    *text_out = (struct text){0};
    *stamp_out = (struct index_stamp){0};
    int descriptor =
        fs_open(fs, (struct fs_name){root, IDS_NAME}, O_RDONLY | O_NOFOLLOW | O_NONBLOCK,
                RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS);
    if (descriptor < 0) {
        return descriptor == -ENOENT ? 0 : descriptor;
    }
    struct fs_stat stat;
    int result = fs_stat_descriptor(fs, descriptor, &stat);
    if (result == 0) {
        *stamp_out = index_stamp_of(&stat);
        result = read_all(fs, descriptor, text_out);
    }
    fs_close(fs, &descriptor);
    return result;
}

static int hex_value(uint8_t octet)
{
    if (octet >= '0' && octet <= '9') {
        return octet - '0';
    }
    return octet >= 'A' && octet <= 'F' ? octet - 'A' + 10 : -1;
}

/* Undoes %XX in place; -1 where that is not what ids_add writes. */
static int unescape(uint8_t *data, size_t *size)
{
    size_t made = 0;
    for (size_t i = 0; i < *size; i++) {
        uint8_t octet = data[i];
        if (octet == '%') {
            int high = *size - i > 2 ? hex_value(data[i + 1]) : -1;
            int low = *size - i > 2 ? hex_value(data[i + 2]) : -1;
            if (high < 0 || low < 0) {
                return -1;
            }
            octet = (uint8_t)(high << 4 | low);
            i += 2;
        } else if (octet < 0x21 || octet > 0x7E) {
            return -1;
        }
        data[made++] = octet;
    }
    *size = made;
    return 0;
}

static int parse_line(uint8_t *line, size_t size, struct ids_entry *entry_out)
{
    struct bytes whole = {.data = line, .size = size};
    size_t space = bytes_find(whole, ' ');
    struct bytes id = {.data = line, .size = space};
    if (space == size || !maildir_is_unique_id(id)) {
        return -1;
    }
    size_t base_size = size - space - 1;
    if (unescape(line + space + 1, &base_size) < 0) {
        return -1;
    }
    *entry_out = (struct ids_entry){
        .base = {.data = line + space + 1, .size = base_size},
        .unique_id = id,
    };
    return 0;
}

static int compare_bytes(struct bytes a, struct bytes b)
{
    size_t common = a.size < b.size ? a.size : b.size;
    int order = common == 0 ? 0 : memcmp(a.data, b.data, common);
    if (order == 0 && a.size != b.size) {
        order = a.size < b.size ? -1 : 1;
    }
    return order;
}

static int compare_bases(const void *a, const void *b)
{
    const struct ids_entry *first = a;
    const struct ids_entry *second = b;
    return compare_bytes(first->base, second->base);
}

static int compare_ids(const void *a, const void *b)
{
    const struct ids_entry *first = a;
    const struct ids_entry *second = b;
    return compare_bytes(first->unique_id, second->unique_id);
}

static int check_unique(struct ids *ids, struct error *error)
{
    memcpy(ids->owners, ids->entries, ids->count * sizeof *ids->entries);
    qsort(ids->owners, ids->count, sizeof *ids->owners, compare_ids);
    for (size_t i = 1; i < ids->count; i++) {
        if (compare_ids(&ids->owners[i - 1], &ids->owners[i]) == 0) {
            char id[POP3_UNIQUE_ID_OCTETS + 8];
            return error_set(error, ERROR_CORRUPT, 0, "%s: two messages have the id %s", IDS_NAME,
                             bytes_escape(ids->owners[i].unique_id, id, sizeof id));
        }
    }
    qsort(ids->entries, ids->count, sizeof *ids->entries, compare_bases);
    for (size_t i = 1; i < ids->count; i++) {
        if (compare_bases(&ids->entries[i - 1], &ids->entries[i]) == 0) {
            char id[POP3_UNIQUE_ID_OCTETS + 8];
            return error_set(error, ERROR_CORRUPT, 0, "%s: the message with the id %s has two",
                             IDS_NAME, bytes_escape(ids->entries[i].unique_id, id, sizeof id));
        }
    }
    return 0;
}

static int parse(struct ids *ids, size_t size, struct error *error)
{
    struct bytes first = bytes_of(FIRST_LINE);
    if (size < first.size || memcmp(ids->text, first.data, first.size) != 0) {
        return error_set(error, ERROR_CORRUPT, 0, "%s: its first line is not \"%.*s\"", IDS_NAME,
                         (int)first.size - 1, FIRST_LINE);
    }
    size_t lines = 0;
    for (size_t i = first.size; i < size; i++) {
        lines += ids->text[i] == '\n';
    }
    ids->entries = calloc(lines + 1, sizeof *ids->entries);
    ids->owners = calloc(lines + 1, sizeof *ids->owners);
    if (ids->entries == NULL || ids->owners == NULL) {
        return error_set(error, ERROR_TEMPORARY, 0, "no memory for %s", IDS_NAME);
    }
    for (size_t at = first.size; at < size;) {
        struct bytes rest = {.data = ids->text + at, .size = size - at};
        size_t length = bytes_find(rest, '\n');
        if (length == rest.size ||
            parse_line(ids->text + at, length, &ids->entries[ids->count]) < 0) {
            return error_set(error, ERROR_CORRUPT, 0, "%s:%zu: is not \"ID NAME\"", IDS_NAME,
                             ids->count + 2);
        }
        ids->count++;
        at += length + 1;
    }
    return check_unique(ids, error);
}

int ids_load(const struct fs *fs, int root, struct ids *ids_out, struct error *error)
{
    *ids_out = (struct ids){0};
    struct text text;
    int result = read_file(fs, root, &text, &ids_out->stamp);
    if (result < 0) {
        return error_from_errno(error, -result, "%s cannot be read", IDS_NAME);
    }
    if (text.data == NULL) {
        return 0;
    }
    ids_out->text = text.data;
    if (parse(ids_out, text.size, error) < 0) {
        ids_finish(ids_out);
        return -1;
    }
    return 0;
}

void ids_finish(struct ids *ids)
{
    free(ids->text);
    free(ids->entries);
    free(ids->owners);
    *ids = (struct ids){0};
}

const struct ids_entry *ids_find(const struct ids *ids, struct bytes base)
{
    struct ids_entry key = {.base = base};
    return ids->count == 0
               ? NULL
               : bsearch(&key, ids->entries, ids->count, sizeof *ids->entries, compare_bases);
}

const struct ids_entry *ids_find_owner(const struct ids *ids, struct bytes unique_id)
{
    struct ids_entry key = {.unique_id = unique_id};
    return ids->count == 0
               ? NULL
               : bsearch(&key, ids->owners, ids->count, sizeof *ids->owners, compare_ids);
}

static size_t escape(struct bytes base, uint8_t *out)
{
    static const char digits[] = "0123456789ABCDEF";
    size_t made = 0;
    for (size_t i = 0; i < base.size; i++) {
        uint8_t octet = base.data[i];
        if (octet >= 0x21 && octet <= 0x7E && octet != '%') {
            out[made++] = octet;
            continue;
        }
        out[made++] = '%';
        out[made++] = (uint8_t)digits[octet >> 4];
        out[made++] = (uint8_t)digits[octet & 15];
    }
    return made;
}

/* The old file's octets and the new lines, on the heap. */
static int compose(struct text old, const struct ids_entry *entries, size_t count,
                   struct text *text_out)
{
    size_t capacity = old.size + sizeof FIRST_LINE;
    for (size_t i = 0; i < count; i++) {
        capacity += entries[i].unique_id.size + 3 * entries[i].base.size + 2;
    }
    uint8_t *text = malloc(capacity);
    if (text == NULL) {
        return -ENOMEM;
    }
    struct bytes begin = bytes_of(FIRST_LINE);
    if (old.size != 0) {
        begin = (struct bytes){.data = old.data, .size = old.size};
    }
    memcpy(text, begin.data, begin.size);
    size_t size = begin.size;
    for (size_t i = 0; i < count; i++) {
        memcpy(text + size, entries[i].unique_id.data, entries[i].unique_id.size);
        size += entries[i].unique_id.size;
        text[size++] = ' ';
        size += escape(entries[i].base, text + size);
        text[size++] = '\n';
    }
    *text_out = (struct text){.data = text, .size = size};
    return 0;
}

/* Makes an empty file, whatever a process that died left there. */
static int create_beside(const struct fs *fs, int root)
{
    struct fs_name name = {root, IDS_NEW_NAME};
    int flags = O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW;
    int descriptor = fs_open(fs, name, flags, RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS);
    if (descriptor == -EEXIST) {
        (void)fs->operations->unlink(fs, name); /* the next open tells */
        descriptor = fs_open(fs, name, flags, RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS);
    }
    return descriptor;
}

static int replace(const struct fs *fs, int root, struct text text, struct index_stamp *stamp_out)
{
    struct fs_name beside = {root, IDS_NEW_NAME};
    int descriptor = create_beside(fs, root);
    if (descriptor < 0) {
        return descriptor;
    }
    int result = fs_write_full(fs, descriptor, text.data, text.size, 0);
    if (result == 0) {
        result = fs->operations->sync(fs, descriptor);
    }
    if (result == 0) {
        result = fs->operations->rename(fs, beside, (struct fs_name){root, IDS_NAME}, true);
    }
    if (result < 0) {
        (void)fs->operations->unlink(fs, beside); /* what is left there is replaced next time */
    }
    struct fs_stat stat;
    if (result == 0) {
        result = fs_stat_descriptor(fs, descriptor, &stat);
    }
    fs_close(fs, &descriptor);
    int folder = result == 0 ? fs_reopen_folder(fs, root) : -1;
    if (result == 0) {
        result = folder < 0 ? folder : fs->operations->sync(fs, folder);
        fs_close(fs, &folder);
    }
    if (result == 0) {
        *stamp_out = index_stamp_of(&stat);
    }
    return result;
}

int ids_add(const struct fs *fs, int root, const struct ids_entry *entries, size_t count,
            struct index_stamp *stamp_out, struct error *error)
{
    struct text old;
    struct text text;
    struct index_stamp old_stamp;
    int result = read_file(fs, root, &old, &old_stamp);
    if (result == 0) {
        result = compose(old, entries, count, &text);
        if (result == 0) {
            result = replace(fs, root, text, stamp_out);
            free(text.data);
        }
        free(old.data);
    }
    if (result < 0) {
        return error_from_errno(error, -result, "%s cannot be written", IDS_NAME);
    }
    return 0;
}
