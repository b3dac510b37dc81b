/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_SASL_EXCHANGE_H
#define RESTANTE_SASL_EXCHANGE_H

/* The exchange as the files of the mechanisms see it. */

#include "base/buffer.h"
#include "base/user_name.h"
#include "sasl/server.h"

/* What the client's next message is, or that none is expected. */
enum sasl_awaited {
    SASL_AWAITS_NOTHING,
    SASL_AWAITS_FIRST, /* the message that an initial response would have been */
    SASL_AWAITS_PASSWORD,
    SASL_AWAITS_KEYS, /* the host's answer to LOOKUP */
    SASL_AWAITS_PROOF,
    SASL_AWAITS_VERDICT, /* the host's answer to TOKEN */
    SASL_AWAITS_DUMMY,   /* what a client says to the refusal of its token */
    SASL_AWAITS_END /* the empty message with which a client takes note of the last challenge */
};

struct sasl_binding {
    size_t size; /* 0: not to be had */
    uint8_t octets[SASL_BINDING_OCTETS_MAX];
};

struct sasl_server {
    enum sasl_mechanism mechanism;
    enum sasl_awaited awaited;
    bool plus_offered;
    struct sasl_binding tls_exporter, tls_unique;
    char name[USER_NAME_OCTETS_MAX + 1];
    char certificate[USER_NAME_OCTETS_MAX + 1]; /* empty: none */
    char host[256];
    char chosen[256];                      /* empty: random */
    const char *hosts, *scope, *discovery; /* of tokens, as the facts had them */

    /* SCRAM: the message that both sign, "client-first-bare,server-first," */
    struct buffer signed_text;
    uint8_t signed_memory[SASL_MESSAGE_OCTETS_MAX + 512];
    size_t header_size; /* of the GS2 header, in `header` */
    uint8_t header[SASL_MESSAGE_OCTETS_MAX];
    const struct sasl_binding *binding; /* that the client asked for; NULL: none */
    size_t nonce_offset, nonce_size;    /* in signed_memory */
    struct {
        uint8_t stored_key[SCRAM_KEY_OCTETS_MAX], server_key[SCRAM_KEY_OCTETS_MAX];
        bool is_refused;
    } keys[SASL_SECRETS_MAX];
    size_t key_count;

    /* CRAM-MD5: the digest; PLAIN and LOGIN: the password. */
    uint8_t response[SASL_MESSAGE_OCTETS_MAX];
    size_t response_size;

    size_t proved; /* index of the secret; SASL_SECRETS_MAX: none */
    struct buffer output;
    uint8_t output_memory[SASL_CHALLENGE_OCTETS_MAX];
};

/* A step of a mechanism ends in one of these, or in a LOOKUP or VERIFY of its own. */
void sasl_fail(struct sasl_server *server, struct sasl_event *event);
/* What was written to `output`; FAILED if it did not fit. */
void sasl_challenge(struct sasl_server *server, enum sasl_awaited then, struct sasl_event *event);
void sasl_done(struct sasl_server *server, struct sasl_event *event);

/* Keeps the name; false if nobody can be called so. */
bool sasl_take_name(struct sasl_server *server, struct bytes name);
/* Does the client ask to be nobody else? Empty: it asks for nothing. */
bool sasl_is_own_identity(const struct sasl_server *server, struct bytes identity);

/* scram_server.c */
void scram_server_first(struct sasl_server *server, struct bytes message, struct sasl_event *event);
void scram_server_take_keys(struct sasl_server *server, const struct scram_keys *keys, size_t count,
                            struct sasl_event *event);
void scram_server_final(struct sasl_server *server, struct bytes message, struct sasl_event *event);

/* bearer_server.c */
void bearer_server_first(struct sasl_server *server, struct bytes message,
                         struct sasl_event *event);

/* digest_server.c */
void cram_server_begin(struct sasl_server *server, struct sasl_event *event);
void cram_server_response(struct sasl_server *server, struct bytes message,
                          struct sasl_event *event);
void cram_server_take_passwords(struct sasl_server *server, const struct bytes *passwords,
                                size_t count, struct sasl_event *event);

#endif
