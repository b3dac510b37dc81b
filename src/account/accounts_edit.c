/* SPDX-License-Identifier: MIT */
/* A change of the accounts file: lock, load, write the new file beside the old one, fsync, rename, fsync the
 * folder. The lock is flock on the file itself; who gets it looks whether the name still means this
 * file, since the one before may have replaced it. The new file is always called FILE.new, so that one
 * that a crash left behind is cleared away by the next change. Octets are copied by the kernel: verifiers of
 * others never come into this process's memory but while their line is parsed. */
#include "account/accounts_edit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <sodium.h>

#include "account/accounts.h"
#include "account/verifier.h"
#include "base/buffer.h"
#include "base/user_name.h"

enum { ACCESS_LIST_OCTETS_MAX = 4096 };

/* The new file is the old one with the octets from cut_from to cut_to replaced by `inserted`. */
struct edit {
    const char *path; /* resolved: no symbolic link is replaced by a file */
    const char *base; /* its last part */
    int folder;
    int old; /* locked */
    struct stat status;
    uint64_t cut_from, cut_to;
    uint8_t inserted_memory[ACCOUNT_LINE_OCTETS_MAX];
    struct buffer inserted;
};

struct change {
    enum accounts_change kind;
    struct bytes name;
    struct bytes verifier;
    accounts_rewrite *rewrite; /* NULL: what the kind says */
    void *context;
};

static int check_new_name(struct bytes name, struct error *error)
{
    struct error inner;
    bool is_blank_at_end = name.size > 0 && name.data[name.size - 1] == ' ';
    if (user_name_check(name, &inner) < 0) {
        return error_set(error, ERROR_USAGE, 0, "%s", inner.text);
    }
    if (bytes_find(name, ':') < name.size || name.data[0] == '#' || name.data[0] == ' ' ||
        is_blank_at_end) {
        return error_set(
            error, ERROR_USAGE, 0,
            "a name in the accounts file has no ':' and neither begins with '#' nor has "
            "a blank at either end");
    }
    return 0;
}

