/* SPDX-License-Identifier: MIT */
/* LIST and RETR cannot differ: the surrogate that is counted is made by what makes the one that is sent. */
#include "maildrop/examination.h"

#include <stdlib.h>

#include <pop3/server.h>
#include <pop3/surrogate.h>

enum { PIECE_OCTETS = 4096 };

struct examination {
    struct pop3_octet_count count;
    uint8_t piece[PIECE_OCTETS];
    max_align_t surrogate[];
};

static struct pop3_surrogate *surrogate_of(struct examination *examination)
{
    return (struct pop3_surrogate *)(void *)examination->surrogate;
}

struct examination *examination_create(void)
{
    struct examination *examination = malloc(sizeof *examination + pop3_surrogate_size());
    if (examination != NULL) {
        examination->count = (struct pop3_octet_count){0};
        (void)pop3_surrogate_init(examination->surrogate);
    }
    return examination;
}

void examination_feed(struct examination *examination, struct bytes octets)
{
    while (octets.size != 0) {
        size_t made;
        size_t taken = pop3_surrogate_feed(surrogate_of(examination), octets.data, octets.size,
                                           examination->piece, PIECE_OCTETS, &made);
        pop3_octet_count_feed(&examination->count, examination->piece, made);
        octets = bytes_from(octets, taken);
    }
}

bool examination_end(struct examination *examination, uint64_t *octets_out)
{
    size_t made;
    do {
        made = pop3_surrogate_end(surrogate_of(examination), examination->piece, PIECE_OCTETS);
        pop3_octet_count_feed(&examination->count, examination->piece, made);
    } while (made != 0);
    *octets_out = pop3_octet_count_end(&examination->count);
    return pop3_surrogate_differs(surrogate_of(examination)) != 0;
}
