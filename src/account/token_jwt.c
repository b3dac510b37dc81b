/* SPDX-License-Identifier: MIT */
/* A JWT says itself by which algorithm and with which key it is to be checked, and who made it up says that too (RFC
 * 8725). So the algorithm has to be one of ours, and it has to be that of the key; a key is found by its id
 * among those that we have, and nowhere else; what we do not understand and should is refused. */
#include "account/token_jwt.h"

#include <stdlib.h>

#include <sodium.h>

enum { KEYS_TRIED_MOST = 8 /* where the token does not name one */ };

struct jwt_header {
    enum token_algorithm algorithm;
    const char *key_id; /* NULL: none */
};

static int refuse(struct error *error, const char *why)
{
    return error_set(error, ERROR_BAD_CREDENTIALS, 0, "the token %s", why);
}

static bool is_url64(uint8_t octet)
{
    return (octet >= 'A' && octet <= 'Z') || (octet >= 'a' && octet <= 'z') ||
           (octet >= '0' && octet <= '9') || octet == '-' || octet == '_';
}

/* Three parts in the alphabet of base64url, dots between. The first, decoded, is an object of JSON. */
static json_t *take_header(struct bytes jwt)
{
    size_t dots = 0, size;
    const char *end;
    struct bytes part = {jwt.data, bytes_find(jwt, '.')};
    for (size_t i = 0; i < jwt.size; i++) {
        dots += jwt.data[i] == '.';
        if (jwt.data[i] != '.' && !is_url64(jwt.data[i])) {
            return NULL;
        }
    }
    uint8_t *decoded = malloc(part.size + 1);
    json_t *header = NULL;
    if (decoded != NULL && dots == 2 && part.size > 0 &&
        sodium_base642bin(decoded, part.size, (const char *)part.data, part.size, NULL, &size, &end,
                          sodium_base64_VARIANT_URLSAFE_NO_PADDING) == 0 &&
        end == (const char *)part.data + part.size) {
        header = json_loadb((const char *)decoded, size, JSON_REJECT_DUPLICATES, NULL);
    }
    free(decoded);
    if (!json_is_object(header)) {
        json_decref(header);
        return NULL;
    }
    return header;
}

/* RFC 9068 section 2.1 wants at+jwt, many issuers write JWT or nothing; anything else is no access token. */
static bool is_right_type(const json_t *type)
{
    static const char *const types[] = {"at+jwt", "application/at+jwt", "JWT"};
    const char *text = json_string_value(type);
    for (size_t i = 0; i < sizeof types / sizeof *types && text != NULL; i++) {
        if (bytes_equal_ignoring_case(bytes_of(text), bytes_of(types[i]))) {
            return true;
        }
    }
    return type == NULL;
}

static int parse_header(const json_t *object, const struct token_options *options,
                        struct jwt_header *header, struct error *error)
{
    const char *algorithm = json_string_value(json_object_get(object, "alg"));
    const json_t *id = json_object_get(object, "kid");
    header->algorithm =
        algorithm == NULL ? TOKEN_ALGORITHM_COUNT : token_algorithm_find(bytes_of(algorithm));
    if (header->algorithm == TOKEN_ALGORITHM_COUNT ||
        (options->algorithms >> header->algorithm & 1) == 0) {
        return refuse(error, "is signed by an algorithm that is not accepted");
    }
    if (json_object_get(object, "crit") != NULL) { /* RFC 7515 section 4.1.11 */
        return refuse(error, "asks for an extension that is not known");
    }
    if (!is_right_type(json_object_get(object, "typ"))) {
        return refuse(error, "is of another type");
    }
    if (id != NULL && !json_is_string(id)) {
        return refuse(error, "has an id of a key that is no text");
    }
    header->key_id = json_string_value(id);
    return 0;
}

/* The claims that `key` has signed; NULL: it has not, or they are none. */
static json_t *open_signed(const cjose_jwk_t *key, struct bytes jwt)
{
    cjose_err problem;
    uint8_t *text;
    size_t size;
    json_t *claims = NULL;
    cjose_jws_t *jws = cjose_jws_import((const char *)jwt.data, jwt.size, &problem);
    if (jws != NULL && cjose_jws_verify(jws, key, &problem) &&
        cjose_jws_get_plaintext(jws, &text, &size, &problem)) {
        claims = json_loadb((const char *)text, size, JSON_REJECT_DUPLICATES, NULL);
    }
    cjose_jws_release(jws);
    if (!json_is_object(claims)) {
        json_decref(claims);
        return NULL;
    }
    return claims;
}

static json_t *verify(const struct token_keys *keys, const struct jwt_header *header,
                      struct bytes jwt, struct error *error)
{
    const cjose_jwk_t *key;
    json_t *claims = NULL;
    size_t at = 0;
    for (unsigned tries = 0; claims == NULL && tries < KEYS_TRIED_MOST; tries++) {
        at = token_keys_next(keys, at, header->algorithm, header->key_id, &key);
        if (at == SIZE_MAX) {
            break;
        }
        claims = open_signed(key, jwt);
    }
    if (claims == NULL) {
        (void)refuse(error, "is not signed by a key of its issuer, or says nothing");
    }
    return claims;
}

int token_jwt_check(const struct token_keys *keys, struct bytes jwt, const struct token_case *token,
                    struct token_verdict *verdict_out, struct error *error)
{
    struct jwt_header header = {0};
    json_t *object = take_header(jwt);
    if (object == NULL) {
        return refuse(error, "is no JWT");
    }
    int result = parse_header(object, token->options, &header, error);
    json_t *claims = result < 0 ? NULL : verify(keys, &header, jwt, error);
    json_decref(object);
    if (claims == NULL) {
        return -1;
    }
    result = token_claims_check(claims, token, verdict_out, error);
    json_decref(claims);
    return result;
}
