/* SPDX-License-Identifier: MIT */
/* TLS comes before the login, and a password goes only where TLS is, or where the options say that none is needed.
 * RFC 5321, RFC 3207, RFC 4954. */
#include "fetch/smtp_connection.h"

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "net/address.h"
#include "sasl/client.h"

enum { HOST_OCTETS = 256, TEXT_OCTETS = 200 };

int smtp_connection_init(struct smtp_connection *connection,
                         const struct smtp_connection_options *options)
{
    *connection = (struct smtp_connection){
        .options = options,
        .memory = malloc(smtp_client_size()),
        .stream = {.descriptor = -1,
                   .cancel = options->cancel,
                   .limit_s = options->limit_s,
                   .peer = options->peer},
    };
    return connection->memory == NULL ? -1 : 0;
}

void smtp_connection_close(struct smtp_connection *connection)
{
    blocking_stream_close(&connection->stream);
    connection->client = NULL;
    connection->unfed = (struct bytes){0};
}

void smtp_connection_finish(struct smtp_connection *connection)
{
    struct smtp_client_event event;
    if (connection->client != NULL) {
        smtp_client_next(connection->client, &event);
        if (event.type == SMTP_CLIENT_IDLE) {
            smtp_client_quit(connection->client);
            smtp_client_next(connection->client, &event);
            if (event.type == SMTP_CLIENT_WRITE) {
                (void)blocking_stream_send(&connection->stream, event.write, NULL);
            }
        }
    }
    smtp_connection_close(connection);
    free(connection->memory);
    connection->memory = NULL;
}

static void lose(struct smtp_connection *connection)
{
    connection->unfed = (struct bytes){0};
    smtp_client_end(connection->client);
}

static void take_input(struct smtp_connection *connection, struct error *lost)
{
    if (connection->unfed.size == 0) {
        ssize_t size = blocking_stream_receive(&connection->stream, connection->input,
                                               sizeof connection->input, lost);
        if (size <= 0) {
            lose(connection);
            return;
        }
        connection->unfed = (struct bytes){connection->input, (size_t)size};
    }
    connection->unfed =
        bytes_from(connection->unfed, smtp_client_feed(connection->client, connection->unfed));
}

static void give_output(struct smtp_connection *connection, struct bytes octets, struct error *lost)
{
    ssize_t count = blocking_stream_send(&connection->stream, octets, lost);
    if (count < 0) {
        lose(connection);
    } else {
        smtp_client_written(connection->client, (size_t)count);
    }
}

void smtp_connection_next(struct smtp_connection *connection, struct smtp_client_event *event_out,
                          struct error *lost)
{
    for (;;) {
        smtp_client_next(connection->client, event_out);
        if (event_out->type == SMTP_CLIENT_NEED_INPUT) {
            take_input(connection, lost);
        } else if (event_out->type == SMTP_CLIENT_WRITE) {
            give_output(connection, event_out->write, lost);
        } else {
            return;
        }
    }
}

void smtp_connection_explain(const struct smtp_connection *connection,
                             const struct smtp_client_event *event, const struct error *lost,
                             struct error *error)
{
    const struct smtp_connection_options *options = connection->options;
    char text[TEXT_OCTETS];
    (void)bytes_escape(event->text, text, sizeof text);
    if (event->error == SMTP_CLIENT_ERROR_REFUSED) {
        (void)error_set(error, ERROR_TEMPORARY, 0, "%s says %u %s", options->peer, event->code,
                        text);
    } else if (lost->kind != ERROR_NONE) {
        *error = *lost;
    } else if (event->error == SMTP_CLIENT_ERROR_PEER_GONE) {
        (void)error_set(error, ERROR_TEMPORARY, 0, "%s closed the connection", options->peer);
    } else {
        (void)error_set(error, ERROR_TEMPORARY, 0, "what %s says is no %s", options->peer,
                        options->protocol == SMTP_PROTOCOL_LMTP ? "LMTP" : "SMTP");
    }
}

/* ---- from the connection to the first message ---- */

struct opening {
    struct smtp_connection *connection;
    bool starts_tls, logs_in; /* has been asked for */
    bool password_only;       /* a mechanism with keys was refused: PLAIN is tried, too */
    enum sasl_mechanism mechanism;
    struct sasl_client *sasl;
    struct error *error;
};

