/* SPDX-License-Identifier: MIT */
#include "base/service_notify.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/number.h"

int service_notify(const char *state)
{
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (path == NULL || (path[0] != '/' && path[0] != '@') ||
        strlen(path) >= sizeof address.sun_path) {
        return 0;
    }
    memcpy(address.sun_path, path, strlen(path));
    if (path[0] == '@') {
        address.sun_path[0] = '\0'; /* a name in the abstract space */
    }
    socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path));
    AUTO_CLOSE int descriptor = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (descriptor < 0 || sendto(descriptor, state, strlen(state), MSG_NOSIGNAL,
                                 (const struct sockaddr *)&address, size) < 0) {
        return -errno;
    }
    return 0;
}

/* What a variable says; 0: nothing. */
static uint64_t number_of(const char *name)
{
    const char *text = getenv(name);
    uint64_t number;
    return text == NULL || number_parse(bytes_of(text), INT64_MAX, &number) < 0 ? 0 : number;
}

uint64_t service_watchdog_ms(void)
{
    uint64_t process = number_of("WATCHDOG_PID");
    return process != 0 && process != (uint64_t)getpid() ? 0 : number_of("WATCHDOG_USEC") / 1000;
}
