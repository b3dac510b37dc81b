/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_FETCH_PASSWORD_H
#define RESTANTE_FETCH_PASSWORD_H

/* Where an account's password comes from: a command, the keyring, or a private file; or its access token, from a
 * command or the provider. */

#include "account/secret.h"
#include "fetch/account.h"
#include "fetch/helper.h"

enum password_source {
    PASSWORD_OF_PERSON, /* nothing is given: ask */
    PASSWORD_OF_COMMAND,
    PASSWORD_OF_FILE,
    PASSWORD_OF_OAUTH /* token_request.h */
};

enum password_source password_source(const struct fetch_account *account);

/* Starts the command, or the keyring's; what it prints is for password_of_output. NULL: `error`. */
struct helper *password_run_command(uv_loop_t *loop, const struct fetch_account *account,
                                    helper_done *done, void *owner, struct error *error);

/* The first line of what a command printed. */
int password_of_output(const struct fetch_account *account, struct bytes output,
                       struct secret **secret_out, struct error *error) MUST_CHECK;

/* The first line, as a password. */
int password_of_line(struct bytes output, struct secret **secret_out,
                     struct error *error) MUST_CHECK;

/* For a thread that may wait, until `cancel` can be read (-1: for minutes): the first line that `command` prints, or
 * if that is NULL, that of `file`. */
int password_wait(const char *command, const char *file, int cancel, struct secret **secret_out,
                  struct error *error) MUST_CHECK;

/* The first line of the file, which must be a regular one that its owner alone may read. */
int password_read_file(const char *path, struct secret **secret_out,
                       struct error *error) MUST_CHECK;

#endif
