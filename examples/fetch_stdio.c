/* SPDX-License-Identifier: MIT */
/* Takes the mail down over standard input and output, and writes it to descriptor 3 as it was sent.
 *
 *     cc fetch_stdio.c $(pkg-config --cflags --libs pop3) -o fetch_stdio
 *     socat TCP:localhost:1110 EXEC:'./fetch_stdio alice secret',fdin=0 3>mail
 *
 * A real client would talk TLS, and say DELE and QUIT only after the mail is safe on its disk. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <pop3/pop3.h>

enum { IN_FLIGHT = 100, MAIL = 3 };

struct fetch {
    const char *user, *password;
    struct pop3_client *client;
    uint32_t count, asked, whole; /* messages: there are, were asked for, have come */
    int failed;
};

static void write_all(struct fetch *fetch, int descriptor, const char *data, size_t size)
{
    while (size != 0) {
        ssize_t count = write(descriptor, data, size);
        if (count <= 0) {
            fetch->failed = 1;
            return;
        }
        data += count;
        size -= (size_t)count;
    }
}

static void on_reply(struct fetch *fetch, const struct pop3_client_event *event)
{
    struct pop3_client *client = fetch->client;
    enum pop3_client_command command = event->u.reply.command;
    if (!event->u.reply.ok && command != POP3_CLIENT_CAPA) {
        /* The text is a stranger's: a program for people would not print it to a terminal as it is. */
        fetch->failed = 1;
    } else if (command == POP3_CLIENT_USER) {
        (void)pop3_client_pass(client, fetch->password, strlen(fetch->password));
    } else if (command == POP3_CLIENT_PASS) {
        (void)pop3_client_stat(client);
    } else if (command == POP3_CLIENT_STAT) {
        fetch->count = event->u.reply.count;
    }
}

/* Keeps as many RETRs under way as there is room for; they go out together if the server says PIPELINING. */
static void ask(struct fetch *fetch)
{
    while (fetch->asked < fetch->count && pop3_client_retr(fetch->client, fetch->asked + 1) == 0) {
        fetch->asked++;
    }
}

static void on_idle(struct fetch *fetch)
{
    if (pop3_client_state(fetch->client) == POP3_CLIENT_AUTHORIZATION && !fetch->failed) {
        (void)pop3_client_user(fetch->client, fetch->user, strlen(fetch->user));
    } else {
        (void)pop3_client_quit(fetch->client);
    }
}

/* Tells what came; nonzero if more octets of the server are needed. */
static int step(struct fetch *fetch, struct pop3_client_event *event)
{
    ask(fetch);
    pop3_client_next(fetch->client, event);
    if (event->type == POP3_CLIENT_WRITE) {
        write_all(fetch, STDOUT_FILENO, event->u.write.data, event->u.write.size);
        pop3_client_written(fetch->client, event->u.write.size);
    } else if (event->type == POP3_CLIENT_REPLY) {
        on_reply(fetch, event);
    } else if (event->type == POP3_CLIENT_MESSAGE) {
        write_all(fetch, MAIL, event->u.message.data, event->u.message.size);
    } else if (event->type == POP3_CLIENT_MESSAGE_END) {
        fetch->whole++;
    } else if (event->type == POP3_CLIENT_IDLE) {
        on_idle(fetch);
    }
    return event->type == POP3_CLIENT_NEED_INPUT;
}

int main(int argc, char **argv)
{
    const struct pop3_client_options options = {.ask_capa = 1, .encrypted = 1};
    static char input[65536];
    size_t size = 0, used = 0;
    void *memory = malloc(pop3_client_size(IN_FLIGHT));
    if (argc != 3 || memory == NULL) {
        return EXIT_FAILURE;
    }
    struct fetch fetch = {argv[1], argv[2], pop3_client_init(memory, IN_FLIGHT, &options), 0, 0,
                          0,       0};
    struct pop3_client_event event;
    do {
        if (!step(&fetch, &event)) {
            continue;
        }
        if (used == size) {
            ssize_t count = read(STDIN_FILENO, input, sizeof input);
            size = count > 0 ? (size_t)count : 0;
            used = 0;
        }
        if (size == 0) {
            pop3_client_end(fetch.client);
        } else {
            used += pop3_client_feed(fetch.client, input + used, size - used);
        }
    } while (event.type != POP3_CLIENT_CLOSE);
    free(memory);
    return fetch.failed || event.u.close.error || fetch.whole != fetch.count;
}
