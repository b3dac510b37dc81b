/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_FETCH_ACCOUNT_H
#define RESTANTE_FETCH_ACCOUNT_H

/* A remote account as fetch.conf or the command line describes it, by the table options.def. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attributes.h"
#include "oauth/oauth.h"

enum {
#define FETCH_OPTION(name, field, kind, fallback, argument, help) +1
    FETCH_OPTIONS = 0
#include "fetch/options.def"
#undef FETCH_OPTION
};

enum fetch_tls { FETCH_TLS_IMPLICIT, FETCH_TLS_STLS, FETCH_TLS_NEVER };

/* What stays on the server once it is stored here. */
struct fetch_keep {
    enum fetch_keep_kind {
        FETCH_KEEP_NONE,
        FETCH_KEEP_ALL,
        FETCH_KEEP_DAYS,
        FETCH_KEEP_NEWEST
    } kind;
    uint32_t number; /* days since it was stored, or messages */
};

#define FETCH_LINE_OF_COMMAND_LINE UINT32_MAX

struct fetch_account {
    char *name;
    char *file; /* where its section stands; NULL: the command line */
    unsigned line;
    char *host, *user;
    char *password_command, *password_file, *token_command;
    char *oauth; /* a provider; NULL: no tokens are asked for */
    char *oauth_client_id, *oauth_client_secret_file, *oauth_tenant, *oauth_scope;
    char *oauth_service_account, *oauth_authorize_url, *oauth_token_url, *oauth_device_url;
    char *oauth_issuer, *oauth_ca_file;
    char *ca_file, *fingerprint; /* the latter: 64 lower-case hexadecimal digits */
    char *auth;                  /* "auto", "USER", or a name of sasl/mechanisms.def */
    char *filter;
    char *on_new, *on_error, *alive_url;
    char *maildir, *mbox, *pipe, *lmtp, *smtp, *gmail,
        *rcpt; /* one target is there once it is complete */
    char *smtp_from, *smtp_user, *smtp_password_command, *smtp_password_file;
    char *smtp_ca_file, *smtp_fingerprint;
    char *imap, *imap_password_command, *imap_password_file, *imap_auth;
    char *imap_ca_file, *imap_fingerprint, *imap_flags;
    char *imap_user; /* of `imap`, decoded; once it is complete */
    char *imap_oauth, *imap_oauth_client_id, *imap_oauth_client_secret_file, *imap_oauth_scope;
    char *gmail_token_command, *gmail_label, *gmail_url;
    uint32_t port;
    enum fetch_tls tls;
    struct fetch_keep keep;
    uint64_t max_size; /* octets; 0: no limit */
    uint64_t timeout_ms;
    enum oauth_flow oauth_flow;
    bool keyring, oauth_keyring, delete, trace, smtp_tls, imap_clear, imap_mark, gmail_never_spam;
    uint32_t lines[FETCH_OPTIONS]; /* where each option was given; 0: nowhere */
};

/* NULL: no memory. */
struct fetch_account *fetch_account_create(const char *name);
/* Takes NULL; returns NULL. */
struct fetch_account *fetch_account_free(struct fetch_account *account);

/* Does it log in by an access token (OAUTHBEARER, XOAUTH2), not by a password? */
bool fetch_account_uses_token(const struct fetch_account *account);

struct fetch_option {
    const char *name;
    const char *argument; /* as help names it */
    const char *help;
    const char *remedy; /* completes "write ..." where a value is wrong */
    bool may_be_bare;   /* --name alone means yes */
};

/* Row `index` of the table, below FETCH_OPTIONS. */
struct fetch_option fetch_option_row(size_t index);
/* FETCH_OPTIONS: there is none of that name. */
size_t fetch_option_find(const char *name);
/* Sets the option of that row; -1: not a value for it. A later value replaces an earlier one. */
int fetch_option_set(struct fetch_account *account, size_t index, const char *value,
                     uint32_t line) MUST_CHECK;

/* Forgets what contradicts that option: another target, another source of the password, keep or delete. */
void fetch_option_clear_rivals(struct fetch_account *account, size_t index);

/* ~/Mail/NAME, where the mail of an account goes that does not say; malloc'ed. NULL: no memory, no home. */
char *fetch_account_usual_maildir(const char *name);

/* Gives defaults to what was not given. A text that names the option that is missing or contradicts another,
 * and what to write; NULL: the account is complete. `index_out` is that option's row. */
const char *fetch_account_complete(struct fetch_account *account, size_t *index_out);

#endif
