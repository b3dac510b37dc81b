/* SPDX-License-Identifier: MIT */
#include "account/source_module.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/version.h"

/* From the folder of the program: as built; as installed. A run path in the program would do the same for
 * whatever else it loads. */
static const char *const places[] = {
    "account",
    RESTANTE_MODULES,
};

static void *load(const char *name)
{
    void *module = NULL;
    for (size_t i = 0; i < sizeof places / sizeof places[0] && module == NULL; i++) {
        char *file = NULL;
        if (asprintf(&file, "$ORIGIN/../%s/restante_%s.so", places[i], name) < 0) {
            return NULL;
        }
        module = dlopen(file, RTLD_NOW | RTLD_LOCAL);
        free(file);
    }
    return module;
}

int source_module_load(const char *name, const struct source_type **type_out, struct error *error)
{
    void *module = load(name);
    const struct source_module *found = module == NULL ? NULL : dlsym(module, SOURCE_MODULE_SYMBOL);
    if (found == NULL) {
        return error_set(error, ERROR_CONFIGURATION, 0,
                         "the source %s needs a part of restante that cannot be loaded: %.150s; "
                         "install it, or leave out what needs it",
                         name, dlerror());
    }
    if (strcmp(found->version, RESTANTE_VERSION) != 0) {
        return error_set(error, ERROR_CONFIGURATION, 0,
                         "the part for the source %s is of version %s, this is %s; restart "
                         "restante after an upgrade",
                         name, found->version, RESTANTE_VERSION);
    }
    *type_out = found->type;
    return 0;
}
