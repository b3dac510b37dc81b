/* SPDX-License-Identifier: MIT */
/* A tree by fingerprint of what the file says; each entry knows where its line is. Lines that are not as they
 * should be are skipped, and stay as they are. */
#include "account/last_uses.h"

#include <errno.h>
#include <fcntl.h>
#include <search.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sodium.h>

enum {
    DATE_OCTETS = LAST_USE_DATE_SIZE - 1,
    TEXT_OCTETS = 22, /* of a fingerprint */
    LINE_OCTETS = DATE_OCTETS + 1 + TEXT_OCTETS + 1,
    READ_LINES = 256,
    VARIANT = sodium_base64_VARIANT_URLSAFE_NO_PADDING,
};

struct use {
    uint8_t fingerprint[SECRET_FINGERPRINT_OCTETS]; /* first: what the tree compares */
    char date[LAST_USE_DATE_SIZE];
    bool has_line;
    off_t line;  /* offset, where it has one */
    bool is_new; /* the date is not in the file yet */
    struct use *next_new;
};

struct last_uses {
    int descriptor; /* -1: no file */
    off_t known;    /* octets of the file that were read */
    void *tree;
    struct use *new; /* a list */
};

static int compare(const void *a, const void *b)
{
    return memcmp(a, b, SECRET_FINGERPRINT_OCTETS);
}

static struct use *find(const struct last_uses *uses, const uint8_t *fingerprint)
{
    struct use **found = tfind(fingerprint, &uses->tree, compare);
    return found == NULL ? NULL : *found;
}

/* NULL: no memory. */
static struct use *find_or_add(struct last_uses *uses, const uint8_t *fingerprint)
{
    struct use *use = find(uses, fingerprint);
    if (use != NULL || (use = calloc(1, sizeof *use)) == NULL) {
        return use;
    }
    memcpy(use->fingerprint, fingerprint, sizeof use->fingerprint);
    if (tsearch(use, &uses->tree, compare) == NULL) {
        free(use);
        return NULL;
    }
    return use;
}

static bool is_date(const char *text)
{
    for (int i = 0; i < DATE_OCTETS; i++) {
        bool is_good = i == 4 || i == 7 ? text[i] == '-' : text[i] >= '0' && text[i] <= '9';
        if (!is_good) {
            return false;
        }
    }
    return true;
}

/* -1: no memory. */
static int take_line(struct last_uses *uses, const char line[LINE_OCTETS], off_t offset)
{
    uint8_t fingerprint[SECRET_FINGERPRINT_OCTETS];
    size_t size;
    if (!is_date(line) || line[DATE_OCTETS] != ' ' || line[LINE_OCTETS - 1] != '\n' ||
        sodium_base642bin(fingerprint, sizeof fingerprint, line + DATE_OCTETS + 1, TEXT_OCTETS,
                          NULL, &size, NULL, VARIANT) < 0 ||
        size != sizeof fingerprint) {
        return 0;
    }
    struct use *use = find_or_add(uses, fingerprint);
    if (use == NULL) {
        return -1;
    }
    use->has_line = true;
    use->line = offset;
    if (memcmp(line, use->date, DATE_OCTETS) > 0) {
        memcpy(use->date, line, DATE_OCTETS);
    }
    return 0;
}

/* Reads the lines that came to the file since it was read. */
static int read_on(struct last_uses *uses, struct error *error)
{
    static const char file[] = "the dates of last use";
    char octets[READ_LINES * LINE_OCTETS];
    for (;;) {
        ssize_t got = pread(uses->descriptor, octets, sizeof octets, uses->known);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            return error_from_errno(error, errno, "%s: cannot read", file);
        }
        size_t lines = (size_t)got / LINE_OCTETS;
        if (lines == 0) {
            return 0; /* the end, or the beginning of a line that a full disk cut */
        }
        for (size_t i = 0; i < lines; i++) {
            if (take_line(uses, octets + i * LINE_OCTETS, uses->known) < 0) {
                return error_set(error, ERROR_TEMPORARY, ENOMEM, "no memory for %s", file);
            }
            uses->known += LINE_OCTETS;
        }
    }
}

