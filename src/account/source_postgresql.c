/* SPDX-License-Identifier: MIT */
/* The source "postgresql", as the processes know it that do not ask it: no libpq in them. Who opens it loads the
 * module that has all the rest (postgresql_module.c). */
#include <dlfcn.h>

#include "account/postgresql_module.h"
#include "base/version.h"

static const struct source_type *type; /* of the module; NULL: not loaded */

/* From the folder of the program: as built; as installed. */
static const char *const places[] = {
    "$ORIGIN/../account/" POSTGRESQL_MODULE,
    "$ORIGIN/../" RESTANTE_MODULES "/" POSTGRESQL_MODULE,
};

/* The module stays loaded to the end of the process. */
static int load(struct error *error)
{
    void *module = NULL;
    for (size_t i = 0; i < sizeof places / sizeof places[0] && module == NULL; i++) {
        module = dlopen(places[i], RTLD_NOW | RTLD_LOCAL);
    }
    const struct postgresql_module *found =
        module == NULL ? NULL : dlsym(module, POSTGRESQL_MODULE_SYMBOL);
    if (found == NULL) {
        return error_set(error, ERROR_CONFIGURATION, 0,
                         "the source postgresql needs a part of restante that cannot be loaded: "
                         "%.150s; install it, or remove postgresql from source",
                         dlerror());
    }
    if (strcmp(found->version, RESTANTE_VERSION) != 0) {
        return error_set(error, ERROR_CONFIGURATION, 0,
                         "%s is of version %s, this is %s; restart restante after an upgrade",
                         POSTGRESQL_MODULE, found->version, RESTANTE_VERSION);
    }
    type = found->type;
    return 0;
}

static int postgresql_open(const struct source_options *options, struct source **source_out,
                           struct error *error)
{
    if (type == NULL && load(error) < 0) {
        return -1;
    }
    return type->open(options, source_out, error);
}

static int postgresql_ask(struct source *source, const struct source_question *question,
                          struct source_answer *answer_out, struct error *error)
{
    return type->ask(source, question, answer_out, error);
}

static struct source *postgresql_close(struct source *source)
{
    return source == NULL ? NULL : type->close(source);
}

const struct source_type source_postgresql = {
    .name = "postgresql",
    .open = postgresql_open,
    .ask = postgresql_ask,
    .close = postgresql_close,
};
