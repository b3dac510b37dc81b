/* SPDX-License-Identifier: MIT */
#include <stdlib.h>

#include "http/http.h"

static void wipe(char *text, size_t size)
{
    if (text != NULL) {
        explicit_bzero(text, size);
        free(text);
    }
}

void http_answer_finish(struct http_answer *answer)
{
    wipe((char *)(uintptr_t)answer->body.data, answer->body.size);
    for (size_t i = 0; i < HTTP_FIELDS_WANTED_MAX; i++) {
        char *field = answer->fields[i];
        wipe(field, field == NULL ? 0 : strlen(field));
    }
    *answer = (struct http_answer){0};
}
