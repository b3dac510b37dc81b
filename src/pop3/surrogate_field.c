/* SPDX-License-Identifier: MIT */
/* Rewriting one field. Encoded words (RFC 2047) are base64 of up to 36 octets of whole UTF-8 characters, each but
 * the first of a field on a line of its own, which keeps all lines under 76 octets. No blank but the spaces and
 * line ends written here comes out of rewritten text: control characters would be obeyed by who decodes it. */
#include "pop3/surrogate_field.h"

#include "base/base64.h"
#include "base/buffer.h"
#include "pop3/header_field.h"

enum { WORD_OCTETS = 36, CHARACTER_OCTETS = 4 };

/* RFC 2606: nobody has it. The local part and the domain are those of the RFC's example. */
static const char nobody[] = "<invalid@internationalized-address.invalid>";

static bool is_address_field(struct bytes name)
{
    static const char *const names[] = {
        "Bcc",        "Cc",          "From",        "Reply-To",
        "Resent-Bcc", "Resent-Cc",   "Resent-From", "Resent-Sender",
        "Resent-To",  "Return-Path", "Sender",      "To",
    };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (bytes_equal_ignoring_case(name, bytes_of(names[i]))) {
            return true;
        }
    }
    return false;
}

bool surrogate_field_begin(struct surrogate_field *rewriting, struct bytes field)
{
    rewriting->step = SURROGATE_AT_NAME;
    rewriting->begun = false;
    rewriting->ended = false;
    if (header_is_ascii(field)) {
        rewriting->manner = SURROGATE_AS_IT_IS;
        rewriting->rest = field;
        return false;
    }
    struct bytes name = header_name(field);
    struct bytes value = header_value(field);
    rewriting->manner = SURROGATE_NOTHING;
    if (is_address_field(name)) {
        rewriting->manner = SURROGATE_ADDRESSES;
    } else if (bytes_equal_ignoring_case(name, bytes_of("Subject"))) {
        rewriting->manner = SURROGATE_TEXT;
    } else if (bytes_equal_ignoring_case(name, bytes_of("Content-Type")) ||
               bytes_equal_ignoring_case(name, bytes_of("Content-Disposition"))) {
        value.size = header_find(value, 0, ";", false);
        rewriting->manner = header_is_ascii(value) ? SURROGATE_PARAMETERS : SURROGATE_NOTHING;
    }
    rewriting->rest = field;
    return true;
}

/* The octets of the UTF-8 character at the front; 0: it is none. RFC 3629 section 4. */
static size_t character_size(struct bytes text)
{
    uint8_t first = text.data[0];
    size_t size = first < 0x80 ? 1 : first < 0xC2 ? 0 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
    if (size < 2) {
        return size;
    }
    uint8_t least = first == 0xE0 ? 0xA0 : first == 0xF0 ? 0x90 : 0x80;
    uint8_t most = first == 0xED ? 0x9F : first == 0xF4 ? 0x8F : 0xBF;
    bool is_good =
        first <= 0xF4 && text.size >= size && text.data[1] >= least && text.data[1] <= most;
    for (size_t i = 2; is_good && i < size; i++) {
        is_good = (text.data[i] & 0xC0) == 0x80;
    }
    return is_good ? size : 0;
}

/* The next character; how many octets, 0 at the end. */
static size_t next_character(struct surrogate_text *text, uint8_t out[CHARACTER_OCTETS])
{
    while (text->rest.size != 0) {
        uint8_t octet = text->rest.data[0];
        if (octet <= ' ' || octet == 0x7F) {
            text->blank = text->begun;
        } else if (!text->unquotes || octet != '"') {
            break;
        }
        text->rest = bytes_from(text->rest, 1);
    }
    if (text->rest.size == 0) {
        return 0;
    }
    text->begun = true;
    if (text->blank) {
        text->blank = false;
        out[0] = ' ';
        return 1;
    }
    if (text->unquotes && text->rest.data[0] == '\\' && text->rest.size > 1 &&
        text->rest.data[1] > ' ' && text->rest.data[1] < 0x7F) {
        text->rest = bytes_from(text->rest, 1);
    }
    size_t size = character_size(text->rest);
    memcpy(out, size == 0 ? (const uint8_t *)"\xEF\xBF\xBD" : text->rest.data,
           size == 0 ? 3 : size);
    text->rest = bytes_from(text->rest, size == 0 ? 1 : size);
    return size == 0 ? 3 : size;
}

