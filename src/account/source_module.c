/* SPDX-License-Identifier: MIT */
#include "account/source_module.h"

#include <dlfcn.h>

#include "base/version.h"

int source_module_load(const char *file, const struct source_type **type_out, struct error *error)
{
    void *module = dlopen(file, RTLD_NOW | RTLD_LOCAL);
    const struct source_module *found = module == NULL ? NULL : dlsym(module, SOURCE_MODULE_SYMBOL);
    if (found == NULL) {
        return error_set(
            error, ERROR_CONFIGURATION, 0,
            "%s, a part of restante, cannot be loaded: %.150s; install it, or leave out "
            "what needs it",
            file, dlerror());
    }
    if (strcmp(found->version, RESTANTE_VERSION) != 0) {
        return error_set(error, ERROR_CONFIGURATION, 0,
                         "%s is of version %s, this is %s; restart restante after an upgrade", file,
                         found->version, RESTANTE_VERSION);
    }
    *type_out = found->type;
    return 0;
}
