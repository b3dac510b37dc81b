/* SPDX-License-Identifier: MIT */
/* Matching is one pass over the rows that the last listing had, against a hash table of the ids of this one;
 * only ids that it does not find there are looked up. So the cost is that of the two listings, however many
 * messages have come and gone. */
#define XXH_INLINE_ALL
#include "fetch/known.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

/* A message of the listing that is the first of its id. */
struct chain {
    uint32_t next;      /* the next one of the same id, index + 1; 0: none */
    uint32_t last;      /* of a first one: the last in the chain, index + 1 */
    uint32_t listed;    /* of a first one: messages of its id */
    uint32_t present;   /* of a first one: rows of its id that the last listing had */
    uint32_t unmatched; /* of a first one: where the next such row belongs, index + 1 */
    bool doubt;
};

struct matching {
    struct known *known;
    struct state *state;
    struct chain *chains;
    uint32_t *table; /* index + 1 of first ones */
    size_t mask;
    uint64_t seed;
    int64_t *absent; /* rows that are not listed any more */
    size_t absent_count, absent_room;
    uint32_t without_id; /* the first one without an id, index + 1 */
    int64_t now;
    struct error *error;
};

static struct bytes id_of(const struct matching *m, uint32_t index)
{
    return m->known->messages[index].unique_id;
}

/* Where the id is in the table, or where it would be. */
static uint32_t *slot_of(const struct matching *m, struct bytes id)
{
    size_t at = XXH3_64bits_withSeed(id.data, id.size, m->seed) & m->mask;
    while (m->table[at] != 0 && !bytes_equal(id_of(m, m->table[at] - 1), id)) {
        at = (at + 1) & m->mask;
    }
    return &m->table[at];
}

static uint32_t first_of(const struct matching *m, struct bytes id)
{
    return id.size == 0 ? m->without_id : *slot_of(m, id);
}

static void chain_messages(struct matching *m)
{
    for (uint32_t i = 0; i < m->known->count; i++) {
        struct bytes id = id_of(m, i);
        m->known->entries[i].unique_id = id;
        uint32_t *slot = id.size == 0 ? &m->without_id : slot_of(m, id);
        if (*slot == 0) {
            *slot = i + 1;
            m->chains[i].last = m->chains[i].unmatched = i + 1;
        } else {
            struct chain *first = &m->chains[*slot - 1];
            m->chains[first->last - 1].next = i + 1;
            first->last = i + 1;
        }
        m->known->entries[i].occurrence = m->chains[*slot - 1].listed++;
    }
}

static bool same_octets(uint64_t a, uint64_t b)
{
    return a == b || a == STATE_OCTETS_UNKNOWN || b == STATE_OCTETS_UNKNOWN;
}

static int add_absent(struct matching *m, int64_t id)
{
    if (m->absent_count == m->absent_room) {
        size_t room = m->absent_room == 0 ? 64 : 2 * m->absent_room;
        int64_t *absent = realloc(m->absent, room * sizeof *absent);
        if (absent == NULL) {
            return error_set(m->error, ERROR_TEMPORARY, 0, "out of memory");
        }
        m->absent = absent;
        m->absent_room = room;
    }
    m->absent[m->absent_count++] = id;
    return 0;
}

/* A row that the last listing had: the n-th of its id is taken for the n-th in this one. */
static int match_present(void *owner, const struct state_row *row)
{
    struct matching *m = owner;
    uint32_t first = first_of(m, row->unique_id);
    if (first == 0) {
        return add_absent(m, row->id);
    }
    struct chain *chain = &m->chains[first - 1];
    chain->present++;
    if (chain->unmatched == 0) {
        chain->doubt = true;
        return 0;
    }
    uint32_t index = chain->unmatched - 1;
    chain->unmatched = m->chains[index].next;
    struct known_entry *entry = &m->known->entries[index];
    entry->row = row->id;
    entry->status = row->status;
    entry->refusals = row->refusals;
    entry->first_seen = row->first_seen;
    entry->stored = row->stored;
    if (!same_octets(row->octets, m->known->messages[index].octets)) {
        chain->doubt = true;
    }
    return 0;
}