/* What we are called: a name with a domain, else our address (RFC 5321 section 4.1.3). */
static void make_name(const struct smtp_connection *connection, char name[HOST_OCTETS])
{
    struct sockaddr_storage address = {0};
    socklen_t size = sizeof address;
    char text[ADDRESS_TEXT_SIZE];
    name[0] = '\0';
    (void)gethostname(name, HOST_OCTETS - 1); /* empty is "localhost" below */
    name[HOST_OCTETS - 1] = '\0';
    if (strchr(name, '.') != NULL || connection->options->protocol == SMTP_PROTOCOL_LMTP ||
        getsockname(connection->stream.descriptor, (struct sockaddr *)&address, &size) < 0) {
        return;
    }
    (void)address_format(&address, text);
    *strrchr(text, ':') = '\0';
    if (address.ss_family == AF_INET) {
        (void)snprintf(name, HOST_OCTETS, "[%s]", text);
    } else if (address.ss_family == AF_INET6) {
        (void)snprintf(name, HOST_OCTETS, "[IPv6:%s", text + 1);
    }
}

static void make_client(struct smtp_connection *connection)
{
    char name[HOST_OCTETS];
    struct smtp_options options = {.protocol = connection->options->protocol, .host = name};
    make_name(connection, name);
    connection->client = smtp_client_init(connection->memory, &options);
    if (connection->client == NULL) {
        options.host = "localhost";
        connection->client = smtp_client_init(connection->memory, &options);
    }
}

static int secure(struct smtp_connection *connection, struct error *error)
{
    const struct smtp_connection_options *options = connection->options;
    return blocking_stream_secure(&connection->stream, options->tls, options->host, error);
}

static int begin_tls(struct opening *opening)
{
    struct smtp_connection *connection = opening->connection;
    if (!smtp_client_offers_tls(connection->client)) {
        return error_set(
            opening->error, ERROR_PERMANENT, 0,
            "%s does not offer STARTTLS, so nothing is sent; if the mail may cross the "
            "network in the clear, write smtp-tls = no",
            connection->options->peer);
    }
    opening->starts_tls = true;
    smtp_client_starttls(connection->client);
    return 0;
}

static int shake_hands(struct opening *opening)
{
    struct smtp_connection *connection = opening->connection;
    if (connection->unfed.size != 0) {
        return error_set(opening->error, ERROR_PERMANENT, 0,
                         "somebody between us and %s speaks before TLS does",
                         connection->options->peer);
    }
    if (secure(connection, opening->error) < 0) {
        return -1;
    }
    smtp_client_secured(connection->client);
    return 0;
}

/* Who is encrypted, or at this machine, may send a password as it is. */
static enum sasl_mechanism choose(const struct opening *opening, const char *offered)
{
    uint8_t octets[TLS_UNIQUE_SIZE > TLS_EXPORTER_SIZE ? TLS_UNIQUE_SIZE : TLS_EXPORTER_SIZE];
    const struct tls *tls = blocking_stream_tls(&opening->connection->stream);
    struct sasl_client_choice choice = {
        .password_allowed = true,
        .has_binding =
            tls != NULL && (tls_exporter(tls, octets) != 0 || tls_unique(tls, octets) != 0)};
    return sasl_client_choose(opening->password_only ? "PLAIN" : offered, &choice);
}

static int create_exchange(struct opening *opening, const char *offered)
{
    const struct smtp_connection_options *options = opening->connection->options;
    const struct tls *tls = blocking_stream_tls(&opening->connection->stream);
    uint8_t exporter[TLS_EXPORTER_SIZE], unique[TLS_UNIQUE_SIZE];
    struct sasl_client_identity identity = {.name = bytes_of(options->user),
                                            .password = secret_octets(options->password)};
    struct sasl_client_facts facts = {.offered = offered, .host = options->host};
    if (tls != NULL) {
        facts.tls_exporter = (struct bytes){exporter, tls_exporter(tls, exporter)};
        facts.tls_unique = (struct bytes){unique, tls_unique(tls, unique)};
    }
    return sasl_client_create(opening->mechanism, &identity, &facts, &opening->sasl,
                              opening->error);
}

static int send_auth(struct opening *opening, const struct bytes *response)
{
    if (smtp_client_auth(opening->connection->client, sasl_mechanism_name(opening->mechanism),
                         response) < 0) {
        return error_set(opening->error, ERROR_CONFIGURATION, 0, "name or password is too long");
    }
    return 0;
}

/* Does what the exchange says. */
static int go_on(struct opening *opening, struct sasl_client_event *event, bool begins)
{
    struct smtp_client *client = opening->connection->client;
    if (event->type == SASL_CLIENT_DERIVE) {
        sasl_client_derive(opening->sasl, event);
    }
    if (event->type == SASL_CLIENT_FAILED) {
        *opening->error = *event->error;
        return -1;
    }
    if (begins) {
        return send_auth(opening, event->type == SASL_CLIENT_SEND ? &event->octets : NULL);
    }
    if (event->type == SASL_CLIENT_WAIT || smtp_client_respond(client, event->octets) < 0) {
        return error_set(opening->error, ERROR_PROTOCOL, 0, "the exchange of %s makes no sense",
                         sasl_mechanism_name(opening->mechanism));
    }
    return 0;
}

