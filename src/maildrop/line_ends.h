/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_MAILDROP_LINE_ENDS_H
#define RESTANTE_MAILDROP_LINE_ENDS_H

#include "base/bytes.h"

/* What a delivery does to line ends: CR LF is stored as LF, all else as it is, so that what is sent
 * later is what came (bare LFs as CR LF). Begins zeroed. */
struct line_ends {
    bool held; /* a CR that an LF may follow */
    bool run;  /* and CRs came before it */
};

/* Takes all of `octets`; `out` has room for one octet more than that. Returns how many were put there. */
size_t line_ends_feed(struct line_ends *state, struct bytes octets, uint8_t *out);

/* After the last octet; at most one more. */
size_t line_ends_finish(struct line_ends *state, uint8_t *out);

#endif
