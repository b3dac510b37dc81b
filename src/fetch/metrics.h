/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_FETCH_METRICS_H
#define RESTANTE_FETCH_METRICS_H

/* The statuses of accounts as a text file of Prometheus, for the textfile collector of node_exporter. */

#include "fetch/status.h"

/* The text, malloc'ed; an account's name is its label, escaped. NULL: no memory. */
char *metrics_format(const char *const *accounts, const struct fetch_status *statuses,
                     size_t count);

/* Reads the statuses of these accounts (`folder` as for state_open) and replaces the file, so that a reader finds the
 * one before or this one. Blocks. */
int metrics_write(const char *path, const char *folder, const char *const *accounts, size_t count,
                  struct error *error) MUST_CHECK;

#endif
