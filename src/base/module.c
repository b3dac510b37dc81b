/* SPDX-License-Identifier: MIT */
#include "base/module.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/version.h"

/* `folder`: beside the one that this code is in; NULL: that one. */
static void *load_from(const char *folder, const char *name)
{
    char *file = NULL;
    int size = folder == NULL ? asprintf(&file, "$ORIGIN/restante_%s.so", name)
                              : asprintf(&file, "$ORIGIN/../%s/restante_%s.so", folder, name);
    if (size < 0) {
        return NULL;
    }
    void *module = dlopen(file, RTLD_NOW | RTLD_LOCAL);
    free(file);
    return module;
}

int module_load(const char *name, const char *room, const void **interface_out, struct error *error)
{
    /* From the folder of the program, or of a module that wants another one: as built; a module's, as installed; the
     * program's. A run path in the program would do the same for whatever else it loads. */
    const char *const folders[] = {room, NULL, RESTANTE_MODULES};
    void *handle = NULL;
    for (size_t i = 0; handle == NULL && i < sizeof folders / sizeof folders[0]; i++) {
        handle = load_from(folders[i], name);
    }
    const struct module *found = handle == NULL ? NULL : dlsym(handle, MODULE_SYMBOL);
    if (found == NULL) {
        return error_set(error, ERROR_CONFIGURATION, 0,
                         "this needs the part \"%s\" of restante, which cannot be loaded: %.150s; "
                         "install it, or leave out what needs it",
                         name, dlerror());
    }
    if (strcmp(found->version, RESTANTE_VERSION) != 0) {
        return error_set(error, ERROR_CONFIGURATION, 0,
                         "the part \"%s\" is of version %s, this is %s; restart restante after an "
                         "upgrade",
                         name, found->version, RESTANTE_VERSION);
    }
    *interface_out = found->interface;
    return 0;
}
