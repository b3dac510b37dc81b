/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_CLI_FETCH_COMMAND_H
#define RESTANTE_CLI_FETCH_COMMAND_H

/* The command line of `restante fetch`, by the tables src/fetch/options.def and run_options.def, and the accounts
 * that it names or describes. */

#include <stdbool.h>
#include <stdint.h>

#include "cli/fetch_output.h"
#include "fetch/configuration.h"
#include "fetch/run.h"

struct fetch_command {
    int (*mode)(struct fetch_command *command); /* what is to be done; its exit status */
    const char *values[FETCH_OPTIONS];          /* of options of accounts; NULL: not given */
    const char *configuration;
    const char *address; /* of --discover */
    uint64_t parallel;
    const char *state_folder;
    bool dry_run, headers, mark_seen;
    uint64_t interval_ms; /* of --watch */
    uint64_t most_age_ms; /* of --status; 0: as the watcher's interval says */
    const char *metrics;
    const char *import, *import_from;
    char **operands;
    int operand_count;
    struct fetch_output output;
    struct fetch_configuration loaded;
    struct fetch_account *described; /* the account of the command line */
    struct run_account *accounts;    /* those that fetch_command_find_accounts found */
    size_t count;
};

/* Takes the words, which are borrowed. Not 0: the exit status, and what is wrong is said. */
int fetch_command_take(struct fetch_command *command, int argc, char **argv);
/* Loads the configuration, and chooses the accounts of the operands, or all. As above. */
int fetch_command_find_accounts(struct fetch_command *command);
/* Asks for passwords that nothing else gives, one after the other. As above. */
int fetch_command_ask_passwords(struct fetch_command *command);
void fetch_command_finish(struct fetch_command *command);

/* The modes. The first is what is done where no option says otherwise. */
int fetch_accounts(struct fetch_command *command);
int fetch_discover(struct fetch_command *command);
int fetch_authorize(struct fetch_command *command);
int fetch_import(struct fetch_command *command);
int fetch_help(struct fetch_command *command);
int fetch_setup(struct fetch_command *command);
int fetch_watch(struct fetch_command *command);
int fetch_show_status(struct fetch_command *command);

#endif
