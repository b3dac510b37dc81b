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

#include "base/number.h"
#include "base/user_name.h"
#include "cli/cli.h"
#include "cli/options.h"
#include "maildrop/maildrop.h"
#include "server/configuration.h"
#include "server/control.h"

/* Who is to write the mail. */
struct writer {
    bool is_owner; /* the maildrop's own user, not that of the workers */
    uid_t uid;
    gid_t gid; /* (gid_t)-1: the user's own */
};

/* Takes "WORD NUMBER " from the front of *text. */
static bool take_number(char **text, const char *word, uint32_t *number_out)
{
    size_t size = strlen(word);
    char *end = strchr(*text, ' ');
    end = end == NULL ? NULL : strchr(end + 1, ' ');
    if (end == NULL || strncmp(*text, word, size) != 0 || (*text)[size] != ' ') {
        return false;
    }
    struct bytes digits = {(const uint8_t *)*text + size + 1, (size_t)(end - *text) - size - 1};
    uint64_t number;
    if (bytes_equal_ignoring_case(digits, bytes_of("-1"))) {
        number = UINT32_MAX;
    } else if (number_parse(digits, UINT32_MAX - 1, &number) < 0) {
        return false;
    }
    *number_out = (uint32_t)number;
    *text = end + 1;
    return true;
}

/* "user NAME", perhaps "uid UID gid GID" before and " path PATH" after it: the answer to a look-up, taken apart
 * in place. */
static int take_owner(char *answer, struct maildrop_owner *owner, struct writer *writer,
                      struct error *error)
{
    *writer = (struct writer){.gid = (gid_t)-1};
    *owner = (struct maildrop_owner){0};
    writer->is_owner = take_number(&answer, "uid", &writer->uid);
    bool good = !writer->is_owner || take_number(&answer, "gid", &writer->gid);
    if (!good || strncmp(answer, "user ", 5) != 0) {
        return error_set(error, ERROR_PROTOCOL, 0, "the server's answer makes no sense");
    }
    owner->user = answer + 5;
    char *path = strstr(answer, " path /");
    if (path != NULL) {
        *path = '\0';
        owner->path = path + 6;
    }
    return 0;
}

static int become(const char *name, uid_t uid, gid_t gid, struct error *error)
{
    int groups = name != NULL ? initgroups(name, gid) : setgroups(1, &gid);
    if (groups < 0 || setgid(gid) < 0 || setuid(uid) < 0) {
        return error_set(error, ERROR_TEMPORARY, errno, "becoming user %s (uid %u)",
                         name != NULL ? name : "", uid);
    }
    return 0;
}

static int become_owner(const struct writer *writer, const char *user, struct error *error)
{
    const struct passwd *entry = getpwuid(writer->uid);
    if (geteuid() != 0) {
        return geteuid() == writer->uid
                   ? 0
                   : error_set(error, ERROR_CONFIGURATION, 0,
                               "the mail of %s belongs to uid %u, and this is uid %u: have it "
                               "started by root",
                               user, writer->uid, geteuid());
    }
    if (writer->gid == (gid_t)-1 && entry == NULL) {
        return error_set(error, ERROR_CONFIGURATION, 0,
                         "neither the account nor the system says a group for uid %u", writer->uid);
    }
    return become(entry == NULL ? NULL : entry->pw_name, writer->uid,
                  writer->gid == (gid_t)-1 ? entry->pw_gid : writer->gid, error);
}

/* Mail belongs to the user that the workers run as, or to the one that the server named. */
static int drop_privileges(const struct writer *writer, const struct maildrop_owner *owner,
                           const char *workers, struct error *error)
{
    if (writer->is_owner) {
        return become_owner(writer, owner->user, error);
    }
    if (geteuid() != 0) {
        return 0;
    }
    const struct passwd *entry = getpwnam(workers);
    if (entry == NULL) {
        return error_set(error, ERROR_CONFIGURATION, 0, "there is no system user %s", workers);
    }
    return become(workers, entry->pw_uid, entry->pw_gid, error);
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
    struct writer writer;
    if (configuration_load(path, &configuration, error) < 0) {
        return -1;
    }
    if (user_name_check(name, error) < 0) {
        return error_set(error, ERROR_NO_SUCH_USER, 0, "there cannot be such a user");
    }
    (void)snprintf(request, sizeof request, "lookup %s", user);
    if (control_request(configuration.state_dir, request, answer, sizeof answer, error) < 0 ||
        take_owner(answer, &owner, &writer, error) < 0 ||
        drop_privileges(&writer, &owner, configuration.user, error) < 0) {
        return -1;
    }
    return store(&configuration, &owner, error);
}

int cli_deliver(int argc, char **argv)
{
    const char *path = NULL;
    int option;
    while ((option = cli_getopt(CLI_DELIVER, argc, argv)) != CLI_NO_OPTION) {
        if (option == CLI_DELIVER_HELP) {
            (void)puts(
                "usage: restante deliver USER -c FILE < MESSAGE\n\n"
                "Stores one message in USER's maildrop. Exit status 0: it is durable. 67: there "
                "is\n"
                "no such user. 64: this usage was not kept. 75: anything else, try again later.");
            cli_print_options(CLI_DELIVER);
            return EX_OK;
        }
        if (option != CLI_DELIVER_CONFIG) {
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
