/* SPDX-License-Identifier: MIT */
/* A server says any octets; the first one says in what pieces they come, its highest bit
 * which protocol it is. What goes out must be commands and
 * messages that end where they have to, and no message is accepted before it was given out whole. */
#include <stdlib.h>

#include "smtp/client.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char message[] = "Subject: x\n\n.\n\r.line\rDATA\n";

static void must(bool holds)
{
    if (!holds) {
        abort();
    }
}

struct host {
    struct smtp_client *client;
    struct bytes rest;
    size_t piece;
    bool is_smtp, secured, asked;
    uint32_t begun, results;
    bool whole;      /* the message was given, and all that was to be written is written */
    uint8_t last[2]; /* that was written */
};

static void check_written(struct host *host, struct bytes octets)
{
    for (size_t i = 0; i < octets.size; i++) {
        must((octets.data[i] == '\n') == (host->last[1] == '\r'));
        host->last[0] = host->last[1];
        host->last[1] = octets.data[i];
    }
}

static void do_idle(struct host *host)
{
    struct smtp_envelope envelope = {.sender = bytes_of(""),
                                     .recipient = bytes_of("bob@example.org"),
                                     .octets = host->begun * 100,
                                     .is_8bit = host->begun % 2 == 0};
    must(host->results == host->begun);
    host->whole = false;
    if (host->is_smtp && !host->secured && smtp_client_offers_tls(host->client)) {
        host->secured = true;
        smtp_client_starttls(host->client);
    } else if (host->is_smtp && !host->asked) {
        host->asked = true;
        must(smtp_client_auth(host->client, "LOGIN", NULL) == 0);
    } else if (host->begun < 3) {
        host->begun++;
        must(smtp_client_deliver(host->client, &envelope) == 0);
    } else {
        smtp_client_quit(host->client);
    }
}

static void check_end(const struct host *host, const struct smtp_client_event *event)
{
    must(event->text.size <= SMTP_TEXT_OCTETS);
    must(event->under_way == (host->begun == host->results + 1));
    must(!event->unclear || event->under_way);
}

static void do_event(struct host *host, const struct smtp_client_event *event)
{
    size_t size = host->piece < host->rest.size ? host->piece : host->rest.size;
    switch (event->type) {
    case SMTP_CLIENT_NEED_INPUT:
        if (size == 0) {
            smtp_client_end(host->client);
        } else {
            host->rest = bytes_from(
                host->rest, smtp_client_feed(host->client, (struct bytes){host->rest.data, size}));
        }
        return;
    case SMTP_CLIENT_WRITE:
        check_written(host, event->write);
        smtp_client_written(host->client, event->write.size);
        return;
    case SMTP_CLIENT_IDLE:
        do_idle(host);
        return;
    case SMTP_CLIENT_HANDSHAKE:
        smtp_client_secured(host->client);
        return;
    case SMTP_CLIENT_CHALLENGE:
        must(smtp_client_respond(host->client, event->text) == 0);
        return;
    case SMTP_CLIENT_MESSAGE:
        must(smtp_client_message(host->client, bytes_of(message)) == sizeof message - 1);
        smtp_client_message_end(host->client);
        host->whole = true;
        return;
    case SMTP_CLIENT_RESULT:
        must(event->text.size <= SMTP_TEXT_OCTETS);
        if (host->begun == 0) {
            return; /* of STARTTLS or AUTH */
        }
        host->results++;
        must(host->results == host->begun);
        must(event->outcome != SMTP_ACCEPTED || host->whole);
        return;
    case SMTP_CLIENT_CLOSE:
        check_end(host, event);
        return;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint64_t memory[8192];
    if (size == 0) {
        return 0;
    }
    must(smtp_client_size() <= sizeof memory);
    struct host host = {.rest = {data + 1, size - 1},
                        .piece = (size_t)(data[0] & 0x7F) + 1,
                        .is_smtp = data[0] > 0x7F};
    struct smtp_client_event event = {.type = SMTP_CLIENT_NEED_INPUT};
    host.client = smtp_client_init(
        memory,
        &(struct smtp_options){.protocol = host.is_smtp ? SMTP_PROTOCOL_SMTP : SMTP_PROTOCOL_LMTP,
                               .host = "me"});
    while (event.type != SMTP_CLIENT_CLOSE) {
        smtp_client_next(host.client, &event);
        do_event(&host, &event);
    }
    return 0;
}
