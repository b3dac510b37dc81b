/* SPDX-License-Identifier: MIT */
/* Into an IMAP folder, each message once. A message gets a header field with a token that nobody can guess
 * (`mark`), and the state knows that token before the message is sent: what was under way when a connection was lost
 * or we were killed is looked for by it before it is sent again. Without the field, Message-ID and size tell,
 * among what has come since.
 *
 * Messages wait in a spool; the commands that bring them go out without waiting for results. */
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fetch/imap_mark.h"
#include "fetch/imap_session.h"
#include "fetch/target.h"
#include "imap/date.h"

enum { TOKEN_OCTETS = 16, HEADER_OCTETS = 65536, CHUNK_OCTETS = 32768, ATTEMPTS = 2 };

enum progress { WAITS, SENT, UNCLEAR, DONE };

struct entry {
    uint64_t offset, octets; /* in the spool */
    uint64_t own_octets;     /* of our header field before it */
    struct imap_mark mark;
    char date[IMAP_DATE_OCTETS];
    bool is_binary;
    enum progress progress;
    unsigned attempts;
    uint32_t number; /* of its command */
    enum target_outcome outcome;
    struct error reason;
};

struct imap {
    struct target target;
    const struct fs *fs;
    bool marks;
    const char *flags;
    int state_folder;
    struct imap_session session;
    struct spool spool, refused;
    bool after_cr; /* of the message that has begun */
    struct entry *batch;
    size_t count, room;
    bool begun;     /* batch[count] is being filled */
    bool published; /* the batch is only there to be asked about */
    bool must_create;
    bool is_patient; /* recovery is */
    size_t sending;  /* in the batch: whose octets are asked for */
    unsigned idle_losses;
    struct imap_finder finder;
    uint8_t chunk[CHUNK_OCTETS];
};

static struct imap *imap_of(const struct target *target)
{
    return (struct imap *)(uintptr_t)target;
}

/* ---- the batch ---- */

static int start_anew(struct imap *imap, struct error *error)
{
    imap->published = false;
    imap->count = 0;
    return spool_reset(&imap->spool, error);
}

static int make_room(struct imap *imap, struct error *error)
{
    if (imap->count < imap->room) {
        return 0;
    }
    size_t room = imap->room == 0 ? 16 : 2 * imap->room;
    struct entry *batch = realloc(imap->batch, room * sizeof *batch);
    if (batch == NULL) {
        return error_set(error, ERROR_TEMPORARY, 0, "out of memory");
    }
    imap->batch = batch;
    imap->room = room;
    return 0;
}

static int imap_begin(struct target *target, const struct target_message *message,
                      struct error *error)
{
    struct imap *imap = imap_of(target);
    uint8_t token[TOKEN_OCTETS];
    char field[80];
    (void)message;
    if ((imap->published && start_anew(imap, error) < 0) || make_room(imap, error) < 0) {
        return -1;
    }
    struct entry *entry = &imap->batch[imap->count];
    *entry = (struct entry){.offset = imap->spool.size};
    imap->begun = true;
    imap->after_cr = false;
    if (!imap->marks) {
        return 0;
    }
    randombytes_buf(token, sizeof token);
    (void)sodium_bin2hex(entry->mark.id, sizeof entry->mark.id, token, sizeof token);
    entry->own_octets =
        (uint64_t)snprintf(field, sizeof field, IMAP_MARK_FIELD ": %s\r\n", entry->mark.id);
    return spool_append(&imap->spool, bytes_of(field), error);
}

/* Lines end in CR LF, as RFC 5322 and servers want them: some refuse a message with an LF alone. */
static int imap_append(struct target *target, struct bytes octets, struct error *error)
{
    struct imap *imap = imap_of(target);
    struct entry *entry = &imap->batch[imap->count];
    entry->is_binary = entry->is_binary || bytes_find(octets, '\0') < octets.size;
    while (octets.size > 0) {
        size_t size = bytes_find(octets, '\n');
        struct bytes line = {octets.data, size};
        bool after_cr = size > 0 ? octets.data[size - 1] == '\r' : imap->after_cr;
        bool ends = size < octets.size;
        if (spool_append(&imap->spool, line, error) < 0 ||
            (ends && spool_append(&imap->spool, bytes_of(after_cr ? "\n" : "\r\n"), error) < 0)) {
            return -1;
        }
        imap->after_cr = !ends && after_cr;
        octets = bytes_from(octets, size + 1);
    }
    return 0;
}

static void imap_abort(struct target *target)
{
    struct imap *imap = imap_of(target);
    if (imap->begun) {
        imap->begun = false;
        (void)spool_truncate(&imap->spool, imap->batch[imap->count].offset, NULL);
    }
}

