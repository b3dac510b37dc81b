/* SPDX-License-Identifier: MIT */
/* UPDATE: QUIT, the only door through which messages leave (RFC 1939 section 6), and the answers to COMMIT
 * and RELEASE. */
#include <pop3/server.h>

#include <assert.h>

#include "pop3/session.h"

struct reply handle_quit(struct pop3_server *session, const struct arguments *arguments)
{
    (void)arguments;
    if (session->state == POP3_TRANSACTION) {
        session_set_state(session, POP3_UPDATE);
        session->doing = DOING_COMMITTING; /* of nothing, too: it unlocks */
        return reply_of(TEXT_NONE);
    }
    session_close(session);
    return reply_of(TEXT_GOODBYE);
}

void pop3_server_committed(struct pop3_server *session, uint32_t not_removed)
{
    assert(session->doing == DOING_COMMITTING);
    session->maildrop_open = false;
    struct reply reply = reply_of(not_removed == 0 ? TEXT_GOODBYE : TEXT_NOT_REMOVED);
    session_reply(session, &reply);
    session_close(session);
}

void pop3_server_released(struct pop3_server *session)
{
    assert(session->doing == DOING_RELEASING);
    session->maildrop_open = false;
    session->doing = DOING_CLOSING;
}
