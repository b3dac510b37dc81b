/* SPDX-License-Identifier: MIT */
/* New sockets, and old ones put to another use. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "attack.h"

static int new_socket(int family, int type, int protocol)
{
    return socket(family, type | SOCK_CLOEXEC, protocol) < 0 ? -1 : 0;
}

static int socket_inet(const struct world *world)
{
    (void)world;
    return new_socket(AF_INET, SOCK_STREAM, 0);
}

static int socket_udp(const struct world *world)
{
    (void)world;
    return new_socket(AF_INET, SOCK_DGRAM, 0);
}

static int socket_unix(const struct world *world)
{
    (void)world;
    return new_socket(AF_UNIX, SOCK_STREAM, 0);
}

static int socket_netlink(const struct world *world)
{
    (void)world;
    return new_socket(AF_NETLINK, SOCK_RAW, 0);
}

static int socket_packet(const struct world *world)
{
    (void)world;
    return new_socket(AF_PACKET, SOCK_RAW, 0);
}

static int socket_raw(const struct world *world)
{
    (void)world;
    return new_socket(AF_INET, SOCK_RAW, IPPROTO_ICMP);
}

static int make_socketpair(const struct world *world)
{
    (void)world;
    int ends[2];
    return socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends);
}

static int connect_tcp(const struct world *world)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons(world->port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    return connect(world->tcp, (struct sockaddr *)&address, sizeof address);
}

static int bind_tcp(const struct world *world)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    return bind(world->tcp, (struct sockaddr *)&address, sizeof address);
}

/* TCP fast open connects without connect(2). */
static int connect_by_sending(const struct world *world)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons(world->port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    return sendto(world->tcp, "x", 1, MSG_FASTOPEN | MSG_NOSIGNAL, (struct sockaddr *)&address,
                  sizeof address) < 0
               ? -1
               : 0;
}

static int connect_by_message(const struct world *world)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons(world->port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct iovec part = {.iov_base = (void *)(uintptr_t) "x", .iov_len = 1};
    struct msghdr message = {
        .msg_name = &address, .msg_namelen = sizeof address, .msg_iov = &part, .msg_iovlen = 1};
    return sendmsg(world->tcp, &message, MSG_FASTOPEN | MSG_NOSIGNAL) < 0 ? -1 : 0;
}

static int connect_unix(const struct world *world)
{
    return connect(world->unix_stream, (const struct sockaddr *)&world->named, sizeof world->named);
}

static int connect_abstract(const struct world *world)
{
    return connect(world->unix_stream, (const struct sockaddr *)&world->abstract,
                   world->abstract_size);
}

const struct attack attacks_on_network[] = {
    {"socket-inet", false, socket_inet},
    {"socket-udp", false, socket_udp},
    {"socket-unix", false, socket_unix},
    {"socket-netlink", false, socket_netlink},
    {"socket-packet", true, socket_packet},
    {"socket-raw", true, socket_raw},
    {"socketpair", false, make_socketpair},
    {"connect-tcp", false, connect_tcp},
    {"connect-by-sending", false, connect_by_sending},
    {"connect-by-message", false, connect_by_message},
    {"bind-tcp", false, bind_tcp},
    {"connect-unix", false, connect_unix},
    {"connect-abstract", false, connect_abstract},
    {0},
};
