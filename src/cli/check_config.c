/* SPDX-License-Identifier: MIT */
/* restante check-config: every mistake of a configuration, one a line. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>

#include "cli/cli.h"
#include "cli/options.h"
#include "server/configuration.h"
#include "server/preflight.h"

enum { EXIT_MISTAKE = 2 };

int cli_check_config(int argc, char **argv)
{
    const char *path = NULL;
    int option;
    while ((option = cli_getopt(CLI_CHECK_CONFIG, argc, argv)) != CLI_NO_OPTION) {
        if (option == CLI_CHECK_CONFIG_HELP) {
            (void)puts("usage: restante check-config -c FILE\n\n"
                       "Prints what is wrong with FILE, as FILE:LINE, and what would be right.\n"
                       "Exit status: 0 all is well, 2 there is a mistake.");
            cli_print_options(CLI_CHECK_CONFIG);
            return EX_OK;
        }
        if (option != CLI_CHECK_CONFIG_CONFIG) {
            return cli_usage("check-config", "that option is not known");
        }
        path = optarg;
    }
    if (path == NULL || optind != argc) {
        return cli_usage("check-config", "one configuration file must be given with -c");
    }
    static struct configuration configuration; /* large */
    static struct configuration_notes notes;
    int result = preflight_load(path, &configuration, &notes, NULL);
    (void)fputs(notes.text, stderr);
    if (result == 0) {
        (void)printf("%s: no mistake found\n", path);
    }
    return result == 0 ? EX_OK : EXIT_MISTAKE;
}
