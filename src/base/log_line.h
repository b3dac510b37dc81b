/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_BASE_LOG_LINE_H
#define RESTANTE_BASE_LOG_LINE_H

#include <sys/types.h>
#include <time.h>

#include "base/buffer.h"
#include "base/log.h"

/* What is told, before it has a form. Either `text` or an event with fields. */
struct log_line {
    enum log_level level;
    const char *process;
    pid_t process_id;
    struct timespec time;
    const char *text;
    const char *event;
    const struct log_field *fields;
    size_t field_count;
};

/* The whole of what one system call sends, the line end of a stream included. What does not fit is left
 * out, field by field, so that the form stays right. */
void log_line_make(const struct log_line *line, const struct log_output *output,
                   struct buffer *buffer);

#endif
