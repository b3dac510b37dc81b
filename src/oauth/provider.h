/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_OAUTH_PROVIDER_H
#define RESTANTE_OAUTH_PROVIDER_H

/* A grant and its provider's preset put together. */

#include "oauth/oauth.h"

enum { OAUTH_URL_SIZE = 512, OAUTH_SCOPE_SIZE = 512 };

struct oauth_endpoints {
    char authorize[OAUTH_URL_SIZE], token[OAUTH_URL_SIZE], device[OAUTH_URL_SIZE]; /* or empty */
    char scope[OAUTH_SCOPE_SIZE];
    const char *issuer;        /* NULL: not known */
    const char *redirect_host; /* in URLs of redirections; it is this machine */
    const char *query;         /* more for the authorization's URL, encoded, begins with & */
    bool secret_in_body;
};

/* Of a grant without a mistake; borrows from it. */
void oauth_endpoints_find(const struct oauth_grant *grant, struct oauth_endpoints *out);

#endif
