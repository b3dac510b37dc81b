/* SPDX-License-Identifier: MIT */
#include "account/source.h"

static const struct source_type *const types[] = {
    &source_command,    &source_sqlite, &source_oauth,
#ifdef HAVE_PAM
    &source_pam,
#endif
#ifdef HAVE_LIBPQ
    &source_postgresql,
#endif
};

const struct source_type *source_type_find(struct bytes name)
{
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        if (bytes_equal(bytes_of(types[i]->name), name)) {
            return types[i];
        }
    }
    return NULL;
}
