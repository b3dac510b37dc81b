/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_FETCH_HOST_MEMORY_H
#define RESTANTE_FETCH_HOST_MEMORY_H

/* What was learnt of a server, in a file beside the accounts' states: that it announces PIPELINING and breaks
 * it. Forgotten after some weeks, since servers get better. Losing it costs time only. */

#include <stdbool.h>
#include <stdint.h>

enum { HOST_MEMORY_DAYS = 30 };

/* `folder`: as storer_options.state_folder. Whatever hinders reading means no. */
bool host_memory_is_one_at_a_time(const char *folder, const char *host, uint32_t port);
void host_memory_set_one_at_a_time(const char *folder, const char *host, uint32_t port);

#endif
