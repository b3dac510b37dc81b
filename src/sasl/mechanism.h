/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_SASL_MECHANISM_H
#define RESTANTE_SASL_MECHANISM_H

/* Which mechanisms there are, and which of them can succeed on one connection. APOP (RFC 1939 section 7) is
 * none of SASL's, but stands among them: what it needs of accounts is what CRAM-MD5 needs. */

#include "base/bytes.h"
#include "sasl/scram_keys.h"

enum sasl_mechanism {
#define MECHANISM(identifier, name, family, hash, plus, suffices) SASL_##identifier,
#include "sasl/mechanisms.def"
#undef MECHANISM
    SASL_MECHANISM_COUNT
};

enum sasl_family {
    SASL_FAMILY_EXTERNAL, /* RFC 4422 appendix A */
    SASL_FAMILY_SCRAM,    /* RFC 5802, 7677 */
    SASL_FAMILY_BEARER,   /* RFC 7628; XOAUTH2: Google's "XOAUTH2 Mechanism" */
    SASL_FAMILY_CRAM,     /* RFC 2195 */
    SASL_FAMILY_PLAIN,    /* RFC 4616 */
    SASL_FAMILY_LOGIN,    /* draft-murchison-sasl-login-00 */
    SASL_FAMILY_APOP
};

/* Kinds of what is kept of passwords, as bits. */
enum sasl_verifiers {
    SASL_VERIFIER_TEXT = 1,          /* the password itself */
    SASL_VERIFIER_SCRAM_SHA_256 = 2, /* keys of that mechanism */
    SASL_VERIFIER_SCRAM_SHA_1 = 4,
    SASL_VERIFIER_HASH = 8 /* good for a password in the clear only */
};

/* What decides about one connection. */
struct sasl_offer {
    uint32_t verifiers; /* the kinds that the accounts have which may log in */
    uint32_t chosen;    /* bits 1 << enum sasl_mechanism: the operator's choice; 0: he made none; a
                           bit beyond the last alone: none of all */
    bool password_allowed; /* may a password be sent as it is? */
    bool has_binding;      /* can authentication be bound to the channel? */
    bool has_certificate;  /* does a certificate name the client? */
    bool has_tokens;       /* is there who can check a token? */
};

enum { SASL_LIST_SIZE = 128 }; /* room for all names, spaces between and a NUL */

const char *sasl_mechanism_name(enum sasl_mechanism mechanism);
enum sasl_family sasl_mechanism_family(enum sasl_mechanism mechanism);
enum scram_hash sasl_mechanism_hash(enum sasl_mechanism mechanism); /* of SCRAM only */
bool sasl_mechanism_is_plus(enum sasl_mechanism mechanism);

/* In any case; SASL_MECHANISM_COUNT: there is none of that name. */
enum sasl_mechanism sasl_mechanism_find(struct bytes name);

/* Without a choice of the operator's: a client takes what it finds best, so what is offered must work for
 * every account. What he chose is offered as soon as it works for some. */
bool sasl_is_offered(const struct sasl_offer *offer, enum sasl_mechanism mechanism);

/* The SASL mechanisms that are offered, spaces between; NULL, and nothing written, if there are none. */
const char *sasl_list(const struct sasl_offer *offer, char out[SASL_LIST_SIZE]);

#endif
