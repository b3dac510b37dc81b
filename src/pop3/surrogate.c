/* SPDX-License-Identifier: MIT */
/* The surrogate of a message: its lines in turn, each part's header a field at a time, bodies as they are.
 *
 * A line that is a boundary ends whatever is under way (RFC 2046 section 5.1.1); all else of a body goes through.
 * Only a field is kept until it is whole, for what becomes of it depends on all of it. */
#include <pop3/surrogate.h>

#include <assert.h>

#include "pop3/header_field.h"
#include "pop3/surrogate_field.h"

enum { FIELD_OCTETS_MOST = 32768, LEVELS_MOST = 32 };

struct level {
    bool is_digest;
    uint8_t boundary_size;
    uint8_t boundary[CONTENT_BOUNDARY_OCTETS];
};

struct pop3_surrogate {
    enum {
        IN_HEADER,
        IN_LONG_FIELD, /* it goes through: it has more octets than are kept, ASCII so far */
        IN_LOST_FIELD, /* it does not */
        IN_BODY
    } place;
    bool line_start;
    bool is_boundary; /* the line under way may be one */
    bool differs;
    bool cut;           /* a long field was cut off within a line */
    bool emitting;      /* `field` is on its way out, through `rewriting` */
    struct bytes piece; /* of that, what is left */
    struct surrogate_field rewriting;
    struct content content; /* of the part whose header this is */
    bool content_said;
    bool is_encoded; /* the part's body is, so there is no message to be seen in it */
    unsigned depth;
    struct level levels[LEVELS_MOST];
    size_t first_line; /* octets of the field's first line, once it is whole; 0: it is not */
    size_t field_size; /* in a body: of a line that may be a boundary */
    uint8_t field[FIELD_OCTETS_MOST];
};

/* Where octets go. */
struct target {
    uint8_t *next;
    size_t room;
};

static void put(struct target *target, struct bytes *octets)
{
    size_t size = octets->size < target->room ? octets->size : target->room;
    if (size != 0) {
        memcpy(target->next, octets->data, size);
        target->next += size;
        target->room -= size;
        *octets = bytes_from(*octets, size);
    }
}

size_t pop3_surrogate_size(void)
{
    return sizeof(struct pop3_surrogate);
}

/* Of a part or message that is of `kind` where it does not say else. */
static void begin_header(struct pop3_surrogate *surrogate, enum content_kind kind)
{
    surrogate->place = IN_HEADER;
    surrogate->content.kind = kind;
    surrogate->content_said = false;
    surrogate->is_encoded = false;
}

struct pop3_surrogate *pop3_surrogate_init(void *memory)
{
    struct pop3_surrogate *surrogate = memory;
    memset(surrogate, 0, offsetof(struct pop3_surrogate, levels));
    surrogate->first_line = surrogate->field_size = 0;
    surrogate->line_start = true;
    begin_header(surrogate, CONTENT_OTHER);
    return surrogate;
}

int pop3_surrogate_differs(const struct pop3_surrogate *surrogate)
{
    return surrogate->differs;
}

/* What the part's header says of its body. */
static void look_at_field(struct pop3_surrogate *surrogate, struct bytes field)
{
    struct bytes name = header_name(field);
    if (bytes_equal_ignoring_case(name, bytes_of("Content-Type")) && !surrogate->content_said) {
        struct content said;
        surrogate->content_said = header_content(header_value(field), &said);
        if (surrogate->content_said) {
            surrogate->content = said;
        }
    } else if (bytes_equal_ignoring_case(name, bytes_of("Content-Transfer-Encoding"))) {
        struct bytes encoding = header_trim(header_value(field));
        surrogate->is_encoded = bytes_equal_ignoring_case(encoding, bytes_of("base64")) ||
                                bytes_equal_ignoring_case(encoding, bytes_of("quoted-printable"));
    }
}

static void begin_body(struct pop3_surrogate *surrogate)
{
    const struct content *content = &surrogate->content;
    if (content->kind == CONTENT_MESSAGE && !surrogate->is_encoded) {
        begin_header(surrogate, CONTENT_OTHER);
        return;
    }
    surrogate->place = IN_BODY;
    bool is_multipart = content->kind == CONTENT_MULTIPART || content->kind == CONTENT_DIGEST;
    if (is_multipart && content->boundary_size != 0 && surrogate->depth < LEVELS_MOST) {
        struct level *level = &surrogate->levels[surrogate->depth++];
        level->is_digest = content->kind == CONTENT_DIGEST;
        level->boundary_size = (uint8_t)content->boundary_size;
        memcpy(level->boundary, content->boundary, content->boundary_size);
    }
}

