/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_SERVER_LOG_TARGET_H
#define RESTANTE_SERVER_LOG_TARGET_H

#include "server/configuration.h"

/* Opens what `[log] target` names, for the master; children get the descriptor, for they can open none. A
 * file is opened anew each time, so that one that was moved away is let go. On failure the log goes on
 * where it went. */
int log_target_use(const struct configuration *configuration, struct error *error) MUST_CHECK;

/* Has the log daemon been started anew, so that its socket is another one now? */
bool log_target_moved(void);

#endif
