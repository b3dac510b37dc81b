/* SPDX-License-Identifier: MIT */
/* A database's file is read by a process of its own that is whoever will ask it: the one that checks may be root, and
 * must neither parse what others wrote nor load a module that it does not need. */
#include "server/preflight_sources.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "server/child.h"
#include "server/source_child.h"

enum { LIMIT_MS = 10000 };

static void judge(const struct configuration *configuration, const char *name,
                  struct error *error_out)
{
    struct source_options options;
    struct source *source;
    const struct source_functions *functions;
    source_options_of(configuration, &options);
    *error_out = (struct error){0};
    if (child_drop_privileges(configuration->auth_user, error_out) < 0 ||
        source_type_functions(source_type_find(bytes_of(name)), &functions, error_out) < 0 ||
        functions->open(&options, &source, error_out) < 0) {
        return;
    }
    if (strcmp(name, "sqlite") == 0 && access(configuration->sqlite_file, R_OK) < 0) {
        (void)error_from_errno(error_out, errno,
                               "sqlite-file = %s: its accounts cannot be read now",
                               configuration->sqlite_file);
        error_out->kind = ERROR_TEMPORARY;
    }
    (void)functions->close(source);
}

/* In a process that it starts, and ends if it takes too long. */
static void judge_apart(const struct configuration *configuration, const char *name,
                        struct error *error_out)
{
    int ends[2];
    *error_out = (struct error){.kind = ERROR_TEMPORARY, .text = "it does not answer"};
    if (pipe2(ends, O_CLOEXEC) < 0) {
        return;
    }
    pid_t process = fork();
    if (process == 0) {
        struct error verdict;
        judge(configuration, name, &verdict);
        _exit(write(ends[1], &verdict, sizeof verdict) == (ssize_t)sizeof verdict ? 0 : 1);
    }
    (void)close(ends[1]);
    if (process > 0) {
        struct pollfd answer = {.fd = ends[0], .events = POLLIN};
        struct error verdict;
        if (poll(&answer, 1, LIMIT_MS) == 1 &&
            read(ends[0], &verdict, sizeof verdict) == (ssize_t)sizeof verdict) {
            *error_out = verdict;
        }
        (void)kill(process, SIGKILL);
        while (waitpid(process, NULL, 0) < 0 && errno == EINTR) {
        }
    }
    (void)close(ends[0]);
}

static void check(const char *path, const struct configuration *configuration, const char *name,
                  const char *place, const char *query, struct configuration_notes *notes)
{
    struct error error;
    judge_apart(configuration, name, &error);
    bool is_mistake = error.kind == ERROR_CONFIGURATION;
    /* Messages about a setting other than the query begin with its name. */
    bool is_named = strncmp(error.text, place, strlen(place)) == 0;
    const char *key = is_named || !is_mistake ? place : query;
    if (error.kind != ERROR_NONE) {
        configuration_note(notes, is_mistake, path, configuration_line(configuration, key),
                           "%s%s%s", is_named ? "" : key, is_named ? "" : ": ", error.text);
    }
}

void preflight_sources(const char *path, const struct configuration *configuration,
                       struct configuration_notes *notes)
{
    for (uint32_t i = 0; i < configuration->sources.count; i++) {
        const char *name = configuration->sources.list[i];
        if (strcmp(name, "sqlite") == 0) {
            check(path, configuration, name, "sqlite-file", "sqlite-query", notes);
        } else if (strcmp(name, "postgresql") == 0) {
            check(path, configuration, name, "postgresql-connection", "postgresql-query", notes);
        }
    }
}
