/* SPDX-License-Identifier: MIT */
#include "pop3/header_field.h"

bool header_is_blank(uint8_t octet)
{
    return octet == ' ' || octet == '\t' || octet == '\r' || octet == '\n';
}

struct bytes header_trim_end(struct bytes text)
{
    while (text.size != 0 && header_is_blank(text.data[text.size - 1])) {
        text.size--;
    }
    return text;
}

struct bytes header_trim(struct bytes text)
{
    size_t at = 0;
    while (at < text.size && header_is_blank(text.data[at])) {
        at++;
    }
    return header_trim_end(bytes_from(text, at));
}

bool header_is_ascii(struct bytes octets)
{
    uint8_t all = 0;
    for (size_t i = 0; i < octets.size; i++) {
        all |= octets.data[i];
    }
    return all < 0x80;
}

/* Behind the quoted string that begins at `at`. */
static size_t skip_quoted(struct bytes text, size_t at)
{
    for (at++; at < text.size && text.data[at] != '"'; at++) {
        at += text.data[at] == '\\';
    }
    return at + 1;
}

static size_t skip_comment(struct bytes text, size_t at)
{
    size_t depth = 0;
    for (; at < text.size; at++) {
        uint8_t octet = text.data[at];
        if (octet == '\\') {
            at++;
        } else if (octet == '(') {
            depth++;
        } else if (octet == ')' && --depth == 0) {
            break;
        }
    }
    return at + 1;
}

size_t header_skip(struct bytes text, size_t at)
{
    size_t end = at + 1;
    if (text.data[at] == '"') {
        end = skip_quoted(text, at);
    } else if (text.data[at] == '(') {
        end = skip_comment(text, at);
    }
    return end < text.size ? end : text.size;
}

static size_t skip_to(struct bytes text, size_t at, uint8_t closing)
{
    while (at < text.size && text.data[at] != closing) {
        at = header_skip(text, at);
    }
    return at + 1;
}

size_t header_find(struct bytes text, size_t at, const char *delimiters, bool addresses)
{
    while (at < text.size) {
        uint8_t octet = text.data[at];
        if (octet != '\0' && strchr(delimiters, octet) != NULL) {
            return at;
        }
        if (addresses && (octet == '<' || octet == '[')) {
            at = skip_to(text, at, octet == '<' ? '>' : ']');
        } else {
            at = header_skip(text, at);
        }
    }
    return text.size;
}

struct bytes header_name(struct bytes field)
{
    size_t colon = bytes_find(field, ':');
    if (colon == field.size || header_is_blank(field.data[0])) {
        return (struct bytes){0};
    }
    return header_trim_end((struct bytes){.data = field.data, .size = colon});
}

struct bytes header_value(struct bytes field)
{
    return header_name(field).size == 0 ? (struct bytes){0}
                                        : bytes_from(field, bytes_find(field, ':') + 1);
}

/* Without the comments and blanks that stand in front. */
static struct bytes skip_front(struct bytes text)
{
    size_t at = 0;
    while (at < text.size && (header_is_blank(text.data[at]) || text.data[at] == '(')) {
        at = header_skip(text, at);
    }
    return bytes_from(text, at);
}

/* The token at the front of *text, which loses it. RFC 2045 section 5.1. */
static struct bytes take_token(struct bytes *text)
{
    static const char specials[] = "()<>@,;:\\\"/[]?=";
    *text = skip_front(*text);
    size_t size = 0;
    while (size < text->size && text->data[size] > 0x20 && text->data[size] < 0x7F &&
           strchr(specials, text->data[size]) == NULL) {
        size++;
    }
    struct bytes token = {.data = text->data, .size = size};
    *text = bytes_from(*text, size);
    return token;
}

static bool take_octet(struct bytes *text, uint8_t octet)
{
    *text = skip_front(*text);
    if (text->size == 0 || text->data[0] != octet) {
        return false;
    }
    *text = bytes_from(*text, 1);
    return true;
}

/* Many write a boundary without the quotes that it needs: then it ends where the parameter does. */
static void take_boundary(struct bytes value, struct content *content)
{
    value = header_trim(value);
    bool is_quoted = take_octet(&value, '"');
    size_t size = 0;
    for (size_t i = 0; i < value.size && !(is_quoted && value.data[i] == '"'); i++) {
        i += is_quoted && value.data[i] == '\\';
        if (i == value.size || size == CONTENT_BOUNDARY_OCTETS ||
            (!is_quoted && header_is_blank(value.data[i]))) {
            return;
        }
        content->boundary[size++] = value.data[i];
    }
    content->boundary_size =
        header_trim_end((struct bytes){.data = content->boundary, .size = size}).size;
}

static enum content_kind kind_of(struct bytes type, struct bytes subtype)
{
    if (bytes_equal_ignoring_case(type, bytes_of("multipart"))) {
        bool is_digest = bytes_equal_ignoring_case(subtype, bytes_of("digest"));
        return is_digest ? CONTENT_DIGEST : CONTENT_MULTIPART;
    }
    if (bytes_equal_ignoring_case(type, bytes_of("message")) &&
        (bytes_equal_ignoring_case(subtype, bytes_of("rfc822")) ||
         bytes_equal_ignoring_case(subtype, bytes_of("global")))) {
        return CONTENT_MESSAGE;
    }
    return CONTENT_OTHER;
}

static void take_parameter(struct bytes parameter, struct content *content)
{
    struct bytes name = take_token(&parameter);
    if (bytes_equal_ignoring_case(name, bytes_of("boundary")) && content->boundary_size == 0 &&
        take_octet(&parameter, '=')) {
        take_boundary(parameter, content);
    }
}

bool header_content(struct bytes value, struct content *content_out)
{
    struct bytes rest = {.data = value.data, .size = header_find(value, 0, ";", false)};
    *content_out = (struct content){.kind = CONTENT_OTHER};
    if (!header_is_ascii(rest)) {
        return false;
    }
    size_t at = rest.size + 1;
    struct bytes type = take_token(&rest);
    if (take_octet(&rest, '/')) {
        content_out->kind = kind_of(type, take_token(&rest));
    }
    while (at < value.size) {
        size_t end = header_find(value, at, ";", false);
        struct bytes parameter = {.data = value.data + at, .size = end - at};
        if (header_is_ascii(parameter)) {
            take_parameter(parameter, content_out);
        }
        at = end + 1;
    }
    return true;
}
