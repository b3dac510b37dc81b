/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_BASE_ERROR_H
#define RESTANTE_BASE_ERROR_H

#include "base/attributes.h"
#include "base/log.h"

enum error_kind {
    ERROR_NONE = 0,
#define ERROR_KIND(name, pop3, lmtp, status, level, metric) ERROR_##name,
#include "base/error_kinds.def"
#undef ERROR_KIND
    ERROR_KIND_COUNT
};

/* Written only on failure. Fixed size, no heap: a copy is an assignment. */
struct error {
    enum error_kind kind;
    int number;     /* errno, or 0 */
    char text[300]; /* for a log or a terminal; may name local paths, so never for a peer */
};

/* Fills `error` and returns -1, so that a function can end in `return error_set(...)`. A `number`
 * other than 0 appends its strerror. `error` may be NULL. */
int error_set(struct error *error, enum error_kind kind, int number, const char *format, ...)
    PRINTF_LIKE(4, 5);

/* The same, with the kind that this errno stands for: NO_SPACE for ENOSPC and EDQUOT, TEMPORARY for
 * what may pass, else PERMANENT. */
int error_from_errno(struct error *error, int number, const char *format, ...) PRINTF_LIKE(3, 4);

const char *error_lmtp_reply(enum error_kind kind);
int error_exit_status(enum error_kind kind);
enum log_level error_log_level(enum error_kind kind);
const char *error_metric(enum error_kind kind);

#endif
