/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_FETCH_OPTION_KINDS_H
#define RESTANTE_FETCH_OPTION_KINDS_H

/* The kinds of values in options.def: how each is read, and what is said of a value that is none. */

struct option_kind {
    int (*parse)(const char *value, void *field); /* 0 or -1 */
    const char *remedy;
    int is_text; /* the field is a char *, to be freed */
    int may_be_bare;
};

extern const struct option_kind option_kind_text, option_kind_url, option_kind_path,
    option_kind_port, option_kind_boolean, option_kind_tls, option_kind_fingerprint,
    option_kind_auth, option_kind_timeout, option_kind_keep, option_kind_size, option_kind_smtp_url,
    option_kind_provider, option_kind_flow, option_kind_imap, option_kind_flags,
    option_kind_address, option_kind_http_url;

#endif
