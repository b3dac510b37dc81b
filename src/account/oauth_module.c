/* SPDX-License-Identifier: MIT */
/* The source "oauth": who is whose access token this is? It is asked by SASL's OAUTHBEARER and XOAUTH2 only, and knows
 * nothing of maildrops. A module of its own, so that cjose is in no other process. */
#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "account/source.h"
#include "account/token_introspection.h"
#include "account/token_jwt.h"
#include "base/module.h"
#include "base/version.h"

struct source {
    const struct token_options *options;
    struct token_keys *keys;                   /* NULL: introspection */
    struct token_introspection *introspection; /* NULL: keys */
};

static struct source *oauth_close(struct source *source)
{
    if (source != NULL) {
        (void)token_keys_free(source->keys);
        (void)token_introspection_free(source->introspection);
        free(source);
    }
    return NULL;
}

static int oauth_open(const struct source_options *options, struct source **source_out,
                      struct error *error)
{
    struct source *source = calloc(1, sizeof *source);
    if (source == NULL) {
        return error_set(error, ERROR_TEMPORARY, ENOMEM, "opening the source oauth");
    }
    source->options = options->tokens;
    int result = options->tokens->keys_file[0] != '\0'
                     ? token_keys_create(options->tokens->keys_file, &source->keys, error)
                     : token_introspection_create(options->tokens, &source->introspection, error);
    if (result < 0) {
        (void)oauth_close(source);
        return -1;
    }
    *source_out = source;
    return 0;
}

/* Where the file is broken now, what it was before is what counts. */
static int check(struct source *source, const struct source_question *question,
                 struct token_verdict *verdict, struct error *error)
{
    const struct token_case token = {.options = source->options,
                                     .origin = source->keys != NULL ? TOKEN_OF_JWT
                                                                    : TOKEN_OF_INTROSPECTION,
                                     .name = question->name,
                                     .now_s = (uint64_t)time(NULL)};
    struct bytes octets = secret_octets(question->password);
    if (source->keys == NULL) {
        return token_introspection_check(source->introspection, octets, &token, verdict, error);
    }
    struct error stale;
    bool is_stale = token_keys_refresh(source->keys, &stale) < 0;
    int result = token_jwt_check(source->keys, octets, &token, verdict, error);
    if (result < 0 && is_stale) {
        struct error reason = *error;
        (void)error_set(error, reason.kind, 0, "%.150s; and the keys stay as they were, for %.120s",
                        reason.text, stale.text);
    }
    return result;
}

static int oauth_ask(struct source *source, const struct source_question *question,
                     struct source_answer *answer_out, struct error *error)
{
    struct token_verdict verdict;
    if (question->password == NULL) {
        return error_set(error, ERROR_PERMANENT, 0, "the source oauth cannot look up names");
    }
    if (check(source, question, &verdict, error) < 0) {
        return -1;
    }
    memcpy(answer_out->name, verdict.user, sizeof verdict.user);
    answer_out->token_expires_s = verdict.expires_s;
    answer_out->token_lacks_scope = verdict.lacks_scope;
    return 0;
}

static const struct source_functions oauth_functions = {
    .open = oauth_open,
    .ask = oauth_ask,
    .close = oauth_close,
};

const struct module restante_module = {
    .version = RESTANTE_VERSION,
    .interface = &oauth_functions,
};
