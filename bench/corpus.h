/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_BENCH_CORPUS_H
#define RESTANTE_BENCH_CORPUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

/* What bench/corpus.py says about one kind of maildrop: the truth that the floor sends and that the load
 * generator compares with what a server sent.
 *
 * NAME.sizes is text: "COUNT OCTETS" as STAT must say it, then for each message how many octets RETR sends
 * after its first line, with stuffed dots and terminator. NAME.wire has these octets one message after the
 * other; a maildrop that is only logged in to has neither sizes nor octets. */
struct corpus {
    char name[64];
    uint64_t count, octets;
    size_t messages;     /* that NAME.wire holds: `count`, or 0 */
    size_t *ends;        /* where each ends in `wire` */
    const uint8_t *wire; /* mapped for as long as the program runs */
    size_t wire_size;
};

/* 0 or -1. What was loaded is never freed: both programs need it to their end. */
int corpus_load(const char *folder, const char *name, struct corpus *corpus_out,
                struct error *error) MUST_CHECK;

#endif
