/* SPDX-License-Identifier: MIT */
/* A person authorizes: in a browser that comes back to us (RFC 8252) with a code that only we can redeem (RFC 7636), or
 * with a code that they type on a page (RFC 8628). */
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <time.h>

#include <sodium.h>

#include "http/form.h"
#include "oauth/exchange.h"
#include "oauth/redirection.h"
#include "oauth/store.h"

enum {
    PATIENCE_MS = 600000,
    RANDOM_OCTETS = 32,
    ENCODED_SIZE = 44, /* of that, with a NUL */
    URL_SIZE = 4096,
    SLOWER_S = 5, /* RFC 8628 section 3.5 */
    VARIANT = sodium_base64_VARIANT_URLSAFE_NO_PADDING
};

struct authorization {
    const struct oauth_person *person;
    const struct oauth_grant *grant;
    struct oauth_endpoints endpoints;
    struct oauth_exchange exchange;
    char verifier[ENCODED_SIZE], state[OAUTH_STATE_SIZE];
    char redirect[64];
    char url[URL_SIZE];
};

static void say(const struct authorization *self, const char *format, ...) PRINTF_LIKE(2, 3);

static void say(const struct authorization *self, const char *format, ...)
{
    char text[URL_SIZE + 100];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    self->person->say(self->person->owner, text);
}

static void make_random(char out[ENCODED_SIZE])
{
    uint8_t octets[RANDOM_OCTETS];
    randombytes_buf(octets, sizeof octets);
    (void)sodium_bin2base64(out, ENCODED_SIZE, octets, sizeof octets, VARIANT);
    explicit_bzero(octets, sizeof octets);
}

/* RFC 7636 section 4.2: S256. */
static void make_challenge(const char *verifier, char out[ENCODED_SIZE])
{
    uint8_t hash[crypto_hash_sha256_BYTES];
    (void)crypto_hash_sha256(hash, (const uint8_t *)verifier, strlen(verifier));
    (void)sodium_bin2base64(out, ENCODED_SIZE, hash, sizeof hash, VARIANT);
}

static int make_url(struct authorization *self, struct error *error)
{
    struct buffer url;
    char challenge[ENCODED_SIZE];
    make_challenge(self->verifier, challenge);
    buffer_init(&url, self->url, sizeof self->url - 1);
    buffer_append_text(&url, self->endpoints.authorize);
    buffer_append_octet(&url, strchr(self->endpoints.authorize, '?') == NULL ? '?' : '&');
    buffer_append_text(&url, "response_type=code");
    http_append_pair(&url, "client_id", bytes_of(self->grant->client_id));
    http_append_pair(&url, "redirect_uri", bytes_of(self->redirect));
    http_append_pair(&url, "scope", bytes_of(self->endpoints.scope));
    http_append_pair(&url, "state", bytes_of(self->state));
    http_append_pair(&url, "code_challenge", bytes_of(challenge));
    http_append_pair(&url, "code_challenge_method", bytes_of("S256"));
    http_append_pair(&url, "login_hint", bytes_of(self->grant->user));
    buffer_append_text(&url, self->endpoints.query);
    self->url[url.written] = '\0';
    return url.overflow ? error_set(error, ERROR_CONFIGURATION, 0,
                                    "the address where to authorize is too long")
                        : 0;
}

static void ask_person(const struct authorization *self)
{
    const struct oauth_person *person = self->person;
    say(self, "Authorize %s in a browser, here:", self->grant->user);
    say(self, "%s", self->url);
    if (person->answers >= 0) {
        say(self,
            "If that browser is on another machine, it will show at the end that it cannot reach "
            "%s: paste here the address that it shows then.",
            self->endpoints.redirect_host);
    }
    if (person->open != NULL) {
        person->open(person->owner, self->url);
    }
}

static int redeem(struct authorization *self, const char *code, struct oauth_tokens *tokens_out,
                  struct error *error)
{
    struct oauth_exchange *exchange = &self->exchange;
    oauth_exchange_begin(exchange);
    http_append_pair(&exchange->form, "grant_type", bytes_of("authorization_code"));
    http_append_pair(&exchange->form, "code", bytes_of(code));
    http_append_pair(&exchange->form, "redirect_uri", bytes_of(self->redirect));
    http_append_pair(&exchange->form, "code_verifier", bytes_of(self->verifier));
    exchange->kept = code;
    int result = oauth_exchange_tokens(exchange, tokens_out, error);
    exchange->kept = NULL;
    return result;
}

