/* SPDX-License-Identifier: MIT */
#include "server/control_server.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LINE_SIZE = 512, ANSWER_SIZE = 1024 };

struct control_connection {
    uv_pipe_t pipe;
    uv_write_t write;
    struct control_server *server;
    struct control_connection *next;
    uint64_t ticket; /* 0: nothing is asked yet */
    size_t size;
    char line[LINE_SIZE];
    char answer[ANSWER_SIZE];
};

static void on_closed(uv_handle_t *handle)
{
    free(handle->data);
}

static void end(struct control_connection *connection)
{
    for (struct control_connection **link = &connection->server->connections; *link != NULL;
         link = &(*link)->next) {
        if (*link == connection) {
            *link = connection->next;
            uv_close((uv_handle_t *)&connection->pipe, on_closed);
            return;
        }
    }
}

static void on_allocate(uv_handle_t *handle, size_t suggested, uv_buf_t *out)
{
    (void)suggested;
    struct control_connection *connection = handle->data;
    *out = uv_buf_init(connection->line + connection->size,
                       (unsigned)(sizeof connection->line - connection->size));
}

static void on_read(uv_stream_t *stream, ssize_t size, const uv_buf_t *buffer)
{
    (void)buffer;
    struct control_connection *connection = stream->data;
    if (size < 0) {
        end(connection);
        return;
    }
    connection->size += (size_t)size;
    char *line_end = memchr(connection->line, '\n', connection->size);
    if (line_end != NULL && connection->ticket == 0) {
        *line_end = '\0';
        connection->ticket = ++connection->server->last_ticket;
        connection->server->request(connection->server, connection->ticket, connection->line);
    } else if (connection->size == sizeof connection->line) {
        end(connection);
    }
}

/* The requests tell who has an account here: not everybody's business. */
static bool may_ask(const struct control_server *server, const uv_pipe_t *pipe)
{
    uv_os_fd_t descriptor;
    struct ucred peer;
    socklen_t size = sizeof peer;
    return uv_fileno((const uv_handle_t *)pipe, &descriptor) == 0 &&
           getsockopt(descriptor, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 &&
           (peer.uid == 0 || peer.uid == geteuid() || peer.uid == server->user);
}

static void on_connection(uv_stream_t *listener, int status)
{
    struct control_server *server = listener->data;
    struct control_connection *connection = calloc(1, sizeof *connection);
    if (status < 0 || connection == NULL) {
        free(connection);
        return;
    }
    (void)uv_pipe_init(listener->loop, &connection->pipe, 0);
    connection->pipe.data = connection;
    connection->server = server;
    connection->next = server->connections;
    server->connections = connection;
    if (uv_accept(listener, (uv_stream_t *)&connection->pipe) < 0 ||
        !may_ask(server, &connection->pipe) ||
        uv_read_start((uv_stream_t *)&connection->pipe, on_allocate, on_read) < 0) {
        end(connection);
    }
}

static void on_written(uv_write_t *write, int status)
{
    if (status != UV_ECANCELED) {
        end(write->data);
    }
}

static void answer(struct control_server *server, uint64_t ticket, const char *head,
                   const char *text)
{
    struct control_connection *connection = server->connections;
    while (connection != NULL && connection->ticket != ticket) {
        connection = connection->next;
    }
    if (connection == NULL) {
        return;
    }
    int size = snprintf(connection->answer, sizeof connection->answer, "%s%s%s\n", head,
                        text[0] == '\0' ? "" : " ", text);
    uv_buf_t buffer = uv_buf_init(connection->answer, (unsigned)size);
    connection->write.data = connection;
    if (uv_write(&connection->write, (uv_stream_t *)&connection->pipe, &buffer, 1, on_written) <
        0) {
        end(connection);
    }
}

void control_server_answer(struct control_server *server, uint64_t ticket, const char *text)
{
    answer(server, ticket, "ok", text == NULL ? "" : text);
}

void control_server_refuse(struct control_server *server, uint64_t ticket,
                           const struct error *error)
{
    char head[32];
    (void)snprintf(head, sizeof head, "error %u", (unsigned)error->kind);
    answer(server, ticket, head, error->text);
}

/* One server a state folder: whoever has the lock may replace a socket that a dead one left. */
static int take_folder(struct control_server *server, const char *state_dir, struct error *error)
{
    char path[256];
    if (mkdir(state_dir, 0755) < 0 && errno != EEXIST) {
        return error_set(error, ERROR_CONFIGURATION, errno, "state-dir %s cannot be made",
                         state_dir);
    }
    (void)snprintf(path, sizeof path, "%s/lock", state_dir);
    server->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (server->lock < 0) {
        return error_set(error, ERROR_CONFIGURATION, errno, "%s cannot be opened", path);
    }
    if (flock(server->lock, LOCK_EX | LOCK_NB) < 0) {
        return error_set(error, ERROR_TEMPORARY, 0,
                         "another server has %s; stop it, or give this one another state-dir",
                         state_dir);
    }
    return 0;
}

int control_server_start(struct control_server *server, uv_loop_t *loop, const char *state_dir,
                         struct error *error)
{
    if (take_folder(server, state_dir, error) < 0) {
        return -1;
    }
    char *path = server->path;
    (void)snprintf(path, sizeof server->path, "%s/control", state_dir);
    (void)unlink(path);
    (void)uv_pipe_init(loop, &server->pipe, 0);
    server->pipe.data = server;
    int result = uv_pipe_bind(&server->pipe, path);
    if (result == 0) {
        result = uv_listen((uv_stream_t *)&server->pipe, 64, on_connection);
    }
    if (result == 0 && chmod(path, 0666) < 0) { /* who asks is looked at when he does */
        result = -errno;
    }
    if (result < 0) {
        return error_set(error, ERROR_CONFIGURATION, 0, "%s: %s", path, uv_strerror(result));
    }
    return 0;
}

void control_server_stop(struct control_server *server)
{
    if (server->pipe.data != NULL && !uv_is_closing((uv_handle_t *)&server->pipe)) {
        uv_close((uv_handle_t *)&server->pipe, NULL);
        (void)unlink(server->path);
    }
}
