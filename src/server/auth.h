/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_SERVER_AUTH_H
#define RESTANTE_SERVER_AUTH_H

/* The auth process: the only one that reads credentials. Returns its exit status. */
int auth_run(void);

#endif
