/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_POP3_STRETCH_H
#define RESTANTE_POP3_STRETCH_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined __SSE2__
#include <emmintrin.h>
#endif

/* Octets up to the first CR or LF, copied while that is looked for: a line of mail is so short that a call of
 * memchr for each end and one of memcpy cost more than its octets do (measured on lines of 76 octets: 7.4 GB/s
 * against 4.0). Vectors where the compiler has them, words elsewhere. */

enum { STRETCH_BLOCK = 16 };

/* Has one of the eight octets the value that `pattern` repeats? It may be said of too many, never of too
 * few (Warren, Hacker's Delight, section 6-1). */
static inline uint64_t stretch_word_has(uint64_t word, uint64_t pattern)
{
    uint64_t zero = word ^ pattern;
    return (zero - UINT64_C(0x0101010101010101)) & ~zero & UINT64_C(0x8080808080808080);
}

/* Copies a block, unless `to` is NULL; how many octets stand before its first CR or LF: all, if it has none. */
static inline size_t stretch_block_of_words(uint8_t *to, const uint8_t *from)
{
    uint64_t words[STRETCH_BLOCK / sizeof(uint64_t)];
    uint64_t ends = 0;
    memcpy(words, from, sizeof words);
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        ends |= stretch_word_has(words[i], UINT64_C(0x0d0d0d0d0d0d0d0d)) |
                stretch_word_has(words[i], UINT64_C(0x0a0a0a0a0a0a0a0a));
    }
    if (to != NULL) {
        memcpy(to, words, sizeof words);
    }
    size_t at = ends != 0 ? 0 : STRETCH_BLOCK;
    while (at < STRETCH_BLOCK && from[at] != '\r' && from[at] != '\n') {
        at++;
    }
    return at;
}

#if defined __SSE2__
static inline size_t stretch_block_of_vectors(uint8_t *to, const uint8_t *from)
{
    __m128i octets = _mm_loadu_si128((const __m128i *)(const void *)from);
    __m128i ends = _mm_or_si128(_mm_cmpeq_epi8(octets, _mm_set1_epi8('\r')),
                                _mm_cmpeq_epi8(octets, _mm_set1_epi8('\n')));
    unsigned found = (unsigned)_mm_movemask_epi8(ends);
    if (to != NULL) {
        _mm_storeu_si128((__m128i *)(void *)to, octets);
    }
    return found == 0 ? STRETCH_BLOCK : (unsigned)__builtin_ctz(found);
}
#endif

static inline size_t stretch_block(uint8_t *to, const uint8_t *from)
{
#if defined __SSE2__
    return stretch_block_of_vectors(to, from);
#else
    return stretch_block_of_words(to, from);
#endif
}

/* The same of blocks, one at least, as long as there is no end in them and `size` is not reached; what it reads
 * and copies may exceed `size` by less than a block. */
static inline size_t stretch_blocks(uint8_t *to, const uint8_t *from, size_t size)
{
    size_t at = 0;
    size_t length;
    do {
        length = stretch_block(to == NULL ? NULL : to + at, from + at);
        at += length;
    } while (length == STRETCH_BLOCK && at < size);
    return at;
}

/* The same of any `size`: nothing beyond it is read, and what is behind the copied octets may be overwritten
 * up to it. */
static inline size_t stretch(uint8_t *to, const uint8_t *from, size_t size)
{
    size_t at = 0;
    if (size >= STRETCH_BLOCK) {
        at = stretch_blocks(to, from, size - STRETCH_BLOCK + 1);
    }
    for (; at < size && from[at] != '\r' && from[at] != '\n'; at++) {
        if (to != NULL) {
            to[at] = from[at];
        }
    }
    return at;
}

#endif
