/* SPDX-License-Identifier: MIT */
/* From stored octets to the lines of a multi-line response, at memory speed, and the count of them.
 *
 * The sender and the counter are one function, `convert`, with and without a place to write to: LIST and
 * RETR cannot differ. LF and CR LF are line ends and go out as CR LF. A bare CR goes out as it is, except
 * before a dot: there a reader that takes a bare CR for a line end would see a line that begins with that
 * dot, perhaps a terminator, so the CR becomes CR LF and the dot is doubled. NUL is an octet like others.
 * RFC 1939 sections 3, 7 (TOP) and 11. */
#include "pop3/multiline.h"

#include <pop3/server.h>

#include <assert.h>

#include "pop3/stretch.h"

/* The zero is a message's beginning: pop3_octet_count begins zeroed. */
enum line {
    LINE_START,    /* nothing of this line has been sent */
    LINE_INSIDE,   /* something has */
    LINE_START_CR, /* nothing but one CR has */
    LINE_INSIDE_CR /* something has, the last octet is a CR */
};

enum { COUNT_BLOCK = 128 }; /* so many ends fit an octet */

struct place {
    uint8_t *next; /* NULL: count only */
    size_t room;
};

/* A line end has been sent. True if that was the last one that TOP wants. */
static bool end_line(struct multiline *message, bool was_blank)
{
    message->line = LINE_START;
    if (!message->top) {
        return false;
    }
    if (message->body) {
        message->lines--;
    } else if (was_blank) {
        message->body = true;
    }
    message->enough = message->body && message->lines == 0;
    return message->enough;
}

static inline void put(struct place *place, const void *octets, size_t size)
{
    if (place->next != NULL) {
        memcpy(place->next, octets, size);
        place->next += size;
        place->room -= size;
    }
}

static inline void put_at(const struct place *place, size_t offset, const void *octets, size_t size)
{
    if (place->next != NULL) {
        memcpy(place->next + offset, octets, size);
    }
}

/* The next octet, which follows a CR or stands at a line's start. Returns how many octets were taken:
 * 0 if it is an ordinary one now. */
static inline size_t convert_one(struct multiline *message, struct place *place, uint8_t octet)
{
    bool after_cr = message->line == LINE_START_CR || message->line == LINE_INSIDE_CR;
    if (after_cr && (octet == '\n' || octet == '.')) {
        put(place, "\n", 1);
        message->octets++;
        if (end_line(message, message->line == LINE_START_CR)) {
            return octet == '\n' ? 1 : 0;
        }
        if (octet == '\n') {
            return 1;
        }
    }
    if (message->line == LINE_START && octet == '.') {
        put(place, "..", 2);
        message->octets++;
        message->line = LINE_INSIDE;
        return 1;
    }
    if (after_cr) {
        message->line = LINE_INSIDE;
    }
    return 0;
}

/* `size` ordinary octets went out; `stop` is the LF or CR behind them, or 0. */
static inline void end_stretch(struct multiline *message, struct place *place, size_t size,
                               uint8_t stop)
{
    message->octets += size;
    bool blank = size == 0 && message->line == LINE_START;
    if (stop == 0) {
        message->line = size == 0 ? message->line : LINE_INSIDE;
        return;
    }
    if (stop == '\r') {
        put(place, "\r", 1);
        message->octets++;
        message->line = blank ? LINE_START_CR : LINE_INSIDE_CR;
        return;
    }
    put(place, "\r\n", 2);
    message->octets += 2;
    (void)end_line(message, blank);
}

/* An ordinary stretch and the octet that ends it; returns how many were taken. */
static inline size_t convert_stretch(struct multiline *message, struct place *place,
                                     const uint8_t *from, size_t size)
{
    if (place->next != NULL && size > place->room - 2) {
        size = place->room - 2; /* a piece of the line, its end has no room now */
    }
    size_t length = stretch(place->next, from, size);
    if (place->next != NULL) {
        place->next += length;
        place->room -= length;
    }
    size_t ended = length < size;
    end_stretch(message, place, length, ended ? from[length] : 0);
    return length + ended;
}

/* Whole lines of a message that is sent whole, as most are: one turn a line. It leaves off before a bare CR, and
 * near the end of the octets and of the room, where `convert` looks closer. Returns how many were taken. */