int last_uses_open(const char *path, bool may_write, struct last_uses **uses_out,
                   struct error *error)
{
    int flags = may_write ? O_RDWR | O_CREAT : O_RDONLY;
    struct last_uses *uses = calloc(1, sizeof *uses);
    if (uses == NULL || sodium_init() < 0) {
        free(uses);
        return error_set(error, ERROR_TEMPORARY, ENOMEM, "no memory for the dates of last use");
    }
    uses->descriptor = open(path, flags | O_CLOEXEC | O_NOFOLLOW, 0600);
    bool is_missing = uses->descriptor < 0 && errno == ENOENT && !may_write;
    if (uses->descriptor < 0 && !is_missing) {
        (void)error_from_errno(error, errno, "%s", path);
        free(uses);
        return -1;
    }
    if (!is_missing && read_on(uses, error) < 0) {
        (void)last_uses_close(uses);
        return -1;
    }
    *uses_out = uses;
    return 0;
}

struct last_uses *last_uses_close(struct last_uses *uses)
{
    if (uses != NULL) {
        tdestroy(uses->tree, free);
        if (uses->descriptor >= 0) {
            (void)close(uses->descriptor); /* nothing waits in it */
        }
        free(uses);
    }
    return NULL;
}

bool last_uses_note(struct last_uses *uses, const uint8_t fingerprint[SECRET_FINGERPRINT_OCTETS],
                    const char date[LAST_USE_DATE_SIZE])
{
    struct use *use = find_or_add(uses, fingerprint);
    if (use == NULL || memcmp(date, use->date, DATE_OCTETS) <= 0) {
        return false;
    }
    memcpy(use->date, date, DATE_OCTETS);
    if (!use->is_new) {
        use->is_new = true;
        use->next_new = uses->new;
        uses->new = use;
    }
    return true;
}

/* Over the date of its line, or a line more. */
static int write_use(struct last_uses *uses, struct use *use)
{
    char line[LINE_OCTETS];
    char text[TEXT_OCTETS + 1];
    ssize_t size = use->has_line ? DATE_OCTETS : LINE_OCTETS;
    off_t offset = use->has_line ? use->line : uses->known;
    (void)sodium_bin2base64(text, sizeof text, use->fingerprint, sizeof use->fingerprint, VARIANT);
    memcpy(line, use->date, DATE_OCTETS);
    line[DATE_OCTETS] = ' ';
    memcpy(line + DATE_OCTETS + 1, text, TEXT_OCTETS);
    line[LINE_OCTETS - 1] = '\n';
    ssize_t written;
    do {
        written = pwrite(uses->descriptor, line, (size_t)size, offset);
    } while (written < 0 && errno == EINTR);
    if (written != size) {
        errno = written < 0 ? errno : ENOSPC;
        return -1;
    }
    if (!use->has_line) {
        use->has_line = true;
        use->line = offset;
        uses->known += LINE_OCTETS;
    }
    return 0;
}

static int write_all(struct last_uses *uses, struct error *error)
{
    if (read_on(uses, error) < 0) {
        return -1;
    }
    while (uses->new != NULL) {
        struct use *use = uses->new;
        if (write_use(uses, use) < 0) {
            return error_from_errno(error, errno, "the dates of last use cannot be written");
        }
        use->is_new = false;
        uses->new = use->next_new;
    }
    return 0;
}

int last_uses_write(struct last_uses *uses, struct error *error)
{
    int locked;
    do {
        locked = flock(uses->descriptor, LOCK_EX);
    } while (locked < 0 && errno == EINTR);
    if (locked < 0) {
        return error_from_errno(error, errno, "the dates of last use cannot be locked");
    }
    int result = write_all(uses, error);
    (void)flock(uses->descriptor, LOCK_UN); /* cannot fail with a lock that is held */
    return result;
}

const char *last_uses_date(const struct last_uses *uses,
                           const uint8_t fingerprint[SECRET_FINGERPRINT_OCTETS])
{
    const struct use *use = find(uses, fingerprint);
    return use == NULL ? NULL : use->date;
}