/* If `line` ends a part: what comes next is another's header, or a body that is nobody's. */
static bool take_boundary(struct pop3_surrogate *surrogate, struct bytes line)
{
    line = header_trim_end(line);
    if (line.size < 3 || line.data[0] != '-' || line.data[1] != '-') {
        return false;
    }
    line = bytes_from(line, 2);
    for (unsigned i = surrogate->depth; i > 0; i--) {
        const struct level *level = &surrogate->levels[i - 1];
        struct bytes rest = bytes_from(line, level->boundary_size);
        bool is_last = bytes_equal(rest, bytes_of("--"));
        if (line.size < level->boundary_size || (rest.size != 0 && !is_last) ||
            memcmp(line.data, level->boundary, level->boundary_size) != 0) {
            continue;
        }
        surrogate->depth = is_last ? i - 1 : i;
        if (is_last) {
            surrogate->place = IN_BODY;
        } else {
            begin_header(surrogate, level->is_digest ? CONTENT_MESSAGE : CONTENT_OTHER);
        }
        return true;
    }
    return false;
}

static void emit_field(struct pop3_surrogate *surrogate)
{
    struct bytes field = {.data = surrogate->field, .size = surrogate->field_size};
    if (surrogate_field_begin(&surrogate->rewriting, field)) {
        surrogate->differs = true;
    }
    surrogate->emitting = true;
    surrogate->piece = (struct bytes){0};
}

/* The field is whole, for a line that does not belong to it comes, or nothing. */
static void end_field(struct pop3_surrogate *surrogate)
{
    look_at_field(surrogate, (struct bytes){surrogate->field, surrogate->field_size});
    emit_field(surrogate);
}

/* A line of the header is whole: is it one that no other belongs to? */
static void end_header_line(struct pop3_surrogate *surrogate)
{
    struct bytes line = {.data = surrogate->field, .size = surrogate->field_size};
    surrogate->line_start = true;
    if (surrogate->first_line != 0) {
        return;
    }
    surrogate->first_line = line.size;
    bool is_blank = line.data[0] == '\n' || (line.size == 2 && line.data[0] == '\r');
    if (is_blank) {
        begin_body(surrogate);
        emit_field(surrogate);
    } else if (take_boundary(surrogate, line)) {
        emit_field(surrogate);
    }
}

/* A field has grown out of its room: it goes through if it may, or is lost from here on. */
static void begin_long_field(struct pop3_surrogate *surrogate)
{
    bool is_ascii = header_is_ascii((struct bytes){surrogate->field, surrogate->field_size});
    surrogate->place = is_ascii ? IN_LONG_FIELD : IN_LOST_FIELD;
    surrogate->cut = false;
    if (is_ascii) {
        emit_field(surrogate);
    } else {
        surrogate->differs = true;
        surrogate->field_size = surrogate->first_line = 0;
    }
}

/* Up to and with the LF. */
static size_t line_size(struct bytes octets)
{
    size_t size = bytes_find(octets, '\n');
    return size < octets.size ? size + 1 : size;
}

static size_t take_header(struct pop3_surrogate *surrogate, struct bytes octets)
{
    bool goes_on = octets.data[0] == ' ' || octets.data[0] == '\t';
    if (surrogate->line_start && surrogate->field_size != 0 && !goes_on) {
        end_field(surrogate);
        return 0;
    }
    size_t room = FIELD_OCTETS_MOST - surrogate->field_size;
    if (room == 0) {
        begin_long_field(surrogate);
        return 0;
    }
    size_t size = line_size(octets);
    size = size < room ? size : room;
    memcpy(surrogate->field + surrogate->field_size, octets.data, size);
    surrogate->field_size += size;
    surrogate->line_start = false;
    if (octets.data[size - 1] == '\n') {
        end_header_line(surrogate);
    }
    return size;
}

/* What was cut off within a line gets an octet there that no domain has, so that what is left of an address is
 * nobody's. */
