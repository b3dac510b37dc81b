/* SPDX-License-Identifier: MIT */
/* The parts of a message. GMime's own parser keeps every header of every part: a header of a million fields
 * cost it 500 MB (measured), and it says no when it is too late only. So lines are walked here, with bounded
 * memory, and GMime reads the few fields that matter. RFC 2046 section 5.1. */
#include "reader/outline.h"

#include <string.h>
#include <time.h>

#include "reader/bounds.h"
#include "reader/header.h"

#define NO_PART UINT32_MAX

enum { BLOCK_OCTETS = 64 * 1024, PREFIX_OCTETS = 1024 };

enum scan_state { SCAN_HEADER, SCAN_BODY, SCAN_BETWEEN };

/* A part that holds others; an embedded message has no boundary. */
struct level {
    unsigned part;
    size_t size;
    char boundary[READER_BOUNDARY_OCTETS];
};

struct scanner {
    const struct source *source;
    struct outline *outline;
    enum scan_state state;
    unsigned current; /* the part whose header or body this is, or NO_PART */
    bool is_first_line;
    bool is_done;
    unsigned numbers;
    uint64_t line_at;
    uint64_t line_end; /* after its end */
    unsigned last_end; /* octets of the line end before this line: they belong to a boundary */
    unsigned this_end;
    int64_t deadline_ms; /* 0: none */
    unsigned level_count;
    struct level levels[READER_DEPTH_MOST];
    char header[READER_HEADER_OCTETS];
};

static int64_t now_ms(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now); /* exists in every Linux */
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void begin_part(struct scanner *scanner, unsigned parent, uint64_t header_at)
{
    GArray *parts = scanner->outline->parts;
    if (parts->len >= READER_PARTS_MOST) {
        scanner->outline->cut |= OUTLINE_CUT_PARTS;
        scanner->is_done = true;
        scanner->current = NO_PART;
        return;
    }
    struct part part = {.parent = parent,
                        .depth = scanner->level_count,
                        .header_at = header_at,
                        .body_at = header_at};
    scanner->current = parts->len;
    (void)g_array_append_val(parts, part);
    scanner->state = SCAN_HEADER;
    scanner->is_first_line = true;
}

static bool is_in_digest(const struct scanner *scanner, const struct part *part)
{
    const struct part *parent = outline_part(scanner->outline, part->parent);
    return parent != part && part_is(parent, "multipart", "digest");
}

/* Type, disposition and encoding, of the header as far as it is looked at. */
static int read_fields(struct scanner *scanner, struct part *part, struct error *error)
{
    uint64_t size = part->body_at - part->header_at;
    if (size > sizeof scanner->header) {
        size = sizeof scanner->header;
        scanner->outline->cut |= OUTLINE_CUT_HEADER;
    }
    ssize_t got =
        source_read(scanner->source, part->header_at, scanner->header, (size_t)size, error);
    if (got < 0) {
        return -1;
    }
    struct bytes header = {.data = (const uint8_t *)scanner->header, .size = (size_t)got};
    g_autofree char *type = header_raw(header, "Content-Type");
    g_autofree char *disposition = header_raw(header, "Content-Disposition");
    g_autofree char *encoding = header_raw(header, "Content-Transfer-Encoding");
    /* What is no type counts as none, RFC 2045 section 5.2. */
    bool is_typed = type != NULL && strchr(type, '/') != NULL;
    const char *fallback = is_in_digest(scanner, part) ? "message/rfc822" : "text/plain";
    part->type = g_mime_content_type_parse(NULL, is_typed ? type : fallback);
    if (part->type == NULL) {
        part->type = g_mime_content_type_parse(NULL, "application/octet-stream");
    }
    if (disposition != NULL) {
        part->disposition = g_mime_content_disposition_parse(NULL, disposition);
    }
    if (encoding != NULL) {
        part->encoding = g_mime_content_encoding_from_string(encoding);
    }
    return 0;
}

static bool may_descend(struct scanner *scanner)
{
    if (scanner->level_count == READER_DEPTH_MOST) {
        scanner->outline->cut |= OUTLINE_CUT_DEPTH;
        return false;
    }
    return true;
}

/* A multipart whose boundary can be found, RFC 2046 section 5.1.1; else it is shown as what it is. */
static bool push_multipart(struct scanner *scanner, struct part *part)
{
    const char *boundary = g_mime_content_type_get_parameter(part->type, "boundary");
    size_t size = boundary == NULL ? 0 : strlen(boundary);
    while (size > 0 && (boundary[size - 1] == ' ' || boundary[size - 1] == '\t')) {
        size--;
    }
    if (size == 0 || size > READER_BOUNDARY_OCTETS || !may_descend(scanner)) {
        return false;
    }
    struct level *level = &scanner->levels[scanner->level_count++];
    level->part = scanner->current;
    level->size = size;
    memcpy(level->boundary, boundary, size);
    part->kind = PART_MULTIPART;
    scanner->current = NO_PART;
    scanner->state = SCAN_BETWEEN;
    return true;
}

