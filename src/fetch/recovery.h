/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_FETCH_RECOVERY_H
#define RESTANTE_FETCH_RECOVERY_H

#include "fetch/state.h"
#include "fetch/target.h"

/* Putting in order what a killed run left: each message that was being placed is stored, or it will be
 * fetched again. */

/* Where things are placed, and since which start of the machine. */
struct recovery_era {
    char text[512]; /* empty: not known */
};

/* `boot` names this start of the machine; NULL: as the kernel says. `kind` and `place`: of the target. */
void recovery_era_make(struct recovery_era *era, const char *boot, int kind, const char *place);

/* How many were found to be stored. Commits. */
int recovery_run(struct state *state, struct target *target, const struct recovery_era *era,
                 int64_t now, size_t *recovered_out, struct error *error) MUST_CHECK;

#endif
