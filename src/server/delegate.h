/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_SERVER_DELEGATE_H
#define RESTANTE_SERVER_DELEGATE_H

/* A process that reads one system user's maildrop as that user, for workers that auth has granted it to. It
 * ends when nobody has needed it for `as-user-idle`. Returns its exit status. */
int delegate_run(void);

#endif
