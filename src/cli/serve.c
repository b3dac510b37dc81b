/* SPDX-License-Identifier: MIT */
/* restante serve, and the two processes that it starts for itself. */
#include <getopt.h>
#include <stdio.h>
#include <sysexits.h>

#include "account/checkpassword_reply.h"
#include "base/number.h"
#include "cli/cli.h"
#include "cli/options.h"
#include "server/auth.h"
#include "server/delegate.h"
#include "server/master.h"
#include "server/source_child.h"
#include "server/worker.h"

int cli_serve(int argc, char **argv)
{
    const char *path = NULL;
    uint64_t ready_fd = 0;
    int option;
    while ((option = cli_getopt(CLI_SERVE, argc, argv)) != CLI_NO_OPTION) {
        switch (option) {
        case CLI_SERVE_CONFIG:
            path = optarg;
            break;
        case CLI_SERVE_READY_FD:
            if (number_parse(bytes_of(optarg), 1023, &ready_fd) < 0 || ready_fd < 1) {
                return cli_usage("serve", "--ready-fd takes the number of an open descriptor");
            }
            break;
        case CLI_SERVE_HELP:
            (void)puts(
                "usage: restante serve -c FILE [--ready-fd N]\n\n"
                "Serves POP3 as FILE says, in the foreground, until SIGTERM; SIGHUP reads FILE\n"
                "again. Descriptor N gets a line for each listener and then \"ready\".\n"
                "restante-serve(8) tells more.");
            cli_print_options(CLI_SERVE);
            return EX_OK;
        default:
            return cli_usage("serve", "that option is not known");
        }
    }
    if (path == NULL || optind != argc) {
        return cli_usage("serve", "one configuration file must be given with -c");
    }
    return master_run(path, ready_fd == 0 ? -1 : (int)ready_fd);
}

int cli_worker(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    return worker_run();
}

int cli_auth(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    return auth_run();
}

int cli_source(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    return source_child_run();
}

int cli_checkpassword_reply(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    return checkpassword_reply_write();
}

int cli_delegate(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    return delegate_run();
}
