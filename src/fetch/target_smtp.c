/* SPDX-License-Identifier: MIT */
/* To an SMTP or LMTP server, one message at a time over one connection, which stays for the next. Only the reply to
 * the message's last dot makes it stored. A connection that ends before leaves the message for the next run (it may
 * be there then twice: RFC 5321 section 6.1); a server that cannot be reached, or does not let us in, ends the
 * account's run, so that nothing more is fetched in vain. */
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "fetch/account.h"
#include "fetch/hops.h"
#include "fetch/password.h"
#include "fetch/smtp_connection.h"
#include "fetch/smtp_url.h"
#include "fetch/target.h"

enum { CHUNK_OCTETS = 32768, REASON_OCTETS = 200, CA_OCTETS_MOST = 4 * 1024 * 1024 };

struct smtp {
    struct target target;
    struct target_options options;
    struct smtp_url url; /* not of LMTP */
    struct smtp_connection_options way;
    struct smtp_connection connection;
    struct tls_client_context *tls;
    struct secret *password;
    const char *sender;
    struct spool spool;
    bool is_8bit;
    struct hops hops;
    uint8_t chunk[CHUNK_OCTETS];
};

/* A delivery under way. */
struct delivery {
    bool is_again;
    uint64_t given;    /* octets of the spool */
    struct error lost; /* why the connection is; NONE: the server closed it */
    enum target_outcome outcome;
};

static struct smtp *smtp_of(struct target *target)
{
    return (struct smtp *)(void *)target;
}

static int smtp_begin(struct target *target, const struct target_message *message,
                      struct error *error)
{
    struct smtp *smtp = smtp_of(target);
    (void)message;
    smtp->is_8bit = false;
    smtp->hops = (struct hops){0};
    return spool_reset(&smtp->spool, error);
}

static int smtp_append(struct target *target, struct bytes octets, struct error *error)
{
    struct smtp *smtp = smtp_of(target);
    for (size_t i = 0; i < octets.size && !smtp->is_8bit; i++) {
        smtp->is_8bit = octets.data[i] > 127;
    }
    hops_feed(&smtp->hops, octets);
    return spool_append(&smtp->spool, octets, error);
}

static void smtp_abort(struct target *target)
{
    (void)target; /* the next message begins with an empty spool */
}

static int give_message(struct smtp *smtp, struct delivery *delivery, struct error *error)
{
    ssize_t size = spool_read(&smtp->spool, smtp->chunk, CHUNK_OCTETS, delivery->given, error);
    if (size < 0) {
        return -1;
    }
    if (size == 0 && delivery->given != smtp->spool.size) {
        return error_set(error, ERROR_TEMPORARY, 0, "a temporary file is short");
    }
    if (size == 0) {
        /* RFC 5321 section 4.5.3.2.6: it may take its time; who gives up too early has it doubled. */
        smtp->connection.stream.limit_s = 2 * smtp->options.time_limit_s;
        smtp_client_message_end(smtp->connection.client);
        return 0;
    }
    struct bytes octets = {smtp->chunk, (size_t)size};
    delivery->given += smtp_client_message(smtp->connection.client, octets);
    return 0;
}

static int begin_delivery(struct smtp *smtp, struct delivery *delivery, struct error *error)
{
    struct smtp_envelope envelope = {
        .sender = bytes_of(smtp->sender),
        .recipient = bytes_of(smtp->options.recipient),
        .octets = smtp->spool.size,
        .is_8bit = smtp->is_8bit,
    };
    delivery->given = 0;
    smtp->connection.stream.limit_s = smtp->options.time_limit_s;
    if (smtp_client_deliver(smtp->connection.client, &envelope) < 0) {
        return error_set(error, ERROR_CONFIGURATION, 0, "%s or %s is no address to deliver with",
                         smtp->options.recipient, smtp->sender[0] == '\0' ? "<>" : smtp->sender);
    }
    return 0;
}

