/* SPDX-License-Identifier: MIT */
/* A provider's endpoints answer anything, and anybody on this machine may visit the page where a browser comes back to. What is
 * taken of it fits into lines of other protocols, and survives being kept. */
#include <stdlib.h>

#include "oauth/redirection.h"
#include "oauth/tokens.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
    if (!holds) {
        abort();
    }
}

static void must_be_visible(const char *text)
{
    must(*text != '\0');
    for (; *text != '\0'; text++) {
        must(*text > ' ' && *text <= '~');
    }
}

static bool is_same(const char *a, const char *b)
{
    return a == NULL ? b == NULL : b != NULL && strcmp(a, b) == 0;
}

static void try_tokens(struct bytes text)
{
    struct oauth_tokens tokens, kept;
    struct oauth_refusal refusal;
    if (oauth_tokens_parse(text, 1000, &tokens, &refusal) < 0) {
        return;
    }
    must_be_visible(tokens.access);
    must(strlen(tokens.access) <= OAUTH_TOKEN_OCTETS_MAX && refusal.error[0] == '\0');
    must(tokens.expires_s == 0 || tokens.expires_s > 1000);
    char *written = oauth_tokens_write(&tokens);
    must(written != NULL && oauth_tokens_read(bytes_of(written), &kept) == 0);
    must(is_same(tokens.access, kept.access) && is_same(tokens.refresh, kept.refresh));
    must(tokens.expires_s == kept.expires_s && kept.obtained_s == 1000);
    free(written);
    oauth_tokens_finish(&kept);
    oauth_tokens_finish(&tokens);
}

static void try_kept(struct bytes text)
{
    struct oauth_tokens tokens;
    if (oauth_tokens_read(text, &tokens) == 0) {
        must(tokens.access != NULL || tokens.refresh != NULL);
        oauth_tokens_finish(&tokens);
    }
}

static void try_device(struct bytes text)
{
    struct oauth_device device;
    struct oauth_refusal refusal;
    if (oauth_device_parse(text, &device, &refusal) == 0) {
        must_be_visible(device.code);
        must_be_visible(device.user_code);
        must_be_visible(device.page);
        must(device.interval_s >= 1 && device.interval_s <= 300 && device.expires_s >= 1);
    }
}

static void try_query(struct bytes query)
{
    static const char right[] = "state=s3cret";
    struct oauth_redirection redirection = {.listener = -1, .state = "s3cret", .issuer = "i"};
    struct error error;
    int result = oauth_redirection_take(&redirection, query, &error);
    must((result == 1) == (redirection.code[0] != '\0'));
    must(result == 0 || memmem(query.data, query.size, right, 6) != NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes text = {data, size};
    try_tokens(text);
    try_kept(text);
    try_device(text);
    try_query(text);
    return 0;
}
