/* SPDX-License-Identifier: MIT */
/* Text of strangers on a terminal: nothing of it may be a command to that terminal, and columns must be
 * right. One list of what is harmful serves everything that is shown. */
#include "reader/text.h"

#include <errno.h>
#include <iconv.h>
#include <string.h>
#include <wchar.h>

enum { REPLACEMENT = 0xFFFD, ELLIPSIS = 0x2026, COMBINING_MOST = 4 };

static bool is_overlong_or_surrogate(uint32_t code, size_t length)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    return code < least[length] || code > 0x10FFFF || (code >= 0xD800 && code <= 0xDFFF);
}

/* How many octets a character has that begins so; 0: none begins so. */
static size_t sequence_length(uint8_t first)
{
    if (first < 0x80) {
        return 1;
    }
    return first < 0xC2 ? 0 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : first < 0xF5 ? 4 : 0;
}

size_t text_decode(struct bytes octets, uint32_t *code_out)
{
    uint8_t first = octets.data[0];
    size_t length = sequence_length(first);
    *code_out = REPLACEMENT;
    if (length == 1) {
        *code_out = first;
    }
    if (length <= 1 || length > octets.size) {
        return 1;
    }
    uint32_t code = first & (0xFFU >> (length + 1));
    for (size_t i = 1; i < length; i++) {
        if ((octets.data[i] & 0xC0) != 0x80) {
            return 1;
        }
        code = code << 6 | (octets.data[i] & 0x3FU);
    }
    if (is_overlong_or_surrogate(code, length)) {
        return 1;
    }
    *code_out = code;
    return length;
}

static bool is_bidirectional_control(uint32_t code)
{
    return (code >= 0x202A && code <= 0x202E) || (code >= 0x2066 && code <= 0x2069);
}

static uint32_t harmless(uint32_t code, enum text_mode mode)
{
    if (code == '\n' || code == '\t') {
        return mode == TEXT_BODY ? code : ' ';
    }
    if (code < 0x20) {
        return 0x2400 + code;
    }
    if (code == 0x7F) {
        return 0x2421;
    }
    if (code == 0x2028 || code == 0x2029) {
        return mode == TEXT_BODY ? '\n' : ' ';
    }
    /* Annotations hide text, tags are invisible letters. */
    if ((code >= 0x80 && code <= 0x9F) || is_bidirectional_control(code) ||
        (code >= 0xFFF9 && code <= 0xFFFB) || (code >= 0xE0000 && code <= 0xE007F)) {
        return REPLACEMENT;
    }
    return code;
}

/* May these octets, which end too early, be the beginning of a character? */
static bool is_beginning(struct bytes octets)
{
    size_t length = sequence_length(octets.data[0]);
    if (octets.data[0] == '\r' && octets.size == 1) {
        return true;
    }
    if (length <= octets.size) {
        return false;
    }
    for (size_t i = 1; i < octets.size; i++) {
        if ((octets.data[i] & 0xC0) != 0x80) {
            return false;
        }
    }
    return true;
}

size_t text_append_piece(GString *out, struct bytes octets, enum text_mode mode, bool is_last)
{
    size_t at = 0;
    while (at < octets.size) {
        struct bytes rest = bytes_from(octets, at);
        uint32_t code;
        if (!is_last && rest.size < 4 && is_beginning(rest)) {
            break;
        }
        at += text_decode(rest, &code);
        if (code == '\r' && at < octets.size && octets.data[at] == '\n') {
            continue;
        }
        (void)g_string_append_unichar(out, harmless(code, mode));
    }
    return at;
}

void text_append(GString *out, struct bytes octets, enum text_mode mode)
{
    (void)text_append_piece(out, octets, mode, true);
}

static unsigned columns_of(uint32_t code)
{
    int columns = wcwidth((wchar_t)code);
    /* What the locale cannot show goes out as one '?'. */
    return columns < 0 ? 1 : (unsigned)columns;
}

unsigned text_columns(const char *text)
{
    struct bytes rest = bytes_of(text);
    unsigned columns = 0;
    while (rest.size > 0) {
        uint32_t code;
        rest = bytes_from(rest, text_decode(rest, &code));
        columns += columns_of(code);
    }
    return columns;
}

/* How many octets of `text` fit into `columns`; `used_out`: the columns that they take. */
static size_t fitting_octets(struct bytes text, unsigned columns, unsigned *used_out)
{
    size_t at = 0;
    unsigned used = 0;
    unsigned combining = 0;
    while (at < text.size) {
        uint32_t code;
        size_t length = text_decode(bytes_from(text, at), &code);
        unsigned width = columns_of(code);
        combining = width == 0 ? combining + 1 : 0;
        if (used + width > columns || combining > COMBINING_MOST) {
            break;
        }
        used += width;
        at += length;
    }
    *used_out = used;
    return at;
}

