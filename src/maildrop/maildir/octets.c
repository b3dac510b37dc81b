/* SPDX-License-Identifier: MIT */
/* Octets of files: how many are sent (RFC 1939 section 11), and whether they are a message at all. */
#include "maildrop/maildir/octets.h"

#include <errno.h>

#include <pop3/server.h>

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

int octets_count(const struct fs *fs, int descriptor, uint8_t *buffer, bool short_is_end,
                 struct octets_counted *counted_out)
{
    struct pop3_octet_count count = {0};
    *counted_out = (struct octets_counted){0};
    ssize_t size;
    do {
        size = fs->operations->read(fs, descriptor, buffer, OCTETS_BUFFER, counted_out->size);
        if (size < 0) {
            return (int)size;
        }
        if (counted_out->size == 0) {
            counted_out->encoded =
                octets_are_encoded((struct bytes){.data = buffer, .size = (size_t)size});
        }
        pop3_octet_count_feed(&count, buffer, (size_t)size);
        counted_out->size += (uint64_t)size;
    } while (size == OCTETS_BUFFER || (size > 0 && !short_is_end));
    counted_out->octets = counted_out->encoded ? counted_out->size : pop3_octet_count_end(&count);
    return 0;
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
