/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_OAUTH_REDIRECTION_H
#define RESTANTE_OAUTH_REDIRECTION_H

/* Where a browser comes back to (RFC 8252 section 7.3): a listener on 127.0.0.1 that takes one answer with the right state,
 * or the address of that page, pasted by a person whose browser is on another machine. */

#include "oauth/oauth.h"

enum { OAUTH_CODE_SIZE = 4096, OAUTH_STATE_SIZE = 44 };

struct oauth_redirection {
    int listener;
    uint16_t port;
    const char *state;  /* that the answer must have */
    const char *issuer; /* that it must have if it has one (RFC 9207); NULL: any */
    char code[OAUTH_CODE_SIZE];
};

/* Listens, on a port that the kernel chooses. */
int oauth_redirection_open(struct oauth_redirection *redirection, struct error *error) MUST_CHECK;
/* Wipes the code. */
void oauth_redirection_close(struct oauth_redirection *redirection);

/* What a query says. 1: `code` is there; 0: it is not an answer to what was asked; -1: the answer is a refusal. */
int oauth_redirection_take(struct oauth_redirection *redirection, struct bytes query,
                           struct error *error) MUST_CHECK;

/* Waits for the answer. `pasted`: a descriptor for lines; -1: none. ERROR_TEMPORARY: not in `limit_ms`, cancelled. */
int oauth_redirection_wait(struct oauth_redirection *redirection, int pasted, int cancel,
                           int64_t limit_ms, struct error *error) MUST_CHECK;

#endif