static int begin_login(struct opening *opening)
{
    const struct smtp_connection_options *options = opening->connection->options;
    char offered[256];
    (void)snprintf(offered, sizeof offered, "%s",
                   smtp_client_mechanisms(opening->connection->client));
    opening->mechanism = choose(opening, offered);
    opening->logs_in = true;
    if (opening->mechanism == SASL_MECHANISM_COUNT) {
        return error_set(opening->error, ERROR_PERMANENT, 0,
                         "%s offers no way to log in that we have: \"%s\"", options->peer, offered);
    }
    struct sasl_client_event event;
    if (create_exchange(opening, offered) < 0) {
        return -1;
    }
    sasl_client_begin(opening->sasl, &event);
    return go_on(opening, &event, true);
}

static int answer_challenge(struct opening *opening, struct bytes challenge)
{
    struct sasl_client_event event;
    sasl_client_continue(opening->sasl, challenge, &event);
    return go_on(opening, &event, false);
}

/* Some servers offer SCRAM and have no keys for this user; they know PLAIN. */
static bool falls_back(struct opening *opening, const struct smtp_client_event *event)
{
    const char *offered = smtp_client_mechanisms(opening->connection->client);
    if (opening->password_only || event->code != 535 || strstr(offered, "PLAIN") == NULL ||
        sasl_mechanism_family(opening->mechanism) != SASL_FAMILY_SCRAM) {
        return false;
    }
    opening->password_only = true;
    opening->logs_in = false;
    opening->sasl = sasl_client_free(opening->sasl);
    return true;
}

/* Of AUTH, or of STARTTLS that was refused. */
static int judge(struct opening *opening, const struct smtp_client_event *event)
{
    const struct smtp_connection_options *options = opening->connection->options;
    char text[TEXT_OCTETS];
    (void)bytes_escape(event->text, text, sizeof text);
    enum error_kind kind =
        event->outcome == SMTP_TEMPORARY ? ERROR_TEMPORARY : ERROR_BAD_CREDENTIALS;
    if (!opening->logs_in) {
        return error_set(
            opening->error, event->outcome == SMTP_TEMPORARY ? ERROR_TEMPORARY : ERROR_PERMANENT, 0,
            "%s does not start TLS, so nothing is sent: %u %s", options->peer, event->code, text);
    }
    if (event->outcome == SMTP_ACCEPTED) {
        return sasl_client_finish(opening->sasl, opening->error);
    }
    if (falls_back(opening, event)) {
        return 0;
    }
    return error_set(opening->error, kind, 0, "the login as %s at %s by %s was refused: %u %s",
                     options->user, options->peer, sasl_mechanism_name(opening->mechanism),
                     event->code, text);
}

/* 1: ready for a message; 0: go on. */
static int open_step(struct opening *opening)
{
    struct smtp_connection *connection = opening->connection;
    const struct smtp_connection_options *options = connection->options;
    struct smtp_client_event event;
    struct error lost = {0};
    smtp_connection_next(connection, &event, &lost);
    switch (event.type) {
    case SMTP_CLIENT_IDLE:
        if (options->tls != NULL && !options->implicit_tls && !opening->starts_tls) {
            return begin_tls(opening);
        }
        if (options->user != NULL && !opening->logs_in) {
            return begin_login(opening);
        }
        return 1;
    case SMTP_CLIENT_HANDSHAKE:
        return shake_hands(opening);
    case SMTP_CLIENT_CHALLENGE:
        return answer_challenge(opening, event.text);
    case SMTP_CLIENT_RESULT:
        return judge(opening, &event);
    case SMTP_CLIENT_CLOSE:
        smtp_connection_explain(connection, &event, &lost, opening->error);
        return -1;
    case SMTP_CLIENT_NEED_INPUT:
    case SMTP_CLIENT_WRITE:
    case SMTP_CLIENT_MESSAGE:
        break; /* none comes here */
    }
    return -1;
}

int smtp_connection_open(struct smtp_connection *connection, struct error *error)
{
    const struct smtp_connection_options *options = connection->options;
    struct opening opening = {.connection = connection, .error = error};
    if (blocking_stream_connect(&connection->stream, options->place, error) < 0) {
        return -1;
    }
    int result = options->tls != NULL && options->implicit_tls ? secure(connection, error) : 0;
    if (result == 0) {
        make_client(connection);
    }
    while (result == 0) {
        result = open_step(&opening);
    }
    opening.sasl = sasl_client_free(opening.sasl);
    if (result < 0) {
        smtp_connection_close(connection);
    }
    return result < 0 ? -1 : 0;
}
