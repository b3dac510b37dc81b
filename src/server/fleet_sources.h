/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_SERVER_FLEET_SOURCES_H
#define RESTANTE_SERVER_FLEET_SOURCES_H

/* The processes of a fleet that ask sources of accounts, `source-processes` for each source but the file. They
 * live as long as the fleet's auth has somebody to answer. One that ends is started again: at once if it was
 * killed for its silence, else after a while that doubles. */

#include "server/fleet.h"

/* Starts all; -1: one could not be, and those that were go on. */
int fleet_sources_start(struct fleet *fleet, struct error *error) MUST_CHECK;

/* Are all ready? */
bool fleet_sources_are_ready(const struct fleet *fleet);

/* There is a new auth: gives it a channel to each. */
void fleet_sources_introduce(struct fleet *fleet);

/* Auth says that this one has not answered in time. */
void fleet_sources_kill_one(struct fleet *fleet, uint32_t number);
void fleet_sources_kill(struct fleet *fleet);

/* Hands a new log to all. */
void fleet_sources_send_log(struct fleet *fleet);

#endif
