/* SPDX-License-Identifier: MIT */
/* restante fetch --watch: the same accounts again and again. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/container_of.h"
#include "cli/cli.h"
#include "cli/fetch_command.h"

/* One reading of the configuration, with what the command line says of it. */
struct reading {
    struct run_set set;
    struct fetch_command command;
};

static struct run_set *reload(void *owner)
{
    struct fetch_output *output = owner;
    const struct fetch_command *first = CONTAINER_OF(output, struct fetch_command, output);
    struct reading *reading = calloc(1, sizeof *reading);
    if (reading == NULL) {
        return NULL;
    }
    struct fetch_command *command = &reading->command;
    memcpy(command->values, first->values, sizeof command->values);
    command->configuration = first->configuration;
    command->operands = first->operands;
    command->operand_count = first->operand_count;
    if (fetch_command_find_accounts(command) != 0) {
        (void)fputs("restante fetch: the accounts stay as they were\n", stderr);
        fetch_command_finish(command);
        free(reading);
        return NULL;
    }
    reading->set = (struct run_set){.accounts = command->accounts, .count = command->count};
    return &reading->set;
}

static void release(void *owner, struct run_set *set)
{
    struct reading *reading = CONTAINER_OF(set, struct reading, set);
    (void)owner;
    fetch_command_finish(&reading->command);
    free(reading);
}

int fetch_watch(struct fetch_command *command)
{
    if (command->dry_run || command->headers || command->mark_seen) {
        return cli_usage("fetch", "--watch stores what is new; with --dry-run, --headers or "
                                  "--mark-seen-all there is nothing to stay for");
    }
    int status = fetch_command_find_accounts(command);
    status = status != 0 ? status : fetch_command_ask_passwords(command);
    if (status != 0) {
        return status;
    }
    struct fetch_output *output = &command->output;
    output->watching = true;
    const struct run_options options = {.accounts = command->accounts,
                                        .count = command->count,
                                        .parallel = (uint32_t)command->parallel,
                                        .state_folder = command->state_folder,
                                        .metrics = command->metrics,
                                        .dialogue = output->verbose,
                                        .report = fetch_output_report,
                                        .owner = output,
                                        .interval_ms = command->interval_ms,
                                        .tells_all = output->json || output->verbose,
                                        .reload = reload,
                                        .release = release};
    (void)signal(SIGPIPE, SIG_IGN);
    return run_watch(&options);
}