static enum target_outcome judge_result(const struct smtp *smtp,
                                        const struct smtp_client_event *event, struct error *error)
{
    char text[REASON_OCTETS];
    (void)bytes_escape(event->text, text, sizeof text);
    if (event->outcome == SMTP_ACCEPTED) {
        return TARGET_STORED;
    }
    bool may_pass = event->outcome == SMTP_TEMPORARY;
    enum error_kind kind = may_pass ? ERROR_TEMPORARY : ERROR_PERMANENT;
    if (event->code == 0) {
        (void)error_set(error, kind, 0, "%s", text); /* our own words, nothing was sent */
    } else {
        (void)error_set(error, kind, 0, "%s says %u %s", smtp->way.peer, event->code, text);
    }
    return may_pass ? TARGET_DEFERRED : TARGET_REFUSED;
}

static void end_session(struct smtp *smtp, struct delivery *delivery,
                        const struct smtp_client_event *event, struct error *error)
{
    /* An old connection that the server had closed long ago: a new one will do. */
    if (delivery->is_again && !event->unclear) {
        delivery->outcome = TARGET_WAITS;
    } else {
        smtp_connection_explain(&smtp->connection, event, &delivery->lost, error);
        delivery->outcome = event->under_way ? TARGET_DEFERRED : TARGET_FAILED;
    }
    smtp_connection_close(&smtp->connection);
}

/* One event. True: the delivery is over. */
static bool step(struct smtp *smtp, struct delivery *delivery, struct error *error)
{
    struct smtp_client_event event;
    int result = -1;
    smtp_connection_next(&smtp->connection, &event, &delivery->lost);
    switch (event.type) {
    case SMTP_CLIENT_IDLE:
        result = begin_delivery(smtp, delivery, error);
        break;
    case SMTP_CLIENT_MESSAGE:
        result = give_message(smtp, delivery, error);
        break;
    case SMTP_CLIENT_RESULT:
        delivery->outcome = judge_result(smtp, &event, error);
        return true;
    case SMTP_CLIENT_CLOSE:
        end_session(smtp, delivery, &event, error);
        return true;
    case SMTP_CLIENT_NEED_INPUT:
    case SMTP_CLIENT_WRITE:
    case SMTP_CLIENT_HANDSHAKE:
    case SMTP_CLIENT_CHALLENGE:
        break; /* none comes here */
    }
    if (result < 0) {
        smtp_connection_close(&smtp->connection);
        delivery->outcome = TARGET_FAILED;
    }
    return result < 0;
}

/* The password is asked for when there is something to deliver, and once in a run. */
static int make_connection(struct smtp *smtp, struct error *error)
{
    const struct fetch_account *described = smtp->options.described;
    if (smtp->way.user != NULL && smtp->password == NULL) {
        if (password_wait(described->smtp_password_command, described->smtp_password_file,
                          smtp->options.cancel, &smtp->password, error) < 0) {
            return -1;
        }
        smtp->way.password = smtp->password;
    }
    return smtp_connection_open(&smtp->connection, error);
}

static enum target_outcome smtp_end(struct target *target, struct error *error)
{
    struct smtp *smtp = smtp_of(target);
    struct delivery delivery = {.is_again = smtp->connection.client != NULL};
    if (spool_flush(&smtp->spool, error) < 0) {
        return TARGET_FAILED;
    }
    if (smtp->way.protocol == SMTP_PROTOCOL_SMTP && smtp->hops.count > HOPS_MOST) {
        (void)error_set(error, ERROR_PERMANENT, 0,
                        "it goes round in a circle: it has passed %u servers, and they may be "
                        "sending it here again",
                        smtp->hops.count);
        return TARGET_REFUSED;
    }
    for (;;) {
        if (smtp->connection.client == NULL && make_connection(smtp, error) < 0) {
            return TARGET_FAILED;
        }
        while (!step(smtp, &delivery, error)) {
        }
        if (delivery.outcome != TARGET_WAITS) {
            return delivery.outcome;
        }
        delivery = (struct delivery){.is_again = false};
    }
}

static struct spool *smtp_spool(struct target *target, size_t index, struct error *error)
{
    (void)index;
    (void)error;
    return &smtp_of(target)->spool;
}