/* Opens and locks the file that the path means once the lock is had. */
static int open_locked(struct edit *edit, struct error *error)
{
    for (;;) {
        struct stat named;
        int descriptor = open(edit->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
        if (descriptor < 0) {
            return error_from_errno(error, errno, "%s", edit->path);
        }
        int locked;
        do {
            locked = flock(descriptor, LOCK_EX);
        } while (locked < 0 && errno == EINTR);
        if (locked < 0 || fstat(descriptor, &edit->status) < 0) {
            int number = errno;
            (void)close(descriptor); /* read-only */
            return error_from_errno(error, number, "%s: cannot lock", edit->path);
        }
        if (stat(edit->path, &named) == 0 && named.st_dev == edit->status.st_dev &&
            named.st_ino == edit->status.st_ino) {
            edit->old = descriptor;
            return 0;
        }
        (void)close(descriptor); /* read-only */
    }
}

/* Where the account's line is. */
static int find_place(const struct edit *edit, struct bytes name, struct accounts_place *place_out,
                      struct error *error)
{
    struct accounts *accounts;
    int copy = fcntl(edit->old, F_DUPFD_CLOEXEC, 0);
    if (copy < 0) {
        return error_from_errno(error, errno, "%s", edit->path);
    }
    if (accounts_load_descriptor(copy, edit->path, &accounts, error) < 0) {
        (void)close(copy); /* read-only */
        return -1;
    }
    int result = accounts_locate(accounts, name, place_out, error);
    (void)accounts_free(accounts);
    return result;
}

static int plan_addition(struct edit *edit, const struct change *change, struct error *error)
{
    struct accounts_place place;
    struct error inner = {0};
    if (find_place(edit, change->name, &place, &inner) == 0) {
        return error_set(error, ERROR_USAGE, 0, "%s:%u: the account is there already", edit->path,
                         place.line);
    }
    if (inner.kind != ERROR_NO_SUCH_USER) {
        return error_set(error, inner.kind, 0, "%s", inner.text);
    }
    off_t size = edit->status.st_size;
    char last = '\n';
    if (size > 0 && pread(edit->old, &last, 1, size - 1) != 1) {
        return error_set(error, ERROR_TEMPORARY, 0, "%s: cannot read", edit->path);
    }
    if (last != '\n') {
        buffer_append_octet(&edit->inserted, '\n');
    }
    buffer_append(&edit->inserted, change->name);
    buffer_append_octet(&edit->inserted, ':');
    buffer_append(&edit->inserted, change->verifier);
    buffer_append_octet(&edit->inserted, '\n');
    edit->cut_from = edit->cut_to = (uint64_t)size;
    return 0;
}

/* The line's end stays. */
static int plan_rewriting(struct edit *edit, const struct change *change,
                          const struct accounts_place *place, struct error *error)
{
    AUTO_FREE uint8_t *octets = malloc(place->octets);
    struct bytes line = {octets, place->octets};
    struct error inner = {0};
    if (octets == NULL) {
        return error_set(error, ERROR_TEMPORARY, ENOMEM, "no memory for an account");
    }
    if (pread(edit->old, octets, line.size, (off_t)place->offset) != (ssize_t)line.size) {
        return error_set(error, ERROR_TEMPORARY, 0, "%s: cannot read", edit->path);
    }
    line.size = bytes_find(line, '\n');
    if (line.size > 0 && line.data[line.size - 1] == '\r') {
        line.size--;
    }
    int result = change->rewrite(line, &edit->inserted, change->context, &inner);
    sodium_memzero(octets, place->octets);
    if (result < 0) {
        return inner.kind == ERROR_CONFIGURATION
                   ? error_set(error, inner.kind, 0, "%s:%u: %s", edit->path, place->line,
                               inner.text)
                   : error_set(error, inner.kind, inner.number, "%s", inner.text);
    }
    edit->cut_from = place->offset;
    edit->cut_to = edit->cut_from + line.size;
    return 0;
}

static int plan(struct edit *edit, const struct change *change, struct error *error)
{
    struct accounts_place place;
    if (change->rewrite == NULL && change->kind == ACCOUNTS_ADD) {
        return plan_addition(edit, change, error);
    }
    if (find_place(edit, change->name, &place, error) < 0) {
        return -1;
    }
    if (change->rewrite != NULL) {
        return plan_rewriting(edit, change, &place, error);
    }
    edit->cut_from = place.offset;
    edit->cut_to = place.offset + place.octets;
    return 0;
}

static int write_octets(int descriptor, struct bytes octets)
{
    while (octets.size > 0) {
        ssize_t written = write(descriptor, octets.data, octets.size);
        if (written < 0 && errno != EINTR) {
            return -1;
        }
        octets = bytes_from(octets, written > 0 ? (size_t)written : 0);
    }
    return 0;
}

/* Copies the old file's octets from `from` to before `to`. */
static int copy_octets(int to_descriptor, int from_descriptor, uint64_t from, uint64_t to)
{
    off_t offset = (off_t)from;
    while ((uint64_t)offset < to) {
        ssize_t copied =
            sendfile(to_descriptor, from_descriptor, &offset, (size_t)(to - (uint64_t)offset));
        if (copied == 0) {
            errno = EIO; /* the file became shorter under our lock */
            return -1;
        }
        if (copied < 0 && errno != EINTR) {
            return -1;
        }
    }
    return 0;
}

/* The new file is to be read by whom the old one was. */
static int copy_rights(const struct edit *edit, int descriptor)
{
    char list[ACCESS_LIST_OCTETS_MAX];
    struct stat made;
    if (fstat(descriptor, &made) < 0) {
        return -1;
    }
    if ((made.st_uid != edit->status.st_uid || made.st_gid != edit->status.st_gid) &&
        fchown(descriptor, edit->status.st_uid, edit->status.st_gid) < 0) {
        return -1;
    }
    if (fchmod(descriptor, edit->status.st_mode & 07777) < 0) {
        return -1;
    }
    ssize_t size = fgetxattr(edit->old, "system.posix_acl_access", list, sizeof list);
    if (size < 0) {
        return errno == ENODATA || errno == EOPNOTSUPP ? 0 : -1;
    }
    return fsetxattr(descriptor, "system.posix_acl_access", list, (size_t)size, 0);
}

static int write_file(const struct edit *edit, int descriptor)
{
    uint64_t size = (uint64_t)edit->status.st_size;
    if (copy_rights(edit, descriptor) < 0 ||
        copy_octets(descriptor, edit->old, 0, edit->cut_from) < 0 ||
        write_octets(descriptor, buffer_pending(&edit->inserted)) < 0 ||
        copy_octets(descriptor, edit->old, edit->cut_to, size) < 0) {
        return -1;
    }
    return fsync(descriptor);
}

static int replace(const struct edit *edit, struct error *error)
{
    AUTO_FREE char *name = NULL;
    if (asprintf(&name, "%s.new", edit->base) < 0) {
        name = NULL;
        return error_set(error, ERROR_TEMPORARY, ENOMEM, "no memory for a file name");
    }
    if (unlinkat(edit->folder, name, 0) < 0 && errno != ENOENT) {
        return error_from_errno(error, errno, "%s.new: cannot remove", edit->path);
    }
    int descriptor =
        openat(edit->folder, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (descriptor < 0) {
        return error_from_errno(error, errno, "%s.new: cannot make", edit->path);
    }
    int result = write_file(edit, descriptor);
    int number = errno;
    if (close(descriptor) < 0 && result == 0) {
        result = -1;
        number = errno;
    }
    if (result == 0 && renameat(edit->folder, name, edit->folder, edit->base) < 0) {
        result = -1;
        number = errno;
    }
    if (result < 0) {
        (void)unlinkat(edit->folder, name, 0); /* the next change clears it away, too */
        return error_from_errno(error, number, "%s.new: cannot write", edit->path);
    }
    if (fsync(edit->folder) < 0) {
        return error_from_errno(error, errno,
                                "%s: changed, but the change may not survive a power failure",
                                edit->path);
    }
    return 0;
}

static int edit_locked(struct edit *edit, const struct change *change, struct error *error)
{
    buffer_init(&edit->inserted, edit->inserted_memory, sizeof edit->inserted_memory);
    int result = plan(edit, change, error);
    if (result == 0 && edit->inserted.overflow) {
        result = error_set(error, ERROR_USAGE, 0, "the new line is too long");
    }
    if (result == 0) {
        result = replace(edit, error);
    }
    sodium_memzero(edit->inserted_memory, sizeof edit->inserted_memory);
    secret_wipe_stack();
    return result;
}

static int edit_file(const char *path, const struct change *change, struct error *error)
{
    struct edit edit = {.folder = -1, .old = -1};
    AUTO_FREE char *resolved = realpath(path, NULL);
    if (resolved == NULL) {
        return error_from_errno(error, errno, "%s", path);
    }
    edit.path = resolved;
    edit.base = strrchr(resolved, '/') + 1;
    AUTO_FREE char *folder = strndup(resolved, (size_t)(edit.base - resolved));
    if (folder == NULL) {
        return error_set(error, ERROR_TEMPORARY, ENOMEM, "no memory for a path");
    }
    edit.folder = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (edit.folder < 0) {
        return error_from_errno(error, errno, "%s", folder);
    }
    int result = open_locked(&edit, error);
    if (result == 0) {
        result = edit_locked(&edit, change, error);
        (void)close(edit.old); /* read-only; unlocks */
    }
    (void)close(edit.folder); /* a failed fsync was reported */
    return result;
}

int accounts_edit(const char *path, enum accounts_change kind, struct bytes name,
                  const char *verifier, struct error *error)
{
    struct change change = {.kind = kind, .name = name};
    struct verifier_cost cost;
    if (kind == ACCOUNTS_ADD && check_new_name(name, error) < 0) {
        return -1;
    }
    if (kind != ACCOUNTS_REMOVE) {
        change.verifier = bytes_of(verifier);
        if (verifier_examine(change.verifier, &cost, error) < 0) {
            return -1;
        }
    }
    return edit_file(path, &change, error);
}

int accounts_edit_line(const char *path, struct bytes name, accounts_rewrite *rewrite,
                       void *context, struct error *error)
{
    struct change change = {.name = name, .rewrite = rewrite, .context = context};
    return edit_file(path, &change, error);
}

int accounts_create(const char *path, uid_t uid, gid_t gid, struct error *error)
{
    AUTO_CLOSE int descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (descriptor < 0) {
        return errno == EEXIST ? 0 : error_from_errno(error, errno, "%s: cannot make", path);
    }
    if (fchown(descriptor, uid, gid) < 0) {
        int number = errno;
        (void)unlink(path); /* as far as it goes */
        return error_from_errno(error, number, "%s: cannot give it its owner", path);
    }
    return 0;
}
