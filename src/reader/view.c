/* SPDX-License-Identifier: MIT */
/* A message for a person: of alternatives the one that is plain text, HTML where there is nothing else. */
#include "reader/view.h"

#include <string.h>

#include "reader/bounds.h"
#include "reader/content.h"
#include "reader/header.h"
#include "reader/text.h"

struct view {
    GString *out;
    const struct source *source;
    const struct outline *outline;
    bool hidden[READER_PARTS_MOST]; /* texts that another alternative stands for */
    size_t room;                    /* octets of text that may still be shown */
};

static void summary_set(char **field, char *text)
{
    *field = text == NULL ? g_strdup("") : text;
}

void summary_read(struct summary *summary, struct bytes header)
{
    summary_set(&summary->from, header_addresses(header, "From", true));
    summary_set(&summary->subject, header_text(header, "Subject"));
    summary->has_date = header_date(header, &summary->date);
}

void summary_finish(struct summary *summary)
{
    g_free(summary->from);
    g_free(summary->subject);
    *summary = (struct summary){0};
}

static bool is_text(const struct part *part)
{
    return part->kind == PART_LEAF && !part_is_attachment(part) &&
           (part_is(part, "text", "plain") || part_is(part, "text", "html") ||
            part_is(part, "message", "delivery-status"));
}

static bool is_inside(const struct outline *outline, unsigned index, unsigned ancestor)
{
    while (index != ancestor) {
        unsigned parent = outline_part(outline, index)->parent;
        if (parent == index) {
            return false;
        }
        index = parent;
    }
    return true;
}

/* Some newsletters have a plain text without a letter in it. */
static bool is_empty(const struct source *source, const struct part *part)
{
    uint8_t octets[256];
    struct error error;
    if (part->end - part->body_at > sizeof octets) {
        return false;
    }
    ssize_t size =
        source_read(source, part->body_at, octets, (size_t)(part->end - part->body_at), &error);
    for (ssize_t i = 0; i < size; i++) {
        if (octets[i] > ' ') {
            return false;
        }
    }
    return true;
}

/* How good an alternative is for a terminal. */
static unsigned score(const struct view *view, unsigned child)
{
    unsigned best = 0;
    for (unsigned i = child; i < view->outline->parts->len; i++) {
        const struct part *part = outline_part(view->outline, i);
        if (!is_inside(view->outline, i, child)) {
            break;
        }
        if (is_text(part) && !is_empty(view->source, part)) {
            unsigned here = part_is(part, "text", "plain") ? 2 : 1;
            best = here > best ? here : best;
        }
    }
    return best;
}

static void choose(struct view *view, unsigned alternative)
{
    unsigned best = UINT32_MAX;
    unsigned best_score = 0;
    unsigned count = view->outline->parts->len;
    for (unsigned i = alternative + 1; i < count; i++) {
        if (outline_part(view->outline, i)->parent == alternative) {
            unsigned here = score(view, i);
            if (here > best_score) {
                best_score = here;
                best = i;
            }
        }
    }
    for (unsigned i = alternative + 1; best != UINT32_MAX && i < count; i++) {
        bool is_other =
            is_inside(view->outline, i, alternative) && !is_inside(view->outline, i, best);
        if (is_other && is_text(outline_part(view->outline, i))) {
            view->hidden[i] = true;
        }
    }
}

static void append_field(GString *out, const char *name, char *value)
{
    if (value != NULL) {
        g_string_append_printf(out, "%s: %s\n", name, value);
        g_free(value);
    }
}

static int append_headers(struct view *view, uint64_t at, struct error *error)
{
    g_autofree uint8_t *octets = g_malloc(READER_HEADER_OCTETS);
    ssize_t got = source_read(view->source, at, octets, READER_HEADER_OCTETS, error);
    if (got < 0) {
        return -1;
    }
    struct bytes header = {.data = octets, .size = (size_t)got};
    header.size = header_size(header);
    append_field(view->out, "From", header_addresses(header, "From", false));
    append_field(view->out, "To", header_addresses(header, "To", false));
    append_field(view->out, "Cc", header_addresses(header, "Cc", false));
    append_field(view->out, "Date", header_text(header, "Date"));
    append_field(view->out, "Subject", header_text(header, "Subject"));
    (void)g_string_append_c(view->out, '\n');
    return 0;
}

static void begin_block(struct view *view)
{
    size_t size = view->out->len;
    if (size > 0 && view->out->str[size - 1] != '\n') {
        (void)g_string_append_c(view->out, '\n');
    }
    if (size > 1 && !g_str_has_suffix(view->out->str, "\n\n")) {
        (void)g_string_append_c(view->out, '\n');
    }
}

