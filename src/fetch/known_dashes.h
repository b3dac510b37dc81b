/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_FETCH_KNOWN_DASHES_H
#define RESTANTE_FETCH_KNOWN_DASHES_H

#include "fetch/state.h"
#include "fetch/storer.h"

/* getmail6 writes "-" for "/" in the ids that it remembers. The first listing after such ids were taken over tells
 * which they are: a listed id with "/" that is not known gives its name to the row that is this id with "-". Without
 * committing. */
int known_dashes_resolve(struct state *state, const struct storer_message *messages, size_t count,
                         struct error *error) MUST_CHECK;

#endif
