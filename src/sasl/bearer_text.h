/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_SASL_BEARER_TEXT_H
#define RESTANTE_SASL_BEARER_TEXT_H

/* What OAUTHBEARER (RFC 7628) and XOAUTH2 are made of, for both ends. */

#include "base/buffer.h"

enum { BEARER_SEPARATOR = 0x01 }; /* "kvsep" */

/* Is it a "b64token" (RFC 6750 section 2.1)? */
bool bearer_is_token(struct bytes text);

/* Appends a string of JSON, quotes included; what is neither printable nor ASCII is left out. */
void bearer_append_string(struct buffer *out, const char *text);

/* Finds the member `name` of an object of JSON, if it is a string, and puts it into `out`, NUL-terminated, without
 * what JSON would escape and cut to fit. False: there is none, or it is no object. `json` is a stranger's. */
bool bearer_find_string(struct bytes json, const char *name, char *out, size_t capacity);

#endif
