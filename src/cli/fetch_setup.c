/* SPDX-License-Identifier: MIT */
/* restante fetch --setup: a few questions, a login that is tried, a section in fetch.conf. Nothing is written before
 * the login has worked, save where a person has to authorize it first. */
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/folder.h"
#include "cli/ask_secret.h"
#include "cli/cli.h"
#include "cli/fetch_command.h"
#include "fetch/discover.h"
#include "fetch/password_keep.h"

enum { ANSWER_OCTETS = 512, ENDED = EX_USAGE };

struct setup {
    struct fetch_command *command;
    struct discovery discovery;
    struct fetch_account *account;
    struct secret *password; /* NULL: the account logs in by a token */
    char name[ANSWER_OCTETS];
    char section[8192];
    /* of the login that was tried last */
    enum error_kind failure;
    char failure_text[512];
    uint32_t listed;
};

/* What was typed, without blanks around it, or the fallback for nothing; false at the end of input. */
static bool ask(const char *question, const char *fallback, char answer[ANSWER_OCTETS])
{
    if (fallback[0] != '\0') {
        (void)printf("%s [%s]: ", question, fallback);
    } else {
        (void)printf("%s: ", question);
    }
    (void)fflush(stdout);
    if (fgets(answer, ANSWER_OCTETS, stdin) == NULL) {
        (void)putchar('\n');
        return false;
    }
    size_t begin = strspn(answer, " \t");
    size_t end = begin + strcspn(answer + begin, "\r\n");
    while (end > begin && (answer[end - 1] == ' ' || answer[end - 1] == '\t')) {
        end--;
    }
    memmove(answer, answer + begin, end - begin);
    answer[end - begin] = '\0';
    if (answer[0] == '\0') {
        (void)snprintf(answer, ANSWER_OCTETS, "%s", fallback);
    }
    return true;
}

/* 1: yes, 0: no, -1: end of input. */
static int ask_yes(const char *question, bool fallback)
{
    char answer[ANSWER_OCTETS];
    for (;;) {
        if (!ask(question, fallback ? "yes" : "no", answer)) {
            return -1;
        }
        if (strcmp(answer, "yes") == 0 || strcmp(answer, "y") == 0) {
            return 1;
        }
        if (strcmp(answer, "no") == 0 || strcmp(answer, "n") == 0) {
            return 0;
        }
        (void)puts("Please answer yes or no.");
    }
}

static bool set(struct setup *setup, const char *option, const char *value)
{
    size_t index = fetch_option_find(option);
    if (fetch_option_set(setup->account, index, value, FETCH_LINE_OF_COMMAND_LINE) == 0) {
        return true;
    }
    (void)printf("That will not do; write %s.\n", fetch_option_row(index).remedy);
    return false;
}

static bool ask_option(struct setup *setup, const char *question, const char *option,
                       const char *fallback)
{
    char answer[ANSWER_OCTETS];
    do {
        if (!ask(question, fallback, answer)) {
            return false;
        }
    } while (!set(setup, option, answer));
    return true;
}

static void append(struct setup *setup, const char *format, ...) PRINTF_LIKE(2, 3);

/* What does not fit is noticed when the section is complete. */
static void append(struct setup *setup, const char *format, ...)
{
    size_t size = strlen(setup->section);
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(setup->section + size, sizeof setup->section - size, format, arguments);
    va_end(arguments);
}

static const char *tls_word(enum fetch_tls tls)
{
    static const char *const words[] = {"implicit", "stls", "never"};
    return words[tls];
}

static bool ask_address(struct setup *setup)
{
    char answer[ANSWER_OCTETS];
    struct error error;
    for (;;) {
        if (!ask("Your mail address", "", answer)) {
            return false;
        }
        if (discover_parse_address(answer, &setup->discovery.address, &error) == 0) {
            return true;
        }
        (void)printf("That will not do: %s.\n", error.text);
    }
}

static bool is_name(const char *name)
{
    return name[0] != '\0' && name[strcspn(name, "[]/;#")] == '\0' && name[0] != '.';
}

static bool ask_name(struct setup *setup)
{
    for (;;) {
        if (!ask("A name for the account", setup->discovery.address.domain, setup->name)) {
            return false;
        }
        if (!is_name(setup->name)) {
            (void)puts("That will not do; write a word, like home or work.");
        } else if (fetch_configuration_find(&setup->command->loaded, setup->name) != NULL) {
            (void)printf("There is an account [%s] already; it stays as it is.\n", setup->name);
        } else {
            return true;
        }
    }
}

