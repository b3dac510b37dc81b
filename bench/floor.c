/* SPDX-License-Identifier: MIT */
/* The floor: a server on the same loop as Restante's (libuv) that sends the same octets and does no work.
 * It believes every name and password, has the replies ready in memory and never looks at a disk while it
 * serves. What a real server costs more than this one is the price of being one.
 *
 *     floor --corpus FOLDER --ready-fd N
 *
 * A user is called NAME or NAME-SOMETHING and has the maildrop NAME of the corpus (corpus.h). */
#include <dirent.h>
#include <errno.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <uv.h>

#include "base/number.h"
#include "corpus.h"

enum {
    MAILDROPS = 16,
    INPUT_OCTETS = 8192,
    REPLY_PIECES = 128, /* two a message: the line and the octets */
    BACKLOG = 4096
};

struct maildrop {
    struct corpus corpus;
    char stat_reply[64];
};

struct connection {
    uv_tcp_t stream; /* first: the loop's pointer is ours */
    uv_write_t request;
    const struct maildrop *maildrop;
    uv_buf_t pieces[REPLY_PIECES];
    unsigned piece_count;
    bool busy; /* a write is under way; commands wait */
    bool closing;
    size_t input_size;
    char input[INPUT_OCTETS];
};

static struct maildrop maildrops[MAILDROPS];
static unsigned maildrop_count;

static void on_written(uv_write_t *request, int status);

static void on_closed(uv_handle_t *handle)
{
    free(handle);
}

static void hang_up(struct connection *connection)
{
    connection->closing = true;
    if (!uv_is_closing((uv_handle_t *)&connection->stream)) {
        uv_close((uv_handle_t *)&connection->stream, on_closed);
    }
}

static const struct maildrop *find_maildrop(struct bytes user)
{
    const uint8_t *dash = user.size > 0 ? memchr(user.data, '-', user.size) : NULL;
    size_t size = dash == NULL ? user.size : (size_t)(dash - user.data);

    for (unsigned index = 0; index < maildrop_count; index++) {
        const char *name = maildrops[index].corpus.name;
        if (strlen(name) == size && memcmp(name, user.data, size) == 0) {
            return &maildrops[index];
        }
    }
    return NULL;
}

static void reply(struct connection *connection, const void *data, size_t size)
{
    connection->pieces[connection->piece_count++] =
        uv_buf_init((char *)(uintptr_t)data, (unsigned)size);
}

static void reply_text(struct connection *connection, const char *text)
{
    reply(connection, text, strlen(text));
}

static void retrieve(struct connection *connection, struct bytes argument)
{
    const struct corpus *corpus = &connection->maildrop->corpus;
    uint64_t number;

    if (number_parse(argument, corpus->messages, &number) != 0 || number == 0) {
        reply_text(connection, "-ERR No such message\r\n");
        return;
    }
    size_t start = number == 1 ? 0 : corpus->ends[number - 2];
    reply_text(connection, "+OK Message follows\r\n");
    reply(connection, corpus->wire + start, corpus->ends[number - 1] - start);
}

static void obey(struct connection *connection, struct bytes line)
{
    struct bytes argument =
        line.size > 5 ? (struct bytes){line.data + 5, line.size - 5} : (struct bytes){0};
    const char *keyword = line.size >= 4 ? (const char *)line.data : "none";

    if (strncasecmp(keyword, "RETR", 4) == 0 && connection->maildrop != NULL) {
        retrieve(connection, argument);
    } else if (strncasecmp(keyword, "STAT", 4) == 0 && connection->maildrop != NULL) {
        reply_text(connection, connection->maildrop->stat_reply);
    } else if (strncasecmp(keyword, "USER", 4) == 0) {
        connection->maildrop = find_maildrop(argument);
        reply_text(connection, connection->maildrop != NULL ? "+OK\r\n" : "-ERR Not here\r\n");
    } else if (strncasecmp(keyword, "PASS", 4) == 0) {
        reply_text(connection, "+OK Mailbox locked and ready\r\n");
    } else if (strncasecmp(keyword, "NOOP", 4) == 0) {
        reply_text(connection, "+OK\r\n");
    } else if (strncasecmp(keyword, "QUIT", 4) == 0) {
        reply_text(connection, "+OK Goodbye\r\n");
        connection->closing = true;
    } else {
        reply_text(connection, "-ERR The floor does not know this\r\n");
    }
}

/* Sends the pieces; what the socket does not take at once makes the connection busy. */
static void flush(struct connection *connection)
{
    uv_stream_t *stream = (uv_stream_t *)&connection->stream;
    uv_buf_t *pieces = connection->pieces;
    unsigned count = connection->piece_count;
    int written = uv_try_write(stream, pieces, count);

    connection->piece_count = 0;
    if (written < 0 && written != UV_EAGAIN) {
        hang_up(connection);
        return;
    }
    size_t left = written < 0 ? 0 : (size_t)written;
    while (count > 0 && left >= pieces->len) {
        left -= pieces->len;
        pieces++;
        count--;
    }
    if (count == 0) {
        return;
    }
    pieces->base += left;
    pieces->len -= left;
    connection->busy = true;
    uv_read_stop(stream);
    if (uv_write(&connection->request, stream, pieces, count, on_written) != 0) {
        hang_up(connection);
    }
}

