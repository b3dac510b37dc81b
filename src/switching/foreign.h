/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_SWITCHING_FOREIGN_H
#define RESTANTE_SWITCHING_FOREIGN_H

/* What the configuration of another program says, in the words of fetch.conf. Running out of memory aborts: a
 * configuration is small, and nothing has begun. */

#include <stdbool.h>
#include <stddef.h>

#include "base/attributes.h"
#include "base/bytes.h"
#include "base/error.h"

enum foreign_program {
    FOREIGN_FETCHMAIL,
    FOREIGN_GETMAIL,
    FOREIGN_MPOP,
    FOREIGN_FDM,
    FOREIGN_PROGRAMS
};

enum { FOREIGN_OPTIONS_MOST = 32, FOREIGN_ACCOUNTS_MOST = 1000, FOREIGN_INCLUDES_MOST = 8 };

/* Lines for a person. They never contain a password. */
struct foreign_notes {
    char **lines;
    size_t count;
};

struct foreign_account {
    char *name; /* for a section */
    struct {
        const char *name; /* of src/fetch/options.def; static */
        char *value;
    } options[FOREIGN_OPTIONS_MOST];
    size_t option_count;
    struct foreign_notes notes;
    char *password; /* that stands there in the clear; wiped when freed */
    char *ids_file; /* what is retrieved stands there; "~/" is the home folder; NULL: nowhere */
    char *ids_host, *ids_user; /* whose ids of that file; NULL: all */
    bool deletes_retrieved;    /* the program deletes what an earlier run has retrieved */
};

struct foreign {
    enum foreign_program program;
    struct foreign_account **accounts;
    size_t count;
    struct foreign_notes notes; /* of what concerns no single account */
    /* Reads an included file: malloc'ed octets; 0 or a negated errno. NULL: includes are only noted. */
    int (*include)(void *owner, const char *path, struct bytes *text_out);
    void *owner;
    unsigned includes;
};

/* NULL: there is none of that name; FOREIGN_PROGRAMS. */
const char *foreign_program_name(enum foreign_program program);
enum foreign_program foreign_program_find(const char *name);
/* Which program's configuration it looks like; FOREIGN_PROGRAMS: none's. */
enum foreign_program foreign_program_guess(struct bytes text);

/* The configuration of out->program; `file` is its name, for messages and what is beside it. What has no
 * counterpart is noted; ERROR_CONFIGURATION, with file, line and remedy: it is not what that program
 * understands. To be finished in both cases. */
int foreign_parse(struct bytes text, const char *file, struct foreign *out,
                  struct error *error) MUST_CHECK;
void foreign_finish(struct foreign *foreign);

/* For the parsers, one for each program. */
int foreign_parse_fetchmail(struct bytes text, const char *file, struct foreign *out,
                            struct error *error) MUST_CHECK;
int foreign_parse_getmail(struct bytes text, const char *file, struct foreign *out,
                          struct error *error) MUST_CHECK;
int foreign_parse_mpop(struct bytes text, const char *file, struct foreign *out,
                       struct error *error) MUST_CHECK;
int foreign_parse_fdm(struct bytes text, const char *file, struct foreign *out,
                      struct error *error) MUST_CHECK;

/* ERROR_CONFIGURATION, as FILE:LINE: text; returns -1. */
int foreign_mistake(struct error *error, const char *file, unsigned line, const char *format, ...)
    PRINTF_LIKE(4, 5);
void foreign_note(struct foreign_notes *notes, unsigned line, const char *format, ...)
    PRINTF_LIKE(3, 4);

/* `name` becomes one that a section can have and no other account has. Owned by `out`. */
struct foreign_account *foreign_add(struct foreign *out, const char *name);
/* The same, with the options, notes, password and ids of `from`. */
struct foreign_account *foreign_add_like(struct foreign *out, const char *name,
                                         const struct foreign_account *from);
/* For accounts that are not of the result: defaults. */
struct foreign_account *foreign_account_create(const char *name);
struct foreign_account *foreign_account_free(struct foreign_account *account);
/* What `from` says replaces what `account` says. */
void foreign_merge(struct foreign_account *account, const struct foreign_account *from);

/* Sets an option, replacing what it was. A value that cannot stand in fetch.conf is noted instead. */
void foreign_set(struct foreign_account *account, const char *option, const char *format, ...)
    PRINTF_LIKE(3, 4);
/* NULL: it is not set. */
const char *foreign_get(const struct foreign_account *account, const char *option);
void foreign_unset(struct foreign_account *account, const char *option);

/* Replaces a text of an account; a password is wiped. */
void foreign_replace(char **text, const char *value);
/* A NUL-terminated copy; free. Octets that are NUL are left out. */
char *foreign_copy(struct bytes text);
char *foreign_format(const char *format, ...) PRINTF_LIKE(1, 2);
/* `word` for /bin/sh, quoted if it has to be, after what is in *command (NULL: nothing) and a blank. */
void foreign_append_quoted(char **command, const char *word);
/* Is it a path that fetch.conf understands: absolute, or below "~/"? */
bool foreign_is_path(const char *path);

#endif
