/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_SERVER_CONFIGURATION_H
#define RESTANTE_SERVER_CONFIGURATION_H

#include <sys/socket.h>

#include "base/bytes.h"
#include "base/error.h"
#include "base/network.h"

enum {
    CONFIGURATION_VALUE_SIZE = 200, /* inih, as Debian builds it, takes lines up to this */
    CONFIGURATION_MOST_LISTEN = 16, /* of each kind */
    CONFIGURATION_MOST_FILES = 8,
    CONFIGURATION_MOST_NETWORKS = 32,
    CONFIGURATION_MOST_WORKERS = 64,
    CONFIGURATION_MOST_SOURCES = 8,
    CONFIGURATION_MOST_SOURCE_PROCESSES = 16, /* of each */
    CONFIGURATION_SOURCE_NAME_SIZE = 16,
#define SETTING(section, key, field, kind, fallback) +1
    CONFIGURATION_SETTINGS = 0
#include "server/settings.def"
#undef SETTING
};

enum plaintext_login { PLAINTEXT_LOGIN_NEVER, PLAINTEXT_LOGIN_LOOPBACK, PLAINTEXT_LOGIN_ALWAYS };
enum configuration_store { STORE_MAILDIR };
enum tls_minimum { TLS_MINIMUM_1_2, TLS_MINIMUM_1_3 };
enum tls_client_name { TLS_CLIENT_NAME_NONE, TLS_CLIENT_NAME_COMMON, TLS_CLIENT_NAME_EMAIL };

/* What is known of a proxy's client: whether it came with TLS. */
enum client_tls {
    CLIENT_TLS_UNKNOWN,
    CLIENT_TLS_TOLD,  /* as the PROXY header says */
    CLIENT_TLS_ALWAYS /* the proxy lets nobody else in */
};

/* What comes first on the connections of a listening socket: bits. The header comes before TLS. */
enum { LISTENER_TLS = 1, LISTENER_PROXY = 2 };

struct configuration_address {
    struct sockaddr_storage address;
    socklen_t size;
};

