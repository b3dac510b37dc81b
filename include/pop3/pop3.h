/* SPDX-License-Identifier: MIT */
#ifndef POP3_POP3_H
#define POP3_POP3_H

/* libpop3: the Post Office Protocol without input or output. The host moves the octets and does the work;
 * the library knows what the protocol allows. Conventions, for all headers:
 *
 * - sizes are octets; text from the peer is a pointer and a size, never NUL-terminated;
 * - memory belongs to the host; the library never allocates and never blocks;
 * - nothing is thread-safe, and nothing is shared: use one session from one thread at a time. */

#include <pop3/client.h>
#include <pop3/reply.h>
#include <pop3/server.h>
#include <pop3/surrogate.h>

#endif
