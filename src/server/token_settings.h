/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_SERVER_TOKEN_SETTINGS_H
#define RESTANTE_SERVER_TOKEN_SETTINGS_H

#include "account/token.h"
#include "server/configuration.h"

/* What section [oauth] says of access tokens; the kinds of its values are in setting_kinds.h. */

/* Notes what contradicts itself, or is missing. */
void token_settings_check(const struct configuration *configuration, const char *file,
                          struct configuration_notes *notes);

/* As the source takes them; they borrow from `configuration`. */
struct token_options token_settings_options(const struct configuration *configuration);

#endif
