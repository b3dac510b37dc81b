/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_SERVER_READINESS_H
#define RESTANTE_SERVER_READINESS_H

#include "server/sockets.h"

/* Tells who started us that all listeners are bound and all processes run: to descriptor `ready_fd` (-1:
 * to nobody) a line "pop3 ADDRESS:PORT" (under TLS "pop3s ADDRESS:PORT") for each listener, then "ready", and it is closed; and to systemd,
 * by its protocol, where NOTIFY_SOCKET says so. */
void readiness_tell(int ready_fd, const struct sockets *sockets);

/* To systemd only: "STOPPING=1" and the like. */
void readiness_notify(const char *state);

#endif