struct group_filling {
    struct matching *matching;
    struct known_group *group;
    size_t room;
};

static int add_row(void *owner, const struct state_row *row)
{
    struct group_filling *filling = owner;
    struct known_group *group = filling->group;
    if (!group->has_id && row->deleted != 0) {
        return 0; /* with nothing but content to go by, what was deleted is over */
    }
    if (group->count == filling->room) {
        size_t room = filling->room == 0 ? 4 : 2 * filling->room;
        struct known_row *rows = realloc(group->rows, room * sizeof *rows);
        if (rows == NULL) {
            return error_set(filling->matching->error, ERROR_TEMPORARY, 0, "out of memory");
        }
        group->rows = rows;
        filling->room = room;
    }
    group->rows[group->count++] = (struct known_row){
        .id = row->id,
        .octets = row->octets,
        .digest = row->digest,
        .has_digest = row->has_digest,
        .gone = row->absent_since != 0 || row->deleted != 0,
        .deleted = row->deleted != 0,
        .status = row->status,
        .refusals = row->refusals,
        .first_seen = row->first_seen,
        .stored = row->stored,
    };
    return 0;
}

static int by_content(const void *a, const void *b)
{
    const struct known_row *one = a;
    const struct known_row *other = b;
    int order = memcmp(one->digest.content, other->digest.content, CONTENT_HASH_OCTETS);
    return order != 0 ? order : one->id < other->id ? -1 : one->id > other->id;
}

/* The group of an id, if it has rows. */
static int make_group(struct matching *m, uint32_t first, struct known_group **group_out)
{
    struct known *known = m->known;
    struct bytes id = id_of(m, first - 1);
    *group_out = NULL;
    if ((known->group_count & (known->group_count - 1)) == 0) {
        size_t room = known->group_count == 0 ? 1 : 2 * known->group_count;
        struct known_group *groups = realloc(known->groups, room * sizeof *groups);
        if (groups == NULL) {
            return error_set(m->error, ERROR_TEMPORARY, 0, "out of memory");
        }
        known->groups = groups;
    }
    struct known_group *group = &known->groups[known->group_count];
    *group = (struct known_group){.has_id = id.size != 0, .listed = m->chains[first - 1].listed};
    struct group_filling filling = {.matching = m, .group = group};
    if (state_each_of_id(m->state, id, add_row, &filling, m->error) < 0) {
        free(group->rows);
        return -1;
    }
    if (group->count == 0) {
        return 0;
    }
    qsort(group->rows, group->count, sizeof *group->rows, by_content);
    known->group_count++;
    *group_out = group;
    return 0;
}

/* One message of an id, one row that had no content: nothing that could be mistaken. */
static bool is_plain_return(const struct known_group *group)
{
    return group->listed == 1 && group->count == 1 && group->has_id && !group->rows[0].has_digest;
}

static void return_plainly(struct known_entry *entry, const struct known_row *row)
{
    entry->row = row->id;
    entry->status = row->status;
    entry->refusals = row->refusals;
    entry->first_seen = row->first_seen;
    entry->stored = row->stored;
}

static int doubt(struct matching *m, uint32_t first)
{
    struct known_group *group;
    if (make_group(m, first, &group) < 0) {
        return -1;
    }
    if (group != NULL && is_plain_return(group)) {
        return_plainly(&m->known->entries[first - 1], &group->rows[0]);
        return 0;
    }
    for (uint32_t at = first; at != 0; at = m->chains[at - 1].next) {
        struct known_entry *entry = &m->known->entries[at - 1];
        uint32_t occurrence = entry->occurrence;
        struct bytes unique_id = entry->unique_id;
        *entry = (struct known_entry){.occurrence = occurrence, .unique_id = unique_id};
        entry->group = group == NULL ? 0 : (uint32_t)m->known->group_count;
    }
    return 0;
}

