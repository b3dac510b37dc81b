/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_SWITCHING_FETCHMAIL_ENTRY_H
#define RESTANTE_SWITCHING_FETCHMAIL_ENTRY_H

#include "switching/foreign.h"

enum { FETCHMAIL_TEXT_OCTETS = 1024 };

/* What has been said so far of a server or a user, and cannot be translated before all is. */
struct fetchmail_entry {
    struct foreign_account *account;
    char poll[FETCHMAIL_TEXT_OCTETS], via[FETCHMAIL_TEXT_OCTETS], protocol[FETCHMAIL_TEXT_OCTETS],
        mda[FETCHMAIL_TEXT_OCTETS];
    char smtphost[FETCHMAIL_TEXT_OCTETS], local[FETCHMAIL_TEXT_OCTETS];
    unsigned line, local_names;
    bool skip, ssl, without_tls, certificates_unchecked, keep, flush, fetchall, lmtp, has_user;
};

/* Adds the account that the entry is, or notes why it is none. `ids_file`: as `set idfile` says, or "". */
void fetchmail_translate(struct foreign *out, const char *ids_file, struct fetchmail_entry *entry);

#endif
