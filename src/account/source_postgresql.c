/* SPDX-License-Identifier: MIT */
/* The source "postgresql", as the processes know it that do not ask it: no libpq in them. Who opens it loads the
 * module that has all the rest (postgresql_module.c). */
#include "account/source.h"
#include "base/module.h"

static const void *module; /* a struct source_type; NULL: not loaded */

static const struct source_type *type(void)
{
    return module;
}

static int postgresql_open(const struct source_options *options, struct source **source_out,
                           struct error *error)
{
    if (module == NULL && module_load("postgresql", "account", &module, error) < 0) {
        return -1;
    }
    return type()->open(options, source_out, error);
}

static int postgresql_ask(struct source *source, const struct source_question *question,
                          struct source_answer *answer_out, struct error *error)
{
    return type()->ask(source, question, answer_out, error);
}

static struct source *postgresql_close(struct source *source)
{
    return source == NULL ? NULL : type()->close(source);
}

const struct source_type source_postgresql = {
    .name = "postgresql",
    .open = postgresql_open,
    .ask = postgresql_ask,
    .close = postgresql_close,
};
