/* SPDX-License-Identifier: MIT */
/* The grammar of tokens, and as much of JSON (RFC 8259) as the refusal of one needs: strings are written, and
 * one member of an object is looked for, without memory and in one pass, however deep its neighbours nest. */
#include "sasl/bearer_text.h"

static bool is_printable(uint8_t octet)
{
    return octet >= 0x20 && octet < 0x7F;
}

static bool is_of_token(uint8_t octet)
{
    return (octet >= 'A' && octet <= 'Z') || (octet >= 'a' && octet <= 'z') ||
           (octet >= '0' && octet <= '9') ||
           (octet != '\0' && octet < 0x80 && strchr("-._~+/", octet) != NULL);
}

bool bearer_is_token(struct bytes text)
{
    size_t end = 0;
    while (end < text.size && is_of_token(text.data[end])) {
        end++;
    }
    bool begun = end > 0;
    while (end < text.size && text.data[end] == '=') {
        end++;
    }
    return begun && end == text.size;
}

void bearer_append_string(struct buffer *out, const char *text)
{
    buffer_append_octet(out, '"');
    for (; *text != '\0'; text++) {
        if (*text == '"' || *text == '\\') {
            buffer_append_octet(out, '\\');
        }
        if (is_printable((uint8_t)*text)) {
            buffer_append_octet(out, (uint8_t)*text);
        }
    }
    buffer_append_octet(out, '"');
}

static bool take(struct bytes *rest, char octet)
{
    while (rest->size > 0 && rest->data[0] != '\0' && strchr(" \t\r\n", rest->data[0]) != NULL) {
        *rest = bytes_from(*rest, 1);
    }
    if (rest->size == 0 || rest->data[0] != (uint8_t)octet) {
        return false;
    }
    *rest = bytes_from(*rest, 1);
    return true;
}

/* Takes a string whose first quote was taken, and the quote at its end. */
static bool take_string(struct bytes *rest, struct bytes *raw_out)
{
    size_t end = 0;
    while (end < rest->size && rest->data[end] != '"') {
        end += rest->data[end] == '\\' ? 2 : 1;
    }
    if (end >= rest->size) {
        return false;
    }
    *raw_out = (struct bytes){rest->data, end};
    *rest = bytes_from(*rest, end + 1);
    return true;
}

/* Takes a value of any kind: up to a comma or the end of the object around it. */
static bool skip_value(struct bytes *rest)
{
    struct bytes string;
    size_t depth = 0;
    while (rest->size > 0) {
        uint8_t octet = rest->data[0];
        if (depth == 0 && (octet == ',' || octet == '}')) {
            return true;
        }
        *rest = bytes_from(*rest, 1);
        if (octet == '"' && !take_string(rest, &string)) {
            return false;
        }
        if (octet == '{' || octet == '[') {
            depth++;
        } else if ((octet == '}' || octet == ']') && depth-- == 0) {
            return false;
        }
    }
    return false;
}

static void copy_plain(struct bytes raw, char *out, size_t capacity)
{
    size_t size = 0;
    for (size_t i = 0; i < raw.size && size + 1 < capacity; i++) {
        if (raw.data[i] == '\\') {
            i++;
        } else if (is_printable(raw.data[i])) {
            out[size++] = (char)raw.data[i];
        }
    }
    out[size] = '\0';
}

bool bearer_find_string(struct bytes json, const char *name, char *out, size_t capacity)
{
    struct bytes rest = json, key, value;
    if (!take(&rest, '{')) {
        return false;
    }
    do {
        if (!take(&rest, '"') || !take_string(&rest, &key) || !take(&rest, ':')) {
            return false;
        }
        if (!bytes_equal(key, bytes_of(name))) {
            if (!skip_value(&rest)) {
                return false;
            }
        } else if (take(&rest, '"') && take_string(&rest, &value)) {
            copy_plain(value, out, capacity);
            return true;
        } else {
            return false;
        }
    } while (take(&rest, ','));
    return false;
}