/* Is it an embedded message, in octets that can be read as they are? RFC 2046 section 5.2.1, RFC 6532. */
static bool is_message(const struct part *part)
{
    return (part_is(part, "message", "rfc822") || part_is(part, "message", "global")) &&
           part->encoding != GMIME_CONTENT_ENCODING_BASE64 &&
           part->encoding != GMIME_CONTENT_ENCODING_QUOTEDPRINTABLE &&
           part->encoding != GMIME_CONTENT_ENCODING_UUENCODE;
}

/* The header is over. `body_at`: where the body begins; `has_body`: false where a boundary cut it off. */
static int finish_header(struct scanner *scanner, uint64_t body_at, bool has_body,
                         struct error *error)
{
    unsigned index = scanner->current;
    struct part *part = outline_part(scanner->outline, index);
    part->body_at = body_at;
    scanner->state = SCAN_BODY;
    if (read_fields(scanner, part, error) < 0) {
        return -1;
    }
    if (has_body && part_is(part, "multipart", "*") && push_multipart(scanner, part)) {
        return 0;
    }
    part->number = ++scanner->numbers;
    if (has_body && is_message(part) && may_descend(scanner)) {
        part->kind = PART_MESSAGE;
        scanner->levels[scanner->level_count++] = (struct level){.part = index};
        begin_part(scanner, index, body_at);
    }
    return 0;
}

/* Everything that is open above the first `levels` levels ends at `end`. */
static int close_above(struct scanner *scanner, unsigned levels, uint64_t end, struct error *error)
{
    if (scanner->current != NO_PART) {
        if (scanner->state == SCAN_HEADER &&
            finish_header(scanner,
                          MAX(end, outline_part(scanner->outline, scanner->current)->header_at),
                          false, error) < 0) {
            return -1;
        }
        struct part *part = outline_part(scanner->outline, scanner->current);
        part->end = end = MAX(end, part->body_at);
        scanner->current = NO_PART;
    }
    while (scanner->level_count > levels) {
        struct part *part =
            outline_part(scanner->outline, scanner->levels[--scanner->level_count].part);
        part->end = end = MAX(end, part->body_at); /* and not before what it holds */
    }
    return 0;
}

/* The level whose boundary the line is, counted from 1; 0: none's. `is_last_out`: it ends the multipart. */
static unsigned find_boundary(const struct scanner *scanner, struct bytes line, bool *is_last_out)
{
    while (line.size > 2 && (line.data[line.size - 1] == ' ' || line.data[line.size - 1] == '\t')) {
        line.size--;
    }
    struct bytes text = bytes_from(line, 2);
    for (unsigned i = scanner->level_count; i > 0; i--) {
        const struct level *level = &scanner->levels[i - 1];
        bool is_equal = level->size > 0 && text.size >= level->size &&
                        memcmp(text.data, level->boundary, level->size) == 0;
        if (is_equal && text.size == level->size) {
            *is_last_out = false;
            return i;
        }
        if (is_equal && text.size == level->size + 2 && text.data[level->size] == '-' &&
            text.data[level->size + 1] == '-') {
            *is_last_out = true;
            return i;
        }
    }
    return 0;
}

static int take_boundary(struct scanner *scanner, unsigned level, bool is_last, struct error *error)
{
    uint64_t end = scanner->line_at - scanner->last_end;
    unsigned multipart = scanner->levels[level - 1].part;
    if (close_above(scanner, level, end, error) < 0) {
        return -1;
    }
    scanner->state = SCAN_BETWEEN;
    if (is_last) {
        outline_part(scanner->outline, multipart)->end = scanner->line_end - scanner->this_end;
        scanner->level_count = level - 1;
    } else {
        begin_part(scanner, multipart, scanner->line_end);
    }
    return 0;
}

static int take_header_line(struct scanner *scanner, struct bytes line, struct error *error)
{
    bool is_first = scanner->is_first_line;
    scanner->is_first_line = false;
    if (line.size == 0) {
        return finish_header(scanner, scanner->line_end, true, error);
    }
    bool is_folded = !is_first && (line.data[0] == ' ' || line.data[0] == '\t');
    bool is_from = is_first && line.size > 5 &&
                   (memcmp(line.data, "From ", 5) == 0 || memcmp(line.data, ">From", 5) == 0);
    if (is_folded || is_from || header_is_field(line)) {
        return 0;
    }
    /* No field and no empty line: what follows is the body all the same. */
    return finish_header(scanner, scanner->line_at, true, error);
}

/* `line`: without its end, and no more of it than PREFIX_OCTETS. */
static int take_line(struct scanner *scanner, struct bytes line, struct error *error)
{
    if (line.size >= 2 && line.data[0] == '-' && line.data[1] == '-') {
        bool is_last = false;
        unsigned level = find_boundary(scanner, line, &is_last);
        if (level > 0) {
            return take_boundary(scanner, level, is_last, error);
        }
    }
    if (scanner->state == SCAN_HEADER) {
        return take_header_line(scanner, line, error);
    }
    return 0;
}

