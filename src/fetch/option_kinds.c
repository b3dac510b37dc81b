/* SPDX-License-Identifier: MIT */
#include "fetch/option_kinds.h"

#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/number.h"
#include "fetch/account.h"
#include "fetch/smtp_url.h"
#include "http/http.h"
#include "imap/client.h"
#include "imap/url.h"
#include "sasl/mechanism.h"

/* Takes `text`, malloc'ed; NULL is no memory. */
static int take_text(char *text, char **field)
{
    if (text == NULL) {
        return -1;
    }
    free(*field);
    *field = text;
    return 0;
}

static int parse_text(const char *value, void *field)
{
    if (*value == '\0' || value[strcspn(value, "\r\n")] != '\0') {
        return -1;
    }
    return take_text(strdup(value), field);
}

static int parse_url(const char *value, void *field)
{
    return http_url_check(value, NULL) ? take_text(strdup(value), field) : -1;
}

static char *join(const char *folder, const char *name)
{
    char *path = NULL;
    return asprintf(&path, "%s/%s", folder, name) < 0 ? NULL : path;
}

static const char *home(void)
{
    const char *folder = getenv("HOME");
    const struct passwd *entry = folder == NULL || folder[0] != '/' ? getpwuid(getuid()) : NULL;
    return entry != NULL ? entry->pw_dir : folder;
}

/* `~/` is the home folder, a relative path begins where restante was started. */
static int parse_path(const char *value, void *field)
{
    if (*value == '\0') {
        return -1;
    }
    if (value[0] == '/') {
        return take_text(strdup(value), field);
    }
    if (value[0] == '~') {
        const char *folder = home();
        bool good = folder != NULL && folder[0] == '/' && (value[1] == '/' || value[1] == '\0');
        return good ? take_text(join(folder, value + (value[1] == '/' ? 2 : 1)), field) : -1;
    }
    char folder[PATH_MAX];
    return getcwd(folder, sizeof folder) == NULL ? -1 : take_text(join(folder, value), field);
}

static int parse_port(const char *value, void *field)
{
    uint64_t number;
    if (number_parse(bytes_of(value), 65535, &number) < 0) {
        return -1;
    }
    *(uint32_t *)field = (uint32_t)number;
    return 0;
}

static int parse_boolean(const char *value, void *field)
{
    bool yes = strcmp(value, "yes") == 0;
    *(bool *)field = yes;
    return yes || strcmp(value, "no") == 0 ? 0 : -1;
}

static int parse_tls(const char *value, void *field)
{
    static const char *const choices[] = {"implicit", "stls", "never"};
    for (unsigned i = 0; i < sizeof choices / sizeof choices[0]; i++) {
        if (strcmp(value, choices[i]) == 0) {
            *(enum fetch_tls *)field = (enum fetch_tls)i;
            return 0;
        }
    }
    return -1;
}

/* Digits of either case, with or without colons between octets, as openssl and browsers show them. */
static int parse_fingerprint(const char *value, void *field)
{
    static const char digits[] = "0123456789abcdefABCDEF";
    char text[65];
    size_t size = 0;
    for (; *value != '\0'; value++) {
        if (*value == ':' && size != 0 && size % 2 == 0) {
            continue;
        }
        const char *digit = strchr(digits, *value);
        if (digit == NULL || size == 64) {
            return -1;
        }
        text[size++] = digits[(digit - digits) < 16 ? digit - digits : digit - digits - 6];
    }
    text[size] = '\0';
    return size == 64 ? take_text(strdup(text), field) : -1;
}

static int parse_auth(const char *value, void *field)
{
    struct bytes text = bytes_of(value);
    if (bytes_equal_ignoring_case(text, bytes_of("auto"))) {
        return take_text(strdup("auto"), field);
    }
    if (bytes_equal_ignoring_case(text, bytes_of("USER"))) {
        return take_text(strdup("USER"), field);
    }
    enum sasl_mechanism mechanism = sasl_mechanism_find(text);
    if (mechanism == SASL_MECHANISM_COUNT || mechanism == SASL_EXTERNAL) {
        return -1;
    }
    return take_text(strdup(sasl_mechanism_name(mechanism)), field);
}

static int parse_imap(const char *value, void *field)
{
    struct imap_url url;
    return imap_url_parse(value, &url) < 0 ? -1 : take_text(strdup(value), field);
}

static int parse_flags(const char *value, void *field)
{
    return *value == '\0' || !imap_are_flags(value) ? -1 : take_text(strdup(value), field);
}

static int parse_timeout(const char *value, void *field)
{
    uint64_t *milliseconds = field;
    return number_parse_duration(bytes_of(value), milliseconds) < 0 || *milliseconds == 0 ||
                   *milliseconds > 3600000
               ? -1
               : 0;
}

