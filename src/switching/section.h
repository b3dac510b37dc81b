/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_SWITCHING_SECTION_H
#define RESTANTE_SWITCHING_SECTION_H

#include "switching/foreign.h"

/* The account as a section of fetch.conf, malloc'ed, notes as comments; never with the password in it.
 * ERROR_CONFIGURATION: fetch.conf would not understand it, so that something is to be said first. NULL. */
char *section_make(const struct foreign *foreign, const struct foreign_account *account,
                   struct error *error);

#endif
