/* SPDX-License-Identifier: MIT */
/* The client end of TLS. A certificate is judged within the handshake, so that a wrong one ends it with the
 * right alert, before anything of ours was sent. */
#include "net/tls_client.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <openssl/err.h>
#include <openssl/sslerr.h>
#include <stdlib.h>

#include "net/tls_certificate.h"
#include "net/tls_connection.h"
#include "net/tls_context.h"

enum { HOST_SIZE = 256 };

struct tls_client_context {
    SSL_CTX *ssl;
    uint32_t references; /* ours, and one of each connection: callbacks come as long as they live */
    bool pinned;
    uint8_t fingerprint[TLS_FINGERPRINT_SIZE];
    SSL_SESSION *session; /* to go on with; used once: RFC 8446 appendix C.4 */
    char session_host[HOST_SIZE];
};

struct tls_client {
    struct tls_client_context *context;
    char host[HOST_SIZE]; /* without the root's dot */
    bool is_address;
    struct error error;
};

static int parse_fingerprint(const char *text, uint8_t out[TLS_FINGERPRINT_SIZE])
{
    size_t digits = 0;
    for (; *text != '\0'; text++) {
        unsigned char octet = (unsigned char)*text;
        if (octet == ':') {
            continue;
        }
        if (!isxdigit(octet) || digits == 2 * (size_t)TLS_FINGERPRINT_SIZE) {
            return -1;
        }
        uint8_t value = (uint8_t)(octet <= '9' ? octet - '0' : (octet | 0x20) - 'a' + 10);
        out[digits / 2] = (uint8_t)(digits % 2 == 0 ? value << 4 : out[digits / 2] | value);
        digits++;
    }
    return digits == 2 * (size_t)TLS_FINGERPRINT_SIZE ? 0 : -1;
}

static int verify(X509_STORE_CTX *store, void *argument)
{
    (void)argument;
    SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
    struct tls *tls = SSL_get_app_data(ssl);
    struct tls_client *client = tls->client;
    struct tls_expected expected = {
        .host = client->host,
        .is_address = client->is_address,
        .fingerprint = client->context->pinned ? client->context->fingerprint : NULL};
    return tls_certificate_verify(store, &expected, &client->error) == 0;
}

static int on_session(SSL *ssl, SSL_SESSION *session)
{
    struct tls *tls = SSL_get_app_data(ssl);
    struct tls_client_context *context = tls->client->context;
    SSL_SESSION_free(context->session);
    context->session = session; /* 1: it is ours now */
    memcpy(context->session_host, tls->client->host, HOST_SIZE);
    return 1;
}

/* RFC 9325 sections 3.1, 4.1 and 4.2: nothing below 1.2, and forward secrecy; of 1.2 also what servers that
 * are older than AEAD have. */
