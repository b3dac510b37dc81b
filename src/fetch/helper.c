/* SPDX-License-Identifier: MIT */
/* A helper is done when it has exited and its output has ended; one that leaves children behind which hold the
 * output is given a moment, then its output is taken as it is. */
#include "fetch/helper.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "base/container_of.h"

enum { LINGER_MS = 200 };

struct helper {
    uv_process_t process;
    uv_pipe_t input, output;
    uv_timer_t timer;
    uv_write_t write;
    helper_done *done; /* NULL: cancelled */
    void *owner;
    uint32_t handles;
    bool exited, ended, finished, timed_out;
    bool has_group; /* of its own: what it starts is ended with it */
    int64_t status;
    int signal;
    uint64_t timeout_ms;
    size_t size;
    bool overflow;
    char name[64];
    struct error error;
    uint8_t data[HELPER_OUTPUT_SIZE];
};

static void on_closed(uv_handle_t *handle)
{
    struct helper *helper = handle->data;
    if (--helper->handles == 0) {
        free(helper);
    }
}

static void close_all(struct helper *helper)
{
    uv_handle_t *handles[] = {(uv_handle_t *)&helper->process, (uv_handle_t *)&helper->input,
                              (uv_handle_t *)&helper->output, (uv_handle_t *)&helper->timer};
    for (size_t i = 0; i < sizeof handles / sizeof handles[0]; i++) {
        if (handles[i]->data != NULL && !uv_is_closing(handles[i])) {
            uv_close(handles[i], on_closed);
        }
    }
}

static int judge(const struct helper *helper, struct error *error)
{
    if (helper->timed_out) {
        return error_set(error, ERROR_TEMPORARY, 0, "`%s' did not end within %g s", helper->name,
                         (double)helper->timeout_ms / 1000);
    }
    if (helper->signal != 0) {
        return error_set(error, ERROR_TEMPORARY, 0, "`%s' was ended by signal %d", helper->name,
                         helper->signal);
    }
    if (helper->status != 0) {
        return error_set(error, ERROR_TEMPORARY, 0, "`%s' ended with status %lld", helper->name,
                         (long long)helper->status);
    }
    if (helper->overflow) {
        return error_set(error, ERROR_LIMIT, 0, "`%s' printed over %d octets", helper->name,
                         HELPER_OUTPUT_SIZE);
    }
    return 0;
}

static void finish(struct helper *helper)
{
    struct error *error = &helper->error;
    if (helper->finished) {
        return;
    }
    helper->finished = true;
    int result = judge(helper, error);
    helper_done *done = helper->done;
    void *owner = helper->owner;
    close_all(helper); /* the memory stays until the loop's next turn */
    if (done != NULL) {
        done(owner, (struct bytes){helper->data, helper->size}, result < 0 ? error : NULL);
    }
    explicit_bzero(helper->data, sizeof helper->data);
}

static void end(struct helper *helper, int signal)
{
    (void)kill(helper->has_group ? -helper->process.pid : helper->process.pid, signal);
}

static void on_timer(uv_timer_t *timer)
{
    struct helper *helper = CONTAINER_OF(timer, struct helper, timer);
    if (!helper->exited) {
        helper->timed_out = true;
        end(helper, SIGKILL);
    }
    finish(helper);
}

static void on_exited(uv_process_t *process, int64_t status, int signal)
{
    struct helper *helper = CONTAINER_OF(process, struct helper, process);
    helper->exited = true;
    helper->status = status;
    helper->signal = signal;
    if (helper->ended) {
        finish(helper);
    } else if (!helper->finished) {
        (void)uv_timer_start(&helper->timer, on_timer, LINGER_MS, 0);
    }
}

static void on_allocate(uv_handle_t *handle, size_t suggested, uv_buf_t *out)
{
    static char surplus[256]; /* what is too much is read and dropped */
    struct helper *helper = handle->data;
    size_t room = sizeof helper->data - helper->size;
    (void)suggested;
    *out = room == 0 ? uv_buf_init(surplus, sizeof surplus)
                     : uv_buf_init((char *)helper->data + helper->size, (unsigned)room);
}

static void on_read(uv_stream_t *stream, ssize_t count, const uv_buf_t *buffer)
{
    struct helper *helper = stream->data;
    if (count < 0) {
        (void)uv_read_stop(stream);
        helper->ended = true;
        if (helper->exited) {
            finish(helper);
        }
    } else if ((uint8_t *)buffer->base < helper->data ||
               (uint8_t *)buffer->base >= helper->data + sizeof helper->data) {
        helper->overflow = helper->overflow || count > 0;
    } else {
        helper->size += (size_t)count;
    }
}

