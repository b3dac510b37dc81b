/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_CLI_ASK_SECRET_H
#define RESTANTE_CLI_ASK_SECRET_H

#include "account/secret.h"

/* Is there somebody at a terminal to ask? */
bool ask_secret_of_person(void);

/* Reads a password, up to the line end. From a person: prompts on the terminal and shows nothing of what is
 * typed; a signal that ends or stops the process finds the terminal as it was. Else: from standard input.
 * ERROR_USAGE: none was given, or it is too long. `error` is not NULL. */
int ask_secret(const char *prompt, struct secret **secret_out, struct error *error) MUST_CHECK;

#endif
