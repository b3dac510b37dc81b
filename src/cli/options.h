/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_CLI_OPTIONS_H
#define RESTANTE_CLI_OPTIONS_H

/* The one table of subcommands and their options: cli/options.def, and for fetch fetch/run_options.def, then
 * fetch/options.def. */

#include <stdbool.h>
#include <stddef.h>

enum cli_command {
#define CLI_COMMAND(identifier, name, run, usage, summary) CLI_##identifier,
#define CLI_OPTION(command, identifier, name, letter, argument, help)
#include "cli/options.def"
#undef CLI_COMMAND
#undef CLI_OPTION
    CLI_COMMANDS
};

/* What cli_getopt returns: of fetch's, those of the run from CLI_FETCH_RUN on in the order of their table, those of
 * an account from CLI_FETCH_ACCOUNT on. */
enum {
#define CLI_COMMAND(identifier, name, run, usage, summary)
#define CLI_OPTION(command, identifier, name, letter, argument, help) CLI_##command##_##identifier,
#include "cli/options.def"
#undef CLI_COMMAND
#undef CLI_OPTION
    CLI_FETCH_RUN,
    CLI_FETCH_ACCOUNT = CLI_FETCH_RUN
#define FETCH_RUN_OPTION(identifier, name, letter, argument, help) +1
#include "fetch/run_options.def"
#undef FETCH_RUN_OPTION
};

enum { CLI_NO_OPTION = -1, CLI_UNKNOWN_OPTION = -2 };

struct cli_option {
    int id;
    const char *name;
    int letter;           /* 0: none */
    const char *argument; /* NULL: it takes none */
    bool may_be_bare;     /* --name alone, or --name=ARGUMENT */
    const char *help;
};

const char *cli_command_name(enum cli_command command);
const char *cli_command_usage(enum cli_command command);
const char *cli_command_summary(enum cli_command command);

/* The command's option `index`; false: it has no more. */
bool cli_option_at(enum cli_command command, size_t index, struct cli_option *option_out);

/* As getopt_long, with optarg and optind: an option's id, CLI_NO_OPTION at their end, CLI_UNKNOWN_OPTION for a
 * mistake, which was told on standard error. */
int cli_getopt(enum cli_command command, int argc, char **argv);

/* A line on standard output for the option, as --help has it. */
void cli_print_option(const struct cli_option *option);
/* An empty line, and those of all options of the command. */
void cli_print_options(enum cli_command command);

#endif
