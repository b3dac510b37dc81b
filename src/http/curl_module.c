/* SPDX-License-Identifier: MIT */
/* A client of HTTP by libcurl. A handle of "multi" with the one transfer under way, so that the descriptor that cancels
 * is waited for with it. */
#include <errno.h>
#include <stdlib.h>

#include <curl/curl.h>

#include "base/version.h"
#include "http/http_module.h"

enum { WAIT_MS = 1000, FIRST_OCTETS = 4096, FIELD_OCTETS_MAX = 64 * 1024 };

struct http_client {
    CURL *curl;
    CURLM *multi;
    const char *ca_file;
    int cancel;
};

/* What the call-backs of one request share. */
struct transfer {
    const struct http_request *request;
    struct curl_slist *fields;
    uint8_t *body;
    size_t size, capacity;
    bool too_large, no_memory, unread;
    char problem[CURL_ERROR_SIZE];
};

static struct http_client *client_free(struct http_client *client)
{
    if (client->curl != NULL) {
        curl_easy_cleanup(client->curl);
    }
    if (client->multi != NULL) {
        (void)curl_multi_cleanup(client->multi);
    }
    free(client);
    curl_global_cleanup();
    return NULL;
}

static int client_create(const struct http_client_options *options, struct http_client **client_out,
                         struct error *error)
{
    struct http_client *client = calloc(1, sizeof *client);
    if (client == NULL || curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        free(client);
        return error_set(error, ERROR_TEMPORARY, ENOMEM, "starting libcurl");
    }
    client->ca_file = options->ca_file;
    client->cancel = options->cancel;
    client->curl = curl_easy_init();
    client->multi = curl_multi_init();
    if (client->curl == NULL || client->multi == NULL) {
        (void)client_free(client);
        return error_set(error, ERROR_TEMPORARY, ENOMEM, "starting libcurl");
    }
    *client_out = client;
    return 0;
}

/* A place that grows and leaves nothing of what it had behind. */
static bool make_room(struct transfer *transfer, size_t size)
{
    size_t capacity = transfer->capacity == 0 ? FIRST_OCTETS : transfer->capacity;
    while (capacity < size + 1) {
        capacity *= 2;
    }
    if (capacity == transfer->capacity) {
        return true;
    }
    uint8_t *body = malloc(capacity);
    if (body == NULL) {
        return false;
    }
    if (transfer->body != NULL) {
        memcpy(body, transfer->body, transfer->size);
        explicit_bzero(transfer->body, transfer->size);
        free(transfer->body);
    }
    transfer->body = body;
    transfer->capacity = capacity;
    return true;
}

static size_t on_body(char *data, size_t unit, size_t count, void *context)
{
    struct transfer *transfer = context;
    size_t size = unit * count;
    if (size > transfer->request->octets_most - transfer->size) {
        transfer->too_large = true;
        return CURL_WRITEFUNC_ERROR;
    }
    if (!make_room(transfer, transfer->size + size)) {
        transfer->no_memory = true;
        return CURL_WRITEFUNC_ERROR;
    }
    memcpy(transfer->body + transfer->size, data, size);
    transfer->size += size;
    return size;
}

static size_t on_read(char *memory, size_t unit, size_t count, void *context)
{
    struct transfer *transfer = context;
    ssize_t size = transfer->request->read(transfer->request->reader, memory, unit * count);
    transfer->unread = size < 0;
    return size < 0 ? CURL_READFUNC_ABORT : (size_t)size;
}

static bool is_one_line(struct bytes text)
{
    return bytes_find(text, '\0') == text.size && bytes_find(text, '\r') == text.size &&
           bytes_find(text, '\n') == text.size;
}

/* Wiped: one may be an access token. */
static void free_fields(struct curl_slist *fields)
{
    for (struct curl_slist *at = fields; at != NULL; at = at->next) {
        explicit_bzero(at->data, strlen(at->data));
    }
    curl_slist_free_all(fields);
}

