/* SPDX-License-Identifier: MIT */
/* restante fetch, and what it does where no option names another mode. */
#include <signal.h>

#include "cli/cli.h"
#include "cli/fetch_command.h"

int fetch_accounts(struct fetch_command *command)
{
    int status = fetch_command_find_accounts(command);
    status = status != 0 ? status : fetch_command_ask_passwords(command);
    if (status != 0) {
        return status;
    }
    const struct run_options options = {.accounts = command->accounts,
                                        .count = command->count,
                                        .parallel = (uint32_t)command->parallel,
                                        .state_folder = command->state_folder,
                                        .metrics = command->metrics,
                                        .dry_run = command->dry_run,
                                        .headers = command->headers,
                                        .mark_seen = command->mark_seen,
                                        .dialogue = command->output.verbose,
                                        .report = fetch_output_report,
                                        .owner = &command->output};
    (void)signal(SIGPIPE, SIG_IGN);
    return run_accounts(&options);
}

int cli_fetch(int argc, char **argv)
{
    struct fetch_command command;
    int status = fetch_command_take(&command, argc, argv);
    status = status != 0 ? status : command.mode(&command);
    fetch_command_finish(&command);
    return status;
}
