/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_SERVER_DELEGATE_MAILDROP_H
#define RESTANTE_SERVER_DELEGATE_MAILDROP_H

#include <uv.h>

#include "maildrop/maildrop.h"

/* A store of one maildrop, which a delegate (delegate.h) reads and changes as its owner: what comes through
 * `channel` is asked for by message, but for octets of mail, which are read from a descriptor that the
 * delegate opened. `channel` is taken on success; `threads` does the reading that may block. A delegate that
 * is gone, or does not answer for two minutes, is ERROR_TEMPORARY. NULL on failure. */
struct maildrop_store *delegate_maildrop_create(uv_loop_t *loop, struct maildrop_executor *threads,
                                                int channel, struct error *error);

#endif
