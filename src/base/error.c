/* SPDX-License-Identifier: MIT */
#include "base/error.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

struct row {
    const char *lmtp;
    int status;
    enum log_level level;
    const char *metric;
};

static const struct row rows[ERROR_KIND_COUNT] = {
    [ERROR_NONE] = {"250 2.0.0", EX_OK, LOG_LEVEL_INFO, "none"},
#define ERROR_KIND(name, pop3, lmtp, status, level, metric)                                        \
    [ERROR_##name] = {lmtp, status, LOG_LEVEL_##level, metric},
#include "base/error_kinds.def"
#undef ERROR_KIND
};

static void fill(struct error *error, enum error_kind kind, int number, const char *format,
                 va_list arguments) PRINTF_LIKE(4, 0);

static void fill(struct error *error, enum error_kind kind, int number, const char *format,
                 va_list arguments)
{
    if (error == NULL) {
        return;
    }
    char text[sizeof error->text]; /* apart: an argument may point into *error */
    (void)vsnprintf(text, sizeof text, format, arguments);
    size_t used = strlen(text);
    if (number != 0 && used + 3 < sizeof text) {
        (void)snprintf(text + used, sizeof text - used, ": %s", strerror(number));
    }
    error->kind = kind;
    error->number = number;
    memcpy(error->text, text, sizeof text);
}

int error_set(struct error *error, enum error_kind kind, int number, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fill(error, kind, number, format, arguments);
    va_end(arguments);
    return -1;
}

static enum error_kind kind_of_errno(int number)
{
    switch (number) {
    case ENOSPC:
    case EDQUOT:
        return ERROR_NO_SPACE;
    case EROFS:
    case ENOTDIR:
    case EISDIR:
    case EINVAL:
    case ENAMETOOLONG:
    case ELOOP:
    case ENOSYS:
    case EOPNOTSUPP:
        return ERROR_PERMANENT;
    default:
        return ERROR_TEMPORARY;
    }
}

int error_from_errno(struct error *error, int number, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fill(error, kind_of_errno(number), number, format, arguments);
    va_end(arguments);
    return -1;
}

const char *error_lmtp_reply(enum error_kind kind)
{
    assert(kind < ERROR_KIND_COUNT);
    return rows[kind].lmtp;
}

int error_exit_status(enum error_kind kind)
{
    assert(kind < ERROR_KIND_COUNT);
    return rows[kind].status;
}

enum log_level error_log_level(enum error_kind kind)
{
    assert(kind < ERROR_KIND_COUNT);
    return rows[kind].level;
}

const char *error_metric(enum error_kind kind)
{
    assert(kind < ERROR_KIND_COUNT);
    return rows[kind].metric;
}
