/* SPDX-License-Identifier: MIT */
/* restante token: an access token for another program that reads or sends this account's mail. */
#include <getopt.h>
#include <stdio.h>
#include <sysexits.h>

#include "cli/cli.h"
#include "cli/fetch_command.h"
#include "cli/options.h"
#include "fetch/grant.h"

static int print_token(const struct fetch_account *account)
{
    struct oauth_grant grants[FETCH_GRANTS_MAX];
    struct secret *token;
    struct error error;
    if (fetch_grants_list(account, grants) == 0) {
        (void)fprintf(stderr, "restante token: %s asks for no tokens; write oauth = PROVIDER\n",
                      account->name);
        return EX_CONFIG;
    }
    if (oauth_access_token(&grants[0], NULL, &token, &error) < 0) {
        return cli_fail(&error);
    }
    struct bytes octets = secret_octets(token);
    (void)setvbuf(stdout, NULL, _IONBF, 0); /* no copy stays in a buffer */
    bool written =
        fwrite(octets.data, 1, octets.size, stdout) == octets.size && fputc('\n', stdout) != EOF;
    (void)secret_free(token);
    return written ? EX_OK : EX_IOERR;
}

static int help(struct fetch_command *command)
{
    (void)command;
    (void)puts("usage: restante token [-c FILE] ACCOUNT\n\n"
               "Prints an access token of an account of fetch.conf that has oauth, for another\n"
               "program that reads or sends its mail.");
    cli_print_options(CLI_TOKEN);
    return EX_OK;
}

static int run(struct fetch_command *command)
{
    int status = command->operand_count == 1 ? fetch_command_find_accounts(command)
                                             : cli_usage("token", "name one account");
    return status != 0 ? status : print_token(command->accounts[0].account);
}

int cli_token(int argc, char **argv)
{
    struct fetch_command command = {.mode = run};
    int option;
    while ((option = cli_getopt(CLI_TOKEN, argc, argv)) != CLI_NO_OPTION) {
        if (option == CLI_TOKEN_CONFIG) {
            command.configuration = optarg;
        } else if (option == CLI_TOKEN_HELP) {
            command.mode = help;
        } else {
            return EX_USAGE;
        }
    }
    command.operands = argv + optind;
    command.operand_count = argc - optind;
    int status = command.mode(&command);
    fetch_command_finish(&command);
    return status;
}
