/* SPDX-License-Identifier: MIT */
/* An mbox file, read only. A line "From " after an empty line (or at the beginning) begins a message; the
 * mboxrd form, which puts '>' before such lines in a message, is undone. RFC 4155 says what little is said. */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fs.h"
#include "reader/bounds.h"
#include "reader/header.h"
#include "reader/mailbox_types.h"

enum { BLOCK_OCTETS = 64 * 1024, QUOTES_MOST = 1000 };

struct mbox_scan {
    struct mailbox *mailbox;
    uint64_t line_at;
    bool is_after_empty; /* is the line before this one empty, or none? */
    bool is_begun;       /* has a message begun? */
    uint64_t ends_at;    /* where it would end: before the empty line that precedes this line */
};

/* The beginning of a line, gathered over blocks. */
struct line_head {
    char octets[QUOTES_MOST + 8];
    size_t size;
    uint64_t whole;
};

static void close_message(struct mbox_scan *scan, uint64_t end)
{
    if (scan->is_begun) {
        struct mailbox_message *message =
            mailbox_entry(scan->mailbox, scan->mailbox->messages->len);
        message->size = end > message->at ? end - message->at : 0;
    }
}

static void take_line(struct mbox_scan *scan, const struct line_head *line, uint64_t next)
{
    bool is_from = line->size >= 5 && memcmp(line->octets, "From ", 5) == 0;
    bool is_empty = line->whole == 0 || (line->whole == 1 && line->octets[0] == '\r');
    if (is_from && scan->is_after_empty) {
        struct mailbox_message message = {.at = next, .is_unread = true};
        close_message(scan, scan->ends_at);
        (void)g_array_append_val(scan->mailbox->messages, message);
        scan->is_begun = true;
    }
    scan->is_after_empty = is_empty;
    scan->ends_at = is_empty ? scan->line_at : next;
    scan->line_at = next;
}

static void head_append(struct line_head *line, struct bytes piece)
{
    size_t size = MIN(piece.size, sizeof line->octets - line->size);
    if (size > 0) {
        memcpy(line->octets + line->size, piece.data, size);
    }
    line->size += size;
    line->whole += piece.size;
}

static int scan_file(struct mailbox *mailbox, uint64_t size, struct error *error)
{
    static uint8_t block[BLOCK_OCTETS];
    struct source source = {.descriptor = mailbox->descriptor, .size = size};
    struct mbox_scan scan = {.mailbox = mailbox, .is_after_empty = true};
    struct line_head line = {0};
    ssize_t got;
    for (uint64_t at = 0; (got = source_read(&source, at, block, sizeof block, error)) > 0;
         at += (uint64_t)got) {
        struct bytes rest = {.data = block, .size = (size_t)got};
        while (rest.size > 0) {
            size_t length = bytes_find(rest, '\n');
            head_append(&line, (struct bytes){.data = rest.data, .size = length});
            if (length == rest.size) {
                break;
            }
            take_line(&scan, &line, scan.line_at + line.whole + 1);
            line.size = 0;
            line.whole = 0;
            rest = bytes_from(rest, length + 1);
        }
    }
    close_message(&scan, line.whole > 0 ? size : scan.ends_at);
    if (got == 0 && size > 0 && !scan.is_begun) {
        return error_set(error, ERROR_CORRUPT, 0, "that is no mbox: it does not begin with From_");
    }
    return (int)got;
}

/* Mail clients keep what was read in a field of the message. */
static int read_status(struct mailbox *mailbox, struct error *error)
{
    static uint8_t head[READER_LIST_HEADER_OCTETS];
    for (uint64_t number = 1; number <= mailbox_count(mailbox); number++) {
        size_t size;
        uint64_t whole;
        if (mailbox_head(mailbox, number, head, sizeof head, &size, &whole, error) < 0) {
            return -1;
        }
        struct bytes header = {.data = head, .size = size};
        g_autofree char *status = header_raw(header, "Status");
        mailbox_entry(mailbox, number)->is_unread = status == NULL || strchr(status, 'R') == NULL;
    }
    return 0;
}

