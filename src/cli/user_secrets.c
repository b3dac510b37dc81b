/* SPDX-License-Identifier: MIT */
/* restante user app-password and restante user rules. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "account/account_change.h"
#include "account/account_secrets.h"
#include "account/extra_fields.h"
#include "account/last_uses.h"
#include "cli/cli.h"
#include "cli/user.h"

static int finish_output(void)
{
    struct error error;
    if (fflush(stdout) != 0) {
        (void)error_from_errno(&error, errno, "standard output");
        return cli_fail(&error);
    }
    return EX_OK;
}

/* The value of an option that is one of two words; `said` is true for the first. */
static int parse_word(const char *option, const char *value, const char *const words[2],
                      bool *said_out, struct error *error)
{
    bool is_first = strcmp(value, words[0]) == 0;
    if (!is_first && strcmp(value, words[1]) != 0) {
        return error_set(error, ERROR_USAGE, 0, "%s is %s or %s", option, words[0], words[1]);
    }
    *said_out = is_first;
    return 0;
}

static int parse_tls(const char *value, bool *required_out, struct error *error)
{
    static const char *const words[] = {"required", "optional"};
    return parse_word("--tls", value, words, required_out, error);
}

static int parse_scheme(const char *scheme, bool *plain_out, struct error *error)
{
    static const char *const words[] = {"plain", "scram-sha-256"};
    return parse_word("--scheme of an app password", scheme, words, plain_out, error);
}

/* The file has it before it is shown, so what is shown counts. */
static int add(const struct user_job *job, const struct app_password_change *change,
               const struct secret *secret, struct error *error)
{
    if (account_add_app_password(job->configuration.accounts_file, bytes_of(job->name), change,
                                 secret, error) < 0) {
        return -1;
    }
    struct bytes text = secret_octets(secret);
    (void)printf("%.*s\n", (int)text.size, (const char *)text.data);
    return fflush(stdout) == 0 ? 0 : error_from_errno(error, errno, "standard output");
}

int user_add_app_password(struct user_job *job)
{
    struct app_password_change change = {.name = bytes_of(job->app_password),
                                         .allow_nets = job->allow_nets};
    struct error error;
    struct secret *secret;
    if ((job->scheme != NULL && parse_scheme(job->scheme, &change.is_plain, &error) < 0) ||
        (job->tls != NULL && parse_tls(job->tls, &change.needs_tls, &error) < 0) ||
        account_make_secret(&secret, &error) < 0) {
        return cli_fail(&error);
    }
    int result = add(job, &change, secret, &error);
    (void)secret_free(secret);
    if (result < 0 || user_tell_server(job, &error) < 0) {
        return cli_fail(&error);
    }
    return EX_OK;
}

int user_revoke_app_password(struct user_job *job)
{
    struct error error;
    if (account_revoke_app_password(job->configuration.accounts_file, bytes_of(job->name),
                                    bytes_of(job->app_password), &error) < 0 ||
        user_tell_server(job, &error) < 0) {
        return cli_fail(&error);
    }
    return EX_OK;
}

static void print_rules(const struct account_rules *rules)
{
    if (rules->allow_nets.size > 0) {
        (void)printf("\tallow-nets=%.*s", (int)rules->allow_nets.size,
                     (const char *)rules->allow_nets.data);
    }
    if (rules->needs_tls) {
        (void)fputs("\ttls=required", stdout);
    }
}

static void print_app_password(const struct account *account, const struct app_password *password,
                               const struct last_uses *uses)
{
    uint8_t fingerprint[SECRET_FINGERPRINT_OCTETS];
    struct bytes text;
    account_fingerprint(bytes_of(account->name), password->verifier, fingerprint);
    const char *date = last_uses_date(uses, fingerprint);
    (void)printf("%.*s\t%s\t%s", (int)password->name.size, (const char *)password->name.data,
                 date == NULL ? "never" : date,
                 verifier_text(password->verifier, &text) ? "PLAIN" : "SCRAM-SHA-256");
    print_rules(&password->rules);
    (void)putchar('\n');
}

