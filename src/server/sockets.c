/* SPDX-License-Identifier: MIT */
#include "server/sockets.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <unistd.h>

#include "net/address.h"

enum { BACKLOG = 4096 };

static in_port_t *port_of(struct sockaddr_storage *address)
{
    return address->ss_family == AF_INET6 ? &((struct sockaddr_in6 *)address)->sin6_port
                                          : &((struct sockaddr_in *)address)->sin_port;
}

static int fail(const struct sockaddr_storage *address, int number, struct error *error)
{
    char text[ADDRESS_TEXT_SIZE];
    return error_set(error, number == EADDRINUSE ? ERROR_TEMPORARY : ERROR_CONFIGURATION, number,
                     "listening on %s", address_format(address, text));
}

/* A bound socket that does not listen yet; -1 on failure. */
static int bind_socket(const struct sockaddr_storage *address, socklen_t size, bool reuse_port)
{
    int one = 1;
    int descriptor = socket(address->ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (descriptor < 0) {
        return -1;
    }
    (void)setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (address->ss_family == AF_INET6) {
        (void)setsockopt(descriptor, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof one);
    }
    /* accepted sockets inherit it: no reply waits for the acknowledgement of the one before */
    (void)setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if ((reuse_port && setsockopt(descriptor, SOL_SOCKET, SO_REUSEPORT, &one, sizeof one) < 0) ||
        bind(descriptor, (const struct sockaddr *)address, size) < 0) {
        int number = errno;
        (void)close(descriptor);
        errno = number;
        return -1;
    }
    return descriptor;
}

/* With SO_REUSEPORT a second server would share the port and take half of the connections; without it, it
 * is told. */
static int probe(const struct configuration_address *asked, struct error *error)
{
    int descriptor = bind_socket(&asked->address, asked->size, false);
    if (descriptor < 0 || listen(descriptor, 1) < 0) {
        int number = errno;
        if (descriptor >= 0) {
            (void)close(descriptor);
        }
        return fail(&asked->address, number, error);
    }
    (void)close(descriptor);
    return 0;
}

static int add_socket(struct socket_group *group, struct error *error)
{
    int descriptor = bind_socket(&group->bound, group->asked.size, true);
    if (descriptor < 0 || listen(descriptor, BACKLOG) < 0) {
        int number = errno;
        if (descriptor >= 0) {
            (void)close(descriptor);
        }
        return fail(&group->asked.address, number, error);
    }
    group->sockets[group->count++] = descriptor;
    if (group->count == 1) {
        socklen_t size = sizeof group->bound;
        if (getsockname(descriptor, (struct sockaddr *)&group->bound, &size) < 0) {
            return fail(&group->asked.address, errno, error);
        }
    }
    return 0;
}

static const struct socket_group *find(const struct sockets *sockets,
                                       const struct configuration_address *asked, bool tls)
{
    for (uint32_t i = 0; i < sockets->count; i++) {
        const struct configuration_address *other = &sockets->groups[i].asked;
        if (sockets->groups[i].tls == tls && other->size == asked->size &&
            memcmp(&other->address, &asked->address, asked->size) == 0) {
            return &sockets->groups[i];
        }
    }
    return NULL;
}

static int prepare_group(const struct sockets *current, const struct configuration_address *asked,
                         uint32_t workers, struct socket_group *group, struct error *error)
{
    const struct socket_group *before = find(current, asked, group->tls);
    if (before != NULL) {
        *group = *before;
    } else {
        group->asked = *asked;
        group->bound = asked->address;
        if (*port_of(&group->bound) != 0 && probe(asked, error) < 0) {
            return -1;
        }
    }
    while (group->count < workers) {
        if (add_socket(group, error) < 0) {
            return -1;
        }
    }
    return 0;
}

static int prepare_groups(const struct sockets *current,
                          const struct configuration_addresses *asked, bool tls, uint32_t workers,
                          struct sockets *next, struct error *error)
{
    for (uint32_t i = 0; i < asked->count; i++) {
        struct socket_group *group = &next->groups[next->count++];
        group->tls = tls;
        if (prepare_group(current, &asked->list[i], workers, group, error) < 0) {
            return -1;
        }
    }
    return 0;
}

int sockets_prepare(const struct sockets *current, const struct configuration *configuration,
                    struct sockets *next, struct error *error)
{
    uint32_t workers = configuration->workers;
    *next = (struct sockets){0};
    if (prepare_groups(current, &configuration->listen, false, workers, next, error) < 0 ||
        prepare_groups(current, &configuration->listen_tls, true, workers, next, error) < 0) {
        sockets_drop(next, current);
        return -1;
    }
    return 0;
}

static bool holds(const struct sockets *sockets, int descriptor)
{
    for (uint32_t i = 0; i < sockets->count; i++) {
        for (uint32_t j = 0; j < sockets->groups[i].count; j++) {
            if (sockets->groups[i].sockets[j] == descriptor) {
                return true;
            }
        }
    }
    return false;
}

void sockets_drop(struct sockets *sockets, const struct sockets *other)
{
    for (uint32_t i = 0; i < sockets->count; i++) {
        for (uint32_t j = 0; j < sockets->groups[i].count; j++) {
            if (!holds(other, sockets->groups[i].sockets[j])) {
                (void)close(sockets->groups[i].sockets[j]);
            }
        }
    }
    *sockets = (struct sockets){0};
}
