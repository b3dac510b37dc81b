/* SPDX-License-Identifier: MIT */
/* What is written is read before it is given to anybody: by the code that will read it. */
#include "switching/section.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fetch/configuration.h"

static void append(char **text, char *more)
{
    char *longer = foreign_format("%s%s", *text, more);
    free(*text);
    free(more);
    *text = longer;
}

static void append_notes(char **text, const struct foreign_notes *notes)
{
    for (size_t i = 0; i < notes->count; i++) {
        append(text, foreign_format("# %s\n", notes->lines[i]));
    }
}

/* An account that lacks what no other program says either is the person's to complete. */
static int check(const struct foreign_account *account, const char *text, struct error *error)
{
    struct fetch_configuration *configuration = calloc(1, sizeof *configuration);
    int result = -1;
    if (configuration == NULL) {
        return error_set(error, ERROR_TEMPORARY, 0, "out of memory");
    }
    if (fetch_configuration_parse(configuration, account->name, bytes_of(text)) < 0 ||
        configuration->count != 1) {
        (void)error_set(error, ERROR_CONFIGURATION, 0, "%.*s",
                        (int)strcspn(configuration->mistakes, "\n"), configuration->mistakes);
    } else {
        result = 0;
    }
    fetch_configuration_finish(configuration);
    free(configuration);
    return result;
}

char *section_make(const struct foreign *foreign, const struct foreign_account *account,
                   struct error *error)
{
    char *text = foreign_format("# Taken over from %s.\n", foreign_program_name(foreign->program));
    append_notes(&text, &foreign->notes);
    append_notes(&text, &account->notes);
    append(&text, foreign_format("[%s]\n", account->name));
    for (size_t i = 0; i < account->option_count; i++) {
        append(&text,
               foreign_format("%s = %s\n", account->options[i].name, account->options[i].value));
    }
    if (check(account, text, error) < 0) {
        free(text);
        return NULL;
    }
    return text;
}
