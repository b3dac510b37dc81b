/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_FETCH_TOKEN_REQUEST_H
#define RESTANTE_FETCH_TOKEN_REQUEST_H

/* An access token for who is on a loop: a thread asks for it, which may wait. */

#include <uv.h>

#include "oauth/oauth.h"

struct token_request;

/* `token` is given away; NULL: `error` says why there is none. Comes once, from the loop; the request frees itself. */
typedef void token_request_done(void *owner, struct secret *token, const struct error *error);

/* `grant` is copied, what it points to is not; `cancel` is the request's own. Takes `refused` (oauth_access_token), in any
 * case. NULL, and no call, if it does not start. */
struct token_request *token_request_start(uv_loop_t *loop, const struct oauth_grant *grant,
                                          struct secret *refused, token_request_done *done,
                                          void *owner, struct error *error);
/* The owner no longer waits: nothing is called. */
void token_request_cancel(struct token_request *request);

#endif
