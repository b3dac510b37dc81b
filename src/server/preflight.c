/* SPDX-License-Identifier: MIT */
#include "server/preflight.h"

#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "account/accounts.h"
#include "maildrop/path.h"
#include "server/certificates.h"
#include "server/mail_roots.h"
#include "server/preflight_sources.h"
#include "server/sandbox.h"

static void check_user(const char *path, const struct configuration *configuration, const char *key,
                       const char *user, struct configuration_notes *notes)
{
    if (geteuid() == 0 && getpwnam(user) == NULL) {
        configuration_note(notes, true, path, configuration_line(configuration, key),
                           "%s = %s: there is no such system user; make it (adduser --system "
                           "--group %s) or write the name of one that exists",
                           key, user, user);
    }
}

/* Those in the accounts file who cannot log in, for the same reason. */
struct shut_out {
    uint32_t count;
    char first[CONFIGURATION_VALUE_SIZE];
};

static void count_shut_out(struct shut_out *shut_out, const struct account *account,
                           const char *what)
{
    if (shut_out->count++ == 0) {
        (void)snprintf(shut_out->first, sizeof shut_out->first, "line %u: %s", account->line, what);
    }
}

/* Whose maildrop is where no process of ours will reach it, as whoever, will not get it. */
static void check_maildrops(const char *path, const struct configuration *configuration,
                            const struct accounts *accounts, struct configuration_notes *notes)
{
    static struct mail_roots roots; /* large */
    bool in_home = maildrop_path_in_home(configuration->path) != NULL;
    struct shut_out outside = {0}, low = {0}, homeless = {0};
    mail_roots_of(configuration, &roots);
    for (uint32_t i = 0; i < accounts_facts(accounts).count; i++) {
        struct account *account;
        struct error error;
        if (accounts_at(accounts, i, &account, &error) < 0) {
            continue; /* a mistake, told elsewhere */
        }
        bool as_user = configuration->as_user && account->uid != ACCOUNT_NO_ID;
        if (as_user && account->uid < configuration->as_user_minimum) {
            count_shut_out(&low, account, account->name);
        } else if (account->maildrop == NULL && in_home && (!as_user || account->home == NULL)) {
            count_shut_out(&homeless, account, account->name);
        } else if (account->maildrop != NULL && !as_user &&
                   !mail_roots_hold(&roots, account->maildrop)) {
            count_shut_out(&outside, account, account->maildrop);
        }
        (void)account_free(account);
    }
    const char *file = configuration->accounts_file;
    if (outside.count > 0) {
        configuration_note(notes, false, path, configuration_line(configuration, "roots"),
                           "file = %s: %u accounts have a maildrop outside of all mail roots and "
                           "cannot log in, the first in %s; add its folder to roots in [maildrop]",
                           file, outside.count, outside.first);
    }
    if (low.count > 0) {
        configuration_note(
            notes, false, path, configuration_line(configuration, "as-user-minimum"),
            "file = %s: %u accounts have a uid below as-user-minimum (%u) and cannot "
            "log in, the first in %s; write a lower as-user-minimum if these are "
            "people",
            file, low.count, configuration->as_user_minimum, low.first);
    }
    if (homeless.count > 0) {
        configuration_note(notes, false, path, configuration_line(configuration, "path"),
                           "file = %s: %u accounts have no number in the uid field or no home and "
                           "cannot log in, the first in %s; write both fields, or a path that "
                           "begins with / and has %%u in it",
                           file, homeless.count, homeless.first);
    }
}

/* Only root can become the users. */
static void check_as_user(const char *path, const struct configuration *configuration,
                          struct configuration_notes *notes)
{
    if (configuration->as_user && geteuid() != 0) {
        configuration_note(notes, true, path, configuration_line(configuration, "as-user"),
                           "as-user = yes: only root can read each one's mail as that user, and "
                           "this is uid %u; start it as root, or write as-user = no",
                           geteuid());
    }
}

static void check_accounts(const char *path, const struct configuration *configuration,
                           struct configuration_notes *notes)
{
    struct accounts *accounts;
    struct error error;
    const char *file = configuration->accounts_file;
    unsigned line = configuration_line(configuration, "file");
    if (access(file, F_OK) < 0) {
        configuration_note(notes, true, path, line,
                           "file = %s: %s; make it (restante user add -c %s NAME) or write the "
                           "path of the accounts file",
                           file, strerror(errno), path);
        return;
    }
    if (accounts_load(file, &accounts, &error) < 0) {
        if (error.number != EACCES || geteuid() == 0) { /* else auth will read it */
            configuration_note(notes, true, path, line, "file = %s: %s", file, error.text);
        }
        return;
    }
    struct accounts_facts facts = accounts_facts(accounts);
    if (facts.readable_by_all) {
        configuration_note(notes, false, path, line,
                           "file = %s: everybody on this machine may read it; chmod o-r it", file);
    }
    const char *mistake = accounts_mistake(accounts, 0);
    if (mistake != NULL) {
        configuration_note(notes, false, path, line,
                           "file = %s: %u of its lines do not count, the first: %s", file,
                           facts.mistakes, mistake);
    }
    if (facts.memory_max > configuration->hash_memory) {
        configuration_note(notes, false, path, configuration_line(configuration, "hash-memory"),
                           "hash-memory is less than the check of line %u of %s needs; write at "
                           "least %lluM",
                           facts.memory_max_line, file,
                           (unsigned long long)((facts.memory_max + (1U << 20) - 1) >> 20));
    }
    check_maildrops(path, configuration, accounts, notes);
    (void)accounts_free(accounts);
}

