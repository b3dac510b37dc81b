/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_ACCOUNT_SOURCE_MODULE_H
#define RESTANTE_ACCOUNT_SOURCE_MODULE_H

/* A source that needs libraries which nothing else needs is a shared object of its own, in the folder that restante's
 * run path names: only the processes that ask it load it. */

#include "account/source.h"

#define SOURCE_MODULE_SYMBOL "restante_source_module"

struct source_module {
    const char *version; /* RESTANTE_VERSION: another's structs may differ */
    const struct source_type *type;
};

/* Loads `file`, which stays to the end of the process. ERROR_CONFIGURATION: it is not there, or another version's. */
int source_module_load(const char *file, const struct source_type **type_out,
                       struct error *error) MUST_CHECK;

#endif
