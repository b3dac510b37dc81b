/* SPDX-License-Identifier: MIT */
/* A message on its way into its surrogate: however it is cut, and whatever room there is, the octets are the same;
 * what comes out is its own surrogate, which says that no header in it has 8-bit octets; what needs no surrogate
 * comes out as it went in; and no field is there that was not there before. The first two octets say how it is
 * cut. */
#include <pop3/surrogate.h>

#include <assert.h>
#include <stdlib.h>

#include "base/bytes.h"

enum { GROWTH = 60 }; /* an address of an octet becomes one that nobody has */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Converts, by at most `piece` octets into at most `room`; on the heap, exactly, so that a step beyond shows. */
static struct bytes convert(struct bytes message, size_t piece, size_t room, int *differs_out)
{
    void *memory = malloc(pop3_surrogate_size());
    size_t most = message.size * GROWTH + 100;
    uint8_t *result = malloc(most);
    uint8_t *out = malloc(room);
    assert(memory != NULL && result != NULL && out != NULL);
    struct pop3_surrogate *surrogate = pop3_surrogate_init(memory);
    size_t made = 0;
    size_t part = 0;
    for (size_t at = 0; at < message.size;) {
        size_t left = message.size - at;
        size_t taken = pop3_surrogate_feed(surrogate, message.data + at,
                                           left < piece ? left : piece, out, room, &part);
        assert(taken <= left && part <= room && (taken != 0 || part != 0));
        assert(made + part <= most);
        memcpy(result + made, out, part);
        made += part;
        at += taken;
    }
    while ((part = pop3_surrogate_end(surrogate, out, room)) != 0) {
        assert(part <= room && made + part <= most);
        memcpy(result + made, out, part);
        made += part;
    }
    *differs_out = pop3_surrogate_differs(surrogate);
    free(out);
    free(memory);
    return (struct bytes){.data = result, .size = made};
}

/* The lines of the first header that begin a field, up to the first blank one. */
static size_t count_fields(struct bytes message)
{
    size_t count = 0;
    while (message.size != 0 && message.data[0] != '\n' &&
           !(message.size > 1 && message.data[0] == '\r' && message.data[1] == '\n')) {
        count += message.data[0] != ' ' && message.data[0] != '\t';
        message = bytes_from(message, bytes_find(message, '\n') + 1);
    }
    return count;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2) {
        return 0;
    }
    struct bytes message = {.data = data + 2, .size = size - 2};
    int differs, cut_differs, again_differs;
    struct bytes whole = convert(message, SIZE_MAX, 1 << 16, &differs);
    struct bytes cut = convert(message, data[0] + 1U, data[1] + 1U, &cut_differs);
    struct bytes again = convert(whole, SIZE_MAX, 1 << 16, &again_differs);
    assert(bytes_equal(whole, cut) && differs == cut_differs);
    assert(differs || bytes_equal(whole, message));
    assert(!again_differs && bytes_equal(whole, again));
    assert(count_fields(whole) <= count_fields(message));
    free((void *)(uintptr_t)whole.data);
    free((void *)(uintptr_t)cut.data);
    free((void *)(uintptr_t)again.data);
    return 0;
}
