/* SPDX-License-Identifier: MIT */
/* restante fetch --discover ADDRESS: a section for fetch.conf, with what each line rests on. */
#include <stdio.h>
#include <sysexits.h>

#include "cli/cli.h"
#include "cli/fetch_command.h"
#include "fetch/discover.h"

static void print_failures(const struct discovery *discovery)
{
    for (size_t i = 0; i < discovery->count; i++) {
        const struct discover_server *server = &discovery->servers[i];
        if (!server->answers) {
            (void)fprintf(stderr, "restante fetch: %s:%u (%s): %s\n", server->host, server->port,
                          server->origin, server->failure.text);
        }
    }
    for (const char *line = discovery->notes; *line != '\0';) {
        int size = (int)strcspn(line, "\n");
        (void)fprintf(stderr, "restante fetch: %.*s\n", size, line);
        line += size + (line[size] == '\n');
    }
}

static void print_section(const struct discovery *discovery, const char *ca_file)
{
    const struct discover_address *address = &discovery->address;
    const struct discover_server *server = &discovery->servers[discovery->count - 1];
    (void)printf("[%s]\n"
                 "# From %s; it answered, under TLS, with a good certificate.\n",
                 address->domain, server->origin);
    if (server->is_foreign) {
        (void)printf("# %s is not within %s, and nothing proves that the domain means it:\n"
                     "# take it if you know it as the place of your mail (RFC 6186 section 6).\n",
                     server->host, address->domain);
    }
    (void)printf("host = %s\nport = %u\ntls = %s\n", server->host, server->port,
                 server->tls == FETCH_TLS_IMPLICIT ? "implicit" : "stls");
    if (ca_file != NULL) {
        (void)printf("ca-file = %s\n", ca_file);
    }
    if (strcmp(server->user, address->whole) == 0) {
        (void)printf("# The whole address, as most servers want it. If the login is refused: %s\n",
                     address->local);
    }
    (void)printf("user = %s\n", server->user);
    (void)puts(server->wants_token
                   ? "# It wants an access token, not a password: see oauth, and token-command, in "
                     "restante-fetch(1).\nauth = xoauth2"
                   : "# The password is asked for, unless password-command, password-file or "
                     "keyring says it.");
}

int fetch_discover(struct fetch_command *command)
{
    static struct discovery discovery; /* large */
    const char *ca_file = command->values[fetch_option_find("ca-file")];
    struct error error;
    if (command->operand_count != 0) {
        return cli_usage("fetch", "--discover takes an address, and no account");
    }
    if (discover_parse_address(command->address, &discovery.address, &error) < 0) {
        return cli_usage("fetch", "--discover: %s", error.text);
    }
    int result = discover(&discovery, ca_file, &error);
    if (result < 0 || command->output.verbose) {
        print_failures(&discovery);
    }
    if (result < 0) {
        return cli_fail(&error);
    }
    print_section(&discovery, ca_file);
    return EX_OK;
}
