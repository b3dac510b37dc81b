/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_OAUTH_OAUTH_H
#define RESTANTE_OAUTH_OAUTH_H

/* The client's end of OAuth 2.0 (RFC 6749): a person authorizes us once, and from then on there is an access token when
 * one is needed. All of it blocks: for threads and processes that may wait, never for a loop. */

#include <stdbool.h>

#include "account/secret.h"
#include "base/error.h"

/* What the token is for: a provider has a scope for each. */
enum oauth_use { OAUTH_FOR_POP3, OAUTH_FOR_IMAP, OAUTH_FOR_SMTP, OAUTH_FOR_GMAIL };

enum oauth_flow {
    OAUTH_BY_CODE,   /* RFC 6749 section 4.1 with RFC 7636 and RFC 8252: a browser */
    OAUTH_BY_DEVICE, /* RFC 8628: a browser on any machine, and a code to type */
    OAUTH_BY_CLIENT, /* RFC 6749 section 4.4: the client's secret alone */
    OAUTH_BY_SERVICE /* RFC 7523: a service account's signature */
};

/* Whose token is wanted, and who gives it. All is borrowed; NULL: not given. */
struct oauth_grant {
    const char *account; /* as `restante fetch --authorize' knows it */
    const char *user;    /* at the provider */
    enum oauth_use use;
    const char *provider; /* oauth_provider_is_known; "custom": the URLs say all */
    enum oauth_flow flow;
    const char *client_id, *client_secret_file;
    const char *tenant;               /* of Microsoft's; "common" */
    const char *scope;                /* instead of the provider's for `use` */
    const char *service_account_file; /* JSON, as Google gives it */
    const char *authorize_url, *token_url, *device_url, *issuer;
    const char *ca_file; /* trusted there instead of the system's */
    const char
        *tokens_folder; /* NULL: $XDG_STATE_HOME/restante/tokens, ~/.local/state/restante/tokens */
    bool keyring;       /* tokens are kept by secret-tool, not in a file */
    int cancel;         /* a descriptor: readable ends the waiting; -1: none */
};

/* What a grant lacks or contradicts, with what to write instead, in names of options; NULL: it is complete. Looks into no
 * file. */
const char *oauth_grant_mistake(const struct oauth_grant *grant);

bool oauth_provider_is_known(const char *name);
/* Its POP3 server; NULL: "custom" has none. */
const char *oauth_provider_pop3_host(const char *name);
/* Whose POP3 server `host` is; NULL: none's that is known. */
const char *oauth_provider_of_host(const char *host);

/* An access token that has not expired: the one that is kept, else a new one, which is kept before it is given out. At
 * most one is asked for at a time, among all threads and processes of the person. `refused`: a server did not take that
 * one, so another is asked for even if it has not expired; NULL: none was.
 * ERROR_CONFIGURATION: nobody has authorized us yet, or the client is not known to the provider; ERROR_BAD_CREDENTIALS:
 * the authorization is no longer valid; both texts say what to do. ERROR_TEMPORARY: try again later. */
int oauth_access_token(const struct oauth_grant *grant, const struct secret *refused,
                       struct secret **token_out, struct error *error) MUST_CHECK;

/* How a person is talked to while they authorize. */
struct oauth_person {
    void (*say)(void *owner, const char *text); /* one line */
    void (*open)(void *owner,
                 const char *url); /* in a browser, if there is one; NULL: there is none */
    int answers; /* a descriptor on which a line can be pasted; -1: nobody types */
    void *owner;
};

/* Gets the authorization, and keeps it. Waits for the person for up to ten minutes. ERROR_BAD_CREDENTIALS: they, or the
 * provider, refused. */
int oauth_authorize(const struct oauth_grant *grant, const struct oauth_person *person,
                    struct error *error) MUST_CHECK;

/* Is something kept for this grant, or nothing needed? Asks nobody. -1: it cannot be said. */
int oauth_is_authorized(const struct oauth_grant *grant, bool *is_out,
                        struct error *error) MUST_CHECK;

#endif
