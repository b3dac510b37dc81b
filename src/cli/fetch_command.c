/* SPDX-License-Identifier: MIT */
#include "cli/fetch_command.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "base/number.h"
#include "cli/ask_secret.h"
#include "cli/cli.h"
#include "cli/options.h"
#include "fetch/password.h"

enum run_option {
#define FETCH_RUN_OPTION(identifier, name, letter, argument, help) RUN_##identifier,
#include "fetch/run_options.def"
#undef FETCH_RUN_OPTION
    RUN_OPTIONS
};

enum { PARALLEL = 8, PARALLEL_MOST = 256 };

int fetch_help(struct fetch_command *command)
{
    (void)command;
    (void)puts(
        "usage: restante fetch [OPTIONS] [ACCOUNT ...]\n"
        "       restante fetch --host HOST --user NAME [OPTIONS]\n\n"
        "Takes mail down from POP3 servers and stores it, each message once. Accounts are in\n"
        "~/.config/restante/fetch.conf, or one is described by options. Its options:\n");
    struct cli_option option;
    for (size_t i = RUN_OPTIONS; cli_option_at(CLI_FETCH, i, &option); i++) {
        cli_print_option(&option);
    }
    (void)puts("\nOptions of the run:\n");
    for (size_t i = 0; i < RUN_OPTIONS && cli_option_at(CLI_FETCH, i, &option); i++) {
        cli_print_option(&option);
    }
    (void)puts("\nrestante-fetch(1) tells more.");
    return EX_OK;
}

static int take_time(const char *option, uint64_t *milliseconds_out)
{
    char escaped[128];
    if (number_parse_duration(bytes_of(optarg), milliseconds_out) < 0 || *milliseconds_out < 1000) {
        return cli_usage("fetch",
                         "--%s %s: write a number with a unit (s, m, h, d), like 5m, of at least "
                         "a second",
                         option, bytes_escape(bytes_of(optarg), escaped, sizeof escaped));
    }
    return 0;
}

static int set_mode(struct fetch_command *command, int (*mode)(struct fetch_command *))
{
    command->mode = mode;
    return 0;
}

static int take_run_option(struct fetch_command *command, enum run_option option)
{
    switch (option) {
    case RUN_CONFIG:
        command->configuration = optarg;
        return 0;
    case RUN_PARALLEL:
        if (number_parse(bytes_of(optarg), PARALLEL_MOST, &command->parallel) < 0 ||
            command->parallel == 0) {
            return cli_usage("fetch", "--parallel takes a number from 1 to %d", PARALLEL_MOST);
        }
        return 0;
    case RUN_WATCH:
        command->mode = fetch_watch;
        return take_time("watch", &command->interval_ms);
    case RUN_STATUS:
        command->mode = fetch_show_status;
        return optarg == NULL ? 0 : take_time("status", &command->most_age_ms);
    case RUN_PROMETHEUS:
        command->metrics = optarg;
        return 0;
    case RUN_DRY_RUN:
        command->dry_run = true;
        return 0;
    case RUN_HEADERS:
        command->headers = true;
        return 0;
    case RUN_MARK_SEEN_ALL:
        command->mark_seen = true;
        return 0;
    case RUN_DISCOVER:
        command->address = optarg;
        return set_mode(command, fetch_discover);
    case RUN_IMPORT:
        command->import = optarg;
        return set_mode(command, fetch_import);
    case RUN_IMPORT_FROM:
        command->import_from = optarg;
        return 0;
    case RUN_SETUP:
        return set_mode(command, fetch_setup);
    case RUN_JSON:
        command->output.json = true;
        return 0;
    case RUN_VERBOSE:
        command->output.verbose = true;
        return 0;
    case RUN_QUIET:
        command->output.quiet = true;
        return 0;
    case RUN_STATE_DIR:
        command->state_folder = optarg;
        return 0;
    case RUN_AUTHORIZE:
        return set_mode(command, fetch_authorize);
    case RUN_HELP:
        return set_mode(command, fetch_help);
    case RUN_OPTIONS:
        break;
    }
    return EX_USAGE;
}

int fetch_command_take(struct fetch_command *command, int argc, char **argv)
{
    int option;
    *command = (struct fetch_command){.mode = fetch_accounts, .parallel = PARALLEL};
    fetch_output_init(&command->output);
    while ((option = cli_getopt(CLI_FETCH, argc, argv)) != CLI_NO_OPTION) {
        int status = 0;
        if (option >= CLI_FETCH_ACCOUNT) {
            command->values[option - CLI_FETCH_ACCOUNT] = optarg == NULL ? "yes" : optarg;
        } else if (option >= CLI_FETCH_RUN) {
            status = take_run_option(command, (enum run_option)(option - CLI_FETCH_RUN));
        } else {
            status = cli_usage("fetch", "that option is not known");
        }
        if (status != 0 || command->mode == fetch_help) {
            return status;
        }
    }
    command->operands = argv + optind;
    command->operand_count = argc - optind;
    return 0;
}

