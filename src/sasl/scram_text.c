/* SPDX-License-Identifier: MIT */
#include "sasl/scram_text.h"

#include <sodium.h>

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

bool scram_unescape_name(struct bytes value, uint8_t out[USER_NAME_OCTETS_MAX],
                         struct bytes *name_out)
{
    size_t size = 0;
    for (size_t i = 0; i < value.size; i++) {
        uint8_t octet = value.data[i];
        if (octet == '=') {
            struct bytes code = {value.data + i, value.size - i < 3 ? value.size - i : 3};
            bool comma = bytes_equal(code, bytes_of("=2C"));
            if (!comma && !bytes_equal(code, bytes_of("=3D"))) {
                return false;
            }
            octet = comma ? ',' : '=';
            i += 2;
        }
        if (size == USER_NAME_OCTETS_MAX) {
            return false;
        }
        out[size++] = octet;
    }
    *name_out = (struct bytes){out, size};
    return true;
}

void scram_append_name(struct buffer *out, struct bytes name)
{
    for (size_t i = 0; i < name.size; i++) {
        if (name.data[i] == ',') {
            buffer_append_text(out, "=2C");
        } else if (name.data[i] == '=') {
            buffer_append_text(out, "=3D");
        } else {
            buffer_append_octet(out, name.data[i]);
        }
    }
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
