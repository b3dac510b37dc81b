/* SPDX-License-Identifier: MIT */
/* The source "oauth", as the processes know it that do not ask it: who opens it loads the module that has all the
 * rest (oauth_module.c). */
#include "account/source.h"
#include "base/module.h"

static const void *module; /* a struct source_type; NULL: not loaded */

static const struct source_type *type(void)
{
    return module;
}

static int oauth_open(const struct source_options *options, struct source **source_out,
                      struct error *error)
{
    if (module == NULL && module_load("oauth", "account", &module, error) < 0) {
        return -1;
    }
    return type()->open(options, source_out, error);
}

static int oauth_ask(struct source *source, const struct source_question *question,
                     struct source_answer *answer_out, struct error *error)
{
    return type()->ask(source, question, answer_out, error);
}

static struct source *oauth_close(struct source *source)
{
    return source == NULL ? NULL : type()->close(source);
}

const struct source_type source_oauth = {
    .name = "oauth",
    .checks_passwords = true,
    .open = oauth_open,
    .ask = oauth_ask,
    .close = oauth_close,
};
