/* SPDX-License-Identifier: MIT */
/* Is the server who it should be? RFC 7817 section 3, which is RFC 6125 for mail: the name that the person gave
 * is compared with the certificate's DNS names, in which `*` may be the whole leftmost label; the common name
 * counts only where there is no subjectAltName at all. An address is compared with IP addresses. */
#include "net/tls_certificate.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>

#include "base/bytes.h"

enum { NAMES_SIZE = 160, FINGERPRINT_TEXT_SIZE = 3 * TLS_FINGERPRINT_SIZE };

static void format_fingerprint(const uint8_t digest[TLS_FINGERPRINT_SIZE],
                               char out[FINGERPRINT_TEXT_SIZE])
{
    static const char digits[] = "0123456789ABCDEF";
    for (size_t i = 0; i < TLS_FINGERPRINT_SIZE; i++) {
        out[3 * i] = digits[digest[i] >> 4];
        out[3 * i + 1] = digits[digest[i] & 15];
        out[3 * i + 2] = ':';
    }
    out[FINGERPRINT_TEXT_SIZE - 1] = '\0';
}

static bool take_fingerprint(const X509 *certificate, uint8_t out[TLS_FINGERPRINT_SIZE])
{
    unsigned size = TLS_FINGERPRINT_SIZE;
    return X509_digest(certificate, EVP_sha256(), out, &size) == 1;
}

static int check_fingerprint(X509_STORE_CTX *store, const struct tls_expected *expected,
                             struct error *error)
{
    uint8_t digest[TLS_FINGERPRINT_SIZE] = {0};
    char text[FINGERPRINT_TEXT_SIZE];
    if (take_fingerprint(X509_STORE_CTX_get0_cert(store), digest) &&
        memcmp(digest, expected->fingerprint, sizeof digest) == 0) {
        X509_STORE_CTX_set_error(store, X509_V_OK);
        return 0;
    }
    X509_STORE_CTX_set_error(store, X509_V_ERR_APPLICATION_VERIFICATION);
    format_fingerprint(digest, text);
    return error_set(error, ERROR_PERMANENT, 0,
                     "%s: the certificate is not the pinned one; its fingerprint is %s",
                     expected->host, text);
}

static void format_date(const ASN1_TIME *time, char *out, size_t capacity)
{
    struct tm tm;
    if (ASN1_TIME_to_tm(time, &tm) != 1 || strftime(out, capacity, "%Y-%m-%d", &tm) == 0) {
        (void)snprintf(out, capacity, "a date that cannot be read");
    }
}

/* What OpenSSL finds wrong with the chain, in words. */
static int fail_chain(X509_STORE_CTX *store, const char *host, struct error *error)
{
    X509 *leaf = X509_STORE_CTX_get0_cert(store);
    X509 *current = X509_STORE_CTX_get_current_cert(store);
    const char *whose = current == leaf || current == NULL ? "the certificate" : "its issuer's";
    uint8_t digest[TLS_FINGERPRINT_SIZE] = {0};
    char detail[NAMES_SIZE];
    int code = X509_STORE_CTX_get_error(store);
    switch (code) {
    case X509_V_ERR_CERT_HAS_EXPIRED:
        format_date(X509_get0_notAfter(current), detail, sizeof detail);
        return error_set(error, ERROR_PERMANENT, 0, "%s: %s expired on %s", host, whose, detail);
    case X509_V_ERR_CERT_NOT_YET_VALID:
        format_date(X509_get0_notBefore(current), detail, sizeof detail);
        return error_set(error, ERROR_PERMANENT, 0,
                         "%s: %s is not valid before %s; is the clock of this device right?", host,
                         whose, detail);
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
        (void)take_fingerprint(leaf, digest);
        format_fingerprint(digest, detail);
        return error_set(error, ERROR_PERMANENT, 0,
                         "%s: the certificate is self-signed, nobody vouches for it; its "
                         "fingerprint is %s",
                         host, detail);
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
        return error_set(error, ERROR_PERMANENT, 0,
                         "%s: the certificate comes from a CA that is not trusted here", host);
    default:
        return error_set(error, ERROR_PERMANENT, 0, "%s: the certificate is not good: %s", host,
                         X509_verify_cert_error_string(code));
    }
}

/* Adds a stranger's octets as a name to the list. */
static void add_name(char *list, struct bytes name)
{
    char text[96];
    size_t used = strlen(list);
    (void)snprintf(list + used, NAMES_SIZE - used, "%s%s", used == 0 ? "" : ", ",
                   bytes_escape(name, text, sizeof text));
}

static struct bytes octets_of(const ASN1_STRING *string)
{
    return (struct bytes){.data = ASN1_STRING_get0_data(string),
                          .size = (size_t)ASN1_STRING_length(string)};
}

static void add_alternative(char *list, const GENERAL_NAME *name)
{
    char address[INET6_ADDRSTRLEN];
    if (name->type == GEN_DNS) {
        add_name(list, octets_of(name->d.dNSName));
    } else if (name->type == GEN_IPADD) {
        struct bytes octets = octets_of(name->d.iPAddress);
        int family = octets.size == 4 ? AF_INET : AF_INET6;
        if ((octets.size == 4 || octets.size == 16) &&
            inet_ntop(family, octets.data, address, sizeof address) != NULL) {
            add_name(list, bytes_of(address));
        }
    }
}

static void list_names(const X509 *certificate, char list[NAMES_SIZE])
{
    GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
    const X509_NAME *subject = X509_get_subject_name(certificate);
    int common = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
    list[0] = '\0';
    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
        add_alternative(list, sk_GENERAL_NAME_value(names, i));
    }
    if (names == NULL && common >= 0) {
        add_name(list, octets_of(X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, common))));
    }
    GENERAL_NAMES_free(names);
    if (list[0] == '\0') {
        (void)snprintf(list, NAMES_SIZE, "no host");
    }
}

static int check_name(X509_STORE_CTX *store, const struct tls_expected *expected,
                      struct error *error)
{
    X509 *certificate = X509_STORE_CTX_get0_cert(store);
    bool alternatives = X509_get_ext_by_NID(certificate, NID_subject_alt_name, -1) >= 0;
    unsigned flags = X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS |
                     (alternatives ? X509_CHECK_FLAG_NEVER_CHECK_SUBJECT : 0U);
    char names[NAMES_SIZE];
    int result = expected->is_address
                     ? X509_check_ip_asc(certificate, expected->host, 0)
                     : X509_check_host(certificate, expected->host, 0, flags, NULL);
    if (result == 1) {
        return 0;
    }
    X509_STORE_CTX_set_error(store, expected->is_address ? X509_V_ERR_IP_ADDRESS_MISMATCH
                                                         : X509_V_ERR_HOSTNAME_MISMATCH);
    list_names(certificate, names);
    return error_set(error, ERROR_PERMANENT, 0, "%s: the certificate is not for it, but for %s",
                     expected->host, names);
}

int tls_certificate_verify(X509_STORE_CTX *store, const struct tls_expected *expected,
                           struct error *error)
{
    if (expected->fingerprint != NULL) {
        return check_fingerprint(store, expected, error);
    }
    if (X509_verify_cert(store) != 1) {
        return fail_chain(store, expected->host, error);
    }
    return check_name(store, expected, error);
}
