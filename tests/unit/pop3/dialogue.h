/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_TESTS_POP3_DIALOGUE_H
#define RESTANTE_TESTS_POP3_DIALOGUE_H

/* A file of tests/dialogues, parsed. Its notation: tests/dialogues/README.md. */

#include "base/bytes.h"

enum { DIALOGUE_STATEMENTS_MOST = 400, DIALOGUE_MESSAGES_MOST = 16, DIALOGUE_CONFIG_MOST = 8 };

struct dialogue_statement {
    char kind; /* C c S s L A, or '-' for S-, '!' for C- */
    struct bytes text;
    unsigned line; /* in the file */
};

struct dialogue {
    char *arena; /* all octets that the rest points to */
    size_t arena_used, arena_size;
    enum { DIALOGUE_CONNECTED, DIALOGUE_AUTHORIZATION, DIALOGUE_TRANSACTION } start;
    bool pipelined;
    bool has_why, has_rfc, engine_only;
    struct bytes user, password;
    struct bytes config[DIALOGUE_CONFIG_MOST];
    struct bytes connection[DIALOGUE_CONFIG_MOST];
    unsigned config_count, connection_count;
    struct bytes messages[DIALOGUE_MESSAGES_MOST];
    uint64_t message_octets[DIALOGUE_MESSAGES_MOST]; /* as the header says; 0: it does not */
    unsigned message_count;
    struct dialogue_statement statements[DIALOGUE_STATEMENTS_MOST];
    unsigned statement_count;
    char error[200]; /* why parsing failed */
};

/* 0, or -1 with dialogue->error. */
int dialogue_read(struct dialogue *dialogue, const char *path);
void dialogue_free(struct dialogue *dialogue);

#endif