static int find_doubts(struct matching *m)
{
    bool has_gone;
    if (state_has_gone(m->state, &has_gone, m->error) < 0) {
        return -1;
    }
    for (uint32_t i = 0; i < m->known->count; i++) {
        const struct chain *chain = &m->chains[i];
        if (chain->listed == 0) {
            continue; /* not a first one */
        }
        bool is_settled = chain->listed == chain->present && !chain->doubt;
        bool is_new = chain->present == 0 && !has_gone;
        bool has_id = id_of(m, i).size != 0;
        if (!is_new && (!is_settled || !has_id) && doubt(m, i + 1) < 0) {
            return -1;
        }
    }
    return 0;
}

static void say_standings(struct matching *m)
{
    static const enum storer_standing standings[] = {
        [STATE_PLACING] = STORER_HELD, /* in a dry run: the next real one finds it */
        [STATE_STORED] = STORER_HELD,     [STATE_LEFT] = STORER_LEFT,
        [STATE_REFUSED] = STORER_REFUSED, [STATE_QUARANTINED] = STORER_QUARANTINED,
        [STATE_SEEN] = STORER_SEEN,
    };
    for (size_t i = 0; i < m->known->count; i++) {
        struct storer_message *message = &m->known->messages[i];
        struct known_entry *entry = &m->known->entries[i];
        if (entry->first_seen == 0) {
            entry->first_seen = m->now;
        }
        message->first_seen_s = entry->first_seen;
        message->stored_s = entry->stored;
        message->refusals = entry->refusals;
        message->standing = entry->row != 0     ? standings[entry->status]
                            : entry->group != 0 ? STORER_DOUBT
                                                : STORER_NEW;
    }
}

static int write_off(struct matching *m)
{
    for (size_t i = 0; i < m->absent_count; i++) {
        if (state_set_absent(m->state, m->absent[i], m->now, m->error) < 0) {
            return -1;
        }
    }
    for (size_t i = 0; i < m->known->group_count; i++) {
        const struct known_group *group = &m->known->groups[i];
        if (is_plain_return(group) && group->rows[0].gone &&
            state_set_present(m->state, group->rows[0].id, group->rows[0].octets, m->error) < 0) {
            return -1;
        }
    }
    return 0;
}

/* The caller's ids are only lent: those of what is not stored are kept. */
static bool keeps_id(const struct known_entry *entry)
{
    return entry->row == 0 || entry->status != STATE_STORED;
}

static int copy_ids(struct known *known)
{
    size_t size = 1;
    for (size_t i = 0; i < known->count; i++) {
        size += keeps_id(&known->entries[i]) ? known->entries[i].unique_id.size : 0;
    }
    known->ids = malloc(size);
    if (known->ids == NULL) {
        return -1;
    }
    size_t used = 0;
    for (size_t i = 0; i < known->count; i++) {
        struct bytes *id = &known->entries[i].unique_id;
        if (!keeps_id(&known->entries[i])) {
            *id = (struct bytes){0};
        } else if (id->size != 0) {
            memcpy(known->ids + used, id->data, id->size);
            id->data = known->ids + used;
            used += id->size;
        }
    }
    return 0;
}

static int match(struct matching *m, bool dry_run)
{
    chain_messages(m);
    if (state_each_present(m->state, match_present, m, m->error) < 0 || find_doubts(m) < 0) {
        return -1;
    }
    say_standings(m);
    if (copy_ids(m->known) < 0) {
        return error_set(m->error, ERROR_TEMPORARY, 0, "out of memory");
    }
    return dry_run ? 0 : write_off(m);
}

