/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_FETCH_SMTP_CONNECTION_H
#define RESTANTE_FETCH_SMTP_CONNECTION_H

/* A connection to an SMTP or LMTP server, of a thread that may wait: the engine (smtp/client.h), its octets' way
 * to the server and back, and what comes before the first message: TLS and the login. */

#include "account/secret.h"
#include "fetch/blocking_stream.h"
#include "smtp/client.h"

/* All is borrowed while the connection lives. */
struct smtp_connection_options {
    enum smtp_protocol protocol;
    const char *place;              /* as blocking_stream_connect takes it */
    const char *host;               /* whom the certificate must name */
    struct tls_client_context *tls; /* NULL: in the clear */
    bool implicit_tls;              /* else by STARTTLS; never without */
    const char *user;               /* NULL: no login */
    const struct secret *password;
    const char *peer; /* what errors call the server */
    unsigned limit_s; /* of each wait */
    int cancel;       /* -1: none */
};

enum { SMTP_CONNECTION_INPUT_OCTETS = 4096 };

struct smtp_connection {
    const struct smtp_connection_options *options;
    struct blocking_stream stream;
    struct smtp_client *client; /* in `memory`; NULL: not connected */
    void *memory;
    struct bytes unfed; /* in `input` */
    uint8_t input[SMTP_CONNECTION_INPUT_OCTETS];
};

/* Connects to nothing yet. -1: no memory. */
int smtp_connection_init(struct smtp_connection *connection,
                         const struct smtp_connection_options *options) MUST_CHECK;
/* Takes leave if it is connected, without waiting for the answer. */
void smtp_connection_finish(struct smtp_connection *connection);

/* Until the server is ready for a message. -1, and it is not connected: it cannot be reached, is not who it should
 * be, does not start TLS, or refuses us (BAD_CREDENTIALS: the login). */
int smtp_connection_open(struct smtp_connection *connection, struct error *error) MUST_CHECK;
void smtp_connection_close(struct smtp_connection *connection);

/* The next event that is neither NEED_INPUT nor WRITE; `lost`, if the connection is, says why. */
void smtp_connection_next(struct smtp_connection *connection, struct smtp_client_event *event_out,
                          struct error *lost);

/* Why a session has ended that CLOSE ends. */
void smtp_connection_explain(const struct smtp_connection *connection,
                             const struct smtp_client_event *event, const struct error *lost,
                             struct error *error);

#endif
