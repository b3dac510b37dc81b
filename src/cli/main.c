/* SPDX-License-Identifier: MIT */
/* Dispatches to the subcommands. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "account/checkpassword_reply.h"
#include "base/version.h"
#include "cli/cli.h"
#include "cli/options.h"

struct subcommand {
    const char *name;
    int (*run)(int argc, char **argv);
};

/* Those for people, as enum cli_command has them. */
static int (*const runners[CLI_COMMANDS])(int argc, char **argv) = {
#define CLI_COMMAND(identifier, name, run, usage, summary) run,
#define CLI_OPTION(command, identifier, name, letter, argument, help)
#include "cli/options.def"
#undef CLI_COMMAND
#undef CLI_OPTION
};

/* Those that programs call. */
static const struct subcommand subcommands[] = {
    {"worker", cli_worker},     {"auth", cli_auth},
    {"source", cli_source},     {CHECKPASSWORD_REPLY_COMMAND, cli_checkpassword_reply},
    {"delegate", cli_delegate}, {"complete", cli_complete},
};

static void print_help(FILE *out)
{
    (void)fputs("restante - a POP3 system\n\n", out);
    for (enum cli_command command = 0; command < CLI_COMMANDS; command++) {
        char left[64];
        (void)snprintf(left, sizeof left, "%s %s", cli_command_name(command),
                       cli_command_usage(command));
        (void)fprintf(out, "  restante %-24s %s\n", left, cli_command_summary(command));
    }
    (void)fputs("\nrestante(1) describes each; restante.conf(5) the configuration.\n", out);
}

int cli_fail(const struct error *error)
{
    (void)fprintf(stderr, "restante: %s\n", error->text);
    return error_exit_status(error->kind);
}

int cli_usage(const char *subcommand, const char *format, ...)
{
    char text[256];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    (void)fprintf(stderr, "restante %s: %s; `restante %s --help' shows the usage\n", subcommand,
                  text, subcommand);
    return EX_USAGE;
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        print_help(stderr);
        return EX_USAGE;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "help") == 0) {
        print_help(stdout);
        return EX_OK;
    }
    if (strcmp(argv[1], "--version") == 0) {
        (void)printf("restante %s\n", RESTANTE_VERSION);
        return EX_OK;
    }
    for (enum cli_command command = 0; command < CLI_COMMANDS; command++) {
        if (strcmp(argv[1], cli_command_name(command)) == 0) {
            return runners[command](argc - 1, argv + 1);
        }
    }
    for (size_t i = 0; i < sizeof subcommands / sizeof subcommands[0]; i++) {
        if (strcmp(argv[1], subcommands[i].name) == 0) {
            return subcommands[i].run(argc - 1, argv + 1);
        }
    }
    (void)fprintf(stderr, "restante: there is no subcommand %s; `restante --help' lists them\n",
                  argv[1]);
    return EX_USAGE;
}
