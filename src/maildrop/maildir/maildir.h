/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_MAILDROP_MAILDIR_MAILDIR_H
#define RESTANTE_MAILDROP_MAILDIR_MAILDIR_H

#include "maildrop/maildir/octets.h"
#include "maildrop/maildir/scan.h"
#include "maildrop/store.h"

/* A Maildir as maildrop_maildir_create makes it, on a file system of one's choice (borrowed). */
int maildir_create(const struct fs *fs, const struct maildrop_options *options,
                   struct maildrop_executor *executor, struct maildrop_store **store_out,
                   struct error *error) MUST_CHECK;

enum { MAILDIR_DEVICES_MOST = 16 };

struct maildir_device {
    uint64_t device;
    struct fs_facts facts;
};

struct maildir_store {
    struct maildrop_store store;
    const struct fs *fs;
    char *pattern;
    /* Only for the thread that the store belongs to. */
    struct maildir_device devices[MAILDIR_DEVICES_MOST];
    unsigned device_count;
    struct index_reader reader;               /* of the snapshot of */
    const struct maildir_maildrop *reader_of; /* NULL: of none */
    struct fs_closing closing; /* messages that a maildrop is done with, until it rests */
};

/* The message that is being read. */
struct maildir_message {
    int descriptor; /* -1: none */
    uint32_t index;
    uint64_t size;       /* when it was opened; that much is served */
    uint64_t row_octets; /* as the session shows them */
    uint64_t octets;     /* as stored */
    uint32_t row_flags;
    bool surrogate; /* it is sent as that */
};

/* What a session found out of a message whose row was wrong. */
struct maildir_note {
    uint32_t index;
    uint32_t flags;
    uint64_t octets, size, surrogate;
};

struct maildir_maildrop {
    struct maildrop maildrop;
    const struct fs *fs;
    struct maildir_folders folders;
    bool surrogates;          /* messages that need UTF-8 are shown as their surrogates */
    struct snapshot snapshot; /* what the session shows */
    struct snapshot *moved;   /* where messages are since names changed; NULL: as in the snapshot */
    bool remade;              /* the snapshot was replaced */
    struct index_block last_block; /* of the index, that a message was looked up in */
    struct maildir_message message;
    bool ids_checked;
    uint8_t *readable;          /* a bit for each message that was read; NULL: none yet */
    struct maildir_note *notes; /* by index */
    size_t note_count;
};

static inline struct maildir_maildrop *maildir_of(struct maildrop *maildrop)
{
    return (struct maildir_maildrop *)(void *)maildrop;
}

static inline struct maildir_store *maildir_store_of(const struct maildir_maildrop *opened)
{
    return (struct maildir_store *)(void *)opened->maildrop.store;
}

/* open.c */
enum maildrop_progress maildir_open(struct maildrop_store *store,
                                    const struct maildrop_owner *owner,
                                    struct maildrop_operation *operation);
void maildir_cancel_open(struct maildrop_operation *operation);
void maildir_free(struct maildrop *maildrop);

/* rows.c. The functions from here on return 0, -1 or MAILDIR_WOULD_BLOCK. `fs` is the maildrop's, or
 * that with cached_only. */
int maildir_rows(struct maildir_maildrop *opened, const struct fs *fs,
                 struct maildrop_operation *operation);
/* A reader of the snapshot. On the loop it is the store's, which keeps its block, so that RETRs one after
 * another and the pages of a list read it once; on a thread it is `own`. Give it back when done. */
struct index_reader *maildir_reader(struct maildir_maildrop *opened, const struct fs *fs,
                                    struct index_reader *own);
void maildir_reader_done(struct maildir_maildrop *opened, const struct index_reader *reader);
/* A row of the snapshot; a damaged index is made anew if the maildrop is still what it said. */
int maildir_row(struct maildir_maildrop *opened, struct index_reader *reader, uint32_t index,
                struct index_row *row_out, struct error *error) MUST_CHECK;
/* Writes into the index what was noted. With a `header` that is proven, it is that of the index without
 * the messages in `marks`. */
void maildir_write_index(struct maildir_maildrop *opened, const uint8_t *marks,
                         const struct index_header *header);

/* locate.c: where a message's file is now. */
struct maildir_place {
    int folder;
    char name[1024];
    uint32_t flags; /* of its row */
    uint64_t octets, size;
    uint64_t shown; /* octets, as the session shows them */
};

/* Does `act` with the place of message `index`, in `place_out`; if it says that there was no such file, finds where
 * the file went and does it again. ERROR_GONE once it is absent. */
typedef bool maildir_act(void *context, const struct maildir_place *place);
int maildir_locate(struct maildir_maildrop *opened, const struct fs *fs, uint32_t index,
                   struct maildir_place *place_out, maildir_act *act, void *context,
                   struct error *error) MUST_CHECK;

/* The steps of that. Where a row says that the file is. */
int maildir_set_place(const struct maildir_maildrop *opened, const struct index_row *row,
                      struct maildir_place *place_out, struct error *error) MUST_CHECK;
/* Where the newest scan has the file with the base name of `place`: 1, 0 if nowhere, or -1. */
int maildir_find_moved(const struct maildir_maildrop *opened, struct maildir_place *place,
                       struct error *error) MUST_CHECK;
/* Has nothing changed since the newest scan? */
bool maildir_is_current(const struct maildir_maildrop *opened);
int maildir_scan_again(struct maildir_maildrop *opened, struct error *error) MUST_CHECK;

/* message.c */
int maildir_read(struct maildir_maildrop *opened, const struct fs *fs,
                 struct maildrop_operation *operation);
int maildir_check(struct maildir_maildrop *opened, const struct fs *fs,
                  struct maildrop_operation *operation);
bool maildir_sent(struct maildir_maildrop *opened, uint64_t octets);
void maildir_read_close(struct maildir_maildrop *opened);

/* commit.c */
int maildir_commit(struct maildir_maildrop *opened, struct maildrop_operation *operation);

/* deliver.c */
int maildir_deliver_begin(struct maildrop_store *store, const struct maildrop_owner *owner,
                          struct maildrop_delivery **delivery_out, struct error *error);
int maildir_deliver_append(struct maildrop_delivery *delivery, struct bytes octets,
                           struct error *error);
int maildir_deliver_finish(struct maildrop_delivery *delivery, struct error *error);
void maildir_deliver_abort(struct maildrop_delivery *delivery);

#endif
