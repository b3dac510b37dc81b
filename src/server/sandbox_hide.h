/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_SERVER_SANDBOX_HIDE_H
#define RESTANTE_SERVER_SANDBOX_HIDE_H

/* For a process that has to reach what nobody can list beforehand, but one file not: modules of PAM, programs of an
 * operator's. Landlock only allows, so all is allowed that stands beside the way to the file; what comes to stand
 * there later is not, and then the process is no longer fit and another has to take its place. */

#include "base/attributes.h"
#include "base/error.h"

struct sandbox_hidden;

/* Hides the file behind `path` from this process and all that it starts, for good. Where the kernel has no Landlock
 * nothing is hidden. As root it is better called before root is given up: then programs may still gain
 * privileges by their files' modes, else not. The result lives as long as the process. One thread. */
int sandbox_hide(const char *path, struct sandbox_hidden **hidden_out,
                 struct error *error) MUST_CHECK;

/* Has something changed beside the way to the file, or can it be read? Some system calls. */
bool sandbox_hidden_is_stale(const struct sandbox_hidden *hidden);

/* Can the file be read all the same? */
bool sandbox_hidden_is_readable(const struct sandbox_hidden *hidden);

#endif