int known_create(struct state *state, struct storer_message *messages, size_t count, int64_t now,
                 bool dry_run, struct known **known_out, size_t *disappeared_out,
                 struct error *error)
{
    struct known *known = calloc(1, sizeof *known);
    struct matching m = {.known = known, .state = state, .now = now, .error = error};
    size_t slots = 16;
    while (slots < 2 * count) {
        slots *= 2;
    }
    m.mask = slots - 1;
    m.table = calloc(slots, sizeof *m.table);
    m.chains = calloc(count + 1, sizeof *m.chains);
    randombytes_buf(&m.seed, sizeof m.seed); /* a server must not choose what collides */
    int result = -1;
    if (known != NULL) {
        known->messages = messages;
        known->count = count;
        known->entries = calloc(count + 1, sizeof *known->entries);
    }
    if (known == NULL || known->entries == NULL || m.table == NULL || m.chains == NULL ||
        count >= UINT32_MAX) {
        (void)error_set(error, ERROR_TEMPORARY, 0, "out of memory");
    } else {
        result = match(&m, dry_run);
    }
    free(m.table);
    free(m.chains);
    free(m.absent);
    if (result < 0) {
        (void)known_free(known);
        return -1;
    }
    *disappeared_out = m.absent_count;
    *known_out = known;
    return 0;
}

struct known *known_free(struct known *known)
{
    if (known != NULL) {
        for (size_t i = 0; i < known->group_count; i++) {
            free(known->groups[i].rows);
        }
        free(known->groups);
        free(known->entries);
        free(known->ids);
        free(known);
    }
    return NULL;
}

static struct known_group *group_of(struct known *known, size_t index)
{
    uint32_t group = known->entries[index].group;
    return group == 0 ? NULL : &known->groups[group - 1];
}

static struct known_row *claim(struct known_row *row)
{
    row->claimed = true;
    return row;
}

struct known_row *known_find(struct known *known, size_t index, const struct message_digest *digest)
{
    struct known_group *group = group_of(known, index);
    if (group == NULL) {
        return NULL;
    }
    size_t low = 0;
    size_t high = group->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order =
            memcmp(group->rows[middle].digest.content, digest->content, CONTENT_HASH_OCTETS);
        low = order < 0 ? middle + 1 : low;
        high = order < 0 ? high : middle;
    }
    for (; low < group->count; low++) {
        struct known_row *row = &group->rows[low];
        if (memcmp(row->digest.content, digest->content, CONTENT_HASH_OCTETS) != 0) {
            break;
        }
        if (row->has_digest && !row->claimed && row->digest.octets == digest->octets) {
            return claim(row);
        }
    }
    return NULL;
}

struct known_row *known_find_by_header(struct known *known, size_t index,
                                       const uint8_t header[HEADER_HASH_OCTETS])
{
    struct known_group *group = group_of(known, index);
    uint64_t octets = known->messages[index].octets;
    for (size_t i = 0; group != NULL && i < group->count; i++) {
        struct known_row *row = &group->rows[i];
        bool is_it = row->has_digest && !row->claimed && row->octets == octets &&
                     octets != STATE_OCTETS_UNKNOWN &&
                     (row->status == STATE_STORED || row->status == STATE_QUARANTINED) &&
                     memcmp(row->digest.header, header, HEADER_HASH_OCTETS) == 0;
        if (is_it) {
            return claim(row);
        }
    }
    return NULL;
}

int known_settle(struct known *known, struct state *state, size_t index, int64_t now,
                 struct error *error)
{
    struct known_group *group = group_of(known, index);
    if (group == NULL || ++group->settled != group->listed) {
        return 0;
    }
    for (size_t i = 0; i < group->count; i++) {
        const struct known_row *row = &group->rows[i];
        if (row->claimed || row->deleted || (row->gone && !group->has_id)) {
            continue;
        }
        /* An id that names other messages now is done with; without ids, it may be back. */
        int result = group->has_id ? state_set_deleted(state, row->id, now, error)
                                   : state_set_absent(state, row->id, now, error);
        if (result < 0) {
            return -1;
        }
    }
    return 0;
}
