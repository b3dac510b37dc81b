/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_BASE_INI_LINES_H
#define RESTANTE_BASE_INI_LINES_H

#include "base/bytes.h"

/* Gives the lines of an INI file to inih, counts them, and refuses what inih would silently misread: lines
 * over its limit, NUL octets, continuation lines. */
struct ini_lines {
    struct bytes rest;
    unsigned line; /* of what was given last */
    /* What is wrong with line `line` and what to write instead; the line is given as an empty one. */
    void (*mistake)(struct ini_lines *lines, const char *text);
};

/* As fgets: the function and, as `stream`, the struct ini_lines for ini_parse_stream. */
char *ini_lines_read(char *out, int capacity, void *stream);

#endif
