/* SPDX-License-Identifier: MIT */
#include "account/accounts_table.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "account/line_reader.h"

enum { PATH_SHOWN = 80 };

const char *accounts_table_path(const struct accounts *accounts)
{
    size_t size = strlen(accounts->path);
    return size > PATH_SHOWN ? accounts->path + size - PATH_SHOWN : accounts->path;
}

uint64_t accounts_table_hash(const struct accounts *accounts, struct bytes octets)
{
    uint8_t hash[crypto_shorthash_BYTES];
    uint64_t value;
    _Static_assert(sizeof hash == sizeof value, "the hash fills the value");
    (void)crypto_shorthash(hash, octets.data, octets.size, accounts->key); /* always 0 */
    memcpy(&value, hash, sizeof value);
    return value;
}

struct bytes accounts_table_name(struct bytes name, uint8_t memory[SASL_PREPARED_OCTETS])
{
    struct bytes prepared;
    return sasl_prepare(name, SASL_PREPARE_QUERY, memory, &prepared, NULL) == 0 ? prepared : name;
}

int accounts_table_add(struct accounts *accounts, const struct line *line, struct bytes name,
                       struct error *error)
{
    if (accounts->count == accounts->capacity) {
        if (accounts->count >= ACCOUNTS_MAX) {
            return error_set(error, ERROR_CONFIGURATION, 0, "%s: more than %d accounts",
                             accounts_table_path(accounts), ACCOUNTS_MAX);
        }
        uint32_t capacity = accounts->capacity == 0 ? 64 : accounts->capacity * 2;
        struct accounts_entry *entries = reallocarray(accounts->entries, capacity, sizeof *entries);
        if (entries == NULL) {
            return error_set(error, ERROR_TEMPORARY, ENOMEM, "no memory for the accounts");
        }
        accounts->entries = entries;
        accounts->capacity = capacity;
    }
    uint8_t memory[SASL_PREPARED_OCTETS];
    name = accounts_table_name(name, memory);
    accounts->entries[accounts->count++] =
        (struct accounts_entry){.name_hash = accounts_table_hash(accounts, name),
                                .offset = line->offset,
                                .octets = (uint32_t)line->text.size,
                                .octets_whole = line->octets,
                                .number = line->number,
                                .line_hash = (uint32_t)accounts_table_hash(accounts, line->text)};
    return 0;
}

int accounts_table_note(struct accounts *accounts, uint32_t number, const char *text,
                        struct error *error)
{
    if (accounts->mistakes == NULL) {
        accounts->mistakes = calloc(ACCOUNTS_MISTAKES_KEPT, sizeof *accounts->mistakes);
        if (accounts->mistakes == NULL) {
            return error_set(error, ERROR_TEMPORARY, ENOMEM, "no memory for the accounts");
        }
    }
    if (accounts->facts.mistakes < ACCOUNTS_MISTAKES_KEPT) {
        (void)error_set(&accounts->mistakes[accounts->facts.mistakes], ERROR_CONFIGURATION, 0,
                        "%s:%u: %s", accounts_table_path(accounts), number, text);
    }
    accounts->facts.mistakes++;
    return 0;
}

/* Puts an entry into the table; a second one for a name stays out of it. */
static int add_slot(struct accounts *accounts, uint32_t index, struct error *error)
{
    struct accounts_entry *entry = &accounts->entries[index];
    uint32_t slot = (uint32_t)entry->name_hash & accounts->slots_mask;
    for (; accounts->slots[slot] != 0; slot = (slot + 1) & accounts->slots_mask) {
        struct accounts_entry *other = &accounts->entries[accounts->slots[slot] - 1];
        if (other->name_hash == entry->name_hash) {
            char text[96];
            entry->earlier = other->number;
            other->later = entry->number;
            (void)snprintf(text, sizeof text, ACCOUNTS_TABLE_DOUBLE, other->number);
            return accounts_table_note(accounts, entry->number, text, error);
        }
    }
    accounts->slots[slot] = index + 1;
    return 0;
}

int accounts_table_build(struct accounts *accounts, struct error *error)
{
    uint32_t size = 16;
    while (size / 2 < accounts->count) {
        size *= 2;
    }
    free(accounts->slots);
    accounts->slots_mask = size - 1;
    accounts->slots = calloc(size, sizeof *accounts->slots);
    if (accounts->slots == NULL) {
        return error_set(error, ERROR_TEMPORARY, ENOMEM, "no memory for the accounts");
    }
    for (uint32_t i = 0; i < accounts->count; i++) {
        if (add_slot(accounts, i, error) < 0) {
            return -1;
        }
    }
    return 0;
}

uint32_t accounts_table_find(const struct accounts *accounts, struct bytes name)
{
    uint64_t hash = accounts_table_hash(accounts, name);
    uint32_t slot = (uint32_t)hash & accounts->slots_mask;
    for (; accounts->slots[slot] != 0; slot = (slot + 1) & accounts->slots_mask) {
        if (accounts->entries[accounts->slots[slot] - 1].name_hash == hash) {
            return accounts->slots[slot] - 1;
        }
    }
    return accounts->count;
}
