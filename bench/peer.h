/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_BENCH_PEER_H
#define RESTANTE_BENCH_PEER_H

/* A conversation that waits for each reply. */

#include "load.h"

enum { PEER_INPUT_OCTETS = 256 * 1024 };

struct peer {
    struct link link;
    size_t start, end; /* what was read and not yet used */
    uint8_t input[PEER_INPUT_OCTETS];
};

/* Connects and reads the greeting. */
int peer_greet(struct peer *peer, const struct load_options *options,
               struct error *error) MUST_CHECK;
/* The same, then USER, PASS and STAT. */
int peer_log_in(struct peer *peer, const struct load_options *options,
                struct error *error) MUST_CHECK;
/* QUIT, and nothing after its answer. */
int peer_log_out(struct peer *peer, struct error *error) MUST_CHECK;
void peer_close(struct peer *peer);

int peer_say(struct peer *peer, struct bytes commands, struct error *error) MUST_CHECK;
/* Reads more behind what is there. */
int peer_fill(struct peer *peer, struct error *error) MUST_CHECK;
/* Reads one line; `line_out` is valid until the next call. */
int peer_line(struct peer *peer, struct bytes *line_out, struct error *error) MUST_CHECK;
/* Reads one line and checks what it begins with. */
int peer_expect(struct peer *peer, const char *wanted, struct error *error) MUST_CHECK;
int peer_ask(struct peer *peer, const char *command, const char *wanted,
             struct error *error) MUST_CHECK;
/* Drops `most` octets of what the input does not hold yet. */
int peer_drop(struct peer *peer, size_t most, struct error *error) MUST_CHECK;

#endif
