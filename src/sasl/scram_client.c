/* SPDX-License-Identifier: MIT */
/* SCRAM's client end (RFC 5802, RFC 7677) with channel binding. The server is not believed before it has signed
 * the exchange with a key that it can only have from the password. */
#include <sodium.h>
#include <stdio.h>

#include "base/number.h"
#include "sasl/client_exchange.h"
#include "sasl/scram_text.h"

/* gs2-cbind-flag "," [ "a=" authzid ] ",". "y" says that we could bind and that the server does not offer it:
 * if it did, somebody between us took that out (RFC 5802 section 6). */
static void make_header(struct sasl_client *client)
{
    struct buffer *header = &client->header;
    if (client->binding_type != NULL) {
        buffer_append_text(header, "p=");
        buffer_append_text(header, client->binding_type);
    } else {
        buffer_append_text(header, client->could_bind && !client->plus_offered ? "y" : "n");
    }
    buffer_append_octet(header, ',');
    if (client->authorization_size > 0) {
        buffer_append_text(header, "a=");
        scram_append_name(header,
                          (struct bytes){client->authorization, client->authorization_size});
    }
    buffer_append_octet(header, ',');
}

static void make_nonce(struct sasl_client *client)
{
    uint8_t random[SCRAM_NONCE_OCTETS];
    if (client->own_nonce[0] == '\0') {
        randombytes_buf(random, sizeof random);
        (void)sodium_bin2base64(client->own_nonce, sizeof client->own_nonce, random, sizeof random,
                                sodium_base64_VARIANT_ORIGINAL);
    }
}

void scram_client_first(struct sasl_client *client, struct sasl_client_event *event)
{
    struct buffer *text = &client->signed_text;
    make_header(client);
    make_nonce(client);
    buffer_append_text(text, "n=");
    scram_append_name(text, (struct bytes){client->name, client->name_size});
    buffer_append_text(text, ",r=");
    buffer_append_text(text, client->own_nonce);
    buffer_append(&client->output, buffer_pending(&client->header));
    buffer_append(&client->output, buffer_pending(text));
    sasl_client_send(client, SASL_CLIENT_AWAITS_SALT, event);
}

/* It has to begin with ours and to go on: else the server, or who plays it, repeats what was said before. */
static bool take_nonce(struct sasl_client *client, struct bytes field, const struct bytes *message)
{
    struct bytes nonce;
    size_t own = strlen(client->own_nonce);
    if (!scram_value_of(field, 'r', &nonce) || !scram_is_printable(nonce) || nonce.size <= own ||
        memcmp(nonce.data, client->own_nonce, own) != 0) {
        return false;
    }
    client->nonce_offset = client->signed_text.written + 1 + (size_t)(nonce.data - message->data);
    client->nonce_size = nonce.size;
    return true;
}

static bool take_salt(struct sasl_client *client, struct bytes field)
{
    struct bytes code;
    return scram_value_of(field, 's', &code) &&
           sodium_base642bin(client->salt, sizeof client->salt, (const char *)code.data, code.size,
                             NULL, &client->salt_size, NULL, sodium_base64_VARIANT_ORIGINAL) == 0 &&
           client->salt_size > 0;
}

/* Few make the password cheap to guess for who listens, many would keep us busy for hours. */
static bool take_iterations(struct sasl_client *client, struct bytes field, const char **reason)
{
    struct bytes digits;
    uint64_t iterations;
    *reason = "the server's first message makes no sense";
    if (!scram_value_of(field, 'i', &digits) || number_parse(digits, UINT64_MAX, &iterations) < 0) {
        return false;
    }
    if (iterations < SCRAM_ITERATIONS_LEAST) {
        *reason = "the server asks for fewer than 4096 iterations, which protect no password";
        return false;
    }
    if (iterations > SASL_CLIENT_ITERATIONS_MOST) {
        *reason = "the server asks for more than 10000000 iterations";
        return false;
    }
    client->iterations = (uint32_t)iterations;
    return true;
}

/* [ "m=" mandatory extension "," ] "r=" nonce "," "s=" salt "," "i=" iterations [ "," extensions ] */
void scram_client_take_salt(struct sasl_client *client, struct bytes challenge,
                            struct sasl_client_event *event)
{
    struct bytes rest = challenge;
    const char *reason = "the server's first message makes no sense";
    struct bytes extension;
    struct bytes field = bytes_take(&rest, ',');
    if (scram_value_of(field, 'm', &extension)) {
        reason = "the server asks for an extension that is not known";
        sasl_client_fail(client, ERROR_PROTOCOL, reason, event);
        return;
    }
    if (!take_nonce(client, field, &challenge) || !take_salt(client, bytes_take(&rest, ',')) ||
        !take_iterations(client, bytes_take(&rest, ','), &reason)) {
        sasl_client_fail(client, ERROR_PROTOCOL, reason, event);
        return;
    }
    buffer_append_octet(&client->signed_text, ',');
    buffer_append(&client->signed_text, challenge);
    buffer_append_octet(&client->signed_text, ',');
    client->awaited = SASL_CLIENT_AWAITS_KEYS;
    *event = (struct sasl_client_event){.type = SASL_CLIENT_DERIVE, .octets = bytes_of("")};
}

