/* SPDX-License-Identifier: MIT */
/* The file of unique ids, whose owner may write anything there. What is accepted must be what a session may
 * use: ids that RFC 1939 allows, each once, and found again by both of its ends. */
#include <assert.h>
#include <stdlib.h>

#include "maildrop/maildir/ids.h"
#include "maildrop/maildir/name.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct bytes input;

/* Whatever is opened is the input. */
static int open_input(const struct fs *fs, struct fs_name name, int flags, uint64_t resolve)
{
    (void)name;
    (void)flags;
    (void)resolve;
    int descriptor = fs_real.operations->memory(fs, "ids");
    assert(descriptor >= 0);
    assert(fs_write_full(&fs_real, descriptor, input.data, input.size, 0) == 0);
    return descriptor;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fs_operations operations = *fs_real.operations;
    operations.open = open_input;
    struct fs fs = {.operations = &operations};
    struct ids ids;
    struct error error;
    input = (struct bytes){.data = data, .size = size};
    if (ids_load(&fs, AT_FDCWD, &ids, &error) < 0) {
        assert(error.kind == ERROR_CORRUPT);
        return 0;
    }
    for (size_t i = 0; i < ids.count; i++) {
        const struct ids_entry *entry = &ids.entries[i];
        assert(maildir_is_unique_id(entry->unique_id));
        assert(ids_find(&ids, entry->base) == entry);
        const struct ids_entry *owner = ids_find_owner(&ids, entry->unique_id);
        assert(owner != NULL && bytes_equal(owner->base, entry->base));
    }
    ids_finish(&ids);
    return 0;
}