/* The server that was found, if the person accepts it. 1, 0, or -1: end of input. */
static int offer_server(struct setup *setup, const struct discover_server *server)
{
    char port[12];
    (void)printf("Found %s, port %u, %s (%s).\n", server->host, server->port,
                 server->tls == FETCH_TLS_IMPLICIT ? "TLS" : "TLS by STLS", server->origin);
    if (server->is_foreign) {
        (void)printf("It is not within %s, and nothing proves that your mail is there.\n",
                     setup->discovery.address.domain);
        int accepted = ask_yes("Do you know it as the place of your mail?", false);
        if (accepted != 1) {
            return accepted;
        }
    }
    (void)snprintf(port, sizeof port, "%u", server->port);
    return set(setup, "host", server->host) && set(setup, "port", port) &&
                   set(setup, "tls", tls_word(server->tls)) && set(setup, "user", server->user)
               ? 1
               : 0;
}

static bool ask_server(struct setup *setup)
{
    struct discovery *discovery = &setup->discovery;
    const char *ca_file = setup->command->values[fetch_option_find("ca-file")];
    struct error error;
    (void)printf("Looking for the server of %s ...\n", discovery->address.domain);
    (void)fflush(stdout);
    if (discover(discovery, ca_file, &error) == 0) {
        int accepted = offer_server(setup, &discovery->servers[discovery->count - 1]);
        if (accepted != 0) {
            return accepted == 1;
        }
    } else {
        (void)printf("Nothing found: %s.\n", error.text);
    }
    return ask_option(setup, "The POP3 server", "host", "") &&
           ask_option(setup, "TLS from the start (implicit), or by the command STLS (stls)", "tls",
                      "implicit") &&
           ask_option(setup, "Its port", "port",
                      setup->account->tls == FETCH_TLS_IMPLICIT ? "995" : "110") &&
           ask_option(setup, "Your name there", "user", discovery->address.whole);
}

static void on_report(void *owner, const struct fetch_report *report)
{
    struct setup *setup = owner;
    if (report->type == REPORT_FAILED) {
        setup->failure = report->kind;
        (void)snprintf(setup->failure_text, sizeof setup->failure_text, "%s", report->text);
    } else if (report->type == REPORT_LISTED) {
        setup->listed = report->progress->messages_listed;
    }
}

/* Logs in and lists; true: it works. */
static bool try_login(struct setup *setup)
{
    struct run_account one = {.account = setup->account};
    struct error error;
    if (setup->password != NULL &&
        secret_create(secret_octets(setup->password), &one.password, &error) < 0) {
        (void)cli_fail(&error);
        return false;
    }
    const struct run_options options = {.accounts = &one,
                                        .count = 1,
                                        .parallel = 1,
                                        .state_folder = setup->command->state_folder,
                                        .dry_run = true,
                                        .report = on_report,
                                        .owner = setup};
    setup->failure_text[0] = '\0';
    (void)printf("Logging in as %s ...\n", setup->account->user);
    (void)fflush(stdout);
    int status = run_accounts(&options);
    secret_free(one.password);
    if (status == EX_OK) {
        (void)printf("It works: %u message%s there.\n", setup->listed,
                     setup->listed == 1 ? " is" : "s are");
        return true;
    }
    (void)printf("%s.\n",
                 setup->failure_text[0] == '\0' ? "It does not work" : setup->failure_text);
    return false;
}

/* Where the whole address is refused, the part before the @ may be meant (RFC 6186 section 4). */
static bool try_login_by_either_name(struct setup *setup)
{
    const struct discover_address *address = &setup->discovery.address;
    if (try_login(setup)) {
        return true;
    }
    return setup->failure == ERROR_BAD_CREDENTIALS && setup->failure_text[0] != '\0' &&
           strcmp(setup->account->user, address->whole) == 0 &&
           set(setup, "user", address->local) && try_login(setup);
}

static bool ask_token(struct setup *setup)
{
    (void)puts(
        "This server wants an access token of OAuth 2.0, not a password. A command may print "
        "one;\nfor a provider that is not known write oauth = custom in fetch.conf instead "
        "(restante-fetch(1)).");
    return ask_option(setup, "A command that prints one", "token-command", "") &&
           set(setup, "auth", "xoauth2");
}

