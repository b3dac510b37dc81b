/* SPDX-License-Identifier: MIT */
/* Decoding of parts, by GMime's filters, in pieces of fixed size. */
#include "reader/content.h"

#include <gmime/gmime.h>

#include "reader/bounds.h"
#include "reader/charset.h"
#include "reader/html.h"
#include "reader/text.h"

enum { PIECE_OCTETS = 32 * 1024 };

static GMimeFilter *decoder(GMimeContentEncoding encoding)
{
    switch (encoding) {
    case GMIME_CONTENT_ENCODING_BASE64:
    case GMIME_CONTENT_ENCODING_QUOTEDPRINTABLE:
    case GMIME_CONTENT_ENCODING_UUENCODE:
        return g_mime_filter_basic_new(encoding, FALSE);
    case GMIME_CONTENT_ENCODING_DEFAULT:
    case GMIME_CONTENT_ENCODING_7BIT:
    case GMIME_CONTENT_ENCODING_8BIT:
    case GMIME_CONTENT_ENCODING_BINARY:
        return NULL;
    }
    return NULL;
}

static int give(GMimeFilter *filter, struct bytes piece, content_sink *sink, void *context,
                struct error *error)
{
    if (filter == NULL) {
        return sink(context, piece, error);
    }
    char *out;
    size_t out_size;
    size_t prespace;
    char *in = (char *)(uintptr_t)piece.data; /* the filter reads only */
    g_mime_filter_filter(filter, in, piece.size, 0, &out, &out_size, &prespace);
    return sink(context, (struct bytes){.data = (const uint8_t *)out, .size = out_size}, error);
}

int content_decode(const struct source *source, const struct part *part, uint64_t most,
                   content_sink *sink, void *context, struct error *error)
{
    static uint8_t piece[PIECE_OCTETS];
    GMimeFilter *filter = decoder(part->encoding);
    uint64_t end = part->end - part->body_at > most ? part->body_at + most : part->end;
    uint64_t at = part->body_at;
    int result = 0;
    while (result == 0 && at < end) {
        size_t size = (size_t)MIN(sizeof piece, end - at);
        ssize_t got = source_read(source, at, piece, size, error);
        if (got <= 0) {
            result = (int)got;
            break;
        }
        at += (uint64_t)got;
        result =
            give(filter, (struct bytes){.data = piece, .size = (size_t)got}, sink, context, error);
    }
    if (filter != NULL) {
        g_object_unref(filter);
    }
    return result;
}

struct gathering {
    GString *octets;
    size_t most;
    bool is_cut;
};

static int gather(void *context, struct bytes octets, struct error *error)
{
    struct gathering *gathering = context;
    size_t room = gathering->most - gathering->octets->len;
    (void)error;
    if (octets.size > room) {
        gathering->is_cut = true;
        octets.size = room;
    }
    (void)g_string_append_len(gathering->octets, (const char *)octets.data, (gssize)octets.size);
    return 0;
}

static void append_text(GString *out, const struct part *part, const GString *octets)
{
    const char *charset = g_mime_content_type_get_parameter(part->type, "charset");
    struct bytes raw = {.data = (const uint8_t *)octets->str, .size = octets->len};
    g_autoptr(GString) text = g_string_new(NULL);
    bool is_html = part_is(part, "text", "html");
    g_autofree char *said = is_html && charset == NULL ? html_charset(raw) : NULL;
    charset_append(text, raw, charset != NULL ? charset : said);
    struct bytes decoded = {.data = (const uint8_t *)text->str, .size = text->len};
    if (is_html) {
        g_autoptr(GString) plain = g_string_new(NULL);
        html_append_text(plain, decoded);
        text_append(out, (struct bytes){.data = (const uint8_t *)plain->str, .size = plain->len},
                    TEXT_BODY);
    } else {
        text_append(out, decoded, TEXT_BODY);
    }
}

int content_text(const struct source *source, const struct part *part, size_t most, GString *out,
                 bool *is_cut_out, struct error *error)
{
    g_autoptr(GString) octets = g_string_new(NULL);
    struct gathering gathering = {.octets = octets, .most = most};
    if (content_decode(source, part, READER_CODED_OCTETS, gather, &gathering, error) < 0) {
        return -1;
    }
    append_text(out, part, octets);
    *is_cut_out = gathering.is_cut || part->end - part->body_at > READER_CODED_OCTETS;
    return 0;
}

uint64_t content_size(const struct part *part)
{
    uint64_t size = part->end - part->body_at;
    if (part->encoding == GMIME_CONTENT_ENCODING_BASE64) {
        return size / 4 * 3 - size / 4 * 3 / 77; /* and a line end after 76 */
    }
    return size;
}
