/* SPDX-License-Identifier: MIT */
/* Octets of files: how many are sent (RFC 1939 section 11), and whether they are a message at all. */
#include "maildrop/maildir/octets.h"

#include <errno.h>

#include <pop3/server.h>

#include "maildrop/examination.h"
#include "maildrop/maildir/index.h"

struct magic {
    const char *octets;
    size_t size;
};

bool octets_are_encoded(struct bytes beginning)
{
#define MAGIC(text)                                                                                \
    {                                                                                              \
        text, sizeof text - 1                                                                      \
    }
    static const struct magic magics[] = {
        MAGIC("\x1f\x8b"),                     /* gzip */
        MAGIC("BZh1\x31\x41\x59\x26\x53\x59"), /* bzip2; any level, see below */
        MAGIC("BZh1\x17\x72\x45\x38\x50\x90"), /* bzip2 of nothing */
        MAGIC("\x04\x22\x4d\x18"),             /* lz4 frame */
        MAGIC("Dovecot-LZ4\x0d\x2a\x9b\xc5"),  /* lz4 as Dovecot writes it */
        MAGIC("\x28\xb5\x2f\xfd"),             /* zstd */
        MAGIC("\xfd\x37\x7a\x58\x5a\x00"),     /* xz */
        MAGIC("CRYPTED\x03\x07"),              /* Dovecot's mail_crypt */
    };
#undef MAGIC
    for (size_t i = 0; i < sizeof magics / sizeof magics[0]; i++) {
        const struct magic *magic = &magics[i];
        bool equal = beginning.size >= magic->size;
        for (size_t at = 0; equal && at < magic->size; at++) {
            uint8_t octet = beginning.data[at];
            bool level = magic->octets[0] == 'B' && at == 3 && octet >= '1' && octet <= '9';
            equal = level || octet == (uint8_t)magic->octets[at];
        }
        if (equal) {
            return true;
        }
    }
    return false;
}

static bool has_8bit(const uint8_t *octets, size_t size)
{
    uint8_t all = 0;
    for (size_t i = 0; i < size; i++) {
        all |= octets[i];
    }
    return all >= 0x80;
}

/* Reads it once more, for few messages have 8-bit octets at all. */
static int examine(const struct octets_file *file, struct octets_counted *counted)
{
    AUTO_FREE struct examination *examination = examination_create();
    if (examination == NULL) {
        return -ENOMEM;
    }
    for (uint64_t offset = 0; offset < counted->size;) {
        uint64_t left = counted->size - offset;
        size_t wanted = left < OCTETS_BUFFER ? (size_t)left : OCTETS_BUFFER;
        ssize_t size =
            file->fs->operations->read(file->fs, file->descriptor, file->buffer, wanted, offset);
        if (size <= 0) {
            return size < 0 ? (int)size : -EIO;
        }
        examination_feed(examination, (struct bytes){.data = file->buffer, .size = (size_t)size});
        offset += (uint64_t)size;
    }
    if (examination_end(examination, &counted->surrogate)) {
        counted->flags |= INDEX_ROW_SURROGATE;
    }
    return 0;
}

int octets_count(const struct octets_file *file, struct octets_counted *counted_out)
{
    struct pop3_octet_count count = {0};
    bool needs_look = false;
    *counted_out = (struct octets_counted){.flags = file->examine ? INDEX_ROW_EXAMINED : 0};
    ssize_t size;
    do {
        size = file->fs->operations->read(file->fs, file->descriptor, file->buffer, OCTETS_BUFFER,
                                          counted_out->size);
        if (size < 0) {
            return (int)size;
        }
        if (counted_out->size == 0) {
            counted_out->encoded =
                octets_are_encoded((struct bytes){.data = file->buffer, .size = (size_t)size});
        }
        pop3_octet_count_feed(&count, file->buffer, (size_t)size);
        if (file->examine && !needs_look) {
            needs_look = has_8bit(file->buffer, (size_t)size);
        }
        counted_out->size += (uint64_t)size;
    } while (size == OCTETS_BUFFER || (size > 0 && !file->short_is_end));
    counted_out->octets = counted_out->encoded ? counted_out->size : pop3_octet_count_end(&count);
    return needs_look && !counted_out->encoded ? examine(file, counted_out) : 0;
}

int octets_open(const struct fs *fs, struct fs_name name)
{
    /* The name has one component, so O_NOFOLLOW is all of RESOLVE_BENEATH, at half its price. */
    return fs_open(fs, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0);
}

bool octets_is_unreadable(int number)
{
    switch (number) {
    case EACCES:
    case EPERM:
    case ELOOP:
    case EXDEV:
    case ENXIO:
    case ENODEV:
    case EISDIR:
    case ENOTDIR:
    case EINVAL:
    case EIO:
    case EUCLEAN:
    case EBADMSG:
    case EKEYREJECTED:
    case ENOKEY:
    case EOVERFLOW:
    case ETXTBSY:
        return true;
    default:
        return false;
    }
}