/* What can be asked of SEARCH as it is: printable, and not so much that a server may cut it. */
static void take_message_id(struct entry *entry, struct bytes header)
{
    struct bytes value = imap_header_field(header, "Message-ID");
    size_t begin = bytes_find(value, '<');
    size_t used = 0;
    for (size_t i = begin + 1; i < value.size && used + 1 < IMAP_MARK_ID_OCTETS; i++) {
        uint8_t octet = value.data[i];
        if (octet <= ' ' || octet > '~' || octet == '>' || octet == '"' || octet == '\\') {
            break;
        }
        entry->mark.id[used++] = (char)octet;
    }
    entry->mark.id[used] = '\0';
}

static enum target_outcome imap_end(struct target *target, struct error *error)
{
    struct imap *imap = imap_of(target);
    struct entry *entry = &imap->batch[imap->count];
    struct imap_date date;
    AUTO_FREE uint8_t *header = malloc(HEADER_OCTETS);
    if (header == NULL) {
        (void)error_set(error, ERROR_TEMPORARY, 0, "out of memory");
        return TARGET_FAILED;
    }
    entry->octets = imap->spool.size - entry->offset;
    ssize_t size = spool_flush(&imap->spool, error) < 0
                       ? -1
                       : spool_read(&imap->spool, header, HEADER_OCTETS, entry->offset, error);
    if (size < 0) {
        return TARGET_FAILED;
    }
    struct bytes text = {header, (size_t)size};
    if (imap_date_of_header(text, &date) < 0) {
        date = (struct imap_date){.seconds = imap->fs->operations->clock(imap->fs) / 1000000000};
    }
    imap_date_write(&date, entry->date);
    if (!imap->marks) {
        entry->mark.octets = entry->octets;
        take_message_id(entry, text);
    }
    imap->begun = false;
    imap->count++;
    return TARGET_WAITS;
}

/* ---- sending ---- */

static void settle(struct entry *entry, enum target_outcome outcome, const struct error *reason)
{
    entry->progress = DONE;
    entry->outcome = outcome;
    entry->reason = *reason;
}

static void defer_or_wait(struct entry *entry, const struct error *reason)
{
    entry->progress = WAITS;
    if (entry->attempts >= ATTEMPTS) {
        settle(entry, TARGET_DEFERRED, reason);
    }
}

/* -1: the whole folder takes nothing. */
static int judge(struct imap *imap, struct entry *entry, const struct imap_client_event *result,
                 struct error *error)
{
    struct error reason = {0};
    if (result->status == IMAP_OK) {
        settle(entry, TARGET_STORED, &reason);
        return 0;
    }
    (void)imap_session_complain(result, "APPEND", &reason);
    if (result->code == IMAP_CODE_TRYCREATE && ++entry->attempts < ATTEMPTS) {
        imap->must_create = true;
        entry->progress = WAITS;
        return 0;
    }
    switch (imap_code_meaning(result->code)) {
    case IMAP_MEANS_LATER:
        settle(entry, TARGET_DEFERRED, &reason);
        return 0;
    case IMAP_MEANS_NEVER:
    case IMAP_MEANS_NOTHING:
        settle(entry, TARGET_REFUSED, &reason);
        return 0;
    case IMAP_MEANS_NOBODY:
        break;
    }
    *error = reason;
    return -1;
}

static struct entry *next_waiting(struct imap *imap)
{
    for (size_t i = 0; i < imap->count; i++) {
        if (imap->batch[i].progress == WAITS) {
            return &imap->batch[i];
        }
    }
    return NULL;
}

static struct entry *sent_as(struct imap *imap, uint32_t number)
{
    for (size_t i = 0; i < imap->count; i++) {
        if (imap->batch[i].progress == SENT && imap->batch[i].number == number) {
            return &imap->batch[i];
        }
    }
    return NULL;
}

/* Refused before it is sent, where the server has said enough. */
static bool is_unfit(const struct imap *imap, struct entry *entry)
{
    const struct imap_capabilities *can = imap_client_capabilities(imap->session.client);
    struct error reason;
    if (entry->is_binary && !can->binary) {
        (void)error_set(&reason, ERROR_PERMANENT, 0,
                        "it has NUL octets, which the IMAP server does not take (no BINARY)");
    } else if (can->append_limit != 0 && entry->octets > can->append_limit) {
        (void)error_set(&reason, ERROR_PERMANENT, 0,
                        "it is larger than the IMAP server takes (APPENDLIMIT=%llu)",
                        (unsigned long long)can->append_limit);
    } else {
        return false;
    }
    settle(entry, TARGET_REFUSED, &reason);
    return true;
}

