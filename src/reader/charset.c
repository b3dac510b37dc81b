/* SPDX-License-Identifier: MIT */
/* Charsets of mail, by iconv under the names that mail uses for them. */
#include "reader/charset.h"

#include <errno.h>
#include <gmime/gmime.h>
#include <iconv.h>
#include <string.h>

enum { NAME_MOST = 40 };

/* Names that iconv may see: no slash, which glibc takes for the beginning of a suffix. */
static bool is_name(const char *name)
{
    static const char letters[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.:+()";
    size_t size = strlen(name);
    return size > 0 && size <= NAME_MOST && strspn(name, letters) == size;
}

/* What is meant, where more is sent than the name allows (as web browsers take it too). */
static const char *meant(const char *name)
{
    static const struct {
        const char *said, *meant;
    } names[] = {{"iso-8859-1", "windows-1252"},
                 {"iso8859-1", "windows-1252"},
                 {"latin1", "windows-1252"},
                 {"gb2312", "gb18030"},
                 {"gbk", "gb18030"},
                 {"x-gbk", "gb18030"},
                 {"ks_c_5601-1987", "cp949"},
                 {"euc-kr", "cp949"},
                 {"shift_jis", "cp932"},
                 {"iso-8859-9", "windows-1254"},
                 {"iso-8859-11", "cp874"},
                 {"tis-620", "cp874"},
                 {"iso-8859-8-i", "iso-8859-8"},
                 {"unicode-1-1-utf-7", "utf-7"}};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (g_ascii_strcasecmp(name, names[i].said) == 0) {
            return names[i].meant;
        }
    }
    return name;
}

static bool is_utf8_or_ascii(const char *name)
{
    static const char *const names[] = {"utf-8", "utf8", "us-ascii", "ascii", "ansi_x3.4-1968"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (g_ascii_strcasecmp(name, names[i]) == 0) {
            return true;
        }
    }
    return false;
}

static iconv_t open_converter(const char *name)
{
    iconv_t converter = (iconv_t)-1;
    if (is_name(name)) {
        const char *known = g_mime_charset_iconv_name(meant(name));
        converter = iconv_open("UTF-8", known);
        if (converter == (iconv_t)-1) {
            converter = iconv_open("UTF-8", meant(name));
        }
    }
    return converter;
}

static void convert(GString *out, struct bytes octets, iconv_t converter)
{
    char buffer[4096];
    char *from = (char *)(uintptr_t)octets.data; /* iconv reads only */
    size_t left = octets.size;
    while (left > 0) {
        char *to = buffer;
        size_t room = sizeof buffer;
        size_t result = iconv(converter, &from, &left, &to, &room);
        bool is_stuck = result == (size_t)-1 && errno != E2BIG;
        (void)g_string_append_len(out, buffer, (gssize)(sizeof buffer - room));
        if (is_stuck || (left > 0 && room == sizeof buffer)) {
            (void)g_string_append_unichar(out, 0xFFFD);
            from++;
            left--;
        }
    }
}

void charset_append(GString *out, struct bytes octets, const char *charset)
{
    iconv_t converter = (iconv_t)-1;
    if (octets.size == 0) {
        return;
    }
    bool is_plain = charset == NULL || is_utf8_or_ascii(charset);
    bool is_utf8 = charset != NULL && g_ascii_strncasecmp(charset, "utf", 3) == 0 && is_plain;
    if (!is_plain) {
        converter = open_converter(charset);
    }
    if (converter == (iconv_t)-1 && !is_utf8 &&
        !g_utf8_validate_len((const char *)octets.data, octets.size, NULL)) {
        converter = open_converter("windows-1252");
    }
    if (converter == (iconv_t)-1) {
        (void)g_string_append_len(out, (const char *)octets.data, (gssize)octets.size);
        return;
    }
    convert(out, octets, converter);
    (void)iconv_close(converter); /* fails for no open one only */
}
