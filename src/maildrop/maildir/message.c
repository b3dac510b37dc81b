/* SPDX-License-Identifier: MIT */
/* Reading a message. What is served is what the file had when it was opened, whole or with an error,
 * never less in silence. A row that is wrong is noted: the session goes on with it, the next has it
 * right. */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "maildrop/facts.h"
#include "maildrop/maildir/maildir.h"
#include "maildrop/maildir/name.h"

/* A short read from the kernel's cache may end where a page does, and not the file. */
enum { PAGE_OCTETS_LEAST = 4096 };

/* A file that is being opened. */
struct opened_file {
    const struct fs *fs;
    void *first; /* where its first octets go; NULL: it is only looked at how it begins */
    size_t capacity;
    int descriptor; /* or a negated errno */
    bool is_read;   /* all of it is in `first` */
    struct fs_stat stat;
    struct maildir_place place; /* set by maildir_locate */
};

static void opened_file_init(struct opened_file *file, const struct fs *fs, void *first,
                             size_t capacity)
{
    memset(file, 0, offsetof(struct opened_file, place));
    file->fs = fs;
    file->first = first;
    file->capacity = capacity;
    file->descriptor = -1;
}

/* A message of the size that is known, and a file that can be read at offsets: then one read that asks for
 * more and gets all of it has told all that a look at the file would. */
static bool read_whole(struct opened_file *file)
{
    uint64_t size = file->place.size;
    if (!file->fs->cached_only || size == 0 || size >= file->capacity ||
        size % PAGE_OCTETS_LEAST == 0) {
        return false;
    }
    ssize_t got =
        file->fs->operations->read(file->fs, file->descriptor, file->first, (size_t)size + 1, 0);
    file->is_read = got >= 0 && (uint64_t)got == size;
    file->stat.size = size;
    return file->is_read;
}

static bool open_file(void *context, const struct maildir_place *place)
{
    struct opened_file *file = context;
    struct fs_name name = {place->folder, place->name};
    file->descriptor = octets_open(file->fs, name);
    if (file->descriptor == -ENOENT) {
        return false;
    }
    bool looked_at = file->first == NULL && file->fs->cached_only; /* reading tells as much */
    if (file->descriptor >= 0 && (looked_at || read_whole(file))) {
        return true;
    }
    int result = file->descriptor < 0 ? file->descriptor
                                      : fs_stat_descriptor(file->fs, file->descriptor, &file->stat);
    if (result == 0 && !S_ISREG(file->stat.mode)) {
        result = -EINVAL;
    }
    if (result < 0) {
        fs_close(file->fs, &file->descriptor);
        file->descriptor = result;
    }
    return true;
}

static void note(struct maildir_maildrop *opened, const struct maildir_note *wrong)
{
    size_t at = opened->note_count;
    while (at > 0 && opened->notes[at - 1].index > wrong->index) {
        at--;
    }
    if (at > 0 && opened->notes[at - 1].index == wrong->index) {
        opened->notes[at - 1] = *wrong;
        return;
    }
    if ((opened->note_count & (opened->note_count - 1)) == 0) {
        size_t capacity = opened->note_count == 0 ? 1 : opened->note_count * 2;
        struct maildir_note *notes = realloc(opened->notes, capacity * sizeof *notes);
        if (notes == NULL) {
            return; /* found out again next time */
        }
        opened->notes = notes;
    }
    memmove(opened->notes + at + 1, opened->notes + at,
            (opened->note_count - at) * sizeof *opened->notes);
    opened->notes[at] = *wrong;
    opened->note_count++;
}

static const struct maildir_note *find_note(const struct maildir_maildrop *opened, uint32_t index)
{
    size_t low = 0;
    size_t high = opened->note_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (opened->notes[middle].index < index) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    bool found = low < opened->note_count && opened->notes[low].index == index;
    return found ? &opened->notes[low] : NULL;
}