static void harden(SSL_CTX *ssl, bool only_1_3)
{
    (void)SSL_CTX_set_min_proto_version(ssl, only_1_3 ? TLS1_3_VERSION : TLS1_2_VERSION);
    (void)SSL_CTX_set_cipher_list(
        ssl, "ECDHE+AESGCM:ECDHE+CHACHA20:DHE+AESGCM:DHE+CHACHA20:ECDHE+AES:!aNULL");
    (void)SSL_CTX_set_options(ssl, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION);
    (void)SSL_CTX_set_mode(ssl, SSL_MODE_RELEASE_BUFFERS);
    (void)SSL_CTX_set_session_cache_mode(ssl, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(ssl, on_session);
}

static int use_trust(SSL_CTX *ssl, struct bytes ca, struct error *error)
{
    if (ca.size == 0) {
        return SSL_CTX_set_default_verify_paths(ssl) == 1
                   ? 0
                   : tls_context_fail(error, "the system's CA certificates cannot be read");
    }
    if (tls_context_trust(ssl, ca) == 0) {
        return tls_context_fail(error, "the CA file holds no certificate in PEM");
    }
    /* what the person trusts need not be a root */
    (void)X509_STORE_set_flags(SSL_CTX_get_cert_store(ssl), X509_V_FLAG_PARTIAL_CHAIN);
    return 0;
}

static int use_identity(SSL_CTX *ssl, const struct tls_client_settings *settings,
                        struct error *error)
{
    X509 *certificate = NULL;
    if (settings->certificate.size == 0) {
        return 0;
    }
    if (tls_context_use_certificate(ssl, settings->certificate, &certificate, error) < 0) {
        return -1;
    }
    X509_free(certificate);
    return tls_context_use_key(ssl, settings->key, error);
}

static int use_protocol(SSL_CTX *ssl, const char *protocol, struct error *error)
{
    uint8_t list[256];
    size_t size = protocol == NULL ? 0 : strlen(protocol);
    if (size == 0) {
        return 0;
    }
    if (size >= sizeof list) {
        return tls_context_fail(error, "the ALPN protocol is too long");
    }
    list[0] = (uint8_t)size;
    memcpy(list + 1, protocol, size);
    return SSL_CTX_set_alpn_protos(ssl, list, (unsigned)size + 1) == 0
               ? 0
               : tls_context_fail(error, "no memory for TLS");
}

static int set_up(struct tls_client_context *context, const struct tls_client_settings *settings,
                  struct error *error)
{
    context->ssl = SSL_CTX_new(TLS_client_method());
    if (context->ssl == NULL) {
        return tls_context_fail(error, "no memory for TLS");
    }
    harden(context->ssl, settings->only_1_3);
    SSL_CTX_set_verify(context->ssl, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_cert_verify_callback(context->ssl, verify, NULL);
    context->pinned = settings->fingerprint != NULL;
    if (context->pinned && parse_fingerprint(settings->fingerprint, context->fingerprint) < 0) {
        return error_set(error, ERROR_CONFIGURATION, 0,
                         "a fingerprint is the 64 hexadecimal digits of a SHA-256 hash");
    }
    if (!context->pinned && use_trust(context->ssl, settings->ca, error) < 0) {
        return -1;
    }
    if (use_protocol(context->ssl, settings->protocol, error) < 0) {
        return -1;
    }
    return use_identity(context->ssl, settings, error);
}

int tls_client_context_create(const struct tls_client_settings *settings,
                              struct tls_client_context **context_out, struct error *error)
{
    struct tls_client_context *context = calloc(1, sizeof *context);
    if (context == NULL) {
        return tls_context_fail(error, "no memory for TLS");
    }
    context->references = 1;
    if (set_up(context, settings, error) < 0) {
        (void)tls_client_context_free(context);
        return -1;
    }
    *context_out = context;
    return 0;
}

struct tls_client_context *tls_client_context_free(struct tls_client_context *context)
{
    if (context != NULL && --context->references == 0) {
        SSL_SESSION_free(context->session);
        SSL_CTX_free(context->ssl);
        free(context);
    }
    return NULL;
}

/* Names in certificates are ASCII: what is not would match none. */
static int copy_host(struct tls_client *client, const char *host, struct error *error)
{
    size_t size = strlen(host);
    uint8_t address[sizeof(struct in6_addr)];
    for (size_t i = 0; i < size; i++) {
        if ((unsigned char)host[i] <= ' ' || (unsigned char)host[i] >= 0x7f) {
            return error_set(error, ERROR_CONFIGURATION, 0,
                             "the host's name must be written in ASCII, as xn--... if it is not");
        }
    }
    if (size >= 2 && host[0] == '[' && host[size - 1] == ']') {
        host++;
        size -= 2;
    } else if (size > 1 && host[size - 1] == '.') {
        size--;
    }
    if (size == 0 || size >= HOST_SIZE) {
        return error_set(error, ERROR_CONFIGURATION, 0, "the host's name is empty or too long");
    }
    memcpy(client->host, host, size);
    client->host[size] = '\0';
    client->is_address = inet_pton(AF_INET, client->host, address) == 1 ||
                         inet_pton(AF_INET6, client->host, address) == 1;
    return 0;
}

/* An address is never sent as a name: RFC 6066 section 3. */
static int prepare(struct tls *tls, struct error *error)
{
    struct tls_client *client = tls->client;
    struct tls_client_context *context = client->context;
    if (!client->is_address && SSL_set_tlsext_host_name(tls->ssl, client->host) != 1) {
        return tls_context_fail(error, "no memory for TLS");
    }
    SSL_set_connect_state(tls->ssl);
    if (context->session != NULL && strcmp(context->session_host, client->host) == 0) {
        (void)SSL_set_session(tls->ssl,
                              context->session); /* failing, the handshake is a full one */
        SSL_SESSION_free(context->session);
        context->session = NULL;
    }
    return 0;
}

struct tls *tls_connect(struct tls_client_context *context, const char *host, struct error *error)
{
    struct tls *tls = tls_create(context->ssl);
    struct tls_client *client = calloc(1, sizeof *client);
    if (tls == NULL || client == NULL) {
        free(client);
        (void)tls_context_fail(error, "no memory for TLS");
        return tls_free(tls);
    }
    context->references++;
    client->context = context;
    tls->client = client;
    if (copy_host(client, host, error) < 0 || prepare(tls, error) < 0) {
        return tls_free(tls);
    }
    return tls;
}

struct tls_client *tls_client_free(struct tls_client *client)
{
    if (client != NULL) {
        (void)tls_client_context_free(client->context);
        free(client);
    }
    return NULL;
}

/* The reasons that a person can do something about. */
static const char *reason_in_words(unsigned long code)
{
    if (ERR_GET_LIB(code) != ERR_LIB_SSL) {
        return NULL;
    }
    switch (ERR_GET_REASON(code)) {
    case SSL_R_WRONG_VERSION_NUMBER:
    case SSL_R_PACKET_LENGTH_TOO_LONG:
    case SSL_R_BAD_RECORD_TYPE:
        return "what the server sent is not TLS; it may expect plaintext on this port";
    case SSL_R_UNSUPPORTED_PROTOCOL:
    case SSL_R_TLSV1_ALERT_PROTOCOL_VERSION:
        return "the server has no version of TLS that is allowed here";
    case SSL_R_SSLV3_ALERT_HANDSHAKE_FAILURE:
        return "the server refused the handshake: it wants other ciphers, or a client certificate";
    case SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED:
        return "the server wants a client certificate";
    case SSL_R_TLSV1_ALERT_NO_APPLICATION_PROTOCOL:
        return "the server does not offer this protocol";
    default:
        return NULL;
    }
}

void tls_client_note_failure(struct tls *tls)
{
    struct tls_client *client = tls->client;
    if (client->error.kind != ERROR_NONE) {
        return; /* the certificate's, or the first one */
    }
    unsigned long code = ERR_peek_error();
    const char *words = reason_in_words(code);
    const char *reason = words != NULL ? words : ERR_reason_error_string(code);
    (void)error_set(&client->error, ERROR_PROTOCOL, 0, "%s: TLS failed: %s", client->host,
                    reason == NULL ? "the server sent what is not allowed" : reason);
}

const struct error *tls_error(const struct tls *tls)
{
    static const struct error none;
    return tls->client == NULL ? &none : &tls->client->error;
}
