/* SPDX-License-Identifier: MIT */
/* A command's output for a thread that may wait: what helper.c is for the loop. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "fetch/password.h"

enum { COMMAND_LIMIT_MS = 300000 }; /* a person may have to unlock something */

static int spawn(const char *command, int output, pid_t *child_out)
{
    char *const arguments[] = {(char *)(uintptr_t) "sh", (char *)(uintptr_t) "-c",
                               (char *)(uintptr_t)command, NULL};
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t all, none;
    (void)sigfillset(&all);
    (void)sigemptyset(&none);
    int result = posix_spawn_file_actions_init(&actions);
    if (result != 0) {
        return result;
    }
    result = posix_spawnattr_init(&attributes);
    if (result == 0) {
        /* Not a group of its own: then it could not ask the person on the terminal. */
        result = posix_spawn_file_actions_adddup2(&actions, output, 1);
        result = result != 0 ? result : posix_spawnattr_setsigdefault(&attributes, &all);
        result = result != 0 ? result : posix_spawnattr_setsigmask(&attributes, &none);
        short flags = POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK;
        result = result != 0 ? result : posix_spawnattr_setflags(&attributes, flags);
        result = result != 0
                     ? result
                     : posix_spawn(child_out, "/bin/sh", &actions, &attributes, arguments, environ);
        (void)posix_spawnattr_destroy(&attributes);
    }
    (void)posix_spawn_file_actions_destroy(&actions);
    return result;
}

static int64_t now_ms(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now); /* cannot fail for this clock */
    return now.tv_sec * INT64_C(1000) + now.tv_nsec / 1000000;
}

/* Reads to the end of the output: its size, or -1. */
static ssize_t read_output(int output, int cancel, uint8_t *data, struct error *error)
{
    struct pollfd polled[] = {{.fd = output, .events = POLLIN}, {.fd = cancel, .events = POLLIN}};
    int64_t end = now_ms() + COMMAND_LIMIT_MS;
    size_t size = 0;
    for (;;) {
        int64_t left = end - now_ms();
        int ready = poll(polled, 2, left < 0 ? 0 : (int)left);
        if (ready < 0 && errno == EINTR) {
            continue;
        }
        if (ready <= 0 || polled[1].revents != 0) {
            return error_set(error, ERROR_TEMPORARY, 0,
                             ready > 0 ? "given up, as this run is to end"
                                       : "the command that prints the password does not end");
        }
        ssize_t count = read(output, data + size, HELPER_OUTPUT_SIZE - size);
        if (count == 0 || size + (size_t)(count > 0 ? count : 0) == HELPER_OUTPUT_SIZE) {
            return (ssize_t)size + count;
        }
        if (count < 0 && errno != EINTR) {
            return error_set(error, ERROR_TEMPORARY, errno, "what a command prints");
        }
        size += count < 0 ? 0 : (size_t)count;
    }
}

static int run_command(const char *command, int cancel, uint8_t *data, size_t *size_out,
                       struct error *error)
{
    int ends[2];
    int status = 0;
    pid_t child;
    if (pipe2(ends, O_CLOEXEC) < 0) {
        return error_set(error, ERROR_TEMPORARY, errno, "no pipe can be made");
    }
    int number = spawn(command, ends[1], &child);
    (void)close(ends[1]);
    if (number != 0) {
        (void)close(ends[0]);
        return error_set(error, ERROR_TEMPORARY, number, "a command cannot be run");
    }
    ssize_t size = read_output(ends[0], cancel, data, error);
    (void)close(ends[0]);
    if (size < 0) {
        (void)kill(child, SIGKILL);
    }
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    if (size >= 0 && !(WIFEXITED(status) && WEXITSTATUS(status) == 0)) {
        return error_set(error, ERROR_CONFIGURATION, 0, "the command that prints it failed");
    }
    *size_out = size < 0 ? 0 : (size_t)size;
    return size < 0 ? -1 : 0;
}

int password_wait(const char *command, const char *file, int cancel, struct secret **secret_out,
                  struct error *error)
{
    if (command == NULL) {
        return password_read_file(file, secret_out, error);
    }
    uint8_t data[HELPER_OUTPUT_SIZE];
    size_t size = 0;
    int result = run_command(command, cancel, data, &size, error);
    result = result < 0 ? -1 : password_of_line((struct bytes){data, size}, secret_out, error);
    explicit_bzero(data, sizeof data);
    return result;
}
