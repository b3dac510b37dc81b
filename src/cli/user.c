/* SPDX-License-Identifier: MIT */
/* restante user: the accounts file, by hand. A change that was told to the running server counts once the
 * command has ended; a server that does not run needs no telling. */
#include <errno.h>
#include <getopt.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sysexits.h>
#include <unistd.h>

#include "account/accounts.h"
#include "account/accounts_edit.h"
#include "account/verifier.h"
#include "base/user_name.h"
#include "cli/ask_secret.h"
#include "cli/cli.h"
#include "server/configuration.h"
#include "server/control.h"

struct job {
    struct configuration configuration;
    const char *name;
    const char *scheme;
    char shown[256]; /* the name, as a terminal may see it */
};

struct command {
    const char *name;
    int (*run)(struct job *job);
    bool has_name;
    bool has_scheme;
};

static const char usage[] =
    "usage: restante user add|passwd -c FILE [--scheme SCHEME] NAME\n"
    "       restante user remove|check -c FILE NAME\n"
    "       restante user list -c FILE\n"
    "\n"
    "  add      a new account; its password is asked for\n"
    "  passwd   another password; this also unlocks an account\n"
    "  remove   the account goes, its maildrop stays\n"
    "  check    is a password right? exit status 0, or 77 if it is wrong\n"
    "  list     all accounts: name, how the password is kept, maildrop if the file says\n"
    "\n"
    "FILE is the server's configuration. SCHEME is scram-sha-256 (so it is without it) or "
    "argon2id.\n"
    "A password is asked for on a terminal, else it is the first line of standard input.\n";

/* Octets in memory are nobody else's business, not even of a core file. */
static void protect(void)
{
    static const struct rlimit none = {0};
    (void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0); /* cannot fail with these arguments */
    (void)setrlimit(RLIMIT_CORE, &none);      /* lowering cannot fail */
}

static void warn_of_mistakes(const struct accounts *accounts)
{
    const char *text;
    for (uint32_t i = 0; (text = accounts_mistake(accounts, i)) != NULL; i++) {
        (void)fprintf(stderr, "restante: warning: %s\n", text);
    }
}

static int load(const struct job *job, struct accounts **accounts_out, struct error *error)
{
    if (accounts_load(job->configuration.accounts_file, accounts_out, error) < 0) {
        return -1;
    }
    warn_of_mistakes(*accounts_out);
    return 0;
}

/* Says before a password is asked for whether it would be asked in vain. */
static int check_name(const struct job *job, bool is_new, struct error *error)
{
    struct accounts *accounts;
    struct account *account = NULL;
    if (user_name_check(bytes_of(job->name), error) < 0) {
        return -1;
    }
    if (is_new && access(job->configuration.accounts_file, F_OK) < 0 && errno == ENOENT) {
        return 0;
    }
    if (load(job, &accounts, error) < 0) {
        return -1;
    }
    int found = accounts_lookup(accounts, bytes_of(job->name), &account, error);
    bool is_there = found == 0 || error->kind != ERROR_NO_SUCH_USER; /* with a mistake, maybe */
    account_free(account);
    (void)accounts_free(accounts);
    if (is_new && is_there) {
        return error_set(error, ERROR_USAGE, 0,
                         "there is an account %s already; `restante user passwd' changes it",
                         job->shown);
    }
    return is_new || is_there ? 0 : -1;
}

static int ask_new_secret(const struct job *job, struct secret **secret_out, struct error *error)
{
    char prompt[320];
    struct secret *again;
    (void)snprintf(prompt, sizeof prompt, "New password of %s: ", job->shown);
    if (ask_secret(prompt, secret_out, error) < 0) {
        return -1;
    }
    if (!ask_secret_of_person()) {
        return 0;
    }
    int result = ask_secret("The same again: ", &again, error);
    if (result == 0) {
        if (!secret_equal(*secret_out, again)) {
            result = error_set(error, ERROR_USAGE, 0, "the passwords differ; nothing was changed");
        }
        secret_free(again);
    }
    if (result < 0) {
        *secret_out = secret_free(*secret_out);
    }
    return result;
}

