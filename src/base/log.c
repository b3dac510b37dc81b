/* SPDX-License-Identifier: MIT */
#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "base/attributes.h"
#include "base/log_line.h"

/* A text of TEXT_SIZE, each octet escaped to six, and all fields of an event fit into a line. */
enum { TEXT_SIZE = 1536, LINE_SIZE = 12288 };

static const char *process_name = "restante";
static enum log_level most_level = LOG_LEVEL_INFO;
static pid_t process_id;
static struct log_output output = {.descriptor = STDERR_FILENO};
static uint64_t lost; /* lines that a socket did not take */

void log_init(const char *name, enum log_level most)
{
    process_name = name;
    most_level = most;
    process_id = getpid(); /* once: it is a system call */
}

void log_use(const struct log_output *wanted)
{
    if (output.descriptor != STDERR_FILENO) {
        (void)close(output.descriptor);
    }
    output = *wanted;
    if (output.target == LOG_TARGET_STREAM && output.descriptor != STDERR_FILENO) {
        (void)dup2(output.descriptor, STDERR_FILENO);
        (void)close(output.descriptor);
        output.descriptor = STDERR_FILENO;
    }
}

const struct log_output *log_current(void)
{
    return &output;
}

const char *log_level_name(enum log_level level)
{
    static const char *const names[] = {"error", "warning", "info", "debug"};
    return names[level];
}

/* Nowhere is left to tell of a failure, but lines that were lost meanwhile are told of later. */
static bool send_line(struct log_line *line)
{
    UNINITIALIZED char memory[LINE_SIZE];
    struct buffer buffer;
    buffer_init(&buffer, memory, sizeof memory);
    log_line_make(line, &output, &buffer);
    ssize_t size = (ssize_t)buffer.written;
    return write(output.descriptor, memory, buffer.written) == size ||
           output.target == LOG_TARGET_STREAM;
}

static void tell_of_lost(const struct log_line *line)
{
    char text[64];
    struct log_line notice = {.level = LOG_LEVEL_WARNING,
                              .process = line->process,
                              .process_id = line->process_id,
                              .time = line->time,
                              .text = text};
    (void)snprintf(text, sizeof text, "%llu lines of the log were lost", (unsigned long long)lost);
    if (send_line(&notice)) {
        lost = 0;
    }
}

static void put_line(struct log_line *line)
{
    line->process = process_name;
    line->process_id = process_id;
    (void)clock_gettime(CLOCK_REALTIME, &line->time);
    if (lost > 0) {
        tell_of_lost(line);
    }
    if (!send_line(line)) {
        lost++;
    }
}

void log_write(enum log_level level, const char *format, ...)
{
    if (level > most_level) {
        return;
    }
    UNINITIALIZED char text[TEXT_SIZE];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    struct log_line line = {.level = level, .text = text};
    put_line(&line);
}

void log_event(enum log_level level, const char *event, const struct log_field *fields,
               size_t count)
{
    if (level > most_level) {
        return;
    }
    struct log_line line = {.level = level, .event = event, .fields = fields, .field_count = count};
    put_line(&line);
}
