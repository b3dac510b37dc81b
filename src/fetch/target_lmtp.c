/* SPDX-License-Identifier: MIT */
/* To an LMTP server, one message at a time over one connection, which stays for the next. Only the reply to the
 * message's last dot makes it stored. A connection that ends before leaves the message for the next run (it may be
 * there then twice: RFC 5321 section 6.1); a server that cannot be reached ends the account's run, so that
 * nothing more is fetched in vain. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fetch/blocking_stream.h"
#include "fetch/target.h"
#include "smtp/client.h"

enum { INPUT_OCTETS = 4096, CHUNK_OCTETS = 32768, HOST_OCTETS = 256, REASON_OCTETS = 200 };

struct lmtp {
    struct target target;
    struct target_options options;
    struct spool spool;
    bool is_8bit;
    struct blocking_stream stream;
    struct smtp_client *client; /* in `memory`, while connected */
    void *memory;
    struct bytes unfed; /* in `input` */
    uint8_t input[INPUT_OCTETS];
    uint8_t chunk[CHUNK_OCTETS];
};

/* A delivery under way. */
struct delivery {
    bool begun, is_again;
    uint64_t given;    /* octets of the spool */
    struct error lost; /* why the connection is; NONE: the server closed it */
    enum target_outcome outcome;
};

static struct lmtp *lmtp_of(struct target *target)
{
    return (struct lmtp *)(void *)target;
}

static int lmtp_begin(struct target *target, const struct target_message *message,
                      struct error *error)
{
    struct lmtp *lmtp = lmtp_of(target);
    (void)message;
    lmtp->is_8bit = false;
    return spool_reset(&lmtp->spool, error);
}

static int lmtp_append(struct target *target, struct bytes octets, struct error *error)
{
    struct lmtp *lmtp = lmtp_of(target);
    for (size_t i = 0; i < octets.size && !lmtp->is_8bit; i++) {
        lmtp->is_8bit = octets.data[i] > 127;
    }
    return spool_append(&lmtp->spool, octets, error);
}

static void lmtp_abort(struct target *target)
{
    (void)target; /* the next message begins with an empty spool */
}

static void disconnect(struct lmtp *lmtp)
{
    blocking_stream_close(&lmtp->stream);
    lmtp->client = NULL;
    lmtp->unfed = (struct bytes){0};
}

static int make_connection(struct lmtp *lmtp, struct error *error)
{
    char host[HOST_OCTETS] = "";
    (void)gethostname(host, sizeof host - 1); /* empty is "localhost" below */
    if (blocking_stream_connect(&lmtp->stream, lmtp->options.place, error) < 0) {
        return -1;
    }
    struct smtp_options options = {.host = host};
    lmtp->client = smtp_client_init(lmtp->memory, &options);
    if (lmtp->client == NULL) {
        options.host = "localhost";
        lmtp->client = smtp_client_init(lmtp->memory, &options);
    }
    return 0;
}

static void lose(struct lmtp *lmtp)
{
    lmtp->unfed = (struct bytes){0};
    smtp_client_end(lmtp->client);
}

static void take_input(struct lmtp *lmtp, struct delivery *delivery)
{
    if (lmtp->unfed.size == 0) {
        ssize_t size =
            blocking_stream_receive(&lmtp->stream, lmtp->input, INPUT_OCTETS, &delivery->lost);
        if (size <= 0) {
            lose(lmtp);
            return;
        }
        lmtp->unfed = (struct bytes){lmtp->input, (size_t)size};
    }
    lmtp->unfed = bytes_from(lmtp->unfed, smtp_client_feed(lmtp->client, lmtp->unfed));
}

static void give_output(struct lmtp *lmtp, struct bytes octets, struct delivery *delivery)
{
    ssize_t count = blocking_stream_send(&lmtp->stream, octets, &delivery->lost);
    if (count < 0) {
        lose(lmtp);
    } else {
        smtp_client_written(lmtp->client, (size_t)count);
    }
}

static int give_message(struct lmtp *lmtp, struct delivery *delivery, struct error *error)
{
    ssize_t size = spool_read(&lmtp->spool, lmtp->chunk, CHUNK_OCTETS, delivery->given, error);
    if (size < 0) {
        return -1;
    }
    if (size == 0 && delivery->given != lmtp->spool.size) {
        return error_set(error, ERROR_TEMPORARY, 0, "a temporary file is short");
    }
    if (size == 0) {
        smtp_client_message_end(lmtp->client);
        return 0;
    }
    struct bytes octets = {lmtp->chunk, (size_t)size};
    delivery->given += smtp_client_message(lmtp->client, octets);
    return 0;
}

static int begin_delivery(struct lmtp *lmtp, struct delivery *delivery, struct error *error)
{
    struct smtp_envelope envelope = {
        /* No sender: if it cannot be delivered behind that server, nobody is to be told by mail. */
        .recipient = bytes_of(lmtp->options.recipient),
        .octets = lmtp->spool.size,
        .is_8bit = lmtp->is_8bit,
    };
    delivery->begun = true;
    delivery->given = 0;
    if (smtp_client_deliver(lmtp->client, &envelope) < 0) {
        return error_set(error, ERROR_CONFIGURATION, 0, "%s is no address for LMTP",
                         lmtp->options.recipient);
    }
    return 0;
}

