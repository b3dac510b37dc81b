/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_SASL_CLIENT_EXCHANGE_H
#define RESTANTE_SASL_CLIENT_EXCHANGE_H

/* The client's exchange as the files of the mechanisms see it. */

#include "base/buffer.h"
#include "sasl/client.h"

/* What the server's next challenge is. */
enum sasl_client_awaited {
    SASL_CLIENT_AWAITS_NOTHING,   /* it has to say how it ends */
    SASL_CLIENT_AWAITS_NAME,      /* LOGIN */
    SASL_CLIENT_AWAITS_PASSWORD,  /* LOGIN */
    SASL_CLIENT_AWAITS_DIGEST,    /* CRAM-MD5 */
    SASL_CLIENT_AWAITS_SALT,      /* SCRAM: server-first-message */
    SASL_CLIENT_AWAITS_KEYS,      /* SCRAM: our own computing */
    SASL_CLIENT_AWAITS_SIGNATURE, /* SCRAM: server-final-message */
    SASL_CLIENT_AWAITS_REFUSAL    /* a token's, or the server says that we are in */
};

struct sasl_client {
    enum sasl_mechanism mechanism;
    enum sasl_client_awaited awaited;
    bool complete; /* the server may say that we are in */
    struct error error;
    size_t name_size, password_size, authorization_size;
    uint8_t name[SASL_CLIENT_NAME_OCTETS_MAX];
    uint8_t password[SASL_CLIENT_TOKEN_OCTETS_MAX];
    uint8_t authorization[SASL_CLIENT_NAME_OCTETS_MAX];

    /* SCRAM */
    const char *binding_type; /* NULL: none */
    bool could_bind, plus_offered;
    size_t binding_size;
    uint8_t binding[64];
    char own_nonce[64];
    struct buffer header; /* the GS2 header, then the channel's octets */
    uint8_t header_memory[3 * SASL_CLIENT_NAME_OCTETS_MAX + 128];
    struct buffer signed_text; /* "client-first-bare,server-first,client-final-without-proof" */
    uint8_t signed_memory[4096 + SASL_CLIENT_CHALLENGE_OCTETS_MAX + 2048];
    size_t nonce_offset, nonce_size; /* of both, in signed_memory */
    uint32_t iterations;
    size_t salt_size;
    uint8_t salt[SASL_CLIENT_CHALLENGE_OCTETS_MAX];
    uint8_t server_signature[SCRAM_KEY_OCTETS_MAX];

    /* tokens */
    char host[256];
    uint32_t port;
    char status[SASL_CLIENT_STATUS_SIZE]; /* empty: unknown */

    struct buffer output;
    uint8_t output_memory[SASL_CLIENT_TOKEN_OCTETS_MAX + 3 * SASL_CLIENT_NAME_OCTETS_MAX + 512];
};

/* A step ends in one of these. */
void sasl_client_fail(struct sasl_client *client, enum error_kind kind, const char *reason,
                      struct sasl_client_event *event);
void sasl_client_send(struct sasl_client *client, enum sasl_client_awaited then,
                      struct sasl_client_event *event);

/* bearer_client.c */
void bearer_client_first(struct sasl_client *client, struct sasl_client_event *event);
void bearer_client_take_refusal(struct sasl_client *client, struct bytes challenge,
                                struct sasl_client_event *event);

/* scram_client.c */
void scram_client_first(struct sasl_client *client, struct sasl_client_event *event);
void scram_client_take_salt(struct sasl_client *client, struct bytes challenge,
                            struct sasl_client_event *event);
void scram_client_derive(struct sasl_client *client, struct sasl_client_event *event);
void scram_client_take_signature(struct sasl_client *client, struct bytes challenge,
                                 struct sasl_client_event *event);

#endif
