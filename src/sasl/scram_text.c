/* SPDX-License-Identifier: MIT */
#include "sasl/scram_text.h"

#include <sodium.h>

struct bytes scram_take_field(struct bytes *rest)
{
    struct bytes field = {rest->data, bytes_find(*rest, ',')};
    *rest = bytes_from(*rest, field.size + 1);
    return field;
}

bool scram_value_of(struct bytes field, char attribute, struct bytes *value_out)
{
    if (field.size < 2 || field.data[0] != (uint8_t)attribute || field.data[1] != '=') {
        return false;
    }
    *value_out = bytes_from(field, 2);
    return true;
}

bool scram_is_printable(struct bytes text)
{
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] < 0x21 || text.data[i] > 0x7E) {
            return false;
        }
    }
    return text.size > 0;
}

void scram_append_base64(struct buffer *out, struct bytes octets)
{
    const int variant = sodium_base64_VARIANT_ORIGINAL;
    size_t size =
        sodium_base64_encoded_len(octets.size, variant); /* with a NUL, that is not kept */
    if (out->overflow || size > buffer_room(out)) {
        out->overflow = true;
        return;
    }
    (void)sodium_bin2base64((char *)out->data + out->written, size, octets.data, octets.size,
                            variant);
    out->written += size - 1;
}
