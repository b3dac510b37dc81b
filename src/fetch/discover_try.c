/* SPDX-License-Identifier: MIT */
/* A server is tried as far as nobody has to log in: it is there, its certificate names the host, and it speaks
 * POP3. */
#include <stdio.h>
#include <string.h>

#include "fetch/blocking_stream.h"
#include "fetch/discover_sources.h"

enum { LIMIT_S = 8, LINE_OCTETS = 512 }; /* RFC 1939 section 3 */

/* A line, octet by octet: what comes behind it in the clear must be left to TLS. */
static int expect_ok(struct blocking_stream *stream, struct error *error)
{
    char line[LINE_OCTETS + 1], shown[128];
    size_t size = 0;
    while (size < LINE_OCTETS) {
        ssize_t got = blocking_stream_receive(stream, line + size, 1, error);
        if (got < 0) {
            return -1;
        }
        if (got == 0) {
            return error_set(error, ERROR_TEMPORARY, 0, "%s hung up", stream->peer);
        }
        if (line[size] == '\n') {
            break;
        }
        size++;
    }
    if (size >= 3 && memcmp(line, "+OK", 3) == 0) {
        return 0;
    }
    struct bytes said = {.data = (const uint8_t *)line, .size = size};
    return error_set(error, ERROR_PERMANENT, 0, "it says: %s",
                     bytes_escape(said, shown, sizeof shown));
}

static int send_line(struct blocking_stream *stream, const char *line, struct error *error)
{
    struct bytes rest = bytes_of(line);
    while (rest.size > 0) {
        ssize_t sent = blocking_stream_send(stream, rest, error);
        if (sent < 0) {
            return -1;
        }
        rest = bytes_from(rest, (size_t)sent);
    }
    return 0;
}

static int converse(const struct discover_server *server, struct tls_client_context *context,
                    struct blocking_stream *stream, struct error *error)
{
    if (server->tls == FETCH_TLS_STLS &&
        (expect_ok(stream, error) < 0 || send_line(stream, "STLS\r\n", error) < 0 ||
         expect_ok(stream, error) < 0)) {
        return -1;
    }
    if (blocking_stream_secure(stream, context, server->host, error) < 0 ||
        (server->tls == FETCH_TLS_IMPLICIT && expect_ok(stream, error) < 0)) {
        return -1;
    }
    struct error ignored; /* it greeted: that is enough */
    (void)!send_line(stream, "QUIT\r\n", &ignored);
    return 0;
}

int discover_try(const struct discover_server *server, struct tls_client_context *context,
                 struct error *error)
{
    char place[DISCOVER_HOST_OCTETS + 8];
    struct blocking_stream stream = {
        .descriptor = -1, .cancel = -1, .limit_s = LIMIT_S, .peer = server->host};
    (void)snprintf(place, sizeof place, "%s:%u", server->host, server->port);
    if (blocking_stream_connect(&stream, place, error) < 0) {
        return -1;
    }
    int result = converse(server, context, &stream, error);
    blocking_stream_close(&stream);
    return result;
}