static int parse_keep(const char *value, void *field)
{
    static const char newest[] = "newest:";
    struct fetch_keep *keep = field;
    struct bytes text = bytes_of(value);
    uint64_t number = 0;
    bool yes = false;
    if (parse_boolean(value, &yes) == 0) {
        keep->kind = yes ? FETCH_KEEP_ALL : FETCH_KEEP_NONE;
        return 0;
    }
    if (strncmp(value, newest, sizeof newest - 1) == 0) {
        keep->kind = FETCH_KEEP_NEWEST;
        text = bytes_from(text, sizeof newest - 1);
    } else if (text.size > 1 && value[text.size - 1] == 'd') {
        keep->kind = FETCH_KEEP_DAYS;
        text.size--;
    } else {
        return -1;
    }
    if (number_parse(text, keep->kind == FETCH_KEEP_DAYS ? 36500 : 10000000, &number) < 0 ||
        number == 0) {
        return -1;
    }
    keep->number = (uint32_t)number;
    return 0;
}

static int parse_address(const char *value, void *field)
{
    struct bytes text = bytes_of(value);
    size_t at = bytes_find(text, '@');
    bool good = at > 0 && at + 1 < text.size && text.size < 255;
    for (size_t i = 0; i < text.size; i++) {
        good = good && text.data[i] > ' ' && text.data[i] < 0x7F;
    }
    return good ? take_text(strdup(value), field) : -1;
}

static int parse_http_url(const char *value, void *field)
{
    return http_url_check(value, NULL) ? take_text(strdup(value), field) : -1;
}

static int parse_smtp_url(const char *value, void *field)
{
    struct smtp_url url;
    return smtp_url_parse(value, &url) < 0 ? -1 : take_text(strdup(value), field);
}

static int parse_provider(const char *value, void *field)
{
    return oauth_provider_is_known(value) ? take_text(strdup(value), field) : -1;
}

static int parse_flow(const char *value, void *field)
{
    static const char *const choices[] = {[OAUTH_BY_CODE] = "code",
                                          [OAUTH_BY_DEVICE] = "device",
                                          [OAUTH_BY_CLIENT] = "client",
                                          [OAUTH_BY_SERVICE] = "service"};
    for (unsigned i = 0; i < sizeof choices / sizeof choices[0]; i++) {
        if (strcmp(value, choices[i]) == 0) {
            *(enum oauth_flow *)field = (enum oauth_flow)i;
            return 0;
        }
    }
    return -1;
}

static int parse_size(const char *value, void *field)
{
    return number_parse_size(bytes_of(value), field);
}

const struct option_kind option_kind_text = {parse_text, "what fits in one line", 1, 0};
const struct option_kind option_kind_url = {
    parse_url, "a URL that begins with https://, or with http:// on this machine", 1, 0};
const struct option_kind option_kind_path = {
    parse_path, "a path, like ~/Mail/home (~USER is not understood)", 1, 0};
const struct option_kind option_kind_port = {parse_port, "a number from 1 to 65535", 0, 0};
const struct option_kind option_kind_boolean = {parse_boolean, "yes or no", 0, 1};
const struct option_kind option_kind_tls = {parse_tls, "implicit, stls or never", 0, 0};
const struct option_kind option_kind_fingerprint = {
    parse_fingerprint,
    "the 64 hexadecimal digits of the certificate's SHA-256, as `openssl x509 -noout -sha256 "
    "-fingerprint' shows them",
    1, 0};
const struct option_kind option_kind_auth = {
    parse_auth,
    "auto, USER, APOP, PLAIN, LOGIN, CRAM-MD5, SCRAM-SHA-1 or SCRAM-SHA-256, these two also with "
    "-PLUS, OAUTHBEARER or XOAUTH2",
    1, 0};
const struct option_kind option_kind_provider = {parse_provider,
                                                 "google, microsoft, yahoo, aol or custom", 1, 0};
const struct option_kind option_kind_flow = {parse_flow, "code, device, client or service", 0, 0};
const struct option_kind option_kind_imap = {
    parse_imap,
    "imaps://USER@HOST/FOLDER, or imap://... for STARTTLS; what a URL cannot have as %20", 1, 0};
const struct option_kind option_kind_flags = {
    parse_flags, "flags and keywords with blanks between, like \\Seen $Work", 1, 0};
const struct option_kind option_kind_timeout = {
    parse_timeout, "a number with a unit (ms, s, m), like 90s, of at most an hour", 0, 0};
const struct option_kind option_kind_keep = {
    parse_keep, "yes, no, a number of days like 14d, or newest: and a number, like newest:500", 0,
    1};
const struct option_kind option_kind_smtp_url = {
    parse_smtp_url,
    "smtp://HOST, smtps://HOST, or one of them with :PORT (the name goes to smtp-user)", 1, 0};
const struct option_kind option_kind_address = {
    parse_address, "the address of the mailbox, like me@gmail.com", 1, 0};
const struct option_kind option_kind_http_url = {
    parse_http_url, "https://HOST, or http:// to this machine, without a slash at its end", 1, 0};
const struct option_kind option_kind_size = {parse_size, "a size, like 20M; 0 is no limit", 0, 0};
