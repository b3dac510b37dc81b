/* SPDX-License-Identifier: MIT */
/* In a file of its own because the kernel's header, which alone has the counters of octets, cannot be
 * included beside glibc's <netinet/tcp.h>. */
#include "net/tcp_progress.h"

#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/socket.h>

bool tcp_progress(int descriptor, struct tcp_progress *out)
{
    struct tcp_info info = {0};
    socklen_t size = sizeof info;
    if (getsockopt(descriptor, IPPROTO_TCP, TCP_INFO, &info, &size) < 0) {
        return false;
    }
    *out = (struct tcp_progress){.received = info.tcpi_bytes_received,
                                 .acknowledged = info.tcpi_bytes_acked,
                                 .acknowledged_ms_ago = info.tcpi_last_ack_recv};
    return true;
}