static inline size_t convert_lines(struct multiline *message, struct place *place,
                                   const uint8_t *data, size_t size)
{
    bool counts = place->next == NULL;
    size_t at = 0;
    size_t made = 0; /* octets sent, as many as were taken and these: */
    size_t doubled = 0;
    bool start = message->line == LINE_START;
    for (;;) {
        size_t left = size - at;
        size_t room = counts ? left : place->room - made;
        size_t most = left < room ? left : room;
        if (most < 2 * STRETCH_BLOCK) {
            break;
        }
        most -= STRETCH_BLOCK; /* where the last block begins: the rest is for its end, and a dot */
        if (start && data[at] == '.') {
            put_at(place, made, ".", 1);
            made++;
            doubled++;
        }
        size_t length =
            stretch_blocks(counts ? NULL : place->next + made, data + at, most - STRETCH_BLOCK);
        at += length;
        made += length;
        start = start && length == 0;
        bool is_lf = data[at] == '\n';
        if (is_lf || (data[at] == '\r' && data[at + 1] == '\n')) {
            put_at(place, made, "\r\n", 2);
            made += 2;
            at += is_lf ? 1 : 2;
            start = true;
        } else if (data[at] == '\r') {
            break;
        }
    }
    message->line = start ? LINE_START : LINE_INSIDE;
    message->octets += made - doubled;
    if (!counts) {
        place->next += made;
        place->room -= made;
    }
    return at;
}

static inline size_t convert(struct multiline *message, struct place *place, const uint8_t *data,
                             size_t size)
{
    size_t at = 0;
    while (at < size && !message->enough && (place->next == NULL || place->room >= 3)) {
        size_t taken = 0;
        if (!message->top && (message->line == LINE_START || message->line == LINE_INSIDE)) {
            at += convert_lines(message, place, data + at, size - at);
        }
        if (message->line != LINE_INSIDE) {
            taken = convert_one(message, place, data[at]);
        }
        if (taken == 0 && !message->enough) {
            taken = convert_stretch(message, place, data + at, size - at);
        }
        at += taken;
    }
    return at;
}

void multiline_begin_top(struct multiline *message, uint64_t lines)
{
    *message = (struct multiline){.top = true, .lines = lines};
}

size_t multiline_feed(struct multiline *message, struct buffer *out, struct bytes stored)
{
    size_t room = buffer_room(out);
    if (room <= MULTILINE_RESERVE_OCTETS || message->enough) {
        return 0;
    }
    room -= MULTILINE_RESERVE_OCTETS;
    struct place place = {.next = out->data + out->written, .room = room};
    /* No octet becomes less than one: what exceeds the room need not be searched. */
    size_t size = stored.size < room ? stored.size : room;
    size_t taken = convert(message, &place, stored.data, size);
    out->written += room - place.room;
    return taken;
}

void multiline_end(struct multiline *message, struct buffer *out)
{
    assert(buffer_room(out) >= MULTILINE_RESERVE_OCTETS);
    if (message->line != LINE_START) {
        buffer_append_text(out, "\r\n");
        message->octets += 2;
        (void)end_line(message, false); /* a lone CR before it is no blank line: it went out */
    }
    if (message->top && !message->body && message->lines == 0) {
        buffer_append_text(out, "\r\n"); /* TOP n 0 of a message that has no blank line */
        message->octets += 2;
    }
    buffer_append_text(out, ".\r\n");
}

/* Where there is no CR, only LFs have to be counted: each is sent as two octets, and a dot that is doubled does not
 * count. The loop over a block is one that compilers make vectors of. Leaves off at a block with a CR. */
static size_t count_blocks(struct multiline *message, const uint8_t *data, size_t size)
{
    size_t at = 0;
    for (; size - at >= COUNT_BLOCK; at += COUNT_BLOCK) {
        uint8_t line_feeds = 0;
        uint8_t returns = 0;
        for (size_t i = 0; i < COUNT_BLOCK; i++) {
            line_feeds = (uint8_t)(line_feeds + (data[at + i] == '\n'));
            returns |= data[at + i] == '\r';
        }
        if (returns != 0) {
            break;
        }
        message->octets += COUNT_BLOCK + (uint64_t)line_feeds;
    }
    if (at != 0) {
        message->line = data[at - 1] == '\n' ? LINE_START : LINE_INSIDE;
    }
    return at;
}

void pop3_octet_count_feed(struct pop3_octet_count *count, const void *data, size_t size)
{
    struct multiline message = {.octets = count->octets, .line = count->state};
    struct place nowhere = {0};
    if (size == 0) {
        return;
    }
    bool after_cr = message.line == LINE_START_CR || message.line == LINE_INSIDE_CR;
    size_t counted = after_cr ? 0 : count_blocks(&message, data, size);
    (void)convert(&message, &nowhere, (const uint8_t *)data + counted, size - counted);
    count->octets = message.octets;
    count->state = message.line;
}

uint64_t pop3_octet_count_end(const struct pop3_octet_count *count)
{
    return count->octets + (count->state == LINE_START ? 0 : 2);
}
