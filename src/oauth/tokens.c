/* SPDX-License-Identifier: MIT */
#include "oauth/tokens.h"

#include <stdio.h>
#include <stdlib.h>

#include <jansson.h>

#include "base/number.h"

enum { SECONDS_MAX = 366 * 86400, INTERVAL_S = 5, INTERVAL_MAX_S = 300, DEVICE_S = 600 };

static char *forget(char *text)
{
    if (text != NULL) {
        explicit_bzero(text, strlen(text));
        free(text);
    }
    return NULL;
}

void oauth_tokens_finish(struct oauth_tokens *tokens)
{
    tokens->access = forget(tokens->access);
    tokens->refresh = forget(tokens->refresh);
}

/* A text of visible ASCII (RFC 6749, appendix A): it goes into lines of several protocols. NULL: it is none. */
static const char *visible(const json_t *object, const char *name, size_t most)
{
    const json_t *value = json_object_get(object, name);
    const char *text = json_string_value(value);
    if (text == NULL || json_string_length(value) == 0 || json_string_length(value) > most) {
        return NULL;
    }
    for (size_t i = 0; i < json_string_length(value); i++) {
        if (text[i] < '!' || text[i] > '~') {
            return NULL;
        }
    }
    return text;
}

/* Some providers write numbers as texts. */
static uint64_t seconds(const json_t *object, const char *name)
{
    const json_t *value = json_object_get(object, name);
    uint64_t number = 0;
    if (json_is_string(value)) {
        return number_parse(bytes_of(json_string_value(value)), SECONDS_MAX, &number) < 0 ? 0
                                                                                          : number;
    }
    double given = json_number_value(value);
    return given > 0 ? (uint64_t)(given < SECONDS_MAX ? given : SECONDS_MAX) : 0;
}

static void escape(const json_t *object, const char *name, char *out, size_t capacity)
{
    const json_t *value = json_object_get(object, name);
    struct bytes text = {(const uint8_t *)json_string_value(value), json_string_length(value)};
    (void)bytes_escape(text, out, capacity);
}

static void take_refusal(const json_t *object, struct oauth_refusal *refusal)
{
    escape(object, "error", refusal->error, sizeof refusal->error);
    escape(object, "error_description", refusal->description, sizeof refusal->description);
}

static json_t *load(struct bytes text)
{
    return json_loadb((const char *)text.data, text.size, JSON_REJECT_DUPLICATES, NULL);
}

static bool is_bearer(const json_t *object)
{
    const char *type = json_string_value(json_object_get(object, "token_type"));
    return type == NULL || strcasecmp(type, "Bearer") == 0;
}

/* -1: no memory. */
static int copy(const json_t *object, const char *name, char **out)
{
    const char *text = visible(object, name, OAUTH_TOKEN_OCTETS_MAX);
    *out = text == NULL ? NULL : strdup(text);
    return text != NULL && *out == NULL ? -1 : 0;
}

int oauth_tokens_parse(struct bytes text, uint64_t now_s, struct oauth_tokens *tokens_out,
                       struct oauth_refusal *refusal_out)
{
    struct oauth_tokens tokens = {.obtained_s = now_s};
    json_t *object = load(text);
    *refusal_out = (struct oauth_refusal){0};
    int result = -1;
    take_refusal(object, refusal_out);
    if (refusal_out->error[0] == '\0' && is_bearer(object) &&
        copy(object, "access_token", &tokens.access) == 0 && tokens.access != NULL &&
        copy(object, "refresh_token", &tokens.refresh) == 0) {
        uint64_t lives_s = seconds(object, "expires_in");
        tokens.expires_s = lives_s == 0 ? 0 : now_s + lives_s;
        result = 0;
    }
    json_decref(object);
    if (result < 0) {
        oauth_tokens_finish(&tokens);
    } else {
        *tokens_out = tokens;
    }
    return result;
}

char *oauth_tokens_write(const struct oauth_tokens *tokens)
{
    json_t *object =
        json_pack("{s:i, s:s*, s:s*, s:I, s:I}", "version", 1, "access_token", tokens->access,
                  "refresh_token", tokens->refresh, "obtained", (json_int_t)tokens->obtained_s,
                  "expires", (json_int_t)tokens->expires_s);
    char *text = object == NULL ? NULL : json_dumps(object, JSON_COMPACT);
    json_decref(object);
    return text;
}

int oauth_tokens_read(struct bytes text, struct oauth_tokens *tokens_out)
{
    struct oauth_tokens tokens = {0};
    json_t *object = load(text);
    int result = -1;
    if (json_integer_value(json_object_get(object, "version")) == 1 &&
        copy(object, "access_token", &tokens.access) == 0 &&
        copy(object, "refresh_token", &tokens.refresh) == 0) {
        json_int_t obtained = json_integer_value(json_object_get(object, "obtained"));
        json_int_t expires = json_integer_value(json_object_get(object, "expires"));
        tokens.obtained_s = obtained > 0 ? (uint64_t)obtained : 0;
        tokens.expires_s = expires > 0 ? (uint64_t)expires : 0;
        result = tokens.access != NULL || tokens.refresh != NULL ? 0 : -1;
    }
    json_decref(object);
    if (result < 0) {
        oauth_tokens_finish(&tokens);
    } else {
        *tokens_out = tokens;
    }
    return result;
}

static bool take_text(const json_t *object, const char *name, char *out, size_t capacity)
{
    const char *text = visible(object, name, capacity - 1);
    if (text != NULL) {
        (void)snprintf(out, capacity, "%s", text);
    }
    return text != NULL;
}

int oauth_device_parse(struct bytes text, struct oauth_device *device_out,
                       struct oauth_refusal *refusal_out)
{
    struct oauth_device device = {0};
    json_t *object = load(text);
    *refusal_out = (struct oauth_refusal){0};
    take_refusal(object, refusal_out);
    /* Google's older form says verification_url. */
    bool good = refusal_out->error[0] == '\0' &&
                take_text(object, "device_code", device.code, sizeof device.code) &&
                take_text(object, "user_code", device.user_code, sizeof device.user_code) &&
                (take_text(object, "verification_uri", device.page, sizeof device.page) ||
                 take_text(object, "verification_url", device.page, sizeof device.page));
    uint64_t interval_s = seconds(object, "interval"), expires_s = seconds(object, "expires_in");
    device.interval_s = (uint32_t)(interval_s == 0               ? INTERVAL_S
                                   : interval_s > INTERVAL_MAX_S ? INTERVAL_MAX_S
                                                                 : interval_s);
    device.expires_s = (uint32_t)(expires_s == 0 ? DEVICE_S : expires_s);
    json_decref(object);
    if (good) {
        *device_out = device;
    }
    explicit_bzero(&device, sizeof device);
    return good ? 0 : -1;
}
