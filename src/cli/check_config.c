/* SPDX-License-Identifier: MIT */
/* restante check-config: every mistake of a configuration, one a line. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>

#include "cli/cli.h"
#include "server/configuration.h"
#include "server/preflight.h"

enum { EXIT_MISTAKE = 2 };

int cli_check_config(int argc, char **argv)
{
    static const struct option options[] = {
        {"config", required_argument, NULL, 'c'}, {"help", no_argument, NULL, 'h'}, {0}};
    const char *path = NULL;
    int option;
    while ((option = getopt_long(argc, argv, "c:h", options, NULL)) != -1) {
        if (option == 'h') {
            (void)puts("usage: restante check-config -c FILE\n\n"
                       "Prints what is wrong with FILE, as FILE:LINE, and what would be right.\n"
                       "Exit status: 0 all is well, 2 there is a mistake.");
            return EX_OK;
        }
        if (option != 'c') {
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
