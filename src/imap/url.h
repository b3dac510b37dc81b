/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_IMAP_URL_H
#define RESTANTE_IMAP_URL_H

#include "base/attributes.h"
#include "base/bytes.h"

/* imaps://USER@HOST[:PORT]/MAILBOX or imap://..., RFC 5092 as far as it names a mailbox. */
struct imap_url {
    bool is_implicit_tls; /* imaps */
    uint32_t port;        /* 993 or 143 where none is given */
    char user[256];       /* percent-decoded, as is the mailbox */
    char host[256];       /* a name, or an address without brackets */
    char mailbox[512];    /* INBOX where none is given; UTF-8, levels separated by / */
};

/* -1: it is none. The user's name ends at the last @ before the mailbox, so that an address may be written as it
 * is. */
int imap_url_parse(const char *text, struct imap_url *url_out) MUST_CHECK;

#endif
