/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_ACCOUNT_TOKEN_H
#define RESTANTE_ACCOUNT_TOKEN_H

/* Access tokens of OAuth 2.0 (RFC 6750): what a site expects of them, and what a check of one finds out. */

#include <stdbool.h>
#include <stdint.h>

#include "account/source.h"

enum {
    TOKEN_KEYS_FILE_OCTETS_MAX = 256 * 1024,
    TOKEN_RESPONSE_OCTETS_MAX = 64 * 1024 /* of an introspection */
};

/* The signatures that there are (RFC 7518 section 3.1): those with which a public key suffices to check. */
enum token_algorithm {
#define TOKEN_ALGORITHM(identifier, name, type, curve) TOKEN_##identifier,
#include "account/token_algorithms.def"
#undef TOKEN_ALGORITHM
    TOKEN_ALGORITHM_COUNT
};

const char *token_algorithm_name(enum token_algorithm algorithm);
/* As RFC 7518 spells it; TOKEN_ALGORITHM_COUNT: there is none of that name. */
enum token_algorithm token_algorithm_find(struct bytes name);

/* Texts are borrowed; an empty one was not given. One of keys_file and introspection_url is. */
struct token_options {
    const char *issuer;            /* that "iss" has to be; always given with keys_file */
    const char *audience;          /* that has to be among "aud"; always given with keys_file */
    const char *user_claim;        /* the claim that names the account */
    const char *scope;             /* that has to be among the token's */
    const char *keys_file;         /* a JWK Set (RFC 7517) */
    uint32_t algorithms;           /* bits 1 << enum token_algorithm: those that are accepted */
    uint32_t skew_s;               /* by which the clocks of others may differ from ours */
    const char *introspection_url; /* RFC 7662; https, or http to this machine */
    const char *client_id, *client_secret_file; /* how we log in there */
    const char *ca_file;                        /* trusted there instead of the system's */
    uint32_t timeout_ms;                        /* of one introspection */
};

/* Of a token that is right. */
struct token_verdict {
    char user[SOURCE_NAME_SIZE];
    uint64_t expires_s; /* Unix time up to which it may be believed; 0: it does not say */
    bool lacks_scope;   /* it is right, but was not given for this; then nobody is let in by it */
};

#endif
