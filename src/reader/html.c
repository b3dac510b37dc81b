/* SPDX-License-Identifier: MIT */
/* HTML mail as text. Not a browser: a tokenizer that knows which elements begin a line, which hide what is
 * in them, and entities. Any input is some text. */
#include "reader/html.h"

#include <string.h>

#include "reader/entities.h"

enum { TAG_NAME_OCTETS = 16, COLUMNS = 78, LINK_OCTETS = 2000, CHARSET_SEARCH_OCTETS = 1024 };

enum element_kind {
    ELEMENT_LINE = 1,      /* begins a line */
    ELEMENT_PARAGRAPH = 2, /* with an empty line before it */
    ELEMENT_HIDDEN = 4,    /* what is in it is no text */
    ELEMENT_CELL = 8
};

static const struct element {
    const char *name;
    unsigned kind;
} elements[] = {
    {"address", ELEMENT_LINE},    {"article", ELEMENT_LINE},    {"blockquote", ELEMENT_PARAGRAPH},
    {"body", ELEMENT_LINE},       {"br", ELEMENT_LINE},         {"center", ELEMENT_LINE},
    {"dd", ELEMENT_LINE},         {"div", ELEMENT_LINE},        {"dl", ELEMENT_LINE},
    {"dt", ELEMENT_LINE},         {"footer", ELEMENT_LINE},     {"form", ELEMENT_LINE},
    {"h1", ELEMENT_PARAGRAPH},    {"h2", ELEMENT_PARAGRAPH},    {"h3", ELEMENT_PARAGRAPH},
    {"h4", ELEMENT_PARAGRAPH},    {"h5", ELEMENT_PARAGRAPH},    {"h6", ELEMENT_PARAGRAPH},
    {"header", ELEMENT_LINE},     {"hr", ELEMENT_LINE},         {"li", ELEMENT_LINE},
    {"ol", ELEMENT_LINE},         {"option", ELEMENT_LINE},     {"p", ELEMENT_PARAGRAPH},
    {"pre", ELEMENT_PARAGRAPH},   {"script", ELEMENT_HIDDEN},   {"section", ELEMENT_LINE},
    {"style", ELEMENT_HIDDEN},    {"table", ELEMENT_LINE},      {"td", ELEMENT_CELL},
    {"template", ELEMENT_HIDDEN}, {"textarea", ELEMENT_HIDDEN}, {"th", ELEMENT_CELL},
    {"title", ELEMENT_HIDDEN},    {"tr", ELEMENT_LINE},         {"ul", ELEMENT_LINE}};

struct page {
    GString *out;
    size_t line_at;  /* where the last line of `out` begins */
    size_t blank_at; /* after the last blank of that line, where it may be broken; 0: nowhere */
    unsigned line_columns;
    unsigned blank_columns; /* columns before blank_at */
    bool wants_blank;
    unsigned preformatted;
    GString *link; /* the target of the link that is open */
    size_t link_text_at;
};

struct tag {
    char name[TAG_NAME_OCTETS]; /* lower case, NUL-terminated; cut if longer */
    bool is_end;
    struct bytes attributes;
};

static bool is_space(uint8_t octet)
{
    return octet == ' ' || (octet >= '\t' && octet <= '\r');
}

static void end_line(struct page *page)
{
    (void)g_string_append_c(page->out, '\n');
    page->line_at = page->out->len;
    page->blank_at = 0;
    page->line_columns = 0;
    page->wants_blank = false;
}

static void begin_line(struct page *page)
{
    page->wants_blank = false;
    if (page->out->len > page->line_at) {
        end_line(page);
    }
}

static void begin_paragraph(struct page *page)
{
    begin_line(page);
    size_t size = page->out->len;
    if (size > 1 && page->out->str[size - 2] != '\n') {
        end_line(page);
    }
}

/* Puts the word that is too long for the line on the next one. */
static void wrap(struct page *page)
{
    if (page->line_columns <= COLUMNS || page->blank_at == 0 || page->preformatted > 0) {
        return;
    }
    page->out->str[page->blank_at - 1] = '\n';
    page->line_at = page->blank_at;
    page->line_columns -= page->blank_columns;
    page->blank_at = 0;
}