static bool is_complete(struct setup *setup)
{
    size_t index;
    const char *wrong = fetch_account_complete(setup->account, &index);
    if (wrong != NULL) {
        (void)printf("That will not do: %s.\n", wrong);
    }
    return wrong == NULL;
}

static bool ask_client(struct setup *setup, const char *provider)
{
    char answer[ANSWER_OCTETS];
    (void)printf("For that, %s wants to know the program that asks: you register it there once, as "
                 "a client\n(docs/oauth-client.md says how).\n",
                 provider);
    if (!set(setup, "oauth", provider) ||
        !ask_option(setup, "Its client id", "oauth-client-id", "")) {
        return false;
    }
    do {
        if (!ask("The private file with its secret, or nothing if it has none", "", answer)) {
            return false;
        }
    } while (answer[0] != '\0' && !set(setup, "oauth-client-secret-file", answer));
    return is_complete(setup);
}

/* At a provider that is known, nobody needs a password. The login is tried once it is authorized, not here. 1: it is what
 * the account logs in by; 0: the person wants something else; -1: end of input. */
static int offer_oauth(struct setup *setup, bool wants_token)
{
    char question[128];
    const char *provider = oauth_provider_of_host(setup->account->host);
    if (provider == NULL) {
        return 0;
    }
    (void)snprintf(question, sizeof question,
                   "Log in without a password, by tokens of %s (OAuth 2.0)?", provider);
    int accepted = ask_yes(question, wants_token);
    return accepted != 1 || ask_client(setup, provider) ? accepted : -1;
}

static bool ask_login(struct setup *setup)
{
    const struct discovery *discovery = &setup->discovery;
    bool has_found = discovery->count > 0 && discovery->servers[discovery->count - 1].answers;
    bool wants_token = has_found && discovery->servers[discovery->count - 1].wants_token;
    int offered = offer_oauth(setup, wants_token);
    if (offered != 0) {
        return offered == 1;
    }
    for (;;) {
        struct error error;
        char prompt[ANSWER_OCTETS + 32];
        (void)snprintf(prompt, sizeof prompt, "Password of %.300s: ", setup->account->user);
        setup->password = secret_free(setup->password);
        if (wants_token ? !ask_token(setup) : ask_secret(prompt, &setup->password, &error) < 0) {
            return false;
        }
        if (!is_complete(setup)) {
            return false;
        }
        if (try_login_by_either_name(setup)) {
            return true;
        }
        if (ask_yes("Try again?", true) != 1 ||
            !ask_option(setup, "Your name there", "user", discovery->address.whole)) {
            return false;
        }
    }
}

/* Where the mail goes, and what stays on the server. */
static bool ask_fate(struct setup *setup)
{
    char place[ANSWER_OCTETS], keep[ANSWER_OCTETS], fallback[ANSWER_OCTETS + 16];
    (void)snprintf(fallback, sizeof fallback, "~/Mail/%s", setup->name);
    do {
        if (!ask("A folder for the mail (a Maildir)", fallback, place)) {
            return false;
        }
    } while (!set(setup, "maildir", place));
    do {
        if (!ask("Keep the mail on the server: yes, no, or for some days, like 14d", "yes", keep)) {
            return false;
        }
    } while (!set(setup, "keep", keep));
    append(setup, "maildir = %s\n", place);
    append(setup, strcmp(keep, "no") == 0 ? "delete = yes\n" : "keep = %s\n", keep);
    return true;
}

static bool keep_in_file(struct setup *setup, struct error *error)
{
    char *path = setup->command->configuration == NULL ? fetch_configuration_path()
                                                       : strdup(setup->command->configuration);
    char *file = NULL;
    char *slash = path == NULL ? NULL : strrchr(path, '/');
    int size = slash == NULL
                   ? asprintf(&file, "%s.password", setup->name)
                   : asprintf(&file, "%.*s/%s.password", (int)(slash - path), path, setup->name);
    free(path);
    if (size < 0) {
        (void)error_set(error, ERROR_TEMPORARY, 0, "no memory");
        return false;
    }
    bool good = folder_make_for(file, error) == 0 &&
                password_keep_in_file(file, setup->password, error) == 0;
    if (good) {
        append(setup, "password-file = %s\n", file);
        (void)printf("The password is in %s, which nobody else can read.\n", file);
    }
    free(file);
    return good;
}

