/* SPDX-License-Identifier: MIT */
#include "base/ini_lines.h"

#include <stdio.h>

static bool is_blank(struct bytes line)
{
    for (size_t i = 0; i < line.size; i++) {
        if (line.data[i] == '\0' || strchr(" \t\r", line.data[i]) == NULL) {
            return false;
        }
    }
    return true;
}

char *ini_lines_read(char *out, int capacity, void *stream)
{
    struct ini_lines *lines = stream;
    if (lines->rest.size == 0) {
        return NULL;
    }
    struct bytes line = {.data = lines->rest.data, .size = bytes_find(lines->rest, '\n')};
    lines->rest = bytes_from(lines->rest, line.size + 1);
    lines->line++;
    if (line.size + 3 > (size_t)capacity) {
        char text[64];
        (void)snprintf(text, sizeof text, "the line is too long; write at most %d octets",
                       capacity - 3);
        lines->mistake(lines, text);
        line.size = 0;
    } else if (bytes_find(line, '\0') < line.size) {
        lines->mistake(lines, "the line contains a NUL octet; write plain text");
        line.size = 0;
    } else if (!is_blank(line) && (line.data[0] == ' ' || line.data[0] == '\t')) {
        lines->mistake(lines, "the line is indented; begin it in the first column");
        line.size = 0;
    }
    if (line.size != 0) {
        memcpy(out, line.data, line.size);
    }
    out[line.size] = '\n';
    out[line.size + 1] = '\0';
    return out;
}