/* `length` octets that are one character. */
static void append_character(struct page *page, const uint8_t *octets, size_t length)
{
    if (page->wants_blank && page->out->len > page->line_at) {
        (void)g_string_append_c(page->out, ' ');
        page->blank_at = page->out->len;
        page->blank_columns = ++page->line_columns;
    }
    page->wants_blank = false;
    (void)g_string_append_len(page->out, (const char *)octets, (gssize)length);
    page->line_columns++;
    wrap(page);
}

static void append_octet(struct page *page, uint8_t octet)
{
    bool is_inside = (octet & 0xC0) == 0x80; /* of a character that began before */
    if (page->preformatted > 0 && octet == '\n') {
        end_line(page);
    } else if (page->preformatted == 0 && is_space(octet)) {
        page->wants_blank = true;
    } else if (is_inside) {
        (void)g_string_append_c(page->out, (char)octet);
    } else {
        append_character(page, &octet, 1);
    }
}

static void append_plain(struct page *page, const char *text, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        append_octet(page, (uint8_t)text[i]);
    }
}

/* A reference at the front of `html`, which begins with '&'; how many octets it has, 0: it is none. */
static size_t reference(struct bytes html, uint32_t *code_out)
{
    size_t most = MIN(html.size, 12);
    size_t at = 1;
    while (at < most && (g_ascii_isalnum((char)html.data[at]) || html.data[at] == '#')) {
        at++;
    }
    struct bytes name = {.data = html.data + 1, .size = at - 1};
    size_t whole = at < html.size && html.data[at] == ';' ? at + 1 : at;
    return name.size > 0 && entity_decode(name, code_out) ? whole : 0;
}

/* Text with its references replaced. */
static void append_text(struct page *page, struct bytes text)
{
    while (text.size > 0) {
        uint32_t code = 0;
        char character[6];
        size_t size = text.data[0] == '&' ? reference(text, &code) : 0;
        if (size == 0) {
            append_octet(page, text.data[0]);
            size = 1;
        } else if (code == 0xA0) {
            append_character(page, (const uint8_t *)" ", 1);
        } else {
            append_plain(page, character, (size_t)g_unichar_to_utf8(code, character));
        }
        text = bytes_from(text, size);
    }
}

static struct bytes skip_spaces(struct bytes text)
{
    while (text.size > 0 && (is_space(text.data[0]) || text.data[0] == '/')) {
        text = bytes_from(text, 1);
    }
    return text;
}

/* The value that begins `*rest`, perhaps in quotes. */
static struct bytes take_value(struct bytes *rest)
{
    struct bytes value = *rest;
    if (value.size > 0 && (value.data[0] == '"' || value.data[0] == '\'')) {
        uint8_t quote = value.data[0];
        value = bytes_from(value, 1);
        value.size = bytes_find(value, quote);
        *rest = bytes_from(*rest, value.size + 2);
        return value;
    }
    size_t size = 0;
    while (size < value.size && !is_space(value.data[size])) {
        size++;
    }
    value.size = size;
    *rest = bytes_from(*rest, size);
    return value;
}

/* The value of an attribute; .data is NULL if the tag does not have it. */
static struct bytes attribute(const struct tag *tag, const char *name)
{
    struct bytes rest = skip_spaces(tag->attributes);
    while (rest.size > 0) {
        size_t size = 0;
        while (size < rest.size && !is_space(rest.data[size]) && rest.data[size] != '=') {
            size++;
        }
        struct bytes here = {.data = rest.data, .size = size};
        struct bytes value = {.data = rest.data, .size = 0};
        rest = bytes_from(rest, size);
        struct bytes after = skip_spaces(rest);
        if (after.size > 0 && after.data[0] == '=') {
            rest = bytes_from(after, 1);
            while (rest.size > 0 && is_space(rest.data[0])) {
                rest = bytes_from(rest, 1);
            }
            value = take_value(&rest);
        }
        if (bytes_equal_ignoring_case(here, bytes_of(name))) {
            return value;
        }
        rest = skip_spaces(rest);
    }
    return (struct bytes){0};
}

