/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_BASE_LOG_H
#define RESTANTE_BASE_LOG_H

#include "base/attributes.h"

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

/* Writes one line to descriptor 2 in one write, so that processes that share the file do not mix
 * theirs: time (UTC, milliseconds), level, process name and id, text. Lines above the level that was set
 * cost nothing. Only server/ and cli/ call it, once, where an error stops. Octets of strangers go through
 * bytes_escape first. */
void log_write(enum log_level level, const char *format, ...) PRINTF_LIKE(2, 3);

/* `name` is borrowed for the life of the process. */
void log_init(const char *name, enum log_level most);

const char *log_level_name(enum log_level level);

#endif
