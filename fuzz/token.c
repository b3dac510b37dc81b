/* SPDX-License-Identifier: MIT */
/* A client gives any octets as its access token, and an issuer says anything of one. Nobody has the private keys, so no
 * token is right; and of claims, only those let in that name somebody and have not expired. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "account/token_jwt.h"
#include "base/user_name.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The keys of RFC 7517 appendix A.1; and an empty set where the fuzzer says so. */
static const char set[] =
    "{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":"
    "\"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4\","
    "\"y\":\"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM\",\"kid\":\"1\"},"
    "{\"kty\":\"RSA\",\"n\":"
    "\"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7"
    "aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4Qyq5"
    "v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-b"
    "FTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw\","
    "\"e\":\"AQAB\",\"alg\":\"RS256\",\"kid\":\"2\"}]}";

static void must(bool holds)
{
    if (!holds) {
        abort();
    }
}

static struct token_keys *make_keys(void)
{
    static char path[32];
    struct token_keys *keys;
    int file = memfd_create("keys", MFD_CLOEXEC);
    must(file >= 0 && write(file, set, sizeof set - 1) == (ssize_t)sizeof set - 1);
    must(snprintf(path, sizeof path, "/proc/self/fd/%d", file) > 0);
    must(token_keys_create(path, &keys, NULL) == 0);
    return keys;
}

static void check_claims(struct bytes text, const struct token_case *token)
{
    struct token_verdict verdict;
    struct error error;
    json_t *claims = json_loadb((const char *)text.data, text.size, JSON_REJECT_DUPLICATES, NULL);
    if (claims != NULL && token_claims_check(claims, token, &verdict, &error) == 0) {
        must(user_name_check(bytes_of(verdict.user), NULL) == 0);
        must(verdict.expires_s == 0 || verdict.expires_s > token->now_s);
        must(verdict.expires_s != 0 || token->origin == TOKEN_OF_INTROSPECTION);
    }
    json_decref(claims);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct token_keys *keys;
    static const struct token_options options = {.issuer = "i",
                                                 .audience = "a",
                                                 .user_claim = "email",
                                                 .scope = "s",
                                                 .algorithms = UINT32_MAX,
                                                 .skew_s = 60};
    struct token_verdict verdict;
    struct error error;
    if (keys == NULL) {
        keys = make_keys();
    }
    if (size == 0) {
        return 0;
    }
    struct bytes rest = {data + 1, size - 1};
    struct token_case token = {.options = &options,
                               .origin = (data[0] & 1) != 0 ? TOKEN_OF_JWT : TOKEN_OF_INTROSPECTION,
                               .name = bytes_of((data[0] & 2) != 0 ? "alice" : ""),
                               .now_s = 1700000000};
    if ((data[0] & 4) != 0) {
        check_claims(rest, &token);
    } else {
        must(token_jwt_check(keys, rest, &token, &verdict, &error) == -1);
        must(error.kind == ERROR_BAD_CREDENTIALS);
    }
    return 0;
}
