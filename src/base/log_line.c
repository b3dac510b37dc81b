/* SPDX-License-Identifier: MIT */
/* The forms of a line of the log. No octet of a stranger is ever part of a form: text has it escaped as
 * \xNN, JSON as \u00NN, so that the line can be parsed whatever the name was, and cannot be forged. */
#include "base/log_line.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "base/number.h"

enum { QUOTED_MOST = 159, FACILITY_MAIL = 2 };

static unsigned priority(enum log_level level)
{
    static const unsigned priorities[] = {3, 4, 6, 7};
    return priorities[level];
}

/* At least `width` digits, with leading zeros. printf would be the dearest part of a line. */
static void append_digits(struct buffer *buffer, uint64_t value, size_t width)
{
    uint8_t digits[20];
    size_t size = number_format(value, digits);
    for (; width > size; width--) {
        buffer_append_octet(buffer, '0');
    }
    buffer_append(buffer, (struct bytes){.data = digits, .size = size});
}

static void append_duration(struct buffer *buffer, uint64_t milliseconds)
{
    buffer_append_number(buffer, milliseconds / 1000);
    buffer_append_octet(buffer, '.');
    append_digits(buffer, milliseconds % 1000, 3);
}

static void append_escaped(struct buffer *buffer, struct bytes text, size_t most)
{
    UNINITIALIZED char escaped[1024];
    size_t room = most + 1 < sizeof escaped ? most + 1 : sizeof escaped;
    buffer_append_text(buffer, bytes_escape(text, escaped, room));
}

static void append_text_field(struct buffer *buffer, const struct log_field *field)
{
    buffer_append_octet(buffer, ' ');
    buffer_append_text(buffer, field->key);
    buffer_append_octet(buffer, '=');
    switch (field->kind) {
    case LOG_FIELD_WORD:
    case LOG_FIELD_ADDRESS:
        buffer_append(buffer, field->text);
        return;
    case LOG_FIELD_NAME:
        append_escaped(buffer, field->text.size == 0 ? bytes_of("-") : field->text, 271);
        return;
    case LOG_FIELD_QUOTED:
        buffer_append_octet(buffer, '"');
        append_escaped(buffer, field->text, QUOTED_MOST);
        buffer_append_octet(buffer, '"');
        return;
    case LOG_FIELD_NUMBER:
        buffer_append_number(buffer, field->number);
        return;
    case LOG_FIELD_DURATION:
        append_duration(buffer, field->number);
        return;
    case LOG_FIELD_COUNTED:
        buffer_append_number(buffer, field->number);
        buffer_append_octet(buffer, '/');
        buffer_append_number(buffer, field->octets);
        return;
    }
}

/* Undoes an append that did not fit whole. */
static bool keep(struct buffer *buffer, size_t before)
{
    if (!buffer->overflow) {
        return true;
    }
    buffer->written = before;
    buffer->overflow = false;
    return false;
}

/* Control characters would end a line or reach a terminal: none of ours has one. */
static void append_plain(struct buffer *buffer, const char *text)
{
    for (const char *at = text; *at != '\0'; at++) {
        uint8_t octet = (uint8_t)*at;
        buffer_append_octet(buffer, octet < 0x20 || octet == 0x7f ? ' ' : octet);
    }
}

static void append_content(struct buffer *buffer, const struct log_line *line)
{
    if (line->text != NULL) {
        append_plain(buffer, line->text);
        return;
    }
    buffer_append_text(buffer, line->event);
    for (size_t i = 0; i < line->field_count; i++) {
        size_t before = buffer->written;
        append_text_field(buffer, &line->fields[i]);
        if (!keep(buffer, before)) {
            return;
        }
    }
}

/* A string of JSON: what is not printable ASCII becomes U+00NN, octet by octet. */
static void append_json_string(struct buffer *buffer, struct bytes text)
{
    buffer_append_octet(buffer, '"');
    for (size_t i = 0; i < text.size; i++) {
        uint8_t octet = text.data[i];
        if (octet >= 0x20 && octet <= 0x7e && octet != '"' && octet != '\\') {
            buffer_append_octet(buffer, octet);
        } else {
            char escape[8];
            (void)snprintf(escape, sizeof escape, "\\u%04x", octet);
            buffer_append_text(buffer, escape);
        }
    }
    buffer_append_octet(buffer, '"');
}

static void append_json_key(struct buffer *buffer, const char *key)
{
    buffer_append_octet(buffer, ',');
    append_json_string(buffer, bytes_of(key));
    buffer_append_octet(buffer, ':');
}