static void smtp_free(struct target *target)
{
    struct smtp *smtp = smtp_of(target);
    smtp_connection_finish(&smtp->connection);
    spool_close(&smtp->spool);
    smtp->tls = tls_client_context_free(smtp->tls);
    smtp->password = secret_free(smtp->password);
    free(smtp);
}

static const struct target_operations operations = {
    .begin = smtp_begin,
    .append = smtp_append,
    .abort = smtp_abort,
    .end = smtp_end,
    .spool = smtp_spool,
    .free = smtp_free,
};

static int create_tls(struct smtp *smtp, const struct fetch_account *described, struct error *error)
{
    struct tls_client_settings settings = {.fingerprint = described->smtp_fingerprint};
    const char *file = described->smtp_ca_file;
    int result = file == NULL ? 0 : file_read(file, CA_OCTETS_MOST, &settings.ca);
    if (result < 0) {
        return error_set(error, ERROR_CONFIGURATION, -result, "smtp-ca-file %s", file);
    }
    result = tls_client_context_create(&settings, &smtp->tls, error);
    free((void *)(uintptr_t)settings.ca.data);
    smtp->way.tls = smtp->tls;
    return result;
}

/* What is said of an SMTP server. */
static int prepare_smtp(struct smtp *smtp, struct error *error)
{
    const struct fetch_account *described = smtp->options.described;
    struct smtp_url *url = &smtp->url;
    if (smtp_url_parse(smtp->options.place, url) < 0) {
        return error_set(error, ERROR_CONFIGURATION, 0, "%s is no SMTP server",
                         smtp->options.place);
    }
    smtp->sender = described->smtp_from == NULL ? "" : described->smtp_from;
    smtp->way.place = url->place;
    smtp->way.host = url->host;
    smtp->way.implicit_tls = url->implicit_tls;
    smtp->way.user = described->smtp_user;
    return url->implicit_tls || described->smtp_tls ? create_tls(smtp, described, error) : 0;
}

static int prepare(struct smtp *smtp, enum smtp_protocol protocol, struct error *error)
{
    const struct target_options *options = &smtp->options;
    bool is_lmtp = protocol == SMTP_PROTOCOL_LMTP;
    smtp->sender = ""; /* who cannot be reached behind that server: nobody is told by mail */
    smtp->way = (struct smtp_connection_options){
        .protocol = protocol,
        .place = options->place,
        .peer = is_lmtp ? "the LMTP server" : "the SMTP server",
        .limit_s = options->time_limit_s,
        .cancel = options->cancel,
    };
    if (options->recipient == NULL || options->recipient[0] == '\0') {
        return error_set(error, ERROR_CONFIGURATION, 0, "a server needs a recipient");
    }
    if (!is_lmtp && prepare_smtp(smtp, error) < 0) {
        return -1;
    }
    if (smtp_connection_init(&smtp->connection, &smtp->way) < 0) {
        return error_set(error, ERROR_TEMPORARY, 0, "out of memory");
    }
    return spool_open(&smtp->spool, options->state_folder, error);
}

static int create(const struct target_options *options, enum smtp_protocol protocol,
                  struct target **target_out, struct error *error)
{
    struct smtp *smtp = calloc(1, sizeof *smtp);
    if (smtp == NULL) {
        return error_set(error, ERROR_TEMPORARY, 0, "out of memory");
    }
    smtp->target.operations = &operations;
    smtp->options = *options;
    smtp->spool.descriptor = -1;
    smtp->connection.stream.descriptor = -1;
    if (prepare(smtp, protocol, error) < 0) {
        smtp_free(&smtp->target);
        return -1;
    }
    *target_out = &smtp->target;
    return 0;
}

int target_lmtp_create(const struct target_options *options, struct target **target_out,
                       struct error *error)
{
    return create(options, SMTP_PROTOCOL_LMTP, target_out, error);
}

int target_smtp_create(const struct target_options *options, struct target **target_out,
                       struct error *error)
{
    return create(options, SMTP_PROTOCOL_SMTP, target_out, error);
}
