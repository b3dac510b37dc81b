/* SPDX-License-Identifier: MIT */
/* Files that a worker has no business with. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "attack.h"

static int read_file(const char *path)
{
    char octet;
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    return file >= 0 && read(file, &octet, 1) == 1 ? 0 : -1;
}

static int read_accounts(const struct world *world)
{
    return read_file(world->accounts);
}

static int read_tls_key(const struct world *world)
{
    return read_file(world->key);
}

static int read_etc_passwd(const struct world *world)
{
    (void)world;
    return read_file("/etc/passwd");
}

static int read_proc_1(const struct world *world)
{
    (void)world;
    return read_file("/proc/1/status");
}

static int read_proc_self(const struct world *world)
{
    (void)world;
    return read_file("/proc/self/maps");
}

static int read_proc_master_memory(const struct world *world)
{
    char path[64];
    char found[sizeof attack_secret];
    (void)snprintf(path, sizeof path, "/proc/%d/mem", world->master);
    int file = open(path, O_RDONLY | O_CLOEXEC);
    return file >= 0 && pread(file, found, sizeof found, (off_t)(uintptr_t)attack_secret) > 0 ? 0
                                                                                              : -1;
}

static int list_other_folder(const struct world *world)
{
    DIR *folder = opendir(world->outside);
    return folder != NULL && readdir(folder) != NULL ? 0 : -1;
}

static char *path_in(const char *folder, const char *name, char *path)
{
    (void)snprintf(path, 2 * WORLD_PATH, "%s/%s", folder, name);
    return path;
}

static int create_outside(const struct world *world)
{
    char path[2 * WORLD_PATH];
    (void)path_in(world->outside, "created", path);
    return open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600) < 0 ? -1 : 0;
}

static int write_accounts(const struct world *world)
{
    int file = open(world->accounts, O_WRONLY | O_APPEND | O_CLOEXEC);
    return file >= 0 && write(file, "mallory:{PLAIN}x\n", 17) == 17 ? 0 : -1;
}

static int truncate_outside(const struct world *world)
{
    char path[2 * WORLD_PATH];
    (void)path_in(world->outside, "file", path);
    return truncate(path, 0);
}

static int remove_outside(const struct world *world)
{
    char path[2 * WORLD_PATH];
    (void)path_in(world->outside, "file", path);
    return unlinkat(AT_FDCWD, path, 0);
}

static int make_folder_outside(const struct world *world)
{
    char path[2 * WORLD_PATH];
    (void)path_in(world->outside, "folder", path);
    return mkdirat(AT_FDCWD, path, 0700);
}

static int change_mode(const struct world *world)
{
    char path[2 * WORLD_PATH];
    (void)path_in(world->outside, "file", path);
    return fchmodat(AT_FDCWD, path, 0666, 0);
}

static int rename_out(const struct world *world)
{
    char from[2 * WORLD_PATH];
    char to[2 * WORLD_PATH];
    (void)path_in(world->drop, "file", from);
    (void)path_in(world->outside, "renamed", to);
    return renameat(AT_FDCWD, from, AT_FDCWD, to);
}

static int rename_in(const struct world *world)
{
    char from[2 * WORLD_PATH];
    char to[2 * WORLD_PATH];
    (void)path_in(world->outside, "file", from);
    (void)path_in(world->drop, "renamed", to);
    return renameat(AT_FDCWD, from, AT_FDCWD, to);
}

static int link_in(const struct world *world)
{
    char to[2 * WORLD_PATH];
    (void)path_in(world->drop, "linked", to);
    return linkat(AT_FDCWD, world->accounts, AT_FDCWD, to, 0);
}

static int follow_symlink(const struct world *world)
{
    char path[2 * WORLD_PATH];
    (void)path_in(world->drop, "to-accounts", path); /* as an MTA's user could have made it */
    return read_file(path);
}

static int make_symlink(const struct world *world)
{
    char path[2 * WORLD_PATH];
    (void)path_in(world->drop, "symlink", path);
    return symlinkat(world->accounts, AT_FDCWD, path);
}

static int climb_out(const struct world *world)
{
    char path[2 * WORLD_PATH];
    (void)path_in(world->drop, "../../etc/accounts", path);
    return read_file(path);
}

static int make_device(const struct world *world)
{
    char path[2 * WORLD_PATH];
    (void)path_in(world->drop, "memory", path);
    return mknodat(AT_FDCWD, path, S_IFCHR | 0600, makedev(1, 1));
}

static int make_fifo(const struct world *world)
{
    char path[2 * WORLD_PATH];
    (void)path_in(world->drop, "fifo", path);
    return mkfifoat(AT_FDCWD, path, 0600);
}

static int open_device(const struct world *world)
{
    char path[2 * WORLD_PATH];
    /* As /dev/kmsg, which may be missing in a container. */
    (void)path_in(world->outside, "kmsg", path);
    return open(path, O_RDONLY | O_CLOEXEC) < 0 ? -1 : 0;
}

static int open_by_handle(const struct world *world)
{
    union {
        struct file_handle head;
        unsigned char room[sizeof world->handle];
    } copy;
    for (size_t i = 0; i < sizeof copy.room; i++) {
        copy.room[i] = ((const unsigned char *)&world->handle)[i];
    }
    return open_by_handle_at(AT_FDCWD, &copy.head, O_RDONLY | O_CLOEXEC) < 0 ? -1 : 0;
}

const struct attack attacks_on_files[] = {
    {"read-accounts", false, read_accounts},
    {"read-tls-key", false, read_tls_key},
    {"read-etc-passwd", false, read_etc_passwd},
    {"read-proc-1", false, read_proc_1},
    {"read-proc-self", false, read_proc_self},
    {"read-proc-master-memory", true, read_proc_master_memory},
    {"list-other-folder", false, list_other_folder},
    {"create-outside", false, create_outside},
    {"write-accounts", false, write_accounts},
    {"truncate-outside", false, truncate_outside},
    {"remove-outside", false, remove_outside},
    {"make-folder-outside", false, make_folder_outside},
    {"change-mode", false, change_mode},
    {"rename-out", false, rename_out},
    {"rename-in", false, rename_in},
    {"link-in", false, link_in},
    {"follow-symlink", false, follow_symlink},
    {"make-symlink", false, make_symlink},
    {"climb-out", false, climb_out},
    {"make-device", true, make_device},
    {"make-fifo", false, make_fifo},
    {"open-device", true, open_device},
    {"open-by-handle", true, open_by_handle},
    {0},
};
