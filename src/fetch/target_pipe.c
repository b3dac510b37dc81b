/* SPDX-License-Identifier: MIT */
/* To a command, one message at a time. The message is whole in a file without a name before the command
 * starts, and that file is its standard input: so a command that does not read costs nothing, and no octet of
 * a message that breaks off ever reaches it. Exit statuses are those of <sysexits.h>. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "fetch/target.h"
#include "maildrop/line_ends.h"

enum { FEED_OCTETS = 8192, ENDING_MS = 5000, OWN_VARIABLES = 6, VARIABLE_OCTETS = 1200 };

struct pipe {
    struct target target;
    struct target_options options;
    struct spool spool;
    struct line_ends line_ends;
    char unique_id[VARIABLE_OCTETS - 100];
};

static struct pipe *pipe_of(struct target *target)
{
    return (struct pipe *)(void *)target;
}

static int pipe_begin(struct target *target, const struct target_message *message,
                      struct error *error)
{
    struct pipe *pipe = pipe_of(target);
    pipe->line_ends = (struct line_ends){0};
    (void)bytes_escape(message->unique_id, pipe->unique_id, sizeof pipe->unique_id);
    return spool_reset(&pipe->spool, error);
}

static int pipe_append(struct target *target, struct bytes octets, struct error *error)
{
    struct pipe *pipe = pipe_of(target);
    uint8_t converted[FEED_OCTETS + 1];
    while (octets.size != 0) {
        size_t size = octets.size < FEED_OCTETS ? octets.size : FEED_OCTETS;
        struct bytes part = {.data = octets.data, .size = size};
        size_t made = line_ends_feed(&pipe->line_ends, part, converted);
        if (spool_append(&pipe->spool, (struct bytes){converted, made}, error) < 0) {
            return -1;
        }
        octets = bytes_from(octets, size);
    }
    return 0;
}

static void pipe_abort(struct target *target)
{
    (void)target; /* the next message begins with an empty spool */
}

/* Our variables for the command, before those it inherits. Freed with the list. */
struct environment {
    char own[OWN_VARIABLES][VARIABLE_OCTETS];
    char **list;
};

static int make_environment(const struct pipe *pipe, struct environment *environment,
                            struct error *error)
{
    const struct {
        const char *name, *value;
    } variables[] = {
        {"RESTANTE_ACCOUNT", pipe->options.account}, {"RESTANTE_HOST", pipe->options.host},
        {"RESTANTE_USER", pipe->options.user},       {"RESTANTE_UNIQUE_ID", pipe->unique_id},
        {"RECIPIENT", pipe->options.recipient},
    };
    size_t inherited = 0;
    while (environ[inherited] != NULL) {
        inherited++;
    }
    environment->list = calloc(inherited + OWN_VARIABLES + 1, sizeof *environment->list);
    if (environment->list == NULL) {
        return error_set(error, ERROR_TEMPORARY, 0, "out of memory");
    }
    size_t count = 0;
    for (size_t i = 0; i < sizeof variables / sizeof *variables; i++) {
        if (variables[i].value != NULL) {
            (void)snprintf(environment->own[i], VARIABLE_OCTETS, "%s=%s", variables[i].name,
                           variables[i].value);
            environment->list[count++] = environment->own[i];
        }
    }
    for (size_t i = 0; i < inherited; i++) {
        /* What is ours is ours alone: nothing that restante itself was told passes on. */
        bool is_ours =
            strncmp(environ[i], "RESTANTE_", 9) == 0 ||
            (pipe->options.recipient != NULL && strncmp(environ[i], "RECIPIENT=", 10) == 0);
        if (!is_ours) {
            environment->list[count++] = environ[i];
        }
    }
    return 0;
}

static int spawn(const struct pipe *pipe, char **environment, pid_t *child_out)
{
    char shell[] = "sh";
    char option[] = "-c";
    char *command = strdup(pipe->options.place);
    if (command == NULL) {
        return ENOMEM;
    }
    char *arguments[] = {shell, option, command, NULL};
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t all;
    sigset_t none;
    (void)sigfillset(&all);
    (void)sigemptyset(&none);
    int result = posix_spawn_file_actions_init(&actions);
    if (result == 0) {
        result = posix_spawnattr_init(&attributes);
        if (result == 0) {
            /* A group of its own, to be ended with all that it starts. Its output goes where errors go:
             * standard output is ours. */
            result = posix_spawn_file_actions_adddup2(&actions, pipe->spool.descriptor, 0);
            result = result != 0 ? result : posix_spawn_file_actions_adddup2(&actions, 2, 1);
            result = result != 0 ? result : posix_spawnattr_setsigdefault(&attributes, &all);
            result = result != 0 ? result : posix_spawnattr_setsigmask(&attributes, &none);
            result = result != 0 ? result : posix_spawnattr_setpgroup(&attributes, 0);
            short flags = POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK;
            result = result != 0 ? result : posix_spawnattr_setflags(&attributes, flags);
            result = result != 0 ? result
                                 : posix_spawn(child_out, "/bin/sh", &actions, &attributes,
                                               arguments, environment);
            (void)posix_spawnattr_destroy(&attributes);
        }
        (void)posix_spawn_file_actions_destroy(&actions);
    }
    free(command);
    return result;
}

/* Why waiting has ended. */
enum waited { WAITED_EXIT, WAITED_TIME, WAITED_CANCEL };

