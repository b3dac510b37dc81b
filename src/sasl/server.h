/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_SASL_SERVER_H
#define RESTANTE_SASL_SERVER_H

/* The server's end of one authentication exchange (RFC 4422), without input or output. The host gives it the
 * client's messages, decoded, and does what the event says that each call returns:
 *
 *     CHALLENGE   send `octets`; the client's next message goes to sasl_server_continue
 *     VERIFY      the client says it is `name` and proves it by `password`: check that. The exchange is over
 *     LOOKUP      whose keys or passwords are they? Answer with sasl_server_keys where the mechanism is of the
 *                 SCRAM family, else with sasl_server_passwords. For a name that is nobody's, answer with
 *                 something that nobody knows, so that nobody learns more than that it failed
 *     TOKEN       the client proves who it is by a token, `password`, and says that it is `name`, or nobody (NULL):
 *                 check that. If it is right the exchange is over; else go on with sasl_server_refuse_token, or, where
 *                 nobody can tell, with nothing
 *     DONE        the client is `name`
 *     FAILED      it is not; the exchange is over
 *
 * An exchange is one block of fixed size; messages over sasl_message_octets_max fail. Names have passed
 * user_name_check, passwords have no CR, LF or NUL in them, and who asks to act as somebody else has
 * failed. One thread. */

#include "sasl/mechanism.h"

enum {
    SASL_MESSAGE_OCTETS_MAX = 1024, /* a name, a name and a password: PLAIN */
    SASL_TOKEN_OCTETS_MAX = 8192,
    SASL_TOKEN_MESSAGE_OCTETS_MAX = SASL_TOKEN_OCTETS_MAX + SASL_MESSAGE_OCTETS_MAX,
    SASL_CHALLENGE_OCTETS_MAX = 1536,
    SASL_BINDING_OCTETS_MAX = 64,
    SASL_SECRETS_MAX = 17 /* of one account */
};

/* Facts of the connection, copied except the last three, which stay until the exchange is freed. */
struct sasl_facts {
    struct bytes tls_exporter; /* RFC 9266; empty: not to be had */
    struct bytes tls_unique;   /* RFC 5929 section 3 */
    bool plus_offered; /* a -PLUS mechanism was: who says that it was not was told so by another */
    const char *certificate; /* the name in the client's verified certificate; NULL: none */
    const char *host;        /* for the challenge of CRAM-MD5 */
    const char *chosen; /* instead of the nonce or challenge that is random: test vectors need it */

    /* Of tokens; printable ASCII, each NULL or empty: none. */
    const char
        *hosts; /* the names of this host that a client may have connected to, spaces between */
    const char *scope; /* that a token needs; for clients whose token is refused, as the next is */
    const char *discovery; /* URL of the provider's OpenID configuration */
};

enum sasl_event_type {
    SASL_EVENT_CHALLENGE,
    SASL_EVENT_VERIFY,
    SASL_EVENT_LOOKUP,
    SASL_EVENT_TOKEN,
    SASL_EVENT_DONE,
    SASL_EVENT_FAILED
};

/* Pointers are borrowed until the next call; a token's is into the message of the client. */
struct sasl_event {
    enum sasl_event_type type;
    struct bytes octets;
    const char *name;
    struct bytes password;
    size_t
        secret; /* the one that was proved, as an index into what answered LOOKUP; with FAILED: one that
                      was to be refused, or SASL_SECRETS_MAX */
};

/* Why a token is refused: RFC 6750 section 3.1. */
enum sasl_refusal {
    SASL_REFUSAL_INVALID_REQUEST,
    SASL_REFUSAL_INVALID_TOKEN,
    SASL_REFUSAL_INSUFFICIENT_SCOPE
};

struct sasl_server;

/* Of one message of the client. */
size_t sasl_message_octets_max(enum sasl_mechanism mechanism);

/* Not for APOP. ERROR_TEMPORARY: no memory. */
int sasl_server_create(enum sasl_mechanism mechanism, const struct sasl_facts *facts,
                       struct sasl_server **server_out, struct error *error) MUST_CHECK;
/* Wipes. Takes NULL; returns NULL. */
struct sasl_server *sasl_server_free(struct sasl_server *server);

/* The first call; `initial` is the initial response, NULL if there was none. */
void sasl_server_begin(struct sasl_server *server, const struct bytes *initial,
                       struct sasl_event *event_out);
void sasl_server_continue(struct sasl_server *server, struct bytes message,
                          struct sasl_event *event_out);

/* Answers to LOOKUP: all that may be proved, 1 to SASL_SECRETS_MAX; what they are given is borrowed for the
 * call. SCRAM names one salt and one count of iterations before it is known which secret the client has, so
 * they are those of keys[0], and the others must have the same. */
void sasl_server_keys(struct sasl_server *server, const struct scram_keys *keys, size_t count,
                      struct sasl_event *event_out);
void sasl_server_passwords(struct sasl_server *server, const struct bytes *passwords, size_t count,
                           struct sasl_event *event_out);
/* Whoever proves this one of the keys that were given fails as one who proves none: the client gets no
 * signature of the server's, by which it would see that its secret was right. */
void sasl_server_refuse(struct sasl_server *server, size_t secret);

/* Answers TOKEN: the client is told why (RFC 7628 section 3.2.2); whatever it says to that, FAILED follows. */
void sasl_server_refuse_token(struct sasl_server *server, enum sasl_refusal refusal,
                              struct sasl_event *event_out);

/* Is `digest`, 32 hexadecimal digits, the one of timestamp and password (RFC 1939 section 7)? In a time that
 * depends on neither. */
bool sasl_apop_fits(struct bytes timestamp, struct bytes password, struct bytes digest);

#endif