static void open_link(struct page *page, const struct tag *tag)
{
    struct bytes target = attribute(tag, "href");
    static const char *const shown[] = {"http:", "https:", "mailto:", "ftp:", "tel:"};
    (void)g_string_truncate(page->link, 0);
    page->link_text_at = page->out->len;
    for (size_t i = 0; i < sizeof shown / sizeof shown[0]; i++) {
        size_t size = strlen(shown[i]);
        if (target.size > size &&
            g_ascii_strncasecmp((const char *)target.data, shown[i], size) == 0) {
            (void)g_string_append_len(page->link, (const char *)target.data,
                                      (gssize)MIN(target.size, LINK_OCTETS));
        }
    }
}

/* Where a link leads is said, unless that is what it reads: what a link pretends is not hidden. */
static void close_link(struct page *page)
{
    const char *link = page->link->str;
    size_t size = page->link->len;
    const char *text = page->out->str + MIN(page->link_text_at, page->out->len);
    while (is_space((uint8_t)*text)) {
        text++;
    }
    const char *bare = g_str_has_prefix(link, "mailto:") ? link + strlen("mailto:") : link;
    if (size > 0 && strcmp(text, link) != 0 && strcmp(text, bare) != 0) {
        page->wants_blank = true;
        append_plain(page, "<", 1);
        append_text(page, (struct bytes){.data = (const uint8_t *)link, .size = size});
        append_plain(page, ">", 1);
    }
    (void)g_string_truncate(page->link, 0);
}

static void append_image(struct page *page, const struct tag *tag)
{
    struct bytes text = attribute(tag, "alt");
    if (text.size > 0) {
        append_plain(page, "[", 1);
        append_text(page, text);
        append_plain(page, "]", 1);
    }
}

static unsigned element_kind(const char *name)
{
    for (size_t i = 0; i < sizeof elements / sizeof elements[0]; i++) {
        if (strcmp(name, elements[i].name) == 0) {
            return elements[i].kind;
        }
    }
    return 0;
}

static void apply_special(struct page *page, const struct tag *tag)
{
    if (strcmp(tag->name, "a") == 0) {
        close_link(page);
        if (!tag->is_end) {
            open_link(page, tag);
        }
    } else if (strcmp(tag->name, "img") == 0) {
        append_image(page, tag);
    } else if (strcmp(tag->name, "li") == 0 && !tag->is_end) {
        append_plain(page, "*", 1);
        page->wants_blank = true;
    } else if (strcmp(tag->name, "hr") == 0) {
        append_plain(page, "----------", 10);
        begin_line(page);
    } else if (strcmp(tag->name, "pre") == 0) {
        page->preformatted = tag->is_end ? 0 : 1;
    }
}

static void apply_tag(struct page *page, const struct tag *tag)
{
    unsigned kind = element_kind(tag->name);
    if (strcmp(tag->name, "br") == 0) {
        page->wants_blank = false;
        end_line(page);
        return;
    }
    if ((kind & ELEMENT_PARAGRAPH) != 0) {
        begin_paragraph(page);
    } else if ((kind & ELEMENT_LINE) != 0) {
        begin_line(page);
    } else if ((kind & ELEMENT_CELL) != 0) {
        page->wants_blank = true;
    }
    apply_special(page, tag);
}

/* The end of a tag that begins at the front, after its '>'; quotes hide that. */
static size_t tag_size(struct bytes html)
{
    uint8_t quote = 0;
    bool is_value = false;
    for (size_t i = 1; i < html.size; i++) {
        uint8_t octet = html.data[i];
        if (quote != 0) {
            quote = octet == quote ? 0 : quote;
        } else if (octet == '>') {
            return i + 1;
        } else if (is_value && (octet == '"' || octet == '\'')) {
            quote = octet;
        }
        is_value = octet == '=' || (is_value && is_space(octet));
    }
    return html.size;
}

