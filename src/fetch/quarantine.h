/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_FETCH_QUARANTINE_H
#define RESTANTE_FETCH_QUARANTINE_H

#include "fetch/spool.h"
#include "fetch/state.h"

/* Keeps a copy of a message that its target refused too often, durably, in the folder NAME.quarantine beside
 * the state: N.eml, and N.txt with a note that says why. */
int quarantine_put(int state_folder, const char *account, const struct state_row *row,
                   struct spool *spool, struct error *error) MUST_CHECK;

#endif