static int add_field(struct transfer *transfer, const struct http_field *field, struct error *error)
{
    char *line = NULL;
    if (field->value.size > FIELD_OCTETS_MAX || !is_one_line(field->value)) {
        return error_set(error, ERROR_CONFIGURATION, 0, "HTTP: the field %s is not one line",
                         field->name);
    }
    /* A field without a value is spelt with a semicolon. */
    int size = asprintf(&line, "%s%s%.*s", field->name, field->value.size == 0 ? ";" : ": ",
                        (int)field->value.size, (const char *)field->value.data);
    struct curl_slist *longer = size < 0 ? NULL : curl_slist_append(transfer->fields, line);
    if (size >= 0) {
        explicit_bzero(line, (size_t)size);
        free(line);
    }
    if (longer == NULL) {
        return error_set(error, ERROR_TEMPORARY, ENOMEM, "HTTP: a request");
    }
    transfer->fields = longer;
    return 0;
}

static int add_fields(struct transfer *transfer, struct error *error)
{
    const struct http_request *request = transfer->request;
    /* Ours is the body that is meant: no waiting for 100, no type that nobody gave. */
    static const struct http_field none[] = {{"Expect:", {0}}, {"Content-Type:", {0}}};
    for (size_t i = 0; i < request->field_count; i++) {
        if (add_field(transfer, &request->fields[i], error) < 0) {
            return -1;
        }
    }
    bool typed = false;
    for (size_t i = 0; i < request->field_count; i++) {
        typed = typed || strcasecmp(request->fields[i].name, "Content-Type") == 0;
    }
    for (size_t i = 0; i < (typed ? 1U : 2U); i++) {
        struct curl_slist *longer = curl_slist_append(transfer->fields, none[i].name);
        if (longer == NULL) {
            return error_set(error, ERROR_TEMPORARY, ENOMEM, "HTTP: a request");
        }
        transfer->fields = longer;
    }
    return 0;
}

static bool set_body(CURL *curl, struct transfer *transfer)
{
    const struct http_request *request = transfer->request;
    static const char *const names[] = {
        [HTTP_GET] = "GET", [HTTP_POST] = "POST", [HTTP_PUT] = "PUT", [HTTP_DELETE] = "DELETE"};
    bool has_body = request->method == HTTP_POST || request->method == HTTP_PUT;
    bool done = curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, names[request->method]) == CURLE_OK;
    if (!has_body) {
        return done && curl_easy_setopt(curl, CURLOPT_HTTPGET, 1L) == CURLE_OK;
    }
    done = done && curl_easy_setopt(curl, CURLOPT_POST, 1L) == CURLE_OK;
    uint64_t size = request->read == NULL ? request->body.size : request->body_octets;
    done =
        done && curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)size) == CURLE_OK;
    if (request->read == NULL) {
        const void *data = request->body.size == 0 ? "" : (const void *)request->body.data;
        return done && curl_easy_setopt(curl, CURLOPT_POSTFIELDS, data) == CURLE_OK;
    }
    return done && curl_easy_setopt(curl, CURLOPT_READFUNCTION, on_read) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_READDATA, transfer) == CURLE_OK;
}

static bool set_login(CURL *curl, const struct http_request *request)
{
    char *password = NULL;
    if (request->user == NULL) {
        return true;
    }
    if (asprintf(&password, "%.*s", (int)request->password.size,
                 (const char *)request->password.data) < 0) {
        return false;
    }
    bool done = curl_easy_setopt(curl, CURLOPT_HTTPAUTH, CURLAUTH_BASIC) == CURLE_OK &&
                curl_easy_setopt(curl, CURLOPT_USERNAME, request->user) == CURLE_OK &&
                curl_easy_setopt(curl, CURLOPT_PASSWORD, password) == CURLE_OK;
    explicit_bzero(password, strlen(password));
    free(password);
    return done;
}

