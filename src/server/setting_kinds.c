/* SPDX-License-Identifier: MIT */
#include "server/setting_kinds.h"

#include <sched.h>
#include <string.h>

#include "base/number.h"
#include "maildrop/path.h"
#include "net/address.h"
#include "sasl/mechanism.h"
#include "server/configuration.h"

static int parse_text(const char *value, void *field)
{
    if (*value == '\0' || strlen(value) >= CONFIGURATION_VALUE_SIZE) {
        return -1;
    }
    memcpy(field, value, strlen(value) + 1);
    return 0;
}

static int parse_path(const char *value, void *field)
{
    return value[0] == '/' ? parse_text(value, field) : -1;
}

static int parse_name(const char *value, void *field)
{
    static const char letters[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-@$";
    bool good = value[0] != '-' && value[strspn(value, letters)] == '\0';
    return good ? parse_text(value, field) : -1;
}

static int parse_template(const char *value, void *field)
{
    const char *in_home = maildrop_path_in_home(value);
    const char *rest = in_home != NULL ? in_home : value;
    const char *percent = strchr(rest, '%');
    if (percent == NULL && in_home == NULL) {
        return -1;
    }
    for (; percent != NULL; percent = strchr(percent + 2, '%')) {
        if (percent[1] == '\0' || strchr("und", percent[1]) == NULL) {
            return -1;
        }
    }
    return in_home != NULL ? parse_text(value, field) : parse_path(value, field);
}

static int parse_unsigned(const char *value, uint64_t least, uint64_t most, uint32_t *out)
{
    uint64_t number;
    if (number_parse(bytes_of(value), most, &number) < 0 || number < least) {
        return -1;
    }
    *out = (uint32_t)number;
    return 0;
}

static int parse_number(const char *value, void *field)
{
    return parse_unsigned(value, 0, 1000000, field);
}

static int parse_positive(const char *value, void *field)
{
    return parse_unsigned(value, 1, 1000000, field);
}

static int parse_workers(const char *value, void *field)
{
    if (strcmp(value, "auto") != 0) {
        return parse_unsigned(value, 1, CONFIGURATION_MOST_WORKERS, field);
    }
    cpu_set_t cpus;
    int count = sched_getaffinity(0, sizeof cpus, &cpus) == 0 ? CPU_COUNT(&cpus) : 1;
    *(uint32_t *)field =
        (uint32_t)(count > CONFIGURATION_MOST_WORKERS ? CONFIGURATION_MOST_WORKERS : count);
    return 0;
}

static int parse_duration(const char *value, void *field)
{
    return number_parse_duration(bytes_of(value), field);
}

static int parse_timeout(const char *value, void *field)
{
    uint64_t *milliseconds = field;
    return number_parse_duration(bytes_of(value), milliseconds) < 0 || *milliseconds == 0 ? -1 : 0;
}

static int parse_size(const char *value, void *field)
{
    uint64_t *octets = field;
    return number_parse_size(bytes_of(value), octets) < 0 || *octets < (1U << 20) ? -1 : 0;
}

static int parse_boolean(const char *value, void *field)
{
    bool yes = strcmp(value, "yes") == 0;
    *(bool *)field = yes;
    return yes || strcmp(value, "no") == 0 ? 0 : -1;
}

/* The position of `value` in a NULL-terminated list. */
static int parse_choice(const char *value, const char *const *choices, unsigned *out)
{
    for (unsigned i = 0; choices[i] != NULL; i++) {
        if (strcmp(value, choices[i]) == 0) {
            *out = i;
            return 0;
        }
    }
    return -1;
}

static int parse_plaintext_login(const char *value, void *field)
{
    static const char *const choices[] = {"never", "loopback", "always", NULL};
    return parse_choice(value, choices, field);
}

static int parse_store(const char *value, void *field)
{
    static const char *const choices[] = {"maildir", NULL};
    return parse_choice(value, choices, field);
}

static int parse_log_level(const char *value, void *field)
{
    static const char *const choices[] = {"error", "warning", "info", "debug", NULL};
    return parse_choice(value, choices, field);
}

static int parse_log_format(const char *value, void *field)
{
    static const char *const choices[] = {"text", "json", NULL};
    return parse_choice(value, choices, field);
}

static int parse_log_target(const char *value, void *field)
{
    static const char *const choices[] = {"stderr", "syslog", "journal", NULL};
    unsigned choice;
    return parse_choice(value, choices, &choice) == 0 ? parse_text(value, field)
                                                      : parse_path(value, field);
}

static int parse_expire(const char *value, void *field)
{
    if (strcmp(value, "never") == 0) {
        return parse_text("NEVER", field);
    }
    uint32_t days;
    return parse_unsigned(value, 0, 36500, &days) < 0 ? -1 : parse_text(value, field);
}

static int parse_tls_minimum(const char *value, void *field)
{
    static const char *const choices[] = {"1.2", "1.3", NULL};
    return parse_choice(value, choices, field);
}

static int parse_file(const char *value, void *field)
{
    if (strcmp(value, "none") == 0) {
        *(char *)field = '\0';
        return 0;
    }
    return parse_path(value, field);
}

/* The next of a list with commas between, without the blanks around it; NULL at the end. */
static char *next_part(char **rest)
{
    char *part = strsep(rest, ",");
    if (part != NULL) {
        part += strspn(part, " \t");
        size_t size = strlen(part);
        while (size > 0 && strchr(" \t", part[size - 1]) != NULL) {
            part[--size] = '\0';
        }
    }
    return part;
}

static int parse_client_name(const char *value, void *field)
{
    static const char *const choices[] = {"none", "common-name", "email", NULL};
    return parse_choice(value, choices, field);
}

/* Each part of a list; "none" has no parts. */
static int parse_list(const char *value, int (*take)(const char *part, void *field), void *field)
{
    char copy[CONFIGURATION_VALUE_SIZE];
    if (strcmp(value, "none") == 0) {
        return 0;
    }
    if (parse_text(value, copy) < 0) {
        return -1;
    }
    char *rest = copy;
    for (char *part = next_part(&rest); part != NULL; part = next_part(&rest)) {
        if (take(part, field) < 0) {
            return -1;
        }
    }
    return 0;
}

static int take_mechanism(const char *part, void *field)
{
    enum sasl_mechanism mechanism = sasl_mechanism_find(bytes_of(part));
    if (mechanism == SASL_MECHANISM_COUNT) {
        return -1;
    }
    *(uint32_t *)field |= 1U << mechanism;
    return 0;
}

static int parse_mechanisms(const char *value, void *field)
{
    uint32_t *mechanisms = field;
    *mechanisms = 0;
    if (strcmp(value, "auto") == 0) {
        return 0;
    }
    if (strcmp(value, "none") == 0) {
        *mechanisms = 1U << SASL_MECHANISM_COUNT; /* a choice, and of nothing that there is */
    }
    return parse_list(value, take_mechanism, mechanisms);
}

static int take_file(const char *part, void *field)
{
    struct configuration_files *files = field;
    return files->count == CONFIGURATION_MOST_FILES ? -1
                                                    : parse_path(part, files->list[files->count++]);
}

static int parse_files(const char *value, void *field)
{
    ((struct configuration_files *)field)->count = 0;
    return parse_list(value, take_file, field);
}

/* In the order in which they are written; commas or blanks between. */
static int parse_sources(const char *value, void *field)
{
    static const char *const names[] = {"file", "pam", "command", "sqlite", "postgresql", NULL};
    struct configuration_sources *sources = field;
    unsigned taken = 0;
    char copy[CONFIGURATION_VALUE_SIZE];
    sources->count = 0;
    if (parse_text(value, copy) < 0) {
        return -1;
    }
    char *rest = copy;
    for (char *name = strsep(&rest, ", \t"); name != NULL; name = strsep(&rest, ", \t")) {
        unsigned choice;
        if (*name == '\0') {
            continue;
        }
        if (parse_choice(name, names, &choice) < 0 || (taken >> choice & 1) != 0) {
            return -1;
        }
        taken |= 1U << choice;
        memcpy(sources->list[sources->count++], names[choice], strlen(names[choice]) + 1);
    }
    return sources->count == 0 ? -1 : 0;
}

static int parse_processes(const char *value, void *field)
{
    return parse_unsigned(value, 1, CONFIGURATION_MOST_SOURCE_PROCESSES, field);
}

static int parse_pam_service(const char *value, void *field)
{
    return value[0] == '/' ? parse_path(value, field) : parse_name(value, field);
}

static int parse_optional_name(const char *value, void *field)
{
    if (strcmp(value, "none") == 0) {
        *(char *)field = '\0';
        return 0;
    }
    return parse_name(value, field);
}

/* What is in it, its source examines. A control character stands in no text that somebody wrote. */
static int parse_optional_text(const char *value, void *field)
{
    if (strcmp(value, "none") == 0) {
        *(char *)field = '\0';
        return 0;
    }
    for (const char *at = value; *at != '\0'; at++) {
        if ((unsigned char)*at < ' ' && *at != '\t') {
            return -1;
        }
    }
    return parse_text(value, field);
}

static int take_address(const char *part, void *field)
{
    struct configuration_addresses *addresses = field;
    if (addresses->count == CONFIGURATION_MOST_LISTEN) {
        return -1;
    }
    struct configuration_address *address = &addresses->list[addresses->count++];
    return address_parse(part, &address->address, &address->size);
}

static int parse_addresses(const char *value, void *field)
{
    ((struct configuration_addresses *)field)->count = 0;
    return parse_list(value, take_address, field);
}

static int take_network(const char *part, void *field)
{
    struct configuration_networks *networks = field;
    return networks->count == CONFIGURATION_MOST_NETWORKS
               ? -1
               : network_parse(bytes_of(part), &networks->list[networks->count++]);
}

static int parse_networks(const char *value, void *field)
{
    ((struct configuration_networks *)field)->count = 0;
    return parse_list(value, take_network, field);
}

static int parse_client_tls(const char *value, void *field)
{
    static const char *const choices[] = {"unknown", "told", "always", NULL};
    return parse_choice(value, choices, field);
}

const struct kind kind_path = {parse_path, "an absolute path, like /var/lib/restante"};
const struct kind kind_name = {parse_name, "the name of a system user"};
const struct kind kind_workers = {parse_workers, "auto or a number from 1 to 64"};
const struct kind kind_duration = {parse_duration,
                                   "a number with a unit (ms, s, m, h, d), like 30s"};
const struct kind kind_timeout = {
    parse_timeout,
    "a number with a unit (ms, s, m, h, d), like 10m; 0 is no timeout that can be kept"};
const struct kind kind_addresses = {parse_addresses,
                                    "up to 16 of ADDRESS:PORT, like 127.0.0.1:1110, [::1]:1110"};
const struct kind kind_networks = {
    parse_networks, "none or a list of addresses and networks whose other bits are zero, like "
                    "192.0.2.7, 198.51.100.0/24, 2001:db8::/32"};
const struct kind kind_client_tls = {parse_client_tls, "unknown, told or always"};
const struct kind kind_plaintext_login = {parse_plaintext_login, "never, loopback or always"};
const struct kind kind_tls_minimum = {parse_tls_minimum, "1.2 or 1.3"};
const struct kind kind_client_name = {parse_client_name, "none, common-name or email"};
const struct kind kind_mechanisms = {
    parse_mechanisms,
    "auto, none or a list of names, like SCRAM-SHA-256-PLUS, SCRAM-SHA-256, PLAIN"};
const struct kind kind_file = {parse_file, "none or the absolute path of a file"};
const struct kind kind_sources = {
    parse_sources, "a list of file, pam, command, sqlite and postgresql, each at most once"};
const struct kind kind_processes = {parse_processes, "a number from 1 to 16"};
const struct kind kind_pam_service = {
    parse_pam_service, "the name of a file in /etc/pam.d, or the absolute path of another"};
const struct kind kind_optional_name = {parse_optional_name, "none or the name of a system user"};
const struct kind kind_sql = {
    parse_optional_text,
    "none, a query like SELECT name, password FROM accounts WHERE name = :user, or the absolute "
    "path of a file that has it"};
const struct kind kind_connection = {
    parse_optional_text,
    "none, a connection string of libpq like host=/run/postgresql dbname=mail user=restante, or "
    "the absolute path of a file that has it"};
const struct kind kind_files = {
    parse_files, "none or up to 8 absolute paths, like /etc/ssl/one.pem, /etc/ssl/two.pem"};
const struct kind kind_folders = {
    parse_files, "none or up to 8 absolute paths of folders, like /home, /srv/mail"};
const struct kind kind_number = {parse_number, "a number from 0 to 1000000"};
const struct kind kind_positive = {parse_positive, "a number from 1 to 1000000"};
const struct kind kind_expire = {parse_expire, "never or a number of days"};
const struct kind kind_boolean = {parse_boolean, "yes or no"};
const struct kind kind_size = {parse_size, "a size of at least 1M, like 256M"};
const struct kind kind_store = {parse_store, "maildir"};
const struct kind kind_template = {parse_template,
                                   "an absolute path with %u, %n or %d in it, like "
                                   "/var/vmail/%u, or one in each home, like ~/Maildir"};
const struct kind kind_log_target = {parse_log_target,
                                     "stderr, syslog, journal or the absolute path of a file"};
const struct kind kind_log_format = {parse_log_format, "text or json"};
const struct kind kind_log_level = {parse_log_level, "error, warning, info or debug"};
