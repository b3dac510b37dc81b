/* SPDX-License-Identifier: MIT */
/* SCRAM (RFC 5802, RFC 7677) with channel binding (RFC 5929 section 3, RFC 9266). Nothing is parsed more than
 * the grammar of RFC 5802 section 7 allows; what a client may not know is compared in a time that tells
 * nothing. An account that does not exist is refused at the proof, after the same steps. */
#include <sodium.h>

#include "base/number.h"
#include "sasl/exchange.h"
#include "sasl/scram_text.h"

/* The flag that opens the GS2 header: which binding the client uses, and what it believes of us. "y" means
 * that it could bind and was told we could not: if we did offer it, someone between us took that out
 * (RFC 5802 section 6). */
static bool take_flag(struct sasl_server *server, struct bytes flag)
{
    struct bytes type;
    bool plus = sasl_mechanism_is_plus(server->mechanism);
    if (!scram_value_of(flag, 'p', &type)) {
        bool none = bytes_equal(flag, bytes_of("n"));
        bool believes_none = bytes_equal(flag, bytes_of("y"));
        return !plus && (none || (believes_none && !server->plus_offered));
    }
    if (bytes_equal(type, bytes_of("tls-exporter"))) {
        server->binding = &server->tls_exporter;
    } else if (bytes_equal(type, bytes_of("tls-unique"))) {
        server->binding = &server->tls_unique;
    }
    return plus && server->binding != NULL && server->binding->size > 0;
}

/* gs2-cbind-flag "," [ "a=" authzid ] "," [ reserved-mext "," ] "n=" name "," "r=" nonce [ "," extensions ]
 * Nothing is known of an extension that is mandatory ("m="), so it must fail. */
static bool parse_first(struct sasl_server *server, struct bytes message, struct bytes *nonce_out)
{
    uint8_t octets[USER_NAME_OCTETS_MAX];
    struct bytes rest = message;
    struct bytes flag = bytes_take(&rest, ',');
    struct bytes identity_field = bytes_take(&rest, ',');
    struct bytes identity = {0};
    server->header_size = message.size - rest.size;
    struct bytes bare = rest;
    struct bytes name_field = bytes_take(&rest, ',');
    struct bytes nonce_field = bytes_take(&rest, ',');
    struct bytes name;
    if (bare.size == 0 || bytes_find(message, '\0') < message.size || !take_flag(server, flag) ||
        !scram_value_of(name_field, 'n', &name) || !scram_unescape_name(name, octets, &name) ||
        !sasl_take_name(server, name) || !scram_value_of(nonce_field, 'r', nonce_out) ||
        !scram_is_printable(*nonce_out)) {
        return false;
    }
    if (identity_field.size > 0 &&
        (!scram_value_of(identity_field, 'a', &identity) ||
         !scram_unescape_name(identity, octets, &identity) || identity.size == 0 ||
         !sasl_is_own_identity(server, identity))) {
        return false;
    }
    memcpy(server->header, message.data, server->header_size);
    buffer_append(&server->signed_text, bare);
    buffer_append_octet(&server->signed_text, ',');
    return true;
}

void scram_server_first(struct sasl_server *server, struct bytes message, struct sasl_event *event)
{
    struct bytes nonce;
    uint8_t ours[SCRAM_NONCE_OCTETS];
    if (!parse_first(server, message, &nonce)) {
        sasl_fail(server, event);
        return;
    }
    struct buffer *text = &server->signed_text;
    buffer_append_text(text, "r=");
    server->nonce_offset = text->written;
    buffer_append(text, nonce);
    if (server->chosen[0] != '\0') {
        buffer_append_text(text, server->chosen);
    } else {
        randombytes_buf(ours, sizeof ours);
        scram_append_base64(text, (struct bytes){ours, sizeof ours});
    }
    server->nonce_size = text->written - server->nonce_offset;
    server->awaited = SASL_AWAITS_KEYS;
    *event = (struct sasl_event){.type = SASL_EVENT_LOOKUP, .name = server->name};
}

void scram_server_take_keys(struct sasl_server *server, const struct scram_keys *keys, size_t count,
                            struct sasl_event *event)
{
    struct buffer *text = &server->signed_text;
    size_t start = server->nonce_offset - 2;
    server->key_count = count;
    for (size_t i = 0; i < count; i++) {
        memcpy(server->keys[i].stored_key, keys[i].stored_key, sizeof keys[i].stored_key);
        memcpy(server->keys[i].server_key, keys[i].server_key, sizeof keys[i].server_key);
    }
    buffer_append_text(text, ",s=");
    scram_append_base64(text, (struct bytes){keys->salt, keys->salt_size});
    buffer_append_text(text, ",i=");
    buffer_append_number(text, keys->iterations);
    struct bytes first = {server->signed_memory + start, text->written - start};
    buffer_init(&server->output, server->output_memory, sizeof server->output_memory);
    buffer_append(&server->output, first);
    buffer_append_octet(text, ',');
    server->output.overflow = server->output.overflow || text->overflow;
    sasl_challenge(server, SASL_AWAITS_PROOF, event);
}

