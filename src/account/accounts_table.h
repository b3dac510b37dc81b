/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_ACCOUNT_ACCOUNTS_TABLE_H
#define RESTANTE_ACCOUNT_ACCOUNTS_TABLE_H

/* What `struct accounts` is made of, for accounts_load.c, which fills it, and accounts.c, which reads it:
 * entries in the order of the file, and an open-addressing table over them by a keyed hash of the name (64
 * bits that no stranger can aim at: equal means equal names). Invariant: a name is in the table once. */

#include <sys/stat.h>
#include <time.h>

#include <sodium.h>

#include "account/accounts.h"

#define ACCOUNTS_TABLE_DOUBLE "the name is on line %u already: remove one of the two"

struct accounts_entry {
    uint64_t name_hash;
    uint64_t offset;
    uint32_t octets; /* of the line, without its line end */
    uint32_t octets_whole;
    uint32_t number;
    uint32_t line_hash;
    uint32_t earlier, later; /* numbers of other lines for the same name, or 0 */
};

struct accounts {
    char *path;
    int descriptor;
    struct stat status;
    bool is_settled;
    struct timespec loaded; /* CLOCK_MONOTONIC */
    uint8_t key[crypto_shorthash_KEYBYTES];
    uint8_t digest[crypto_generichash_BYTES];
    struct accounts_entry *entries;
    uint32_t count, capacity;
    uint32_t *slots; /* index + 1, or 0 */
    uint32_t slots_mask;
    struct accounts_facts facts;
    bool has_decoy;
    uint32_t decoy;         /* index of an entry of the commonest kind */
    uint32_t long_line;     /* the one of which pieces come */
    struct error *mistakes; /* the first ACCOUNTS_MISTAKES_KEPT */
};

struct line;

/* The path as messages show it: of a long one the end, which says more. */
const char *accounts_table_path(const struct accounts *accounts);

uint64_t accounts_table_hash(const struct accounts *accounts, struct bytes octets);

/* The name as the table knows it: prepared (RFC 4013), in `memory` if that changes it; one that cannot be
 * prepared, as it is. */
struct bytes accounts_table_name(struct bytes name, uint8_t memory[SASL_PREPARED_OCTETS]);

/* Appends the entry of a line. ERROR_CONFIGURATION: too many; ERROR_TEMPORARY: no memory. */
int accounts_table_add(struct accounts *accounts, const struct line *line, struct bytes name,
                       struct error *error) MUST_CHECK;
/* Counts a mistake, and keeps its text among the first. ERROR_TEMPORARY: no memory. */
int accounts_table_note(struct accounts *accounts, uint32_t number, const char *text,
                        struct error *error) MUST_CHECK;
/* Builds the table once all entries are there, and notes the names that are there twice. */
int accounts_table_build(struct accounts *accounts, struct error *error) MUST_CHECK;

/* The index of the entry whose name has this hash, or accounts->count. */
uint32_t accounts_table_find(const struct accounts *accounts, struct bytes name);

#endif