/* What the command line says counts more than the file. */
static int set_options(const struct fetch_command *command, struct fetch_account *account)
{
    for (size_t i = 0; i < FETCH_OPTIONS; i++) {
        if (command->values[i] == NULL) {
            continue;
        }
        fetch_option_clear_rivals(account, i);
        if (fetch_option_set(account, i, command->values[i], FETCH_LINE_OF_COMMAND_LINE) < 0) {
            char escaped[128];
            struct fetch_option option = fetch_option_row(i);
            return cli_usage("fetch", "--%s %s: not a value for it; write %s", option.name,
                             bytes_escape(bytes_of(command->values[i]), escaped, sizeof escaped),
                             option.remedy);
        }
    }
    return 0;
}

static int add_account(struct fetch_command *command, struct fetch_account *account)
{
    for (size_t i = 0; i < command->count; i++) {
        if (command->accounts[i].account == account) {
            return 0; /* named twice */
        }
    }
    int status = set_options(command, account);
    if (status != 0) {
        return status;
    }
    if (fetch_configuration_complete(&command->loaded, account) == 0) {
        command->accounts[command->count++].account = account;
    }
    return 0;
}

static int describe_account(struct fetch_command *command)
{
    const char *host = command->values[fetch_option_find("host")];
    const char *user = command->values[fetch_option_find("user")];
    char *name = NULL;
    if (user == NULL) {
        return cli_usage("fetch", "--host needs --user, the name to log in with");
    }
    if (asprintf(&name, "%s@%s", user, host) < 0) {
        return EX_OSERR;
    }
    command->described = fetch_account_create(name);
    free(name);
    return command->described == NULL ? EX_OSERR : add_account(command, command->described);
}

static int choose_accounts(struct fetch_command *command)
{
    for (int i = 0; i < command->operand_count; i++) {
        const char *name = command->operands[i];
        struct fetch_account *account = fetch_configuration_find(&command->loaded, name);
        if (account == NULL) {
            (void)fprintf(stderr, "restante fetch: there is no account %s in fetch.conf\n", name);
            return EX_CONFIG;
        }
        int status = add_account(command, account);
        if (status != 0) {
            return status;
        }
    }
    for (size_t i = 0; command->operand_count == 0 && i < command->loaded.count; i++) {
        int status = add_account(command, command->loaded.accounts[i]);
        if (status != 0) {
            return status;
        }
    }
    return 0;
}

int fetch_command_find_accounts(struct fetch_command *command)
{
    bool describes = command->values[fetch_option_find("host")] != NULL;
    if (describes && command->operand_count != 0) {
        return cli_usage("fetch", "an account is named, or described with --host, not both");
    }
    if (!describes && fetch_configuration_load(&command->loaded, command->configuration) < 0) {
        (void)fputs(command->loaded.mistakes, stderr);
        return EX_CONFIG;
    }
    command->accounts = calloc(command->loaded.count + 1, sizeof *command->accounts);
    if (command->accounts == NULL) {
        return EX_OSERR;
    }
    int status = describes ? describe_account(command) : choose_accounts(command);
    if (command->loaded.mistakes_size != 0) {
        (void)fputs(command->loaded.mistakes, stderr);
        return EX_CONFIG;
    }
    if (status == 0 && command->count == 0) {
        (void)fputs("restante fetch: no account is known; write one in "
                    "~/.config/restante/fetch.conf, or give --host and --user\n",
                    stderr);
        status = EX_CONFIG;
    }
    return status;
}

int fetch_command_ask_passwords(struct fetch_command *command)
{
    struct error error;
    for (size_t i = 0; i < command->count; i++) {
        const struct fetch_account *account = command->accounts[i].account;
        char prompt[512], user[200], host[200];
        if (password_source(account) != PASSWORD_OF_PERSON) {
            continue;
        }
        (void)snprintf(prompt, sizeof prompt, "Password of %s at %s: ",
                       bytes_escape(bytes_of(account->user), user, sizeof user),
                       bytes_escape(bytes_of(account->host), host, sizeof host));
        if (ask_secret(prompt, &command->accounts[i].password, &error) < 0) {
            return cli_fail(&error);
        }
    }
    return 0;
}

void fetch_command_finish(struct fetch_command *command)
{
    for (size_t i = 0; i < command->count; i++) {
        secret_free(command->accounts[i].password);
    }
    free(command->accounts);
    fetch_account_free(command->described);
    fetch_configuration_finish(&command->loaded);
}
