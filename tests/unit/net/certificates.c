/* SPDX-License-Identifier: MIT */
#include "certificates.h"

#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdlib.h>

#include "cmocka_first.h"

static void add_extension(X509 *certificate, int kind, const char *value)
{
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, NULL, kind, value);
    assert_non_null(extension);
    assert_int_equal(X509_add_ext(certificate, extension, -1), 1);
    X509_EXTENSION_free(extension);
}

static struct bytes take(BIO *bio)
{
    char *data;
    long size = BIO_get_mem_data(bio, &data);
    uint8_t *copy = malloc((size_t)size);
    assert_non_null(copy);
    memcpy(copy, data, (size_t)size);
    (void)BIO_free(bio);
    return (struct bytes){.data = copy, .size = (size_t)size};
}

static BIO *open_text(struct bytes text)
{
    return BIO_new_mem_buf(text.data, (int)text.size);
}

static void sign(X509 *certificate, EVP_PKEY *own, const struct pair *issuer)
{
    if (issuer == NULL) {
        assert_int_equal(X509_set_issuer_name(certificate, X509_get_subject_name(certificate)), 1);
        assert_true(X509_sign(certificate, own, EVP_sha256()) > 0);
        return;
    }
    BIO *text = open_text(issuer->certificate);
    X509 *authority = PEM_read_bio_X509(text, NULL, NULL, NULL);
    (void)BIO_free(text);
    text = open_text(issuer->key);
    EVP_PKEY *key = PEM_read_bio_PrivateKey(text, NULL, NULL, NULL);
    (void)BIO_free(text);
    assert_int_equal(X509_set_issuer_name(certificate, X509_get_subject_name(authority)), 1);
    assert_true(X509_sign(certificate, key, EVP_sha256()) > 0);
    X509_free(authority);
    EVP_PKEY_free(key);
}

struct pair make_pair(const struct wish *wish)
{
    static long serial = 1;
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *certificate = X509_new();
    assert_non_null(key);
    assert_non_null(certificate);
    assert_int_equal(X509_set_version(certificate, X509_VERSION_3), 1);
    assert_int_equal(ASN1_INTEGER_set(X509_get_serialNumber(certificate), serial++), 1);
    (void)X509_gmtime_adj(X509_getm_notBefore(certificate), wish->begin_days * 86400);
    (void)X509_gmtime_adj(X509_getm_notAfter(certificate), wish->end_days * 86400);
    (void)X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), "CN", MBSTRING_ASC,
                                     (const unsigned char *)wish->common_name, -1, -1, 0);
    assert_int_equal(X509_set_pubkey(certificate, key), 1);
    if (wish->alternatives != NULL) {
        add_extension(certificate, NID_subject_alt_name, wish->alternatives);
    }
    add_extension(certificate, NID_basic_constraints,
                  wish->issuer == NULL ? "critical,CA:TRUE" : "critical,CA:FALSE");
    sign(certificate, key, wish->issuer);
    BIO *certificate_text = BIO_new(BIO_s_mem());
    BIO *key_text = BIO_new(BIO_s_mem());
    assert_int_equal(PEM_write_bio_X509(certificate_text, certificate), 1);
    assert_int_equal(PEM_write_bio_PrivateKey(key_text, key, NULL, NULL, 0, NULL, NULL), 1);
    X509_free(certificate);
    EVP_PKEY_free(key);
    return (struct pair){.certificate = take(certificate_text), .key = take(key_text)};
}

void free_pair(struct pair *pair)
{
    free((void *)(uintptr_t)pair->certificate.data);
    free((void *)(uintptr_t)pair->key.data);
}

void fingerprint_of(const struct pair *pair, char out[65])
{
    uint8_t digest[32];
    unsigned size = sizeof digest;
    BIO *text = open_text(pair->certificate);
    X509 *certificate = PEM_read_bio_X509(text, NULL, NULL, NULL);
    (void)BIO_free(text);
    assert_int_equal(X509_digest(certificate, EVP_sha256(), digest, &size), 1);
    X509_free(certificate);
    for (size_t i = 0; i < sizeof digest; i++) {
        (void)snprintf(out + 2 * i, 65 - 2 * i, "%02x", digest[i]);
    }
}
