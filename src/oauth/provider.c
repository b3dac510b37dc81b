/* SPDX-License-Identifier: MIT */
#include "oauth/provider.h"

#include <stdio.h>

#include "http/http.h"

enum {
    PROVIDERS = 0
#define OAUTH_PROVIDER(identifier, ...) +1
#include "oauth/providers.def"
#undef OAUTH_PROVIDER
};

enum place { BODY, HEADER };

static const struct preset {
    const char *name, *authorize, *token, *device, *issuer, *redirect_host, *query;
    enum place secret;
    const char *scopes[OAUTH_FOR_GMAIL + 1];
    const char *client_scope, *pop3_host;
} presets[PROVIDERS] = {
#define OAUTH_PROVIDER(identifier, name, authorize, token, device, issuer, host, query, secret,    \
                       pop3, imap, smtp, gmail, client, pop3_host)                                 \
    {name,   authorize, token, device, issuer, host, query, secret, {pop3, imap, smtp, gmail},     \
     client, pop3_host},
#include "oauth/providers.def"
#undef OAUTH_PROVIDER
};

static const struct preset *find(const char *name)
{
    for (size_t i = 0; name != NULL && i < PROVIDERS; i++) {
        if (strcmp(presets[i].name, name) == 0) {
            return &presets[i];
        }
    }
    return NULL;
}

bool oauth_provider_is_known(const char *name)
{
    return find(name) != NULL;
}

const char *oauth_provider_pop3_host(const char *name)
{
    const struct preset *preset = find(name);
    return preset == NULL ? NULL : preset->pop3_host;
}

const char *oauth_provider_of_host(const char *host)
{
    for (size_t i = 0; i < PROVIDERS; i++) {
        if (presets[i].pop3_host != NULL && strcasecmp(presets[i].pop3_host, host) == 0) {
            return presets[i].name;
        }
    }
    return NULL;
}

static const char *scope_of(const struct oauth_grant *grant, const struct preset *preset)
{
    if (grant->scope != NULL) {
        return grant->scope;
    }
    return grant->flow == OAUTH_BY_CLIENT ? preset->client_scope : preset->scopes[grant->use];
}

static const char *first_of(const char *a, const char *b)
{
    return a != NULL ? a : b;
}

static const char *service_mistake(const struct oauth_grant *grant)
{
    return grant->service_account_file != NULL
               ? NULL
               : "oauth-flow = service needs the account's key; write oauth-service-account = FILE";
}

/* Of a grant that needs a client. */
static const char *client_mistake(const struct oauth_grant *grant, const struct preset *preset)
{
    if (grant->client_id == NULL) {
        return "oauth needs the client that you registered at the provider; write oauth-client-id "
               "= "
               "ID (docs/oauth-client.md says how to get one)";
    }
    if (grant->flow == OAUTH_BY_CLIENT && grant->client_secret_file == NULL) {
        return "oauth-flow = client needs the client's secret; write oauth-client-secret-file = "
               "FILE";
    }
    if (grant->flow == OAUTH_BY_DEVICE && first_of(grant->device_url, preset->device) == NULL) {
        return "the provider has no device flow for mail; write oauth-flow = code, or "
               "oauth-device-url = URL";
    }
    if (grant->flow == OAUTH_BY_CODE && first_of(grant->authorize_url, preset->authorize) == NULL) {
        return "oauth = custom needs to know where a person authorizes; write oauth-authorize-url "
               "= "
               "URL";
    }
    return NULL;
}

static const char *url_mistake(const struct oauth_grant *grant)
{
    const char *const urls[] = {grant->authorize_url, grant->token_url, grant->device_url};
    for (size_t i = 0; i < sizeof urls / sizeof urls[0]; i++) {
        if (urls[i] != NULL &&
            (!http_url_check(urls[i], NULL) || strlen(urls[i]) >= OAUTH_URL_SIZE)) {
            return "tokens go under TLS, or to this machine; write https:// and a host";
        }
    }
    return NULL;
}

/* It becomes part of a path. */
static bool is_tenant(const char *text)
{
    return text[strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-.")] ==
               '\0' &&
           text[0] != '\0' && strlen(text) < 128;
}

const char *oauth_grant_mistake(const struct oauth_grant *grant)
{
    const struct preset *preset = find(grant->provider);
    if (preset == NULL) {
        return "that provider is not known; write google, microsoft, yahoo, aol or custom";
    }
    if (grant->tenant != NULL && !is_tenant(grant->tenant)) {
        return "oauth-tenant is the name or the number of a tenant; write common for any";
    }
    if (first_of(grant->token_url, preset->token) == NULL &&
        (grant->flow != OAUTH_BY_SERVICE || grant->service_account_file == NULL)) {
        return "oauth = custom needs to know who gives tokens; write oauth-token-url = URL";
    }
    const char *mistake = url_mistake(grant);
    if (mistake == NULL) {
        mistake = grant->flow == OAUTH_BY_SERVICE ? service_mistake(grant)
                                                  : client_mistake(grant, preset);
    }
    if (mistake == NULL && scope_of(grant, preset) == NULL) {
        mistake = "the provider's scope for this is not known; write oauth-scope = SCOPE";
    }
    if (mistake == NULL && strlen(scope_of(grant, preset)) >= OAUTH_SCOPE_SIZE) {
        mistake = "oauth-scope is too long; write at most 511 characters";
    }
    return mistake;
}

static void fill(char out[OAUTH_URL_SIZE], const char *url, const char *tenant)
{
    static const char mark[] = "{tenant}";
    const char *at = url == NULL ? NULL : strstr(url, mark);
    if (at == NULL) {
        (void)snprintf(out, OAUTH_URL_SIZE, "%s", url == NULL ? "" : url);
    } else {
        (void)snprintf(out, OAUTH_URL_SIZE, "%.*s%s%s", (int)(at - url), url, tenant,
                       at + sizeof mark - 1);
    }
}

void oauth_endpoints_find(const struct oauth_grant *grant, struct oauth_endpoints *out)
{
    const struct preset *preset = find(grant->provider);
    const char *tenant = grant->tenant != NULL ? grant->tenant : "common";
    fill(out->authorize, first_of(grant->authorize_url, preset->authorize), tenant);
    fill(out->token, first_of(grant->token_url, preset->token), tenant);
    fill(out->device, first_of(grant->device_url, preset->device), tenant);
    (void)snprintf(out->scope, sizeof out->scope, "%s", scope_of(grant, preset));
    out->issuer = first_of(grant->issuer, preset->issuer);
    out->redirect_host = preset->redirect_host;
    out->query = preset->query;
    out->secret_in_body = preset->secret == BODY;
}
