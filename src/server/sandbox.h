/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_SERVER_SANDBOX_H
#define RESTANTE_SERVER_SANDBOX_H

#include <uv.h>

#include "server/configuration.h"

/* What is left to a process that strangers talk to, should one of them take it over. Two fences, each by
 * the kernel and for good: Landlock says which files can be opened, seccomp which system calls there are.
 * What the process holds already (sockets, shared memory, the log) it keeps. */

enum sandbox_role {
    SANDBOX_WORKER,  /* the maildrops, and the sockets that the master gives it */
    SANDBOX_AUTH,    /* to read: the folder of the accounts file */
    SANDBOX_DELEGATE /* one maildrop */
};

struct sandbox {
    enum sandbox_role role;
    const struct configuration *configuration;
    const char *maildrop; /* of a delegate, the path */
};

struct sandbox_support {
    int landlock; /* ABI, from 1; 0: none */
    bool seccomp;
};

/* What this kernel, and this build, can do. */
struct sandbox_support sandbox_support(void);

/* Steps in for good. Before it nothing may have used libuv's threads: they are started in here, for none
 * can be started later. What the kernel lacks is left out: preflight tells it, and refuses where it is
 * required. `landlock_most` is the most that is used of Landlock's ABI; only tests need another than
 * SANDBOX_NEWEST. -1: a fence that the kernel says it has could not be put up. */
enum { SANDBOX_NEWEST = 1000 };
int sandbox_enter(const struct sandbox *sandbox, uv_loop_t *loop, int landlock_most,
                  struct error *error) MUST_CHECK;

/* sandbox.c's parts. Files: the calling thread, and threads that it starts from then on. Calls: all
 * threads. */
int sandbox_close_files(const struct sandbox *sandbox, int abi, struct error *error) MUST_CHECK;
uint64_t sandbox_file_rights(int abi); /* all that this ABI of Landlock can forbid of files */
bool sandbox_has_calls(void);
int sandbox_close_calls(enum sandbox_role role, struct error *error) MUST_CHECK;

#endif