static int begin_append(struct imap *imap, struct entry *entry, struct error *error)
{
    if (is_unfit(imap, entry)) {
        return 0;
    }
    struct imap_append append = {.mailbox = imap->session.mailbox,
                                 .flags = imap->flags,
                                 .date = entry->date,
                                 .octets = entry->octets,
                                 .is_binary = entry->is_binary};
    entry->number = imap_client_append(imap->session.client, &append);
    if (entry->number == 0) {
        return error_set(error, ERROR_CONFIGURATION, 0, "nothing can be put into %s",
                         imap->session.mailbox);
    }
    entry->progress = SENT;
    imap->sending = (size_t)(entry - imap->batch);
    return 0;
}

static int give_message(struct imap *imap, uint64_t wanted, struct error *error)
{
    const struct entry *entry = &imap->batch[imap->sending];
    size_t most = wanted < CHUNK_OCTETS ? (size_t)wanted : CHUNK_OCTETS;
    uint64_t given = entry->octets - wanted;
    ssize_t size = spool_read(&imap->spool, imap->chunk, most, entry->offset + given, error);
    if (size <= 0) {
        return size < 0 ? -1 : error_set(error, ERROR_TEMPORARY, 0, "a temporary file is short");
    }
    (void)imap_client_message(imap->session.client, (struct bytes){imap->chunk, (size_t)size});
    return 0;
}

/* The connection is lost. What was sent whole may be there; what was not, cannot. The first that has no result is
 * taken for the reason, so that one message cannot hold up all others for ever. */
static int take_loss(struct imap *imap, uint32_t partial, const struct error *lost,
                     struct error *error)
{
    bool is_first = true;
    for (size_t i = 0; i < imap->count; i++) {
        struct entry *entry = &imap->batch[i];
        if (entry->progress == SENT) {
            entry->attempts += is_first;
            is_first = false;
            entry->reason = *lost;
            entry->progress = UNCLEAR;
            if (entry->number == partial) {
                defer_or_wait(entry, lost);
            }
            entry->number = 0;
        }
    }
    imap_finder_be_patient(&imap->finder);
    imap->idle_losses = is_first ? imap->idle_losses + 1 : 0;
    if (imap->idle_losses >= ATTEMPTS) {
        *error = *lost;
        return -1;
    }
    return 0;
}

/* The host's turn. 1: nothing is left to be done. */
static int take_turn(struct imap *imap, const struct imap_client_event *event, struct error *error)
{
    struct entry *entry;
    switch (event->type) {
    case IMAP_CLIENT_RESULT:
        entry = sent_as(imap, event->number);
        return entry == NULL ? 0 : judge(imap, entry, event, error);
    case IMAP_CLIENT_MESSAGE:
        imap_session_take_input(&imap->session);
        return give_message(imap, event->wanted, error);
    case IMAP_CLIENT_IDLE:
        if (event->outstanding >= IMAP_APPENDS_MOST) {
            return 0;
        }
        if (imap->must_create) {
            imap->must_create = false;
            return imap_session_create_mailbox(&imap->session, error);
        }
        entry = next_waiting(imap);
        return entry == NULL ? 1 : begin_append(imap, entry, error);
    case IMAP_CLIENT_NEED_INPUT:
    case IMAP_CLIENT_WRITE:
    case IMAP_CLIENT_SECURE:
    case IMAP_CLIENT_LOGIN:
    case IMAP_CLIENT_CHALLENGE:
    case IMAP_CLIENT_CLOSE:
        break;
    }
    return error_set(error, ERROR_PROTOCOL, 0, "the IMAP server asks for a login again");
}

/* Is there nothing to say before a result has come? */
static bool must_wait(struct imap *imap, const struct imap_client_event *last)
{
    return imap->must_create || next_waiting(imap) == NULL ||
           last->outstanding >= IMAP_APPENDS_MOST;
}

/* Until all that waits has a result, or the connection is lost: 0 both ways. -1: the target has failed. */
static int send_waiting(struct imap *imap, struct error *error)
{
    struct imap_client_event event = {0};
    struct error lost = {0};
    int result = 0;
    while (result == 0) {
        if (imap_session_step(&imap->session, must_wait(imap, &event), &event, &lost) < 0) {
            return take_loss(imap, event.partial, &lost, error);
        }
        result = take_turn(imap, &event, error);
    }
    if (result < 0) {
        imap_session_drop(&imap->session); /* in the middle of something, maybe */
    }
    return result < 0 ? -1 : 0;
}

static int settle_unclear(struct imap *imap, struct error *error)
{
    for (size_t i = 0; i < imap->count; i++) {
        struct entry *entry = &imap->batch[i];
        struct error none = {0};
        bool there = false;
        if (entry->progress != UNCLEAR) {
            continue;
        }
        if (imap_finder_look_up(&imap->finder, &entry->mark, &there, error) < 0) {
            return -1;
        }
        if (there) {
            settle(entry, TARGET_STORED, &none);
        } else {
            struct error reason = entry->reason;
            defer_or_wait(entry, &reason);
        }
    }
    return 0;
}

