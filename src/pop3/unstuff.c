/* SPDX-License-Identifier: MIT */
/* The octets of a message go through untouched and uncopied, in pieces that end where a dot is taken out.
 * What is searched for is the dot, not the line end: most octets of most mail are base64, which has none. */
#include "pop3/unstuff.h"

/* Does a line begin at `index`, given what was before the input? */
static bool is_line_start(enum unstuff before, struct bytes input, size_t index)
{
    if (index >= 2) {
        return input.data[index - 1] == '\n' && input.data[index - 2] == '\r';
    }
    if (index == 1) {
        return input.data[0] == '\n' && before == UNSTUFF_CR;
    }
    return before == UNSTUFF_LINE_START;
}

static enum unstuff state_after(enum unstuff before, struct bytes input)
{
    if (input.data[input.size - 1] == '\r') {
        return UNSTUFF_CR;
    }
    return is_line_start(before, input, input.size) ? UNSTUFF_LINE_START : UNSTUFF_INSIDE;
}

/* From LINE_START, INSIDE or CR: up to a dot that begins a line, which is taken too, or to the end. */
static size_t take_piece(enum unstuff *state, struct bytes input, struct bytes *piece)
{
    size_t index = bytes_find(input, '.');
    while (index < input.size && !is_line_start(*state, input, index)) {
        index += 1 + bytes_find(bytes_from(input, index + 1), '.');
    }
    *piece = (struct bytes){.data = input.data, .size = index};
    if (index < input.size) {
        *state = UNSTUFF_DOT;
        return index + 1;
    }
    *state = state_after(*state, input);
    return index;
}

size_t unstuff(enum unstuff *state, struct bytes input, struct bytes *piece)
{
    *piece = (struct bytes){0};
    if (input.size == 0) {
        return 0;
    }
    switch (*state) {
    case UNSTUFF_DOT:
        if (input.data[0] == '\r') {
            *state = UNSTUFF_DOT_CR;
            return 1;
        }
        *state = UNSTUFF_INSIDE;
        break;
    case UNSTUFF_DOT_CR:
        if (input.data[0] == '\n') {
            *state = UNSTUFF_END;
            return 1;
        }
        *state = UNSTUFF_CR;
        *piece = bytes_of("\r");
        return 0;
    case UNSTUFF_END:
        return 0;
    case UNSTUFF_LINE_START:
    case UNSTUFF_INSIDE:
    case UNSTUFF_CR:
        break;
    }
    return take_piece(state, input, piece);
}
