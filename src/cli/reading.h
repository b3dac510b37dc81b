/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_CLI_READING_H
#define RESTANTE_CLI_READING_H

#include <glib.h>

#include "cli/places.h"

/* What list and show share: whose mail, and how to print. */

struct reading {
    const char *maildir, *mbox, *account; /* as the command line says; NULL: not said */
};

/* The places that are meant, in their order: of struct place. With `only_one`, exactly one; ERROR_USAGE where
 * that is not clear. g_array_unref. */
int reading_places(const struct reading *reading, bool only_one, GArray **places_out,
                   struct error *error) MUST_CHECK;

/* The rest of the command line, after the options: an account, if that, --maildir and --mbox are one at most. */
bool reading_take_account(struct reading *reading, int count, char **arguments);

/* Takes the locale of the person, and leaves numbers as they are. */
void reading_begin(void);

/* The columns of the terminal that standard output is; 0: it is none. */
unsigned reading_columns(void);

/* Prints text of reader/ in the terminal's charset; -1 with an error where it cannot be written. */
int reading_print(const GString *text, struct error *error) MUST_CHECK;

/* Writes octets as they are. */
int reading_write(struct bytes octets, struct error *error) MUST_CHECK;

#endif
