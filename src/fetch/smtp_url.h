/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_FETCH_SMTP_URL_H
#define RESTANTE_FETCH_SMTP_URL_H

#include <stdbool.h>

#include "base/attributes.h"

enum { SMTP_URL_HOST_OCTETS = 256 };

/* smtp://HOST[:PORT], with TLS by STARTTLS, or smtps://HOST[:PORT], with TLS from the first octet (RFC 8314). */
struct smtp_url {
    bool implicit_tls;
    bool is_loopback;                      /* the host is this machine, as it is written */
    char host[SMTP_URL_HOST_OCTETS];       /* without brackets */
    char place[SMTP_URL_HOST_OCTETS + 10]; /* HOST:PORT or [ADDRESS]:PORT */
};

/* -1: it is none. Ports are 25 and 465 unless one is given. */
int smtp_url_parse(const char *text, struct smtp_url *url_out) MUST_CHECK;

#endif
