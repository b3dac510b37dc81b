/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_SERVER_PREFLIGHT_SOURCES_H
#define RESTANTE_SERVER_PREFLIGHT_SOURCES_H

#include "server/configuration.h"

/* Opens each database among the sources of accounts, and notes what is wrong with what the configuration says of it.
 * `path` is the configuration's. Blocks for some seconds at most. */
void preflight_sources(const char *path, const struct configuration *configuration,
                       struct configuration_notes *notes);

#endif
