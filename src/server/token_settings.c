/* SPDX-License-Identifier: MIT */
#include "server/token_settings.h"

#include <stdio.h>
#include <string.h>

#include "server/setting_kinds.h"

static int take_text(const char *value, void *field)
{
    (void)snprintf(field, CONFIGURATION_VALUE_SIZE, "%s", value);
    return 0;
}

static bool is_none(const char *value)
{
    return strcmp(value, "none") == 0;
}

/* Something that can stand in JSON and in a list of words as it is. */
static int parse_claim(const char *value, void *field)
{
    for (const char *at = value; *at != '\0'; at++) {
        if (*at <= ' ' || *at >= 0x7F || *at == '"' || *at == '\\') {
            return -1;
        }
    }
    return *value == '\0' || strlen(value) >= CONFIGURATION_VALUE_SIZE ? -1
                                                                       : take_text(value, field);
}

static int parse_word(const char *value, void *field)
{
    return is_none(value) ? take_text("", field) : parse_claim(value, field);
}

/* Behind the scheme: a name or an address, perhaps a port, and no user. */
static struct bytes host_of(const char *rest)
{
    struct bytes authority = {(const uint8_t *)rest, strcspn(rest, "/?#")};
    struct bytes host = {authority.data, bytes_find(authority, ':')};
    if (authority.size > 0 && authority.data[0] == '[') {
        size_t end = bytes_find(authority, ']');
        host.size = end == authority.size ? 0 : end + 1;
    }
    if (bytes_find(authority, '@') < authority.size) {
        host.size = 0;
    }
    return host;
}

static int parse_https_url(const char *value, void *field)
{
    static const char scheme[] = "https://";
    if (is_none(value)) {
        return take_text("", field);
    }
    bool good = strncmp(value, scheme, sizeof scheme - 1) == 0 &&
                host_of(value + sizeof scheme - 1).size > 0;
    return good ? parse_claim(value, field) : -1;
}

/* In the clear, a token goes to this machine only. */
static int parse_introspection_url(const char *value, void *field)
{
    static const char scheme[] = "http://";
    static const char *const own[] = {"localhost", "127.0.0.1", "[::1]"};
    if (strncmp(value, scheme, sizeof scheme - 1) != 0) {
        return parse_https_url(value, field);
    }
    struct bytes host = host_of(value + sizeof scheme - 1);
    for (size_t i = 0; i < sizeof own / sizeof *own; i++) {
        if (bytes_equal(host, bytes_of(own[i]))) {
            return parse_claim(value, field);
        }
    }
    return -1;
}

/* Words with commas or blanks between, each of which `take` takes; how many, or -1. */
static int parse_words(const char *value, int (*take)(const char *word, void *field), void *field)
{
    char copy[CONFIGURATION_VALUE_SIZE];
    int count = 0;
    if (strlen(value) >= sizeof copy) {
        return -1;
    }
    (void)take_text(value, copy);
    char *rest = copy;
    for (char *word = strsep(&rest, ", \t"); word != NULL; word = strsep(&rest, ", \t")) {
        if (*word != '\0' && take(word, field) < 0) {
            return -1;
        }
        count += *word != '\0';
    }
    return count;
}

static int take_algorithm(const char *word, void *field)
{
    enum token_algorithm algorithm = token_algorithm_find(bytes_of(word));
    if (algorithm == TOKEN_ALGORITHM_COUNT) {
        return -1;
    }
    *(uint32_t *)field |= 1U << algorithm;
    return 0;
}

static int parse_algorithms(const char *value, void *field)
{
    *(uint32_t *)field = 0;
    return parse_words(value, take_algorithm, field) > 0 ? 0 : -1;
}

static int take_host(const char *word, void *field)
{
    char checked[CONFIGURATION_VALUE_SIZE];
    char *list = field;
    size_t size = strlen(list);
    if (parse_claim(word, checked) < 0) {
        return -1;
    }
    (void)snprintf(list + size, CONFIGURATION_VALUE_SIZE - size, "%s%s", size == 0 ? "" : " ",
                   checked);
    return 0;
}

static int parse_hosts(const char *value, void *field)
{
    *(char *)field = '\0';
    return is_none(value) || parse_words(value, take_host, field) > 0 ? 0 : -1;
}

