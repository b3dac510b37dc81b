/* SPDX-License-Identifier: MIT */
#include "account/source.h"

#include "base/module.h"

static const struct source_type types[] = {
    {.name = "command",
     .checks_passwords = true,
     .has_own_user = true,
     .functions = &source_command},
    {.name = "sqlite", .functions = &source_sqlite},
    {.name = "oauth", .checks_passwords = true, .takes_tokens = true},
#ifdef HAVE_PAM
    {.name = "pam", .checks_passwords = true, .needs_root = true, .functions = &source_pam},
#endif
#ifdef HAVE_LIBPQ
    {.name = "postgresql"},
#endif
};

const struct source_type *source_type_find(struct bytes name)
{
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        if (bytes_equal(bytes_of(types[i].name), name)) {
            return &types[i];
        }
    }
    return NULL;
}

int source_type_functions(const struct source_type *type,
                          const struct source_functions **functions_out, struct error *error)
{
    const void *interface = type->functions;
    if (interface == NULL && module_load(type->name, "account", &interface, error) < 0) {
        return -1;
    }
    *functions_out = interface;
    return 0;
}
