/* SPDX-License-Identifier: MIT */
/* A configuration of another program may be any octets, and so may the file of what it has retrieved. The first
 * octet says whose: what is taken from it must be such that fetch.conf can have it, and no note may hold a line's
 * end. */
#include <stdlib.h>

#include "switching/foreign.h"
#include "switching/ids.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
    if (!holds) {
        abort();
    }
}

static int visit(void *owner, struct bytes unique_id, int64_t retrieved_s)
{
    (void)owner;
    must(unique_id.size != 0 && retrieved_s >= 0);
    return 0;
}

static void check_notes(const struct foreign_notes *notes)
{
    for (size_t i = 0; i < notes->count; i++) {
        must(strpbrk(notes->lines[i], "\r\n") == NULL);
    }
}

static void check(const struct foreign *foreign)
{
    check_notes(&foreign->notes);
    for (size_t i = 0; i < foreign->count; i++) {
        const struct foreign_account *account = foreign->accounts[i];
        check_notes(&account->notes);
        must(account->name[0] != '\0' && strpbrk(account->name, "/]\n ") == NULL &&
             account->name[0] != '.');
        for (size_t j = 0; j < account->option_count; j++) {
            must(strpbrk(account->options[j].value, "\r\n") == NULL &&
                 account->options[j].value[0] != '\0');
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct error error;
    if (size == 0) {
        return 0;
    }
    struct bytes text = {data + 1, size - 1};
    enum foreign_program program = (enum foreign_program)(data[0] % FOREIGN_PROGRAMS);
    if ((data[0] / FOREIGN_PROGRAMS) % 2 == 0) {
        struct foreign foreign = {.program = program};
        (void)foreign_program_guess(text);
        if (foreign_parse(text, "rc", &foreign, &error) == 0) {
            check(&foreign);
        } else {
            must(error.kind == ERROR_CONFIGURATION);
        }
        foreign_finish(&foreign);
        return 0;
    }
    struct foreign_account account = {.ids_host = NULL};
    if (foreign_ids_each(text, "ids", program, &account, visit, NULL, &error) < 0) {
        must(error.kind == ERROR_CONFIGURATION);
    }
    return 0;
}
