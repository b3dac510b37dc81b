/* SPDX-License-Identifier: MIT */
#include "imap/date.h"

#include <stdio.h>
#include <time.h>

#include "base/number.h"

enum { TOKENS = 16 };

static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";

static bool is_blank(uint8_t octet)
{
    return octet == ' ' || octet == '\t' || octet == '\r' || octet == '\n' || octet == ',';
}

/* Words and numbers; blanks, commas and comments are between them, and a colon is a word. */
static size_t split(struct bytes text, struct bytes tokens[TOKENS])
{
    size_t count = 0;
    unsigned depth = 0;
    for (size_t i = 0; i < text.size && count < TOKENS;) {
        uint8_t octet = text.data[i];
        depth += octet == '(';
        if (depth > 0 || is_blank(octet)) {
            depth -= octet == ')' && depth > 0;
            i++;
            continue;
        }
        size_t begin = i++;
        while (octet != ':' && i < text.size && !is_blank(text.data[i]) && text.data[i] != ':' &&
               text.data[i] != '(') {
            i++;
        }
        tokens[count++] = (struct bytes){text.data + begin, i - begin};
    }
    return count;
}

static int month_of(struct bytes word)
{
    for (int i = 0; i < 12 && word.size == 3; i++) {
        struct bytes name = {(const uint8_t *)months + (size_t)i * 3, 3};
        if (bytes_equal_ignoring_case(word, name)) {
            return i;
        }
    }
    return -1;
}

static int take_number(struct bytes text, uint64_t most, int *out)
{
    uint64_t number = 0;
    if (number_parse(text, most, &number) < 0) {
        return -1;
    }
    *out = (int)number;
    return 0;
}

/* RFC 5322 section 4.3: two digits below 50 are of this century, three count from 1900. */
static int take_year(struct bytes text, int *out)
{
    if (take_number(text, 9999, out) < 0) {
        return -1;
    }
    if (text.size == 2 && *out < 50) {
        *out += 2000;
    } else if (text.size < 4) {
        *out += 1900;
    }
    return *out < 1970 ? -1 : 0;
}

/* Names that say nothing are UTC: RFC 5322 section 4.3. */
static int zone_of(struct bytes word)
{
    static const struct {
        const char *name;
        int hours;
    } zones[] = {{"EDT", -4}, {"EST", -5}, {"CDT", -5}, {"CST", -6},
                 {"MDT", -6}, {"MST", -7}, {"PDT", -7}, {"PST", -8}};
    int digits = 0;
    if (word.size == 5 && (word.data[0] == '+' || word.data[0] == '-') &&
        take_number(bytes_from(word, 1), 9999, &digits) == 0 && digits % 100 < 60 &&
        digits / 100 < 24) {
        int minutes = digits / 100 * 60 + digits % 100;
        return word.data[0] == '-' ? -minutes : minutes;
    }
    for (size_t i = 0; i < sizeof zones / sizeof *zones; i++) {
        if (bytes_equal_ignoring_case(word, bytes_of(zones[i].name))) {
            return zones[i].hours * 60;
        }
    }
    return 0;
}

static bool is_colon(const struct bytes *tokens, size_t count, size_t at)
{
    return at < count && tokens[at].size == 1 && tokens[at].data[0] == ':';
}

/* From the day of the month on. */
static int take_tokens(const struct bytes *tokens, size_t count, struct imap_date *date_out)
{
    struct tm parts = {0};
    int year = 0;
    size_t at = 6;
    if (count < 6 || take_number(tokens[0], 31, &parts.tm_mday) < 0 || parts.tm_mday == 0 ||
        (parts.tm_mon = month_of(tokens[1])) < 0 || take_year(tokens[2], &year) < 0 ||
        take_number(tokens[3], 23, &parts.tm_hour) < 0 || !is_colon(tokens, count, 4) ||
        take_number(tokens[5], 59, &parts.tm_min) < 0) {
        return -1;
    }
    if (is_colon(tokens, count, at)) {
        if (count < 8 || take_number(tokens[7], 60, &parts.tm_sec) < 0) {
            return -1;
        }
        at = 8;
    }
    parts.tm_year = year - 1900;
    date_out->zone_minutes = at < count ? zone_of(tokens[at]) : 0;
    date_out->seconds = (int64_t)timegm(&parts) - (int64_t)date_out->zone_minutes * 60;
    return date_out->seconds < 0 ? -1 : 0;
}

int imap_date_parse(struct bytes text, struct imap_date *date_out)
{
    struct bytes tokens[TOKENS];
    size_t count = split(text, tokens);
    /* the day of the week may be missing, and is not looked at */
    bool has_day = count > 0 && tokens[0].data[0] > '9';
    return take_tokens(tokens + has_day, count - has_day, date_out);
}

struct bytes imap_header_field(struct bytes header, const char *name)
{
    size_t size = strlen(name);
    while (header.size > 0 && header.data[0] != '\r' && header.data[0] != '\n') {
        size_t end = bytes_find(header, '\n') + 1;
        while (end < header.size && (header.data[end] == ' ' || header.data[end] == '\t')) {
            end += bytes_find(bytes_from(header, end), '\n') + 1;
        }
        end = end < header.size ? end : header.size;
        if (end > size && header.data[size] == ':' &&
            bytes_equal_ignoring_case((struct bytes){header.data, size}, bytes_of(name))) {
            return (struct bytes){header.data + size + 1, end - size - 1};
        }
        header = bytes_from(header, end);
    }
    return (struct bytes){0};
}

int imap_date_of_header(struct bytes header, struct imap_date *date_out)
{
    struct bytes received = imap_header_field(header, "Received");
    size_t at = received.size;
    while (at > 0 && received.data[at - 1] != ';') {
        at--;
    }
    if (at > 0 && imap_date_parse(bytes_from(received, at), date_out) == 0) {
        return 0;
    }
    return imap_date_parse(imap_header_field(header, "Date"), date_out);
}

void imap_date_write(const struct imap_date *date, char out[IMAP_DATE_OCTETS])
{
    int zone = date->zone_minutes < 0 ? -date->zone_minutes : date->zone_minutes;
    time_t local = (time_t)(date->seconds + (int64_t)date->zone_minutes * 60);
    struct tm parts;
    char text[96];
    if (gmtime_r(&local, &parts) == NULL || parts.tm_year > 9999 - 1900) {
        memset(&parts, 0, sizeof parts);
        parts.tm_mday = 1;
        parts.tm_year = 70;
    }
    (void)snprintf(text, sizeof text, "%2d-%.3s-%04d %02d:%02d:%02d %c%02d%02d", parts.tm_mday,
                   months + (size_t)parts.tm_mon * 3, parts.tm_year + 1900, parts.tm_hour,
                   parts.tm_min, parts.tm_sec, date->zone_minutes < 0 ? '-' : '+', zone / 60,
                   zone % 60);
    (void)snprintf(out, IMAP_DATE_OCTETS, "%.31s", text);
}
