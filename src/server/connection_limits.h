/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_SERVER_CONNECTION_LIMITS_H
#define RESTANTE_SERVER_CONNECTION_LIMITS_H

/* Counts that all workers share, exact at every moment: connections in all, by address and by user,
 * failed logins by address, and the pace of logins by user. They lie in one piece of shared memory under a robust process-shared mutex.
 * Each entry counts by process, so that the master can take back what a killed worker held. */

#include "base/attributes.h"
#include "base/bytes.h"
#include "base/error.h"

enum {
    LIMITS_KEY_SIZE = 16,
    LIMITS_MOST_PROCESSES = 128,
    LIMITS_FAILURE_WINDOW_MS = 600000 /* failures count for ten minutes */
};

struct limits;

/* LIMIT_PROXY: connections of a proxy, by its address, that have not said yet whose they are. */
enum limit_kind { LIMIT_ADDRESS, LIMIT_USER, LIMIT_PROXY };
enum { LIMIT_FAILURE_KINDS = LIMIT_USER + 1 }; /* of these, failures count too */

/* Makes the shared memory: a descriptor to map and to hand on, or -1. `connections` is how many are
 * expected; more cost time, not truth. */
int limits_create(uint32_t connections, struct error *error) MUST_CHECK;

/* Maps it. The descriptor stays the caller's. */
int limits_map(int descriptor, struct limits **limits_out, struct error *error) MUST_CHECK;
struct limits *limits_unmap(struct limits *limits);

/* Counts one more connection in all; false, and nothing is counted, if `most` are there already. */
bool limits_connect(struct limits *limits, uint32_t process, uint32_t most) MUST_CHECK;
void limits_disconnect(struct limits *limits, uint32_t process);

/* Counts one more for the key; false, and nothing is counted, if it has `most` already. */
bool limits_take(struct limits *limits, enum limit_kind kind, const uint8_t key[LIMITS_KEY_SIZE],
                 uint32_t process, uint32_t most) MUST_CHECK;
void limits_give(struct limits *limits, enum limit_kind kind, const uint8_t key[LIMITS_KEY_SIZE],
                 uint32_t process);

/* Forgets all that `process` holds: it is dead. */
void limits_clear(struct limits *limits, uint32_t process);

/* A login failed at `now_ms` (CLOCK_MONOTONIC), from this address or for this user, whether there is one of
 * that name or not. When the table is full, one that matters less is forgotten. */
void limits_fail(struct limits *limits, enum limit_kind kind, const uint8_t key[LIMITS_KEY_SIZE],
                 uint64_t now_ms);
/* How many failed in the window that is running. */
uint32_t limits_failures(struct limits *limits, enum limit_kind kind,
                         const uint8_t key[LIMITS_KEY_SIZE], uint64_t now_ms);

enum { LIMITS_FAILURES_FREE = 3 }; /* people mistype */

/* How long the next try has to wait before it is looked at: nothing for an address that has not failed
 * itself, so that nobody can lock a person out; else, after LIMITS_FAILURES_FREE failures of the address or on
 * the user, whichever are more, `first_ms`, doubled with each further one, up to `most_ms`. */
uint64_t limits_throttle_ms(uint32_t failures_of_address, uint32_t failures_of_user,
                            uint64_t first_ms, uint64_t most_ms);

/* How often a user may log in: `burst` times at once, and once in `every_ms`. */
struct limits_pace {
    uint64_t every_ms;
    uint32_t burst;
};

/* A user logs in at `now_ms`; false, and it does not count, if that is too soon. When the table is full, who
 * could log in again first is forgotten. */
bool limits_login(struct limits *limits, const uint8_t user[LIMITS_KEY_SIZE],
                  const struct limits_pace *pace, uint64_t now_ms) MUST_CHECK;

/* The key of a user: a hash of the canonical name. */
void limits_user_key(struct bytes user, uint8_t key_out[LIMITS_KEY_SIZE]);

#endif
