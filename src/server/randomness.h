/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_SERVER_RANDOMNESS_H
#define RESTANTE_SERVER_RANDOMNESS_H

#include <stddef.h>
#include <stdint.h>

enum { RANDOMNESS_OCTETS = 512 };

/* Random octets that the kernel gave, many at a time: a system call for each session would be one in
 * thirty of what it costs. For what is told to peers and must not be foreseen, not for keys: they lie in ordinary memory
 * until they are drawn. Zeroed, it is empty. One thread of one process, which never forks while it is filled:
 * two that share octets would say the same. */
struct randomness {
    size_t left; /* octets that nobody has had, at the beginning of `octets` */
    uint8_t octets[RANDOMNESS_OCTETS];
};

/* Gives `size` octets, at most RANDOMNESS_OCTETS, and wipes them here. */
void randomness_draw(struct randomness *randomness, void *out, size_t size);

#endif
