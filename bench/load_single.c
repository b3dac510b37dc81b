/* SPDX-License-Identifier: MIT */
/* One connection at a time, blocking: the whole maildrop by RETR, with a window of commands in flight, and
 * the time from connecting to the answer of STAT.
 *
 * The sizes are known from the corpus, so nothing is searched for line ends but the first line of a
 * reply. Where a message is large, its inner octets are dropped inside the kernel (MSG_TRUNC), so that the
 * generator's copying does not hide what the server can do; with `verify` all are read and compared. */
#include "load.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { INPUT_OCTETS = 256 * 1024, LINE_OCTETS = 512, TAIL_OCTETS = 5 };

struct peer {
    int descriptor;
    size_t start, end; /* what was read and not yet used */
    uint8_t input[INPUT_OCTETS];
};

static int peer_open(struct peer *peer, const struct load_options *options, struct error *error)
{
    const struct sockaddr_in *address = &options->address;
    const struct timeval patience = {.tv_sec = 60};
    int on = 1;

    peer->start = peer->end = 0;
    peer->descriptor = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (peer->descriptor < 0 ||
        setsockopt(peer->descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) != 0 ||
        setsockopt(peer->descriptor, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) != 0 ||
        connect(peer->descriptor, (const struct sockaddr *)address, sizeof *address) != 0) {
        return error_from_errno(error, errno, "connect");
    }
    return 0;
}

static void peer_close(struct peer *peer)
{
    if (peer->descriptor >= 0) {
        close(peer->descriptor);
        peer->descriptor = -1;
    }
}

static int peer_say(struct peer *peer, const char *text, size_t size, struct error *error)
{
    while (size > 0) {
        ssize_t sent = send(peer->descriptor, text, size, MSG_NOSIGNAL);
        if (sent < 0) {
            return error_from_errno(error, errno, "send");
        }
        text += sent;
        size -= (size_t)sent;
    }
    return 0;
}

/* Reads more behind what is there. */
static int peer_fill(struct peer *peer, struct error *error)
{
    if (peer->start == peer->end) {
        peer->start = peer->end = 0;
    } else if (peer->end == INPUT_OCTETS) {
        memmove(peer->input, peer->input + peer->start, peer->end - peer->start);
        peer->end -= peer->start;
        peer->start = 0;
    }
    ssize_t size = recv(peer->descriptor, peer->input + peer->end, INPUT_OCTETS - peer->end, 0);
    if (size <= 0) {
        return error_set(error, ERROR_PROTOCOL, size < 0 ? errno : 0,
                         "the connection ended before its time");
    }
    peer->end += (size_t)size;
    return 0;
}

/* Reads one line and checks what it begins with. */
static int peer_expect(struct peer *peer, const char *wanted, struct error *error)
{
    char text[120];

    for (;;) {
        size_t size = peer->end - peer->start;
        const uint8_t *line = peer->input + peer->start;
        const uint8_t *newline = size > 0 ? memchr(line, '\n', size) : NULL;
        if (newline != NULL) {
            struct bytes reply = {line, (size_t)(newline - line)};
            peer->start += reply.size + 1;
            return load_reply_is(reply, wanted)
                       ? 0
                       : error_set(error, ERROR_PROTOCOL, 0, "wanted \"%s\", got \"%s\"", wanted,
                                   bytes_escape(reply, text, sizeof text));
        }
        if (size >= LINE_OCTETS) {
            return error_set(error, ERROR_PROTOCOL, 0, "a reply line without an end");
        }
        if (peer_fill(peer, error) != 0) {
            return -1;
        }
    }
}

static int peer_ask(struct peer *peer, const char *command, const char *wanted, struct error *error)
{
    return peer_say(peer, command, strlen(command), error) != 0 ? -1
                                                                : peer_expect(peer, wanted, error);
}

