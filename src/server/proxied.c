/* SPDX-License-Identifier: MIT */
/* Sessions whose client comes through a proxy. Only who is listed in the configuration is believed, only
 * once, and before anything else; from then on the client's address stands wherever an address counts. */
#include <stdlib.h>

#include "net/proxy_header.h"
#include "server/session.h"

static bool is_listed(const struct session *session)
{
    const struct configuration_networks *proxies = &session->worker->configuration.proxies;
    for (uint32_t i = 0; i < proxies->count; i++) {
        if (network_contains(&proxies->list[i], (const struct sockaddr *)&session->peer)) {
            return true;
        }
    }
    return false;
}

/* A connection that nobody is told why it ends. */
static void refuse(struct session *session, const char *why)
{
    session->end = why;
    session_disconnect(session);
}

/* Those that have not said whose they are may take half of all places, for as long as a header may take. */
static bool take_place(struct session *session)
{
    struct worker *worker = session->worker;
    uint32_t most = worker->configuration.connections;
    uint8_t key[LIMITS_KEY_SIZE];
    address_key(&session->peer, key);
    if (!limits_connect(worker->limits, worker->process, most)) {
        return false;
    }
    session->counted = COUNTED_IN_ALL;
    if (!limits_take(worker->limits, LIMIT_PROXY, key, worker->process, most - most / 2)) {
        return false;
    }
    session->counted = COUNTED_AT_PROXY;
    return true;
}

void proxied_begin(struct session *session)
{
    if (!is_listed(session)) {
        refuse(session, "not-a-proxy");
        return;
    }
    if (!take_place(session)) {
        refuse(session, "connections-limit");
        return;
    }
    session->header_due = true;
    stream_read(&session->stream, true);
    deadlines_arm(session);
}

/* From here on the session is the client's. */
static void become(struct session *session, const struct sockaddr_storage *client)
{
    session_uncount(session);
    if (session->proxy == NULL) {
        session->proxy = strdup(session->address); /* for the log; without memory it is not told */
    }
    session->peer = *client;
    (void)address_format(&session->peer, session->address);
}

static void take_facts(struct session *session, const struct proxy_header *header)
{
    enum client_tls known = session->worker->configuration.proxy_client_tls;
    if (header->is_local) {
        return;
    }
    session->connection.proxied = 1;
    session->client_tls =
        known == CLIENT_TLS_ALWAYS || (known == CLIENT_TLS_TOLD && header->client_tls);
    if (header->has_client) {
        become(session, &header->client);
    } else {
        session->unknown = true;
    }
}

void proxied_take_header(struct session *session)
{
    struct proxy_header header;
    const char *reason;
    if (session->closing) {
        return;
    }
    switch (proxy_header_parse(session->input, &header, &reason)) {
    case PROXY_HEADER_MORE:
        return;
    case PROXY_HEADER_BAD:
        log_write(LOG_LEVEL_WARNING, "PROXY header of %s: %s", session->address, reason);
        refuse(session, "bad-proxy-header");
        return;
    case PROXY_HEADER_WHOLE:
        break;
    }
    session->header_due = false;
    session->input = bytes_from(session->input, header.size);
    if (session->input.size == 0) {
        free(session->held);
        session->held = NULL;
    }
    take_facts(session, &header);
    session_uncount(session);
    session_begin(session);
}

bool proxied_offer(struct session *session)
{
    if (!is_listed(session)) {
        return true;
    }
    session->connection.proxied = 1;
    if (!session->worker->configuration.xclient) {
        return true;
    }
    session->connection.xclient = 1;
    if (!take_place(session)) {
        refuse(session, "connections-limit");
        return false;
    }
    return true;
}

void proxied_xclient(struct session *session, const struct pop3_server_event *event)
{
    struct sockaddr_storage client;
    struct bytes address = {.data = (const uint8_t *)event->u.client.address,
                            .size = event->u.client.address_size};
    if (address_parse_host(address, event->u.client.port, &client) < 0) {
        pop3_server_failed(session->engine, POP3_FAILURE_SYNTAX);
        return;
    }
    session->client_tls = session->worker->configuration.proxy_client_tls == CLIENT_TLS_ALWAYS;
    become(session, &client);
    if (session_admit(session)) {
        pop3_server_client_taken(session->engine, &session->connection);
    }
}

bool proxied_settle(struct session *session)
{
    if (session->counted != COUNTED_AT_PROXY) {
        return true;
    }
    session_uncount(session);
    return session_admit(session);
}
