/* SPDX-License-Identifier: MIT */
#include "scratch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

void scratch_init(struct scratch *scratch)
{
    (void)snprintf(scratch->folder, sizeof scratch->folder, "%s", "/tmp/restante-account-XXXXXX");
    assert_non_null(mkdtemp(scratch->folder));
    (void)snprintf(scratch->path, sizeof scratch->path, "%s/accounts", scratch->folder);
    (void)snprintf(scratch->new_path, sizeof scratch->new_path, "%s/accounts.new", scratch->folder);
}

void scratch_finish(struct scratch *scratch)
{
    (void)unlink(scratch->path);
    (void)unlink(scratch->new_path);
    assert_int_equal(rmdir(scratch->folder), 0);
}

void scratch_write(const struct scratch *scratch, const char *octets, size_t size)
{
    FILE *file = fopen(scratch->path, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(octets, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
}

void scratch_write_text(const struct scratch *scratch, const char *text)
{
    scratch_write(scratch, text, strlen(text));
}

char *scratch_read(const struct scratch *scratch, size_t *size_out)
{
    FILE *file = fopen(scratch->path, "r");
    assert_non_null(file);
    assert_int_equal(fseek(file, 0, SEEK_END), 0);
    size_t size = (size_t)ftell(file);
    rewind(file);
    char *octets = calloc(1, size + 1);
    assert_non_null(octets);
    assert_int_equal(fread(octets, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
    if (size_out != NULL) {
        *size_out = size;
    }
    return octets;
}

struct secret *secret_of(const char *text)
{
    struct secret *secret = NULL;
    struct error error = {0};
    if (secret_create(bytes_of(text), &secret, &error) < 0) {
        fail_msg("%s", error.text);
    }
    return secret;
}