/* The row of what cannot be served is the file's size from the next login on. */
static void note_unserved(struct maildir_maildrop *opened, uint32_t index,
                          const struct opened_file *file)
{
    struct fs_stat stat = file->stat;
    if (file->descriptor < 0 &&
        fs_stat_name(opened->fs, (struct fs_name){file->place.folder, file->place.name},
                     FS_STAT_LINK, &stat) < 0) {
        return;
    }
    if ((file->place.flags & INDEX_ROW_UNSERVED) == 0 || file->place.octets != stat.size) {
        note(opened, &(struct maildir_note){
                         .index = index,
                         .flags = INDEX_ROW_COUNTED | INDEX_ROW_UNSERVED,
                         .octets = stat.size,
                         .size = stat.size,
                     });
    }
}

static int set_unreadable(struct maildir_maildrop *opened, uint32_t index,
                          const struct opened_file *file, const char *why, struct error *error)
{
    char name[120];
    int number = file->descriptor < 0 ? -file->descriptor : 0;
    note_unserved(opened, index, file);
    return error_set(error, ERROR_UNREADABLE, number, "%s: %s %s", opened->folders.place.path,
                     bytes_escape(bytes_of(file->place.name), name, sizeof name), why);
}

/* Opens the file of a message. 0, -1, MAILDIR_WOULD_BLOCK. */
static int open_message(struct maildir_maildrop *opened, uint32_t index, struct opened_file *file,
                        struct error *error)
{
    int result = maildir_locate(opened, file->fs, index, &file->place, open_file, file, error);
    if (result != 0 || file->descriptor >= 0) {
        return result;
    }
    int number = -file->descriptor;
    if (file->fs->cached_only) {
        return MAILDIR_WOULD_BLOCK; /* whatever is wrong is found out and noted there */
    }
    if (octets_is_unreadable(number)) {
        return set_unreadable(opened, index, file, "cannot be read", error);
    }
    return error_from_errno(error, number, "%s: a message cannot be opened",
                            opened->folders.place.path);
}

static int refuse_encoded(struct maildir_maildrop *opened, uint32_t index, struct opened_file *file,
                          struct bytes beginning, struct error *error)
{
    if (!octets_are_encoded(beginning)) {
        return 0;
    }
    if (file->fs->cached_only) {
        return MAILDIR_WOULD_BLOCK;
    }
    int result =
        set_unreadable(opened, index, file, "was compressed or encrypted by another server", error);
    fs_close(opened->fs, &file->descriptor);
    return result;
}

/* The file is not as long as its name, or the count of an earlier session, says. */
static int count_anew(struct maildir_maildrop *opened, uint32_t index, struct opened_file *file,
                      struct maildrop_operation *operation)
{
    const struct maildir_place *row = &file->place;
    if (row->size == MAILDIR_UNKNOWN || row->size == file->stat.size ||
        find_note(opened, index) != NULL) {
        return 0;
    }
    if (file->fs->cached_only) {
        return MAILDIR_WOULD_BLOCK;
    }
    struct octets_counted counted;
    AUTO_FREE uint8_t *buffer = malloc(OCTETS_BUFFER);
    struct octets_file whole = {.fs = file->fs,
                                .descriptor = file->descriptor,
                                .buffer = buffer,
                                .examine = opened->surrogates};
    int result = buffer == NULL ? -ENOMEM : octets_count(&whole, &counted);
    if (result < 0) {
        return octets_is_unreadable(-result)
                   ? set_unreadable(opened, index, file, "cannot be read", &operation->error)
                   : error_from_errno(&operation->error, -result, "%s: a message cannot be read",
                                      opened->folders.place.path);
    }
    file->stat.size = counted.size; /* so much is served */
    bool surrogate = (counted.flags & INDEX_ROW_SURROGATE) != 0;
    operation->result.read.row_was_wrong =
        (surrogate ? counted.surrogate : counted.octets) != row->shown;
    note(opened, &(struct maildir_note){
                     .index = index,
                     .flags = INDEX_ROW_COUNTED | counted.flags,
                     .octets = counted.octets,
                     .size = counted.size,
                     .surrogate = counted.surrogate,
                 });
    return 0;
}

/* Reads on from what is in `got` until the header ends: whatever the row says, no 8-bit octet in it goes to who
 * cannot read it. */
