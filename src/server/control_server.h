/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_SERVER_CONTROL_SERVER_H
#define RESTANTE_SERVER_CONTROL_SERVER_H

#include <sys/types.h>
#include <uv.h>

#include "base/error.h"

/* The answering end of the control socket. */

struct control_server {
    uv_pipe_t pipe;
    uid_t user; /* who may ask, beside root and ourselves */
    void *owner;
    /* A request came; answered with `ticket`, now or later. */
    void (*request)(struct control_server *server, uint64_t ticket, const char *line);
    struct control_connection *connections;
    uint64_t last_ticket;
    int lock; /* held while the state folder is ours */
    char path[256];
};

/* Makes the state folder if only its last part is missing, takes it (another server that has it is an
 * error) and listens. `server` is zeroed but for user, owner and request. */
int control_server_start(struct control_server *server, uv_loop_t *loop, const char *state_dir,
                         struct error *error) MUST_CHECK;

/* Answers "ok", with `text` if it is not NULL, or the error. A ticket that is gone is no mistake. */
void control_server_answer(struct control_server *server, uint64_t ticket, const char *text);
void control_server_refuse(struct control_server *server, uint64_t ticket,
                           const struct error *error);

/* Removes the socket. */
void control_server_stop(struct control_server *server);

#endif
