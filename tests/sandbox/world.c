/* SPDX-License-Identifier: MIT */
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <ftw.h>
#include <netinet/in.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include "attack.h"

static char *set_path(char *path, const char *folder, const char *name)
{
    (void)snprintf(path, WORLD_PATH, "%s/%s", folder, name);
    return path;
}

static void make_folder(const char *path)
{
    if (mkdir(path, 0700) < 0) {
        err(2, "%s", path);
    }
}

static void make_file(const char *path, mode_t mode, const char *content)
{
    int file = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
    size_t size = strlen(content);
    if (file < 0 || write(file, content, size) != (ssize_t)size) {
        err(2, "%s", path);
    }
    (void)close(file);
}

static void make_files(struct world *world)
{
    char path[WORLD_PATH];
    static const char *const folders[] = {"etc", "mail", "mail/alice", "outside"};
    for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++) {
        (void)set_path(path, world->folder, folders[i]);
        make_folder(path);
    }
    (void)set_path(world->mail, world->folder, "mail");
    (void)set_path(world->drop, world->folder, "mail/alice");
    (void)set_path(world->outside, world->folder, "outside");
    (void)set_path(world->accounts, world->folder, "etc/accounts");
    (void)set_path(world->key, world->folder, "outside/key.pem");
    make_file(world->accounts, 0600, "alice:{PLAIN}secret\n");
    make_file(world->key, 0600, "-----BEGIN PRIVATE KEY-----\n");
    (void)set_path(path, world->folder, "outside/file");
    make_file(path, 0600, "somebody else's\n");
    (void)set_path(path, world->folder, "mail/alice/file");
    make_file(path, 0600, "mail\n");
    (void)set_path(path, world->folder, "mail/alice/program");
    make_file(path, 0700, "#!/bin/sh\nexit 0\n");
    (void)set_path(path, world->folder, "mail/alice/to-accounts");
    if (symlink(world->accounts, path) < 0) {
        err(2, "%s", path);
    }
    (void)set_path(path, world->folder, "outside/kmsg");
    if (geteuid() == 0 && mknod(path, S_IFCHR | 0600, makedev(1, 11)) < 0) {
        err(2, "%s", path);
    }
    int mount_id;
    world->handle.head.handle_bytes = sizeof world->handle.room;
    if (name_to_handle_at(AT_FDCWD, world->accounts, &world->handle.head, &mount_id, 0) < 0) {
        err(2, "a handle of %s", world->accounts);
    }
}

static int listen_at(int family, const struct sockaddr *address, socklen_t size)
{
    int listener = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (listener < 0 || bind(listener, address, size) < 0 || listen(listener, 8) < 0) {
        err(2, "somebody to connect to");
    }
    return listener;
}

static void make_sockets(struct world *world)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int listener = listen_at(AF_INET, (struct sockaddr *)&address, sizeof address);
    if (getsockname(listener, (struct sockaddr *)&address, &size) < 0) {
        err(2, "getsockname");
    }
    world->port = ntohs(address.sin_port);
    world->named.sun_family = AF_UNIX;
    (void)snprintf(world->named.sun_path, sizeof world->named.sun_path, "%s/socket", world->folder);
    (void)listen_at(AF_UNIX, (struct sockaddr *)&world->named, sizeof world->named);
    world->abstract.sun_family = AF_UNIX; /* its name begins with a NUL */
    int name = snprintf(world->abstract.sun_path + 1, sizeof world->abstract.sun_path - 1, "%s",
                        world->folder);
    world->abstract_size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)name);
    (void)listen_at(AF_UNIX, (struct sockaddr *)&world->abstract, world->abstract_size);
    world->tcp = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    world->unix_stream = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    world->true_program = open("/bin/true", O_RDONLY | O_CLOEXEC);
    if (world->tcp < 0 || world->unix_stream < 0 || world->true_program < 0) {
        err(2, "what an attack starts with");
    }
}

static pid_t make_victim(uid_t user)
{
    int ready[2];
    char octet;
    if (pipe2(ready, O_CLOEXEC) < 0) {
        err(2, "pipe");
    }
    pid_t process = fork();
    if (process == 0) {
        if (user != 0 && setresuid(user, user, user) < 0) {
            _exit(2);
        }
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        (void)prctl(PR_SET_DUMPABLE, 1); /* a change of user takes it away */
        (void)!write(ready[1], "", 1);
        for (;;) {
            (void)pause();
        }
    }
    (void)close(ready[1]);
    if (process < 0 || read(ready[0], &octet, 1) != 1) {
        err(2, "a process to attack");
    }
    (void)close(ready[0]);
    return process;
}

static uid_t new_owner;

static int own(const char *path, const struct stat *facts, int type, struct FTW *place)
{
    (void)facts;
    (void)type;
    (void)place;
    return lchown(path, new_owner, new_owner);
}

bool world_make(struct world *world, uid_t user)
{
    memset(world, 0, sizeof *world);
    (void)snprintf(world->folder, sizeof world->folder, "/tmp/restante-attack-XXXXXX");
    if (mkdtemp(world->folder) == NULL) {
        err(2, "%s", world->folder);
    }
    make_files(world);
    make_sockets(world);
    world->master = make_victim(user);
    world->sibling = make_victim(user);
    new_owner = user;
    return user == 0 || nftw(world->folder, own, 16, FTW_PHYS) == 0;
}

static int forget(const char *path, const struct stat *facts, int type, struct FTW *place)
{
    (void)facts;
    (void)type;
    (void)place;
    return remove(path);
}

void world_end(struct world *world)
{
    (void)kill(world->master, SIGKILL);
    (void)kill(world->sibling, SIGKILL);
    (void)waitpid(world->master, NULL, 0);
    (void)waitpid(world->sibling, NULL, 0);
    (void)nftw(world->folder, forget, 16, FTW_PHYS | FTW_DEPTH);
}
