/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_FETCH_STATE_NAME_H
#define RESTANTE_FETCH_STATE_NAME_H

#include <stddef.h>

#include "base/attributes.h"
#include "base/error.h"

/* Names of an account's state. */

/* The account's name as a file's: letters, digits and "@-_+.", other octets (and a "." in front) as %HH; a
 * name that would be too long for a file ends in a hash of the whole. To be freed; NULL: out of memory. */
char *state_name_of(const char *account);

/* Where states are kept: `folder` if that is given, else $XDG_STATE_HOME/restante/fetch, else
 * $HOME/.local/state/restante/fetch. To be freed. */
char *state_folder_of(const char *folder, struct error *error) MUST_CHECK;

#endif
