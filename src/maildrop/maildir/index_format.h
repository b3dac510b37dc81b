/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_MAILDROP_MAILDIR_INDEX_FORMAT_H
#define RESTANTE_MAILDROP_MAILDIR_INDEX_FORMAT_H

#include <stdint.h>
#include <string.h>

/* Where everything stands in an index file; docs/formats.md describes it. Little-endian. */

#define INDEX_MAGIC "restante index 2\n"

enum {
    /* Every block: checksum of the rest of it, seeded with its number. */
    INDEX_AT_CHECKSUM = 0,
    /* Block 0. */
    INDEX_AT_MAGIC = 8,
    INDEX_AT_TRUSTED = 28,
    INDEX_AT_COUNT = 32,
    INDEX_AT_BLOCKS = 36,
    INDEX_AT_OCTETS = 40,
    INDEX_AT_SCANNED = 48,
    INDEX_AT_NEW = 56,
    INDEX_AT_CUR = 96,
    INDEX_AT_IDS = 136,
    INDEX_AT_EXAMINED = 176,
    INDEX_AT_SURROGATES = 184,
    /* The others. */
    INDEX_AT_FIRST_ROW = 8,
    INDEX_AT_ROWS = 12,
    INDEX_AT_FIRST = 16,
    /* A row: this, then name, id, and, where a flag says so, the surrogate's octets. */
    INDEX_ROW_AT_OCTETS = 0,
    INDEX_ROW_AT_SIZE = 8,
    INDEX_ROW_AT_FLAGS = 16,
    INDEX_ROW_AT_NAME_SIZE = 20,
    INDEX_ROW_AT_ID_SIZE = 22,
    INDEX_ROW_OCTETS = 24,
    INDEX_ROW_SURROGATE_OCTETS = 8
};

uint64_t index_block_checksum(const uint8_t *block, uint32_t number);

static inline uint16_t index_get_16(const uint8_t *at)
{
    return (uint16_t)(at[0] | at[1] << 8);
}

static inline uint32_t index_get_32(const uint8_t *at)
{
    return (uint32_t)index_get_16(at) | (uint32_t)index_get_16(at + 2) << 16;
}

static inline uint64_t index_get_64(const uint8_t *at)
{
    return (uint64_t)index_get_32(at) | (uint64_t)index_get_32(at + 4) << 32;
}

static inline void index_put_16(uint8_t *at, uint16_t value)
{
    at[0] = (uint8_t)value;
    at[1] = (uint8_t)(value >> 8);
}

static inline void index_put_32(uint8_t *at, uint32_t value)
{
    index_put_16(at, (uint16_t)value);
    index_put_16(at + 2, (uint16_t)(value >> 16));
}

static inline void index_put_64(uint8_t *at, uint64_t value)
{
    index_put_32(at, (uint32_t)value);
    index_put_32(at + 4, (uint32_t)(value >> 32));
}

#endif
