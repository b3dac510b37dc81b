/* SPDX-License-Identifier: MIT */
#ifndef POP3_SURROGATE_H
#define POP3_SURROGATE_H

/* The surrogate of a message that needs UTF-8 (RFC 6532), for a client that cannot read it: RFC 6858 section 2,
 * which RFC 6856 section 2.1 asks for. In the header of the message, of its parts and of the messages within it,
 *
 * - an address that is not ASCII becomes an encoded word that shows it, and an address that nobody has; of one that
 *   is ASCII only the name becomes an encoded word (section 2.1);
 * - a parameter of Content-Type or Content-Disposition that is not ASCII is left out (section 2.2);
 * - a Subject that is not ASCII becomes encoded words (section 2.3);
 * - any other field that is not ASCII is left out (section 2.4).
 *
 * All else stays as it is, bodies too. Octets that are no UTF-8 are shown as U+FFFD. A message that is all ASCII in
 * its headers is its own surrogate. The surrogate depends on nothing but the message's octets.
 *
 * Parts are looked for 32 multiparts deep, by boundaries of up to 128 octets; a header field of more than 32 KiB
 * that is not ASCII is left out from there on. */

#include <stddef.h>

#include <pop3/reply.h>

#ifdef __cplusplus
extern "C" {
#endif

struct pop3_surrogate;

/* Octets that a conversion needs, suitably aligned for any object: about 40 KiB. */
POP3_EXPORT size_t pop3_surrogate_size(void);

/* Begins a conversion in `memory` of pop3_surrogate_size() octets. There is nothing to free. */
POP3_EXPORT struct pop3_surrogate *pop3_surrogate_init(void *memory);

/* Takes octets of the message as stored (line ends LF or CR LF), in any pieces in turn, and writes octets of the
 * surrogate, as they would be stored, to `out`, at most `room`, how many to `made_out`. Returns how many were
 * taken: fewer than `size` only if the room is used up. */
POP3_EXPORT size_t pop3_surrogate_feed(struct pop3_surrogate *surrogate, const void *data,
                                       size_t size, void *out, size_t room, size_t *made_out);

/* After the message's last octet: writes what is left of the surrogate to `out`, at most `room` (1 or more), and
 * returns how much; 0: that was all. */
POP3_EXPORT size_t pop3_surrogate_end(struct pop3_surrogate *surrogate, void *out, size_t room);

/* Nonzero: the message, as far as it came, needs UTF-8, so its surrogate is another message. */
POP3_EXPORT int pop3_surrogate_differs(const struct pop3_surrogate *surrogate);

#ifdef __cplusplus
}
#endif

#endif