static int make_verifier(const struct job *job, char verifier_out[VERIFIER_MADE_OCTETS],
                         struct error *error)
{
    struct secret *secret;
    if (ask_new_secret(job, &secret, error) < 0) {
        return -1;
    }
    int result = verifier_make(job->scheme, secret, verifier_out, error);
    secret_free(secret);
    return result;
}

static int tell_server(const struct job *job, struct error *error)
{
    struct error inner;
    char answer[128];
    if (control_request(job->configuration.state_dir, "accounts-changed", answer, sizeof answer,
                        &inner) == 0 ||
        (inner.kind == ERROR_TEMPORARY &&
         (inner.number == ENOENT || inner.number == ECONNREFUSED))) {
        return 0;
    }
    return error_set(error, ERROR_TEMPORARY, 0,
                     "the accounts file is changed, but the server did not say that it knows: %s",
                     inner.text);
}

static int change(const struct job *job, enum accounts_change kind, const char *verifier)
{
    struct error error;
    if (accounts_edit(job->configuration.accounts_file, kind, bytes_of(job->name), verifier,
                      &error) < 0 ||
        tell_server(job, &error) < 0) {
        return cli_fail(&error);
    }
    return EX_OK;
}

/* The first account makes the file. It must be readable by the process that checks passwords. */
static int make_file(const struct job *job, struct error *error)
{
    uid_t uid = (uid_t)-1;
    gid_t gid = (gid_t)-1;
    if (access(job->configuration.accounts_file, F_OK) == 0 || errno != ENOENT) {
        return 0;
    }
    if (geteuid() == 0) {
        const struct passwd *reader = getpwnam(job->configuration.auth_user);
        if (reader == NULL) {
            return error_set(error, ERROR_CONFIGURATION, 0,
                             "there is no user %s on this machine: make it, or set auth-user",
                             job->configuration.auth_user);
        }
        uid = reader->pw_uid;
        gid = reader->pw_gid;
    }
    return accounts_create(job->configuration.accounts_file, uid, gid, error);
}

static int run_add(struct job *job)
{
    struct error error;
    char verifier[VERIFIER_MADE_OCTETS];
    if (check_name(job, true, &error) < 0 || make_verifier(job, verifier, &error) < 0 ||
        make_file(job, &error) < 0) {
        return cli_fail(&error);
    }
    return change(job, ACCOUNTS_ADD, verifier);
}

static int run_passwd(struct job *job)
{
    struct error error;
    char verifier[VERIFIER_MADE_OCTETS];
    if (check_name(job, false, &error) < 0 || make_verifier(job, verifier, &error) < 0) {
        return cli_fail(&error);
    }
    return change(job, ACCOUNTS_SET_VERIFIER, verifier);
}

static int run_remove(struct job *job)
{
    return change(job, ACCOUNTS_REMOVE, NULL);
}

static int run_check(struct job *job)
{
    struct error error;
    struct accounts *accounts;
    struct account *account;
    struct secret *secret;
    char prompt[320];
    if (load(job, &accounts, &error) < 0) {
        return cli_fail(&error);
    }
    int result = accounts_lookup(accounts, bytes_of(job->name), &account, &error);
    (void)accounts_free(accounts);
    if (result < 0) {
        return cli_fail(&error);
    }
    if (!account->may_login) {
        (void)error_set(&error, ERROR_BAD_CREDENTIALS, 0,
                        "the account is locked: no password fits");
        account_free(account);
        return cli_fail(&error);
    }
    (void)snprintf(prompt, sizeof prompt, "Password of %s: ", job->shown);
    result = ask_secret(prompt, &secret, &error);
    if (result == 0) {
        result = account_check(account, secret, &error);
        secret_free(secret);
    }
    account_free(account);
    if (result < 0) {
        return cli_fail(&error);
    }
    (void)puts("the password is right");
    return EX_OK;
}

