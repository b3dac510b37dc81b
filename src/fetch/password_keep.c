/* SPDX-License-Identifier: MIT */
#include "fetch/password_keep.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static int write_all(int file, struct bytes octets)
{
    while (octets.size > 0) {
        ssize_t written = write(file, octets.data, octets.size);
        if (written < 0 && errno != EINTR) {
            return -errno;
        }
        octets = bytes_from(octets, written < 0 ? 0 : (size_t)written);
    }
    return 0;
}

int password_keep_in_file(const char *path, const struct secret *secret, struct error *error)
{
    int file = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (file < 0) {
        return errno == EEXIST ? error_set(error, ERROR_USAGE, 0, "%.300s is there already", path)
                               : error_from_errno(error, errno, "%.300s", path);
    }
    int result = write_all(file, secret_octets(secret));
    result = result < 0 ? result : write_all(file, bytes_of("\n"));
    if (result == 0 && fsync(file) < 0) {
        result = -errno;
    }
    if (close(file) < 0 && result == 0) {
        result = -errno;
    }
    if (result < 0) {
        (void)unlink(path);
        return error_from_errno(error, -result, "%.300s", path);
    }
    return 0;
}

bool password_has_keyring(void)
{
    const char *rest = getenv("PATH");
    while (rest != NULL && *rest != '\0') {
        char path[4096];
        int size = (int)strcspn(rest, ":");
        (void)snprintf(path, sizeof path, "%.*s/secret-tool", size, rest);
        if (access(path, X_OK) == 0) {
            return true;
        }
        rest += size + (rest[size] == ':');
    }
    return false;
}

static int start(const char *const *command, int input, pid_t *pid_out)
{
    posix_spawn_file_actions_t actions;
    int result = posix_spawn_file_actions_init(&actions);
    if (result == 0) {
        result = posix_spawn_file_actions_adddup2(&actions, input, STDIN_FILENO);
        if (result == 0) {
            result = posix_spawnp(pid_out, command[0], &actions, NULL,
                                  (char *const *)(uintptr_t)command, environ);
        }
        (void)posix_spawn_file_actions_destroy(&actions);
    }
    return result;
}

int password_keep_in_keyring(const char *host, const char *user, const struct secret *secret,
                             struct error *error)
{
    const char *const command[] = {"secret-tool", "store",    "--label=Mail (restante)",
                                   "service",     "restante", "host",
                                   host,          "user",     user,
                                   NULL};
    int ends[2], status = 0;
    pid_t pid;
    if (pipe2(ends, O_CLOEXEC) < 0) {
        return error_from_errno(error, errno, "no pipe can be made");
    }
    int result = start(command, ends[0], &pid);
    (void)close(ends[0]);
    if (result != 0) {
        (void)close(ends[1]);
        return error_from_errno(error, result, "secret-tool cannot be run");
    }
    struct sigaction before, ignore = {.sa_handler = SIG_IGN};
    (void)sigaction(SIGPIPE, &ignore, &before); /* it may end without reading */
    result = write_all(ends[1], secret_octets(secret));
    (void)close(ends[1]);
    (void)sigaction(SIGPIPE, &before, NULL);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    if (result < 0 || !WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        return error_set(error, ERROR_TEMPORARY, 0, "the keyring did not take it (secret-tool)");
    }
    return 0;
}
