/* SPDX-License-Identifier: MIT */
#include "fetch/password.h"

#include <stdio.h>

#include "base/private_file.h"

enum { COMMAND_TIMEOUT_MS = 300000 }; /* a person may have to unlock something */

enum password_source password_source(const struct fetch_account *account)
{
    if (account->oauth != NULL) {
        return PASSWORD_OF_OAUTH;
    }
    if (account->password_command != NULL || account->token_command != NULL || account->keyring) {
        return PASSWORD_OF_COMMAND;
    }
    return account->password_file != NULL ? PASSWORD_OF_FILE : PASSWORD_OF_PERSON;
}

struct helper *password_run_command(uv_loop_t *loop, const struct fetch_account *account,
                                    helper_done *done, void *owner, struct error *error)
{
    char port[12];
    (void)snprintf(port, sizeof port, "%u", account->port);
    const char *const keyring[] = {"secret-tool", "lookup", "service",     "restante", "host",
                                   account->host, "user",   account->user, NULL};
    const char *text =
        account->token_command != NULL ? account->token_command : account->password_command;
    const char *const command[] = {"/bin/sh", "-c", text, NULL};
    const struct helper_options options = {.arguments = text != NULL ? command : keyring,
                                           .timeout_ms = COMMAND_TIMEOUT_MS,
                                           .has_terminal = true};
    return helper_start(loop, &options, done, owner, error);
}

static int take_line(struct bytes output, struct bytes *line_out, struct error *error)
{
    struct bytes line = {.data = output.data, .size = bytes_find(output, '\n')};
    if (line.size != 0 && line.data[line.size - 1] == '\r') {
        line.size--;
    }
    if (line.size == 0) {
        return error_set(error, ERROR_CONFIGURATION, 0, "no password is in its first line");
    }
    if (bytes_find(line, '\0') < line.size || bytes_find(line, '\r') < line.size) {
        return error_set(error, ERROR_CONFIGURATION, 0, "what it gave is no password");
    }
    *line_out = line;
    return 0;
}

int password_of_output(const struct fetch_account *account, struct bytes output,
                       struct secret **secret_out, struct error *error)
{
    struct bytes line;
    if (take_line(output, &line, error) < 0) {
        return -1;
    }
    return fetch_account_uses_token(account) ? secret_create_token(line, secret_out, error)
                                             : secret_create(line, secret_out, error);
}

int password_of_line(struct bytes output, struct secret **secret_out, struct error *error)
{
    struct bytes line;
    if (take_line(output, &line, error) < 0) {
        return -1;
    }
    return line.size > SECRET_OCTETS_MAX ? secret_create_token(line, secret_out, error)
                                         : secret_create(line, secret_out, error);
}

int password_read_file(const char *path, struct secret **secret_out, struct error *error)
{
    uint8_t data[HELPER_OUTPUT_SIZE];
    struct error reason;
    struct bytes line;
    ssize_t size = private_file_read(PRIVATE_FILE_ANYWHERE, path, data, sizeof data, error);
    if (size < 0) {
        return -1;
    }
    int result = take_line((struct bytes){data, (size_t)size}, &line, &reason);
    if (result == 0) {
        result = secret_create(line, secret_out, &reason);
    }
    explicit_bzero(data, sizeof data);
    return result < 0 ? error_set(error, reason.kind, 0, "%s: %s", path, reason.text) : 0;
}
