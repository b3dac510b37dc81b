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

#include "account/account_change.h"
#include "account/account_secrets.h"
#include "account/accounts.h"
#include "account/accounts_edit.h"
#include "account/verifier.h"
#include "base/user_name.h"
#include "cli/ask_secret.h"
#include "cli/cli.h"
#include "cli/options.h"
#include "cli/user.h"
#include "sasl/prepare.h"
#include "server/control.h"

/* Options, as bits. */
enum { SCHEME = 1, ALLOW_NETS = 2, TLS = 4, MAIN_PASSWORD = 8 };

struct command {
    const char *name;
    const char *second; /* word of the command's name; NULL: it has one only */
    const char *operands;
    int (*run)(struct user_job *job);
    int operand_count;
    unsigned options;
};

static const char usage[] =
    "usage: restante user add|passwd -c FILE [--scheme SCHEME] NAME\n"
    "       restante user remove|check -c FILE NAME\n"
    "       restante user list -c FILE\n"
    "       restante user app-password add -c FILE [--scheme SCHEME] [--allow-nets NETWORKS]\n"
    "                                      [--tls required] NAME APP-PASSWORD\n"
    "       restante user app-password revoke -c FILE NAME APP-PASSWORD\n"
    "       restante user app-password list -c FILE NAME\n"
    "       restante user rules -c FILE [--allow-nets NETWORKS|any] [--tls required|optional]\n"
    "                           [--main-password yes|no] NAME\n"
    "\n"
    "  add      a new account; its password is asked for\n"
    "  passwd   another password; this also unlocks an account\n"
    "  remove   the account goes, its maildrop stays\n"
    "  check    is a password right? exit status 0, or 77 if it is wrong\n"
    "  list     all accounts: name, how the password is kept, maildrop if the file says\n"
    "  app-password add     one more password, for one device; it is made here and shown once\n"
    "  app-password revoke  it counts no more\n"
    "  app-password list    name, date of last use, how it is kept, rules\n"
    "  rules    from where, over what and by which password an account may log in; without an\n"
    "           option they are shown\n"
    "\n"
    "SCHEME is scram-sha-256 (so it is without it) or argon2id, of an app password scram-sha-256\n"
    "or plain.\n"
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

int user_load(const struct user_job *job, struct accounts **accounts_out, struct error *error)
{
    if (accounts_load(job->configuration.accounts_file, accounts_out, error) < 0) {
        return -1;
    }
    warn_of_mistakes(*accounts_out);
    return 0;
}

int user_lookup(const struct user_job *job, struct account **account_out, struct error *error)
{
    struct accounts *accounts;
    if (user_load(job, &accounts, error) < 0) {
        return -1;
    }
    int result = accounts_lookup(accounts, bytes_of(job->name), account_out, error);
    (void)accounts_free(accounts);
    return result;
}