static bool is_done(const struct imap *imap)
{
    for (size_t i = 0; i < imap->count; i++) {
        if (imap->batch[i].progress != DONE) {
            return false;
        }
    }
    return true;
}

static int imap_publish(struct target *target, struct error *error)
{
    struct imap *imap = imap_of(target);
    imap->idle_losses = 0;
    while (!is_done(imap)) {
        if (imap_session_open(&imap->session, error) < 0 || settle_unclear(imap, error) < 0 ||
            send_waiting(imap, error) < 0) {
            return -1;
        }
    }
    imap->published = true;
    return 0;
}

static int imap_prepare(struct target *target, struct error *error)
{
    struct imap *imap = imap_of(target);
    imap_session_check(&imap->session);
    if (imap_session_open(&imap->session, error) < 0) {
        return -1;
    }
    for (size_t i = 0; i < imap->count; i++) {
        imap->batch[i].mark.uid_validity = imap->session.uid_validity;
        imap->batch[i].mark.uid_from = imap->session.uid_next;
    }
    return 0;
}

static enum target_outcome imap_outcome(const struct target *target, size_t index,
                                        struct error *reason)
{
    const struct entry *entry = &imap_of(target)->batch[index];
    *reason = entry->reason;
    return entry->outcome;
}

static struct spool *imap_refused(struct target *target, size_t index, struct error *error)
{
    struct imap *imap = imap_of(target);
    const struct entry *entry = &imap->batch[index];
    int result = imap->refused.descriptor < 0
                     ? spool_open(&imap->refused, imap->state_folder, error)
                     : spool_reset(&imap->refused, error);
    for (uint64_t at = entry->own_octets; at < entry->octets && result == 0;) {
        uint64_t left = entry->octets - at;
        size_t most = left < CHUNK_OCTETS ? (size_t)left : CHUNK_OCTETS;
        ssize_t size = spool_read(&imap->spool, imap->chunk, most, entry->offset + at, error);
        struct bytes octets = {imap->chunk, size < 0 ? 0 : (size_t)size};
        result = size <= 0 ? -1 : spool_append(&imap->refused, octets, error);
        at += octets.size;
    }
    return result < 0 || spool_flush(&imap->refused, error) < 0 ? NULL : &imap->refused;
}

/* ---- recovery ---- */

static void imap_place(const struct target *target, size_t index,
                       char place_out[TARGET_PLACE_OCTETS])
{
    imap_mark_write(&imap_of(target)->batch[index].mark, place_out);
}

static int imap_recover(struct target *target, const char *place, bool recent, bool *there_out,
                        struct error *error)
{
    struct imap *imap = imap_of(target);
    struct imap_mark mark = {0};
    *there_out = false;
    if (!imap_mark_parse(place, &mark)) {
        return 0; /* of another target */
    }
    if (recent && !imap->is_patient) {
        imap_finder_be_patient(&imap->finder);
        imap->is_patient = true;
    }
    return imap_finder_look_up(&imap->finder, &mark, there_out, error);
}

static int imap_recovered(struct target *target, struct error *error)
{
    (void)target;
    (void)error;
    return 0;
}

static void imap_free(struct target *target)
{
    struct imap *imap = imap_of(target);
    imap_session_free(&imap->session);
    spool_close(&imap->spool);
    spool_close(&imap->refused);
    free(imap->batch);
    free(imap);
}

static const struct target_operations operations = {
    .batched = true,
    .begin = imap_begin,
    .append = imap_append,
    .abort = imap_abort,
    .end = imap_end,
    .prepare = imap_prepare,
    .place = imap_place,
    .publish = imap_publish,
    .outcome = imap_outcome,
    .recover = imap_recover,
    .recovered = imap_recovered,
    .spool = imap_refused,
    .free = imap_free,
};

int target_imap_create(const struct target_options *options, struct target **target_out,
                       struct error *error)
{
    struct imap *imap = calloc(1, sizeof *imap);
    if (imap == NULL) {
        return error_set(error, ERROR_TEMPORARY, 0, "out of memory");
    }
    imap->target.operations = &operations;
    imap->fs = options->fs;
    imap->marks = options->described->imap_mark;
    imap->flags = options->described->imap_flags == NULL ? "" : options->described->imap_flags;
    imap->state_folder = options->state_folder;
    imap->finder = (struct imap_finder){.session = &imap->session, .cancel = options->cancel};
    imap->spool.descriptor = imap->refused.descriptor = -1;
    if (imap_session_create(&imap->session, options, error) < 0 ||
        spool_open(&imap->spool, options->state_folder, error) < 0) {
        imap_free(&imap->target);
        return -1;
    }
    *target_out = &imap->target;
    return 0;
}
