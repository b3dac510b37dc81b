/* SPDX-License-Identifier: MIT */
/* The client's end of OAUTHBEARER (RFC 7628) and XOAUTH2. A server that refuses the token says why in the
 * exchange, where it wants an answer, and only then that the login has failed. */
#include "sasl/bearer_text.h"
#include "sasl/client_exchange.h"
#include "sasl/scram_text.h"

static void append_pair(struct buffer *out, const char *key, struct bytes value)
{
    buffer_append_text(out, key);
    buffer_append_octet(out, '=');
    buffer_append(out, value);
    buffer_append_octet(out, BEARER_SEPARATOR);
}

static void append_token(struct sasl_client *client)
{
    buffer_append_text(&client->output, "auth=Bearer ");
    buffer_append(&client->output, (struct bytes){client->password, client->password_size});
    buffer_append_octet(&client->output, BEARER_SEPARATOR);
    buffer_append_octet(&client->output, BEARER_SEPARATOR);
}

/* Who asks to act as somebody else is not told apart: a token says who it is of. */
static struct bytes identity(const struct sasl_client *client)
{
    return client->authorization_size > 0
               ? (struct bytes){client->authorization, client->authorization_size}
               : (struct bytes){client->name, client->name_size};
}

static void oauthbearer(struct sasl_client *client)
{
    struct buffer *out = &client->output;
    buffer_append_text(out, "n,a=");
    scram_append_name(out, identity(client));
    buffer_append_octet(out, ',');
    buffer_append_octet(out, BEARER_SEPARATOR);
    if (client->host[0] != '\0') {
        append_pair(out, "host", bytes_of(client->host));
    }
    if (client->port != 0) {
        buffer_append_text(out, "port=");
        buffer_append_number(out, client->port);
        buffer_append_octet(out, BEARER_SEPARATOR);
    }
    append_token(client);
}

void bearer_client_first(struct sasl_client *client, struct sasl_client_event *event)
{
    struct bytes who = identity(client);
    if (bytes_find(who, BEARER_SEPARATOR) < who.size) {
        sasl_client_fail(client, ERROR_CONFIGURATION, "nobody has such a name", event);
        return;
    }
    if (client->mechanism == SASL_OAUTHBEARER) {
        oauthbearer(client);
    } else {
        append_pair(&client->output, "user", who);
        append_token(client);
    }
    sasl_client_send(client, SASL_CLIENT_AWAITS_REFUSAL, event);
    client->complete = event->type == SASL_CLIENT_SEND;
}

void bearer_client_take_refusal(struct sasl_client *client, struct bytes challenge,
                                struct sasl_client_event *event)
{
    (void)bearer_find_string(challenge, "status", client->status, sizeof client->status);
    if (client->mechanism == SASL_OAUTHBEARER) {
        buffer_append_octet(&client->output, BEARER_SEPARATOR);
    }
    sasl_client_send(client, SASL_CLIENT_AWAITS_NOTHING, event);
    client->complete = false; /* whatever it says then */
}