/* The beginning of a line that may reach over blocks. */
struct prefix {
    size_t size;
    uint64_t whole; /* octets of the line so far */
    uint8_t last;   /* its last octet so far */
    uint8_t octets[PREFIX_OCTETS];
};

static void prefix_append(struct prefix *prefix, struct bytes piece)
{
    size_t size = MIN(piece.size, sizeof prefix->octets - prefix->size);
    if (piece.size == 0) {
        return;
    }
    memcpy(prefix->octets + prefix->size, piece.data, size);
    prefix->size += size;
    prefix->whole += piece.size;
    prefix->last = piece.data[piece.size - 1];
}

static int finish_line(struct scanner *scanner, struct prefix *prefix, bool has_end,
                       struct error *error)
{
    bool has_cr = has_end && prefix->whole > 0 && prefix->last == '\r';
    struct bytes line = {.data = prefix->octets, .size = prefix->size};
    if (has_cr && prefix->whole == prefix->size) {
        line.size--;
    }
    scanner->this_end = (unsigned)has_end + has_cr;
    scanner->line_end = scanner->line_at + prefix->whole + has_end;
    int result = take_line(scanner, line, error);
    scanner->line_at = scanner->line_end;
    scanner->last_end = scanner->this_end;
    prefix->size = 0;
    prefix->whole = 0;
    return result;
}

static int scan_block(struct scanner *scanner, struct prefix *prefix, struct bytes block,
                      struct error *error)
{
    while (block.size > 0 && !scanner->is_done) {
        size_t size = bytes_find(block, '\n');
        prefix_append(prefix, (struct bytes){.data = block.data, .size = size});
        if (size == block.size) {
            break;
        }
        block = bytes_from(block, size + 1);
        if (finish_line(scanner, prefix, true, error) < 0) {
            return -1;
        }
    }
    return 0;
}

static int scan(struct scanner *scanner, struct error *error)
{
    static uint8_t block[BLOCK_OCTETS];
    struct prefix prefix = {0};
    uint64_t at = 0;
    while (!scanner->is_done) {
        ssize_t size = source_read(scanner->source, at, block, sizeof block, error);
        if (size < 0) {
            return -1;
        }
        if (size == 0) {
            break;
        }
        at += (uint64_t)size;
        struct bytes octets = {.data = block, .size = (size_t)size};
        if (scan_block(scanner, &prefix, octets, error) < 0) {
            return -1;
        }
        if (scanner->deadline_ms != 0 && now_ms() > scanner->deadline_ms) {
            scanner->outline->cut |= OUTLINE_CUT_TIME;
            break;
        }
    }
    if (prefix.whole > 0 && !scanner->is_done && finish_line(scanner, &prefix, false, error) < 0) {
        return -1;
    }
    return close_above(scanner, 0, MAX(scanner->line_at, scanner->is_done ? 0 : at), error);
}

int outline_read(const struct source *source, unsigned seconds, struct outline **outline_out,
                 struct error *error)
{
    struct scanner *scanner = g_new0(struct scanner, 1);
    struct outline *outline = g_new0(struct outline, 1);
    outline->parts = g_array_new(FALSE, FALSE, sizeof(struct part));
    scanner->source = source;
    scanner->outline = outline;
    scanner->deadline_ms = seconds == 0 ? 0 : now_ms() + (int64_t)seconds * 1000;
    begin_part(scanner, 0, 0);
    int result = scan(scanner, error);
    g_free(scanner);
    if (result < 0) {
        (void)outline_free(outline);
        return -1;
    }
    *outline_out = outline;
    return 0;
}

struct outline *outline_free(struct outline *outline)
{
    if (outline == NULL) {
        return NULL;
    }
    for (unsigned i = 0; i < outline->parts->len; i++) {
        struct part *part = outline_part(outline, i);
        g_clear_object(&part->type);
        g_clear_object(&part->disposition);
    }
    (void)g_array_free(outline->parts, TRUE);
    g_free(outline);
    return NULL;
}

struct part *outline_numbered(const struct outline *outline, uint64_t number)
{
    for (unsigned i = 0; i < outline->parts->len; i++) {
        if (outline_part(outline, i)->number == number && number != 0) {
            return outline_part(outline, i);
        }
    }
    return NULL;
}

bool part_is(const struct part *part, const char *type, const char *subtype)
{
    return g_mime_content_type_is_type(part->type, type, subtype);
}

bool part_is_attachment(const struct part *part)
{
    return part->disposition != NULL && g_mime_content_disposition_is_attachment(part->disposition);
}

char *part_file_name(const struct part *part)
{
    const char *name = NULL;
    if (part->disposition != NULL) {
        name = g_mime_content_disposition_get_parameter(part->disposition, "filename");
    }
    if (name == NULL || *name == '\0') {
        name = g_mime_content_type_get_parameter(part->type, "name");
    }
    return name == NULL || *name == '\0' ? NULL : g_strdup(name);
}
