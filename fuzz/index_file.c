/* SPDX-License-Identifier: MIT */
/* The index file of a maildrop, whose owner may write anything there. Checksums are made right first, or no
 * input would come further than them. What comes out must be what a session may use: names that stay in
 * their folder, ids that RFC 1939 allows. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "maildrop/maildir/index.h"
#include "maildrop/maildir/index_format.h"
#include "maildrop/maildir/name.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { BLOCKS_MOST = 4, HEADER_OCTETS = 184 };

static void check_row(const struct index_row *row)
{
    assert(row->name.size > 0 && row->name.data[0] != '.');
    assert(memchr(row->name.data, '/', row->name.size) == NULL);
    assert(memchr(row->name.data, '\0', row->name.size) == NULL);
    assert(row->unique_id.size == 0 || maildir_is_unique_id(row->unique_id));
    char id[POP3_UNIQUE_ID_OCTETS];
    struct maildir_name name;
    maildir_name_parse(row->name, &name);
    size_t id_size = maildir_unique_id(name.base, id);
    assert(maildir_is_unique_id((struct bytes){(const uint8_t *)id, id_size}));
}

static void read_all(int descriptor, const struct index_header *header)
{
    struct index_reader reader;
    struct index_row row;
    index_reader_init(&reader, &fs_real, descriptor, header);
    uint32_t count = header->count < 1000 ? header->count : 1000;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t number = i % 2 == 0 ? i : header->count - i;
        if (index_reader_row(&reader, number, &row) == 0) {
            check_row(&row);
        }
    }
    static const char *const bases[] = {"", "1.a", "99999.z", "a"};
    for (size_t i = 0; i < sizeof bases / sizeof bases[0]; i++) {
        if (index_reader_find(&reader, bytes_of(bases[i]), &row) == 1) {
            check_row(&row);
        }
    }
}

/* The input: 168 octets of the header, then blocks, all without their checksums. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int descriptor = fs_real.operations->memory(&fs_real, "index");
    assert(descriptor >= 0);
    for (uint32_t number = 0; number < BLOCKS_MOST && size > 0; number++) {
        uint8_t block[INDEX_BLOCK_OCTETS] = {0};
        size_t most = number == 0 ? HEADER_OCTETS : sizeof block - 8;
        size_t part = size < most ? size : most;
        memcpy(block + 8, data, part);
        if (number == 0) {
            memcpy(block + INDEX_AT_MAGIC, INDEX_MAGIC, sizeof INDEX_MAGIC - 1);
        }
        index_put_64(block, index_block_checksum(block, number));
        assert(fs_write_full(&fs_real, descriptor, block, sizeof block,
                             (uint64_t)number * sizeof block) == 0);
        data += part;
        size -= part;
    }
    struct index_header header;
    if (index_read_header(&fs_real, descriptor, &header) == 0) {
        read_all(descriptor, &header);
    }
    (void)close(descriptor); /* memory */
    return 0;
}