/* Says before a password is asked for whether it would be asked in vain. */
static int check_name(const struct user_job *job, bool is_new, struct error *error)
{
    struct accounts *accounts;
    struct account *account = NULL;
    if (user_name_check(bytes_of(job->name), error) < 0) {
        return -1;
    }
    if (is_new && access(job->configuration.accounts_file, F_OK) < 0 && errno == ENOENT) {
        return 0;
    }
    if (user_load(job, &accounts, error) < 0) {
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

static int ask_new_secret(const struct user_job *job, struct secret **secret_out,
                          struct error *error)
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

static int make_verifier(const struct user_job *job, char verifier_out[VERIFIER_MADE_OCTETS],
                         struct error *error)
{
    struct secret *secret;
    if (ask_new_secret(job, &secret, error) < 0) {
        return -1;
    }
    int result = verifier_make(job->scheme, secret, NULL, verifier_out, error);
    secret_free(secret);
    return result;
}

int user_tell_server(const struct user_job *job, struct error *error)
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

static int change(const struct user_job *job, enum accounts_change kind, const char *verifier)
{
    struct error error;
    if (accounts_edit(job->configuration.accounts_file, kind, bytes_of(job->name), verifier,
                      &error) < 0 ||
        user_tell_server(job, &error) < 0) {
        return cli_fail(&error);
    }
    return EX_OK;
}

/* The first account makes the file. It must be readable by the process that checks passwords. */
static int make_file(const struct user_job *job, struct error *error)
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

/* The name of a new account is kept prepared, so that whoever types it is found (RFC 4013). */
static int prepare_name(struct user_job *job, struct error *error)
{
    uint8_t memory[SASL_PREPARED_OCTETS];
    struct bytes prepared;
    struct error reason;
    if (user_name_check(bytes_of(job->name), error) < 0) {
        return -1;
    }
    if (sasl_prepare(bytes_of(job->name), SASL_PREPARE_STORED, memory, &prepared, &reason) < 0) {
        return error_set(error, reason.kind, 0, "nobody can be called %s: %s", job->shown,
                         reason.text);
    }
    (void)snprintf(job->prepared, sizeof job->prepared, "%.*s", (int)prepared.size,
                   (const char *)prepared.data);
    job->name = job->prepared;
    return 0;
}

static int run_add(struct user_job *job)
{
    struct error error;
    char verifier[VERIFIER_MADE_OCTETS];
    if (prepare_name(job, &error) < 0 || check_name(job, true, &error) < 0 ||
        make_verifier(job, verifier, &error) < 0 || make_file(job, &error) < 0) {
        return cli_fail(&error);
    }
    return change(job, ACCOUNTS_ADD, verifier);
}

static int run_passwd(struct user_job *job)
{
    struct error error;
    struct secret *secret;
    if (check_name(job, false, &error) < 0 || ask_new_secret(job, &secret, &error) < 0) {
        return cli_fail(&error);
    }
    int result = account_change_password(job->configuration.accounts_file, bytes_of(job->name),
                                         job->scheme, secret, &error);
    secret_free(secret);
    if (result < 0 || user_tell_server(job, &error) < 0) {
        return cli_fail(&error);
    }
    return EX_OK;
}

static int run_remove(struct user_job *job)
{
    return change(job, ACCOUNTS_REMOVE, NULL);
}

static void print_secret(const struct account *account, size_t number)
{
    struct extra_fields fields;
    if (number == ACCOUNT_MAIN_SECRET ||
        extra_fields_parse(bytes_of(account->extra), &fields, NULL) < 0) {
        (void)puts("the password is right");
        return;
    }
    struct bytes name = fields.app_passwords[number - 1].name;
    (void)printf("this is the app password %.*s\n", (int)name.size, (const char *)name.data);
}

static int check_secret(const struct user_job *job, const struct account *account,
                        struct error *error)
{
    struct secret *secret;
    char prompt[320];
    size_t number;
    (void)snprintf(prompt, sizeof prompt, "Password of %s: ", job->shown);
    if (ask_secret(prompt, &secret, error) < 0) {
        return -1;
    }
    int result = account_check(account, secret, &number, error);
    secret_free(secret);
    if (result == 0) {
        print_secret(account, number);
    }
    return result;
}

static int run_check(struct user_job *job)
{
    struct error error;
    struct account *account;
    if (user_lookup(job, &account, &error) < 0) {
        return cli_fail(&error);
    }
    int result = account->may_login ? check_secret(job, account, &error)
                                    : error_set(&error, ERROR_BAD_CREDENTIALS, 0,
                                                "the account is locked: no password fits");
    account_free(account);
    return result < 0 ? cli_fail(&error) : EX_OK;
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

static int run_list(struct user_job *job)
{
    struct error error;
    struct accounts *accounts;
    if (user_load(job, &accounts, &error) < 0) {
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
    {"add", NULL, "a NAME", run_add, 1, SCHEME},
    {"passwd", NULL, "a NAME", run_passwd, 1, SCHEME},
    {"remove", NULL, "a NAME", run_remove, 1, 0},
    {"check", NULL, "a NAME", run_check, 1, 0},
    {"list", NULL, "no NAME", run_list, 0, 0},
    {"app-password", "add", "a NAME and that of the app password", user_add_app_password, 2,
     SCHEME | ALLOW_NETS | TLS},
    {"app-password", "revoke", "a NAME and that of the app password", user_revoke_app_password, 2,
     0},
    {"app-password", "list", "a NAME", user_list_app_passwords, 1, 0},
    {"rules", NULL, "a NAME", user_rules, 1, ALLOW_NETS | TLS | MAIN_PASSWORD},
};

/* `words` ends with NULL. */
static const struct command *find_command(char *const *words)
{
    for (size_t i = 0; words[0] != NULL && i < sizeof commands / sizeof *commands; i++) {
        const struct command *command = &commands[i];
        if (strcmp(words[0], command->name) == 0 &&
            (command->second == NULL ||
             (words[1] != NULL && strcmp(words[1], command->second) == 0))) {
            return command;
        }
    }
    return NULL;
}

/* The options; -1 and an exit status where it ends with them. */
static int parse_options(int argc, char **argv, const char **path_out, struct user_job *job,
                         int *status_out)
{
    int option;
    while ((option = cli_getopt(CLI_USER, argc, argv)) != CLI_NO_OPTION) {
        switch (option) {
        case CLI_USER_CONFIG:
            *path_out = optarg;
            break;
        case CLI_USER_SCHEME:
            job->scheme = optarg;
            break;
        case CLI_USER_ALLOW_NETS:
            job->allow_nets = optarg;
            break;
        case CLI_USER_TLS:
            job->tls = optarg;
            break;
        case CLI_USER_MAIN_PASSWORD:
            job->main_password = optarg;
            break;
        case CLI_USER_HELP:
            (void)fputs(usage, stdout);
            cli_print_options(CLI_USER);
            *status_out = EX_OK;
            return -1;
        default:
            *status_out = cli_usage("user", "that option is not known");
            return -1;
        }
    }
    return 0;
}

/* The first option that was given and that the command does not have, or NULL. */
static const char *find_stray_option(const struct user_job *job, const struct command *command)
{
    const struct {
        const char *name, *value;
        unsigned option;
    } given[] = {{"--scheme", job->scheme, SCHEME},
                 {"--allow-nets", job->allow_nets, ALLOW_NETS},
                 {"--tls", job->tls, TLS},
                 {"--main-password", job->main_password, MAIN_PASSWORD}};
    for (size_t i = 0; i < sizeof given / sizeof *given; i++) {
        if (given[i].value != NULL && (command->options & given[i].option) == 0) {
            return given[i].name;
        }
    }
    return NULL;
}

/* Everything that was given, or an exit status in *status_out and NULL. */
static const struct command *parse(int argc, char **argv, const char **path_out,
                                   struct user_job *job, int *status_out)
{
    if (parse_options(argc, argv, path_out, job, status_out) < 0) {
        return NULL;
    }
    char **words = argv + optind;
    const struct command *command = find_command(words);
    *status_out = EX_USAGE;
    if (command == NULL) {
        (void)cli_usage("user", "the first word is add, passwd, remove, check, list, rules or "
                                "app-password, which add, revoke or list follows");
        return NULL;
    }
    words += command->second == NULL ? 1 : 2;
    if (*path_out == NULL) {
        (void)cli_usage("user", "the server's configuration must be given with -c");
        return NULL;
    }
    if (argv + argc - words != command->operand_count) {
        (void)cli_usage("user", "%s takes %s", command->name, command->operands);
        return NULL;
    }
    const char *stray = find_stray_option(job, command);
    if (stray != NULL) {
        (void)cli_usage("user", "%s takes no %s", command->name, stray);
        return NULL;
    }
    job->name = command->operand_count > 0 ? words[0] : "";
    job->app_password = command->operand_count > 1 ? words[1] : NULL;
    return command;
}

int cli_user(int argc, char **argv)
{
    static struct user_job job; /* large, once */
    struct error error;
    const char *path = NULL;
    int status = EX_USAGE;
    const struct command *command = parse(argc, argv, &path, &job, &status);
    if (command == NULL) {
        return status;
    }
    (void)bytes_escape(bytes_of(job.name), job.shown, sizeof job.shown);
    protect();
    if (command->second == NULL) {
        job.scheme = job.scheme == NULL ? "scram-sha-256" : job.scheme;
        if (verifier_check_scheme(job.scheme, &error) < 0) {
            return cli_fail(&error);
        }
    }
    if (configuration_load(path, &job.configuration, &error) < 0) {
        return cli_fail(&error);
    }
    if (job.configuration.accounts_file[0] == '\0') {
        (void)error_set(&error, ERROR_CONFIGURATION, 0,
                        "%.200s names no accounts file; write file = in [accounts], or see the "
                        "accounts where its sources keep them",
                        path);
        return cli_fail(&error);
    }
    return command->run(&job);
}
