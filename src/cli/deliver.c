/* SPDX-License-Identifier: MIT */
/* restante deliver: the message on standard input into a maildrop, for an MTA's pipe. Exit status 0 means
 * that it is durable; any other that nothing is there. Who is who, the running server knows. */
#include <errno.h>
#include <getopt.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/user_name.h"
#include "cli/cli.h"
#include "maildrop/maildrop.h"
#include "server/configuration.h"
#include "server/control.h"

/* "user NAME" and perhaps " path PATH": the answer to a look-up, taken apart in place. */
static int take_owner(char *answer, struct maildrop_owner *owner, struct error *error)
{
    if (strncmp(answer, "user ", 5) != 0) {
        return error_set(error, ERROR_PROTOCOL, 0, "the server's answer makes no sense");
    }
    owner->user = answer + 5;
    owner->path = NULL;
    char *path = strstr(answer, " path /");
    if (path != NULL) {
        *path = '\0';
        owner->path = path + 6;
    }
    return 0;
}

/* Mail belongs to the user that the workers run as. */
static int drop_privileges(const char *user, struct error *error)
{
    if (geteuid() != 0) {
        return 0;
    }
    const struct passwd *entry = getpwnam(user);
    if (entry == NULL) {
        return error_set(error, ERROR_CONFIGURATION, 0, "there is no system user %s", user);
    }
    if (initgroups(user, entry->pw_gid) < 0 || setgid(entry->pw_gid) < 0 ||
        setuid(entry->pw_uid) < 0) {
        return error_set(error, ERROR_TEMPORARY, errno, "becoming user %s", user);
    }
    return 0;
}

static int copy_input(struct maildrop_delivery *delivery, struct error *error)
{
    static uint8_t buffer[65536];
    for (;;) {
        ssize_t size = read(STDIN_FILENO, buffer, sizeof buffer);
        if (size < 0 && errno == EINTR) {
            continue;
        }
        if (size < 0) {
            return error_set(error, ERROR_TEMPORARY, errno, "standard input");
        }
        if (size == 0) {
            return 0;
        }
        struct bytes octets = {.data = buffer, .size = (size_t)size};
        if (maildrop_deliver_append(delivery, octets, error) < 0) {
            return -1;
        }
    }
}

static int store(const struct configuration *configuration, const struct maildrop_owner *owner,
                 struct error *error)
{
    struct maildrop_options options = {.path = configuration->path};
    struct maildrop_store *store = NULL;
    struct maildrop_delivery *delivery;
    int result = -1;
    if (maildrop_maildir_create(&options, NULL, &store, error) == 0 &&
        maildrop_deliver_begin(store, owner, &delivery, error) == 0) {
        if (copy_input(delivery, error) < 0) {
            maildrop_deliver_abort(delivery);
        } else {
            result = maildrop_deliver_finish(delivery, error);
        }
    }
    (void)maildrop_store_free(store);
    return result;
}

static int deliver(const char *path, const char *user, struct error *error)
{
    static struct configuration configuration;
    struct bytes name = bytes_of(user);
    char request[320];
    char answer[1024];
    struct maildrop_owner owner;
    if (configuration_load(path, &configuration, error) < 0) {
        return -1;
    }
    if (user_name_check(name, error) < 0) {
        return error_set(error, ERROR_NO_SUCH_USER, 0, "there cannot be such a user");
    }
    (void)snprintf(request, sizeof request, "lookup %s", user);
    if (control_request(configuration.state_dir, request, answer, sizeof answer, error) < 0 ||
        take_owner(answer, &owner, error) < 0 || drop_privileges(configuration.user, error) < 0) {
        return -1;
    }
    return store(&configuration, &owner, error);
}

int cli_deliver(int argc, char **argv)
{
    static const struct option options[] = {
        {"config", required_argument, NULL, 'c'}, {"help", no_argument, NULL, 'h'}, {0}};
    const char *path = NULL;
    int option;
    while ((option = getopt_long(argc, argv, "c:h", options, NULL)) != -1) {
        if (option == 'h') {
            (void)puts(
                "usage: restante deliver USER -c FILE < MESSAGE\n\n"
                "Stores one message in USER's maildrop. Exit status 0: it is durable. 67: there "
                "is\n"
                "no such user. 64: this usage was not kept. 75: anything else, try again later.");
            return EX_OK;
        }
        if (option != 'c') {
            return cli_usage("deliver", "that option is not known");
        }
        path = optarg;
    }
    if (path == NULL || optind + 1 != argc) {
        return cli_usage("deliver", "one user, and a configuration file with -c, must be given");
    }
    struct error error;
    (void)signal(SIGXFSZ, SIG_IGN); /* MTAs limit the size of files: an error like a full disk */
    if (deliver(path, argv[optind], &error) == 0) {
        return EX_OK;
    }
    /* An MTA sends the mail back for whatever is not EX_TEMPFAIL. Only the sender's mistake may cost that:
     * not an operator's slip, nor a file system that has just gone read-only. */
    int status = cli_fail(&error);
    return error.kind == ERROR_NO_SUCH_USER ? status : EX_TEMPFAIL;
}
