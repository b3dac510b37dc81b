/* SPDX-License-Identifier: MIT */
#include "server/sockets.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <unistd.h>

#include "net/address.h"

enum { BACKLOG = 4096 };

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

static bool are_equal(const struct sockaddr_storage *a, const struct configuration_address *b)
{
    return memcmp(a, &b->address, b->size) == 0;
}

/* An address may move from one list to another; while the kernel chooses its port, only the kind tells one
 * from the other. */
static const struct socket_group *find(const struct sockets *sockets,
                                       const struct configuration_address *asked, uint32_t kind)
{
    for (uint32_t i = 0; i < sockets->count; i++) {
        const struct socket_group *group = &sockets->groups[i];
        if ((group->kind == kind && are_equal(&group->asked.address, asked)) ||
            are_equal(&group->bound, asked)) {
            return group;
        }
    }
    return NULL;
}

static int prepare_group(const struct sockets *current, const struct configuration_address *asked,
                         uint32_t workers, struct socket_group *group, struct error *error)
{
    uint32_t kind = group->kind;
    const struct socket_group *before = find(current, asked, kind);
    if (before != NULL) {
        *group = *before;
        group->asked = *asked;
        group->kind = kind;
    } else {
        group->asked = *asked;
        group->bound = asked->address;
        if (address_port(&group->bound) != 0 && probe(asked, error) < 0) {
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
                          const struct configuration_addresses *asked, uint32_t kind,
                          uint32_t workers, struct sockets *next, struct error *error)
{
    for (uint32_t i = 0; i < asked->count; i++) {
        struct socket_group *group = &next->groups[next->count++];
        group->kind = kind;
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
    const struct configuration_addresses *lists[] = {
        [0] = &configuration->listen,
        [LISTENER_TLS] = &configuration->listen_tls,
        [LISTENER_PROXY] = &configuration->proxy_listen,
        [LISTENER_PROXY | LISTENER_TLS] = &configuration->proxy_listen_tls,
    };
    for (uint32_t kind = 0; kind < sizeof lists / sizeof lists[0]; kind++) {
        if (prepare_groups(current, lists[kind], kind, workers, next, error) < 0) {
            sockets_drop(next, current);
            return -1;
        }
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