/* Up to `most` octets of a message that the input buffer does not hold are dropped in the kernel. */
static int peer_drop(struct peer *peer, size_t most, struct error *error)
{
    while (most > 0) {
        ssize_t size = recv(peer->descriptor, NULL, most, MSG_TRUNC);
        if (size <= 0) {
            return error_set(error, ERROR_PROTOCOL, size < 0 ? errno : 0,
                             "the connection ended inside a message");
        }
        most -= (size_t)size;
    }
    return 0;
}

static int differs(size_t message, size_t offset, struct bytes wanted, const uint8_t *got,
                   struct error *error)
{
    char left[60], right[60];
    size_t at = 0;

    while (wanted.data[at] == got[at]) {
        at++;
    }
    struct bytes rest = bytes_from(wanted, at);
    rest.size = rest.size > 12 ? 12 : rest.size;
    return error_set(error, ERROR_PROTOCOL, 0,
                     "message %zu differs at octet %zu: wanted \"%s\", got \"%s\"", message + 1,
                     offset + at, bytes_escape(rest, left, sizeof left),
                     bytes_escape((struct bytes){got + at, rest.size}, right, sizeof right));
}

/* Takes the octets of one message, terminator included. */
static int take_message(struct peer *peer, const struct load_options *options, size_t message,
                        struct error *error)
{
    const struct corpus *corpus = &options->corpus;
    size_t start = message == 0 ? 0 : corpus->ends[message - 1];
    size_t size = corpus->ends[message] - start;

    for (size_t done = 0; done < size;) {
        size_t held = peer->end - peer->start;
        size_t left = size - done;
        if (held == 0 && left > INPUT_OCTETS && !options->verify) {
            if (peer_drop(peer, left - TAIL_OCTETS, error) != 0) {
                return -1;
            }
            done += left - TAIL_OCTETS;
            continue;
        }
        if (held == 0) {
            if (peer_fill(peer, error) != 0) {
                return -1;
            }
            continue;
        }
        size_t part = held < left ? held : left;
        /* Unverified, the last octets still say whether the message ended where it should. */
        size_t from = options->verify || part < TAIL_OCTETS ? 0 : part - TAIL_OCTETS;
        if (options->verify || done + part == size) {
            struct bytes wanted = {corpus->wire + start + done + from, part - from};
            const uint8_t *got = peer->input + peer->start + from;
            if (memcmp(wanted.data, got, wanted.size) != 0) {
                return differs(message, done + from, wanted, got, error);
            }
        }
        peer->start += part;
        done += part;
    }
    return 0;
}

static int log_in(struct peer *peer, const struct load_options *options, struct error *error)
{
    char user[96], pass[96], stat[48];
    const char *suffix = options->users > 0 ? "-0000" : "";

    snprintf(user, sizeof user, "USER %s%s\r\n", options->corpus.name, suffix);
    snprintf(pass, sizeof pass, "PASS %.64s\r\n", options->password);
    load_expected_stat(&options->corpus, stat, sizeof stat);
    return peer_open(peer, options, error) != 0 || peer_expect(peer, "+OK", error) != 0 ||
                   peer_ask(peer, user, "+OK", error) != 0 ||
                   peer_ask(peer, pass, "+OK", error) != 0 ||
                   peer_ask(peer, "STAT\r\n", stat, error) != 0
               ? -1
               : 0;
}

static int log_out(struct peer *peer, struct error *error)
{
    uint8_t octet;

    if (peer_ask(peer, "QUIT\r\n", "+OK", error) != 0) {
        return -1;
    }
    if (peer->start != peer->end || recv(peer->descriptor, &octet, 1, 0) != 0) {
        return error_set(error, ERROR_PROTOCOL, 0, "octets after the answer to QUIT");
    }
    return 0;
}

