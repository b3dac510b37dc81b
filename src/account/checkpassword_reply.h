/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_ACCOUNT_CHECKPASSWORD_REPLY_H
#define RESTANTE_ACCOUNT_CHECKPASSWORD_REPLY_H

/* What a checkpassword program runs when the password is right: ourselves. The environment and the ids that it
 * made are reported to the process that had started it. */

#include "account/source.h"
#include "base/attributes.h"

#define CHECKPASSWORD_REPLY_COMMAND "checkpassword-reply"

enum { CHECKPASSWORD_QUESTION = 3, CHECKPASSWORD_REPLY = 4 };

struct checkpassword_reply {
    struct source_answer answer;
    bool is_authorized; /* the program has looked up a name (AUTHORIZED=2) */
};

/* Reports on descriptor 4: USER, HOME, and, as Dovecot's programs call them, userdb_uid, userdb_gid,
 * userdb_mail and AUTHORIZED; without userdb_uid the ids of this process. An exit status, 111 where it
 * could not. */
int checkpassword_reply_write(void);

/* Takes a report that is complete; `descriptor` does not block. Ids that are those of the calling process
 * are none: the program did not become anybody. -1: there is no report. */
int checkpassword_reply_read(int descriptor, struct checkpassword_reply *reply_out) MUST_CHECK;

#endif
