/* SPDX-License-Identifier: MIT */
/* The asking end of the control socket: one line there, one line back. */
#include "server/control.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/number.h"

enum { ANSWER_SECONDS = 10 };

static int connect_to(const char *state_dir, struct error *error)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int size = snprintf(address.sun_path, sizeof address.sun_path, "%s/control", state_dir);
    if (size < 0 || (size_t)size >= sizeof address.sun_path) {
        return error_set(error, ERROR_CONFIGURATION, 0, "state-dir %s: the path is too long",
                         state_dir);
    }
    AUTO_CLOSE int descriptor = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (descriptor < 0) {
        return error_from_errno(error, errno, "control socket");
    }
    struct timeval limit = {.tv_sec = ANSWER_SECONDS};
    (void)setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    (void)setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    if (connect(descriptor, (struct sockaddr *)&address, sizeof address) < 0) {
        return error_set(error, ERROR_TEMPORARY, errno,
                         "no server answers at %s (is restante serve running?)", address.sun_path);
    }
    int connected = descriptor;
    descriptor = -1;
    return connected;
}

/* Reads up to the end of a line; `line` is NUL-terminated, without its LF. */
static int read_answer(int descriptor, char *line, size_t capacity, struct error *error)
{
    size_t size = 0;
    while (size + 1 < capacity) {
        ssize_t got = read(descriptor, line + size, capacity - 1 - size);
        if (got <= 0) {
            return error_set(error, ERROR_TEMPORARY, got < 0 ? errno : 0,
                             "the server did not answer");
        }
        size += (size_t)got;
        line[size] = '\0';
        char *end = strchr(line, '\n');
        if (end != NULL) {
            *end = '\0';
            return 0;
        }
    }
    return error_set(error, ERROR_PROTOCOL, 0, "the server's answer is too long");
}

/* "error KIND TEXT", KIND as a number of our own. */
static int refuse(const char *line, struct error *error)
{
    uint64_t kind = ERROR_NONE;
    bool is_error = strncmp(line, "error ", 6) == 0;
    const char *rest = is_error ? line + 6 : "";
    struct bytes number = bytes_of(rest);
    number.size = bytes_find(number, ' ');
    if (number_parse(number, ERROR_KIND_COUNT - 1, &kind) < 0 || kind == ERROR_NONE) {
        return error_set(error, ERROR_PROTOCOL, 0, "the server's answer makes no sense");
    }
    rest += number.size;
    return error_set(error, (enum error_kind)kind, 0, "%s", rest + strspn(rest, " "));
}

int control_request(const char *state_dir, const char *request, char *answer, size_t capacity,
                    struct error *error)
{
    AUTO_CLOSE int descriptor = connect_to(state_dir, error);
    if (descriptor < 0) {
        return -1;
    }
    char line[2048];
    int size = snprintf(line, sizeof line, "%s\n", request);
    if (size < 0 || (size_t)size >= sizeof line) {
        return error_set(error, ERROR_USAGE, 0, "the request is too long");
    }
    if (send(descriptor, line, (size_t)size, MSG_NOSIGNAL) != size) {
        return error_set(error, ERROR_TEMPORARY, errno, "the server did not take the request");
    }
    if (read_answer(descriptor, line, sizeof line, error) < 0) {
        return -1;
    }
    if (strcmp(line, "ok") != 0 && strncmp(line, "ok ", 3) != 0) {
        return refuse(line, error);
    }
    const char *text = line[2] == '\0' ? "" : line + 3;
    if (strlen(text) >= capacity) {
        return error_set(error, ERROR_PROTOCOL, 0, "the server's answer is too long");
    }
    memcpy(answer, text, strlen(text) + 1);
    return 0;
}
