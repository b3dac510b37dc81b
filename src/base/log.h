/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_BASE_LOG_H
#define RESTANTE_BASE_LOG_H

#include "base/attributes.h"
#include "base/bytes.h"

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

/* Where lines go. */
enum log_target {
    LOG_TARGET_STREAM, /* a file or a pipe: time, level, process and text, one line */
    LOG_TARGET_SYSLOG, /* a connected socket at /dev/log: RFC 3164 as the C library's syslog sends it */
    LOG_TARGET_JOURNAL /* a connected socket of systemd's journal: its native protocol, with fields */
};
enum log_format { LOG_FORMAT_TEXT, LOG_FORMAT_JSON };

struct log_output {
    enum log_target target;
    enum log_format format; /* of no meaning for the journal */
    int descriptor;
};

/* One fact of an event. Use the functions below to make one. */
struct log_field {
    const char *key; /* lower case, with '-' */
    enum log_field_kind {
        LOG_FIELD_WORD,     /* our own: no blanks */
        LOG_FIELD_NAME,     /* a user's name that auth has given: escaped; none is "-" */
        LOG_FIELD_QUOTED,   /* octets of strangers: escaped, in quotes, cut when they are many */
        LOG_FIELD_ADDRESS,  /* ADDRESS:PORT; JSON and the journal get two fields */
        LOG_FIELD_NUMBER,   /* */
        LOG_FIELD_DURATION, /* milliseconds; written as seconds */
        LOG_FIELD_COUNTED   /* messages and their octets */
    } kind;
    struct bytes text;
    uint64_t number, octets;
};

static inline struct log_field log_word(const char *key, const char *word)
{
    return (struct log_field){.key = key, .kind = LOG_FIELD_WORD, .text = bytes_of(word)};
}

static inline struct log_field log_name(const char *key, const char *name)
{
    struct bytes text = name == NULL ? (struct bytes){0} : bytes_of(name);
    return (struct log_field){.key = key, .kind = LOG_FIELD_NAME, .text = text};
}

static inline struct log_field log_quoted(const char *key, struct bytes octets)
{
    return (struct log_field){.key = key, .kind = LOG_FIELD_QUOTED, .text = octets};
}

static inline struct log_field log_address(const char *key, const char *address)
{
    return (struct log_field){.key = key, .kind = LOG_FIELD_ADDRESS, .text = bytes_of(address)};
}

static inline struct log_field log_number(const char *key, uint64_t number)
{
    return (struct log_field){.key = key, .kind = LOG_FIELD_NUMBER, .number = number};
}

static inline struct log_field log_duration(const char *key, uint64_t milliseconds)
{
    return (struct log_field){.key = key, .kind = LOG_FIELD_DURATION, .number = milliseconds};
}

static inline struct log_field log_counted(const char *key, uint64_t messages, uint64_t octets)
{
    return (struct log_field){
        .key = key, .kind = LOG_FIELD_COUNTED, .number = messages, .octets = octets};
}

/* Writes one line, by one system call, so that processes that share the file do not mix theirs. Lines
 * above the level that was set cost nothing. Only server/ and cli/ call it, once, where an error stops.
 * Octets of strangers go through bytes_escape first. */
void log_write(enum log_level level, const char *format, ...) PRINTF_LIKE(2, 3);

/* The same for an event with fields: `EVENT key=value ...` as text, and as data where the format has it. */
void log_event(enum log_level level, const char *event, const struct log_field *fields,
               size_t count);

/* `name` is borrowed for the life of the process. */
void log_init(const char *name, enum log_level most);

/* Lines go there from now on; to standard error and as text before. Takes the descriptor: a stream's
 * becomes standard error, where other code's last words go as well. A socket must not block: what it
 * does not take is lost, and how much is told in the next line that it takes. */
void log_use(const struct log_output *output);
const struct log_output *log_current(void);

const char *log_level_name(enum log_level level);

#endif
