/* SPDX-License-Identifier: MIT */
/* The header of the PROXY protocol, from whoever reaches a proxy's address. It may come in any pieces: what
 * more octets follow, or how many are there yet, must not change what it says. */
#include <netinet/in.h>
#include <stdlib.h>

#include "net/proxy_header.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
    if (!holds) {
        abort();
    }
}

/* A copy of that size alone, so that the sanitizer sees a read behind its end. */
static enum proxy_header_result parse(const uint8_t *data, size_t size, struct proxy_header *out)
{
    const char *reason = NULL;
    uint8_t *copy = malloc(size == 0 ? 1 : size);
    must(copy != NULL);
    if (size > 0) {
        memcpy(copy, data, size);
    }
    enum proxy_header_result result =
        proxy_header_parse((struct bytes){.data = copy, .size = size}, out, &reason);
    must((result == PROXY_HEADER_BAD) == (reason != NULL));
    free(copy);
    return result;
}

static void check_whole(const struct proxy_header *header, size_t size)
{
    must(header->size > 0 && header->size <= size && header->size <= PROXY_HEADER_OCTETS_MAX);
    must(!header->is_local || (!header->has_client && !header->client_tls));
    must(header->has_client == (header->client.ss_family != AF_UNSPEC));
    must(!header->has_client || header->client.ss_family == AF_INET ||
         header->client.ss_family == AF_INET6);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct proxy_header whole, part;
    enum proxy_header_result result = parse(data, size, &whole);
    if (result == PROXY_HEADER_WHOLE) {
        check_whole(&whole, size);
        must(parse(data, whole.size, &part) == PROXY_HEADER_WHOLE);
        must(memcmp(&whole, &part, sizeof whole) == 0);
    }
    must(result != PROXY_HEADER_MORE || size < PROXY_HEADER_OCTETS_MAX);
    size_t end = result == PROXY_HEADER_WHOLE ? whole.size : size;
    bool bad = false;
    for (size_t i = 0; i < end; i += i < 256 ? 1 : 61) {
        enum proxy_header_result early = parse(data, i, &part);
        must(early != PROXY_HEADER_WHOLE && (!bad || early == PROXY_HEADER_BAD));
        bad = early == PROXY_HEADER_BAD;
    }
    must(!bad || result == PROXY_HEADER_BAD);
    return 0;
}