static void split_address(struct bytes address, struct bytes *host_out, struct bytes *port_out)
{
    size_t colon = address.size;
    while (colon > 0 && address.data[colon - 1] != ':') {
        colon--;
    }
    *port_out = bytes_from(address, colon);
    *host_out = (struct bytes){.data = address.data, .size = colon == 0 ? address.size : colon - 1};
    if (host_out->size >= 2 && host_out->data[0] == '[') {
        *host_out = (struct bytes){.data = host_out->data + 1, .size = host_out->size - 2};
    }
}

static void append_json_address(struct buffer *buffer, const struct log_field *field)
{
    struct bytes host;
    struct bytes port;
    split_address(field->text, &host, &port);
    append_json_string(buffer, host);
    append_json_key(buffer, "port");
    if (port.size == 0) {
        buffer_append_octet(buffer, '0');
    }
    buffer_append(buffer, port);
}

static void append_json_field(struct buffer *buffer, const struct log_field *field)
{
    struct bytes text = field->text;
    append_json_key(buffer, field->key);
    switch (field->kind) {
    case LOG_FIELD_QUOTED:
        text.size = text.size < QUOTED_MOST ? text.size : QUOTED_MOST;
        append_json_string(buffer, text);
        return;
    case LOG_FIELD_WORD:
        append_json_string(buffer, text);
        return;
    case LOG_FIELD_NAME:
        if (text.size == 0) {
            buffer_append_text(buffer, "null");
        } else {
            append_json_string(buffer, text);
        }
        return;
    case LOG_FIELD_ADDRESS:
        append_json_address(buffer, field);
        return;
    case LOG_FIELD_NUMBER:
        buffer_append_number(buffer, field->number);
        return;
    case LOG_FIELD_DURATION:
        append_duration(buffer, field->number);
        return;
    case LOG_FIELD_COUNTED:
        buffer_append_text(buffer, "{\"messages\":");
        buffer_append_number(buffer, field->number);
        buffer_append_text(buffer, ",\"octets\":");
        buffer_append_number(buffer, field->octets);
        buffer_append_octet(buffer, '}');
        return;
    }
}

static void append_time(struct buffer *buffer, const struct timespec *time)
{
    struct tm parts;
    (void)gmtime_r(&time->tv_sec, &parts);
    append_digits(buffer, (uint64_t)parts.tm_year + 1900, 4);
    buffer_append_octet(buffer, '-');
    append_digits(buffer, (uint64_t)parts.tm_mon + 1, 2);
    buffer_append_octet(buffer, '-');
    append_digits(buffer, (uint64_t)parts.tm_mday, 2);
    buffer_append_octet(buffer, 'T');
    append_digits(buffer, (uint64_t)parts.tm_hour, 2);
    buffer_append_octet(buffer, ':');
    append_digits(buffer, (uint64_t)parts.tm_min, 2);
    buffer_append_octet(buffer, ':');
    append_digits(buffer, (uint64_t)parts.tm_sec, 2);
    buffer_append_octet(buffer, '.');
    append_digits(buffer, (uint64_t)time->tv_nsec / 1000000, 3);
    buffer_append_octet(buffer, 'Z');
}

static void append_json(struct buffer *buffer, const struct log_line *line)
{
    buffer->capacity--; /* for the brace */
    buffer_append_text(buffer, "{\"time\":\"");
    append_time(buffer, &line->time);
    buffer_append_octet(buffer, '"');
    append_json_key(buffer, "level");
    append_json_string(buffer, bytes_of(log_level_name(line->level)));
    append_json_key(buffer, "process");
    append_json_string(buffer, bytes_of(line->process));
    append_json_key(buffer, "pid");
    buffer_append_number(buffer, (uint64_t)line->process_id);
    size_t before = buffer->written;
    append_json_key(buffer, line->text != NULL ? "message" : "event");
    append_json_string(buffer, bytes_of(line->text != NULL ? line->text : line->event));
    bool all = keep(buffer, before);
    for (size_t i = 0; i < line->field_count && all; i++) {
        before = buffer->written;
        append_json_field(buffer, &line->fields[i]);
        all = keep(buffer, before);
    }
    buffer->capacity++;
    buffer_append_octet(buffer, '}');
}

static void append_process(struct buffer *buffer, const struct log_line *line)
{
    buffer_append_text(buffer, line->process);
    buffer_append_octet(buffer, '[');
    buffer_append_number(buffer, (uint64_t)line->process_id);
    buffer_append_text(buffer, "]: ");
}

