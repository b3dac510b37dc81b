/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_NET_TCP_PROGRESS_H
#define RESTANTE_NET_TCP_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

/* Octets that the kernel has received and that the peer has acknowledged, in a connection's life. */
struct tcp_progress {
    uint64_t received;
    uint64_t acknowledged;
    uint64_t acknowledged_ms_ago; /* since the last segment that acknowledged anything */
};

/* False where `descriptor` is no TCP connection. */
bool tcp_progress(int descriptor, struct tcp_progress *out);

#endif
