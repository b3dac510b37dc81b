/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_FETCH_MESSAGE_ID_H
#define RESTANTE_FETCH_MESSAGE_ID_H

#include <stdbool.h>

#include "base/bytes.h"

enum { MESSAGE_ID_OCTETS = 200 };

/* Looks for the Message-ID (RFC 5322 section 3.6.4) of a header that comes in pieces. Zeroed: at its beginning. */
struct message_id {
    size_t matched; /* octets of the name at the beginning of this line; SIZE_MAX: it is another */
    bool in_line, in_body;
    bool is_field;  /* of which this line is a part */
    bool has_field; /* there was one, whatever is in it */
    enum { MESSAGE_ID_BEFORE, MESSAGE_ID_IN, MESSAGE_ID_COMPLETE, MESSAGE_ID_ODD } state;
    size_t size;
    char text[MESSAGE_ID_OCTETS + 1]; /* without brackets */
};

void message_id_feed(struct message_id *id, struct bytes octets);

/* NULL: there is none, or none that can be looked for: too long, or with octets that no id has. */
const char *message_id_text(const struct message_id *id);

#endif
