/* SPDX-License-Identifier: MIT */
#include "server/buffers.h"

#include <stdlib.h>

struct loan buffers_lend(struct buffers *buffers)
{
    struct loan loan = {.size = BUFFERS_SMALL};
    if (buffers->large_lent < BUFFERS_MOST_LARGE) {
        loan.size = BUFFERS_LARGE;
        loan.memory =
            buffers->kept_count > 0 ? buffers->kept[--buffers->kept_count] : malloc(BUFFERS_LARGE);
        buffers->large_lent += loan.memory != NULL;
    } else {
        loan.memory = malloc(BUFFERS_SMALL);
    }
    return loan;
}

void buffers_return(struct buffers *buffers, struct loan *loan)
{
    if (loan->memory != NULL && loan->size == BUFFERS_LARGE) {
        buffers->large_lent--;
        if (buffers->kept_count < BUFFERS_KEPT) {
            buffers->kept[buffers->kept_count++] = loan->memory;
            loan->memory = NULL;
        }
    }
    free(loan->memory);
    *loan = (struct loan){0};
}
