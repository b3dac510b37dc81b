/* SPDX-License-Identifier: MIT */
#include "peer.h"

#include <stdio.h>

enum { LINE_OCTETS = 512 };

static int fail(ssize_t size, const char *where, struct error *error)
{
    if (size == LINK_BROKEN) {
        return -1;
    }
    return error_set(error, ERROR_PROTOCOL, 0, "%s %s",
                     size == LINK_LATER ? "the server has been silent for a minute"
                                        : "the connection ended before its time",
                     where);
}

int peer_say(struct peer *peer, struct bytes commands, struct error *error)
{
    return link_send(&peer->link, commands, error);
}

int peer_fill(struct peer *peer, struct error *error)
{
    if (peer->start == peer->end) {
        peer->start = peer->end = 0;
    } else if (peer->end == PEER_INPUT_OCTETS) {
        memmove(peer->input, peer->input + peer->start, peer->end - peer->start);
        peer->end -= peer->start;
        peer->start = 0;
    }
    ssize_t size =
        link_receive(&peer->link, peer->input + peer->end, PEER_INPUT_OCTETS - peer->end, error);
    if (size <= 0) {
        return fail(size, "where a reply was wanted", error);
    }
    peer->end += (size_t)size;
    return 0;
}

int peer_line(struct peer *peer, struct bytes *line_out, struct error *error)
{
    for (;;) {
        size_t size = peer->end - peer->start;
        const uint8_t *line = peer->input + peer->start;
        const uint8_t *newline = size > 0 ? memchr(line, '\n', size) : NULL;
        if (newline != NULL) {
            *line_out = (struct bytes){line, (size_t)(newline - line)};
            peer->start += line_out->size + 1;
            return 0;
        }
        if (size >= LINE_OCTETS) {
            return error_set(error, ERROR_PROTOCOL, 0, "a reply line without an end");
        }
        if (peer_fill(peer, error) != 0) {
            return -1;
        }
    }
}

int peer_expect(struct peer *peer, const char *wanted, struct error *error)
{
    char text[120];
    struct bytes line;

    if (peer_line(peer, &line, error) != 0) {
        return -1;
    }
    return load_reply_is(line, wanted)
               ? 0
               : error_set(error, ERROR_PROTOCOL, 0, "wanted \"%s\", got \"%s\"", wanted,
                           bytes_escape(line, text, sizeof text));
}

int peer_ask(struct peer *peer, const char *command, const char *wanted, struct error *error)
{
    return peer_say(peer, bytes_of(command), error) != 0 ? -1 : peer_expect(peer, wanted, error);
}

int peer_drop(struct peer *peer, size_t most, struct error *error)
{
    while (most > 0) {
        ssize_t size = link_drop(&peer->link, most, error);
        if (size <= 0) {
            return fail(size, "inside a message", error);
        }
        most -= (size_t)size;
    }
    return 0;
}

int peer_greet(struct peer *peer, const struct load_options *options, struct error *error)
{
    peer->start = peer->end = 0;
    return link_open(&peer->link, options->target, true, error) != 0
               ? -1
               : peer_expect(peer, "+OK", error);
}

int peer_log_in(struct peer *peer, const struct load_options *options, struct error *error)
{
    char user[96], pass[96], stat[48];
    const char *suffix = options->users > 0 ? "-0000" : "";

    snprintf(user, sizeof user, "USER %s%s\r\n", options->corpus.name, suffix);
    snprintf(pass, sizeof pass, "PASS %.64s\r\n", options->password);
    load_expected_stat(options, stat, sizeof stat);
    return peer_greet(peer, options, error) != 0 || peer_ask(peer, user, "+OK", error) != 0 ||
                   peer_ask(peer, pass, "+OK", error) != 0 ||
                   peer_ask(peer, "STAT\r\n", stat, error) != 0
               ? -1
               : 0;
}

int peer_log_out(struct peer *peer, struct error *error)
{
    uint8_t octet;

    if (peer_ask(peer, "QUIT\r\n", "+OK", error) != 0) {
        return -1;
    }
    if (peer->start != peer->end || link_receive(&peer->link, &octet, 1, error) != 0) {
        return error_set(error, ERROR_PROTOCOL, 0, "octets after the answer to QUIT");
    }
    return 0;
}

void peer_close(struct peer *peer)
{
    link_close(&peer->link);
}
