/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_SERVER_MASTER_H
#define RESTANTE_SERVER_MASTER_H

/* The server: reads the configuration at `path`, starts its processes and supervises them until SIGTERM or
 * SIGINT. `ready_fd` is told when it serves (readiness.h), -1: nobody. Returns the exit status: 2 for a
 * mistake in the configuration. */
int master_run(const char *path, int ready_fd);

#endif
