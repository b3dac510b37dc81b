/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_SERVER_SOURCE_CHILD_H
#define RESTANTE_SERVER_SOURCE_CHILD_H

#include "account/source.h"
#include "server/configuration.h"

/* What the configuration says to the sources; borrowed from it. */
void source_options_of(const struct configuration *configuration,
                       struct source_options *options_out);

/* A process of one source of accounts: takes a question of auth's, asks the source, which may block, answers.
 * Who waits for too long has it killed. Returns an exit status. */
int source_child_run(void);

#endif
