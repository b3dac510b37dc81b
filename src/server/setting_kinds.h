/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_SERVER_SETTING_KINDS_H
#define RESTANTE_SERVER_SETTING_KINDS_H

/* The kinds of values that settings.def names: how each is read, and what who wrote a wrong one is told. */
struct kind {
    int (*parse)(const char *value, void *field); /* 0, or -1: not such a value */
    const char *remedy;                           /* completes "write ..." */
};

extern const struct kind kind_path;
extern const struct kind kind_name;
extern const struct kind kind_workers;
extern const struct kind kind_duration;
extern const struct kind kind_timeout;
extern const struct kind kind_addresses;
extern const struct kind kind_networks;
extern const struct kind kind_client_tls;
extern const struct kind kind_plaintext_login;
extern const struct kind kind_tls_minimum;
extern const struct kind kind_client_name;
extern const struct kind kind_mechanisms;
extern const struct kind kind_file;
extern const struct kind kind_sources;
extern const struct kind kind_processes;
extern const struct kind kind_optional_name;
extern const struct kind kind_pam_service;
extern const struct kind kind_sql;
extern const struct kind kind_connection;
extern const struct kind kind_files;
extern const struct kind kind_folders;
extern const struct kind kind_number;
extern const struct kind kind_positive;
extern const struct kind kind_expire;
extern const struct kind kind_boolean;
extern const struct kind kind_size;
extern const struct kind kind_store;
extern const struct kind kind_template;
extern const struct kind kind_claim;
extern const struct kind kind_word;
extern const struct kind kind_https_url;
extern const struct kind kind_introspection_url;
extern const struct kind kind_algorithms;
extern const struct kind kind_hosts;
extern const struct kind kind_token_users;
extern const struct kind kind_log_target;
extern const struct kind kind_log_format;
extern const struct kind kind_log_level;

#endif
