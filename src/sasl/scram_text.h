/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_SASL_SCRAM_TEXT_H
#define RESTANTE_SASL_SCRAM_TEXT_H

/* The grammar that the messages of both ends have in common: RFC 5802 section 7. Its GS2 header opens the
 * messages of OAUTHBEARER too (RFC 5801 section 4). */

#include "base/buffer.h"
#include "base/user_name.h"

/* The value of an attribute "x=value"; false if the field is another one. */
bool scram_value_of(struct bytes field, char attribute, struct bytes *value_out);
/* Is it "printable" of that grammar, and not empty? */
bool scram_is_printable(struct bytes text);
/* In names, "=2C" and "=3D" stand for comma and equals sign; any other "=" is an error, as is a name that is too
 * long. `name_out` points into `out`. */
bool scram_unescape_name(struct bytes value, uint8_t out[USER_NAME_OCTETS_MAX],
                         struct bytes *name_out);
void scram_append_name(struct buffer *out, struct bytes name);
void scram_append_base64(struct buffer *out, struct bytes octets);

enum { SCRAM_NONCE_OCTETS = 18 }; /* of an end's own part of it, before they are encoded */

#endif