/* The program must be there and be run by whoever runs it. */
static void check_command(const char *path, const struct configuration *configuration,
                          struct configuration_notes *notes)
{
    char program[CONFIGURATION_VALUE_SIZE];
    unsigned line = configuration_line(configuration, "command");
    if (!configuration_has_source(configuration, "command")) {
        return;
    }
    (void)snprintf(program, sizeof program, "%s", configuration->source_command);
    program[strcspn(program, " \t")] = '\0';
    if (access(program, X_OK) < 0) {
        configuration_note(notes, true, path, line,
                           "command = %s: %s; write the path of a program that may be run, or "
                           "chmod +x it",
                           program, strerror(errno));
    }
    if (configuration->command_user[0] != '\0') {
        check_user(path, configuration, "command-user", configuration->command_user, notes);
    }
}

/* A service without a file of its own would be checked by the rules for any other. */
static void check_pam(const char *path, const struct configuration *configuration,
                      struct configuration_notes *notes)
{
    char file[2 * CONFIGURATION_VALUE_SIZE];
    const char *service = configuration->pam_service;
    unsigned line = configuration_line(configuration, "pam-service");
    (void)snprintf(file, sizeof file, "%s%s", service[0] == '/' ? "" : "/etc/pam.d/", service);
    if (configuration_has_source(configuration, "pam") && access(file, R_OK) < 0) {
        configuration_note(notes, true, path,
                           line != 0 ? line : configuration_line(configuration, "source"),
                           "pam-service = %s: %s: %s; copy the sample pam.d/restante there, or "
                           "write the name of a service that has a file",
                           service, file, strerror(errno));
    }
}

/* What checks tokens reads them, as auth-user; here only what is not there is found. */
static void check_token_files(const char *path, const struct configuration *configuration,
                              struct configuration_notes *notes)
{
    const struct {
        const char *key, *file, *remedy;
    } files[] = {
        {"jwks-file", configuration->token_keys_file, "a JWK Set"},
        {"client-secret-file", configuration->token_client_secret_file,
         "a file whose first line is the secret"},
        {"ca-file", configuration->token_ca_file, "certificates in PEM"},
    };
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        if (files[i].file[0] != '\0' && access(files[i].file, F_OK) < 0) {
            configuration_note(notes, true, path, configuration_line(configuration, files[i].key),
                               "%s = %s: %s; write the path of %s", files[i].key, files[i].file,
                               strerror(errno), files[i].remedy);
        }
    }
}

/* The part of the template before its first field must be there, or an unmounted disk would look like
 * deleted mail. */
static void check_mail_roots(const char *path, const struct configuration *configuration,
                             struct configuration_notes *notes)
{
    static struct mail_roots roots; /* large */
    struct stat facts;
    mail_roots_of(configuration, &roots);
    for (uint32_t i = 0; i < roots.count; i++) {
        const char *key = i < roots.count - configuration->mail_roots.count ? "path" : "roots";
        unsigned line = configuration_line(configuration, key);
        if (stat(roots.list[i], &facts) < 0 && errno == ENOENT) {
            configuration_note(notes, false, path, line,
                               "%s: there is no folder %s, and no login to a maildrop in it will "
                               "succeed until there is",
                               key, roots.list[i]);
        } else if (strcmp(roots.list[i], "/") == 0) {
            configuration_note(notes, configuration->require_sandbox, path, line,
                               "%s: maildrops directly in / leave workers all files open; write a "
                               "path in a folder of its own, like /var/vmail/%%u",
                               key);
        }
    }
}

/* What an intruder is not kept from on this machine. */
static void check_sandbox(const char *path, const struct configuration *configuration,
                          struct configuration_notes *notes)
{
    struct sandbox_support support = sandbox_support();
    bool required = configuration->require_sandbox;
    unsigned line = configuration_line(configuration, "require-sandbox");
    if (support.landlock == 0) {
        configuration_note(notes, required, path, line,
                           "sandbox: this kernel has no Landlock (it is not built in, not enabled "
                           "or kept from this container); a worker that is taken over can open "
                           "what its user may open%s",
                           required ? "; enable it, or write require-sandbox = no" : "");
    }
    if (!support.seccomp) {
        configuration_note(notes, required, path, line,
                           "sandbox: this kernel or this build has no seccomp; a worker that is "
                           "taken over can make every system call%s",
                           required ? "; enable it, or write require-sandbox = no" : "");
    }
}

/* Noted where they are wrong; who may not read the key (not root) is not told that it is. */
static void check_certificates(const char *path, const struct configuration *configuration,
                               struct configuration_notes *notes)
{
    static struct certificates certificates; /* large */
    if (certificates_load(configuration, path, false, &certificates, notes) == 0) {
        certificates_close(&certificates);
    }
}

int preflight_load(const char *path, struct configuration *out, struct configuration_notes *notes,
                   struct bytes *text_out)
{
    struct bytes text;
    struct error error;
    *notes = (struct configuration_notes){0};
    if (configuration_read(path, &text, &error) < 0) {
        configuration_note(notes, true, path, 0, "%s", error.text);
        return -1;
    }
    int result = configuration_parse(path, text, out, notes);
    if (result == 0) {
        check_user(path, out, "user", out->user, notes);
        check_user(path, out, "auth-user", out->auth_user, notes);
        check_as_user(path, out, notes);
        if (configuration_has_file(out)) {
            check_accounts(path, out, notes);
        }
        check_command(path, out, notes);
        check_pam(path, out, notes);
        preflight_sources(path, out, notes);
        check_token_files(path, out, notes);
        check_mail_roots(path, out, notes);
        check_sandbox(path, out, notes);
        check_certificates(path, out, notes);
        result = notes->mistakes == 0 ? 0 : -1;
    }
    if (result == 0 && text_out != NULL) {
        *text_out = text;
    } else {
        free((void *)(uintptr_t)text.data);
    }
    return result;
}
