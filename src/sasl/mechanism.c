/* SPDX-License-Identifier: MIT */
#include "sasl/mechanism.h"

#include "base/buffer.h"

enum {
    SUFFICES_NONE = 0,
    SUFFICES_TEXT = SASL_VERIFIER_TEXT,
    SUFFICES_SCRAM_SHA_256 = SASL_VERIFIER_TEXT | SASL_VERIFIER_SCRAM_SHA_256,
    SUFFICES_SCRAM_SHA_1 = SASL_VERIFIER_TEXT | SASL_VERIFIER_SCRAM_SHA_1,
    SUFFICES_ANY = SASL_VERIFIER_TEXT | SASL_VERIFIER_SCRAM_SHA_256 | SASL_VERIFIER_SCRAM_SHA_1 |
                   SASL_VERIFIER_HASH,
    SCRAM_NONE = SCRAM_SHA_256 /* nobody asks for it */
};

static const struct row {
    const char *name;
    enum sasl_family family;
    enum scram_hash hash;
    bool plus;
    uint32_t suffices;
} rows[SASL_MECHANISM_COUNT] = {
#define MECHANISM(identifier, name, family, hash, plus, suffices)                                  \
    [SASL_##identifier] = {name, SASL_FAMILY_##family, (enum scram_hash)SCRAM_##hash, plus,        \
                           SUFFICES_##suffices},
#include "sasl/mechanisms.def"
#undef MECHANISM
};

const char *sasl_mechanism_name(enum sasl_mechanism mechanism)
{
    return rows[mechanism].name;
}

enum sasl_family sasl_mechanism_family(enum sasl_mechanism mechanism)
{
    return rows[mechanism].family;
}

enum scram_hash sasl_mechanism_hash(enum sasl_mechanism mechanism)
{
    return rows[mechanism].hash;
}

bool sasl_mechanism_is_plus(enum sasl_mechanism mechanism)
{
    return rows[mechanism].plus;
}

enum sasl_mechanism sasl_mechanism_find(struct bytes name)
{
    for (unsigned i = 0; i < SASL_MECHANISM_COUNT; i++) {
        if (bytes_equal_ignoring_case(bytes_of(rows[i].name), name)) {
            return (enum sasl_mechanism)i;
        }
    }
    return SASL_MECHANISM_COUNT;
}

bool sasl_is_offered(const struct sasl_offer *offer, enum sasl_mechanism mechanism)
{
    const struct row *row = &rows[mechanism];
    bool token = row->family == SASL_FAMILY_BEARER;
    bool external = row->family == SASL_FAMILY_EXTERNAL;
    bool clear = token || row->family == SASL_FAMILY_PLAIN || row->family == SASL_FAMILY_LOGIN;
    if ((clear && !offer->password_allowed) || (row->plus && !offer->has_binding) ||
        (external && !offer->has_certificate) || (token && !offer->has_tokens)) {
        return false;
    }
    if (external || token) { /* they need no secret of an account */
        return offer->chosen == 0 || (offer->chosen >> mechanism & 1) != 0;
    }
    if (offer->chosen != 0) {
        return (offer->chosen >> mechanism & 1) != 0 && (offer->verifiers & row->suffices) != 0;
    }
    return offer->verifiers != 0 && (offer->verifiers & ~row->suffices) == 0;
}

const char *sasl_list(const struct sasl_offer *offer, char out[SASL_LIST_SIZE])
{
    struct buffer list;
    buffer_init(&list, out, SASL_LIST_SIZE);
    for (unsigned i = 0; i < SASL_APOP; i++) {
        if (sasl_is_offered(offer, (enum sasl_mechanism)i)) {
            buffer_append_text(&list, list.written == 0 ? "" : " ");
            buffer_append_text(&list, rows[i].name);
        }
    }
    if (list.written == 0) {
        return NULL;
    }
    buffer_append_octet(&list, '\0'); /* all names fit: a test counts them */
    return out;
}
