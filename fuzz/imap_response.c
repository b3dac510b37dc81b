/* SPDX-License-Identifier: MIT */
/* An IMAP server says any octets; the first one says in what pieces they come, the second what the host does.
 * What goes out must be lines and messages of the size that was announced, and no message is taken before it was
 * written whole. */
#include <stdlib.h>

#include "imap/client.h"
#include "imap/date.h"
#include "imap/mailbox_name.h"
#include "imap/url.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char message[] = "Subject: x\r\n\r\nR1 OK\r\n";

static void must(bool holds)
{
    if (!holds) {
        abort();
    }
}

struct host {
    struct imap_client *client;
    struct bytes rest;
    size_t piece, steps;
    uint8_t choice;
    uint32_t number; /* of the append that is under way or was the last */
    uint64_t left;   /* octets of its message that were not given */
};

static void feed(struct host *host)
{
    size_t size = host->piece < host->rest.size ? host->piece : host->rest.size;
    if (size == 0) {
        imap_client_end(host->client);
    } else {
        host->rest = bytes_from(
            host->rest, imap_client_feed(host->client, (struct bytes){host->rest.data, size}));
    }
}

static void do_login(struct host *host)
{
    if (host->choice % 3 == 0 && imap_client_login(host->client, bytes_of("u"), bytes_of("p"))) {
        return;
    }
    if (host->choice % 3 == 1 &&
        imap_client_authenticate(host->client, "PLAIN", bytes_of("secret"))) {
        return;
    }
    imap_client_logout(host->client);
}

static void do_idle(struct host *host, const struct imap_client_event *event)
{
    struct imap_append append = {.mailbox = "INBOX",
                                 .flags = "\\Seen",
                                 .date = " 1-Jan-2024 00:00:00 +0000",
                                 .octets = sizeof message - 1};
    struct imap_criteria criteria = {
        .uid_from = 5, .octets = 9, .field = "Message-ID", .value = bytes_of("x@y")};
    uint32_t number = 0;
    host->steps++;
    if (host->steps % 4 == 1 && event->outstanding == 0) {
        number = imap_client_examine(host->client, "INBOX");
    } else if (host->steps % 4 == 2 && event->outstanding == 0) {
        number = imap_client_search(host->client, &criteria);
    } else if (event->outstanding < IMAP_APPENDS_MOST && host->steps < 20) {
        number = imap_client_append(host->client, &append);
        host->number = number;
        host->left = append.octets;
    } else if (event->outstanding > 0) {
        feed(host);
        return;
    } else {
        imap_client_logout(host->client);
        return;
    }
    must(number != 0);
}

static void check_result(const struct host *host, const struct imap_client_event *event)
{
    must(event->text.size <= IMAP_TEXT_OCTETS && event->found_count <= IMAP_FOUND_MOST);
    must(event->status != IMAP_OK || event->number != host->number || host->left == 0);
}

static void do_event(struct host *host, const struct imap_client_event *event)
{
    switch (event->type) {
    case IMAP_CLIENT_NEED_INPUT:
        feed(host);
        return;
    case IMAP_CLIENT_WRITE:
        must(event->octets.size > 0);
        imap_client_written(host->client, (event->octets.size + 1) / 2);
        return;
    case IMAP_CLIENT_SECURE:
        imap_client_secured(host->client);
        return;
    case IMAP_CLIENT_LOGIN:
        do_login(host);
        return;
    case IMAP_CLIENT_CHALLENGE:
        if (imap_client_respond(host->client, event->octets) < 0) {
            imap_client_cancel(host->client);
        }
        return;
    case IMAP_CLIENT_IDLE:
        do_idle(host, event);
        return;
    case IMAP_CLIENT_MESSAGE:
        must(event->wanted == host->left && event->wanted > 0);
        host->left -=
            imap_client_message(host->client, (struct bytes){(const uint8_t *)message, 7});
        return;
    case IMAP_CLIENT_RESULT:
        check_result(host, event);
        return;
    case IMAP_CLIENT_CLOSE:
        must(event->partial == 0 || event->partial == host->number);
        must(event->text.size <= IMAP_TEXT_OCTETS);
        return;
    }
}

static void read_texts(struct bytes octets)
{
    char text[200], name[900];
    struct imap_url url;
    struct imap_date date;
    char written[IMAP_DATE_OCTETS];
    if (imap_date_of_header(octets, &date) == 0 || imap_date_parse(octets, &date) == 0) {
        must(date.seconds >= 0);
        imap_date_write(&date, written);
        must(strlen(written) == 26);
    }
    size_t size = octets.size < sizeof text - 1 ? octets.size : sizeof text - 1;
    memcpy(text, octets.data, size);
    text[size] = '\0';
    if (imap_mailbox_name_encode(text, name, sizeof name) == 0) {
        for (const char *at = name; *at != '\0'; at++) {
            must(*at >= ' ' && *at <= '~');
        }
    }
    if (imap_url_parse(text, &url) == 0) {
        must(url.user[0] != '\0' && url.host[0] != '\0' && url.port > 0 && url.port < 65536);
    }
    (void)imap_are_flags(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint64_t memory[16384];
    if (size < 2) {
        return 0;
    }
    must(imap_client_size() <= sizeof memory);
    struct host host = {
        .rest = {data + 2, size - 2}, .piece = (size_t)data[0] + 1, .choice = data[1]};
    struct imap_client_event event = {.type = IMAP_CLIENT_NEED_INPUT};
    host.client =
        imap_client_init(memory, &(struct imap_client_options){.starttls = (data[1] & 0x80) != 0});
    while (event.type != IMAP_CLIENT_CLOSE) {
        imap_client_next(host.client, &event);
        do_event(&host, &event);
    }
    read_texts((struct bytes){data + 2, size - 2});
    return 0;
}
