/* SPDX-License-Identifier: MIT */
#include "server/sandbox_hide.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/bytes.h"
#include "server/sandbox.h"

enum { FOLDERS_MOST = 32 };

struct sandbox_hidden {
    char *path; /* without symbolic links */
    bool is_hidden;
    uint32_t count;
    struct {
        int descriptor;
        struct timespec changed;
    } folders[FOLDERS_MOST]; /* on the way; those where strangers make files do not count */
};

/* What can be allowed for a file that is no folder. */
static const uint64_t rights_of_a_file =
    LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_READ_FILE;

/* What the kernel takes no rule for stays forbidden. Symbolic links need none: where they lead, counts. */
static void allow_entry(int ruleset, uint64_t rights, int folder, const char *name)
{
    struct stat facts;
    AUTO_CLOSE int entry = openat(folder, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    if (entry < 0 || fstat(entry, &facts) < 0 || S_ISLNK(facts.st_mode)) {
        return;
    }
    struct landlock_path_beneath_attr rule = {
        .allowed_access = S_ISDIR(facts.st_mode) ? rights : rights & rights_of_a_file,
        .parent_fd = entry};
    (void)syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0U);
}

/* All but one; of a folder that cannot be listed, none. */
static void allow_others(int ruleset, uint64_t rights, int folder, const char *except)
{
    int copy = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *list = copy < 0 ? NULL : fdopendir(copy);
    if (list == NULL) {
        if (copy >= 0) {
            (void)close(copy);
        }
        return;
    }
    for (const struct dirent *entry; (entry = readdir(list)) != NULL;) {
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0 &&
            strcmp(entry->d_name, except) != 0) {
            allow_entry(ruleset, rights, folder, entry->d_name);
        }
    }
    (void)closedir(list);
}

static int watch(struct sandbox_hidden *hidden, int folder, struct error *error)
{
    struct stat facts;
    if (hidden->count == FOLDERS_MOST) {
        return error_set(error, ERROR_CONFIGURATION, 0, "%.200s: too many folders", hidden->path);
    }
    if (fstat(folder, &facts) < 0) {
        return error_set(error, ERROR_TEMPORARY, errno, "%.200s", hidden->path);
    }
    bool is_anybodys = (facts.st_mode & S_ISVTX) != 0;
    hidden->folders[hidden->count].descriptor = folder;
    hidden->folders[hidden->count].changed =
        is_anybodys ? (struct timespec){.tv_nsec = UTIME_OMIT} : facts.st_mtim;
    hidden->count++;
    return 0;
}

/* Goes down to the file, and allows at each step what is beside. */
static int allow_beside(struct sandbox_hidden *hidden, int ruleset, uint64_t rights,
                        struct error *error)
{
    char *way = strdup(hidden->path);
    char *rest = way + 1;
    int folder = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    int result = 0;
    for (char *name; way != NULL && folder >= 0 && (name = strsep(&rest, "/")) != NULL;) {
        result = watch(hidden, folder, error);
        if (result < 0) {
            break;
        }
        allow_others(ruleset, rights, folder, name);
        folder = rest == NULL ? -1 : openat(folder, name, O_PATH | O_DIRECTORY | O_CLOEXEC);
    }
    free(way);
    return way == NULL ? error_set(error, ERROR_TEMPORARY, ENOMEM, "hiding a file") : result;
}

static int restrict_self(int ruleset, struct error *error)
{
    if (syscall(SYS_landlock_restrict_self, ruleset, 0U) == 0) {
        return 0; /* who may administer the system need not give up privileges of files */
    }
    if (errno != EPERM || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
        syscall(SYS_landlock_restrict_self, ruleset, 0U) < 0) {
        return error_set(error, ERROR_TEMPORARY, errno, "Landlock");
    }
    return 0;
}

int sandbox_hide(const char *path, struct sandbox_hidden **hidden_out, struct error *error)
{
    int abi = sandbox_support().landlock;
    struct sandbox_hidden *hidden = calloc(1, sizeof *hidden);
    char *real = realpath(path, NULL);
    if (hidden == NULL || real == NULL) {
        free(hidden);
        free(real);
        return error_set(error, ERROR_TEMPORARY, errno, "%.200s", path);
    }
    hidden->path = real;
    *hidden_out = hidden;
    if (abi == 0) {
        return 0;
    }
    uint64_t rights = sandbox_file_rights(abi);
    struct landlock_ruleset_attr attributes = {.handled_access_fs = rights};
    AUTO_CLOSE int ruleset =
        (int)syscall(SYS_landlock_create_ruleset, &attributes, sizeof attributes, 0U);
    if (ruleset < 0) {
        return error_set(error, ERROR_TEMPORARY, errno, "Landlock (ABI %d)", abi);
    }
    if (allow_beside(hidden, ruleset, rights, error) < 0 || restrict_self(ruleset, error) < 0) {
        return -1;
    }
    hidden->is_hidden = true;
    return 0;
}

bool sandbox_hidden_is_readable(const struct sandbox_hidden *hidden)
{
    AUTO_CLOSE int file = open(hidden->path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    return file >= 0;
}

bool sandbox_hidden_is_stale(const struct sandbox_hidden *hidden)
{
    struct stat facts;
    if (!hidden->is_hidden) {
        return false;
    }
    for (uint32_t i = 0; i < hidden->count; i++) {
        const struct timespec *then = &hidden->folders[i].changed;
        if (then->tv_nsec != UTIME_OMIT &&
            (fstat(hidden->folders[i].descriptor, &facts) < 0 ||
             facts.st_mtim.tv_sec != then->tv_sec || facts.st_mtim.tv_nsec != then->tv_nsec)) {
            return true;
        }
    }
    return sandbox_hidden_is_readable(hidden);
}
