/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_NET_CONNECTOR_H
#define RESTANTE_NET_CONNECTOR_H

#include <uv.h>

#include "base/error.h"

/* The client end of a connection until it stands: the name is looked up, and its addresses are tried as
 * RFC 8305 says, both families by turns, the next when one has failed or been silent for a quarter of a
 * second; the first that answers is taken. */
struct connector;

struct connection_target {
    const char *host;    /* a name, or a numeric address, with brackets or without */
    uint32_t timeout_ms; /* for the look-up and all addresses together */
    uint16_t port;
};

/* A connected socket, the owner's from now on, or -1: connector_error says why. Comes once, from the loop. */
typedef void connector_done(void *owner, int descriptor);

/* NULL: no memory. The target is copied. */
struct connector *connector_create(uv_loop_t *loop, const struct connection_target *target,
                                   connector_done *done, void *owner);
/* Names what failed at which address. */
const struct error *connector_error(const struct connector *connector);
/* Takes NULL; returns NULL. What is under way is given up; the loop may have handles of it for some
 * time. */
struct connector *connector_free(struct connector *connector);

#endif
