/* SPDX-License-Identifier: MIT */
/* Header fields: found by ourselves, so that a header's cost is bounded, and decoded by GMime.
 * RFC 5322 section 2.2, RFC 2047. */
#include "reader/header.h"

#include <gmime/gmime.h>

#include "reader/bounds.h"
#include "reader/encoded_words.h"
#include "reader/text.h"

static bool is_blank(uint8_t octet)
{
    return octet == ' ' || octet == '\t';
}

/* The line at the front, without its end; `next_out`: what follows. */
static struct bytes take_line(struct bytes octets, struct bytes *next_out)
{
    size_t size = bytes_find(octets, '\n');
    *next_out = bytes_from(octets, size + 1);
    if (size > 0 && octets.data[size - 1] == '\r') {
        size--;
    }
    return (struct bytes){.data = octets.data, .size = size};
}

bool header_is_field(struct bytes line)
{
    size_t at = 0;
    while (at < line.size && line.data[at] > ' ' && line.data[at] < 0x7F && line.data[at] != ':') {
        at++;
    }
    size_t name = at;
    while (at < line.size && is_blank(line.data[at])) {
        at++;
    }
    return name > 0 && at < line.size && line.data[at] == ':';
}

size_t header_size(struct bytes message)
{
    struct bytes rest = message;
    while (rest.size > 0) {
        struct bytes line = take_line(rest, &rest);
        if (line.size == 0) {
            return message.size - rest.size;
        }
    }
    return message.size;
}

/* Is it the field `name`? `value_out`: what follows the colon. */
static bool is_named(struct bytes line, const char *name, struct bytes *value_out)
{
    size_t size = strlen(name);
    if (line.size <= size || g_ascii_strncasecmp((const char *)line.data, name, size) != 0) {
        return false;
    }
    size_t at = size;
    while (at < line.size && is_blank(line.data[at])) {
        at++;
    }
    if (at == line.size || line.data[at] != ':') {
        return false;
    }
    *value_out = bytes_from(line, at + 1);
    return true;
}

static void append_value(GString *out, struct bytes line)
{
    size_t size = MIN(line.size, READER_FIELD_OCTETS - out->len);
    for (size_t i = 0; i < size; i++) {
        (void)g_string_append_c(out, line.data[i] == '\0' ? ' ' : (char)line.data[i]);
    }
}

char *header_raw(struct bytes header, const char *name)
{
    struct bytes rest = header;
    struct bytes value;
    while (rest.size > 0) {
        struct bytes line = take_line(rest, &rest);
        if (line.size == 0) {
            break;
        }
        if (!is_named(line, name, &value)) {
            continue;
        }
        GString *out = g_string_new(NULL);
        append_value(out, value);
        while (rest.size > 0 && is_blank(rest.data[0])) {
            append_value(out, take_line(rest, &rest));
        }
        return g_strstrip(g_string_free(out, FALSE));
    }
    return NULL;
}

/* What has no charset of its own is UTF-8 or, failing that, Windows-1252. */
static GMimeParserOptions *options(void)
{
    static GMimeParserOptions *made;
    if (made == NULL) {
        static const char *charsets[] = {"utf-8", "windows-1252", "iso-8859-1", NULL};
        made = g_mime_parser_options_new();
        g_mime_parser_options_set_fallback_charsets(made, charsets);
    }
    return made;
}

static char *take_harmless(char *text)
{
    GString *out = g_string_new(NULL);
    text_append(out, bytes_of(text), TEXT_LINE);
    g_free(text);
    return g_string_free(out, FALSE);
}

static char *take_decoded(const char *raw)
{
    g_autofree char *joined = encoded_words_join(raw);
    return take_harmless(g_mime_utils_header_decode_text(options(), joined));
}

char *header_text(struct bytes header, const char *name)
{
    g_autofree char *raw = header_raw(header, name);
    if (raw == NULL) {
        return NULL;
    }
    return take_decoded(raw);
}

static void append_address(GString *out, InternetAddress *address, bool names_only)
{
    const char *name = internet_address_get_name(address);
    const char *mail = NULL;
    if (INTERNET_ADDRESS_IS_MAILBOX(address)) {
        mail = internet_address_mailbox_get_addr(INTERNET_ADDRESS_MAILBOX(address));
    }
    bool has_name = name != NULL && *name != '\0';
    if (out->len > 0) {
        (void)g_string_append(out, ", ");
    }
    if (has_name) {
        (void)g_string_append(out, name);
    }
    if (mail != NULL && !(names_only && has_name)) {
        g_string_append_printf(out, has_name ? " <%s>" : "%s", mail);
    }
    if (INTERNET_ADDRESS_IS_GROUP(address) && !names_only) {
        InternetAddressList *members =
            internet_address_group_get_members(INTERNET_ADDRESS_GROUP(address));
        g_autofree char *text = internet_address_list_to_string(members, NULL, FALSE);
        g_string_append_printf(out, ": %s;", text == NULL ? "" : text);
    }
}

char *header_addresses(struct bytes header, const char *name, bool names_only)
{
    g_autofree char *raw = header_raw(header, name);
    if (raw == NULL) {
        return NULL;
    }
    g_autofree char *joined = encoded_words_join(raw);
    InternetAddressList *list = internet_address_list_parse(options(), joined);
    if (list == NULL) {
        return take_decoded(raw);
    }
    GString *out = g_string_new(NULL);
    for (int i = 0; i < internet_address_list_length(list) && out->len < READER_FIELD_OCTETS; i++) {
        append_address(out, internet_address_list_get_address(list, i), names_only);
    }
    g_object_unref(list);
    return take_harmless(g_string_free(out, FALSE));
}

bool header_date(struct bytes header, int64_t *seconds_out)
{
    g_autofree char *raw = header_raw(header, "Date");
    g_autoptr(GDateTime) date = raw == NULL ? NULL : g_mime_utils_header_decode_date(raw);
    if (date == NULL) {
        return false;
    }
    *seconds_out = g_date_time_to_unix(date);
    return true;
}
