/* SPDX-License-Identifier: MIT */
/* What an attachment may be called on this machine. */
#include "reader/file_name.h"

#include <string.h>

#include "reader/bounds.h"
#include "reader/text.h"

enum { EXTENSION_OCTETS = 16 };

/* After the last slash of either kind: names of other systems' folders are no names of files. */
static const char *last_part(const char *said)
{
    const char *part = said;
    for (const char *at = said; *at != '\0'; at++) {
        if (*at == '/' || *at == '\\') {
            part = at + 1;
        }
    }
    return part;
}

/* What is no text, and what shells and file systems elsewhere take for something else. */
static bool is_unwanted(uint32_t code)
{
    return code < 0x20 || code == 0x7F || code == 0xFFFD ||
           (code < 0x80 && strchr("\"'*:<>?\\/|`$;&!", (int)code) != NULL) ||
           (code >= 0x2400 && code <= 0x2421) || g_unichar_iszerowidth(code);
}

static void append_clean(GString *out, const char *text)
{
    g_autoptr(GString) harmless = g_string_new(NULL);
    text_append(harmless, bytes_of(text), TEXT_LINE);
    struct bytes rest = {.data = (const uint8_t *)harmless->str, .size = harmless->len};
    while (rest.size > 0) {
        uint32_t code;
        rest = bytes_from(rest, text_decode(rest, &code));
        bool is_mark = code > 0x7F && g_unichar_ismark(code);
        (void)g_string_append_unichar(out, is_unwanted(code) && !is_mark ? '_' : code);
    }
}

/* Where the extension begins; the end of the name if it has none that is worth keeping. */
static size_t extension_at(const char *name)
{
    size_t size = strlen(name);
    const char *dot = strrchr(name, '.');
    if (dot == NULL || dot == name || size - (size_t)(dot - name) > EXTENSION_OCTETS) {
        return size;
    }
    return (size_t)(dot - name);
}

/* Appends `stem`, cut at a character so that `extension` still fits, and `extension`. */
static void append_fitting(GString *out, const char *stem, size_t stem_size, const char *extension)
{
    size_t room = READER_FILE_NAME_OCTETS - strlen(extension);
    if (stem_size > room) {
        stem_size = room;
        while (stem_size > 0 && ((uint8_t)stem[stem_size] & 0xC0) == 0x80) {
            stem_size--;
        }
    }
    (void)g_string_append_len(out, stem, (gssize)stem_size);
    (void)g_string_append(out, extension);
}

void file_name_append(GString *out, const char *said, unsigned number, const char *extension)
{
    g_autoptr(GString) name = g_string_new(NULL);
    append_clean(name, said == NULL ? "" : last_part(said));
    while (name->len > 0 && strchr(" .", name->str[name->len - 1]) != NULL) {
        (void)g_string_truncate(name, name->len - 1);
    }
    size_t skipped = strspn(name->str, ". -");
    const char *begin = name->str + skipped;
    if (*begin == '\0') {
        g_string_append_printf(out, "part-%u%s", number, extension);
        return;
    }
    size_t stem = extension_at(begin);
    append_fitting(out, begin, stem, begin + stem);
}

void file_name_append_attempt(GString *out, const char *name, unsigned attempt)
{
    size_t stem = extension_at(name);
    g_autofree char *end = g_strdup_printf("-%u%s", attempt, name + stem);
    append_fitting(out, name, stem, end);
}
