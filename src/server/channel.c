/* SPDX-License-Identifier: MIT */
#include "server/channel.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

union control {
    struct cmsghdr header; /* aligns */
    uint8_t room[CMSG_SPACE(sizeof(int))];
};

int channel_pair(int ends_out[2])
{
    return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends_out);
}

int channel_send(int channel, const void *message, size_t size, int descriptor)
{
    struct iovec part = {.iov_base = (void *)(uintptr_t)message, .iov_len = size};
    struct msghdr header = {.msg_iov = &part, .msg_iovlen = 1};
    union control control = {.room = {0}};
    if (descriptor >= 0) {
        header.msg_control = &control;
        header.msg_controllen = sizeof control.room;
        struct cmsghdr *first = CMSG_FIRSTHDR(&header);
        first->cmsg_level = SOL_SOCKET;
        first->cmsg_type = SCM_RIGHTS;
        first->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(first), &descriptor, sizeof descriptor);
    }
    ssize_t sent;
    do {
        sent = sendmsg(channel, &header, MSG_NOSIGNAL);
    } while (sent < 0 && errno == EINTR);
    return sent < 0 ? -1 : 0;
}

ssize_t channel_receive(int channel, void *message, size_t capacity, int *descriptor_out)
{
    struct iovec part = {.iov_base = message, .iov_len = capacity};
    union control control = {.room = {0}};
    struct msghdr header = {.msg_iov = &part,
                            .msg_iovlen = 1,
                            .msg_control = &control,
                            .msg_controllen = sizeof control.room};
    ssize_t got;
    do {
        got = recvmsg(channel, &header, MSG_CMSG_CLOEXEC);
    } while (got < 0 && errno == EINTR);
    *descriptor_out = -1;
    if (got < 0) {
        return -1;
    }
    struct cmsghdr *first = CMSG_FIRSTHDR(&header);
    if (first != NULL && first->cmsg_type == SCM_RIGHTS) {
        memcpy(descriptor_out, CMSG_DATA(first), sizeof *descriptor_out);
    }
    if ((header.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0) {
        if (*descriptor_out >= 0) {
            (void)close(*descriptor_out);
            *descriptor_out = -1;
        }
        errno = EMSGSIZE;
        return -1;
    }
    return got;
}