static void print_account(const struct account *account)
{
    char name[256], scheme[32], maildrop[256];
    struct bytes verifier = bytes_of(account->verifier);
    verifier = bytes_from(verifier, 1); /* all begin with "{SCHEME}" */
    verifier.size = bytes_find(verifier, '}');
    (void)bytes_escape(bytes_of(account->name), name, sizeof name);
    (void)bytes_escape(verifier, scheme, sizeof scheme);
    (void)printf("%s\t%s", name, account->may_login ? scheme : "locked");
    if (account->maildrop != NULL) {
        (void)printf("\t%s", bytes_escape(bytes_of(account->maildrop), maildrop, sizeof maildrop));
    }
    (void)putchar('\n');
}

static int run_list(struct job *job)
{
    struct error error;
    struct accounts *accounts;
    if (load(job, &accounts, &error) < 0) {
        return cli_fail(&error);
    }
    for (uint32_t i = 0; i < accounts_facts(accounts).count; i++) {
        struct account *account;
        if (accounts_at(accounts, i, &account, &error) == 0) {
            print_account(account);
            account_free(account);
        } /* else a mistake, which was told */
    }
    (void)accounts_free(accounts);
    if (fflush(stdout) != 0) {
        (void)error_from_errno(&error, errno, "standard output");
        return cli_fail(&error);
    }
    return EX_OK;
}

static const struct command commands[] = {
    {"add", run_add, true, true},        {"passwd", run_passwd, true, true},
    {"remove", run_remove, true, false}, {"check", run_check, true, false},
    {"list", run_list, false, false},
};

static const struct command *find_command(const char *name)
{
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
        if (strcmp(name, commands[i].name) == 0) {
            return &commands[i];
        }
    }
    return NULL;
}

/* Everything that was given, or an exit status in *status_out and NULL. */
static const struct command *parse(int argc, char **argv, const char **path_out, struct job *job,
                                   int *status_out)
{
    static const struct option options[] = {{"config", required_argument, NULL, 'c'},
                                            {"scheme", required_argument, NULL, 's'},
                                            {"help", no_argument, NULL, 'h'},
                                            {0}};
    int option;
    while ((option = getopt_long(argc, argv, "c:s:h", options, NULL)) != -1) {
        switch (option) {
        case 'c':
            *path_out = optarg;
            break;
        case 's':
            job->scheme = optarg;
            break;
        case 'h':
            (void)fputs(usage, stdout);
            *status_out = EX_OK;
            return NULL;
        default:
            *status_out = cli_usage("user", "that option is not known");
            return NULL;
        }
    }
    const struct command *command = optind < argc ? find_command(argv[optind]) : NULL;
    *status_out = EX_USAGE;
    if (command == NULL) {
        (void)cli_usage("user", "the first word is add, passwd, remove, check or list");
        return NULL;
    }
    if (*path_out == NULL) {
        (void)cli_usage("user", "the server's configuration must be given with -c");
        return NULL;
    }
    if (argc - optind != (command->has_name ? 2 : 1)) {
        (void)cli_usage("user", "%s takes %s", command->name,
                        command->has_name ? "one name" : "no name");
        return NULL;
    }
    if (job->scheme != NULL && !command->has_scheme) {
        (void)cli_usage("user", "%s takes no --scheme", command->name);
        return NULL;
    }
    job->name = command->has_name ? argv[optind + 1] : "";
    return command;
}

int cli_user(int argc, char **argv)
{
    static struct job job; /* large, once */
    struct error error;
    const char *path = NULL;
    int status = EX_USAGE;
    const struct command *command = parse(argc, argv, &path, &job, &status);
    if (command == NULL) {
        return status;
    }
    if (job.scheme == NULL) {
        job.scheme = "scram-sha-256";
    }
    (void)bytes_escape(bytes_of(job.name), job.shown, sizeof job.shown);
    protect();
    if (verifier_check_scheme(job.scheme, &error) < 0 ||
        configuration_load(path, &job.configuration, &error) < 0) {
        return cli_fail(&error);
    }
    return command->run(&job);
}
