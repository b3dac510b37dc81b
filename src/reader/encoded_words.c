/* SPDX-License-Identifier: MIT */
/* Encoded words in base64 that were cut in the middle of a character. */
#include "reader/encoded_words.h"

#include <glib.h>
#include <stdbool.h>
#include <string.h>

/* =?CHARSET?B?TEXT?= */
struct word {
    const char *charset, *text, *end; /* `end`: behind the word */
    size_t charset_size, text_size;
};

static bool read_word(const char *at, struct word *word_out)
{
    static const char base64[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=";
    if (strncmp(at, "=?", 2) != 0) {
        return false;
    }
    word_out->charset = at + 2;
    word_out->charset_size = strcspn(word_out->charset, "? \t=<>\"");
    const char *encoding = word_out->charset + word_out->charset_size;
    if (word_out->charset_size == 0 ||
        (strncmp(encoding, "?B?", 3) != 0 && strncmp(encoding, "?b?", 3) != 0)) {
        return false;
    }
    word_out->text = encoding + 3;
    word_out->text_size = strspn(word_out->text, base64);
    word_out->end = word_out->text + word_out->text_size + 2;
    return strncmp(word_out->text + word_out->text_size, "?=", 2) == 0;
}

static void append_octets(GByteArray *octets, const struct word *word)
{
    g_autofree char *text = g_strndup(word->text, word->text_size);
    gsize size;
    g_autofree guchar *decoded = g_base64_decode(text, &size);
    (void)g_byte_array_append(octets, decoded, (guint)size);
}

static bool is_same_charset(const struct word *a, const struct word *b)
{
    return a->charset_size == b->charset_size &&
           g_ascii_strncasecmp(a->charset, b->charset, a->charset_size) == 0;
}

/* Appends the words that begin here as one; where they end. */
static const char *append_words(GString *out, const struct word *first)
{
    GByteArray *octets = g_byte_array_new();
    struct word last = *first;
    struct word next;
    append_octets(octets, first);
    while (read_word(last.end + strspn(last.end, " \t\r\n"), &next) &&
           is_same_charset(first, &next)) {
        append_octets(octets, &next);
        last = next;
    }
    g_autofree char *text = g_base64_encode(octets->data, octets->len);
    g_string_append_printf(out, "=?%.*s?B?%s?=", (int)first->charset_size, first->charset, text);
    (void)g_byte_array_unref(octets);
    return last.end;
}

char *encoded_words_join(const char *value)
{
    GString *out = g_string_new(NULL);
    while (*value != '\0') {
        struct word word;
        if (read_word(value, &word)) {
            value = append_words(out, &word);
        } else {
            (void)g_string_append_c(out, *value);
            value++;
        }
    }
    return g_string_free(out, FALSE);
}