/* "[NUMBER: type, size, name]" */
static void append_label(struct view *view, const struct part *part)
{
    g_autofree char *type = g_mime_content_type_get_mime_type(part->type);
    g_autofree char *name = part_file_name(part);
    GString *out = view->out;
    g_string_append_printf(out, "[%u: ", part->number);
    text_append(out, bytes_of(type), TEXT_LINE);
    (void)g_string_append(out, ", ");
    text_append_size(out, content_size(part));
    if (name != NULL) {
        (void)g_string_append(out, ", ");
        text_append(out, bytes_of(name), TEXT_LINE);
    }
    (void)g_string_append(out, "]\n");
}

static int append_text(struct view *view, const struct part *part, struct error *error)
{
    bool is_cut;
    size_t most = MIN(view->room, READER_PART_TEXT_OCTETS);
    begin_block(view);
    if (most == 0) {
        append_label(view, part);
        return 0;
    }
    g_autofree char *name = part_file_name(part);
    if (name != NULL) {
        append_label(view, part);
    }
    size_t before = view->out->len;
    if (content_text(view->source, part, most, view->out, &is_cut, error) < 0) {
        return -1;
    }
    size_t shown = view->out->len - before;
    view->room -= MIN(view->room, MAX(shown, 1));
    if (is_cut) {
        begin_block(view);
        g_string_append_printf(
            view->out, "[restante: this text goes on; --part %u gives all of it]\n", part->number);
    }
    return 0;
}

static int append_part(struct view *view, unsigned index, struct error *error)
{
    const struct part *part = outline_part(view->outline, index);
    if (part->kind == PART_MULTIPART) {
        return 0;
    }
    if (is_text(part) && !view->hidden[index]) {
        return append_text(view, part, error);
    }
    if (part->kind == PART_LEAF) {
        if (view->hidden[index]) {
            return 0;
        }
        begin_block(view);
        append_label(view, part);
        return 0;
    }
    begin_block(view);
    append_label(view, part);
    return append_headers(view, part->body_at, error);
}

static void append_cuts(struct view *view)
{
    static const struct {
        enum outline_cut cut;
        const char *text;
    } texts[] = {
        {OUTLINE_CUT_PARTS, "it has more than 1000 parts; the others are not shown"},
        {OUTLINE_CUT_DEPTH,
         "its parts lie over 50 deep in each other; what is deeper is not shown"},
        {OUTLINE_CUT_HEADER, "it has a header of over 256 KiB; what comes after is not looked at"},
        {OUTLINE_CUT_TIME, "to find its parts took over 10 seconds; the rest is not shown"}};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        if ((view->outline->cut & texts[i].cut) != 0) {
            begin_block(view);
            g_string_append_printf(view->out, "[restante: this is too much of a message: %s]\n",
                                   texts[i].text);
        }
    }
}

int view_append(GString *out, const struct source *source, const struct outline *outline,
                struct error *error)
{
    struct view view = {
        .out = out, .source = source, .outline = outline, .room = READER_TEXT_OCTETS};
    for (unsigned i = 0; i < outline->parts->len; i++) {
        if (part_is(outline_part(outline, i), "multipart", "alternative")) {
            choose(&view, i);
        }
    }
    if (append_headers(&view, 0, error) < 0) {
        return -1;
    }
    for (unsigned i = 0; i < outline->parts->len; i++) {
        if (append_part(&view, i, error) < 0) {
            return -1;
        }
    }
    append_cuts(&view);
    return 0;
}

bool view_is_saved(const struct outline *outline, unsigned index)
{
    const struct part *part = outline_part(outline, index);
    for (unsigned i = index; outline_part(outline, i)->parent != i;) {
        i = outline_part(outline, i)->parent;
        const struct part *parent = outline_part(outline, i);
        if (parent->kind == PART_MESSAGE && part_is_attachment(parent)) {
            return false; /* it is in what is saved */
        }
    }
    if (part->kind == PART_MESSAGE) {
        return part_is_attachment(part);
    }
    g_autofree char *name = part_file_name(part);
    return part->kind == PART_LEAF && (!is_text(part) || name != NULL);
}

const char *view_extension(const struct part *part)
{
    static const struct {
        const char *type, *subtype, *extension;
    } extensions[] = {{"text", "plain", ".txt"},          {"text", "html", ".html"},
                      {"text", "calendar", ".ics"},       {"text", "csv", ".csv"},
                      {"message", "rfc822", ".eml"},      {"message", "global", ".eml"},
                      {"image", "jpeg", ".jpg"},          {"image", "png", ".png"},
                      {"image", "gif", ".gif"},           {"application", "pdf", ".pdf"},
                      {"application", "zip", ".zip"},     {"application", "pgp-signature", ".asc"},
                      {"application", "pgp-keys", ".asc"}};
    for (size_t i = 0; i < sizeof extensions / sizeof extensions[0]; i++) {
        if (part_is(part, extensions[i].type, extensions[i].subtype)) {
            return extensions[i].extension;
        }
    }
    return "";
}