static enum target_outcome judge_result(const struct smtp_client_event *event, struct error *error)
{
    char text[REASON_OCTETS];
    (void)bytes_escape(event->text, text, sizeof text);
    switch (event->outcome) {
    case SMTP_ACCEPTED:
        return TARGET_STORED;
    case SMTP_TEMPORARY:
        (void)error_set(error, ERROR_TEMPORARY, 0, "the LMTP server says %u %s", event->code, text);
        return TARGET_DEFERRED;
    case SMTP_PERMANENT:
        break;
    }
    (void)error_set(error, ERROR_PERMANENT, 0, "the LMTP server says %u %s", event->code, text);
    return TARGET_REFUSED;
}

static enum target_outcome judge_close(const struct smtp_client_event *event,
                                       const struct delivery *delivery, struct error *error)
{
    char text[REASON_OCTETS];
    (void)bytes_escape(event->text, text, sizeof text);
    if (event->error == SMTP_CLIENT_ERROR_REFUSED) {
        (void)error_set(error, ERROR_TEMPORARY, 0, "the LMTP server says %u %s", event->code, text);
    } else if (delivery->lost.kind != ERROR_NONE) {
        *error = delivery->lost;
    } else if (event->error == SMTP_CLIENT_ERROR_PEER_GONE) {
        (void)error_set(error, ERROR_TEMPORARY, 0, "the LMTP server closed the connection");
    } else {
        (void)error_set(error, ERROR_TEMPORARY, 0, "what the LMTP server says is no LMTP: %s",
                        text);
    }
    return event->under_way ? TARGET_DEFERRED : TARGET_FAILED;
}

/* One event. True: the delivery is over. */
static bool step(struct lmtp *lmtp, struct delivery *delivery, struct error *error)
{
    struct smtp_client_event event;
    int result = 0;
    smtp_client_next(lmtp->client, &event);
    switch (event.type) {
    case SMTP_CLIENT_NEED_INPUT:
        take_input(lmtp, delivery);
        return false;
    case SMTP_CLIENT_WRITE:
        give_output(lmtp, event.write, delivery);
        return false;
    case SMTP_CLIENT_IDLE:
        result = begin_delivery(lmtp, delivery, error);
        break;
    case SMTP_CLIENT_MESSAGE:
        result = give_message(lmtp, delivery, error);
        break;
    case SMTP_CLIENT_RESULT:
        delivery->outcome = judge_result(&event, error);
        return true;
    case SMTP_CLIENT_CLOSE:
        /* An old connection that the server had closed long ago: a new one will do. */
        if (delivery->is_again && !event.unclear) {
            delivery->outcome = TARGET_WAITS;
        } else {
            delivery->outcome = judge_close(&event, delivery, error);
        }
        disconnect(lmtp);
        return true;
    }
    if (result < 0) {
        disconnect(lmtp);
        delivery->outcome = TARGET_FAILED;
    }
    return result < 0;
}

static enum target_outcome lmtp_end(struct target *target, struct error *error)
{
    struct lmtp *lmtp = lmtp_of(target);
    struct delivery delivery = {.is_again = lmtp->client != NULL};
    if (spool_flush(&lmtp->spool, error) < 0) {
        return TARGET_FAILED;
    }
    for (;;) {
        if (lmtp->client == NULL && make_connection(lmtp, error) < 0) {
            return TARGET_FAILED;
        }
        while (!step(lmtp, &delivery, error)) {
        }
        if (delivery.outcome != TARGET_WAITS) {
            return delivery.outcome;
        }
        delivery = (struct delivery){.is_again = false};
    }
}

static struct spool *lmtp_spool(struct target *target)
{
    return &lmtp_of(target)->spool;
}

/* Takes leave, without waiting for the answer. */
static void quit(struct lmtp *lmtp)
{
    struct smtp_client_event event;
    smtp_client_next(lmtp->client, &event);
    if (event.type == SMTP_CLIENT_IDLE) {
        smtp_client_quit(lmtp->client);
        smtp_client_next(lmtp->client, &event);
        if (event.type == SMTP_CLIENT_WRITE) {
            (void)blocking_stream_send(&lmtp->stream, event.write, NULL);
        }
    }
}

static void lmtp_free(struct target *target)
{
    struct lmtp *lmtp = lmtp_of(target);
    if (lmtp->client != NULL) {
        quit(lmtp);
    }
    disconnect(lmtp);
    spool_close(&lmtp->spool);
    free(lmtp->memory);
    free(lmtp);
}

static const struct target_operations operations = {
    .begin = lmtp_begin,
    .append = lmtp_append,
    .abort = lmtp_abort,
    .end = lmtp_end,
    .spool = lmtp_spool,
    .free = lmtp_free,
};

int target_lmtp_create(const struct target_options *options, struct target **target_out,
                       struct error *error)
{
    if (options->recipient == NULL || options->recipient[0] == '\0') {
        return error_set(error, ERROR_CONFIGURATION, 0, "LMTP needs a recipient");
    }
    struct lmtp *lmtp = calloc(1, sizeof *lmtp);
    void *memory = malloc(smtp_client_size());
    if (lmtp == NULL || memory == NULL) {
        free(lmtp);
        free(memory);
        return error_set(error, ERROR_TEMPORARY, 0, "out of memory");
    }
    lmtp->target.operations = &operations;
    lmtp->options = *options;
    lmtp->memory = memory;
    lmtp->stream = (struct blocking_stream){.descriptor = -1,
                                            .cancel = options->cancel,
                                            .limit_s = options->time_limit_s,
                                            .peer = "the LMTP server"};
    if (spool_open(&lmtp->spool, options->state_folder, error) < 0) {
        free(memory);
        free(lmtp);
        return -1;
    }
    *target_out = &lmtp->target;
    return 0;
}
