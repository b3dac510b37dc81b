/* SPDX-License-Identifier: MIT */
#include "oauth/assertion.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include <jansson.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <sodium.h>

#include "base/private_file.h"
#include "http/http.h"

enum {
    FILE_SIZE = 32 * 1024,
    LIFE_S = 3600,
    SIGNATURE_MAX = 1024,
    VARIANT = sodium_base64_VARIANT_URLSAFE_NO_PADDING
};

static EVP_PKEY *read_key(const char *text)
{
    BIO *bio = text == NULL ? NULL : BIO_new_mem_buf(text, -1);
    EVP_PKEY *key = bio == NULL ? NULL : PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);
    (void)BIO_free(bio);
    if (key != NULL && EVP_PKEY_get_base_id(key) != EVP_PKEY_RSA) {
        EVP_PKEY_free(key);
        key = NULL;
    }
    return key;
}

/* malloc'ed. */
static char *encode(struct bytes octets)
{
    size_t size = sodium_base64_ENCODED_LEN(octets.size, VARIANT);
    char *text = malloc(size);
    return text == NULL ? NULL : sodium_bin2base64(text, size, octets.data, octets.size, VARIANT);
}

static char *encode_json(json_t *object)
{
    char *text = object == NULL ? NULL : json_dumps(object, JSON_COMPACT);
    char *code = text == NULL ? NULL : encode(bytes_of(text));
    free(text);
    json_decref(object);
    return code;
}

static char *sign(EVP_PKEY *key, const char *text)
{
    uint8_t signature[SIGNATURE_MAX];
    size_t size = sizeof signature;
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    bool done = context != NULL && EVP_PKEY_get_size(key) <= SIGNATURE_MAX &&
                EVP_DigestSignInit(context, NULL, EVP_sha256(), NULL, key) == 1 &&
                EVP_DigestSign(context, signature, &size, (const uint8_t *)text, strlen(text)) == 1;
    EVP_MD_CTX_free(context);
    return done ? encode((struct bytes){signature, size}) : NULL;
}

static char *make(EVP_PKEY *key, const json_t *file, const struct oauth_grant *grant,
                  const struct oauth_endpoints *endpoints, uint64_t now_s)
{
    const char *issuer = json_string_value(json_object_get(file, "client_email"));
    const char *key_id = json_string_value(json_object_get(file, "private_key_id"));
    char *header =
        encode_json(json_pack("{s:s, s:s, s:s*}", "alg", "RS256", "typ", "JWT", "kid", key_id));
    char *claims =
        encode_json(json_pack("{s:s, s:s, s:s, s:s, s:I, s:I}", "iss", issuer, "sub", grant->user,
                              "scope", endpoints->scope, "aud", endpoints->token, "iat",
                              (json_int_t)now_s, "exp", (json_int_t)(now_s + LIFE_S)));
    char *input = NULL, *signature = NULL, *assertion = NULL;
    if (header != NULL && claims != NULL && asprintf(&input, "%s.%s", header, claims) < 0) {
        input = NULL;
    }
    if (input != NULL && (signature = sign(key, input)) != NULL &&
        asprintf(&assertion, "%s.%s", input, signature) < 0) {
        assertion = NULL;
    }
    free(header);
    free(claims);
    free(input);
    free(signature);
    return assertion;
}

/* RFC 7523 section 3: "aud" is the endpoint, which the file names if nobody else does. */
static bool find_endpoint(const json_t *file, struct oauth_endpoints *endpoints)
{
    const char *url = json_string_value(json_object_get(file, "token_uri"));
    if (endpoints->token[0] == '\0' && url != NULL && http_url_check(url, NULL) &&
        strlen(url) < sizeof endpoints->token) {
        (void)snprintf(endpoints->token, sizeof endpoints->token, "%s", url);
    }
    return endpoints->token[0] != '\0';
}

int oauth_assertion_make(const struct oauth_grant *grant, struct oauth_endpoints *endpoints,
                         uint64_t now_s, char **assertion_out, struct error *error)
{
    const char *path = grant->service_account_file;
    uint8_t *memory = malloc(FILE_SIZE);
    if (memory == NULL) {
        return error_set(error, ERROR_TEMPORARY, ENOMEM, "%s", path);
    }
    ssize_t size = private_file_read(PRIVATE_FILE_ANYWHERE, path, memory, FILE_SIZE, error);
    if (size < 0) {
        free(memory);
        return -1;
    }
    json_t *file = json_loadb((const char *)memory, (size_t)size, JSON_REJECT_DUPLICATES, NULL);
    EVP_PKEY *key = read_key(json_string_value(json_object_get(file, "private_key")));
    char *assertion = NULL;
    explicit_bzero(memory, FILE_SIZE);
    free(memory);
    if (key != NULL && find_endpoint(file, endpoints)) {
        assertion = make(key, file, grant, endpoints, now_s);
    }
    EVP_PKEY_free(key);
    json_decref(file);
    *assertion_out = assertion;
    return assertion != NULL
               ? 0
               : error_set(error, ERROR_CONFIGURATION, 0,
                           "%s: it is no key of a service account: JSON with client_email, "
                           "private_key (RSA) and token_uri",
                           path);
}
