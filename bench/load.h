/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_BENCH_LOAD_H
#define RESTANTE_BENCH_LOAD_H

/* The load generator: what a case is given and what it brings back. A case ends at the first reply that
 * is not what the corpus says, so a result that exists is one of a server that said the right things. */

#include "base/bytes.h"
#include "corpus.h"
#include "link.h"

struct load_options {
    struct link_target *target;
    struct corpus corpus;
    const char *stat; /* what STAT must say behind +OK, or NULL: what the corpus says */
    const char *password;
    uint32_t users;       /* user I is NAME-I in four digits; 0: the only user is NAME */
    uint32_t concurrency; /* sessions at once */
    uint32_t window;      /* RETR commands in flight */
    uint32_t repeat;      /* logins one after the other */
    uint64_t duration_us; /* nothing new is begun after this */
    bool verify;          /* every octet is compared, once over; else only counts and ends */
    bool partial; /* when the time is over, no message more is asked for; else whole maildrops */
};

struct load_times {
    uint32_t *us;
    size_t count, capacity;
};

struct load_result {
    uint64_t done;   /* sessions, or messages */
    uint64_t octets; /* of messages, as they travelled */
    uint64_t wall_us;
    struct load_times times; /* of each session or login */
};

int load_sessions(const struct load_options *options, struct load_result *result,
                  struct error *error) MUST_CHECK;
int load_retrieve(const struct load_options *options, struct load_result *result,
                  struct error *error) MUST_CHECK;
/* Sessions one after the other, each of which takes the whole maildrop. */
int load_whole(const struct load_options *options, struct load_result *result,
               struct error *error) MUST_CHECK;
int load_logins(const struct load_options *options, struct load_result *result,
                struct error *error) MUST_CHECK;
/* The same, and behind STAT the lists of LIST and UIDL. */
int load_listings(const struct load_options *options, struct load_result *result,
                  struct error *error) MUST_CHECK;
/* DELE of the whole maildrop, `window` commands in flight, and QUIT: the time of these, without login. */
int load_deletions(const struct load_options *options, struct load_result *result,
                   struct error *error) MUST_CHECK;
/* NOOP `repeat` times, each when the last is answered. */
int load_noops(const struct load_options *options, struct load_result *result,
               struct error *error) MUST_CHECK;
/* One session that does nothing, so that the target has a ticket, if it is to resume. */
int load_first_ticket(const struct load_options *options, struct error *error) MUST_CHECK;

uint64_t load_now_us(void);
int load_times_add(struct load_times *times, uint64_t us, struct error *error) MUST_CHECK;

/* Does the reply begin with what is wanted, up to a space or its end? */
bool load_reply_is(struct bytes line, const char *wanted);
/* What the reply to STAT must begin with; 48 octets are enough. */
void load_expected_stat(const struct load_options *options, char *out, size_t capacity);

#endif