static int open_last_uses(const struct user_job *job, struct last_uses **uses_out,
                          struct error *error)
{
    char path[CONFIGURATION_VALUE_SIZE + sizeof LAST_USES_FILE + 1];
    /* A server that runs writes what it has seen before it answers; one that does not has written all. */
    if (user_tell_server(job, error) < 0) {
        (void)fprintf(stderr, "restante: warning: dates of last use may be old: %s\n", error->text);
    }
    (void)snprintf(path, sizeof path, "%s/%s", job->configuration.state_dir, LAST_USES_FILE);
    return last_uses_open(path, false, uses_out, error);
}

int user_list_app_passwords(struct user_job *job)
{
    struct error error;
    struct account *account;
    struct extra_fields fields;
    struct last_uses *uses = NULL;
    if (user_lookup(job, &account, &error) < 0) {
        return cli_fail(&error);
    }
    int result = extra_fields_parse(bytes_of(account->extra), &fields, &error);
    if (result == 0) {
        result = open_last_uses(job, &uses, &error);
    }
    for (size_t i = 0; result == 0 && i < fields.app_password_count; i++) {
        print_app_password(account, &fields.app_passwords[i], uses);
    }
    (void)last_uses_close(uses);
    (void)account_free(account);
    return result < 0 ? cli_fail(&error) : finish_output();
}

static int show_rules(struct user_job *job)
{
    struct error error;
    struct account *account;
    struct extra_fields fields;
    if (user_lookup(job, &account, &error) < 0) {
        return cli_fail(&error);
    }
    int result = extra_fields_parse(bytes_of(account->extra), &fields, &error);
    if (result == 0) {
        const struct bytes *networks = &fields.rules.allow_nets;
        (void)printf("allow-nets\t%.*s\n", networks->size > 0 ? (int)networks->size : 3,
                     networks->size > 0 ? (const char *)networks->data : "any");
        (void)printf("tls\t%s\n", fields.rules.needs_tls ? "required" : "optional");
        (void)printf("main-password\t%s\n", fields.refuses_main_password ? "no" : "yes");
    }
    (void)account_free(account);
    return result < 0 ? cli_fail(&error) : finish_output();
}

/* Whoever shuts the main password out needs another way in. */
static void warn_of_no_secret(const struct user_job *job)
{
    struct account *account;
    struct extra_fields fields;
    if (user_lookup(job, &account, NULL) < 0) {
        return;
    }
    if (extra_fields_parse(bytes_of(account->extra), &fields, NULL) == 0 &&
        fields.refuses_main_password && fields.app_password_count == 0) {
        (void)fprintf(stderr,
                      "restante: warning: no password lets %s in; `restante user app-password add' "
                      "makes one\n",
                      job->shown);
    }
    (void)account_free(account);
}

int user_rules(struct user_job *job)
{
    static const char *const yes_no[] = {"yes", "no"};
    struct account_rules_change change = {0};
    struct error error;
    bool is_required = false, is_allowed = false;
    if (job->allow_nets == NULL && job->tls == NULL && job->main_password == NULL) {
        return show_rules(job);
    }
    if (job->allow_nets != NULL) {
        change.allow_nets = strcmp(job->allow_nets, "any") == 0 ? "" : job->allow_nets;
    }
    if (job->tls != NULL) {
        if (parse_tls(job->tls, &is_required, &error) < 0) {
            return cli_fail(&error);
        }
        change.tls = is_required ? "required" : "";
    }
    if (job->main_password != NULL) {
        if (parse_word("--main-password", job->main_password, yes_no, &is_allowed, &error) < 0) {
            return cli_fail(&error);
        }
        change.main_password = is_allowed ? "" : "no";
    }
    if (account_change_rules(job->configuration.accounts_file, bytes_of(job->name), &change,
                             &error) < 0 ||
        user_tell_server(job, &error) < 0) {
        return cli_fail(&error);
    }
    warn_of_no_secret(job);
    return EX_OK;
}