static int look_at_header(const struct opened_file *file, struct bytes got,
                          struct maildrop_operation *operation)
{
    struct header_facts facts = {0};
    header_facts_feed(&facts, got);
    uint64_t offset = got.size;
    while (!facts.complete && offset < file->stat.size) {
        uint8_t buffer[4096];
        ssize_t size =
            file->fs->operations->read(file->fs, file->descriptor, buffer, sizeof buffer, offset);
        if (size == -EAGAIN && file->fs->cached_only) {
            return MAILDIR_WOULD_BLOCK;
        }
        if (size < 0) {
            return (int)size;
        }
        if (size == 0) {
            break;
        }
        header_facts_feed(&facts, (struct bytes){.data = buffer, .size = (size_t)size});
        offset += (uint64_t)size;
    }
    operation->result.read.needs_surrogate = facts.has_8bit;
    return 0;
}

static int set_read_error(const struct maildir_maildrop *opened, ssize_t number,
                          struct error *error)
{
    if (number == 0) {
        return error_set(error, ERROR_UNREADABLE, 0, "%s: a message became shorter as it was read",
                         opened->folders.place.path);
    }
    return error_set(error, ERROR_UNREADABLE, (int)-number, "%s: a message cannot be read",
                     opened->folders.place.path);
}

static int read_octets(struct maildir_maildrop *opened, const struct fs *fs,
                       struct maildrop_operation *operation)
{
    struct maildir_message *message = &opened->message;
    uint64_t offset = operation->request.read.offset;
    uint64_t left = offset < message->size ? message->size - offset : 0;
    size_t size = operation->request.read.capacity;
    if (size > left) {
        size = (size_t)left;
    }
    ssize_t got = size == 0 ? 0
                            : fs->operations->read(fs, message->descriptor,
                                                   operation->request.read.buffer, size, offset);
    if (got == -EAGAIN && fs->cached_only) {
        return MAILDIR_WOULD_BLOCK;
    }
    if (got < 0 || (got == 0 && size != 0)) {
        return set_read_error(opened, got, &operation->error);
    }
    operation->result.read.size = (size_t)got;
    operation->result.read.end = (uint64_t)got == left;
    return 0;
}

bool maildir_sent(struct maildir_maildrop *opened, uint64_t octets)
{
    const struct maildir_message *message = &opened->message;
    bool unserved = (message->row_flags & INDEX_ROW_UNSERVED) != 0;
    bool right = octets == message->row_octets;
    assert(message->descriptor >= 0);
    if (find_note(opened, message->index) != NULL) {
        return true; /* told before */
    }
    if (!right || unserved) { /* not examined any more, and that is done at the next login */
        note(opened, &(struct maildir_note){
                         .index = message->index,
                         .flags = INDEX_ROW_COUNTED,
                         .octets = message->surrogate ? message->octets : octets,
                         .size = message->size,
                     });
    }
    return right;
}

void maildir_read_close(struct maildir_maildrop *opened)
{
    fs_close(opened->fs, &opened->message.descriptor);
}

static void mark_readable(struct maildir_maildrop *opened, uint32_t index)
{
    if (opened->readable == NULL) {
        opened->readable = calloc(1, opened->snapshot.header.count / 8 + 1);
    }
    if (opened->readable != NULL) {
        opened->readable[index / 8] |= (uint8_t)(1U << index % 8);
    }
}

static bool is_readable(const struct maildir_maildrop *opened, uint32_t index)
{
    return opened->readable != NULL && (opened->readable[index / 8] >> index % 8 & 1) != 0;
}

/* The first octets of `file`, which must not be what another server encoded. */
static int look_at_beginning(struct maildir_maildrop *opened, struct opened_file *file,
                             uint32_t index, struct error *error)
{
    uint8_t buffer[OCTETS_MAGIC_MOST];
    ssize_t size = fs_read_full(file->fs, file->descriptor, buffer, sizeof buffer, 0);
    if (size < 0 && file->fs->cached_only) {
        return MAILDIR_WOULD_BLOCK; /* whatever is wrong is found out there */
    }
    if (size < 0) {
        return set_read_error(opened, size, error);
    }
    return refuse_encoded(opened, index, file, (struct bytes){.data = buffer, .size = (size_t)size},
                          error);
}