static enum waited wait_for(int process, int cancel, int limit_ms)
{
    struct pollfd polled[] = {{.fd = process, .events = POLLIN}, {.fd = cancel, .events = POLLIN}};
    int64_t left = limit_ms;
    for (;;) {
        struct timespec begin;
        struct timespec end;
        (void)clock_gettime(CLOCK_MONOTONIC, &begin);
        int count = poll(polled, 2, (int)left);
        if (count > 0 && polled[0].revents != 0) {
            return WAITED_EXIT;
        }
        if (count > 0) {
            return WAITED_CANCEL;
        }
        if (count == 0) {
            return WAITED_TIME;
        }
        (void)clock_gettime(CLOCK_MONOTONIC, &end); /* interrupted */
        left -= (end.tv_sec - begin.tv_sec) * 1000 + (end.tv_nsec - begin.tv_nsec) / 1000000;
        left = left < 0 ? 0 : left;
    }
}

/* Waits for the end of the command, or brings it about. */
static enum waited supervise(const struct pipe *pipe, pid_t child, int *status_out)
{
    int limit_ms =
        pipe->options.time_limit_s > 86400 ? 86400 * 1000 : (int)pipe->options.time_limit_s * 1000;
    enum waited waited = WAITED_TIME;
    AUTO_CLOSE int process = (int)syscall(SYS_pidfd_open, child, 0);
    if (process >= 0) {
        waited = wait_for(process, pipe->options.cancel, limit_ms);
        if (waited != WAITED_EXIT) {
            (void)kill(-child, SIGTERM);
            (void)wait_for(process, -1, ENDING_MS);
            (void)kill(-child, SIGKILL);
        }
    } else {
        waited = WAITED_EXIT; /* no descriptor to spare: without a limit, then */
    }
    while (waitpid(child, status_out, 0) < 0 && errno == EINTR) {
    }
    return waited;
}

static const char *reason_of(int status)
{
    switch (status) {
    case EX_DATAERR:
        return "it does not like the message";
    case EX_NOUSER:
        return "no such user";
    case EX_NOHOST:
        return "no such host";
    case EX_UNAVAILABLE:
        return "not available";
    case EX_CANTCREAT:
        return "it cannot make a file";
    case EX_PROTOCOL:
        return "protocol error";
    case EX_NOPERM:
        return "permission denied";
    default:
        return NULL;
    }
}

static enum target_outcome judge(int status, struct error *error)
{
    if (WIFSIGNALED(status)) {
        (void)error_set(error, ERROR_TEMPORARY, 0, "the command was ended by signal %d",
                        WTERMSIG(status));
        return TARGET_DEFERRED;
    }
    int code = WEXITSTATUS(status);
    if (code == 0) {
        return TARGET_STORED;
    }
    if (code == 126 || code == 127) {
        /* Nothing is wrong with the messages: no use to fetch the others. */
        (void)error_set(error, ERROR_CONFIGURATION, 0,
                        "the command cannot be run (the shell says %d)", code);
        return TARGET_FAILED;
    }
    const char *reason = reason_of(code);
    if (reason != NULL) {
        (void)error_set(error, ERROR_PERMANENT, 0, "the command refused it with status %d: %s",
                        code, reason);
        return TARGET_REFUSED;
    }
    (void)error_set(error, ERROR_TEMPORARY, 0, "the command ended with status %d", code);
    return TARGET_DEFERRED;
}

static enum target_outcome run(const struct pipe *pipe, char **environment, struct error *error)
{
    pid_t child;
    int status = 0;
    int number = spawn(pipe, environment, &child);
    if (number != 0) {
        (void)error_from_errno(error, number, "no command can be started");
        return TARGET_FAILED;
    }
    switch (supervise(pipe, child, &status)) {
    case WAITED_TIME:
        (void)error_set(error, ERROR_TEMPORARY, 0, "the command did not end within %u s",
                        pipe->options.time_limit_s);
        return TARGET_DEFERRED;
    case WAITED_CANCEL:
        (void)error_set(error, ERROR_TEMPORARY, 0, "the command was ended with this run");
        return TARGET_DEFERRED;
    case WAITED_EXIT:
        break;
    }
    return judge(status, error);
}

static enum target_outcome pipe_end(struct target *target, struct error *error)
{
    struct pipe *pipe = pipe_of(target);
    uint8_t last[1];
    size_t made = line_ends_finish(&pipe->line_ends, last);
    if (spool_append(&pipe->spool, (struct bytes){last, made}, error) < 0 ||
        spool_flush(&pipe->spool, error) < 0) {
        return TARGET_FAILED;
    }
    if (lseek(pipe->spool.descriptor, 0, SEEK_SET) < 0) {
        (void)error_from_errno(error, errno, "a temporary file cannot be read");
        return TARGET_FAILED;
    }
    struct environment environment;
    if (make_environment(pipe, &environment, error) < 0) {
        return TARGET_FAILED;
    }
    enum target_outcome outcome = run(pipe, environment.list, error);
    free(environment.list);
    return outcome;
}

static struct spool *pipe_spool(struct target *target, size_t index, struct error *error)
{
    (void)index;
    (void)error;
    return &pipe_of(target)->spool;
}

static void pipe_free(struct target *target)
{
    struct pipe *pipe = pipe_of(target);
    spool_close(&pipe->spool);
    free(pipe);
}

static const struct target_operations operations = {
    .begin = pipe_begin,
    .append = pipe_append,
    .abort = pipe_abort,
    .end = pipe_end,
    .spool = pipe_spool,
    .free = pipe_free,
};

int target_pipe_create(const struct target_options *options, struct target **target_out,
                       struct error *error)
{
    struct pipe *pipe = calloc(1, sizeof *pipe);
    if (pipe == NULL) {
        return error_set(error, ERROR_TEMPORARY, 0, "out of memory");
    }
    pipe->target.operations = &operations;
    pipe->options = *options;
    if (spool_open(&pipe->spool, options->state_folder, error) < 0) {
        free(pipe);
        return -1;
    }
    *target_out = &pipe->target;
    return 0;
}
