/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_TESTS_MAILDROP_SUPPORT_H
#define RESTANTE_TESTS_MAILDROP_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "disk.h"
#include "maildrop/maildir/maildir.h"
#include "maildrop/maildrop.h"

/* A store on a simulated disk, with the user "alice" and her maildrop /mail/alice. */
struct world {
    struct disk *disk;
    struct maildrop_store *store;
    struct error error; /* of what failed last */
    bool surrogates;    /* who opens the maildrop has no UTF-8 */
};

struct world world_create(struct maildrop_executor *executor);
void world_finish(struct world *world);
/* new/, cur/ and tmp/ for alice, long ago. */
void world_make_maildrop(struct world *world);
/* Puts a message, long ago: "new/1.a". */
void world_put(struct world *world, const char *name, const char *text);
/* Lets so much time pass that every change lies behind. */
void world_wait(struct world *world);

/* Operations of a store without an executor. */
struct maildrop *open_drop(struct world *world);
enum error_kind try_open(struct world *world, struct maildrop_operation *operation);
void expect_drop(struct maildrop *maildrop, uint32_t count, uint64_t octets);
/* Unique id and octets of a row, in memory of the call before last. */
const char *row_id(struct maildrop *maildrop, uint32_t index);
uint64_t row_octets(struct maildrop *maildrop, uint32_t index);
/* All octets of a message as stored as a string, or NULL with the kind of the error. What is sent of it is its
 * surrogate if it needs one. */
const char *read_text(struct maildrop *maildrop, uint32_t index, enum error_kind *kind_out);
enum error_kind read_error(struct maildrop *maildrop, uint32_t index);
enum error_kind check_error(struct maildrop *maildrop, uint32_t index);
/* Removes the messages whose digits are in `numbers` ("02": the first and the third). */
struct committed {
    uint32_t removed, not_removed;
};
struct committed commit(struct maildrop *maildrop, const char *numbers);
/* `marks`: a bit for each message. */
struct committed commit_marks(struct maildrop *maildrop, const uint8_t *marks);
enum error_kind deliver(struct world *world, const char *user, const char *text);

/* An executor that runs nothing until it is told to. */
struct manual_executor {
    struct maildrop_executor executor;
    struct maildrop_job *first, **end;
    unsigned waiting;
    unsigned submitted;
    uint64_t last_device;
};

void manual_init(struct manual_executor *manual);
/* Runs the first job, and completes it; false if there is none. */
bool manual_step(struct manual_executor *manual);
/* The two halves of that. */
struct maildrop_job *manual_run(struct manual_executor *manual);
void manual_drain(struct manual_executor *manual);

#endif
