/* SPDX-License-Identifier: MIT */
/* The table of options at work: one row sets one field. */
#include "fetch/account.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fetch/grant.h"
#include "fetch/option_kinds.h"
#include "fetch/smtp_url.h"
#include "fetch/state_name.h"
#include "imap/url.h"
#include "sasl/mechanism.h"

static const struct row {
    const char *name;
    size_t offset;
    const struct option_kind *kind;
    const char *fallback;
    const char *argument;
    const char *help;
} rows[FETCH_OPTIONS] = {
#define FETCH_OPTION(name, field, kind, fallback, argument, help)                                  \
    {name, offsetof(struct fetch_account, field), &option_kind_##kind, fallback, argument, help},
#include "fetch/options.def"
#undef FETCH_OPTION
};

struct fetch_account *fetch_account_create(const char *name)
{
    struct fetch_account *account = calloc(1, sizeof *account);
    if (account != NULL) {
        account->name = strdup(name);
    }
    return account == NULL || account->name != NULL ? account : fetch_account_free(account);
}

static void *field_of(struct fetch_account *account, const struct row *row)
{
    return (char *)account + row->offset;
}

struct fetch_account *fetch_account_free(struct fetch_account *account)
{
    if (account == NULL) {
        return NULL;
    }
    for (size_t i = 0; i < FETCH_OPTIONS; i++) {
        if (rows[i].kind->is_text) {
            free(*(char **)field_of(account, &rows[i]));
        }
    }
    free(account->name);
    free(account->file);
    free(account->imap_user);
    free(account);
    return NULL;
}

struct fetch_option fetch_option_row(size_t index)
{
    const struct row *row = &rows[index];
    return (struct fetch_option){.name = row->name,
                                 .argument = row->argument,
                                 .help = row->help,
                                 .remedy = row->kind->remedy,
                                 .may_be_bare = row->kind->may_be_bare != 0};
}

size_t fetch_option_find(const char *name)
{
    size_t i = 0;
    while (i < FETCH_OPTIONS && strcmp(rows[i].name, name) != 0) {
        i++;
    }
    return i;
}

int fetch_option_set(struct fetch_account *account, size_t index, const char *value, uint32_t line)
{
    account->lines[index] = line;
    return rows[index].kind->parse(value, field_of(account, &rows[index]));
}

static bool is_given(const struct fetch_account *account, const char *name)
{
    return account->lines[fetch_option_find(name)] != 0;
}

/* The second of `names` (NULL-terminated) that was given, or NULL. */
static const char *second_given(const struct fetch_account *account, const char *const *names)
{
    unsigned given = 0;
    for (; *names != NULL; names++) {
        given += is_given(account, *names);
        if (given == 2) {
            return *names;
        }
    }
    return NULL;
}

bool fetch_account_uses_token(const struct fetch_account *account)
{
    enum sasl_mechanism mechanism = sasl_mechanism_find(bytes_of(account->auth));
    return account->oauth != NULL || (mechanism != SASL_MECHANISM_COUNT &&
                                      sasl_mechanism_family(mechanism) == SASL_FAMILY_BEARER);
}

/* Options of which an account has one. */
static const char *const targets[] = {"maildir", "mbox", "pipe",  "lmtp",
                                      "smtp",    "imap", "gmail", NULL};
static const char *const sources[] = {"password-command", "password-file", "keyring",
                                      "token-command",    "oauth",         NULL};
static const char *const smtp_sources[] = {"smtp-password-command", "smtp-password-file", NULL};
static const char *const imap_sources[] = {"imap-password-command", "imap-password-file",
                                           "imap-oauth", NULL};
static const char *const keepers[] = {"keep", "delete", NULL};

static void clear(struct fetch_account *account, size_t index)
{
    void *field = field_of(account, &rows[index]);
    account->lines[index] = 0;
    if (rows[index].kind->is_text) {
        free(*(char **)field);
        *(char **)field = NULL;
    } else {
        (void)rows[index].kind->parse(rows[index].fallback, field);
    }
}

void fetch_option_clear_rivals(struct fetch_account *account, size_t index)
{
    static const char *const *const groups[] = {targets, sources, smtp_sources, imap_sources,
                                                keepers};
    for (size_t i = 0; i < sizeof groups / sizeof groups[0]; i++) {
        bool belongs = false;
        for (const char *const *name = groups[i]; *name != NULL; name++) {
            belongs = belongs || strcmp(*name, rows[index].name) == 0;
        }
        for (const char *const *name = groups[i]; belongs && *name != NULL; name++) {
            size_t rival = fetch_option_find(*name);
            if (rival != index && account->lines[rival] != FETCH_LINE_OF_COMMAND_LINE) {
                clear(account, rival);
            }
        }
    }
}

struct complaint {
    const char *option;
    const char *text;
};

/* Of an account that logs in by tokens where its mail goes. */
static struct complaint find_imap_oauth_mistake(const struct fetch_account *account)
{
    bool is_shared = account->oauth == NULL || strcmp(account->oauth, account->imap_oauth) == 0;
    bool by_token = strcmp(account->imap_auth, "auto") == 0 ||
                    strcmp(account->imap_auth, "OAUTHBEARER") == 0 ||
                    strcmp(account->imap_auth, "XOAUTH2") == 0;
    bool by_secret = account->oauth_flow == OAUTH_BY_CLIENT;
    if (!by_token) {
        return (struct complaint){
            "imap-auth", "imap-oauth gets tokens, which other mechanisms do not take; write auto, "
                         "oauthbearer or xoauth2"};
    }
    if (account->imap_clear) {
        return (struct complaint){"imap-clear", "who reads a token can use it, so it is sent under "
                                                "TLS only; remove imap-clear"};
    }
    if (!is_shared &&
        (strcmp(account->imap_oauth, "custom") == 0 || account->oauth_flow == OAUTH_BY_SERVICE)) {
        return (struct complaint){"imap-oauth", "the URLs and the service account are of the "
                                                "provider of oauth; write imap-password-command = "
                                                "COMMAND, which prints a token, and imap-auth = "
                                                "xoauth2"};
    }
    if (!is_shared && account->imap_oauth_client_id == NULL) {
        return (struct complaint){"imap-oauth", "the client of oauth is another provider's; write "
                                                "imap-oauth-client-id = ID too"};
    }
    if (account->imap_oauth_client_id != NULL && by_secret &&
        account->imap_oauth_client_secret_file == NULL) {
        return (struct complaint){"imap-oauth-client-id",
                                  "oauth-flow = client needs the client's secret; write "
                                  "imap-oauth-client-secret-file = FILE too"};
    }
    return (struct complaint){0};
}

/* What is wrong with where tokens are to come from. */
static struct complaint find_grant_mistake(const struct fetch_account *account)
{
    struct oauth_grant grants[FETCH_GRANTS_MAX];
    size_t count = fetch_grants_list(account, grants);
    bool by_token = strcmp(account->auth, "auto") == 0 ||
                    strcmp(account->auth, "OAUTHBEARER") == 0 ||
                    strcmp(account->auth, "XOAUTH2") == 0;
    if (account->oauth != NULL && !by_token) {
        return (struct complaint){
            "auth", "oauth gets tokens, which other mechanisms do not take; write auto, "
                    "oauthbearer or xoauth2"};
    }
    if (account->imap != NULL && account->imap_oauth != NULL) {
        struct complaint complaint = find_imap_oauth_mistake(account);
        if (complaint.text != NULL) {
            return complaint;
        }
    }
    if (account->oauth_ca_file != NULL && count == 0) {
        return (struct complaint){"oauth-ca-file",
                                  "oauth-ca-file is for asking a provider for tokens; write "
                                  "oauth = PROVIDER too, or remove it"};
    }
    if (account->oauth_ca_file != NULL && access(account->oauth_ca_file, R_OK) < 0) {
        return (struct complaint){"oauth-ca-file",
                                  "the file of oauth-ca-file cannot be read; write the path of "
                                  "the authorities' certificates (PEM)"};
    }
    for (size_t i = 0; i < count; i++) {
        const char *mistake = oauth_grant_mistake(&grants[i]);
        if (mistake != NULL) {
            return (struct complaint){grants[i].use == OAUTH_FOR_IMAP ? "imap-oauth" : "oauth",
                                      mistake};
        }
    }
    return (struct complaint){0};
}

static struct complaint find_token_mistake(const struct fetch_account *account)
{
    bool by_token = fetch_account_uses_token(account);
    if (by_token && account->token_command == NULL && account->oauth == NULL) {
        return (struct complaint){"auth",
                                  "a login by token needs the token; write oauth = PROVIDER "
                                  "or token-command = COMMAND too"};
    }
    if (!by_token && account->token_command != NULL) {
        return (struct complaint){"token-command", "a token is for auth = oauthbearer or xoauth2; "
                                                   "write one of them, or password-command"};
    }
    if (by_token && account->tls == FETCH_TLS_NEVER) {
        return (struct complaint){"tls", "who reads a token can use it, so it is sent under TLS "
                                         "only; write implicit or stls"};
    }
    return find_grant_mistake(account);
}

/* Options that say nothing where mail goes elsewhere. */
static const char *const of_smtp[] = {"smtp-from",          "smtp-user", "smtp-password-command",
                                      "smtp-password-file", "smtp-tls",  "smtp-ca-file",
                                      "smtp-fingerprint",   NULL};

static struct complaint find_smtp_mistake(const struct fetch_account *account)
{
    struct smtp_url url;
    const char *second = second_given(account, smtp_sources);
    bool has_source = account->smtp_password_command || account->smtp_password_file;
    for (const char *const *name = of_smtp; account->smtp == NULL && *name != NULL; name++) {
        if (is_given(account, *name)) {
            return (struct complaint){*name, "it is for smtp; write smtp = URL too, or remove it"};
        }
    }
    if (account->smtp == NULL) {
        return (struct complaint){0};
    }
    if (smtp_url_parse(account->smtp, &url) < 0) {
        return (struct complaint){"smtp", "it is no URL"}; /* it was none when it was given */
    }
    if (account->rcpt == NULL) {
        return (struct complaint){"smtp", "smtp needs a recipient; write rcpt = ADDRESS too"};
    }
    if (second != NULL) {
        return (struct complaint){second, "a password has one source; write smtp-password-command "
                                          "or smtp-password-file"};
    }
    if (account->smtp_user != NULL && !has_source) {
        return (struct complaint){"smtp-user", "a login needs a password; write "
                                               "smtp-password-command or smtp-password-file"};
    }
    if (account->smtp_user == NULL && has_source) {
        return (struct complaint){account->smtp_password_command ? "smtp-password-command"
                                                                 : "smtp-password-file",
                                  "a password needs a name; write smtp-user = NAME too"};
    }
    if (is_given(account, "smtp-tls") && !account->smtp_tls && url.implicit_tls) {
        return (struct complaint){"smtp-tls", "smtps:// is TLS; write smtp://, or remove smtp-tls"};
    }
    if (!account->smtp_tls && account->smtp_user != NULL && !url.is_loopback) {
        return (struct complaint){"smtp-tls", "a password crosses no network in the clear; remove "
                                              "smtp-tls, or smtp-user"};
    }
    return (struct complaint){0};
}

static const char *const of_imap_oauth[] = {"imap-oauth-client-id", "imap-oauth-client-secret-file",
                                            "imap-oauth-scope", NULL};

/* Of an account whose mail goes into an IMAP folder. */
static struct complaint find_imap_mistake(const struct fetch_account *account)
{
    bool is_implicit = strncmp(account->imap, "imaps:", 6) == 0;
    const char *second = second_given(account, imap_sources);
    if (second != NULL) {
        return (struct complaint){second, "the IMAP password has one source; write one of "
                                          "imap-password-command, imap-password-file and "
                                          "imap-oauth"};
    }
    for (const char *const *name = of_imap_oauth; account->imap_oauth == NULL && *name != NULL;
         name++) {
        if (is_given(account, *name)) {
            return (struct complaint){*name, "it is for imap-oauth; write imap-oauth = PROVIDER "
                                             "too, or remove it"};
        }
    }
    if (account->imap_password_command == NULL && account->imap_password_file == NULL &&
        account->imap_oauth == NULL) {
        return (struct complaint){"imap", "imap needs a password; write imap-password-command = "
                                          "COMMAND, imap-password-file = FILE or imap-oauth = "
                                          "PROVIDER too"};
    }
    if (account->imap_clear && is_implicit) {
        return (struct complaint){"imap-clear",
                                  "imaps:// is TLS from the beginning; write imap:// or remove "
                                  "imap-clear"};
    }
    if (account->imap_clear && (account->imap_ca_file || account->imap_fingerprint)) {
        return (struct complaint){"imap-clear",
                                  "imap-clear = yes checks no certificate; remove it, or "
                                  "imap-ca-file and imap-fingerprint"};
    }
    enum sasl_mechanism mechanism = sasl_mechanism_find(bytes_of(account->imap_auth));
    bool is_known = mechanism != SASL_MECHANISM_COUNT;
    if (is_known && sasl_mechanism_family(mechanism) == SASL_FAMILY_APOP) {
        return (struct complaint){"imap-auth", "APOP is POP3's; write auto, USER for LOGIN, or "
                                               "another mechanism"};
    }
    if (account->imap_clear && is_known &&
        (sasl_mechanism_is_plus(mechanism) ||
         sasl_mechanism_family(mechanism) == SASL_FAMILY_BEARER)) {
        return (struct complaint){"imap-auth", "tokens and -PLUS are for TLS only; write another "
                                               "mechanism, or remove imap-clear"};
    }
    return (struct complaint){0};
}

static struct complaint find_gmail_mistake(const struct fetch_account *account)
{
    static const char *const names[] = {"gmail-token-command", "gmail-label", "gmail-never-spam",
                                        "gmail-url", NULL};
    for (const char *const *name = names; account->gmail == NULL && *name != NULL; name++) {
        if (is_given(account, *name)) {
            return (struct complaint){*name, "it is for gmail; write gmail = ADDRESS too, or "
                                             "remove it"};
        }
    }
    bool is_google = account->oauth == NULL || strcmp(account->oauth, "google") == 0 ||
                     strcmp(account->oauth, "custom") == 0;
    if (account->gmail != NULL && account->gmail_token_command == NULL && !is_google) {
        return (struct complaint){"gmail", "the client of another provider gets no tokens for "
                                           "Gmail; write gmail-token-command = COMMAND"};
    }
    return (struct complaint){0};
}

static struct complaint find_contradiction(const struct fetch_account *account)
{
    const char *second;
    struct complaint complaint;
    if (account->host == NULL) {
        return (struct complaint){"host", "host is missing; write the name of the POP3 server"};
    }
    if (account->user == NULL) {
        return (struct complaint){"user", "user is missing; write the name to log in with"};
    }
    if ((second = second_given(account, targets)) != NULL) {
        return (struct complaint){second, "mail can go to one place; write one of maildir, mbox, "
                                          "pipe, lmtp, smtp, imap and gmail"};
    }
    if ((second = second_given(account, sources)) != NULL) {
        return (struct complaint){
            second, "a password has one source; write one of password-command, password-file, "
                    "keyring, token-command and oauth"};
    }
    complaint = find_token_mistake(account);
    if (complaint.text != NULL) {
        return complaint;
    }
    if (account->lmtp != NULL && account->rcpt == NULL) {
        return (struct complaint){"lmtp", "lmtp needs a recipient; write rcpt = ADDRESS too"};
    }
    complaint = find_smtp_mistake(account);
    if (complaint.text == NULL && account->imap != NULL) {
        complaint = find_imap_mistake(account);
    }
    if (complaint.text == NULL) {
        complaint = find_gmail_mistake(account);
    }
    if (complaint.text != NULL) {
        return complaint;
    }
    if (account->delete &&account->keep.kind != FETCH_KEEP_NONE) {
        return (struct complaint){"delete", "delete and keep contradict each other; write one"};
    }
    if (account->tls == FETCH_TLS_NEVER && (account->ca_file || account->fingerprint)) {
        return (struct complaint){
            "tls", "tls = never checks no certificate; write implicit or stls, or remove ca-file "
                   "and fingerprint"};
    }
    if (account->tls == FETCH_TLS_NEVER && strstr(account->auth, "-PLUS") != NULL) {
        return (struct complaint){"auth",
                                  "-PLUS binds to TLS; write a mechanism without it, or use TLS"};
    }
    return (struct complaint){0};
}

static int set_usual_maildir(struct fetch_account *account)
{
    static const char folder[] = "~/Mail/";
    char *name = state_name_of(account->name);
    char *path = name == NULL ? NULL : malloc(sizeof folder + strlen(name));
    int result = -1;
    if (path != NULL) {
        memcpy(path, folder, sizeof folder - 1);
        memcpy(path + sizeof folder - 1, name, strlen(name) + 1);
        result = fetch_option_set(account, fetch_option_find("maildir"), path, 0);
    }
    free(path);
    free(name);
    return result;
}

char *fetch_account_usual_maildir(const char *name)
{
    struct fetch_account *account = fetch_account_create(name);
    char *path = NULL;
    if (account != NULL && set_usual_maildir(account) == 0) {
        path = account->maildir;
        account->maildir = NULL;
    }
    (void)fetch_account_free(account);
    return path;
}

static int set_imap_user(struct fetch_account *account)
{
    struct imap_url url; /* it was one when it was given */
    free(account->imap_user);
    account->imap_user = imap_url_parse(account->imap, &url) == 0 ? strdup(url.user) : NULL;
    return account->imap_user == NULL ? -1 : 0;
}

const char *fetch_account_complete(struct fetch_account *account, size_t *index_out)
{
    for (size_t i = 0; i < FETCH_OPTIONS; i++) {
        if (account->lines[i] == 0 && rows[i].fallback != NULL &&
            fetch_option_set(account, i, rows[i].fallback, 0) < 0) {
            *index_out = i;
            return "out of memory";
        }
    }
    const char *host = oauth_provider_pop3_host(account->oauth);
    if (account->host == NULL && host != NULL && (account->host = strdup(host)) == NULL) {
        *index_out = fetch_option_find("host");
        return "out of memory";
    }
    if (account->imap != NULL && set_imap_user(account) < 0) {
        *index_out = fetch_option_find("imap");
        return "out of memory";
    }
    struct complaint complaint = find_contradiction(account);
    bool has_target = account->maildir || account->mbox || account->pipe || account->lmtp ||
                      account->smtp || account->imap || account->gmail;
    if (complaint.text == NULL && !has_target && set_usual_maildir(account) < 0) {
        complaint = (struct complaint){"maildir",
                                       "there is no home folder for ~/Mail; write maildir = DIR"};
    }
    struct smtp_url url;
    if (account->smtp != NULL && !is_given(account, "smtp-tls") &&
        smtp_url_parse(account->smtp, &url) == 0) {
        account->smtp_tls = !url.is_loopback; /* to this machine only if it is asked for */
    }
    if (account->port == 0) {
        account->port = account->tls == FETCH_TLS_IMPLICIT ? 995 : 110;
    }
    *index_out = complaint.text == NULL ? 0 : fetch_option_find(complaint.option);
    return complaint.text;
}
