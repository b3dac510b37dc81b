/* SPDX-License-Identifier: MIT */
#include "server/children.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "server/channel.h"

static void free_if_over(struct child_process *child)
{
    if (child->exited && child->channel_closed) {
        free(child);
    }
}

static void on_process_closed(uv_handle_t *handle)
{
    struct child_process *child = handle->data;
    child->exited = true;
    free_if_over(child);
}

static void on_channel_closed(uv_handle_t *handle)
{
    struct child_process *child = handle->data;
    (void)close(child->channel);
    child->channel_closed = true;
    free_if_over(child);
}

static void drop_received(struct child_process *child)
{
    if (child->received >= 0) {
        (void)close(child->received);
        child->received = -1;
    }
}

static void read_channel(struct child_process *child)
{
    for (;;) {
        struct message message;
        int descriptor;
        ssize_t size = channel_receive(child->channel, &message, sizeof message, &descriptor);
        child->received = descriptor;
        if (size != (ssize_t)sizeof message) {
            if (size >= 0 || errno != EAGAIN) {
                (void)uv_poll_stop(&child->poll); /* its exit is told by itself */
            }
            drop_received(child);
            return;
        }
        message.name[sizeof message.name - 1] = '\0';
        message.path[sizeof message.path - 1] = '\0';
        child->events->message(child, &message);
        drop_received(child);
    }
}

static void on_channel(uv_poll_t *poll, int status, int events)
{
    (void)status;
    (void)events;
    read_channel(poll->data);
}

static void on_process_exit(uv_process_t *process, int64_t status, int signal_number)
{
    struct child_process *child = process->data;
    if (signal_number != 0) {
        (void)snprintf(child->how, sizeof child->how, "was ended by signal %d (%s)", signal_number,
                       strsignal(signal_number));
    } else {
        (void)snprintf(child->how, sizeof child->how, "ended with status %d", (int)status);
    }
    read_channel(child); /* what it said before it ended */
    child->events->gone(child, child->how);
    uv_close((uv_handle_t *)&child->poll, on_channel_closed);
    uv_close((uv_handle_t *)process, on_process_closed);
}

/* The libraries of a source (SQLite, libpq, PAM's modules) free what held a password as it is: let the C library overwrite
 * what is freed. NULL: no memory. */
static char **wiping_environment(void)
{
    static char tunables[] = "GLIBC_TUNABLES=glibc.malloc.perturb=90:glibc.malloc.tcache_count=0";
    size_t count = 0;
    size_t used = 0;
    while (environ[count] != NULL) {
        count++;
    }
    char **environment = calloc(count + 2, sizeof *environment);
    if (environment == NULL) {
        return NULL;
    }
    environment[used++] = tunables;
    for (size_t i = 0; i < count; i++) {
        if (strncmp(environ[i], tunables, strcspn(tunables, "=") + 1) != 0) {
            environment[used++] = environ[i];
        }
    }
    return environment;
}

static int spawn(uv_loop_t *loop, struct child_process *child, int channel)
{
    char *arguments[] = {(char *)(uintptr_t) "restante", (char *)(uintptr_t)child->role, NULL};
    uv_stdio_container_t descriptors[CHILD_CHANNEL + 1] = {
        {.flags = UV_IGNORE},
        {.flags = UV_INHERIT_FD, .data.fd = STDERR_FILENO},
        {.flags = UV_INHERIT_FD, .data.fd = STDERR_FILENO},
        {.flags = UV_INHERIT_FD, .data.fd = channel},
    };
    uv_process_options_t options = {.file = "/proc/self/exe",
                                    .args = arguments,
                                    .exit_cb = on_process_exit,
                                    .stdio_count = CHILD_CHANNEL + 1,
                                    .stdio = descriptors};
    bool is_source = strcmp(child->role, "source") == 0;
    options.env = is_source ? wiping_environment() : NULL;
    child->process.data = child;
    int result =
        is_source && options.env == NULL ? UV_ENOMEM : uv_spawn(loop, &child->process, &options);
    free(options.env);
    return result;
}

struct child_process *children_start(uv_loop_t *loop, const char *role,
                                     const struct child_events *events, void *owner,
                                     struct error *error)
{
    int ends[2];
    struct child_process *child = calloc(1, sizeof *child);
    if (child == NULL || channel_pair(ends) < 0) {
        (void)error_set(error, ERROR_TEMPORARY, errno, "starting %s", role);
        free(child);
        return NULL;
    }
    *child = (struct child_process){.channel = ends[0],
                                    .events = events,
                                    .owner = owner,
                                    .role = role,
                                    .received = -1,
                                    .started = uv_now(loop)};
    (void)uv_poll_init(loop, &child->poll, child->channel);
    child->poll.data = child;
    int result = spawn(loop, child, ends[1]);
    (void)close(ends[1]);
    if (result < 0) {
        (void)error_set(error, ERROR_TEMPORARY, 0, "starting %s: %s", role, uv_strerror(result));
        uv_close((uv_handle_t *)&child->poll, on_channel_closed);
        uv_close((uv_handle_t *)&child->process, on_process_closed);
        return NULL;
    }
    (void)uv_poll_start(&child->poll, UV_READABLE, on_channel);
    return child;
}

void children_send(struct child_process *child, const struct message *message, int descriptor)
{
    if (channel_send(child->channel, message, sizeof *message, descriptor) < 0 && errno == EAGAIN) {
        log_write(LOG_LEVEL_ERROR, "%s %d does not read what the master says; it is killed",
                  child->role, child->process.pid);
        children_kill(child);
    }
}

void children_kill(struct child_process *child)
{
    (void)uv_process_kill(&child->process, SIGKILL);
}
