/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_READER_ENCODED_WORDS_H
#define RESTANTE_READER_ENCODED_WORDS_H

/* A copy of a header value in which neighbours among the encoded words of RFC 2047 that are in one charset and
 * in base64 are one word: many programs split a character over two, each of which has its own padding, and
 * GMime decodes each for itself. g_free. */
char *encoded_words_join(const char *value);

#endif
