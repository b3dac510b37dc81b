/* SPDX-License-Identifier: MIT */
#include "http/http.h"

static bool is_this_machine(struct bytes host)
{
    static const char *const names[] = {"localhost", "127.0.0.1", "::1"};
    bool found = false;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        found = found || bytes_equal_ignoring_case(host, bytes_of(names[i]));
    }
    return found;
}

static bool begins_with(const char *url, const char *scheme)
{
    return strncasecmp(url, scheme, strlen(scheme)) == 0;
}

/* Is it nothing, or a colon and digits? */
static bool is_port(struct bytes text)
{
    bool good = text.size == 0 || (text.data[0] == ':' && text.size > 1 && text.size <= 6);
    for (size_t i = 1; good && i < text.size; i++) {
        good = text.data[i] >= '0' && text.data[i] <= '9';
    }
    return good;
}

/* NAME or [ADDRESS], perhaps with a port behind it, and nothing else. */
static bool take_host(struct bytes authority, struct bytes *host_out)
{
    struct bytes host = {authority.data, bytes_find(authority, ':')};
    struct bytes rest = bytes_from(authority, host.size);
    if (authority.size != 0 && authority.data[0] == '[') {
        host = bytes_from(authority, 1);
        host.size = bytes_find(host, ']');
        rest = bytes_from(authority, host.size + 2);
        if (host.size + 2 > authority.size) {
            return false;
        }
    }
    *host_out = host;
    return host.size != 0 && bytes_find(authority, '@') == authority.size && is_port(rest);
}

bool http_url_check(const char *url, struct bytes *host_out)
{
    static const char secure[] = "https://", clear[] = "http://";
    bool is_clear = begins_with(url, clear);
    struct bytes host;
    if (!is_clear && !begins_with(url, secure)) {
        return false;
    }
    for (const char *at = url; *at != '\0'; at++) {
        if (*at <= ' ' || *at >= 0x7F || *at == '\\') {
            return false;
        }
    }
    const char *rest = url + (is_clear ? sizeof clear : sizeof secure) - 1;
    if (strlen(url) > HTTP_URL_OCTETS_MAX ||
        !take_host((struct bytes){(const uint8_t *)rest, strcspn(rest, "/?#")}, &host)) {
        return false;
    }
    if (host_out != NULL) {
        *host_out = host;
    }
    return !is_clear || is_this_machine(host);
}
