/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_BASE_USER_NAME_H
#define RESTANTE_BASE_USER_NAME_H

#include "base/attributes.h"
#include "base/bytes.h"
#include "base/error.h"

enum { USER_NAME_OCTETS_MAX = 255 };

/* Refuses the names that no source of accounts and no path may see: empty, over 255 octets, with '/',
 * NUL or another control character, beginning with '.'. 0, or -1 with ERROR_NO_SUCH_USER: nobody can be
 * called so. */
int user_name_check(struct bytes name, struct error *error) MUST_CHECK;

#endif
