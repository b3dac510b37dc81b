/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_FETCH_HELPER_H
#define RESTANTE_FETCH_HELPER_H

/* A command of the person's that runs beside the loop: it gets octets, and what it prints is kept. */

#include <uv.h>

#include "base/bytes.h"
#include "base/error.h"

enum { HELPER_OUTPUT_SIZE = 8448 /* the longest token, and its line end */ };

struct helper;

struct helper_options {
    const char *const *arguments;   /* NULL-terminated; the program is looked up in PATH */
    struct bytes input;             /* borrowed until it is done */
    const char *const *environment; /* NULL-terminated NAME=VALUE, beside ours; NULL: none */
    uint64_t timeout_ms;
    bool has_terminal; /* it may ask the person: standard input stays ours */
};

/* `output`: what it printed, up to HELPER_OUTPUT_SIZE octets, borrowed during the call and wiped after it.
 * `error` NULL: it ended with status 0. Comes once, from the loop; the helper frees itself. */
typedef void helper_done(void *owner, struct bytes output, const struct error *error);

/* Starts it; NULL, and no call, if that fails. */
struct helper *helper_start(uv_loop_t *loop, const struct helper_options *options,
                            helper_done *done, void *owner, struct error *error);
/* The owner no longer waits: the command is ended, and nothing is called. */
void helper_cancel(struct helper *helper);

#endif
