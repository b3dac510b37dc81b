/* SPDX-License-Identifier: MIT */
/* restante fetch --authorize: a person lets us have tokens, at the provider's own pages. */
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/fetch_command.h"
#include "fetch/grant.h"

static void say(void *owner, const char *text)
{
    (void)owner;
    (void)fprintf(stderr, "%s\n", text);
}

/* Where it does not start, the address has been shown. */
static void open_browser(void *owner, const char *url)
{
    const char *const arguments[] = {"xdg-open", url, NULL};
    posix_spawn_file_actions_t actions;
    pid_t pid;
    (void)owner;
    (void)posix_spawn_file_actions_init(&actions);
    for (int descriptor = STDIN_FILENO; descriptor <= STDERR_FILENO; descriptor++) {
        (void)posix_spawn_file_actions_addopen(&actions, descriptor, "/dev/null", O_RDWR, 0);
    }
    (void)posix_spawnp(&pid, arguments[0], &actions, NULL, (char *const *)(uintptr_t)arguments,
                       environ);
    (void)posix_spawn_file_actions_destroy(&actions);
}

static bool has_screen(void)
{
    const char *x11 = getenv("DISPLAY"), *wayland = getenv("WAYLAND_DISPLAY");
    return (x11 != NULL && x11[0] != '\0') || (wayland != NULL && wayland[0] != '\0');
}

/* 0, or an exit status. Who names accounts wants them authorized again. */
static int authorize(const struct oauth_grant *grant, bool again)
{
    const struct oauth_person person = {
        .say = say, .open = has_screen() ? open_browser : NULL, .answers = STDIN_FILENO};
    struct error error;
    bool is_authorized = false;
    if (!again && oauth_is_authorized(grant, &is_authorized, &error) < 0) {
        return cli_fail(&error);
    }
    if (is_authorized) {
        (void)fprintf(stderr, "%s: %s is authorized\n", grant->account, grant->user);
        return EX_OK;
    }
    if (oauth_authorize(grant, &person, &error) < 0) {
        (void)fprintf(stderr, "restante fetch: %s: %s\n", grant->account, error.text);
        return error_exit_status(error.kind);
    }
    (void)fprintf(stderr, "%s: %s is authorized now\n", grant->account, grant->user);
    return EX_OK;
}

int fetch_authorize(struct fetch_command *command)
{
    struct oauth_grant grants[FETCH_GRANTS_MAX];
    int status = fetch_command_find_accounts(command);
    size_t all = 0;
    for (size_t i = 0; status == 0 && i < command->count; i++) {
        size_t count = fetch_grants_list(command->accounts[i].account, grants);
        all += count;
        for (size_t k = 0; status == 0 && k < count; k++) {
            status =
                authorize(&grants[k], command->operand_count != 0 || command->described != NULL);
        }
    }
    if (status == 0 && all == 0) {
        (void)fputs("restante fetch: no account asks for tokens; write oauth = google, microsoft, "
                    "yahoo, aol or custom\n",
                    stderr);
        return EX_CONFIG;
    }
    return status;
}
