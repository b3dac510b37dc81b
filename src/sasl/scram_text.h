/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_SASL_SCRAM_TEXT_H
#define RESTANTE_SASL_SCRAM_TEXT_H

/* The grammar that the messages of both ends have in common: RFC 5802 section 7. */

#include "base/buffer.h"

/* Takes what stands before the next comma, and the comma. */
struct bytes scram_take_field(struct bytes *rest);
/* The value of an attribute "x=value"; false if the field is another one. */
bool scram_value_of(struct bytes field, char attribute, struct bytes *value_out);
/* Is it "printable" of that grammar, and not empty? */
bool scram_is_printable(struct bytes text);
void scram_append_base64(struct buffer *out, struct bytes octets);

enum { SCRAM_NONCE_OCTETS = 18 }; /* of an end's own part of it, before they are encoded */

#endif
