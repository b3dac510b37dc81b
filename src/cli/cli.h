/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_CLI_CLI_H
#define RESTANTE_CLI_CLI_H

#include "base/error.h"

/* The subcommands, one file each. argv[0] is the subcommand's name; the result is the exit status. */
int cli_serve(int argc, char **argv);
int cli_check_config(int argc, char **argv);
int cli_deliver(int argc, char **argv);
int cli_user(int argc, char **argv);
int cli_fetch(int argc, char **argv);
int cli_token(int argc, char **argv);

/* Only where the build has the reader. */
int cli_list(int argc, char **argv);
int cli_show(int argc, char **argv);

/* What restante serve starts for itself. */
int cli_worker(int argc, char **argv);
int cli_auth(int argc, char **argv);
int cli_source(int argc, char **argv);
int cli_checkpassword_reply(int argc, char **argv);
int cli_delegate(int argc, char **argv);

/* restante complete WORD ...: what a shell offers for the last WORD of a command line; the others are those after
 * `restante`. The first line says of what kind it is, `words`, `files` or `folders`; each further line is a word, a
 * tab, and what it means. All that may stand there, whatever the last WORD begins with. */
int cli_complete(int argc, char **argv);

/* Prints "restante: TEXT" to stderr; returns the exit status that the error's kind has. */
int cli_fail(const struct error *error);

/* Prints "restante SUBCOMMAND: TEXT" and where help is; returns EX_USAGE. */
int cli_usage(const char *subcommand, const char *format, ...) PRINTF_LIKE(2, 3);

#endif
