/* SPDX-License-Identifier: MIT */
/* What connections have in common: certificates chosen by the name asked for, versions and ciphers of
 * RFC 9325, strict ALPN, tickets whose keys every worker has. */
#include "net/tls_context.h"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <stdlib.h>

struct tls_context {
    SSL_CTX *identities[TLS_MOST_IDENTITIES]; /* the first has all that is not of one identity */
    X509 *certificates[TLS_MOST_IDENTITIES];
    uint32_t count;
    uint32_t references; /* ours, and one of each connection: callbacks come as long as they live */
    const char *protocol;
    const struct tls_tickets *tickets;
};

SSL_CTX *tls_context_hold(struct tls_context *context)
{
    context->references++;
    return context->identities[0];
}

int tls_context_fail(struct error *error, const char *what)
{
    const char *reason = ERR_reason_error_string(ERR_peek_last_error());
    ERR_clear_error();
    return error_set(error, ERROR_CONFIGURATION, 0, "%s%s%s", what, reason == NULL ? "" : ": ",
                     reason == NULL ? "" : reason);
}

/* RFC 7301 section 3.2: without a common protocol the handshake ends. */
static int on_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_size,
                   const unsigned char *in, unsigned in_size, void *argument)
{
    (void)ssl;
    const struct tls_context *context = argument;
    size_t wanted = strlen(context->protocol);
    for (unsigned at = 0; at < in_size; at += 1U + in[at]) {
        if (in[at] == wanted && memcmp(in + at + 1, context->protocol, wanted) == 0) {
            *out = in + at + 1;
            *out_size = in[at];
            return SSL_TLSEXT_ERR_OK;
        }
    }
    return SSL_TLSEXT_ERR_ALERT_FATAL;
}

/* An unknown name gets the first certificate, as most servers do: the client judges. */
static int on_name(SSL *ssl, int *alert, void *argument)
{
    (void)alert;
    const struct tls_context *context = argument;
    const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
    for (uint32_t i = 0; name != NULL && i < context->count; i++) {
        if (X509_check_host(context->certificates[i], name, strlen(name), 0, NULL) == 1) {
            (void)SSL_set_SSL_CTX(ssl, context->identities[i]);
            break;
        }
    }
    return SSL_TLSEXT_ERR_OK;
}

/* Which key: for a new ticket the first, for one that came the one that it names. */
static const uint8_t *choose_key(const struct tls_tickets *tickets, const uint8_t *name, bool fresh,
                                 int *result)
{
    for (uint32_t i = 0; i < tickets->count; i++) {
        if (fresh || memcmp(tickets->keys[i], name, 16) == 0) {
            *result = fresh || i == 0 ? 1 : 2; /* 2: accepted, and a new one is given */
            return tickets->keys[i];
        }
    }
    *result = 0;
    return NULL;
}

static int on_ticket(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher,
                     EVP_MAC_CTX *mac, int fresh)
{
    const struct tls_context *context = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
    int result;
    const uint8_t *key = choose_key(context->tickets, name, fresh != 0, &result);
    if (key == NULL) {
        return 0;
    }
    char digest[] = "SHA256";
    OSSL_PARAM parameters[] = {
        OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, (void *)(uintptr_t)(key + 48), 32),
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0), OSSL_PARAM_END};
    if (fresh) {
        memcpy(name, key, 16);
        if (RAND_bytes(iv, EVP_MAX_IV_LENGTH) != 1 ||
            EVP_EncryptInit_ex(cipher, EVP_aes_256_cbc(), NULL, key + 16, iv) != 1) {
            return -1;
        }
    } else if (EVP_DecryptInit_ex(cipher, EVP_aes_256_cbc(), NULL, key + 16, iv) != 1) {
        return -1;
    }
    return EVP_MAC_CTX_set_params(mac, parameters) == 1 ? result : -1;
}

uint32_t tls_context_trust(SSL_CTX *ssl, struct bytes pem)
{
    BIO *bio = BIO_new_mem_buf(pem.data, (int)pem.size);
    X509_STORE *store = SSL_CTX_get_cert_store(ssl);
    uint32_t count = 0;
    X509 *certificate;
    while ((certificate = PEM_read_bio_X509(bio, NULL, NULL, NULL)) != NULL) {
        (void)X509_STORE_add_cert(store, certificate);
        (void)SSL_CTX_add_client_CA(ssl, certificate);
        X509_free(certificate);
        count++;
    }
    (void)BIO_free(bio);
    if (count > 0) {
        ERR_clear_error(); /* the end of the text is no error */
    }
    return count;
}