/* Whom we trust, and where a request may go. */
static bool set_borders(const struct http_client *client, const struct http_request *request)
{
    CURL *curl = client->curl;
    const char *protocols = strncasecmp(request->url, "https:", 6) == 0 ? "https" : "http,https";
    bool done =
        curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, protocols) == CURLE_OK &&
        curl_easy_setopt(curl, CURLOPT_REDIR_PROTOCOLS_STR, protocols) == CURLE_OK &&
        curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, request->redirections_most != 0 ? 1L : 0L) ==
            CURLE_OK &&
        curl_easy_setopt(curl, CURLOPT_MAXREDIRS, (long)request->redirections_most) == CURLE_OK &&
        curl_easy_setopt(curl, CURLOPT_PROXY, "") == CURLE_OK &&
        curl_easy_setopt(curl, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2) == CURLE_OK;
    if (client->ca_file != NULL) {
        done = done && curl_easy_setopt(curl, CURLOPT_CAINFO, client->ca_file) == CURLE_OK &&
               curl_easy_setopt(curl, CURLOPT_CAPATH, NULL) == CURLE_OK;
    }
    return done;
}

static bool set_limits(CURL *curl, const struct http_request *request)
{
    bool done = curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L) == CURLE_OK &&
                curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)request->timeout_ms) == CURLE_OK;
    if (request->idle_ms != 0) {
        done = done && curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 1L) == CURLE_OK &&
               curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME,
                                (long)((request->idle_ms + 999) / 1000)) == CURLE_OK;
    }
    return done;
}

static bool set_options(const struct http_client *client, struct transfer *transfer)
{
    CURL *curl = client->curl;
    const struct http_request *request = transfer->request;
    curl_easy_reset(curl); /* the connections stay */
    return curl_easy_setopt(curl, CURLOPT_URL, request->url) == CURLE_OK &&
           set_borders(client, request) && set_limits(curl, request) && set_body(curl, transfer) &&
           set_login(curl, request) &&
           curl_easy_setopt(curl, CURLOPT_USERAGENT, "restante/" RESTANTE_VERSION) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_HTTPHEADER, transfer->fields) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, transfer->problem) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_WRITEDATA, transfer) == CURLE_OK;
}

/* CURLE_OK, why it failed, or -1: cancelled. */
static int run(const struct http_client *client)
{
    struct curl_waitfd cancel = {.fd = client->cancel, .events = CURL_WAIT_POLLIN};
    int running = 1;
    while (running != 0) {
        if (curl_multi_perform(client->multi, &running) != CURLM_OK ||
            (running != 0 && curl_multi_poll(client->multi, &cancel, client->cancel >= 0 ? 1U : 0U,
                                             WAIT_MS, NULL) != CURLM_OK)) {
            return CURLE_FAILED_INIT;
        }
        if (cancel.revents != 0) {
            return -1;
        }
    }
    int left;
    const CURLMsg *message = curl_multi_info_read(client->multi, &left);
    return message == NULL ? CURLE_FAILED_INIT : (int)message->data.result;
}

static enum error_kind kind_of(int result)
{
    switch (result) {
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_ISSUER_ERROR:
        return ERROR_PERMANENT;
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_URL_MALFORMAT:
        return ERROR_CONFIGURATION;
    case CURLE_WEIRD_SERVER_REPLY:
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_TOO_MANY_REDIRECTS:
    case CURLE_BAD_CONTENT_ENCODING:
        return ERROR_PROTOCOL;
    default:
        return ERROR_TEMPORARY;
    }
}

