/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_CLI_PLACES_H
#define RESTANTE_CLI_PLACES_H

#include <glib.h>

#include "base/error.h"
#include "reader/mailbox.h"

/* Where the mail of an account lies: where fetch.conf says, else in ~/Mail/ACCOUNT. */
struct place {
    char *account;
    enum mailbox_type type;
    char *path;
};

/* All accounts: of struct place, in the order of fetch.conf, then by the names of the folders. Mistakes in
 * fetch.conf are the retriever's to complain of: what can be read of it counts. g_array_unref. */
GArray *places_all(void);

/* The place of one account. ERROR_USAGE: there cannot be such an account. */
int places_find(const char *account, struct place *place_out, struct error *error) MUST_CHECK;

void place_finish(struct place *place);

#endif
