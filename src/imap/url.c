/* SPDX-License-Identifier: MIT */
#include "imap/url.h"

#include <ctype.h>

#include "base/number.h"
#include "imap/mailbox_name.h"

static int digit_of(uint8_t octet)
{
    return isdigit(octet) ? octet - '0' : isxdigit(octet) ? (octet | 0x20) - 'a' + 10 : -1;
}

/* Control characters, NUL first of all, are in no name. */
static int decode(struct bytes text, char *out, size_t capacity)
{
    size_t used = 0;
    for (size_t i = 0; i < text.size; i++) {
        int octet = text.data[i];
        if (octet == '%') {
            int high = i + 2 < text.size ? digit_of(text.data[i + 1]) : -1;
            int low = i + 2 < text.size ? digit_of(text.data[i + 2]) : -1;
            octet = high < 0 || low < 0 ? 0 : high * 16 + low;
            i += 2;
        }
        if (octet < ' ' || octet == 0x7F || used + 1 >= capacity) {
            return -1;
        }
        out[used++] = (char)octet;
    }
    out[used] = '\0';
    return used == 0 ? -1 : 0;
}

static size_t find_last(struct bytes text, uint8_t octet)
{
    size_t at = text.size;
    while (at > 0 && text.data[at - 1] != octet) {
        at--;
    }
    return at == 0 ? text.size : at - 1;
}

static int take_host(struct bytes text, struct imap_url *url)
{
    if (text.size == 0) {
        return -1;
    }
    bool is_bracketed = text.data[0] == '[';
    size_t end = is_bracketed ? bytes_find(text, ']') : bytes_find(text, ':');
    struct bytes host = {text.data + is_bracketed, end - is_bracketed};
    struct bytes rest = bytes_from(text, end + is_bracketed);
    uint64_t port = 0;
    if ((is_bracketed && end == text.size) || decode(host, url->host, sizeof url->host) < 0 ||
        strpbrk(url->host, "/ \\") != NULL) {
        return -1;
    }
    if (rest.size > 0) {
        if (rest.data[0] != ':' || number_parse(bytes_from(rest, 1), 65535, &port) < 0 ||
            port == 0) {
            return -1;
        }
        url->port = (uint32_t)port;
    }
    return 0;
}

int imap_url_parse(const char *text, struct imap_url *url_out)
{
    static const char implicit[] = "imaps://", plain[] = "imap://";
    char encoded[1000];
    struct imap_url url = {.mailbox = "INBOX"};
    url.is_implicit_tls = strncmp(text, implicit, sizeof implicit - 1) == 0;
    if (!url.is_implicit_tls && strncmp(text, plain, sizeof plain - 1) != 0) {
        return -1;
    }
    url.port = url.is_implicit_tls ? 993 : 143;
    struct bytes rest = bytes_of(text + (url.is_implicit_tls ? sizeof implicit : sizeof plain) - 1);
    struct bytes authority = {rest.data, bytes_find(rest, '/')};
    struct bytes mailbox = bytes_from(rest, authority.size + 1);
    struct bytes user = {authority.data, find_last(authority, '@')};
    if (user.size == authority.size || bytes_find(user, ';') < user.size ||
        decode(user, url.user, sizeof url.user) < 0 ||
        take_host(bytes_from(authority, user.size + 1), &url) < 0 ||
        (mailbox.size > 0 && decode(mailbox, url.mailbox, sizeof url.mailbox) < 0) ||
        imap_mailbox_name_encode(url.mailbox, encoded, sizeof encoded) < 0) {
        return -1;
    }
    *url_out = url;
    return 0;
}
