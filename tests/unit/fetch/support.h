/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_TESTS_FETCH_SUPPORT_H
#define RESTANTE_TESTS_FETCH_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fetch/keeper.h"

/* An account that is run without a network: the test says what the server lists and what it sends. */

enum { ACCOUNT_MESSAGES = 64 };

struct account {
    char folder[64]; /* of all that the test makes; state/ is in it */
    char state_folder[128], place[1024];
    struct storer_options options;
    struct keeper_options keeper_options;
    struct keeper *keeper; /* NULL: not running */
    size_t recovered, disappeared;
    struct error error; /* of what failed last */

    struct storer_message messages[ACCOUNT_MESSAGES];
    size_t count;
    /* What was told. */
    struct keeper_outcome outcomes[ACCOUNT_MESSAGES * 4];
    struct error reasons[ACCOUNT_MESSAGES * 4];
    size_t outcome_count;
};

void account_make(struct account *account, enum storer_target_kind kind, const char *place);
void account_remove(struct account *account);
/* Starts a run; it is stopped as by a kill, or finished. */
int account_start(struct account *account);
void account_kill(struct account *account);
void account_finish(struct account *account);
/* Ids, "a b c"; "-" is a message without one. Octets: as account->octets says, else 100. */
void account_list(struct account *account, const char *ids);
void account_list_octets(struct account *account, const char *ids, const uint64_t *octets);
/* The message comes whole. 0, or -1. */
int account_fetch(struct account *account, size_t index, const char *text);
int account_fetch_header(struct account *account, size_t index, const char *text);
void account_flush(struct account *account);
enum storer_standing account_standing(const struct account *account, size_t index);
/* What was told of a message last; -1: nothing. */
int account_told(const struct account *account, size_t index);
const char *account_reason(const struct account *account, size_t index);

/* Files below account->folder. The text is freed by the next call. */
const char *file_text(const char *path);
void write_file(const char *path, const char *text);
/* Entries of a folder; and how many of these have the text. */
size_t count_files(const char *folder);
size_t count_files_with(const char *folder, const char *text);

#endif
