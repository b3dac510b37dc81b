/* SPDX-License-Identifier: MIT */
/* Landlock, by its system calls: the C library has no names for them. Everything that the kernel's ABI can
 * forbid is forbidden, then the few folders are allowed with the rights that their use needs. Rename and
 * link between two folders are nowhere allowed: under ABI 1 they cannot be, and no worker needs them. */
#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "server/mail_roots.h"
#include "server/sandbox.h"

/* Newer than the kernel headers of Debian 12. */
#ifndef LANDLOCK_ACCESS_FS_TRUNCATE
#define LANDLOCK_ACCESS_FS_TRUNCATE (1ULL << 14)
#endif
#ifndef LANDLOCK_ACCESS_FS_IOCTL_DEV
#define LANDLOCK_ACCESS_FS_IOCTL_DEV (1ULL << 15)
#endif
#ifndef LANDLOCK_ACCESS_NET_BIND_TCP
#define LANDLOCK_ACCESS_NET_BIND_TCP    (1ULL << 0)
#define LANDLOCK_ACCESS_NET_CONNECT_TCP (1ULL << 1)
#endif
#ifndef LANDLOCK_SCOPE_SIGNAL
#define LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET (1ULL << 0)
#define LANDLOCK_SCOPE_SIGNAL               (1ULL << 1)
#endif

/* struct landlock_ruleset_attr as of ABI 6; kernels before take it while what they do not know is zero. */
struct ruleset {
    uint64_t handled_access_fs;
    uint64_t handled_access_net;
    uint64_t scoped;
};

/* ABI 1 has the rights from EXECUTE up to MAKE_SYM, each in one bit. */
static const uint64_t rights_of_abi_1 = (LANDLOCK_ACCESS_FS_MAKE_SYM << 1) - 1;

static const uint64_t rights_to_read = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR;

/* Index and ids are written and renamed, messages removed, a missing cur/ is made. */
static const uint64_t rights_in_mail = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR |
                                       LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_MAKE_REG |
                                       LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_REMOVE_FILE;

static struct ruleset everything(int abi)
{
    struct ruleset ruleset = {.handled_access_fs = rights_of_abi_1};
    if (abi >= 2) {
        ruleset.handled_access_fs |= LANDLOCK_ACCESS_FS_REFER;
    }
    if (abi >= 3) {
        ruleset.handled_access_fs |= LANDLOCK_ACCESS_FS_TRUNCATE;
    }
    if (abi >= 4) {
        ruleset.handled_access_net = LANDLOCK_ACCESS_NET_BIND_TCP | LANDLOCK_ACCESS_NET_CONNECT_TCP;
    }
    if (abi >= 5) {
        ruleset.handled_access_fs |= LANDLOCK_ACCESS_FS_IOCTL_DEV;
    }
    if (abi >= 6) {
        ruleset.scoped = LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET | LANDLOCK_SCOPE_SIGNAL;
    }
    return ruleset;
}

uint64_t sandbox_file_rights(int abi)
{
    return everything(abi).handled_access_fs;
}

/* A folder that is not there cannot be allowed; preflight has told of it. */
static int allow(int ruleset, const char *folder, uint64_t rights, struct error *error)
{
    AUTO_CLOSE int descriptor = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (descriptor < 0 && (errno == ENOENT || errno == EACCES)) {
        return 0;
    }
    struct landlock_path_beneath_attr rule = {.allowed_access = rights, .parent_fd = descriptor};
    if (descriptor < 0 ||
        syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0U) < 0) {
        return error_set(error, ERROR_TEMPORARY, errno, "Landlock cannot allow %s", folder);
    }
    return 0;
}

static int allow_mail(int ruleset, const struct configuration *configuration, struct error *error)
{
    struct mail_roots roots;
    mail_roots_of(configuration, &roots);
    for (uint32_t i = 0; i < roots.count; i++) {
        if (allow(ruleset, roots.list[i], rights_in_mail, error) < 0) {
            return -1;
        }
    }
    return 0;
}

static int allow_folder_of(int ruleset, const char *file, uint64_t rights, struct error *error)
{
    size_t size = (size_t)(strrchr(file, '/') - file);
    char *folder = strndup(file, size);
    if (folder == NULL) {
        return error_set(error, ERROR_TEMPORARY, ENOMEM, "Landlock");
    }
    int result = allow(ruleset, size == 0 ? "/" : folder, rights, error);
    free(folder);
    return result;
}

/* The file is replaced by rename, so its folder is what is allowed; of a symbolic link both ends'. */
static int allow_accounts(int ruleset, const struct configuration *configuration,
                          struct error *error)
{
    const char *file = configuration->accounts_file;
    if (!configuration_has_file(configuration)) {
        return 0;
    }
    char *real = realpath(file, NULL);
    int result = allow_folder_of(ruleset, file, rights_to_read, error);
    if (result == 0 && real != NULL) {
        result = allow_folder_of(ruleset, real, rights_to_read, error);
    }
    free(real);
    return result;
}

/* A maildrop that does not exist yet can come to be at any time, so then the folder that it would be in is
 * allowed. */
static int allow_maildrop(int ruleset, const char *path, struct error *error)
{
    if (access(path, F_OK) == 0 || errno != ENOENT) {
        return allow(ruleset, path, rights_in_mail, error);
    }
    return allow_folder_of(ruleset, path, rights_in_mail, error);
}

static int allow_places(int ruleset, const struct sandbox *sandbox, struct error *error)
{
    switch (sandbox->role) {
    case SANDBOX_WORKER:
        return allow_mail(ruleset, sandbox->configuration, error);
    case SANDBOX_AUTH:
        return allow_accounts(ruleset, sandbox->configuration, error);
    case SANDBOX_DELEGATE:
        return allow_maildrop(ruleset, sandbox->maildrop, error);
    }
    return 0;
}

int sandbox_close_files(const struct sandbox *sandbox, int abi, struct error *error)
{
    struct ruleset forbidden = everything(abi);
    AUTO_CLOSE int ruleset =
        (int)syscall(SYS_landlock_create_ruleset, &forbidden, sizeof forbidden, 0U);
    if (ruleset < 0) {
        return error_set(error, ERROR_TEMPORARY, errno, "Landlock (ABI %d)", abi);
    }
    int result = allow_places(ruleset, sandbox, error);
    if (result == 0 && syscall(SYS_landlock_restrict_self, ruleset, 0U) < 0) {
        result = error_set(error, ERROR_TEMPORARY, errno, "Landlock (ABI %d)", abi);
    }
    return result;
}
