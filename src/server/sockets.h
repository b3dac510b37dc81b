/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_SERVER_SOCKETS_H
#define RESTANTE_SERVER_SOCKETS_H

#include "server/configuration.h"

/* The master's listening sockets: for each address of the configuration one SO_REUSEPORT socket a worker.
 * They outlive workers and reloads: what nobody has accepted waits in them. */

struct socket_group {
    uint32_t kind;                      /* LISTENER_ bits */
    struct configuration_address asked; /* as the configuration has it */
    struct sockaddr_storage bound;      /* with the port that port 0 became */
    int sockets[CONFIGURATION_MOST_WORKERS];
    uint32_t count;
};

struct sockets {
    struct socket_group groups[4 * CONFIGURATION_MOST_LISTEN];
    uint32_t count;
};

/* Makes `next` what `configuration` needs. Sockets of `current` for the same address are shared with it,
 * whatever their connections begin with: the same descriptors stand in both. On failure nothing is left of `next`. */
int sockets_prepare(const struct sockets *current, const struct configuration *configuration,
                    struct sockets *next, struct error *error) MUST_CHECK;

/* Closes the descriptors of `sockets` that do not stand in `other` too. */
void sockets_drop(struct sockets *sockets, const struct sockets *other);

#endif
