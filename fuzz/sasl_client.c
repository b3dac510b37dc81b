/* SPDX-License-Identifier: MIT */
/* A server of SASL says any octets: the first choose the mechanism and the connection's facts, then come its
 * challenges, each behind two octets of length. It does not know the password, so SCRAM may never believe it.
 * The iterations are not done (the linker puts a stand-in in their place), their count is checked. */
#include <openssl/evp.h>
#include <stdlib.h>

#include "sasl/client.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int __wrap_PKCS5_PBKDF2_HMAC(const char *password, int password_size, const unsigned char *salt,
                             int salt_size, int iterations, const EVP_MD *hash, int size,
                             unsigned char *out);

static const uint8_t channel[32] = "octets of a channel for both";

static void must(bool holds)
{
    if (!holds) {
        abort();
    }
}

int __wrap_PKCS5_PBKDF2_HMAC(const char *password, int password_size, const unsigned char *salt,
                             int salt_size, int iterations, const EVP_MD *hash, int size,
                             unsigned char *out)
{
    (void)hash;
    must(iterations >= SCRAM_ITERATIONS_LEAST && iterations <= SASL_CLIENT_ITERATIONS_MOST);
    must(password_size == 6 && memcmp(password, "secret", 6) == 0 && salt_size > 0);
    memset(out, salt[salt_size - 1], (size_t)size);
    out[0] ^= 0x5A; /* no server knows it */
    return 1;
}

static struct bytes take(struct bytes *rest, size_t size)
{
    struct bytes taken = {rest->data, size < rest->size ? size : rest->size};
    *rest = bytes_from(*rest, taken.size);
    return taken;
}

static struct bytes take_message(struct bytes *rest)
{
    struct bytes head = take(rest, 2);
    size_t size = head.size < 2 ? 0 : (size_t)(head.data[0] << 8 | head.data[1]);
    return take(rest, size);
}

static void check(const struct sasl_client *client, const struct sasl_client_event *event,
                  bool scram)
{
    struct error error;
    must(event->octets.data != NULL && event->octets.size < 8192);
    must((event->type == SASL_CLIENT_FAILED) == (event->error != NULL));
    if (event->type == SASL_CLIENT_FAILED || scram) {
        must(sasl_client_finish(client, &error) == -1);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes rest = {data, size};
    struct bytes head = take(&rest, 2);
    if (head.size < 2) {
        return 0;
    }
    enum sasl_mechanism mechanism = (enum sasl_mechanism)(head.data[0] % SASL_MECHANISM_COUNT);
    bool scram = sasl_mechanism_family(mechanism) == SASL_FAMILY_SCRAM;
    struct sasl_client_identity identity = {.name = bytes_of("al,ice"),
                                            .password = bytes_of("secret")};
    struct sasl_client_facts facts = {
        .tls_exporter = {channel, (head.data[1] & 1) != 0 ? sizeof channel : 0},
        .tls_unique = {channel, (head.data[1] & 2) != 0 ? 12 : 0},
        .offered = (head.data[1] & 4) != 0 ? "SCRAM-SHA-1-PLUS" : NULL,
        .nonce = "nonce",
    };
    struct sasl_client *client;
    struct sasl_client_event event;
    struct error error;
    if (sasl_client_create(mechanism, &identity, &facts, &client, &error) < 0) {
        must(sasl_mechanism_is_plus(mechanism));
        return 0;
    }
    sasl_client_begin(client, &event);
    check(client, &event, scram);
    for (int i = 0; i < 5 && event.type != SASL_CLIENT_FAILED; i++) {
        if (event.type == SASL_CLIENT_DERIVE) {
            sasl_client_derive(client, &event);
        } else {
            sasl_client_continue(client, take_message(&rest), &event);
        }
        check(client, &event, scram);
    }
    (void)sasl_client_free(client);
    return 0;
}
