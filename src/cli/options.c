/* SPDX-License-Identifier: MIT */
#include "cli/options.h"

#include <getopt.h>
#include <stdio.h>

#include "fetch/account.h"

static const struct {
    const char *name, *usage, *summary;
} commands[CLI_COMMANDS] = {
#define CLI_COMMAND(identifier, name, run, usage, summary) {name, usage, summary},
#define CLI_OPTION(command, identifier, name, letter, argument, help)
#include "cli/options.def"
#undef CLI_COMMAND
#undef CLI_OPTION
};

/* In the order of their ids. */
static const struct {
    enum cli_command command;
    const char *name;
    int letter;
    const char *argument, *help;
} rows[CLI_FETCH_ACCOUNT] = {
#define CLI_COMMAND(identifier, name, run, usage, summary)
#define CLI_OPTION(command, identifier, name, letter, argument, help)                              \
    {CLI_##command, name, letter, argument, help},
#include "cli/options.def"
#undef CLI_COMMAND
#undef CLI_OPTION
#define FETCH_RUN_OPTION(identifier, name, letter, argument, help)                                 \
    {CLI_FETCH, name, letter, argument, help},
#include "fetch/run_options.def"
#undef FETCH_RUN_OPTION
};

enum {
    OPTIONS_MOST = CLI_FETCH_ACCOUNT + FETCH_OPTIONS,
    LONG = 256 /* getopt's value of an option is this and its id: no letter is as large */
};

const char *cli_command_name(enum cli_command command)
{
    return commands[command].name;
}

const char *cli_command_usage(enum cli_command command)
{
    return commands[command].usage;
}

const char *cli_command_summary(enum cli_command command)
{
    return commands[command].summary;
}

static bool account_option_at(size_t index, struct cli_option *option_out)
{
    if (index >= FETCH_OPTIONS) {
        return false;
    }
    struct fetch_option row = fetch_option_row(index);
    *option_out = (struct cli_option){.id = CLI_FETCH_ACCOUNT + (int)index,
                                      .name = row.name,
                                      .argument = row.argument,
                                      .may_be_bare = row.may_be_bare,
                                      .help = row.help};
    return true;
}

bool cli_option_at(enum cli_command command, size_t index, struct cli_option *option_out)
{
    for (int id = 0; id < CLI_FETCH_ACCOUNT; id++) {
        if (rows[id].command == command && index-- == 0) {
            const char *argument = rows[id].argument;
            bool may_be_bare = argument != NULL && argument[0] == '=';
            *option_out = (struct cli_option){.id = id,
                                              .name = rows[id].name,
                                              .letter = rows[id].letter,
                                              .argument = may_be_bare ? argument + 1 : argument,
                                              .may_be_bare = may_be_bare,
                                              .help = rows[id].help};
            return true;
        }
    }
    return command == CLI_FETCH && account_option_at(index, option_out);
}

static int argument_kind(const struct cli_option *option)
{
    if (option->argument == NULL) {
        return no_argument;
    }
    return option->may_be_bare ? optional_argument : required_argument;
}

int cli_getopt(enum cli_command command, int argc, char **argv)
{
    struct option options[OPTIONS_MOST + 1];
    char letters[2 * OPTIONS_MOST + 1], *letter = letters;
    int ids[LONG] = {0}; /* of letters */
    struct cli_option option;
    size_t count = 0;
    for (; cli_option_at(command, count, &option); count++) {
        int kind = argument_kind(&option);
        options[count] = (struct option){option.name, kind, NULL, LONG + option.id};
        if (option.letter != 0) {
            ids[option.letter] = option.id;
            *letter++ = (char)option.letter;
            *letter = ':';
            letter += kind == required_argument;
        }
    }
    options[count] = (struct option){0};
    *letter = '\0';
    int got = getopt_long(argc, argv, letters, options, NULL);
    if (got == '?') {
        return CLI_UNKNOWN_OPTION;
    }
    if (got == -1) {
        return CLI_NO_OPTION;
    }
    return got >= LONG ? got - LONG : ids[got];
}

void cli_print_option(const struct cli_option *option)
{
    char left[128], letter[8] = "";
    if (option->letter != 0) {
        (void)snprintf(letter, sizeof letter, "-%c, ", option->letter);
    }
    const char *argument = option->argument == NULL ? "" : option->argument;
    (void)snprintf(left, sizeof left, option->may_be_bare ? "%s--%s[=%s]" : "%s--%s %s", letter,
                   option->name, argument);
    (void)printf("  %-32s %s\n", left, option->help);
}

void cli_print_options(enum cli_command command)
{
    struct cli_option option;
    (void)putchar('\n');
    for (size_t i = 0; cli_option_at(command, i, &option); i++) {
        cli_print_option(&option);
    }
}
