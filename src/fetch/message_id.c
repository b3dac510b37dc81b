/* SPDX-License-Identifier: MIT */
#include "fetch/message_id.h"

#include <stdint.h>

static const char name[] = "message-id:";

static void take_value(struct message_id *id, uint8_t octet)
{
    bool is_good = octet > ' ' && octet < 0x7F && octet != '<' && octet != '"' && octet != '\\';
    if (id->state == MESSAGE_ID_BEFORE) {
        id->state = octet == '<' ? MESSAGE_ID_IN : id->state;
    } else if (id->state != MESSAGE_ID_IN || octet == ' ' || octet == '\t') {
        return; /* folded */
    } else if (octet == '>') {
        id->state = id->size > 0 ? MESSAGE_ID_COMPLETE : MESSAGE_ID_ODD;
        id->text[id->size] = '\0';
    } else if (!is_good || id->size == MESSAGE_ID_OCTETS) {
        id->state = MESSAGE_ID_ODD;
    } else {
        id->text[id->size++] = (char)octet;
    }
}

static void take(struct message_id *id, uint8_t octet)
{
    if (octet == '\n') {
        id->in_body = !id->in_line;
        id->in_line = false;
        id->matched = 0;
        return;
    }
    if (octet == '\r') {
        return;
    }
    bool is_first = !id->in_line;
    id->in_line = true;
    if (is_first && (octet == ' ' || octet == '\t')) {
        id->matched = SIZE_MAX;
    } else if (is_first) {
        id->is_field = false;
    }
    if (id->is_field) {
        take_value(id, octet);
        return;
    }
    uint8_t small = octet >= 'A' && octet <= 'Z' ? (uint8_t)(octet - 'A' + 'a') : octet;
    bool goes_on = id->matched < sizeof name - 1 && small == (uint8_t)name[id->matched];
    id->matched = goes_on ? id->matched + 1 : SIZE_MAX;
    if (id->matched == sizeof name - 1) {
        id->is_field = !id->has_field; /* the first counts */
        id->has_field = true;
    }
}

void message_id_feed(struct message_id *id, struct bytes octets)
{
    for (size_t i = 0; i < octets.size && !id->in_body; i++) {
        take(id, octets.data[i]);
    }
}

const char *message_id_text(const struct message_id *id)
{
    return id->state == MESSAGE_ID_COMPLETE ? id->text : NULL;
}