/* A client certificate is asked for, never needed: EXTERNAL is one way to log in among others. */
static int use_client_ca(SSL_CTX *ssl, struct bytes pem, struct error *error)
{
    if (tls_context_trust(ssl, pem) == 0) {
        return tls_context_fail(error, "client-ca holds no certificate in PEM");
    }
    SSL_CTX_set_verify(ssl, SSL_VERIFY_PEER | SSL_VERIFY_CLIENT_ONCE, NULL);
    return 0;
}

int tls_context_use_certificate(SSL_CTX *ssl, struct bytes pem, X509 **certificate_out,
                                struct error *error)
{
    BIO *bio = BIO_new_mem_buf(pem.data, (int)pem.size);
    X509 *certificate = PEM_read_bio_X509_AUX(bio, NULL, NULL, NULL);
    if (certificate == NULL || SSL_CTX_use_certificate(ssl, certificate) != 1) {
        X509_free(certificate);
        (void)BIO_free(bio);
        return tls_context_fail(error, "the certificate cannot be used");
    }
    *certificate_out = certificate;
    X509 *issuer;
    while ((issuer = PEM_read_bio_X509(bio, NULL, NULL, NULL)) != NULL) {
        (void)SSL_CTX_add0_chain_cert(ssl, issuer);
    }
    (void)BIO_free(bio);
    ERR_clear_error(); /* the end of the file is no error */
    if (X509_cmp_current_time(X509_get0_notAfter(certificate)) < 0) {
        return error_set(error, ERROR_CONFIGURATION, 0, "the certificate has expired");
    }
    return 0;
}

int tls_context_use_key(SSL_CTX *ssl, struct bytes pem, struct error *error)
{
    BIO *bio = BIO_new_mem_buf(pem.data, (int)pem.size);
    char no_password[] = "";
    EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, NULL, no_password);
    (void)BIO_free(bio);
    if (key == NULL) {
        return tls_context_fail(error,
                                "the key cannot be read (it must be PEM, without a password)");
    }
    int used = SSL_CTX_use_PrivateKey(ssl, key);
    EVP_PKEY_free(key);
    if (used != 1 || SSL_CTX_check_private_key(ssl) != 1) {
        return tls_context_fail(error, "the key does not fit the certificate");
    }
    return 0;
}

/* RFC 9325 sections 3.1, 4.1 and 4.2: nothing below 1.2, and of 1.2 only what has forward secrecy and AEAD. */
static void harden(SSL_CTX *ssl, bool only_1_3)
{
    (void)SSL_CTX_set_min_proto_version(ssl, only_1_3 ? TLS1_3_VERSION : TLS1_2_VERSION);
    (void)SSL_CTX_set_cipher_list(ssl, "ECDHE+AESGCM:ECDHE+CHACHA20");
    char groups[] = "X25519:P-256:P-384";
    (void)SSL_CTX_set1_groups_list(ssl, groups);
    (void)SSL_CTX_set_options(ssl, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION |
                                       SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA |
                                       SSL_OP_CLEANSE_PLAINTEXT);
    (void)SSL_CTX_set_mode(ssl, SSL_MODE_RELEASE_BUFFERS);
    (void)SSL_CTX_set_session_cache_mode(ssl, SSL_SESS_CACHE_OFF); /* tickets only */
    (void)SSL_CTX_set_num_tickets(ssl, 1);
    (void)SSL_CTX_set_session_id_context(ssl, (const unsigned char *)"pop3", 4);
}

static int make_identity(struct tls_context *context, const struct tls_settings *settings,
                         uint32_t index, struct error *error)
{
    SSL_CTX *ssl = SSL_CTX_new(TLS_server_method());
    if (ssl == NULL) {
        return tls_context_fail(error, "no memory for TLS");
    }
    context->identities[index] = ssl;
    harden(ssl, settings->only_1_3);
    SSL_CTX_set_app_data(ssl, context);
    SSL_CTX_set_alpn_select_cb(ssl, on_alpn, context);
    if (settings->tickets == NULL) {
        (void)SSL_CTX_set_options(ssl, SSL_OP_NO_TICKET);
    } else {
        (void)SSL_CTX_set_tlsext_ticket_key_evp_cb(ssl, on_ticket);
    }
    if (settings->client_ca.size != 0 && use_client_ca(ssl, settings->client_ca, error) < 0) {
        return -1;
    }
    if (tls_context_use_certificate(ssl, settings->identities[index].certificate,
                                    &context->certificates[index], error) < 0) {
        return -1;
    }
    return tls_context_use_key(ssl, settings->identities[index].key, error);
}

