/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_BASE_MODULE_H
#define RESTANTE_BASE_MODULE_H

/* What needs libraries that nothing else needs is a shared object of its own, restante_NAME.so in the folder of
 * restante's modules: only the processes that use it load it. */

#include "base/attributes.h"
#include "base/error.h"

#define MODULE_SYMBOL "restante_module"

struct module {
    const char *version;   /* RESTANTE_VERSION: another's structs may differ */
    const void *interface; /* a table of functions; the room that loads it knows of what type */
};

/* What each module defines. */
extern EXPORTED const struct module restante_module;

/* Loads the module `name`, which is built in the folder of `room` and stays to the end of the process. Any
 * thread. ERROR_CONFIGURATION: it is not there, or another version's. */
int module_load(const char *name, const char *room, const void **interface_out,
                struct error *error) MUST_CHECK;

#endif