static int parse_token_users(const char *value, void *field)
{
    bool any = strcmp(value, "any") == 0;
    *(bool *)field = any;
    return any || strcmp(value, "listed") == 0 ? 0 : -1;
}

const struct kind kind_claim = {parse_claim, "a text of printable ASCII without blanks and quotes"};
const struct kind kind_word = {parse_word,
                               "none or a text of printable ASCII without blanks and quotes"};
const struct kind kind_https_url = {parse_https_url,
                                    "none or a URL that begins with https:// and a host"};
const struct kind kind_introspection_url = {
    parse_introspection_url,
    "none or a URL that begins with https:// and a host, or with http://localhost, "
    "http://127.0.0.1 or http://[::1]"};
const struct kind kind_algorithms = {
    parse_algorithms, "a list of RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, ES512"};
const struct kind kind_hosts = {
    parse_hosts, "none or a list of NAME or NAME:PORT, like pop.example.org, localhost:995"};
const struct kind kind_token_users = {parse_token_users, "listed or any"};

static void note(const struct configuration *configuration, const char *file, const char *key,
                 const char *text, struct configuration_notes *notes)
{
    configuration_note(notes, true, file, configuration_line(configuration, key), "%s", text);
}

static void check_introspection(const struct configuration *configuration, const char *file,
                                struct configuration_notes *notes)
{
    if ((configuration->token_client_id[0] != '\0') !=
        (configuration->token_client_secret_file[0] != '\0')) {
        bool id = configuration->token_client_id[0] != '\0';
        note(configuration, file, id ? "client-id" : "client-secret-file",
             id ? "client-secret-file is missing in section [oauth]; write the path of a file "
                  "whose first line is the secret of client-id"
                : "client-id is missing in section [oauth]; write the name under which this "
                  "server is known to its provider",
             notes);
    }
    if (configuration->token_timeout_ms >= configuration->source_timeout_ms) {
        note(configuration, file, "introspection-timeout",
             "introspection-timeout is not less than source-timeout in [accounts], which would "
             "end the process that asks; write less",
             notes);
    }
}

static void check_keys(const struct configuration *configuration, const char *file,
                       struct configuration_notes *notes)
{
    if (configuration->token_issuer[0] == '\0') {
        note(configuration, file, "jwks-file",
             "issuer is missing in section [oauth]; write the iss of the tokens, to the letter",
             notes);
    }
    if (configuration->token_audience[0] == '\0') {
        note(configuration, file, "jwks-file",
             "audience is missing in section [oauth]; write the aud of the tokens that are meant "
             "for this server",
             notes);
    }
}

void token_settings_check(const struct configuration *configuration, const char *file,
                          struct configuration_notes *notes)
{
    bool keys = configuration->token_keys_file[0] != '\0';
    bool asks = configuration->token_introspection_url[0] != '\0';
    if (keys && asks) {
        note(configuration, file, "introspection-url",
             "tokens are checked by jwks-file or by introspection-url; write one of them", notes);
    } else if (keys) {
        check_keys(configuration, file, notes);
    } else if (asks) {
        check_introspection(configuration, file, notes);
    } else if (configuration->token_issuer[0] != '\0' || configuration->token_audience[0] != '\0' ||
               configuration->token_client_id[0] != '\0' || configuration->token_users_any) {
        note(configuration, file, "jwks-file",
             "[oauth] does not say how tokens are checked; write jwks-file or introspection-url",
             notes);
    }
}

struct token_options token_settings_options(const struct configuration *configuration)
{
    return (struct token_options){
        .issuer = configuration->token_issuer,
        .audience = configuration->token_audience,
        .user_claim = configuration->token_user_claim,
        .scope = configuration->token_scope,
        .keys_file = configuration->token_keys_file,
        .algorithms = configuration->token_algorithms,
        .skew_s = (uint32_t)(configuration->token_skew_ms / 1000),
        .introspection_url = configuration->token_introspection_url,
        .client_id = configuration->token_client_id,
        .client_secret_file = configuration->token_client_secret_file,
        .ca_file = configuration->token_ca_file,
        .timeout_ms = (uint32_t)configuration->token_timeout_ms,
    };
}
