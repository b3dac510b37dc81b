/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_ACCOUNT_SOURCE_MODULE_H
#define RESTANTE_ACCOUNT_SOURCE_MODULE_H

/* A source that needs libraries which nothing else needs is a shared object of its own, in the folder of
 * restante's modules: only the processes that ask it load it. */

#include "account/source.h"

#define SOURCE_MODULE_SYMBOL "restante_source_module"

struct source_module {
    const char *version; /* RESTANTE_VERSION: another's structs may differ */
    const struct source_type *type;
};

/* What each module defines. */
extern EXPORTED const struct source_module restante_source_module;

/* Loads the module of the source `name`, which stays to the end of the process. ERROR_CONFIGURATION: it is
 * not there, or another version's. */
int source_module_load(const char *name, const struct source_type **type_out,
                       struct error *error) MUST_CHECK;

#endif