static struct bytes separator(const struct surrogate_field *rewriting)
{
    return bytes_of(rewriting->begun || rewriting->words_begun ? "\n " : " ");
}

/* Empty: the text has no more. */
static struct bytes next_word(struct surrogate_field *rewriting)
{
    uint8_t word[WORD_OCTETS];
    size_t size = 0;
    for (;;) {
        uint8_t character[CHARACTER_OCTETS];
        struct surrogate_text before = rewriting->text;
        size_t octets = next_character(&rewriting->text, character);
        if (octets == 0) {
            break;
        }
        if (size + octets > sizeof word) {
            rewriting->text = before;
            break;
        }
        memcpy(word + size, character, octets);
        size += octets;
    }
    if (size == 0) {
        return (struct bytes){0};
    }
    struct buffer piece;
    buffer_init(&piece, rewriting->piece, sizeof rewriting->piece);
    buffer_append(&piece, separator(rewriting));
    buffer_append_text(&piece, "=?UTF-8?B?");
    base64_encode(&piece, (struct bytes){.data = word, .size = size});
    buffer_append_text(&piece, "?=");
    rewriting->words_begun = true;
    return buffer_pending(&piece);
}

/* Copies an address (RFC 5322 section 3.4.1) that ASCII can show; its size, or 0. One with an octet lost, or one
 * too many, could be somebody's: whatever is not plain is not shown. */
static size_t copy_address(struct bytes text, uint8_t out[SURROGATE_ADDRESS_OCTETS])
{
    bool is_quoted = false;
    text = header_trim(text);
    if (text.size > SURROGATE_ADDRESS_OCTETS) {
        return 0;
    }
    for (size_t i = 0; i < text.size; i++) {
        uint8_t octet = text.data[i];
        is_quoted ^= octet == '"';
        if (octet < ' ' || octet > '~' || octet == '\\' ||
            (!is_quoted && strchr(" <>(),;", octet) != NULL)) {
            return 0;
        }
        out[i] = octet;
    }
    return is_quoted ? 0 : text.size;
}

/* What of an address that is not ASCII is shown as text, and whether it can still be answered to. */
static void split_address(struct surrogate_field *rewriting, struct bytes element)
{
    struct bytes shown, address;
    size_t open = header_find(element, 0, "<", false);
    if (open < element.size) {
        size_t close = header_find(element, open + 1, ">", false);
        shown = (struct bytes){.data = element.data, .size = open};
        address = (struct bytes){.data = element.data + open + 1, .size = close - open - 1};
        if (header_trim(shown).size == 0) {
            shown = bytes_from(element, close + 1);
        }
    } else {
        size_t comment = header_find(element, 0, "(", false);
        address = (struct bytes){.data = element.data, .size = comment};
        shown = bytes_from(element, comment);
    }
    bool is_closed =
        open == element.size || address.data + address.size < element.data + element.size;
    rewriting->address_size = is_closed ? copy_address(address, rewriting->address) : 0;
    rewriting->text.rest = rewriting->address_size == 0 ? element : shown;
}

/* The next element and its delimiter leave the rest. */
static struct bytes take_element(struct surrogate_field *rewriting, const char *delimiters,
                                 bool addresses)
{
    struct bytes rest = rewriting->rest;
    struct bytes element = {.data = rest.data, .size = header_find(rest, 0, delimiters, addresses)};
    rewriting->delimiter = bytes_from(rest, element.size);
    rewriting->rest = bytes_from(rewriting->delimiter, 1);
    if (rewriting->delimiter.size != 0) {
        rewriting->delimiter.size = 1;
    }
    return element;
}

/* An address, or the name of a group, whose delimiter is the colon. */
static struct bytes next_address(struct surrogate_field *rewriting)
{
    if (rewriting->rest.size == 0) {
        rewriting->step = SURROGATE_AT_END;
        return (struct bytes){0};
    }
    struct bytes element = take_element(rewriting, ",;:", true);
    if (header_is_ascii(element)) {
        rewriting->step = SURROGATE_AT_DELIMITER;
        return header_trim_end(element);
    }
    bool is_group = rewriting->delimiter.size != 0 && rewriting->delimiter.data[0] == ':';
    rewriting->text = (struct surrogate_text){.rest = element, .unquotes = true};
    rewriting->words_begun = false;
    rewriting->address_size = 0;
    if (!is_group) {
        split_address(rewriting, element);
    }
    rewriting->step = SURROGATE_AT_WORDS;
    return (struct bytes){0};
}

