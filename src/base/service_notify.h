/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_BASE_SERVICE_NOTIFY_H
#define RESTANTE_BASE_SERVICE_NOTIFY_H

#include <stdint.h>

#include "base/attributes.h"

/* The protocol of sd_notify(3), without libsystemd. */

/* Tells `state`, like "READY=1"; lines end in LF where there are several. 0, also where NOTIFY_SOCKET names
 * nobody; or a negated errno. */
int service_notify(const char *state) MUST_CHECK;

/* How often WATCHDOG=1 is expected, by WATCHDOG_USEC; 0: not at all. */
uint64_t service_watchdog_ms(void);

#endif