int tls_context_create(const struct tls_settings *settings, struct tls_context **context_out,
                       struct error *error)
{
    struct tls_context *context = calloc(1, sizeof *context);
    if (context == NULL) {
        return tls_context_fail(error, "no memory for TLS");
    }
    context->references = 1;
    context->protocol = settings->protocol;
    context->tickets = settings->tickets;
    for (uint32_t i = 0; i < settings->identity_count; i++) {
        context->count = i + 1;
        if (make_identity(context, settings, i, error) < 0) {
            (void)tls_context_free(context);
            return -1;
        }
    }
    (void)SSL_CTX_set_tlsext_servername_callback(context->identities[0], on_name);
    (void)SSL_CTX_set_tlsext_servername_arg(context->identities[0], context);
    *context_out = context;
    return 0;
}

struct tls_context *tls_context_free(struct tls_context *context)
{
    if (context == NULL || --context->references > 0) {
        return NULL;
    }
    for (uint32_t i = 0; i < context->count; i++) {
        SSL_CTX_free(context->identities[i]);
        X509_free(context->certificates[i]);
    }
    free(context);
    return NULL;
}

void tls_make_ticket_key(uint8_t key_out[TLS_TICKET_KEY_SIZE])
{
    if (RAND_bytes(key_out, TLS_TICKET_KEY_SIZE) != 1) {
        abort(); /* no randomness: nothing may go on */
    }
}

static bool add_extension(X509 *certificate, int kind, const char *value)
{
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, NULL, kind, value);
    bool added = extension != NULL && X509_add_ext(certificate, extension, -1) == 1;
    X509_EXTENSION_free(extension);
    return added;
}

static bool fill_certificate(X509 *certificate, EVP_PKEY *key, const char *name)
{
    enum { YEARS_10 = 10 * 365 * 86400 };
    char names[512];
    uint64_t serial;
    X509_NAME *subject = X509_get_subject_name(certificate);
    (void)snprintf(names, sizeof names, "DNS:%s,DNS:localhost,IP:127.0.0.1,IP:::1", name);
    return RAND_bytes((unsigned char *)&serial, sizeof serial) == 1 &&
           ASN1_INTEGER_set_uint64(X509_get_serialNumber(certificate), serial >> 1) == 1 &&
           X509_set_version(certificate, X509_VERSION_3) == 1 &&
           X509_gmtime_adj(X509_getm_notBefore(certificate), -86400) != NULL &&
           X509_gmtime_adj(X509_getm_notAfter(certificate), YEARS_10) != NULL &&
           X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, (const unsigned char *)name, -1,
                                      -1, 0) == 1 &&
           X509_set_issuer_name(certificate, subject) == 1 &&
           X509_set_pubkey(certificate, key) == 1 &&
           add_extension(certificate, NID_subject_alt_name, names) &&
           add_extension(certificate, NID_basic_constraints, "critical,CA:FALSE") &&
           X509_sign(certificate, key, EVP_sha256()) > 0;
}

/* The content of a memory BIO, malloc'ed; empty on failure. */
static struct bytes take_text(BIO *bio)
{
    char *data;
    long size = BIO_get_mem_data(bio, &data);
    struct bytes text = {0};
    uint8_t *copy = size > 0 ? malloc((size_t)size) : NULL;
    if (copy != NULL) {
        memcpy(copy, data, (size_t)size);
        text = (struct bytes){.data = copy, .size = (size_t)size};
    }
    return text;
}

int tls_make_self_signed(const char *name, struct bytes *certificate_out, struct bytes *key_out,
                         struct error *error)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *certificate = X509_new();
    BIO *key_text = BIO_new(BIO_s_secmem());
    BIO *certificate_text = BIO_new(BIO_s_mem());
    int result = -1;
    if (key != NULL && certificate != NULL && fill_certificate(certificate, key, name) &&
        PEM_write_bio_PrivateKey(key_text, key, NULL, NULL, 0, NULL, NULL) == 1 &&
        PEM_write_bio_X509(certificate_text, certificate) == 1) {
        *certificate_out = take_text(certificate_text);
        *key_out = take_text(key_text);
        result = certificate_out->size != 0 && key_out->size != 0 ? 0 : -1;
    }
    if (result < 0) {
        (void)tls_context_fail(error, "a self-signed certificate cannot be made");
    }
    (void)BIO_free(certificate_text);
    (void)BIO_free(key_text);
    X509_free(certificate);
    EVP_PKEY_free(key);
    return result;
}