/* The proof, and what the server's signature will have to be. */
static int compute(struct sasl_client *client, uint8_t proof[SCRAM_KEY_OCTETS_MAX])
{
    enum scram_hash hash = sasl_mechanism_hash(client->mechanism);
    struct bytes text = buffer_pending(&client->signed_text);
    uint8_t salted[SCRAM_KEY_OCTETS_MAX], stored[SCRAM_KEY_OCTETS_MAX];
    uint8_t key[SCRAM_KEY_OCTETS_MAX], signature[SCRAM_KEY_OCTETS_MAX];
    struct bytes password = {client->password, client->password_size};
    struct bytes salt = {client->salt, client->salt_size};
    int result = -1;
    if (scram_salt(hash, password, salt, client->iterations, salted) == 0 &&
        scram_hmac(hash, salted, bytes_of("Server Key"), key) == 0 &&
        scram_hmac(hash, key, text, client->server_signature) == 0 &&
        scram_hmac(hash, salted, bytes_of("Client Key"), key) == 0 &&
        scram_digest(hash, key, stored) == 0 && scram_hmac(hash, stored, text, signature) == 0) {
        for (size_t i = 0; i < scram_key_size(hash); i++) {
            proof[i] = key[i] ^ signature[i];
        }
        result = 0;
    }
    sodium_memzero(salted, sizeof salted);
    sodium_memzero(stored, sizeof stored);
    sodium_memzero(key, sizeof key);
    sodium_memzero(signature, sizeof signature);
    return result;
}

/* "c=" header and binding "," "r=" nonce "," "p=" proof */
void scram_client_derive(struct sasl_client *client, struct sasl_client_event *event)
{
    struct buffer *text = &client->signed_text;
    uint8_t proof[SCRAM_KEY_OCTETS_MAX];
    struct bytes nonce = {client->signed_memory + client->nonce_offset, client->nonce_size};
    size_t start = text->written;
    buffer_append(&client->header, (struct bytes){client->binding, client->binding_size});
    buffer_append_text(text, "c=");
    scram_append_base64(text, buffer_pending(&client->header));
    buffer_append_text(text, ",r=");
    buffer_append(text, nonce);
    if (text->overflow || client->header.overflow || compute(client, proof) < 0) {
        sasl_client_fail(client, ERROR_TEMPORARY, "no memory", event);
        return;
    }
    buffer_append(&client->output, bytes_from(buffer_pending(text), start));
    buffer_append_text(&client->output, ",p=");
    scram_append_base64(
        &client->output,
        (struct bytes){proof, scram_key_size(sasl_mechanism_hash(client->mechanism))});
    sasl_client_send(client, SASL_CLIENT_AWAITS_SIGNATURE, event);
}

static bool signature_fits(const struct sasl_client *client, struct bytes code)
{
    uint8_t given[SCRAM_KEY_OCTETS_MAX];
    size_t wanted = scram_key_size(sasl_mechanism_hash(client->mechanism)), size;
    return sodium_base642bin(given, sizeof given, (const char *)code.data, code.size, NULL, &size,
                             NULL, sodium_base64_VARIANT_ORIGINAL) == 0 &&
           size == wanted && sodium_memcmp(given, client->server_signature, wanted) == 0;
}

/* "v=" signature or "e=" error, [ "," extensions ] */
void scram_client_take_signature(struct sasl_client *client, struct bytes challenge,
                                 struct sasl_client_event *event)
{
    struct bytes rest = challenge;
    struct bytes field = bytes_take(&rest, ',');
    struct bytes value;
    if (scram_value_of(field, 'e', &value)) {
        char name[64], reason[128];
        (void)snprintf(reason, sizeof reason, "the server refuses: %s",
                       bytes_escape(value, name, sizeof name));
        sasl_client_fail(client, ERROR_BAD_CREDENTIALS, reason, event);
    } else if (scram_value_of(field, 'v', &value) && signature_fits(client, value)) {
        sasl_client_send(client, SASL_CLIENT_AWAITS_NOTHING, event);
    } else {
        sasl_client_fail(client, ERROR_PROTOCOL,
                         "the server did not prove that it knows the password", event);
    }
}
