/* SPDX-License-Identifier: MIT */
/* CR CR LF keeps its CRs: stored as CR LF it would be sent with one CR less than came. */
#include "maildrop/line_ends.h"

static size_t feed_after_cr(struct line_ends *state, uint8_t octet, uint8_t *out)
{
    size_t made = 0;
    if (octet == '\r') {
        out[made++] = '\r';
        state->run = true;
        return made;
    }
    if (octet != '\n' || state->run) {
        out[made++] = '\r';
    }
    out[made++] = octet;
    *state = (struct line_ends){0};
    return made;
}

size_t line_ends_feed(struct line_ends *state, struct bytes octets, uint8_t *out)
{
    size_t made = 0;
    for (size_t at = 0; at < octets.size;) {
        if (state->held) {
            made += feed_after_cr(state, octets.data[at++], out + made);
            continue;
        }
        struct bytes rest = bytes_from(octets, at);
        size_t plain = bytes_find(rest, '\r');
        memcpy(out + made, rest.data, plain);
        made += plain;
        at += plain;
        if (at < octets.size) {
            state->held = true;
            at++;
        }
    }
    return made;
}

size_t line_ends_finish(struct line_ends *state, uint8_t *out)
{
    size_t made = 0;
    if (state->held) {
        out[made++] = '\r';
    }
    *state = (struct line_ends){0};
    return made;
}
