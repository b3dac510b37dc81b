/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_ACCOUNT_POSTGRESQL_MODULE_H
#define RESTANTE_ACCOUNT_POSTGRESQL_MODULE_H

/* The shared object that is linked with libpq, so that restante itself is not. */

#include "account/source.h"
#include "base/attributes.h"

#define POSTGRESQL_MODULE        "restante_postgresql.so"
#define POSTGRESQL_MODULE_SYMBOL "restante_postgresql_module"

struct postgresql_module {
    const char *version; /* RESTANTE_VERSION: another's structs may differ */
    const struct source_type *type;
};

extern EXPORTED const struct postgresql_module restante_postgresql_module;

#endif
