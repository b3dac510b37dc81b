/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_SERVER_CONTROL_H
#define RESTANTE_SERVER_CONTROL_H

#include "base/bytes.h"
#include "base/error.h"

/* Asks the running server something over the control socket in `state_dir` and waits for the answer (10 s
 * at most). Requests are one line, without its LF:
 *
 *     accounts-changed    read the accounts file again; answered once it counts everywhere
 *     lookup USER         answered "user NAME" and, if the account says so, " path PATH"
 *
 * 0: `answer` is the rest of the line after "ok ". -1 with NO_SUCH_USER or whatever the server said;
 * with TEMPORARY and number ECONNREFUSED or ENOENT where none runs. Any thread; blocks. */
int control_request(const char *state_dir, const char *request, char *answer, size_t capacity,
                    struct error *error) MUST_CHECK;

#endif