static void lose_rest(struct pop3_surrogate *surrogate)
{
    surrogate->place = IN_LOST_FIELD;
    surrogate->differs = true;
    surrogate->cut = true;
    surrogate->piece = bytes_of("?");
}

/* True: the long field is over. */
static bool end_long_field(struct pop3_surrogate *surrogate, struct bytes octets)
{
    bool is_over = surrogate->line_start && octets.data[0] != ' ' && octets.data[0] != '\t';
    if (is_over) {
        surrogate->piece = bytes_of(surrogate->cut ? "\n" : "");
        surrogate->cut = false;
        surrogate->place = IN_HEADER;
    }
    return is_over;
}

static size_t take_long(struct pop3_surrogate *surrogate, struct bytes octets,
                        struct target *target)
{
    if (end_long_field(surrogate, octets)) {
        return 0;
    }
    size_t size = line_size(octets);
    if (surrogate->place == IN_LONG_FIELD) {
        size = size < target->room ? size : target->room;
        size_t ascii = 0;
        while (ascii < size && octets.data[ascii] < 0x80) {
            ascii++;
        }
        struct bytes passed = {.data = octets.data, .size = ascii};
        put(target, &passed);
        if (ascii < size) {
            lose_rest(surrogate);
            surrogate->line_start = false;
            return ascii;
        }
    }
    surrogate->line_start = size != 0 && octets.data[size - 1] == '\n';
    return size;
}

static size_t take_body(struct pop3_surrogate *surrogate, struct bytes octets,
                        struct target *target)
{
    size_t size = octets.size < target->room ? octets.size : target->room;
    struct bytes passed = {.data = octets.data, .size = size};
    if (surrogate->depth != 0) {
        size = passed.size = line_size(passed);
        if (surrogate->line_start) {
            surrogate->is_boundary = octets.data[0] == '-';
            surrogate->field_size = 0;
        }
        surrogate->line_start = octets.data[size - 1] == '\n';
        surrogate->is_boundary &= size <= FIELD_OCTETS_MOST - surrogate->field_size;
        if (surrogate->is_boundary) {
            memcpy(surrogate->field + surrogate->field_size, octets.data, size);
            surrogate->field_size += size;
        }
        if (surrogate->line_start && surrogate->is_boundary) {
            (void)take_boundary(surrogate, (struct bytes){surrogate->field, surrogate->field_size});
            surrogate->field_size = 0;
        }
    }
    put(target, &passed);
    return size;
}

/* Gives out what is due. True: all of it, so that more can be taken. */
static bool drain(struct pop3_surrogate *surrogate, struct target *target)
{
    for (;;) {
        put(target, &surrogate->piece);
        if (surrogate->piece.size != 0) {
            return false;
        }
        if (!surrogate->emitting) {
            return true;
        }
        surrogate->piece = surrogate_field_next(&surrogate->rewriting);
        if (surrogate->piece.size == 0) {
            surrogate->emitting = false;
            surrogate->field_size = surrogate->first_line = 0;
        }
    }
}

size_t pop3_surrogate_feed(struct pop3_surrogate *surrogate, const void *data, size_t size,
                           void *out, size_t room, size_t *made_out)
{
    struct target target = {.next = out, .room = room};
    struct bytes rest = {.data = data, .size = size};
    while (drain(surrogate, &target) && rest.size != 0 && target.room != 0) {
        size_t taken = 0;
        switch (surrogate->place) {
        case IN_HEADER:
            taken = take_header(surrogate, rest);
            break;
        case IN_LONG_FIELD:
        case IN_LOST_FIELD:
            taken = take_long(surrogate, rest, &target);
            break;
        case IN_BODY:
            taken = take_body(surrogate, rest, &target);
            break;
        }
        rest = bytes_from(rest, taken);
    }
    *made_out = room - target.room;
    return size - rest.size;
}

size_t pop3_surrogate_end(struct pop3_surrogate *surrogate, void *out, size_t room)
{
    struct target target = {.next = out, .room = room};
    assert(room != 0);
    if (drain(surrogate, &target) && surrogate->place != IN_BODY) {
        if (surrogate->field_size != 0) {
            end_field(surrogate);
        } else if (surrogate->cut) {
            surrogate->piece = bytes_of("\n");
            surrogate->cut = false;
        }
        (void)drain(surrogate, &target);
    }
    return room - target.room;
}