/* Asks for the next messages until `window` of them are in flight; one send for all. */
static int ask_messages(struct peer *peer, const struct load_options *options, size_t *asked,
                        size_t most, struct error *error)
{
    char commands[8 * 1024];
    size_t size = 0;

    while (*asked < most && size + 32 < sizeof commands) {
        size += (size_t)snprintf(commands + size, 32, "RETR %zu\r\n",
                                 *asked % options->corpus.messages + 1);
        ++*asked;
    }
    return peer_say(peer, commands, size, error);
}

static int retrieve_all(struct peer *peer, const struct load_options *options,
                        struct load_result *result, struct error *error)
{
    const struct corpus *corpus = &options->corpus;
    uint64_t until_us = load_now_us() + options->duration_us;
    size_t asked = 0, taken = 0, most = corpus->messages, rest;

    while (taken < most) {
        size_t window_end = taken + options->window;
        /* Half a window is refilled at once, so that commands too travel in few segments. */
        if (asked == taken || asked - taken <= options->window / 2) {
            if (ask_messages(peer, options, &asked, window_end < most ? window_end : most, error) !=
                0) {
                return -1;
            }
        }
        if (peer_expect(peer, "+OK", error) != 0 ||
            take_message(peer, options, taken % corpus->messages, error) != 0) {
            return -1;
        }
        taken++;
        /* Another maildrop is begun while there is time, so that the pipe stays full. */
        if (options->partial && load_now_us() >= until_us) {
            most = asked;
        } else if (taken + options->window >= most && !options->verify &&
                   load_now_us() < until_us) {
            most += corpus->messages;
        }
    }
    rest = taken % corpus->messages;
    result->done = taken;
    result->octets =
        taken / corpus->messages * corpus->wire_size + (rest == 0 ? 0 : corpus->ends[rest - 1]);
    return 0;
}

int load_retrieve(const struct load_options *options, struct load_result *result,
                  struct error *error)
{
    AUTO_FREE struct peer *peer = calloc(1, sizeof *peer);

    if (peer == NULL || options->corpus.messages == 0) {
        return error_set(error, ERROR_USAGE, 0, "%s has no messages", options->corpus.name);
    }
    int status = log_in(peer, options, error);
    if (status == 0) {
        uint64_t began_us = load_now_us();
        status = retrieve_all(peer, options, result, error);
        result->wall_us = load_now_us() - began_us;
    }
    if (status == 0) {
        status = log_out(peer, error);
    }
    peer_close(peer);
    return status;
}

int load_whole(const struct load_options *options, struct load_result *result, struct error *error)
{
    AUTO_FREE struct peer *peer = calloc(1, sizeof *peer);
    struct load_options once = *options;
    uint64_t began_us = load_now_us(), sessions = 0, octets = 0;
    int status = peer == NULL ? error_set(error, ERROR_LIMIT, 0, "no memory") : 0;

    once.duration_us = 0;
    while (status == 0 && (sessions == 0 ||
                           (!options->verify && load_now_us() < began_us + options->duration_us))) {
        status = log_in(peer, &once, error);
        if (status == 0) {
            status = retrieve_all(peer, &once, result, error);
        }
        if (status == 0) {
            status = log_out(peer, error);
        }
        peer_close(peer);
        sessions++;
        octets += result->octets;
    }
    result->done = sessions;
    result->octets = octets;
    result->wall_us = load_now_us() - began_us;
    return status;
}

int load_logins(const struct load_options *options, struct load_result *result, struct error *error)
{
    AUTO_FREE struct peer *peer = calloc(1, sizeof *peer);
    uint64_t began_us = load_now_us();
    int status = peer == NULL ? error_set(error, ERROR_LIMIT, 0, "no memory") : 0;

    for (uint32_t index = 0; index < options->repeat && status == 0; index++) {
        uint64_t start_us = load_now_us();
        status = log_in(peer, options, error);
        if (status == 0) {
            status = load_times_add(&result->times, load_now_us() - start_us, error);
        }
        if (status == 0) {
            result->done++;
            status = log_out(peer, error);
        }
        peer_close(peer);
    }
    result->wall_us = load_now_us() - began_us;
    return status;
}