static int by_code(struct authorization *self, struct oauth_tokens *tokens_out, struct error *error)
{
    struct oauth_redirection redirection = {.state = self->state, .issuer = self->endpoints.issuer};
    make_random(self->verifier);
    make_random(self->state);
    if (oauth_redirection_open(&redirection, error) < 0) {
        return -1;
    }
    (void)snprintf(self->redirect, sizeof self->redirect, "http://%s:%u/",
                   self->endpoints.redirect_host, redirection.port);
    int result = make_url(self, error);
    if (result == 0) {
        ask_person(self);
        result = oauth_redirection_wait(&redirection, self->person->answers, self->grant->cancel,
                                        PATIENCE_MS, error);
    }
    if (result == 0) {
        result = redeem(self, redirection.code, tokens_out, error);
    }
    oauth_redirection_close(&redirection);
    return result;
}

static int wait_for(const struct authorization *self, uint32_t seconds, struct error *error)
{
    struct pollfd cancel = {.fd = self->grant->cancel, .events = POLLIN};
    return poll(&cancel, 1, (int)seconds * 1000) > 0
               ? error_set(error, ERROR_TEMPORARY, 0, "interrupted")
               : 0;
}

/* 1: tokens; 0: not yet; -1: never. */
static int ask_once(struct authorization *self, struct oauth_device *device,
                    struct oauth_tokens *tokens_out, struct error *error)
{
    struct oauth_exchange *exchange = &self->exchange;
    oauth_exchange_begin(exchange);
    http_append_pair(&exchange->form, "grant_type",
                     bytes_of("urn:ietf:params:oauth:grant-type:device_code"));
    http_append_pair(&exchange->form, "device_code", bytes_of(device->code));
    if (oauth_exchange_tokens(exchange, tokens_out, error) == 0) {
        return 1;
    }
    const char *said = exchange->refusal.error;
    if (strcmp(said, "slow_down") == 0) {
        device->interval_s += SLOWER_S;
    } else if (strcmp(said, "expired_token") == 0) {
        return error_set(error, ERROR_TEMPORARY, 0, "the code has expired; start again");
    } else if (error->kind == ERROR_TEMPORARY) {
        device->interval_s *= 2; /* RFC 8628 section 3.5: where the server does not answer */
    } else if (strcmp(said, "authorization_pending") != 0) {
        return -1;
    }
    return 0;
}

static int by_device(struct authorization *self, struct oauth_tokens *tokens_out,
                     struct error *error)
{
    struct oauth_exchange *exchange = &self->exchange;
    struct oauth_device device;
    oauth_exchange_begin(exchange);
    if (exchange->grant->client_id != NULL && exchange->secret.size != 0 &&
        !self->endpoints.secret_in_body) {
        http_append_pair(&exchange->form, "client_id", bytes_of(exchange->grant->client_id));
    }
    http_append_pair(&exchange->form, "scope", bytes_of(self->endpoints.scope));
    if (oauth_exchange_device(exchange, &device, error) < 0) {
        return -1;
    }
    say(self, "Open %s in a browser on any machine and type %s to authorize %s.", device.page,
        device.user_code, self->grant->user);
    exchange->kept = device.code;
    time_t until = time(NULL) + (time_t)device.expires_s;
    int result = 0;
    while (result == 0) {
        result = time(NULL) >= until
                     ? error_set(error, ERROR_TEMPORARY, 0, "the code has expired; start again")
                     : wait_for(self, device.interval_s, error);
        if (result == 0) {
            result = ask_once(self, &device, tokens_out, error);
        }
    }
    explicit_bzero(&device, sizeof device);
    exchange->kept = NULL;
    return result < 0 ? -1 : 0;
}

static int keep(const struct authorization *self, const struct oauth_tokens *tokens,
                struct error *error)
{
    struct oauth_store store;
    if (tokens->refresh == NULL) {
        say(self, "The provider gave no refresh token: you will have to authorize again when this "
                  "one expires.");
    }
    if (oauth_store_open(&store, self->grant, &self->endpoints, error) < 0) {
        return -1;
    }
    int result = oauth_store_save(&store, tokens, error);
    if (result == 0) {
        oauth_store_end(&store);
    }
    oauth_store_close(&store);
    return result;
}

int oauth_authorize(const struct oauth_grant *grant, const struct oauth_person *person,
                    struct error *error)
{
    struct authorization self = {.person = person, .grant = grant};
    struct oauth_tokens tokens = {0};
    if (grant->flow == OAUTH_BY_CLIENT || grant->flow == OAUTH_BY_SERVICE) {
        struct secret *token = NULL;
        int result = oauth_access_token(grant, NULL, &token, error); /* nobody has to be asked */
        (void)secret_free(token);
        return result;
    }
    oauth_endpoints_find(grant, &self.endpoints);
    if (oauth_exchange_open(&self.exchange, grant, &self.endpoints, error) < 0) {
        return -1;
    }
    int result = grant->flow == OAUTH_BY_DEVICE ? by_device(&self, &tokens, error)
                                                : by_code(&self, &tokens, error);
    oauth_exchange_close(&self.exchange);
    if (result == 0) {
        result = keep(&self, &tokens, error);
    }
    oauth_tokens_finish(&tokens);
    explicit_bzero(&self, sizeof self);
    return result;
}
