/* SPDX-License-Identifier: MIT */
/* Dispatches to the subcommands. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "account/checkpassword_reply.h"
#include "base/version.h"
#include "cli/cli.h"

struct subcommand {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *summary; /* NULL: not for people */
};

static const struct subcommand subcommands[] = {
    {"serve", cli_serve, "serve -c FILE            run the POP3 server"},
    {"check-config", cli_check_config,
     "check-config -c FILE     say what is wrong with a configuration"},
    {"deliver", cli_deliver, "deliver USER -c FILE     store the message on standard input"},
    {"user", cli_user, "user COMMAND -c FILE     add, passwd, remove, list or check accounts"},
    {"fetch", cli_fetch, "fetch [ACCOUNT ...]      take mail down from POP3 servers"},
#ifdef RESTANTE_HAS_READER
    {"list", cli_list, "list [ACCOUNT]           what mail was fetched"},
    {"show", cli_show, "show NUMBER [ACCOUNT]    one message of that"},
#endif
    {"worker", cli_worker, NULL},
    {"auth", cli_auth, NULL},
    {"source", cli_source, NULL},
    {CHECKPASSWORD_REPLY_COMMAND, cli_checkpassword_reply, NULL},
    {"delegate", cli_delegate, NULL},
};

static void print_help(FILE *out)
{
    (void)fputs("restante - a POP3 system\n\n", out);
    for (size_t i = 0; i < sizeof subcommands / sizeof subcommands[0]; i++) {
        if (subcommands[i].summary != NULL) {
            (void)fprintf(out, "  restante %s\n", subcommands[i].summary);
        }
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
    for (size_t i = 0; i < sizeof subcommands / sizeof subcommands[0]; i++) {
        if (strcmp(argv[1], subcommands[i].name) == 0) {
            return subcommands[i].run(argc - 1, argv + 1);
        }
    }
    (void)fprintf(stderr, "restante: there is no subcommand %s; `restante --help' lists them\n",
                  argv[1]);
    return EX_USAGE;
}
