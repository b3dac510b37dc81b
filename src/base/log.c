/* SPDX-License-Identifier: MIT */
#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const char *process_name = "restante";
static enum log_level most_level = LOG_LEVEL_INFO;
static int process_id;

void log_init(const char *name, enum log_level most)
{
    process_name = name;
    most_level = most;
    process_id = (int)getpid(); /* once: it is a system call */
}

const char *log_level_name(enum log_level level)
{
    static const char *const names[] = {"error", "warning", "info", "debug"};
    return names[level];
}

void log_write(enum log_level level, const char *format, ...)
{
    if (level > most_level) {
        return;
    }
    char line[2048];
    struct timespec now;
    struct tm parts;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    (void)gmtime_r(&now.tv_sec, &parts);
    size_t used = strftime(line, sizeof line, "%Y-%m-%dT%H:%M:%S", &parts);
    used += (size_t)snprintf(line + used, sizeof line - used,
                             ".%03ldZ %s %s[%d]: ", now.tv_nsec / 1000000, log_level_name(level),
                             process_name, process_id);
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(line + used, sizeof line - used - 1, format, arguments);
    va_end(arguments);
    used = strlen(line);
    line[used++] = '\n';
    (void)!write(STDERR_FILENO, line, used); /* nowhere is left to tell of a failure */
}