/* "c=": the GS2 header again, and the octets that the channel is bound with. */
static bool binding_fits(const struct sasl_server *server, struct bytes field)
{
    struct bytes code;
    uint8_t given[sizeof server->header + SASL_BINDING_OCTETS_MAX];
    uint8_t wanted[sizeof given];
    size_t size = server->header_size, given_size;
    memcpy(wanted, server->header, size);
    if (server->binding != NULL) {
        memcpy(wanted + size, server->binding->octets, server->binding->size);
        size += server->binding->size;
    }
    return scram_value_of(field, 'c', &code) &&
           sodium_base642bin(given, sizeof given, (const char *)code.data, code.size, NULL,
                             &given_size, NULL, sodium_base64_VARIANT_ORIGINAL) == 0 &&
           given_size == size && sodium_memcmp(given, wanted, size) == 0;
}

static bool nonce_fits(const struct sasl_server *server, struct bytes field)
{
    struct bytes nonce;
    struct bytes wanted = {server->signed_memory + server->nonce_offset, server->nonce_size};
    return scram_value_of(field, 'r', &nonce) && bytes_equal(nonce, wanted);
}

/* H(proof XOR HMAC(StoredKey, text)) is StoredKey for who knows the password. */
static bool proves(const struct sasl_server *server, const uint8_t proof[SCRAM_KEY_OCTETS_MAX],
                   const uint8_t stored_key[SCRAM_KEY_OCTETS_MAX])
{
    enum scram_hash hash = sasl_mechanism_hash(server->mechanism);
    size_t size = scram_key_size(hash);
    uint8_t client_key[SCRAM_KEY_OCTETS_MAX], signature[SCRAM_KEY_OCTETS_MAX] = {0};
    bool fits = scram_hmac(hash, stored_key, buffer_pending(&server->signed_text), signature) == 0;
    for (size_t i = 0; i < size; i++) {
        client_key[i] = proof[i] ^ signature[i]; /* if it is right */
    }
    fits = fits && scram_digest(hash, client_key, signature) == 0 &&
           sodium_memcmp(signature, stored_key, size) == 0;
    sodium_memzero(client_key, sizeof client_key);
    sodium_memzero(signature, sizeof signature);
    return fits;
}

/* Finds the secret that is proved; all are tried, whichever it is. */
static void find_proved(struct sasl_server *server, struct bytes field)
{
    size_t size = scram_key_size(sasl_mechanism_hash(server->mechanism)), given_size;
    uint8_t proof[SCRAM_KEY_OCTETS_MAX];
    struct bytes code;
    if (!scram_value_of(field, 'p', &code) ||
        sodium_base642bin(proof, size, (const char *)code.data, code.size, NULL, &given_size, NULL,
                          sodium_base64_VARIANT_ORIGINAL) < 0 ||
        given_size != size) {
        return;
    }
    for (size_t i = 0; i < server->key_count; i++) {
        if (proves(server, proof, server->keys[i].stored_key)) {
            server->proved = i;
        }
    }
    sodium_memzero(proof, sizeof proof);
}

/* Where the proof begins: it is the last attribute. */
static bool split_proof(struct bytes message, struct bytes *before_out, struct bytes *proof_out)
{
    size_t comma = message.size;
    while (comma > 0 && message.data[comma - 1] != ',') {
        comma--;
    }
    if (comma == 0) {
        return false;
    }
    *before_out = (struct bytes){message.data, comma - 1};
    *proof_out = bytes_from(message, comma);
    return true;
}

/* "c=" binding "," "r=" nonce [ "," extensions ] "," "p=" proof */
void scram_server_final(struct sasl_server *server, struct bytes message, struct sasl_event *event)
{
    enum scram_hash hash = sasl_mechanism_hash(server->mechanism);
    uint8_t signature[SCRAM_KEY_OCTETS_MAX];
    struct bytes before, proof;
    bool good = split_proof(message, &before, &proof);
    if (good) {
        struct bytes rest = before;
        bool bound = binding_fits(server, bytes_take(&rest, ','));
        bool same = nonce_fits(server, bytes_take(&rest, ','));
        buffer_append(&server->signed_text, before);
        good = bound && same && !server->signed_text.overflow;
    }
    if (good) {
        find_proved(server, proof);
    }
    size_t proved = server->proved;
    if (proved == SASL_SECRETS_MAX || server->keys[proved].is_refused ||
        scram_hmac(hash, server->keys[proved].server_key, buffer_pending(&server->signed_text),
                   signature) < 0) {
        sasl_fail(server, event);
        return;
    }
    buffer_init(&server->output, server->output_memory, sizeof server->output_memory);
    buffer_append_text(&server->output, "v=");
    scram_append_base64(&server->output, (struct bytes){signature, scram_key_size(hash)});
    sasl_challenge(server, SASL_AWAITS_END, event);
}
