/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_FETCH_CONFIGURATION_H
#define RESTANTE_FETCH_CONFIGURATION_H

#include "base/bytes.h"
#include "base/error.h"
#include "fetch/account.h"

/* The accounts of fetch.conf, one section each, in the order of the files. Begins as {0}. */
struct fetch_configuration {
    struct fetch_account **accounts;
    size_t count;
    char mistakes[8192]; /* lines `FILE:LINE: what is wrong; what to write instead` */
    size_t mistakes_size;
};

/* Reads `path` and the files conf.d/NAME.conf beside it; NULL: $XDG_CONFIG_HOME/restante/fetch.conf, or
 * ~/.config/restante/fetch.conf, which need not exist. All mistakes are noted, not only the first; the
 * accounts are not completed. 0; or -1 if there is a mistake. To be finished in both cases. */
int fetch_configuration_load(struct fetch_configuration *configuration,
                             const char *path) MUST_CHECK;
/* The fetch.conf of the person, malloc'ed; NULL: no memory, no home folder. */
char *fetch_configuration_path(void);
/* One file's content; `name` is used in messages. */
int fetch_configuration_parse(struct fetch_configuration *configuration, const char *name,
                              struct bytes text) MUST_CHECK;
/* fetch_account_complete; what is wrong is noted. 0 or -1. */
int fetch_configuration_complete(struct fetch_configuration *configuration,
                                 struct fetch_account *account) MUST_CHECK;
/* NULL: there is none of that name. */
struct fetch_account *fetch_configuration_find(const struct fetch_configuration *configuration,
                                               const char *name);
/* Appends a section, the text `section`, to the file `path`, NULL as above, which is made if it is missing, 0600. Its
 * account is called `name`; ERROR_USAGE: there is one already, and nothing is changed. ERROR_CONFIGURATION: the
 * accounts have a mistake. */
int fetch_configuration_add(const char *path, const char *name, const char *section,
                            struct error *error) MUST_CHECK;
void fetch_configuration_finish(struct fetch_configuration *configuration);

#endif
