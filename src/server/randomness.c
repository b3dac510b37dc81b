/* SPDX-License-Identifier: MIT */
#include "server/randomness.h"

#include <assert.h>
#include <string.h>

#include <sodium.h>

void randomness_draw(struct randomness *randomness, void *out, size_t size)
{
    assert(size <= sizeof randomness->octets);
    if (randomness->left < size) {
        randombytes_buf(randomness->octets, sizeof randomness->octets);
        randomness->left = sizeof randomness->octets;
    }
    randomness->left -= size;
    memcpy(out, randomness->octets + randomness->left, size);
    sodium_memzero(randomness->octets + randomness->left, size);
}
