/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_ACCOUNT_ACCOUNT_LINE_H
#define RESTANTE_ACCOUNT_ACCOUNT_LINE_H

/* One line of the accounts file. All is borrowed from the line, which comes without its line end. */

#include "account/accounts.h"
#include "account/extra_fields.h"
#include "account/verifier.h"
#include "base/attributes.h"
#include "base/bytes.h"
#include "base/error.h"

struct account_line {
    struct bytes name;
    struct bytes password; /* the second field as it stands */
    uint32_t uid, gid;     /* ACCOUNT_NO_ID: the field is no number */
    struct bytes home;     /* empty: the field is no absolute path */
    struct bytes maildrop; /* empty: the configuration says where */
    bool is_in_home;       /* `maildrop` goes on from `home`, with a '/' between */
    struct bytes extra;    /* the extra fields as they stand */
    struct extra_fields fields;
    bool is_locked;
    struct verifier_cost cost; /* of a check; only where not locked */
};

/* An empty line, blanks only, or a comment? */
bool account_line_is_blank(struct bytes line);

/* ERROR_CONFIGURATION with what is wrong and what would be right. The name is given on an error too, if it
 * could be read; else it is empty. */
int account_line_parse(struct bytes line, struct account_line *account_out,
                       struct error *error) MUST_CHECK;

/* Fills the rest of an account that is no line of the file: name, password, ids and home are
 * there already.
 * `has_password`: no password locks it, as in the file. `mail` is what userdb_mail would say, `extra` the
 * fields that follow; each may be empty. Errors as account_line_parse. */
int account_line_complete(struct account_line *account, bool has_password, struct bytes mail,
                          struct bytes extra, struct error *error) MUST_CHECK;

#endif
