/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_HTTP_HTTP_H
#define RESTANTE_HTTP_HTTP_H

/* The client's end of HTTP (RFC 9110), for threads and processes that may wait: never on a loop. It is libcurl's, in
 * a module that the first client loads.
 *
 *     struct http_client *client;
 *     struct http_answer answer;
 *     const struct http_request request = {.url = url, .timeout_ms = 20000, .octets_most = 65536};
 *     if (http_client_create(&(struct http_client_options){.cancel = -1}, &client, &error) == 0) {
 *         if (http_perform(client, &request, &answer, &error) == 0) {
 *             ... answer.status, answer.body ...
 *             http_answer_finish(&answer);
 *         }
 *         client = http_client_free(client);
 *     }
 *
 * What is asked goes to the server that the URL names and to nobody else: https, or http to this machine, neither
 * a proxy of the environment nor, unless it is allowed, a redirection. No error's text has more of a URL than its
 * host, nor anything of a field or a body: they hold secrets. */

#include <stdbool.h>
#include <sys/types.h>

#include "base/attributes.h"
#include "base/bytes.h"
#include "base/error.h"

enum {
    HTTP_URL_OCTETS_MAX = 8192,
    HTTP_FIELDS_WANTED_MAX = 4,
};

enum http_method { HTTP_GET, HTTP_POST, HTTP_PUT, HTTP_DELETE };

/* A field of a request's header. The value is sent as it is: NUL, CR and LF in it are refused. */
struct http_field {
    const char *name;
    struct bytes value;
};

/* Up to `size` octets of a body into `memory`: how many, 0 at the end, or -1: the request fails. */
typedef ssize_t http_body_reader(void *owner, void *memory, size_t size);

/* All is borrowed during the call. */
struct http_request {
    enum http_method method;
    const char *url; /* as http_url_check wants it */
    const struct http_field *fields;
    size_t field_count;
    /* Basic authentication (RFC 7617), if `user` is not NULL. */
    const char *user;
    struct bytes password;
    struct bytes body; /* of POST and PUT, or: */
    http_body_reader *read;
    void *reader;
    uint64_t body_octets; /* how many `read` gives */
    uint64_t timeout_ms; /* for everything, from the look-up of the name to the last octet; not 0 */
    uint64_t idle_ms;    /* with no octet either way: fails; 0: not looked at */
    size_t octets_most;  /* of the answer's body */
    uint32_t redirections_most;                 /* 0: one is an answer like others */
    const char *wanted[HTTP_FIELDS_WANTED_MAX]; /* names of fields of the answer; NULL: no more */
};

struct http_answer {
    uint32_t status;                      /* 200 ...: any that the server gave */
    struct bytes body;                    /* malloc'ed; a NUL that is not counted follows */
    char *fields[HTTP_FIELDS_WANTED_MAX]; /* malloc'ed values of `wanted`; NULL: not there */
};

struct http_client_options {
    const char *ca_file; /* PEM: trusted instead of the system's; NULL: the system's */
    int cancel;          /* a descriptor: readable ends every request; -1: none */
};

/* Keeps connections between its requests. One thread at a time. */
struct http_client;

/* `options` are copied, `ca_file` is borrowed while the client lives. ERROR_CONFIGURATION: this restante is built
 * without, or its module is not installed; ERROR_TEMPORARY: no memory. */
int http_client_create(const struct http_client_options *options, struct http_client **client_out,
                       struct error *error) MUST_CHECK;
/* Takes NULL; returns NULL. */
struct http_client *http_client_free(struct http_client *client);

/* Asks, and waits for the answer; 0 whatever its status is. ERROR_TEMPORARY: no connection, no answer in time,
 * cancelled; ERROR_PERMANENT: the server is not who the URL says, or its certificate is not trusted; ERROR_LIMIT:
 * the answer is over `octets_most`; ERROR_PROTOCOL: it is no HTTP; ERROR_CONFIGURATION: the URL, a field or `ca_file`
 * cannot be used. */
int http_perform(struct http_client *client, const struct http_request *request,
                 struct http_answer *answer_out, struct error *error) MUST_CHECK;

/* Wipes the body and the fields, and gives them back. */
void http_answer_finish(struct http_answer *answer);

/* Is it a URL that http_perform takes: https://, or http:// to localhost, 127.0.0.1 or [::1]; with a host, without a
 * user; printable ASCII without blanks, up to HTTP_URL_OCTETS_MAX? Then `host_out` (may be NULL) is its host, without
 * brackets, and borrowed from it. Loads nothing. */
bool http_url_check(const char *url, struct bytes *host_out);

#endif
