/* SPDX-License-Identifier: MIT */
#include "fetch/smtp_url.h"

#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "base/number.h"
#include "net/address.h"

enum { PORT_SMTP = 25, PORT_SMTPS = 465 };

static bool is_host(struct bytes host)
{
    for (size_t i = 0; i < host.size; i++) {
        if (host.data[i] <= ' ' || host.data[i] >= 0x7F || memchr("/@?#\\\"<>", host.data[i], 8)) {
            return false;
        }
    }
    return host.size != 0 && host.size < SMTP_URL_HOST_OCTETS - 2;
}

/* Cuts [ADDRESS] or HOST off the front. */
static bool take_host(struct bytes *rest, bool *has_brackets_out, struct bytes *host_out)
{
    *has_brackets_out = rest->size != 0 && rest->data[0] == '[';
    if (*has_brackets_out) {
        size_t end = bytes_find(*rest, ']');
        if (end == rest->size) {
            return false;
        }
        *host_out = (struct bytes){rest->data + 1, end - 1};
        *rest = bytes_from(*rest, end + 1);
    } else {
        *host_out = (struct bytes){rest->data, bytes_find(*rest, ':')};
        *rest = bytes_from(*rest, host_out->size);
    }
    return is_host(*host_out);
}

static bool is_this_machine(struct bytes host)
{
    struct sockaddr_storage address;
    return bytes_equal_ignoring_case(host, bytes_of("localhost")) ||
           (address_parse_host(host, 0, &address) == 0 && address_is_loopback(&address));
}

int smtp_url_parse(const char *text, struct smtp_url *url_out)
{
    struct bytes rest = bytes_of(text);
    struct bytes host;
    bool has_brackets;
    uint64_t port = PORT_SMTP;
    *url_out = (struct smtp_url){0};
    if (bytes_take_prefix(&rest, "smtps://")) {
        url_out->implicit_tls = true;
        port = PORT_SMTPS;
    } else if (!bytes_take_prefix(&rest, "smtp://")) {
        return -1;
    }
    if (!take_host(&rest, &has_brackets, &host)) {
        return -1;
    }
    if (rest.size != 0 && rest.data[0] == ':') {
        rest = bytes_from(rest, 1);
        if (number_parse(rest, 65535, &port) < 0 || port == 0) {
            return -1;
        }
    } else if (rest.size != 0 && !(rest.size == 1 && rest.data[0] == '/')) {
        return -1;
    }
    url_out->is_loopback = is_this_machine(host);
    memcpy(url_out->host, host.data, host.size);
    (void)snprintf(url_out->place, sizeof url_out->place, has_brackets ? "[%s]:%u" : "%s:%u",
                   url_out->host, (unsigned)port);
    return 0;
}