static struct bytes write_address(struct surrogate_field *rewriting)
{
    struct buffer piece;
    bool is_group = rewriting->delimiter.size != 0 && rewriting->delimiter.data[0] == ':';
    rewriting->step = SURROGATE_AT_DELIMITER;
    if (is_group) {
        return (struct bytes){0};
    }
    buffer_init(&piece, rewriting->piece, sizeof rewriting->piece);
    buffer_append(&piece, separator(rewriting));
    if (rewriting->address_size == 0) {
        buffer_append_text(&piece, nobody);
    } else {
        buffer_append_octet(&piece, '<');
        buffer_append(&piece, (struct bytes){rewriting->address, rewriting->address_size});
        buffer_append_octet(&piece, '>');
    }
    return buffer_pending(&piece);
}

/* A parameter, with the semicolon in front of it; the first is the value. */
static struct bytes next_parameter(struct surrogate_field *rewriting)
{
    struct bytes from = rewriting->rest;
    if (from.size == 0) {
        rewriting->step = SURROGATE_AT_END;
        return (struct bytes){0};
    }
    size_t end = header_find(from, 1, ";", false);
    struct bytes parameter = {.data = from.data, .size = end};
    rewriting->rest = bytes_from(from, end);
    return header_is_ascii(parameter) ? header_trim_end(parameter) : (struct bytes){0};
}

/* The name and its colon. What is not rewritten is one piece. */
static struct bytes begin(struct surrogate_field *rewriting)
{
    struct bytes field = rewriting->rest;
    if (rewriting->manner == SURROGATE_AS_IT_IS || rewriting->manner == SURROGATE_NOTHING) {
        rewriting->rest = (struct bytes){0};
        rewriting->step = SURROGATE_AT_END;
        rewriting->begun = true;
        return rewriting->manner == SURROGATE_AS_IT_IS ? field : (struct bytes){0};
    }
    size_t size = bytes_find(field, ':') + 1;
    rewriting->rest = bytes_from(field, size);
    rewriting->step = SURROGATE_AT_ELEMENT;
    if (rewriting->manner == SURROGATE_TEXT) {
        rewriting->text = (struct surrogate_text){.rest = rewriting->rest};
        rewriting->words_begun = false;
        rewriting->step = SURROGATE_AT_WORDS;
    }
    return (struct bytes){.data = field.data, .size = size};
}

static struct bytes do_step(struct surrogate_field *rewriting)
{
    struct bytes piece = {0};
    switch (rewriting->step) {
    case SURROGATE_AT_NAME:
        return begin(rewriting);
    case SURROGATE_AT_ELEMENT:
        return rewriting->manner == SURROGATE_PARAMETERS ? next_parameter(rewriting)
                                                         : next_address(rewriting);
    case SURROGATE_AT_WORDS:
        piece = next_word(rewriting);
        if (piece.size == 0) {
            rewriting->step =
                rewriting->manner == SURROGATE_TEXT ? SURROGATE_AT_END : SURROGATE_AT_ADDRESS;
        }
        return piece;
    case SURROGATE_AT_ADDRESS:
        return write_address(rewriting);
    case SURROGATE_AT_DELIMITER:
        rewriting->begun = true;
        rewriting->step = SURROGATE_AT_ELEMENT;
        return rewriting->delimiter;
    case SURROGATE_AT_END:
        return piece;
    }
    return piece;
}

struct bytes surrogate_field_next(struct surrogate_field *rewriting)
{
    while (rewriting->step != SURROGATE_AT_END) {
        struct bytes piece = do_step(rewriting);
        if (piece.size != 0) {
            return piece;
        }
    }
    bool is_rewritten = rewriting->manner != SURROGATE_AS_IT_IS &&
                        rewriting->manner != SURROGATE_NOTHING && !rewriting->ended;
    rewriting->ended = true;
    return is_rewritten ? bytes_of("\n") : (struct bytes){0};
}