struct configuration {
    char state_dir[CONFIGURATION_VALUE_SIZE];
    char user[CONFIGURATION_VALUE_SIZE];
    char auth_user[CONFIGURATION_VALUE_SIZE];
    uint32_t workers; /* 1 .. CONFIGURATION_MOST_WORKERS; auto is resolved */
    uint64_t grace_ms;
    bool require_sandbox;
    struct configuration_addresses {
        struct configuration_address list[CONFIGURATION_MOST_LISTEN];
        uint32_t count;
    } listen, listen_tls, proxy_listen, proxy_listen_tls;
    struct configuration_files {
        char list[CONFIGURATION_MOST_FILES][CONFIGURATION_VALUE_SIZE];
        uint32_t count;
    } tls_certificates, tls_keys; /* as many of the one as of the other */
    enum tls_minimum tls_minimum;
    char tls_client_ca[CONFIGURATION_VALUE_SIZE]; /* empty: none */
    enum tls_client_name tls_client_name; /* what of a client's certificate names its account */
    enum plaintext_login plaintext_login;
    uint64_t login_timeout_ms;
    uint64_t idle_timeout_ms;
    uint64_t write_timeout_ms;
    uint32_t max_bad_commands;
    char expire[CONFIGURATION_VALUE_SIZE]; /* as CAPA says it: NEVER or days */
    bool utf8;
    uint64_t login_delay_ms;
    uint32_t mechanisms; /* as struct sasl_offer has them */
    struct configuration_networks {
        struct network list[CONFIGURATION_MOST_NETWORKS];
        uint32_t count;
    } proxies; /* whose word is taken for whom they forward */
    uint64_t proxy_header_timeout_ms;
    bool xclient;
    enum client_tls proxy_client_tls;
    uint32_t connections;
    uint32_t connections_per_address;
    uint32_t connections_per_user;
    uint64_t failure_delay_ms;
    uint64_t failure_delay_max_ms;
    uint32_t failures_per_address; /* 0: no limit */
    uint64_t hash_memory;          /* octets */
    enum configuration_store store;
    char path[CONFIGURATION_VALUE_SIZE];
    struct configuration_files mail_roots; /* besides the one of `path` */
    uint64_t in_use_wait_ms;
    uint64_t take_over_idle_ms;
    bool as_user;             /* the mail of who has a uid is read as that user */
    uint32_t as_user_minimum; /* the least such uid */
    uint64_t as_user_idle_ms; /* so long a delegate waits for work */
    struct configuration_sources {
        char list[CONFIGURATION_MOST_SOURCES][CONFIGURATION_SOURCE_NAME_SIZE]; /* in order */
        uint32_t count;
        uint32_t asked; /* with "oauth" behind them, if tokens are checked: it is only for these */
    } sources;
    char accounts_file[CONFIGURATION_VALUE_SIZE]; /* empty: "file" is not among the sources */
    uint64_t source_timeout_ms;
    uint32_t source_processes; /* of each source but the file */
    char pam_service[CONFIGURATION_VALUE_SIZE];
    char source_command[CONFIGURATION_VALUE_SIZE];
    char command_user[CONFIGURATION_VALUE_SIZE]; /* empty: auth_user */
    bool command_looks_up;
    char sqlite_file[CONFIGURATION_VALUE_SIZE];
    char sqlite_query[CONFIGURATION_VALUE_SIZE]; /* SQL, or the path of a file with it */
    char postgresql_connection
        [CONFIGURATION_VALUE_SIZE]; /* libpq's, or the path of a file with it */
    char postgresql_query[CONFIGURATION_VALUE_SIZE];
    /* [oauth]; empty texts: none */
    char token_keys_file[CONFIGURATION_VALUE_SIZE];
    char token_issuer[CONFIGURATION_VALUE_SIZE];
    char token_audience[CONFIGURATION_VALUE_SIZE];
    char token_user_claim[CONFIGURATION_VALUE_SIZE];
    char token_scope[CONFIGURATION_VALUE_SIZE];
    bool token_users_any;      /* also who is in no source */
    uint32_t token_algorithms; /* as struct token_options has them */
    uint64_t token_skew_ms;
    char token_hosts[CONFIGURATION_VALUE_SIZE]; /* as struct sasl_facts has them */
    char token_discovery_url[CONFIGURATION_VALUE_SIZE];
    char token_introspection_url[CONFIGURATION_VALUE_SIZE];
    char token_client_id[CONFIGURATION_VALUE_SIZE];
    char token_client_secret_file[CONFIGURATION_VALUE_SIZE];
    char token_ca_file[CONFIGURATION_VALUE_SIZE];
    uint64_t token_timeout_ms;
    uint64_t token_cache_ms;
    char log_target[CONFIGURATION_VALUE_SIZE]; /* "stderr", "syslog", "journal" or a path */
    enum log_format log_format;
    enum log_level log_level;
    uint32_t lines[CONFIGURATION_SETTINGS]; /* where each setting stands; 0: nowhere */
};

/* What is to be said of a configuration: lines of `FILE:LINE: what is wrong; what would be right`. */
struct configuration_notes {
    char text[8192];
    size_t size;
    uint32_t mistakes;
    uint32_t warnings;
};

/* Adds a line. `line` 0: the mistake is in none. */
void configuration_note(struct configuration_notes *notes, bool mistake, const char *file,
                        unsigned line, const char *format, ...) PRINTF_LIKE(5, 6);

/* Parses `text`, the content of file `name`, which is only used in messages. All mistakes are noted, not
 * only the first. 0, or -1 if there was one; then *out is not to be used. */
int configuration_parse(const char *name, struct bytes text, struct configuration *out,
                        struct configuration_notes *notes) MUST_CHECK;

/* Reads the whole file: malloc'ed, the caller's. */
int configuration_read(const char *path, struct bytes *text_out, struct error *error) MUST_CHECK;

/* Both, for commands: `error` gets the first mistake. */
int configuration_load(const char *path, struct configuration *out, struct error *error) MUST_CHECK;

/* The line in which a setting stands, of a key or "section.key"; 0 if it does not. */
unsigned configuration_line(const struct configuration *configuration, const char *key);

/* Are access tokens checked? */
bool configuration_has_tokens(const struct configuration *configuration);
/* Is that source the accounts file, which auth reads itself? */
bool configuration_is_file(const struct configuration *configuration, uint32_t source);
/* Is a source of that name in the list? */
bool configuration_has_source(const struct configuration *configuration, const char *name);
bool configuration_has_file(const struct configuration *configuration);
/* Every setting as "section.key", for the test that compares them with the documentation: row `index`, or
 * NULL after the last. */
const char *configuration_setting(size_t index);

#endif
