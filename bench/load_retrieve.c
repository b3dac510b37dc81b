/* SPDX-License-Identifier: MIT */
/* The whole maildrop by RETR, with a window of commands in flight.
 *
 * The sizes are known from the corpus, so nothing is searched for line ends but the first line of a
 * reply. Where a message is large, its inner octets are dropped inside the kernel (MSG_TRUNC), so that the
 * generator's copying does not hide what the server can do; with `verify` all are read and compared, and under TLS
 * all are read. */
#include <stdio.h>
#include <stdlib.h>

#include "peer.h"

enum { TAIL_OCTETS = 5 };

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
        if (held == 0 && left > PEER_INPUT_OCTETS && !options->verify) {
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
    return peer_say(peer, (struct bytes){(const uint8_t *)commands, size}, error);
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
    int status = peer_log_in(peer, options, error);
    if (status == 0) {
        uint64_t began_us = load_now_us();
        status = retrieve_all(peer, options, result, error);
        result->wall_us = load_now_us() - began_us;
    }
    if (status == 0) {
        status = peer_log_out(peer, error);
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
        status = peer_log_in(peer, &once, error);
        if (status == 0) {
            status = retrieve_all(peer, &once, result, error);
        }
        if (status == 0) {
            status = peer_log_out(peer, error);
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
