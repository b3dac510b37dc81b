/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_ACCOUNT_SOURCE_H
#define RESTANTE_ACCOUNT_SOURCE_H

/* Sources of accounts other than the accounts file. Each runs in processes of its own, one question at a
 * time, on one thread that may block: who waits for too long kills the process (server/source_child.c). So
 * a source has no time limits of its own, and nothing in it is shared between two questions that a
 * kill would leave half done. Nothing here may be called on a loop. */

#include "account/accounts.h"
#include "account/secret.h"
#include "account/verifier.h"
#include "base/attributes.h"
#include "base/bytes.h"
#include "base/error.h"

enum {
    SOURCE_NAME_SIZE = 256,
    SOURCE_PATH_SIZE = 512,
    SOURCE_EXTRA_SIZE = 4096, /* room for all app passwords that an account may have */
};

/* What the configuration says, for all types; each looks at its own. Borrowed by the source for its life. An
 * empty text: it was not given. */
struct source_options {
    const char *command;     /* of "command": an absolute path, and arguments with blanks between */
    bool command_looks_up;   /* it has Dovecot's AUTHORIZED */
    const char *pam_service; /* of "pam": a file in /etc/pam.d, or an absolute path */
    const char *sqlite_file;
    const char *sqlite_query;           /* SQL, or the path of a file with it */
    const char *postgresql_connection;  /* for libpq, or the path of a file with it */
    const char *postgresql_query;       /* as sqlite_query */
    const struct token_options *tokens; /* of "oauth": token.h */
};

struct source_question {
    struct bytes
        name; /* user_name_check has accepted it; any other octet may be in it: quotes, '%' ... For
                 "oauth" it may be empty: whose the token is */
    const struct secret *
        password; /* for "oauth" the token. NULL: only a look-up, for delivery or for who has proved otherwise who
                                      he is */
    const char *service; /* "pop3" */
    const char *address; /* the client's, as text; empty: there is none */
    bool is_tls;         /* the client's connection is encrypted */
};

/* Texts end in NUL; an empty one says nothing. */
struct source_answer {
    char name[SOURCE_NAME_SIZE];     /* canonical: it decides maildrop, lock, cache and limits */
    char maildrop[SOURCE_PATH_SIZE]; /* path */
    char home[SOURCE_PATH_SIZE];
    uint32_t uid, gid; /* ACCOUNT_NO_ID: none */
    /* "{SCHEME}hash", for auth to check, for SCRAM and for APOP. Empty: of a question with a password, the
     * source has found it right; of a look-up, no password of this account can be proved without showing
     * it. */
    char verifier[VERIFIER_OCTETS_MAX + 1];
    char extra[SOURCE_EXTRA_SIZE]; /* fields as the accounts file has them, blanks between */
    /* Of "oauth": Unix time up to which the token is good, 0: it does not say; and whether it was not given for
     * this, so that it lets nobody in. */
    uint64_t token_expires_s;
    bool token_lacks_scope;
};

struct source;

/* What a type of source does. */
struct source_functions {
    /* Looks at the options, and connects to nothing: what is away now may be there when a question comes.
     * ERROR_CONFIGURATION: with what is wrong and what would be right; the server does not start. */
    int (*open)(const struct source_options *options, struct source **source_out,
                struct error *error) MUST_CHECK;
    /* 0 and the answer, which comes zeroed and without ids. ERROR_NO_SUCH_USER: the next source is asked.
     * ERROR_BAD_CREDENTIALS: the name is its own, the password is wrong or the account locked; nobody else
     * is asked. ERROR_PERMANENT, of a look-up: it cannot look up names; nobody else is asked. Any other:
     * it cannot say, and nobody else is asked, or who is in a later source would come in under a name of
     * this one. It connects anew where a connection was lost. */
    int (*ask)(struct source *source, const struct source_question *question,
               struct source_answer *answer_out, struct error *error) MUST_CHECK;
    /* Takes NULL; returns NULL. */
    struct source *(*close)(struct source *source);
};

/* One type of source. */
struct source_type {
    const char *name; /* as `source` in [accounts] has it */
    /* It checks passwords itself; else it answers with verifiers, whether there is a password or not, and is
     * not given any. */
    bool checks_passwords;
    bool takes_tokens; /* what it checks is an access token */
    bool needs_root;   /* keeps what privileges the server was started with */
    bool has_own_user; /* may run as another user than auth */
    const struct source_functions *functions; /* NULL: they are in the module of its name */
};

/* The type of that name; NULL: there is none in this build. */
const struct source_type *source_type_find(struct bytes name);

/* What it does; loads its module if it has one. ERROR_CONFIGURATION: that is not there. */
int source_type_functions(const struct source_type *type,
                          const struct source_functions **functions_out,
                          struct error *error) MUST_CHECK;

extern const struct source_functions source_command, source_pam, source_sqlite;

#endif