/* Reads the tag at the front; how many octets it has, 0: the '<' is just one. */
static size_t read_tag(struct bytes html, struct tag *tag)
{
    size_t at = 1;
    *tag = (struct tag){0};
    if (at < html.size && html.data[at] == '/') {
        tag->is_end = true;
        at++;
    }
    if (at >= html.size || !g_ascii_isalpha((char)html.data[at])) {
        return 0;
    }
    size_t begin = at;
    while (at < html.size && g_ascii_isalnum((char)html.data[at])) {
        if (at - begin < sizeof tag->name - 1) {
            tag->name[at - begin] = g_ascii_tolower((char)html.data[at]);
        }
        at++;
    }
    size_t size = tag_size(html);
    tag->attributes = (struct bytes){.data = html.data + at, .size = size > at ? size - at - 1 : 0};
    return size;
}

/* From a comment, a declaration or a processing instruction to behind it. */
static size_t declaration_size(struct bytes html)
{
    const char *end = ">";
    if (html.size >= 4 && memcmp(html.data, "<!--", 4) == 0) {
        end = "-->";
    }
    const uint8_t *found = memmem(html.data, html.size, end, strlen(end));
    return found == NULL ? html.size : (size_t)(found - html.data) + strlen(end);
}

/* After what an element hides: its end tag. Where there is none, nothing more is shown. */
static size_t hidden_size(struct bytes html, const char *name)
{
    size_t length = strlen(name);
    for (size_t at = 0; at < html.size;) {
        at += bytes_find(bytes_from(html, at), '<');
        if (html.size - at > length + 2 && html.data[at + 1] == '/' &&
            g_ascii_strncasecmp((const char *)html.data + at + 2, name, length) == 0) {
            return at;
        }
        at++;
    }
    return html.size;
}

static size_t take_markup(struct page *page, struct bytes html)
{
    struct tag tag;
    if (html.size > 1 && (html.data[1] == '!' || html.data[1] == '?')) {
        return declaration_size(html);
    }
    size_t size = read_tag(html, &tag);
    if (size == 0) {
        append_octet(page, '<');
        return 1;
    }
    if (!tag.is_end && (element_kind(tag.name) & ELEMENT_HIDDEN) != 0) {
        return size + hidden_size(bytes_from(html, size), tag.name);
    }
    apply_tag(page, &tag);
    return size;
}

void html_append_text(GString *out, struct bytes html)
{
    struct page page = {.out = g_string_new(NULL), .link = g_string_new(NULL)};
    while (html.size > 0) {
        struct bytes text = {.data = html.data, .size = bytes_find(html, '<')};
        append_text(&page, text);
        html = bytes_from(html, text.size);
        if (html.size > 0) {
            html = bytes_from(html, take_markup(&page, html));
        }
    }
    close_link(&page);
    begin_line(&page);
    const char *begin = page.out->str;
    size_t size = page.out->len;
    while (size > 0 && *begin == '\n') {
        begin++;
        size--;
    }
    while (size > 1 && begin[size - 1] == '\n' && begin[size - 2] == '\n') {
        size--;
    }
    (void)g_string_append_len(out, begin, (gssize)size);
    (void)g_string_free(page.out, TRUE);
    (void)g_string_free(page.link, TRUE);
}

char *html_charset(struct bytes html)
{
    static const char key[] = "charset=";
    struct bytes head = {.data = html.data, .size = MIN(html.size, CHARSET_SEARCH_OCTETS)};
    for (size_t i = 0; i + sizeof key - 1 < head.size; i++) {
        if (g_ascii_strncasecmp((const char *)head.data + i, key, sizeof key - 1) != 0) {
            continue;
        }
        size_t at = i + sizeof key - 1;
        at += head.data[at] == '"' || head.data[at] == '\'';
        size_t end = at;
        while (end < head.size &&
               (g_ascii_isalnum((char)head.data[end]) || strchr("-_.:", head.data[end]) != NULL)) {
            end++;
        }
        return end == at ? NULL : g_strndup((const char *)head.data + at, end - at);
    }
    return NULL;
}
