/* SPDX-License-Identifier: MIT */
/* Names and passwords as they come from anybody: what SASLprep makes of them is UTF-8 without control characters, is
 * its own preparation, and is the same whether it was presented or is kept. */
#include "sasl/prepare.h"

#include <stdlib.h>
#include <unistr.h>

static void demand(bool holds)
{
    if (!holds) {
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t query_octets[SASL_PREPARED_OCTETS], stored_octets[SASL_PREPARED_OCTETS],
        again_octets[SASL_PREPARED_OCTETS];
    struct bytes query, stored, again;
    struct error error;
    struct bytes text = {.data = data, .size = size};
    int is_query = sasl_prepare(text, SASL_PREPARE_QUERY, query_octets, &query, &error);
    int is_stored = sasl_prepare(text, SASL_PREPARE_STORED, stored_octets, &stored, &error);
    if (is_query < 0) {
        demand(is_stored < 0 && error.kind == ERROR_USAGE);
        return 0;
    }
    demand(query.data == data || query.size <= SASL_PREPARED_OCTETS);
    demand(u8_check(query.data, query.size) == NULL);
    for (size_t i = 0; i < query.size; i++) {
        demand(query.data[i] >= 0x20 && query.data[i] != 0x7f);
    }
    if (is_stored == 0) {
        demand(bytes_equal(query, stored));
        demand(sasl_prepare(stored, SASL_PREPARE_STORED, again_octets, &again, &error) == 0);
        demand(bytes_equal(stored, again));
    }
    return 0;
}