static bool ask_place_of_password(struct setup *setup)
{
    bool has_keyring = password_has_keyring();
    const struct fetch_account *account = setup->account;
    for (;;) {
        char answer[ANSWER_OCTETS];
        struct error error = {.text = "that is none of them"};
        if (!ask(has_keyring ? "Keep the password in the keyring, in a private file (file), or "
                               "nowhere (ask each time)"
                             : "Keep the password in a private file (file), or nowhere (ask each "
                               "time)",
                 has_keyring ? "keyring" : "file", answer)) {
            return false;
        }
        if (strcmp(answer, "ask") == 0) {
            return true;
        }
        if (strcmp(answer, "file") == 0 && keep_in_file(setup, &error)) {
            return true;
        }
        if (has_keyring && strcmp(answer, "keyring") == 0 &&
            password_keep_in_keyring(account->host, account->user, setup->password, &error) == 0) {
            append(setup, "keyring = yes\n");
            return true;
        }
        (void)printf("That will not do: %s.\n", error.text);
    }
}

static int write_section(struct setup *setup)
{
    const struct fetch_account *account = setup->account;
    struct error error;
    if (account->token_command != NULL) {
        append(setup, "auth = %s\ntoken-command = %s\n", account->auth, account->token_command);
    }
    if (account->oauth != NULL) {
        append(setup, "oauth = %s\noauth-client-id = %s\n", account->oauth,
               account->oauth_client_id);
    }
    if (account->oauth_client_secret_file != NULL) {
        append(setup, "oauth-client-secret-file = %s\n", account->oauth_client_secret_file);
    }
    if (strlen(setup->section) + 1 == sizeof setup->section) {
        (void)error_set(&error, ERROR_USAGE, 0, "the answers are too long for fetch.conf");
        return cli_fail(&error);
    }
    if (fetch_configuration_add(setup->command->configuration, setup->name, setup->section,
                                &error) < 0) {
        return cli_fail(&error);
    }
    (void)printf("\nThe account [%s] is set up. ", setup->name);
    if (account->oauth != NULL) {
        (void)printf("Authorize it, once, by:\n\n    restante fetch --authorize %s\n\n",
                     setup->name);
    }
    (void)printf("Its mail comes by:\n\n    restante fetch %s\n", setup->name);
    return EX_OK;
}

static int ask_all(struct setup *setup)
{
    const char *ca_file = setup->command->values[fetch_option_find("ca-file")];
    struct fetch_account *account;
    if (!ask_address(setup) || !ask_name(setup)) {
        return ENDED;
    }
    account = setup->account = fetch_account_create(setup->name);
    if (account == NULL) {
        return EX_OSERR;
    }
    if (ca_file != NULL && !set(setup, "ca-file", ca_file)) {
        return EX_USAGE;
    }
    if (!ask_server(setup) || !ask_login(setup)) {
        return ENDED;
    }
    append(setup, "[%s]\nhost = %s\nport = %u\ntls = %s\nuser = %s\n", setup->name, account->host,
           account->port, tls_word(account->tls), account->user);
    if (account->ca_file != NULL) {
        append(setup, "ca-file = %s\n", account->ca_file);
    }
    if (!ask_fate(setup) || (setup->password != NULL && !ask_place_of_password(setup))) {
        return ENDED;
    }
    return write_section(setup);
}

int fetch_setup(struct fetch_command *command)
{
    static struct setup setup; /* large */
    if (command->operand_count != 0) {
        return cli_usage("fetch", "--setup takes no account; it asks for all");
    }
    if (!ask_secret_of_person()) {
        return cli_usage("fetch", "--setup asks questions: it needs a terminal; --discover ADDRESS "
                                  "proposes settings without one");
    }
    setup.command = command;
    char *path = command->configuration == NULL ? fetch_configuration_path()
                                                : strdup(command->configuration);
    int status = EX_OK;
    if (path == NULL || access(path, F_OK) == 0) {
        status = fetch_configuration_load(&command->loaded, path) < 0 ? EX_CONFIG : EX_OK;
    }
    free(path);
    if (status != EX_OK) {
        (void)fputs(command->loaded.mistakes, stderr);
        return status;
    }
    (void)signal(SIGPIPE, SIG_IGN);
    status = ask_all(&setup);
    if (status == ENDED) {
        (void)fputs("restante fetch: no account was set up\n", stderr);
    }
    secret_free(setup.password);
    (void)fetch_account_free(setup.account);
    return status;
}
