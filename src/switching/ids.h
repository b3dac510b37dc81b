/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_SWITCHING_IDS_H
#define RESTANTE_SWITCHING_IDS_H

#include <stdint.h>

#include "switching/foreign.h"

/* The files in which other programs remember the unique ids of what they have retrieved. */

/* `retrieved_s`: since the epoch, 0: the program does not say. A result below 0 stops. */
typedef int foreign_id_visitor(void *owner, struct bytes unique_id, int64_t retrieved_s);

/* The ids in `text`, a file of that program, of that account. ERROR_CONFIGURATION, with file, line and remedy: it is
 * no such file. -1 of the visitor is returned as it is. */
int foreign_ids_each(struct bytes text, const char *file, enum foreign_program program,
                     const struct foreign_account *account, foreign_id_visitor *visit, void *owner,
                     struct error *error) MUST_CHECK;

#endif
