/* SPDX-License-Identifier: MIT */
#include "server/readiness.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "base/service_notify.h"
#include "net/address.h"

void readiness_notify(const char *state)
{
    int result = service_notify(state);
    if (result < 0) {
        log_write(LOG_LEVEL_WARNING, "systemd cannot be told %s: %s", state, strerror(-result));
    }
}

void readiness_tell(int ready_fd, const struct sockets *sockets)
{
    static const char *const names[] = {[0] = "pop3",
                                        [LISTENER_TLS] = "pop3s",
                                        [LISTENER_PROXY] = "proxy-pop3",
                                        [LISTENER_PROXY | LISTENER_TLS] = "proxy-pop3s"};
    static const char *const remarks[] = {[0] = "",
                                          [LISTENER_TLS] = " (TLS)",
                                          [LISTENER_PROXY] = " (PROXY)",
                                          [LISTENER_PROXY | LISTENER_TLS] = " (PROXY, TLS)"};
    char lines[4 * CONFIGURATION_MOST_LISTEN * (ADDRESS_TEXT_SIZE + sizeof "proxy-pop3s")];
    size_t used = 0;
    for (uint32_t i = 0; i < sockets->count; i++) {
        char address[ADDRESS_TEXT_SIZE];
        used += (size_t)snprintf(lines + used, sizeof lines - used, "%s %s\n",
                                 names[sockets->groups[i].kind],
                                 address_format(&sockets->groups[i].bound, address));
        log_write(LOG_LEVEL_INFO, "listening on %s%s", address, remarks[sockets->groups[i].kind]);
    }
    used += (size_t)snprintf(lines + used, sizeof lines - used, "ready\n");
    if (ready_fd >= 0) {
        if (write(ready_fd, lines, used) != (ssize_t)used) {
            log_write(LOG_LEVEL_WARNING, "descriptor %d does not take the readiness: %s", ready_fd,
                      strerror(errno));
        }
        (void)close(ready_fd);
    }
    readiness_notify("READY=1");
}
