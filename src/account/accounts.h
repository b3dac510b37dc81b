/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_ACCOUNT_ACCOUNTS_H
#define RESTANTE_ACCOUNT_ACCOUNTS_H

/* The accounts file: text, one person a line, in Dovecot's passwd-file format
 *
 *     name:{SCHEME}hash:uid:gid:gecos:home:shell:extra fields
 *
 * with trailing fields left out at will, '#' comments and empty lines. uid and gid are numbers; whatever else
 * stands there counts as none, and so does a home that is no absolute path. `struct accounts` is the file as it
 * was when loaded: an index by name over a descriptor that stays open. It holds no verifier: a look-up
 * reads the one line that it is about, so that a {PLAIN} password is in memory no longer than its check.
 *
 * Of the extra fields (extra_fields.h) `userdb_mail=maildir:/path`, or a plain `/path`, says where the
 * maildrop is (`~/` is the home field; without it the configuration says where); `nologin` locks the
 * account; others are rules and app passwords. An empty hash, or one that begins with `!` or `*`, locks it too:
 * a locked account has a maildrop but no password fits.
 *
 * A line with a mistake costs that line only: it is told (accounts_mistake), and whom it names is neither
 * let in nor unknown until it is mended. Of two lines for one name the first counts. */

#include "account/secret.h"
#include "base/attributes.h"
#include "base/bytes.h"
#include "base/error.h"
#include "sasl/scram_keys.h"

struct accounts;

#define ACCOUNT_NO_ID UINT32_MAX

enum {
    ACCOUNT_LINE_OCTETS_MAX = 8192,
    ACCOUNTS_MAX = 16 * 1024 * 1024,
    ACCOUNTS_MISTAKES_KEPT = 32,
};

/* A copy of one account: the caller's, wiped by account_free. */
struct account {
    const char *name; /* the canonical name: as the file spells it */
    const char *verifier;
    const char *extra;    /* the extra fields as text, which extra_fields_parse has accepted */
    const char *maildrop; /* path, or NULL: the configuration says where */
    const char *home;     /* absolute path, or NULL: none is said */
    uint32_t uid, gid;    /* of the system user whose mail it is; ACCOUNT_NO_ID: none is said */
    bool may_login;       /* false: locked or a decoy; account_check spends the time and fails */
    uint32_t line;        /* in the file, from 1; 0 for a decoy */
};

/* Loads `path`. ERROR_CONFIGURATION: not a regular file, or too many accounts; ERROR_TEMPORARY: no memory, or
 * the file changed each time that it was read; else as error_from_errno. */
int accounts_load(const char *path, struct accounts **accounts_out, struct error *error) MUST_CHECK;
/* Loads from a descriptor of a regular file, taken on success; `path` is what messages call it. */
int accounts_load_descriptor(int descriptor, const char *path, struct accounts **accounts_out,
                             struct error *error) MUST_CHECK;
/* Takes NULL; returns NULL. */
struct accounts *accounts_free(struct accounts *accounts);

/* One stat: is the file at the path still the one that was loaded (device, inode, size, mtime, ctime)? A
 * file that was loaded within two clock ticks of its last change is not current, once, later: such a
 * change may hide a second one. Load anew then and compare with accounts_equal. */
bool accounts_is_current(const struct accounts *accounts);
/* Have both the same octets? Then caches need not be voided. */
bool accounts_equal(const struct accounts *a, const struct accounts *b);

struct accounts_facts {
    uint32_t schemes; /* bits 1 << enum verifier_scheme: of secrets that may log in */
    uint32_t
        scram_iterations[SCRAM_HASH_COUNT]; /* the commonest of that scheme; 0: there is none */
    uint32_t count;
    uint32_t locked;
    uint64_t memory_max; /* the most that one check takes, for comparison with `hash-memory` */
    uint32_t memory_max_line;
    uint32_t mistakes;    /* lines that do not count */
    bool readable_by_all; /* mode has o+r: worth a warning */
};

struct accounts_facts accounts_facts(const struct accounts *accounts);

/* Mistake `index` (from 0) as "path:line: what is wrong: what would be right", or NULL after the last or
 * after ACCOUNTS_MISTAKES_KEPT of them. Borrowed as long as `accounts`. */
const char *accounts_mistake(const struct accounts *accounts, uint32_t index);

/* Where the line of an account is, its line end included: for who edits the file. The name is found as
 * accounts_lookup finds it. ERROR_CONFIGURATION: two lines have it. */
struct accounts_place {
    uint64_t offset;
    uint32_t octets;
    uint32_t line;
};

int accounts_locate(const struct accounts *accounts, struct bytes name,
                    struct accounts_place *place_out, struct error *error) MUST_CHECK;

/* All that follow may be called from any thread. They read one line of the file, which takes a
 * microsecond; ERROR_TEMPORARY if someone wrote into the file since it was loaded: load again. */

/* Finds a name, prepared by SASLprep as those of the file are for the comparison, as it is given, else in lower
 * case (ASCII only), as Dovecot does: people type "Alice".
 * ERROR_NO_SUCH_USER: nobody is called so, or could be (user_name_check). ERROR_TEMPORARY, with the mistake:
 * the line that has the name is not as it should be; mail for it waits. */
int accounts_lookup(const struct accounts *accounts, struct bytes name,
                    struct account **account_out, struct error *error) MUST_CHECK;

/* The account to check in place of one that does not exist: its check costs as much as one of the kind
 * that is commonest in the file, and always fails. The file is read as in a look-up. */
int accounts_decoy(const struct accounts *accounts, struct account **account_out,
                   struct error *error) MUST_CHECK;

/* The account `index` (from 0, below facts.count) in the order of the file; errors as accounts_lookup. */
int accounts_at(const struct accounts *accounts, uint32_t index, struct account **account_out,
                struct error *error) MUST_CHECK;

/* The account that another source describes. `has_verifier`: that source answers with verifiers, and no verifier
 * locks the account; else its verifier is empty. ERROR_CONFIGURATION: the answer has a mistake, as a line of
 * the file may have one. */
struct source_answer;
int account_from_answer(const struct source_answer *answer, bool has_verifier,
                        struct account **account_out, struct error *error) MUST_CHECK;

/* Takes NULL; returns NULL. */
struct account *account_free(struct account *account);

#endif
