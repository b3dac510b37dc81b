/* SPDX-License-Identifier: MIT */
/* A name that is recorded and gone from where it waited was given to the message, if nothing but this program
 * has stopped since: then it counts as stored, wherever the person's mail client has moved it. After a start of
 * the machine that is not so (a folder may have lost the one half of a rename), and only what is seen counts. */
#include "fetch/recovery.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Mail programs clear tmp/ of what is older than 36 hours. */
#define RECENT_S INT64_C(86400)

void recovery_era_make(struct recovery_era *era, const char *boot, int kind, const char *place)
{
    char own[64] = "";
    FILE *file = boot != NULL ? NULL : fopen("/proc/sys/kernel/random/boot_id", "re");
    if (boot != NULL) {
        (void)snprintf(own, sizeof own, "%s", boot);
    } else if (file != NULL && fgets(own, sizeof own, file) == NULL) {
        own[0] = '\0'; /* then every start counts as one of the machine */
    }
    if (file != NULL) {
        (void)fclose(file);
    }
    own[strcspn(own, "\n")] = '\0';
    era->text[0] = '\0';
    if (own[0] != '\0') {
        (void)snprintf(era->text, sizeof era->text, "%s %d:%s", own, kind, place);
    }
}

struct left_rows {
    struct {
        int64_t id, placed;
        char place[STATE_PLACE_OCTETS];
    } * list;
    size_t count;
    struct error *error;
};

static int collect(void *owner, const struct state_row *row)
{
    struct left_rows *left = owner;
    if ((left->count & (left->count - 1)) == 0) {
        size_t room = left->count == 0 ? 1 : 2 * left->count;
        void *list = realloc(left->list, room * sizeof *left->list);
        if (list == NULL) {
            return error_set(left->error, ERROR_TEMPORARY, 0, "out of memory");
        }
        left->list = list;
    }
    left->list[left->count].id = row->id;
    left->list[left->count].placed = row->placed;
    memcpy(left->list[left->count].place, row->place, sizeof row->place);
    left->count++;
    return 0;
}

/* What recovery_run was asked for. */
struct recovery {
    struct state *state;
    struct target *target;
    bool same_era;
    int64_t now;
    size_t recovered;
    struct error *error;
};

static int recover_rows(struct recovery *recovery, const struct left_rows *left)
{
    const struct target_operations *target = recovery->target->operations;
    struct error *error = recovery->error;
    for (size_t i = 0; i < left->count; i++) {
        int64_t age = recovery->now - left->list[i].placed;
        bool there = false;
        if (target->batched &&
            target->recover(recovery->target, left->list[i].place,
                            recovery->same_era && age >= 0 && age < RECENT_S, &there, error) < 0) {
            return -1;
        }
        int result = there
                         ? state_set_stored(recovery->state, left->list[i].id, recovery->now, error)
                         : state_set_unplaced(recovery->state, left->list[i].id, error);
        if (result < 0) {
            return -1;
        }
        recovery->recovered += there ? 1 : 0;
    }
    return 0;
}

int recovery_run(struct state *state, struct target *target, const struct recovery_era *era,
                 int64_t now, size_t *recovered_out, struct error *error)
{
    struct recovery recovery = {.state = state, .target = target, .now = now, .error = error};
    struct recovery_era before;
    struct left_rows left = {.error = error};
    int result = state_era(state, before.text, sizeof before.text, error);
    if (result == 0) {
        recovery.same_era = before.text[0] != '\0' && strcmp(before.text, era->text) == 0;
        result = state_each_placing(state, collect, &left, error);
    }
    if (result == 0) {
        result = recover_rows(&recovery, &left);
    }
    free(left.list);
    if (result == 0 && target->operations->batched) {
        result = target->operations->recovered(target, error);
    }
    *recovered_out = recovery.recovered;
    return result < 0 ? -1 : state_commit(state, error);
}
