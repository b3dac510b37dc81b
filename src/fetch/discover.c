/* SPDX-License-Identifier: MIT */
/* The order of the sources: what the domain says itself, then what others say of it, then guesses. */
#include "fetch/discover.h"

#include <ctype.h>
#include <idn2.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/file.h"
#include "fetch/discover_sources.h"
#include "http/form.h"
#include "http/http.h"

enum {
    CA_OCTETS_MOST = 4 * 1024 * 1024,
    DOCUMENT_OCTETS_MOST = 256 * 1024,
    DOCUMENT_TIMEOUT_MS = 15000,
    DOCUMENT_REDIRECTIONS_MOST = 3,
    DOCUMENT_SERVERS_MOST = 6,
    POP3S = 995,
    POP3 = 110
};

/* Mozilla's, which is told the domain and nothing else. */
static const char database[] = "https://autoconfig.thunderbird.net/v1.1/";

struct search {
    struct discovery *discovery;
    struct tls_client_context *context;
    struct http_client *http; /* NULL: there is no HTTP in this build, which was noted */
};

static bool has_control(const char *text)
{
    while (*text != '\0' && !iscntrl((unsigned char)*text)) {
        text++;
    }
    return *text != '\0';
}

int discover_parse_address(const char *text, struct discover_address *address_out,
                           struct error *error)
{
    const char *at = strrchr(text, '@');
    char *domain = NULL;
    size_t size = strlen(text);
    if (at == NULL || at == text || size >= sizeof address_out->whole || has_control(text) ||
        text[0] == ' ') {
        return error_set(error, ERROR_USAGE, 0, "an address is like alice@example.org");
    }
    if (idn2_to_ascii_8z(at + 1, &domain, IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL) != IDN2_OK ||
        !discover_is_host(domain) || strchr(domain, '.') == NULL) {
        idn2_free(domain);
        return error_set(error, ERROR_USAGE, 0, "what follows the @ is no domain");
    }
    *address_out = (struct discover_address){0};
    memcpy(address_out->whole, text, size);
    memcpy(address_out->local, text, (size_t)(at - text));
    (void)snprintf(address_out->domain, sizeof address_out->domain, "%s", domain);
    idn2_free(domain);
    return 0;
}

static void note(struct discovery *discovery, const char *format, ...) PRINTF_LIKE(2, 3);

static void note(struct discovery *discovery, const char *format, ...)
{
    size_t size = strlen(discovery->notes);
    char line[512];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    if (size + strlen(line) + 2 < sizeof discovery->notes) {
        (void)snprintf(discovery->notes + size, sizeof discovery->notes - size, "%s\n", line);
    }
}

/* Was it tried already, under whatever source? */
static bool is_known(const struct discovery *discovery, const struct discover_server *server)
{
    for (size_t i = 0; i < discovery->count; i++) {
        const struct discover_server *other = &discovery->servers[i];
        if (other->port == server->port && other->tls == server->tls &&
            bytes_equal_ignoring_case(bytes_of(other->host), bytes_of(server->host))) {
            return true;
        }
    }
    return false;
}

/* Does it answer? */
static bool try_server(struct search *search, struct discover_server *server)
{
    struct discovery *discovery = search->discovery;
    if (discovery->count == DISCOVER_SERVERS_MOST || is_known(discovery, server)) {
        return false;
    }
    server->is_foreign = !discover_is_within(server->host, discovery->address.domain);
    server->answers = discover_try(server, search->context, &server->failure) == 0;
    discovery->servers[discovery->count++] = *server;
    return server->answers;
}

static void fill(struct discover_server *server, const struct discovery *discovery,
                 const char *host, uint32_t port, enum fetch_tls tls)
{
    *server = (struct discover_server){.port = port, .tls = tls};
    (void)snprintf(server->host, sizeof server->host, "%s", host);
    (void)snprintf(server->user, sizeof server->user, "%s", discovery->address.whole);
}

static const struct service {
    const char *name;
    enum fetch_tls tls;
} services[] = {{"_pop3s._tcp", FETCH_TLS_IMPLICIT}, {"_pop3._tcp", FETCH_TLS_STLS}};
enum { SERVICES = sizeof services / sizeof *services };

static bool try_records(struct search *search, const struct service *service,
                        const struct discover_records *records)
{
    struct discover_server server;
    for (size_t i = 0; i < records->count; i++) {
        const struct discover_record *record = &records->records[i];
        fill(&server, search->discovery, record->target, record->port, service->tls);
        (void)snprintf(server.origin, sizeof server.origin, "the SRV record %s.%s", service->name,
                       search->discovery->address.domain);
        if (try_server(search, &server)) {
            return true;
        }
    }
    return false;
}

/* Both services at the same weight: RFC 8314 section 5.1 wants implicit TLS first. 1: a server answers; 0: none;
 * -1: the domain has no POP3. */
static int try_dns(struct search *search, struct error *error)
{
    struct discovery *discovery = search->discovery;
    unsigned refusals = 0;
    for (size_t i = 0; i < SERVICES; i++) {
        struct discover_records records;
        if (discover_look_up(services[i].name, discovery->address.domain, &records, error) < 0) {
            note(discovery, "%s.%s: %s", services[i].name, discovery->address.domain, error->text);
        } else if (try_records(search, &services[i], &records)) {
            return 1;
        } else {
            refusals += records.is_refused;
        }
    }
    if (refusals == SERVICES) {
        return error_set(error, ERROR_GONE, 0,
                         "%.200s says that it has no POP3 (its SRV records, RFC 6186)",
                         discovery->address.domain);
    }
    return 0;
}