/* Obeys the lines that are there; replies go out together. */
static void proceed(struct connection *connection)
{
    char *start = connection->input;
    char *end = connection->input + connection->input_size;

    while (!connection->busy && !connection->closing) {
        char *newline = memchr(start, '\n', (size_t)(end - start));
        if (newline != NULL) {
            size_t size = (size_t)(newline - start);
            size -= size > 0 && newline[-1] == '\r' ? 1 : 0;
            obey(connection, (struct bytes){(uint8_t *)start, size});
            start = newline + 1;
        }
        if (connection->piece_count > 0 && (newline == NULL || connection->closing ||
                                            connection->piece_count + 2 > REPLY_PIECES)) {
            flush(connection);
        }
        if (newline == NULL) {
            break;
        }
    }
    connection->input_size = (size_t)(end - start);
    memmove(connection->input, start, connection->input_size);
    if (connection->closing && !connection->busy) {
        hang_up(connection);
    }
}

static void on_room(uv_handle_t *handle, size_t suggested, uv_buf_t *room_out)
{
    struct connection *connection = (struct connection *)handle;

    (void)suggested;
    *room_out = uv_buf_init(connection->input + connection->input_size,
                            (unsigned)(INPUT_OCTETS - connection->input_size));
}

static void on_read(uv_stream_t *stream, ssize_t size, const uv_buf_t *room)
{
    struct connection *connection = (struct connection *)stream;

    (void)room;
    if (size < 0) {
        hang_up(connection);
        return;
    }
    connection->input_size += (size_t)size;
    proceed(connection);
}

static void on_written(uv_write_t *request, int status)
{
    struct connection *connection = (struct connection *)request->handle;

    connection->busy = false;
    if (status != 0) {
        hang_up(connection);
        return;
    }
    proceed(connection);
    if (!connection->busy && !uv_is_closing((uv_handle_t *)&connection->stream)) {
        uv_read_start((uv_stream_t *)&connection->stream, on_room, on_read);
    }
}

static void on_connection(uv_stream_t *listener, int status)
{
    struct connection *connection = status == 0 ? malloc(sizeof *connection) : NULL;

    if (connection == NULL) {
        return;
    }
    connection->maildrop = NULL;
    connection->piece_count = 0;
    connection->busy = connection->closing = false;
    connection->input_size = 0;
    uv_tcp_init(listener->loop, &connection->stream);
    if (uv_accept(listener, (uv_stream_t *)&connection->stream) != 0) {
        hang_up(connection);
        return;
    }
    uv_read_start((uv_stream_t *)&connection->stream, on_room, on_read);
    reply_text(connection, "+OK Restante ready\r\n");
    flush(connection);
}

static int load_maildrops(const char *folder, struct error *error)
{
    DIR *listing = opendir(folder);
    struct dirent *entry;
    int result = 0;

    if (listing == NULL) {
        return error_from_errno(error, errno, "%s", folder);
    }
    while (result == 0 && (entry = readdir(listing)) != NULL) {
        char *dot = strrchr(entry->d_name, '.');
        if (dot == NULL || strcmp(dot, ".sizes") != 0) {
            continue;
        }
        *dot = '\0';
        if (maildrop_count == MAILDROPS) {
            result = error_set(error, ERROR_LIMIT, 0, "%s: too many maildrops", folder);
            break;
        }
        struct maildrop *maildrop = &maildrops[maildrop_count++];
        result = corpus_load(folder, entry->d_name, &maildrop->corpus, error);
        snprintf(maildrop->stat_reply, sizeof maildrop->stat_reply, "+OK %llu %llu\r\n",
                 (unsigned long long)maildrop->corpus.count,
                 (unsigned long long)maildrop->corpus.octets);
    }
    closedir(listing);
    return result;
}

/* Accepted sockets inherit the option from the listener: no system call a connection. */
static int listen_on_loopback(uv_tcp_t *listener, int ready)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int size = sizeof address, descriptor, on = 1;

    if (uv_tcp_init(uv_default_loop(), listener) != 0 ||
        uv_tcp_bind(listener, (struct sockaddr *)&address, 0) != 0 ||
        uv_fileno((uv_handle_t *)listener, &descriptor) != 0 ||
        setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) != 0 ||
        uv_listen((uv_stream_t *)listener, BACKLOG, on_connection) != 0 ||
        uv_tcp_getsockname(listener, (struct sockaddr *)&address, &size) != 0) {
        return -1;
    }
    return dprintf(ready, "pop3 127.0.0.1:%u\nready\n", ntohs(address.sin_port)) < 0 ? -1 : 0;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {{"corpus", required_argument, NULL, 'c'},
                                            {"ready-fd", required_argument, NULL, 'r'},
                                            {NULL, 0, NULL, 0}};
    const char *folder = NULL;
    uint64_t ready = 1;
    struct error error;
    uv_tcp_t listener;

    for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (option == 'c') {
            folder = optarg;
        } else if (option != 'r' || number_parse(bytes_of(optarg), 1023, &ready) != 0) {
            return 64;
        }
    }
    if (folder == NULL) {
        fputs("usage: floor --corpus FOLDER [--ready-fd N]\n", stderr);
        return 64;
    }
    if (load_maildrops(folder, &error) != 0) {
        fprintf(stderr, "floor: %s\n", error.text);
        return 1;
    }
    if (listen_on_loopback(&listener, (int)ready) != 0) {
        fputs("floor: cannot listen on 127.0.0.1\n", stderr);
        return 1;
    }
    return uv_run(uv_default_loop(), UV_RUN_DEFAULT);
}
