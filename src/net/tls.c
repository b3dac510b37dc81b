/* SPDX-License-Identifier: MIT */
/* A TLS connection over memory: OpenSSL reads from what tls_give was given and writes into the output of the
 * call. Its buffers are released when they are empty, and plaintext is wiped from them. */
#include "net/tls.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <stdlib.h>

#include "net/tls_client.h"
#include "net/tls_connection.h"
#include "net/tls_context.h"

static int bio_read(BIO *bio, char *data, size_t size, size_t *read_out)
{
    struct tls *tls = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    if (tls->input.size == 0) {
        BIO_set_retry_read(bio);
        return 0;
    }
    *read_out = size < tls->input.size ? size : tls->input.size;
    memcpy(data, tls->input.data, *read_out);
    tls->input = bytes_from(tls->input, *read_out);
    return 1;
}

static int bio_write(BIO *bio, const char *data, size_t size, size_t *written_out)
{
    struct tls *tls = BIO_get_data(bio);
    struct tls_output *output = tls->output;
    BIO_clear_retry_flags(bio);
    if (output == NULL || size > output->capacity - output->size) {
        if (output != NULL) {
            output->overflow = true;
        }
        return 0;
    }
    memcpy(output->data + output->size, data, size);
    output->size += size;
    *written_out = size;
    return 1;
}

static long bio_control(BIO *bio, int command, long number, void *pointer)
{
    (void)bio;
    (void)number;
    (void)pointer;
    return command == BIO_CTRL_FLUSH;
}

static BIO_METHOD *memory_method;

static void make_method(void)
{
    memory_method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "memory of the host");
    if (memory_method != NULL) {
        (void)BIO_meth_set_read_ex(memory_method, bio_read);
        (void)BIO_meth_set_write_ex(memory_method, bio_write);
        (void)BIO_meth_set_ctrl(memory_method, bio_control);
    }
}

/* Threads of storers connect beside the loop. */
static const BIO_METHOD *bio_method(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    (void)pthread_once(&once, make_method); /* cannot fail: POSIX knows no error of it */
    return memory_method;
}

struct tls *tls_create(SSL_CTX *context)
{
    struct tls *tls = calloc(1, sizeof *tls);
    SSL *ssl = SSL_new(context);
    const BIO_METHOD *method = bio_method();
    BIO *bio = method == NULL ? NULL : BIO_new(method);
    if (tls == NULL || ssl == NULL || bio == NULL) {
        free(tls);
        SSL_free(ssl);
        (void)BIO_free(bio);
        return NULL;
    }
    BIO_set_data(bio, tls);
    BIO_set_init(bio, 1);
    SSL_set_bio(ssl, bio, bio);
    (void)SSL_set_app_data(ssl, tls);
    tls->ssl = ssl;
    return tls;
}

struct tls *tls_accept(struct tls_context *context)
{
    struct tls *tls = tls_create(tls_context_hold(context));
    if (tls == NULL) {
        (void)tls_context_free(context);
        return NULL;
    }
    SSL_set_accept_state(tls->ssl);
    tls->context = context;
    return tls;
}