static bool try_document(struct search *search, const char *url, const char *origin)
{
    struct discovery *discovery = search->discovery;
    struct discover_server servers[DOCUMENT_SERVERS_MOST];
    struct http_answer answer;
    struct error error;
    size_t count = 0;
    const struct http_request request = {.url = url,
                                         .timeout_ms = DOCUMENT_TIMEOUT_MS,
                                         .octets_most = DOCUMENT_OCTETS_MOST,
                                         .redirections_most = DOCUMENT_REDIRECTIONS_MOST};
    if (search->http == NULL) {
        return false;
    }
    if (http_perform(search->http, &request, &answer, &error) < 0) {
        note(discovery, "%s: %s", origin, error.text);
        return false;
    }
    if (answer.status != 200) {
        note(discovery, "%s: status %u", origin, answer.status);
    } else if (discover_parse_document(answer.body, &discovery->address, servers,
                                       DOCUMENT_SERVERS_MOST, &count, &error) < 0) {
        note(discovery, "%s: %s", origin, error.text);
    } else if (count == 0) {
        note(discovery, "%s: it names no POP3 server with TLS", origin);
    }
    http_answer_finish(&answer);
    for (size_t i = 0; i < count; i++) {
        (void)snprintf(servers[i].origin, sizeof servers[i].origin, "%s", origin);
        if (try_server(search, &servers[i])) {
            return true;
        }
    }
    return false;
}

static bool try_documents(struct search *search)
{
    const struct discover_address *address = &search->discovery->address;
    static const struct {
        const char *before, *after;
        bool has_address; /* it is the domain's own, which knows the address anyway */
    } places[] = {{"https://autoconfig.", "/mail/config-v1.1.xml", true},
                  {"https://", "/.well-known/autoconfig/mail/config-v1.1.xml", true},
                  {database, "", false}};
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        char text[2048], origin[DISCOVER_ORIGIN_OCTETS];
        struct buffer url;
        (void)snprintf(origin, sizeof origin, "%s%s%s", places[i].before, address->domain,
                       places[i].after);
        buffer_init(&url, text, sizeof text);
        buffer_append_text(&url, origin);
        if (places[i].has_address) {
            buffer_append_text(&url, "?");
            http_append_pair(&url, "emailaddress", bytes_of(address->whole));
        }
        buffer_append_octet(&url, '\0');
        if (!url.overflow && try_document(search, text, origin)) {
            return true;
        }
    }
    return false;
}

static bool try_usual_names(struct search *search)
{
    static const char *const names[] = {"pop", "mail", "pop3"};
    for (size_t i = 0; i < 2 * sizeof names / sizeof *names; i++) {
        char host[DISCOVER_HOST_OCTETS];
        struct discover_server server;
        bool is_implicit = i < sizeof names / sizeof *names;
        int size = snprintf(host, sizeof host, "%s.%s", names[i % (sizeof names / sizeof *names)],
                            search->discovery->address.domain);
        if (size < 0 || (size_t)size >= sizeof host || !discover_is_host(host)) {
            continue;
        }
        fill(&server, search->discovery, host, is_implicit ? POP3S : POP3,
             is_implicit ? FETCH_TLS_IMPLICIT : FETCH_TLS_STLS);
        server.is_guess = true;
        (void)snprintf(server.origin, sizeof server.origin, "a usual name, tried");
        if (try_server(search, &server)) {
            return true;
        }
    }
    return false;
}

static int begin(struct search *search, const char *ca_file, struct error *error)
{
    struct tls_client_settings settings = {0};
    if (ca_file != NULL) {
        int result = file_read(ca_file, CA_OCTETS_MOST, &settings.ca);
        if (result < 0) {
            return error_set(error, ERROR_CONFIGURATION, -result, "ca-file %.200s", ca_file);
        }
    }
    int result = tls_client_context_create(&settings, &search->context, error);
    free((void *)(uintptr_t)settings.ca.data);
    if (result < 0) {
        return -1;
    }
    const struct http_client_options options = {.ca_file = ca_file, .cancel = -1};
    struct error inner;
    if (http_client_create(&options, &search->http, &inner) < 0) {
        note(search->discovery, "no autoconfig documents: %s", inner.text);
    }
    return 0;
}

int discover(struct discovery *discovery, const char *ca_file, struct error *error)
{
    struct search search = {.discovery = discovery};
    discovery->count = 0;
    discovery->notes[0] = '\0';
    if (begin(&search, ca_file, error) < 0) {
        return -1;
    }
    int result = try_dns(&search, error);
    if (result == 0) {
        bool answers = try_documents(&search) || try_usual_names(&search);
        result = answers ? 1
                         : error_set(error, ERROR_TEMPORARY, 0,
                                     "no POP3 server of %.200s was found that answers under TLS",
                                     discovery->address.domain);
    }
    (void)tls_client_context_free(search.context);
    (void)http_client_free(search.http);
    return result < 0 ? -1 : 0;
}