static void append_stream(struct buffer *buffer, const struct log_line *line,
                          enum log_format format)
{
    buffer->capacity--; /* for the line end */
    if (format == LOG_FORMAT_JSON) {
        append_json(buffer, line);
    } else {
        append_time(buffer, &line->time);
        buffer_append_octet(buffer, ' ');
        buffer_append_text(buffer, log_level_name(line->level));
        buffer_append_octet(buffer, ' ');
        append_process(buffer, line);
        append_content(buffer, line);
    }
    buffer->capacity++;
    buffer_append_octet(buffer, '\n');
}

/* In local time and English whatever the locale is, as receivers expect it. */
static void append_syslog(struct buffer *buffer, const struct log_line *line,
                          enum log_format format)
{
    static const char months[][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                     "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    struct tm parts;
    char head[64];
    (void)localtime_r(&line->time.tv_sec, &parts);
    (void)snprintf(head, sizeof head, "<%u>%s %2d %02d:%02d:%02d ",
                   FACILITY_MAIL * 8 + priority(line->level), months[parts.tm_mon], parts.tm_mday,
                   parts.tm_hour, parts.tm_min, parts.tm_sec);
    buffer_append_text(buffer, head);
    append_process(buffer, line);
    if (format == LOG_FORMAT_JSON) {
        append_json(buffer, line);
    } else {
        append_content(buffer, line);
    }
}

/* RESTANTE_KEY, with a suffix. */
static void append_journal_key(struct buffer *buffer, const char *key, const char *suffix)
{
    buffer_append_text(buffer, "RESTANTE_");
    for (const char *at = key; *at != '\0'; at++) {
        buffer_append_octet(buffer, (uint8_t)(*at == '-' ? '_' : toupper((unsigned char)*at)));
    }
    buffer_append_text(buffer, suffix);
    buffer_append_octet(buffer, '=');
}

static void append_journal_field(struct buffer *buffer, const struct log_field *field)
{
    struct bytes host;
    struct bytes port;
    switch (field->kind) {
    case LOG_FIELD_WORD:
        append_journal_key(buffer, field->key, "");
        buffer_append(buffer, field->text);
        break;
    case LOG_FIELD_NAME:
    case LOG_FIELD_QUOTED:
        append_journal_key(buffer, field->key, "");
        append_escaped(buffer, field->text, 271);
        break;
    case LOG_FIELD_ADDRESS:
        split_address(field->text, &host, &port);
        append_journal_key(buffer, field->key, "");
        buffer_append(buffer, host);
        buffer_append_octet(buffer, '\n');
        append_journal_key(buffer, "port", "");
        buffer_append(buffer, port);
        break;
    case LOG_FIELD_NUMBER:
        append_journal_key(buffer, field->key, "");
        buffer_append_number(buffer, field->number);
        break;
    case LOG_FIELD_DURATION:
        append_journal_key(buffer, field->key, "");
        append_duration(buffer, field->number);
        break;
    case LOG_FIELD_COUNTED:
        append_journal_key(buffer, field->key, "_MESSAGES");
        buffer_append_number(buffer, field->number);
        buffer_append_octet(buffer, '\n');
        append_journal_key(buffer, field->key, "_OCTETS");
        buffer_append_number(buffer, field->octets);
        break;
    }
    buffer_append_octet(buffer, '\n');
}

/* systemd's native protocol: KEY=VALUE lines in one datagram. No value of ours has a line end in it. */
static void append_journal(struct buffer *buffer, const struct log_line *line)
{
    buffer_append_text(buffer, "PRIORITY=");
    buffer_append_number(buffer, priority(line->level));
    buffer_append_text(buffer, "\nSYSLOG_FACILITY=2\nSYSLOG_IDENTIFIER=");
    buffer_append_text(buffer, line->process);
    buffer_append_text(buffer, "\nSYSLOG_PID=");
    buffer_append_number(buffer, (uint64_t)line->process_id);
    buffer_append_text(buffer, "\nMESSAGE=");
    append_content(buffer, line);
    buffer_append_octet(buffer, '\n');
    if (line->event != NULL) {
        append_journal_key(buffer, "event", "");
        buffer_append_text(buffer, line->event);
        buffer_append_octet(buffer, '\n');
    }
    for (size_t i = 0; i < line->field_count; i++) {
        size_t before = buffer->written;
        append_journal_field(buffer, &line->fields[i]);
        if (!keep(buffer, before)) {
            return;
        }
    }
}

void log_line_make(const struct log_line *line, const struct log_output *output,
                   struct buffer *buffer)
{
    switch (output->target) {
    case LOG_TARGET_STREAM:
        append_stream(buffer, line, output->format);
        return;
    case LOG_TARGET_SYSLOG:
        append_syslog(buffer, line, output->format);
        return;
    case LOG_TARGET_JOURNAL:
        append_journal(buffer, line);
        return;
    }
}
