/* SPDX-License-Identifier: MIT */
#include "server/log_target.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static const char *socket_path; /* NULL: a stream */
static struct stat socket_facts;

static int open_socket(const char *path, struct error *error)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    (void)snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    /* A log daemon that does not read must not stop the server. */
    int descriptor = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (descriptor < 0 || stat(path, &socket_facts) < 0 ||
        connect(descriptor, (struct sockaddr *)&address, sizeof address) < 0) {
        int number = errno;
        if (descriptor >= 0) {
            (void)close(descriptor);
        }
        return error_set(error, ERROR_CONFIGURATION, number, "no log daemon listens at %s", path);
    }
    return descriptor;
}

static int open_stream(const char *target, struct error *error)
{
    if (strcmp(target, "stderr") == 0) {
        return STDERR_FILENO;
    }
    int descriptor = open(target, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, 0640);
    if (descriptor < 0) {
        return error_set(error, ERROR_CONFIGURATION, errno, "target = %s cannot be opened", target);
    }
    return descriptor;
}

int log_target_use(const struct configuration *configuration, struct error *error)
{
    const char *target = configuration->log_target;
    struct log_output output = {.format = configuration->log_format};
    const char *path = NULL;
    if (strcmp(target, "syslog") == 0) {
        output.target = LOG_TARGET_SYSLOG;
        path = "/dev/log";
    } else if (strcmp(target, "journal") == 0) {
        output.target = LOG_TARGET_JOURNAL;
        path = "/run/systemd/journal/socket";
    }
    output.descriptor = path != NULL ? open_socket(path, error) : open_stream(target, error);
    if (output.descriptor < 0) {
        return -1;
    }
    socket_path = path;
    log_use(&output);
    return 0;
}

bool log_target_moved(void)
{
    struct stat now;
    return socket_path != NULL && stat(socket_path, &now) == 0 &&
           (now.st_ino != socket_facts.st_ino || now.st_dev != socket_facts.st_dev ||
            now.st_ctim.tv_sec != socket_facts.st_ctim.tv_sec ||
            now.st_ctim.tv_nsec != socket_facts.st_ctim.tv_nsec);
}
