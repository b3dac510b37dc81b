/* SPDX-License-Identifier: MIT */
/* CRAM-MD5 (RFC 2195) and APOP (RFC 1939 section 7): a digest of a password and of something that the server
 * said, in hexadecimal digits, compared in a time that tells nothing. */
#include <stdio.h>

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <sodium.h>

#include "sasl/exchange.h"

enum { MD5_OCTETS = 16, MD5_DIGITS = 2 * MD5_OCTETS };

static bool digits_fit(const uint8_t digest[MD5_OCTETS], struct bytes digits)
{
    char expected[MD5_DIGITS + 1];
    (void)sodium_bin2hex(expected, sizeof expected, digest, MD5_OCTETS);
    bool fits = digits.size == MD5_DIGITS && sodium_memcmp(expected, digits.data, MD5_DIGITS) == 0;
    sodium_memzero(expected, sizeof expected);
    return fits;
}

void cram_server_begin(struct sasl_server *server, struct sasl_event *event)
{
    char text[sizeof server->host + 64];
    if (server->chosen[0] != '\0') {
        buffer_append_text(&server->output, server->chosen);
    } else {
        uint64_t numbers[2];
        randombytes_buf(numbers, sizeof numbers);
        (void)snprintf(text, sizeof text, "<%llu.%llu@%s>", (unsigned long long)numbers[0],
                       (unsigned long long)numbers[1], server->host);
        buffer_append_text(&server->output, text);
    }
    sasl_challenge(server, SASL_AWAITS_FIRST, event);
}

/* name SP digest: a name may have blanks in it. */
void cram_server_response(struct sasl_server *server, struct bytes message,
                          struct sasl_event *event)
{
    if (message.size < MD5_DIGITS + 2 || message.data[message.size - MD5_DIGITS - 1] != ' ' ||
        !sasl_take_name(server, (struct bytes){message.data, message.size - MD5_DIGITS - 1})) {
        sasl_fail(server, event);
        return;
    }
    server->response_size = MD5_DIGITS;
    memcpy(server->response, message.data + message.size - MD5_DIGITS, MD5_DIGITS);
    server->awaited = SASL_AWAITS_KEYS;
    *event = (struct sasl_event){.type = SASL_EVENT_LOOKUP, .name = server->name};
}

void cram_server_take_passwords(struct sasl_server *server, const struct bytes *passwords,
                                size_t count, struct sasl_event *event)
{
    uint8_t digest[MD5_OCTETS];
    struct bytes challenge = buffer_pending(&server->output);
    struct bytes digits = {server->response, server->response_size};
    for (size_t i = 0; i < count; i++) {
        if (HMAC(EVP_md5(), passwords[i].data, (int)passwords[i].size, challenge.data,
                 challenge.size, digest, NULL) != NULL &&
            digits_fit(digest, digits)) {
            server->proved = i;
        }
    }
    sodium_memzero(digest, sizeof digest);
    if (server->proved < SASL_SECRETS_MAX) {
        sasl_done(server, event);
    } else {
        sasl_fail(server, event);
    }
}

bool sasl_apop_fits(struct bytes timestamp, struct bytes password, struct bytes digest)
{
    uint8_t computed[EVP_MAX_MD_SIZE];
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    bool fits = context != NULL && EVP_DigestInit_ex(context, EVP_md5(), NULL) == 1 &&
                EVP_DigestUpdate(context, timestamp.data, timestamp.size) == 1 &&
                EVP_DigestUpdate(context, password.data, password.size) == 1 &&
                EVP_DigestFinal_ex(context, computed, NULL) == 1 && digits_fit(computed, digest);
    EVP_MD_CTX_free(context);
    sodium_memzero(computed, sizeof computed);
    return fits;
}
