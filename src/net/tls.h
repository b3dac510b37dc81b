/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_NET_TLS_H
#define RESTANTE_NET_TLS_H

/* TLS 1.2 and 1.3 (RFC 9325) by OpenSSL, without input or output: octets of the peer are given to a
 * connection and what it has to send is taken from it. One thread. */

#include "base/bytes.h"
#include "base/error.h"

enum {
    TLS_MOST_IDENTITIES = 8,
    TLS_TICKET_KEYS = 3,
    TLS_TICKET_KEY_SIZE = 80, /* name 16, AES-256 32, HMAC-SHA-256 32 */
    TLS_EXPORTER_SIZE = 32,   /* tls-exporter, RFC 9266 */
    TLS_UNIQUE_SIZE = 64,     /* the most that tls-unique has, RFC 5929 section 3 */
    TLS_RECORD_SIZE = 16384   /* the most plaintext of a record */
};

/* The keys of session tickets, the first makes them, all open them. Shared by all contexts of a process and
 * changed in place when the master rotates them. */
struct tls_tickets {
    uint8_t keys[TLS_TICKET_KEYS][TLS_TICKET_KEY_SIZE];
    uint32_t count; /* 0: no tickets */
};

struct tls_settings {
    struct {
        struct bytes certificate; /* PEM: the certificate, then its chain */
        struct bytes key;         /* PEM */
    } identities[TLS_MOST_IDENTITIES];
    uint32_t identity_count; /* the first serves where no other fits the name asked for (SNI) */
    struct bytes client_ca;  /* PEM; empty: no client certificates are asked for */
    bool only_1_3;
    const char *protocol;              /* ALPN, strict; borrowed for the context's life */
    const struct tls_tickets *tickets; /* borrowed for the context's life */
};

struct tls_context;

/* Everything is parsed and checked: ERROR_CONFIGURATION names what is wrong. */
int tls_context_create(const struct tls_settings *settings, struct tls_context **context_out,
                       struct error *error) MUST_CHECK;
/* Takes NULL; returns NULL. Connections that were made of it go on. */
struct tls_context *tls_context_free(struct tls_context *context);

/* A fresh self-signed ECDSA P-256 certificate for `name`, localhost and the loopback addresses, valid for
 * ten years: two PEM texts, malloc'ed, the caller's. */
int tls_make_self_signed(const char *name, struct bytes *certificate_out, struct bytes *key_out,
                         struct error *error) MUST_CHECK;

/* A fresh ticket key. */
void tls_make_ticket_key(uint8_t key_out[TLS_TICKET_KEY_SIZE]);

/* One connection. */
struct tls;

/* The server end; tls_client.h has the client's. */
struct tls *tls_accept(struct tls_context *context); /* NULL: no memory */
struct tls *tls_free(struct tls *tls);

enum tls_result {
    TLS_MORE,   /* something was done; ask again */
    TLS_WAIT,   /* all that was given is used up: give more */
    TLS_CLOSED, /* the peer ended the session in order */
    TLS_FAILED  /* broken; what is to be sent (an alert) should still be sent */
};

/* Octets that came, borrowed until the next call of this: what is not used by then (tls_rest) is given
 * again in its place. */
void tls_give(struct tls *tls, struct bytes octets);
/* Octets that were given and not used yet. */
struct bytes tls_rest(const struct tls *tls);
/* Plaintext is there that tls_read would give without more input. */
bool tls_has_pending(const struct tls *tls);

/* Where a call puts the records to be sent: appended, whole. */
struct tls_output {
    uint8_t *data;
    size_t capacity;
    size_t size;
    bool overflow; /* more was to be sent than there was room for: the connection is broken */
};

/* Goes on with the handshake; TLS_MORE when it is complete. */
enum tls_result tls_handshake(struct tls *tls, struct tls_output *output);

/* Decrypts up to `capacity` octets. TLS_MORE with *size_out > 0: octets are there. */
enum tls_result tls_read(struct tls *tls, void *data, size_t capacity, size_t *size_out,
                         struct tls_output *output);

/* Encrypts all of `octets`; the output needs their size and TLS_OVERHEAD for each 16 KiB begun. */
enum { TLS_OVERHEAD = 256 };
enum tls_result tls_write(struct tls *tls, struct bytes octets, struct tls_output *output);

/* Says that no more comes. */
void tls_finish(struct tls *tls, struct tls_output *output);

/* Facts of a connection whose handshake is complete. */
bool tls_is_1_3(const struct tls *tls);
bool tls_is_resumed(const struct tls *tls);
const char *tls_version(const struct tls *tls);
const char *tls_cipher(const struct tls *tls);
/* Channel binding (RFC 9266; RFC 5929 section 3, only of TLS 1.2 with an extended master secret): octets,
 * 0 if there is none. */
size_t tls_exporter(const struct tls *tls, uint8_t out[TLS_EXPORTER_SIZE]);
size_t tls_unique(const struct tls *tls, uint8_t out[TLS_UNIQUE_SIZE]);

enum tls_name_kind { TLS_NAME_COMMON, TLS_NAME_EMAIL };
/* The name that a verified client certificate holds in that field, NUL-terminated. False if there is no
 * certificate, or no such field, or several, or a NUL in it. */
bool tls_peer_name(const struct tls *tls, enum tls_name_kind kind, char *out, size_t capacity);

#endif
