/* SPDX-License-Identifier: MIT */
#include "account/token_claims.h"

#include <stdio.h>

#include "base/user_name.h"

static const double LATEST_S = 253402300799.0; /* the end of the year 9999 */

static int refuse(struct error *error, const char *why)
{
    return error_set(error, ERROR_BAD_CREDENTIALS, 0, "the token %s", why);
}

/* A text without NUL; jansson has checked that it is UTF-8. */
static bool take_text(const json_t *value, struct bytes *text_out)
{
    if (!json_is_string(value)) {
        return false;
    }
    *text_out =
        (struct bytes){(const uint8_t *)json_string_value(value), json_string_length(value)};
    return bytes_find(*text_out, '\0') == text_out->size;
}

static bool is_text(const json_t *value, const char *text)
{
    struct bytes found;
    return take_text(value, &found) && bytes_equal(found, bytes_of(text));
}

/* A NumericDate: seconds, perhaps with a fraction. */
static bool take_time(const json_t *value, double *time_out)
{
    *time_out = json_number_value(value);
    return json_is_number(value) && *time_out >= 0 && *time_out <= LATEST_S;
}

static int check_times(const json_t *claims, const struct token_case *token,
                       struct token_verdict *verdict, struct error *error)
{
    double now = (double)token->now_s, skew = token->options->skew_s, time;
    const json_t *expires = json_object_get(claims, "exp");
    const json_t *begins = json_object_get(claims, "nbf");
    if (expires == NULL && token->origin == TOKEN_OF_JWT) {
        return refuse(error, "does not say when it expires");
    }
    if (expires != NULL) {
        if (!take_time(expires, &time)) {
            return refuse(error, "has an \"exp\" that is no time");
        }
        if (now >= time + skew) {
            return refuse(error, "has expired");
        }
        verdict->expires_s = (uint64_t)(time + skew);
    }
    if (begins != NULL) {
        if (!take_time(begins, &time)) {
            return refuse(error, "has an \"nbf\" that is no time");
        }
        if (now + skew < time) {
            return refuse(error, "is not valid yet");
        }
    }
    return 0;
}

static int check_issuer(const json_t *claims, const struct token_case *token, struct error *error)
{
    const json_t *issuer = json_object_get(claims, "iss");
    bool needed = token->origin == TOKEN_OF_JWT || issuer != NULL;
    if (token->options->issuer[0] != '\0' && needed && !is_text(issuer, token->options->issuer)) {
        return refuse(error, "is of another issuer");
    }
    return 0;
}

/* A text, or several in an array. */
static int check_audience(const json_t *claims, const struct token_case *token, struct error *error)
{
    const char *expected = token->options->audience;
    const json_t *audience = json_object_get(claims, "aud");
    bool found = expected[0] == '\0' || is_text(audience, expected);
    for (size_t i = 0; i < json_array_size(audience) && !found; i++) {
        found = is_text(json_array_get(audience, i), expected);
    }
    return found ? 0 : refuse(error, "is for another audience");
}

static bool has_word(const json_t *value, const char *word)
{
    struct bytes rest;
    if (!take_text(value, &rest)) {
        return false;
    }
    while (rest.size > 0) {
        struct bytes next = bytes_take(&rest, ' ');
        if (bytes_equal(next, bytes_of(word))) {
            return true;
        }
    }
    return false;
}

/* "scope" (RFC 8693 section 4.2, RFC 7662), or what Microsoft calls "scp"; words, or an array of them. */
static bool has_scope(const json_t *claims, const char *scope)
{
    const json_t *granted = json_object_get(claims, "scope");
    if (granted == NULL) {
        granted = json_object_get(claims, "scp");
    }
    bool found = scope[0] == '\0' || has_word(granted, scope);
    for (size_t i = 0; i < json_array_size(granted) && !found; i++) {
        found = is_text(json_array_get(granted, i), scope);
    }
    return found;
}

/* An address that its provider has not seen to be the person's is what he made up. */
static int check_user(const json_t *claims, const struct token_case *token,
                      struct token_verdict *verdict, struct error *error)
{
    struct bytes user;
    const char *claim = token->options->user_claim;
    const json_t *verified = json_object_get(claims, "email_verified");
    if (!take_text(json_object_get(claims, claim), &user)) {
        return error_set(error, ERROR_BAD_CREDENTIALS, 0, "the token has no \"%.100s\"", claim);
    }
    if (strcmp(claim, "email") == 0 && verified != NULL && !json_is_true(verified) &&
        !is_text(verified, "true")) {
        return refuse(error, "has an address that its provider has not verified");
    }
    if (user_name_check(user, NULL) < 0) {
        return refuse(error, "names somebody who cannot have an account");
    }
    if (token->name.size > 0 && !bytes_equal_ignoring_case(token->name, user)) {
        return refuse(error, "is not of who the client says that it is");
    }
    memcpy(verdict->user, user.data, user.size);
    verdict->user[user.size] = '\0';
    return 0;
}

int token_claims_check(const json_t *claims, const struct token_case *token,
                       struct token_verdict *verdict_out, struct error *error)
{
    struct token_verdict verdict = {.lacks_scope = !has_scope(claims, token->options->scope)};
    if (check_times(claims, token, &verdict, error) < 0 || check_issuer(claims, token, error) < 0 ||
        check_audience(claims, token, error) < 0 ||
        check_user(claims, token, &verdict, error) < 0) {
        return -1;
    }
    *verdict_out = verdict;
    return 0;
}
