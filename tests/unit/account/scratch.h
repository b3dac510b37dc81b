/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_TESTS_ACCOUNT_SCRATCH_H
#define RESTANTE_TESTS_ACCOUNT_SCRATCH_H

#include "account/secret.h"

/* A folder of the test's own with one file in it, "accounts". The functions end the test if they fail. */
struct scratch {
    char folder[64];
    char path[96];
    char new_path[96]; /* what a change writes before it renames */
};

void scratch_init(struct scratch *scratch);
void scratch_finish(struct scratch *scratch);
void scratch_write(const struct scratch *scratch, const char *octets, size_t size);
void scratch_write_text(const struct scratch *scratch, const char *text);
/* NUL-terminated; the caller frees. */
char *scratch_read(const struct scratch *scratch, size_t *size_out);

struct secret *secret_of(const char *text);

#endif