int mbox_list(struct mailbox *mailbox, const char *path, struct error *error)
{
    struct fs_stat stat;
    struct flock lock = {.l_type = F_RDLCK, .l_whence = SEEK_SET};
    mailbox->descriptor = fs_real.operations->open(&fs_real, (struct fs_name){AT_FDCWD, path},
                                                   O_RDONLY | O_NONBLOCK, 0);
    if (mailbox->descriptor < 0) {
        return error_set(error, ERROR_PERMANENT, -mailbox->descriptor, "the mbox %s", path);
    }
    int result = fs_stat_descriptor(&fs_real, mailbox->descriptor, &stat);
    if (result < 0 || !S_ISREG(stat.mode)) {
        return error_set(error, ERROR_PERMANENT, result < 0 ? -result : 0, "%s is no file", path);
    }
    /* Who appends holds this lock meanwhile; where there are no locks, there is nobody to wait for. */
    if (fcntl(mailbox->descriptor, F_OFD_SETLK, &lock) < 0 &&
        (errno == EAGAIN || errno == EACCES)) {
        return error_set(error, ERROR_IN_USE, 0, "another program writes to %s now", path);
    }
    result = fs_stat_descriptor(&fs_real, mailbox->descriptor, &stat);
    if (result < 0) {
        return error_from_errno(error, -result, "the mbox %s", path);
    }
    return scan_file(mailbox, stat.size, error) < 0 || read_status(mailbox, error) < 0 ? -1 : 0;
}

struct copying {
    int descriptor;
    uint64_t at;
    bool is_line_begin;
};

static int copy_out(struct copying *copying, const void *octets, size_t size, struct error *error)
{
    int result = fs_write_full(&fs_real, copying->descriptor, octets, size, copying->at);
    copying->at += size;
    return result < 0 ? error_from_errno(error, -result, "a temporary copy of the message") : 0;
}

/* How much of a line that begins ">...From " is its first '>': 1 or 0. */
static size_t quote_size(struct bytes line)
{
    size_t quotes = 0;
    while (quotes < line.size && line.data[quotes] == '>') {
        quotes++;
    }
    return quotes > 0 && line.size - quotes >= 5 && memcmp(line.data + quotes, "From ", 5) == 0;
}

/* Copies the lines of a window; the last one only if `is_last`, or if it is too long to have a quote that
 * would not be seen. How many octets were copied. */
static ssize_t copy_lines(struct copying *copying, struct bytes window, bool is_last,
                          struct error *error)
{
    static uint8_t out[BLOCK_OCTETS];
    size_t filled = 0;
    size_t taken = 0;
    while (taken < window.size) {
        struct bytes rest = bytes_from(window, taken);
        size_t size = bytes_find(rest, '\n');
        bool has_end = size < rest.size;
        if (!has_end && !is_last && copying->is_line_begin && size <= QUOTES_MOST) {
            break;
        }
        size_t skip = copying->is_line_begin ? quote_size(rest) : 0;
        size += has_end;
        memcpy(out + filled, rest.data + skip, size - skip);
        filled += size - skip;
        taken += size;
        copying->is_line_begin = has_end;
    }
    return copy_out(copying, out, filled, error) < 0 ? -1 : (ssize_t)taken;
}

static int copy_message(const struct source *source, uint64_t at, struct copying *copying,
                        struct error *error)
{
    static uint8_t window[BLOCK_OCTETS];
    while (at < source->size) {
        ssize_t size = source_read(source, at, window, sizeof window, error);
        if (size <= 0) {
            return (int)size;
        }
        struct bytes octets = {.data = window, .size = (size_t)size};
        ssize_t taken = copy_lines(copying, octets, at + (uint64_t)size == source->size, error);
        if (taken < 0) {
            return -1;
        }
        at += (uint64_t)taken;
    }
    return 0;
}

int mbox_copy_message(struct mailbox *mailbox, uint64_t number, struct source *source_out,
                      struct error *error)
{
    const struct mailbox_message *message = mailbox_entry(mailbox, number);
    const char *folder = g_get_tmp_dir();
    struct copying copying = {.is_line_begin = true};
    /* Not in memory: a message has no limit. */
    copying.descriptor = fs_real.operations->open(&fs_real, (struct fs_name){AT_FDCWD, folder},
                                                  O_RDWR | O_TMPFILE, 0);
    if (copying.descriptor < 0) {
        return error_from_errno(error, -copying.descriptor, "a temporary file in %s", folder);
    }
    struct source whole = {.descriptor = mailbox->descriptor, .size = message->at + message->size};
    if (copy_message(&whole, message->at, &copying, error) < 0) {
        fs_close(&fs_real, &copying.descriptor);
        return -1;
    }
    *source_out = (struct source){.descriptor = copying.descriptor, .size = copying.at};
    return 0;
}
