/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_SERVER_GENERATIONS_H
#define RESTANTE_SERVER_GENERATIONS_H

#include <stdatomic.h>
#include <stdint.h>

#include "base/error.h"

/* Shared memory in which auth says how often each source of accounts has changed, and what kinds of verifiers
 * the accounts have. Workers map it read-only, remember a successful check only as long as the number
 * stands, and offer by it what can succeed. */
struct generations {
    _Atomic uint64_t accounts_file;
    _Atomic uint32_t verifiers; /* enum sasl_verifiers */
};

/* A descriptor that may be written through, and one that may not; the caller's. 0 or -1. */
int generations_create(int *writable_out, int *readable_out, struct error *error) MUST_CHECK;

/* Maps a page of it for the life of the process. NULL on failure. */
struct generations *generations_map_writable(int descriptor);
const struct generations *generations_map(int descriptor);

#endif