/* Leaves out what makes a tower of one character. */
static void append_combined(GString *out, struct bytes text)
{
    unsigned combining = 0;
    while (text.size > 0) {
        uint32_t code;
        size_t length = text_decode(text, &code);
        combining = columns_of(code) == 0 ? combining + 1 : 0;
        if (combining <= COMBINING_MOST) {
            (void)g_string_append_unichar(out, code);
        }
        text = bytes_from(text, length);
    }
}

void text_append_fitted(GString *out, const char *text, unsigned columns, bool pad)
{
    g_autoptr(GString) combined = g_string_new(NULL);
    append_combined(combined, bytes_of(text));
    struct bytes whole = bytes_of(combined->str);
    unsigned used;
    size_t size = fitting_octets(whole, columns, &used);
    if (size < whole.size && columns > 0) {
        size = fitting_octets(whole, columns - 1, &used);
        (void)g_string_append_len(out, combined->str, (gssize)size);
        (void)g_string_append_unichar(out, ELLIPSIS);
        used++;
    } else {
        (void)g_string_append_len(out, combined->str, (gssize)size);
    }
    while (pad && used < columns) {
        (void)g_string_append_c(out, ' ');
        used++;
    }
}

static char plain(uint32_t code)
{
    if (code >= 0x2010 && code <= 0x2015) {
        return '-';
    }
    if (code == 0x2018 || code == 0x2019) {
        return '\'';
    }
    if (code == 0x201C || code == 0x201D) {
        return '"';
    }
    if (code == 0xA0 || (code >= 0x2000 && code <= 0x200A)) {
        return ' ';
    }
    return code == ELLIPSIS ? '~' : code == 0x2022 ? '*' : '?';
}

static void append_converted(GString *out, iconv_t converter, struct bytes character)
{
    char buffer[32];
    char *from = (char *)(uintptr_t)character.data; /* iconv reads only */
    char *to = buffer;
    size_t left = character.size;
    size_t room = sizeof buffer;
    uint32_t code;
    (void)text_decode(character, &code);
    /* glibc counts what it replaced itself; those are not what was written. */
    if (iconv(converter, &from, &left, &to, &room) != 0 || left > 0) {
        (void)iconv(converter, NULL, NULL, NULL, NULL);
        if (columns_of(code) > 0) {
            (void)g_string_append_c(out, plain(code));
        }
        return;
    }
    (void)g_string_append_len(out, buffer, (gssize)(sizeof buffer - room));
}

GString *text_to_codeset(const GString *text, const char *codeset)
{
    if (strcmp(codeset, "UTF-8") == 0) {
        return g_string_new_len(text->str, (gssize)text->len);
    }
    GString *out = g_string_sized_new(text->len);
    iconv_t converter = iconv_open(codeset, "UTF-8");
    bool is_open = converter != (iconv_t)-1;
    struct bytes rest = {.data = (const uint8_t *)text->str, .size = text->len};
    while (rest.size > 0) {
        uint32_t code;
        size_t length = text_decode(rest, &code);
        if (code < 0x80) {
            (void)g_string_append_c(out, (char)code);
        } else if (is_open) {
            append_converted(out, converter, (struct bytes){.data = rest.data, .size = length});
        } else {
            (void)g_string_append_c(out, plain(code));
        }
        rest = bytes_from(rest, length);
    }
    if (is_open) {
        (void)iconv_close(converter); /* fails for no open one only */
    }
    return out;
}

void text_append_json(GString *out, struct bytes text)
{
    (void)g_string_append_c(out, '"');
    while (text.size > 0) {
        uint32_t code;
        text = bytes_from(text, text_decode(text, &code));
        if (code == '"' || code == '\\') {
            g_string_append_printf(out, "\\%c", (char)code);
        } else if (code >= 0x20 && code < 0x7F) {
            (void)g_string_append_c(out, (char)code);
        } else if (code < 0x10000) {
            g_string_append_printf(out, "\\u%04x", code);
        } else {
            code -= 0x10000;
            g_string_append_printf(out, "\\u%04x\\u%04x", 0xD800U + (code >> 10),
                                   0xDC00U + (code & 0x3FFU));
        }
    }
    (void)g_string_append_c(out, '"');
}

void text_append_size(GString *out, uint64_t octets)
{
    static const char units[] = "KMGTPE";
    if (octets < 1024) {
        g_string_append_printf(out, "%u", (unsigned)octets);
        return;
    }
    size_t unit = 0;
    /* Tenths, rounded up, so that a size is never shown as less than it is. */
    while (octets >= UINT64_C(1024) * 1024 && unit < sizeof units - 2) {
        octets = octets / 1024 + (octets % 1024 != 0);
        unit++;
    }
    uint64_t tenths = (octets * 10 + 1023) / 1024;
    if (tenths < 100) {
        g_string_append_printf(out, "%u.%u%c", (unsigned)(tenths / 10), (unsigned)(tenths % 10),
                               units[unit]);
    } else {
        g_string_append_printf(out, "%u%c", (unsigned)((tenths + 9) / 10), units[unit]);
    }
}
