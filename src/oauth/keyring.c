/* SPDX-License-Identifier: MIT */
#include "oauth/keyring.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { PATIENCE_S = 300 };

struct tool {
    pid_t pid;
    int end; /* of a pair of sockets: its standard input and output */
};

static int start(struct tool *tool, const char *const *arguments, struct error *error)
{
    int ends[2];
    posix_spawn_file_actions_t actions;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0) {
        return error_from_errno(error, errno, "secret-tool");
    }
    (void)posix_spawn_file_actions_init(&actions);
    (void)posix_spawn_file_actions_adddup2(&actions, ends[1], STDIN_FILENO);
    (void)posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
    int number = posix_spawnp(&tool->pid, arguments[0], &actions, NULL,
                              (char *const *)(uintptr_t)arguments, environ);
    (void)posix_spawn_file_actions_destroy(&actions);
    (void)close(ends[1]);
    if (number != 0) {
        (void)close(ends[0]);
        return error_set(error, ERROR_CONFIGURATION, number,
                         "secret-tool, which asks the keyring, does not start (Debian: "
                         "libsecret-tools)");
    }
    tool->end = ends[0];
    return 0;
}

static int64_t now_s(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now); /* cannot fail for this clock */
    return now.tv_sec;
}

/* Until it closes its output, or the time is over. */
static size_t read_output(const struct tool *tool, uint8_t *memory, size_t capacity)
{
    int64_t end_s = now_s() + PATIENCE_S;
    struct pollfd polled = {.fd = tool->end, .events = POLLIN};
    size_t size = 0;
    ssize_t got = 1;
    while (got > 0 && size < capacity && now_s() < end_s) {
        if (poll(&polled, 1, 1000) > 0) {
            got = recv(tool->end, memory + size, capacity - size, 0);
            size += got > 0 ? (size_t)got : 0;
        }
    }
    if (got > 0) {
        (void)kill(tool->pid, SIGTERM); /* ours, and not waited for yet */
    }
    return size;
}

static int finish(const struct tool *tool, struct error *error)
{
    int status = 0;
    (void)close(tool->end);
    while (waitpid(tool->pid, &status, 0) < 0 && errno == EINTR) {
    }
    if (WIFEXITED(status) && WEXITSTATUS(status) <= 1) {
        return WEXITSTATUS(status);
    }
    return error_set(error, ERROR_TEMPORARY, 0, "secret-tool, which asks the keyring, has failed");
}

int oauth_keyring_load(const char *name, uint8_t *memory, size_t capacity, struct bytes *out,
                       struct error *error)
{
    const char *const arguments[] = {"secret-tool", "lookup", "service", "restante-oauth",
                                     "grant",       name,     NULL};
    struct tool tool;
    if (start(&tool, arguments, error) < 0) {
        return -1;
    }
    (void)shutdown(tool.end, SHUT_WR);
    size_t size = read_output(&tool, memory, capacity);
    int result = finish(&tool, error); /* 1: it has nothing of that name */
    *out = (struct bytes){memory, result == 0 ? size : 0};
    return result < 0 ? -1 : 0;
}

int oauth_keyring_save(const char *name, const char *text, struct error *error)
{
    const char *const arguments[] = {"secret-tool",
                                     "store",
                                     "--label=Restante: access to mail",
                                     "service",
                                     "restante-oauth",
                                     "grant",
                                     name,
                                     NULL};
    struct tool tool;
    uint8_t ignored[64];
    if (start(&tool, arguments, error) < 0) {
        return -1;
    }
    size_t size = strlen(text);
    while (size != 0) {
        ssize_t sent = send(tool.end, text, size, MSG_NOSIGNAL);
        if (sent < 0) {
            break; /* its status says it */
        }
        text += sent;
        size -= (size_t)sent;
    }
    (void)shutdown(tool.end, SHUT_WR);
    (void)read_output(&tool, ignored, sizeof ignored);
    int result = finish(&tool, error);
    return result == 0 && size == 0
               ? 0
               : error_set(error, ERROR_TEMPORARY, 0, "the keyring does not take the tokens");
}
