/* SPDX-License-Identifier: MIT */
/* One connection at a time, and commands whose times or whose cost are wanted. */
#include <stdio.h>
#include <stdlib.h>

#include "peer.h"

enum { MOST_IN_FLIGHT = 1000, DELE_OCTETS = 24 };

/* Does something on a connection that is logged in. */
typedef int (*command_function)(struct peer *peer, const struct load_options *options,
                                struct error *error);

/* Sessions one after the other; the time of each is from connecting to the end of `command`, or, if that alone is
 * wanted, from where it begins. QUIT belongs to it where it has said so. */
static int run_sessions(const struct load_options *options, uint32_t sessions,
                        command_function command, bool alone, struct load_result *result,
                        struct error *error)
{
    AUTO_FREE struct peer *peer = calloc(1, sizeof *peer);
    int status = peer == NULL ? error_set(error, ERROR_LIMIT, 0, "no memory") : 0;

    if (status == 0) {
        status = load_first_ticket(options, error);
    }
    uint64_t began_us = load_now_us();
    for (uint32_t index = 0; index < sessions && status == 0; index++) {
        uint64_t start_us = load_now_us();
        status = peer_log_in(peer, options, error);
        if (alone) {
            start_us = load_now_us();
        }
        if (status == 0 && command != NULL) {
            status = command(peer, options, error);
        }
        if (status == 0 && alone) {
            status = peer_log_out(peer, error);
        }
        if (status == 0) {
            status = load_times_add(&result->times, load_now_us() - start_us, error);
        }
        if (status == 0 && !alone) {
            status = peer_log_out(peer, error);
        }
        peer_close(peer);
        result->done++;
    }
    result->wall_us = load_now_us() - began_us;
    return status;
}

int load_first_ticket(const struct load_options *options, struct error *error)
{
    AUTO_FREE struct peer *peer = calloc(1, sizeof *peer);

    if (options->target->security != LINK_RESUMED || options->target->session != NULL) {
        return 0;
    }
    if (peer == NULL) {
        return error_set(error, ERROR_LIMIT, 0, "no memory");
    }
    int status = peer_greet(peer, options, error);
    if (status == 0) {
        status = peer_log_out(peer, error);
    }
    peer_close(peer);
    return status != 0 || options->target->session != NULL
               ? status
               : error_set(error, ERROR_PROTOCOL, 0, "TLS: no ticket came");
}

int load_logins(const struct load_options *options, struct load_result *result, struct error *error)
{
    return run_sessions(options, options->repeat, NULL, false, result, error);
}

/* A multi-line reply of so many lines, each of which begins with the next number. */
static int take_listing(struct peer *peer, const char *command, uint64_t count, struct error *error)
{
    char wanted[24], text[120];
    struct bytes line;

    if (peer_ask(peer, command, "+OK", error) != 0) {
        return -1;
    }
    for (uint64_t number = 1; number <= count + 1; number++) {
        snprintf(wanted, sizeof wanted, "%llu", (unsigned long long)number);
        if (peer_line(peer, &line, error) != 0) {
            return -1;
        }
        if (!load_reply_is(line, number > count ? "." : wanted)) {
            return error_set(error, ERROR_PROTOCOL, 0, "%.4s of %s: got \"%s\"", command,
                             number > count ? "the end" : wanted,
                             bytes_escape(line, text, sizeof text));
        }
    }
    return 0;
}

static int take_listings(struct peer *peer, const struct load_options *options, struct error *error)
{
    return take_listing(peer, "LIST\r\n", options->corpus.count, error) != 0
               ? -1
               : take_listing(peer, "UIDL\r\n", options->corpus.count, error);
}

int load_listings(const struct load_options *options, struct load_result *result,
                  struct error *error)
{
    return run_sessions(options, options->repeat, take_listings, false, result, error);
}

static int delete_all(struct peer *peer, const struct load_options *options, struct error *error)
{
    AUTO_FREE char *commands = malloc((size_t)MOST_IN_FLIGHT * DELE_OCTETS);
    uint64_t deleted = 0;

    if (commands == NULL) {
        return error_set(error, ERROR_LIMIT, 0, "no memory");
    }
    while (deleted < options->corpus.count) {
        uint64_t end = deleted + options->window;
        size_t size = 0;
        end = end < options->corpus.count ? end : options->corpus.count;
        for (uint64_t number = deleted + 1; number <= end; number++) {
            size += (size_t)snprintf(commands + size, DELE_OCTETS, "DELE %llu\r\n",
                                     (unsigned long long)number);
        }
        if (peer_say(peer, (struct bytes){(const uint8_t *)commands, size}, error) != 0) {
            return -1;
        }
        for (; deleted < end; deleted++) {
            if (peer_expect(peer, "+OK", error) != 0) {
                return -1;
            }
        }
    }
    return 0;
}

int load_deletions(const struct load_options *options, struct load_result *result,
                   struct error *error)
{
    return run_sessions(options, 1, delete_all, true, result, error);
}

static int ask_noops(struct peer *peer, const struct load_options *options, struct error *error)
{
    for (uint32_t number = 0; number < options->repeat; number++) {
        if (peer_ask(peer, "NOOP\r\n", "+OK", error) != 0) {
            return -1;
        }
    }
    return 0;
}

int load_noops(const struct load_options *options, struct load_result *result, struct error *error)
{
    return run_sessions(options, 1, ask_noops, true, result, error);
}