/* The first octets that are served: is it a message, and what of its header? */
static int look_at_first(struct maildir_maildrop *opened, struct opened_file *file,
                         struct maildrop_operation *operation)
{
    uint32_t index = operation->request.read.index;
    struct bytes got = {
        .data = operation->request.read.buffer,
        .size = operation->result.read.size,
    };
    int result = 0;
    if (got.size >= OCTETS_MAGIC_MOST || operation->result.read.end) {
        result = refuse_encoded(opened, index, file, got, &operation->error);
    } else {
        result = look_at_beginning(opened, file, index, &operation->error);
    }
    if (result == 0 && opened->surrogates && !operation->result.read.needs_surrogate) {
        result = look_at_header(file, got, operation);
        if (result < 0) {
            result = set_read_error(opened, result, &operation->error);
        }
    }
    return result;
}

/* As its row, or what was found out since, says. */
static bool is_surrogate(const struct maildir_maildrop *opened, uint32_t index, uint32_t row_flags)
{
    const struct maildir_note *noted = opened->surrogates ? find_note(opened, index) : NULL;
    uint32_t flags = noted != NULL ? noted->flags : row_flags;
    return opened->surrogates && (flags & INDEX_ROW_SURROGATE) != 0;
}

static int read_first(struct maildir_maildrop *opened, struct opened_file *file,
                      struct maildrop_operation *operation)
{
    uint32_t index = operation->request.read.index;
    int result = open_message(opened, index, file, &operation->error);
    if (result == 0) {
        result = count_anew(opened, index, file, operation);
    }
    if (result != 0) {
        return result;
    }
    operation->result.read.needs_surrogate = is_surrogate(opened, index, file->place.flags);
    opened->message = (struct maildir_message){
        .descriptor = file->descriptor,
        .index = index,
        .size = file->stat.size,
        .row_octets = file->place.shown,
        .octets = file->place.octets,
        .row_flags = file->place.flags,
    };
    if (file->is_read) {
        operation->result.read.size = (size_t)file->stat.size;
        operation->result.read.end = true;
    } else {
        result = read_octets(opened, file->fs, operation);
    }
    if (result == 0) {
        result = look_at_first(opened, file, operation);
    }
    opened->message.surrogate = operation->result.read.needs_surrogate;
    if (result != 0) {
        opened->message.descriptor = -1; /* `file` has it */
    }
    return result;
}

int maildir_read(struct maildir_maildrop *opened, const struct fs *fs,
                 struct maildrop_operation *operation)
{
    uint32_t index = operation->request.read.index;
    int result;
    if (operation->request.read.offset == 0) {
        UNINITIALIZED struct opened_file file;
        opened_file_init(&file, fs, operation->request.read.buffer,
                         operation->request.read.capacity);
        maildir_read_close(opened);
        result = read_first(opened, &file, operation);
        if (result != 0) {
            fs_close(fs, &file.descriptor);
            return result;
        }
    } else {
        assert(opened->message.descriptor >= 0 && opened->message.index == index);
        result = read_octets(opened, fs, operation);
    }
    if (result == 0) {
        mark_readable(opened, index);
    }
    return result;
}

int maildir_check(struct maildir_maildrop *opened, const struct fs *fs,
                  struct maildrop_operation *operation)
{
    uint32_t index = operation->request.check.index;
    if (is_readable(opened, index)) {
        return 0;
    }
    UNINITIALIZED struct opened_file file;
    opened_file_init(&file, fs, NULL, 0);
    int result = open_message(opened, index, &file, &operation->error);
    if (result == 0) {
        result = look_at_beginning(opened, &file, index, &operation->error);
    }
    if (fs->cached_only) {
        fs_close_later(fs, &maildir_store_of(opened)->closing, &file.descriptor);
    }
    fs_close(fs, &file.descriptor);
    return result;
}