/* Of the URL, its host: behind it may be a secret. */
static int explain(const struct http_client *client, const struct transfer *transfer, int result,
                   struct error *error)
{
    struct bytes host = {0};
    char text[CURL_ERROR_SIZE];
    (void)http_url_check(transfer->request->url, &host);
    int size = (int)(host.size < 100 ? host.size : 100);
    if (result == -1) {
        return error_set(error, ERROR_TEMPORARY, 0, "%.*s: given up, as this run is to end", size,
                         (const char *)host.data);
    }
    if (transfer->too_large) {
        return error_set(error, ERROR_LIMIT, 0, "%.*s: the answer is over %zu octets", size,
                         (const char *)host.data, transfer->request->octets_most);
    }
    if (transfer->no_memory || transfer->unread) {
        return error_set(error, ERROR_TEMPORARY, transfer->no_memory ? ENOMEM : 0, "%.*s: %s", size,
                         (const char *)host.data,
                         transfer->no_memory ? "the answer" : "what was to be sent cannot be read");
    }
    if (result == CURLE_SSL_CACERT_BADFILE && client->ca_file != NULL) {
        return error_set(error, ERROR_CONFIGURATION, 0, "%s: no certificates can be read from it",
                         client->ca_file);
    }
    const char *problem =
        transfer->problem[0] == '\0' ? curl_easy_strerror((CURLcode)result) : transfer->problem;
    return error_set(error, kind_of(result), 0, "%.*s: %s", size, (const char *)host.data,
                     bytes_escape(bytes_of(problem), text, 180));
}

/* -1: no memory. */
static int take_fields(CURL *curl, const struct http_request *request, struct http_answer *answer)
{
    struct curl_header *found;
    for (size_t i = 0; i < HTTP_FIELDS_WANTED_MAX && request->wanted[i] != NULL; i++) {
        if (curl_easy_header(curl, request->wanted[i], 0, CURLH_HEADER, -1, &found) == CURLHE_OK &&
            (answer->fields[i] = strdup(found->value)) == NULL) {
            return -1;
        }
    }
    return 0;
}

static int take_answer(CURL *curl, struct transfer *transfer, struct http_answer *answer_out,
                       struct error *error)
{
    struct http_answer answer = {0};
    long status = 0;
    if (!make_room(transfer, transfer->size) || take_fields(curl, transfer->request, &answer) < 0) {
        http_answer_finish(&answer);
        return error_set(error, ERROR_TEMPORARY, ENOMEM, "HTTP: an answer");
    }
    (void)curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    transfer->body[transfer->size] = '\0';
    answer.status = (uint32_t)status;
    answer.body = (struct bytes){transfer->body, transfer->size};
    transfer->body = NULL;
    *answer_out = answer;
    return 0;
}

static int exchange(struct http_client *client, struct transfer *transfer,
                    struct http_answer *answer_out, struct error *error)
{
    if (add_fields(transfer, error) < 0) {
        return -1;
    }
    if (!set_options(client, transfer) ||
        curl_multi_add_handle(client->multi, client->curl) != CURLM_OK) {
        return error_set(error, ERROR_TEMPORARY, 0, "HTTP: libcurl does not take a request");
    }
    int result = run(client);
    int taken = result == CURLE_OK ? take_answer(client->curl, transfer, answer_out, error)
                                   : explain(client, transfer, result, error);
    (void)curl_multi_remove_handle(client->multi, client->curl);
    return taken;
}

static int client_perform(struct http_client *client, const struct http_request *request,
                          struct http_answer *answer_out, struct error *error)
{
    struct transfer transfer = {.request = request};
    if (!http_url_check(request->url, NULL)) {
        return error_set(error, ERROR_CONFIGURATION, 0,
                         "HTTP: what is asked for is no URL of https, nor one of this machine");
    }
    int result = exchange(client, &transfer, answer_out, error);
    curl_easy_reset(
        client->curl); /* nothing of the request stays: neither the password nor pointers */
    free_fields(transfer.fields);
    if (transfer.body != NULL) {
        explicit_bzero(transfer.body, transfer.size);
        free(transfer.body);
    }
    return result;
}

static const struct http_interface interface = {
    .create = client_create,
    .free = client_free,
    .perform = client_perform,
};

const struct module restante_module = {
    .version = RESTANTE_VERSION,
    .interface = &interface,
};