struct tls *tls_free(struct tls *tls)
{
    if (tls != NULL) {
        if (tls->client != NULL && tls_error(tls)->kind == ERROR_NONE) {
            /* else its session could not be gone on with, only because the server closed first */
            SSL_set_shutdown(tls->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
        }
        SSL_free(tls->ssl);
        (void)tls_context_free(tls->context);
        (void)tls_client_free(tls->client);
        free(tls);
    }
    return NULL;
}

void tls_give(struct tls *tls, struct bytes octets)
{
    tls->input = octets;
}

struct bytes tls_rest(const struct tls *tls)
{
    return tls->input;
}

bool tls_has_pending(const struct tls *tls)
{
    return SSL_has_pending(tls->ssl) == 1;
}

static enum tls_result result_of(struct tls *tls, int returned)
{
    enum tls_result result = TLS_FAILED;
    int error = SSL_get_error(tls->ssl, returned);
    if (tls->output->overflow) {
        result = TLS_FAILED;
    } else if (error == SSL_ERROR_WANT_READ) {
        result = TLS_WAIT;
    } else if (error == SSL_ERROR_ZERO_RETURN) {
        result = TLS_CLOSED;
    }
    if (result == TLS_FAILED && tls->client != NULL) {
        tls_client_note_failure(tls);
    }
    tls->output = NULL;
    ERR_clear_error();
    return result;
}

enum tls_result tls_handshake(struct tls *tls, struct tls_output *output)
{
    tls->output = output;
    int returned = SSL_do_handshake(tls->ssl);
    if (returned != 1) {
        return result_of(tls, returned);
    }
    tls->output = NULL;
    return TLS_MORE;
}

enum tls_result tls_read(struct tls *tls, void *data, size_t capacity, size_t *size_out,
                         struct tls_output *output)
{
    tls->output = output;
    *size_out = 0;
    int returned = SSL_read_ex(tls->ssl, data, capacity, size_out);
    if (returned != 1) {
        return result_of(tls, returned);
    }
    tls->output = NULL;
    return TLS_MORE;
}

enum tls_result tls_write(struct tls *tls, struct bytes octets, struct tls_output *output)
{
    size_t written;
    tls->output = output;
    int returned = SSL_write_ex(tls->ssl, octets.data, octets.size, &written);
    if (returned != 1 || written != octets.size) {
        return result_of(tls, returned);
    }
    tls->output = NULL;
    return TLS_MORE;
}

void tls_finish(struct tls *tls, struct tls_output *output)
{
    tls->output = output;
    (void)SSL_shutdown(tls->ssl); /* fails where the handshake never ended: nothing to say then */
    tls->output = NULL;
    ERR_clear_error();
}

bool tls_is_1_3(const struct tls *tls)
{
    return SSL_version(tls->ssl) == TLS1_3_VERSION;
}

bool tls_is_resumed(const struct tls *tls)
{
    return SSL_session_reused(tls->ssl) == 1;
}

const char *tls_version(const struct tls *tls)
{
    return SSL_get_version(tls->ssl);
}

const char *tls_cipher(const struct tls *tls)
{
    return SSL_get_cipher_name(tls->ssl);
}

size_t tls_exporter(const struct tls *tls, uint8_t out[TLS_EXPORTER_SIZE])
{
    static const char label[] = "EXPORTER-Channel-Binding";
    /* RFC 9266 section 3: below TLS 1.3 only with an extended master secret */
    if (!tls_is_1_3(tls) && SSL_get_extms_support(tls->ssl) != 1) {
        return 0;
    }
    return SSL_export_keying_material(tls->ssl, out, TLS_EXPORTER_SIZE, label, sizeof label - 1,
                                      (const uint8_t *)"", 0, 1) == 1
               ? TLS_EXPORTER_SIZE
               : 0;
}

size_t tls_unique(const struct tls *tls, uint8_t out[TLS_UNIQUE_SIZE])
{
    if (tls_is_1_3(tls) || SSL_get_extms_support(tls->ssl) != 1) {
        return 0;
    }
    /* the first Finished of the handshake: the client's, or in a resumption the server's */
    bool is_ours = (tls->client != NULL) != tls_is_resumed(tls);
    size_t size = is_ours ? SSL_get_finished(tls->ssl, out, TLS_UNIQUE_SIZE)
                          : SSL_get_peer_finished(tls->ssl, out, TLS_UNIQUE_SIZE);
    return size <= TLS_UNIQUE_SIZE ? size : 0;
}

/* Copies a name of exactly that many octets, none of them NUL. */
static bool copy_name(const ASN1_STRING *name, char *out, size_t capacity)
{
    uint8_t *text = NULL;
    int size = ASN1_STRING_to_UTF8(&text, name);
    bool good = size > 0 && (size_t)size < capacity && memchr(text, '\0', (size_t)size) == NULL;
    if (good) {
        memcpy(out, text, (size_t)size);
        out[size] = '\0';
    }
    OPENSSL_free(text);
    return good;
}

static bool common_name(const X509 *certificate, char *out, size_t capacity)
{
    const X509_NAME *subject = X509_get_subject_name(certificate);
    int first = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
    if (first < 0 || X509_NAME_get_index_by_NID(subject, NID_commonName, first) >= 0) {
        return false;
    }
    return copy_name(X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, first)), out, capacity);
}

static bool email(const X509 *certificate, char *out, size_t capacity)
{
    GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
    const ASN1_STRING *found = NULL;
    uint32_t count = 0;
    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
        if (name->type == GEN_EMAIL) {
            found = name->d.rfc822Name;
            count++;
        }
    }
    bool good = count == 1 && copy_name(found, out, capacity);
    GENERAL_NAMES_free(names);
    return good;
}

bool tls_peer_name(const struct tls *tls, enum tls_name_kind kind, char *out, size_t capacity)
{
    const X509 *certificate = SSL_get0_peer_certificate(tls->ssl);
    if (certificate == NULL || SSL_get_verify_result(tls->ssl) != X509_V_OK) {
        return false;
    }
    return kind == TLS_NAME_COMMON ? common_name(certificate, out, capacity)
                                   : email(certificate, out, capacity);
}