static void on_written(uv_write_t *write, int status)
{
    (void)status; /* one that does not read to the end may know enough */
    struct helper *helper = CONTAINER_OF(write, struct helper, write);
    if (!uv_is_closing((uv_handle_t *)&helper->input)) {
        uv_close((uv_handle_t *)&helper->input, on_closed);
    }
}

/* Our environment and what the options add; NULL: no memory. The array is the caller's, its texts are not. */
static char **environment_with(const char *const *more)
{
    size_t ours = 0, added = 0;
    while (environ[ours] != NULL) {
        ours++;
    }
    while (more != NULL && more[added] != NULL) {
        added++;
    }
    char **all = calloc(ours + added + 1, sizeof *all);
    if (all != NULL) {
        for (size_t i = 0; i < added; i++) {
            all[i] = (char *)(uintptr_t)more[i]; /* first: the first of a name counts */
        }
        memcpy(all + added, environ, ours * sizeof *all);
    }
    return all;
}

static int spawn(struct helper *helper, uv_loop_t *loop, const struct helper_options *options)
{
    uv_stdio_container_t stdio[3] = {{.flags = (uv_stdio_flags)(UV_CREATE_PIPE | UV_READABLE_PIPE),
                                      .data.stream = (uv_stream_t *)&helper->input},
                                     {.flags = (uv_stdio_flags)(UV_CREATE_PIPE | UV_WRITABLE_PIPE),
                                      .data.stream = (uv_stream_t *)&helper->output},
                                     {.flags = UV_INHERIT_FD, .data.fd = 2}};
    if (options->has_terminal) {
        stdio[0] = (uv_stdio_container_t){.flags = UV_INHERIT_FD, .data.fd = 0};
    }
    char **environment = environment_with(options->environment);
    if (environment == NULL) {
        return UV_ENOMEM;
    }
    char **arguments = (char **)(uintptr_t)options->arguments;
    uv_process_options_t process = {.file = arguments[0],
                                    .args = arguments,
                                    .env = environment,
                                    .exit_cb = on_exited,
                                    .flags = helper->has_group ? UV_PROCESS_DETACHED : 0,
                                    .stdio_count = 3,
                                    .stdio = stdio};
    helper->process.data = helper;
    helper->handles++;
    int result = uv_spawn(loop, &helper->process, &process);
    free(environment);
    return result;
}

struct helper *helper_start(uv_loop_t *loop, const struct helper_options *options,
                            helper_done *done, void *owner, struct error *error)
{
    struct helper *helper = calloc(1, sizeof *helper);
    if (helper == NULL) {
        (void)error_set(error, ERROR_TEMPORARY, 0, "out of memory");
        return NULL;
    }
    size_t last = 0;
    while (options->arguments[last + 1] != NULL) {
        last++;
    }
    helper->has_group = !options->has_terminal; /* else it could not read from the terminal */
    bool is_shell = strcmp(options->arguments[0], "/bin/sh") == 0;
    (void)bytes_escape(bytes_of(options->arguments[is_shell ? last : 0]), helper->name,
                       sizeof helper->name);
    helper->timeout_ms = options->timeout_ms;
    (void)uv_pipe_init(loop, &helper->input, 0);
    (void)uv_pipe_init(loop, &helper->output, 0);
    (void)uv_timer_init(loop, &helper->timer);
    helper->input.data = helper->output.data = helper->timer.data = helper;
    helper->handles = 3;
    int result = spawn(helper, loop, options);
    if (result < 0) {
        (void)error_set(error, ERROR_PERMANENT, 0, "`%s' cannot be run: %s", helper->name,
                        uv_strerror(result));
        close_all(helper);
        return NULL;
    }
    helper->done = done;
    helper->owner = owner;
    (void)uv_timer_start(&helper->timer, on_timer, options->timeout_ms, 0);
    (void)uv_read_start((uv_stream_t *)&helper->output, on_allocate, on_read);
    uv_buf_t buffer =
        uv_buf_init((char *)(uintptr_t)options->input.data, (unsigned)options->input.size);
    if (!options->has_terminal &&
        (options->input.size == 0 ||
         uv_write(&helper->write, (uv_stream_t *)&helper->input, &buffer, 1, on_written) < 0)) {
        uv_close((uv_handle_t *)&helper->input, on_closed);
    }
    return helper;
}

void helper_cancel(struct helper *helper)
{
    helper->done = NULL;
    if (!helper->exited) {
        end(helper, SIGTERM);
    }
    finish(helper);
}
