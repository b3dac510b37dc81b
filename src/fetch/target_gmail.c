/* SPDX-License-Identifier: MIT */
/* Into a Gmail mailbox, by import: what Google does with mail that comes in, its filter included, is done with it.
 * The state knows each message's Message-ID before it is sent; where it is unclear whether Google has it (a kill, a
 * lost connection, an error of Google's), it is looked for by that before it is sent again. A message without one
 * gets one, made of its content, in front. */
#include <poll.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fetch/account.h"
#include "fetch/grant.h"
#include "fetch/message_id.h"
#include "fetch/password.h"
#include "fetch/target.h"
#include "gmail/gmail.h"

enum { ATTEMPTS = 4, HASH_OCTETS = 16, WAIT_MOST_S = 60, OWN_OCTETS = 128 };

/* Of state rows. */
#define PLACE "gmail:"

struct entry {
    uint64_t offset, octets;        /* in the spool */
    char own[OWN_OCTETS];           /* the field that it gets */
    char id[MESSAGE_ID_OCTETS + 1]; /* empty: it cannot be looked for */
    enum target_outcome outcome;
    struct error reason;
};

struct gmail_target {
    struct target target;
    struct target_options options;
    const struct fetch_account *described;
    struct gmail *gmail;
    struct secret *token;
    char label[GMAIL_LABEL_OCTETS]; /* an id; empty: not asked for yet */
    struct spool spool, refused;
    struct message_id message_id;
    crypto_generichash_state hash;
    struct entry *batch;
    size_t count, room;
    bool published; /* the batch is only there to be asked about */
};

static struct gmail_target *gmail_of(const struct target *target)
{
    return (struct gmail_target *)(uintptr_t)target;
}

/* ---- the batch ---- */

static int make_room(struct gmail_target *gmail, struct error *error)
{
    if (gmail->count < gmail->room) {
        return 0;
    }
    size_t room = gmail->room == 0 ? 16 : 2 * gmail->room;
    struct entry *batch = realloc(gmail->batch, room * sizeof *batch);
    if (batch == NULL) {
        return error_set(error, ERROR_TEMPORARY, 0, "out of memory");
    }
    gmail->batch = batch;
    gmail->room = room;
    return 0;
}

static int gmail_begin(struct target *target, const struct target_message *message,
                       struct error *error)
{
    struct gmail_target *gmail = gmail_of(target);
    (void)message;
    if (gmail->published) {
        gmail->published = false;
        gmail->count = 0;
        if (spool_reset(&gmail->spool, error) < 0) {
            return -1;
        }
    }
    gmail->message_id = (struct message_id){0};
    (void)crypto_generichash_init(&gmail->hash, NULL, 0, HASH_OCTETS);
    if (make_room(gmail, error) < 0) {
        return -1;
    }
    gmail->batch[gmail->count] = (struct entry){.offset = gmail->spool.size};
    return 0;
}

static int gmail_append(struct target *target, struct bytes octets, struct error *error)
{
    struct gmail_target *gmail = gmail_of(target);
    message_id_feed(&gmail->message_id, octets);
    (void)crypto_generichash_update(&gmail->hash, octets.data, octets.size);
    return spool_append(&gmail->spool, octets, error);
}

static void gmail_abort(struct target *target)
{
    struct gmail_target *gmail = gmail_of(target);
    /* what is left in the spool is nobody's, and only space */
    (void)spool_truncate(&gmail->spool, gmail->batch[gmail->count].offset, NULL);
}

static void name_message(struct gmail_target *gmail, struct entry *entry)
{
    uint8_t hash[HASH_OCTETS];
    char text[2 * HASH_OCTETS + 1];
    const char *id = message_id_text(&gmail->message_id);
    if (id != NULL) {
        (void)snprintf(entry->id, sizeof entry->id, "%s", id);
    } else if (!gmail->message_id.has_field) {
        (void)crypto_generichash_final(&gmail->hash, hash, sizeof hash);
        (void)sodium_bin2hex(text, sizeof text, hash, sizeof hash);
        (void)snprintf(entry->id, sizeof entry->id, "%s@restante.invalid", text);
        (void)snprintf(entry->own, sizeof entry->own, "Message-ID: <%s@restante.invalid>\r\n",
                       text);
    }
}

static enum target_outcome gmail_end(struct target *target, struct error *error)
{
    struct gmail_target *gmail = gmail_of(target);
    struct entry *entry = &gmail->batch[gmail->count];
    (void)error;
    entry->octets = gmail->spool.size - entry->offset;
    name_message(gmail, entry);
    gmail->count++;
    return TARGET_WAITS;
}

static int gmail_prepare(struct target *target, struct error *error)
{
    return spool_flush(&gmail_of(target)->spool, error);
}

static void gmail_place(const struct target *target, size_t index,
                        char place_out[TARGET_PLACE_OCTETS])
{
    (void)snprintf(place_out, TARGET_PLACE_OCTETS, PLACE "%s", gmail_of(target)->batch[index].id);
}

/* ---- questions ---- */

/* False: the run is to end. */
static bool pause_for(const struct gmail_target *gmail, unsigned attempt)
{
    struct pollfd polled = {.fd = gmail->options.stop, .events = POLLIN};
    unsigned wait_s = gmail_retry_after_s(gmail->gmail);
    uint32_t jitter_ms = randombytes_uniform(1000);
    wait_s = wait_s > 0 ? wait_s : 1U << (attempt - 1);
    return wait_s <= WAIT_MOST_S && poll(&polled, 1, (int)(wait_s * 1000 + jitter_ms)) == 0;
}

/* Another token than the one that was refused, if there was one. */
static int renew_token(struct gmail_target *gmail, struct error *error)
{
    const char *command = gmail->described->gmail_token_command;
    struct secret *fresh = NULL;
    struct oauth_grant grant;
    fetch_grant_make_gmail(gmail->described, &grant);
    grant.cancel = gmail->options.stop;
    int result = command != NULL ? password_wait(command, NULL, gmail->options.stop, &fresh, error)
                                 : oauth_access_token(&grant, gmail->token, &fresh, error);
    if (result < 0) {
        return -1;
    }
    gmail->token = secret_free(gmail->token);
    gmail->token = fresh;
    return 0;
}

/* What is to be asked, with a token that is asked for anew if Google does not take it. */
struct question {
    enum gmail_outcome (*ask)(struct gmail_target *gmail, struct question *question,
                              struct error *error);
    const char *text;
    const struct gmail_message *message;
    bool there;
};

static enum gmail_outcome ask_import(struct gmail_target *gmail, struct question *question,
                                     struct error *error)
{
    return gmail_import(gmail->gmail, secret_octets(gmail->token), question->message, error);
}

static enum gmail_outcome ask_find(struct gmail_target *gmail, struct question *question,
                                   struct error *error)
{
    return gmail_find(gmail->gmail, secret_octets(gmail->token), question->text, &question->there,
                      error);
}

static enum gmail_outcome ask_label(struct gmail_target *gmail, struct question *question,
                                    struct error *error)
{
    return gmail_label(gmail->gmail, secret_octets(gmail->token), question->text, gmail->label,
                       error);
}

static enum gmail_outcome ask(struct gmail_target *gmail, struct question *question,
                              struct error *error)
{
    if (gmail->token == NULL && renew_token(gmail, error) < 0) {
        return GMAIL_FAILED;
    }
    enum gmail_outcome outcome = question->ask(gmail, question, error);
    if (outcome == GMAIL_TOKEN) {
        outcome =
            renew_token(gmail, error) < 0 ? GMAIL_FAILED : question->ask(gmail, question, error);
    }
    return outcome;
}

/* Asks until there is an answer, as often as makes sense. */
static enum gmail_outcome ask_on(struct gmail_target *gmail, struct question *question,
                                 struct error *error)
{
    enum gmail_outcome outcome = ask(gmail, question, error);
    for (unsigned attempt = 1;
         attempt < ATTEMPTS && (outcome == GMAIL_LIMITED || outcome == GMAIL_UNCLEAR) &&
         pause_for(gmail, attempt);
         attempt++) {
        outcome = ask(gmail, question, error);
    }
    return outcome;
}

/* ---- a message ---- */

struct reading {
    const struct gmail_target *gmail;
    const struct entry *entry;
    struct error error;
};

static ssize_t read_message(void *owner, uint64_t offset, void *memory, size_t size)
{
    struct reading *reading = owner;
    const struct entry *entry = reading->entry;
    size_t own = strlen(entry->own);
    if (offset < own) {
        size_t count = own - offset < size ? own - offset : size;
        memcpy(memory, entry->own + offset, count);
        return (ssize_t)count;
    }
    uint64_t left = own + entry->octets - offset;
    return spool_read(&reading->gmail->spool, memory, left < size ? (size_t)left : size,
                      entry->offset + offset - own, &reading->error);
}

/* Sends it, until it is clear what has become of it. */
static enum gmail_outcome import(struct gmail_target *gmail, struct entry *entry,
                                 struct error *error)
{
    struct reading reading = {.gmail = gmail, .entry = entry};
    struct gmail_message message = {
        .octets = strlen(entry->own) + entry->octets,
        .read = read_message,
        .owner = &reading,
        .label = gmail->label[0] == '\0' ? NULL : gmail->label,
        .never_spam = gmail->described->gmail_never_spam,
    };
    struct question send = {.ask = ask_import, .message = &message};
    struct question look = {.ask = ask_find, .text = entry->id};
    enum gmail_outcome outcome = ask(gmail, &send, error);
    for (unsigned attempt = 1;
         attempt < ATTEMPTS && (outcome == GMAIL_LIMITED || outcome == GMAIL_UNCLEAR); attempt++) {
        if (!pause_for(gmail, attempt)) {
            return outcome;
        }
        if (outcome == GMAIL_UNCLEAR) {
            enum gmail_outcome found =
                entry->id[0] == '\0' ? GMAIL_UNCLEAR : ask_on(gmail, &look, error);
            if (found != GMAIL_DONE || look.there) {
                return found;
            }
        }
        outcome = ask(gmail, &send, error);
    }
    return outcome;
}

static int find_label(struct gmail_target *gmail, struct error *error)
{
    struct question question = {.ask = ask_label, .text = gmail->described->gmail_label};
    if (question.text == NULL || gmail->label[0] != '\0') {
        return 0;
    }
    return ask_on(gmail, &question, error) == GMAIL_DONE ? 0 : -1;
}

/* What is not imported when this fails stays as it was recorded, and is looked for at the next start. */
static int gmail_publish(struct target *target, struct error *error)
{
    struct gmail_target *gmail = gmail_of(target);
    if (find_label(gmail, error) < 0) {
        return -1;
    }
    for (size_t i = 0; i < gmail->count; i++) {
        struct entry *entry = &gmail->batch[i];
        struct error reason = {0};
        enum gmail_outcome outcome = import(gmail, entry, &reason);
        if (outcome != GMAIL_DONE && outcome != GMAIL_REFUSED) {
            *error = reason;
            return -1;
        }
        entry->outcome = outcome == GMAIL_DONE ? TARGET_STORED : TARGET_REFUSED;
        entry->reason = reason;
    }
    gmail->published = true;
    return 0;
}

static enum target_outcome gmail_outcome_of(const struct target *target, size_t index,
                                            struct error *reason)
{
    const struct entry *entry = &gmail_of(target)->batch[index];
    *reason = entry->reason;
    return entry->outcome;
}

/* A copy of the one that was refused: the spool has the others, too. */
static struct spool *gmail_spool(struct target *target, size_t index, struct error *error)
{
    struct gmail_target *gmail = gmail_of(target);
    const struct entry *entry = &gmail->batch[index];
    uint8_t chunk[8192];
    if (spool_reset(&gmail->refused, error) < 0) {
        return NULL;
    }
    for (uint64_t done = 0; done < entry->octets;) {
        uint64_t left = entry->octets - done;
        ssize_t size =
            spool_read(&gmail->spool, chunk, left < sizeof chunk ? (size_t)left : sizeof chunk,
                       entry->offset + done, error);
        if (size <= 0 ||
            spool_append(&gmail->refused, (struct bytes){chunk, (size_t)size}, error) < 0) {
            return NULL;
        }
        done += (uint64_t)size;
    }
    return spool_flush(&gmail->refused, error) < 0 ? NULL : &gmail->refused;
}

static int gmail_recover(struct target *target, const char *place, bool recent, bool *there_out,
                         struct error *error)
{
    struct gmail_target *gmail = gmail_of(target);
    struct bytes id = bytes_of(place);
    (void)recent;
    *there_out = false;
    if (!bytes_take_prefix(&id, PLACE) || id.size == 0) {
        return 0;
    }
    struct question question = {.ask = ask_find, .text = (const char *)id.data};
    if (ask_on(gmail, &question, error) != GMAIL_DONE) {
        return -1;
    }
    *there_out = question.there;
    return 0;
}

static int gmail_recovered(struct target *target, struct error *error)
{
    (void)target;
    (void)error;
    return 0;
}

static void target_free(struct target *target)
{
    struct gmail_target *gmail = gmail_of(target);
    gmail->gmail = gmail_free(gmail->gmail);
    gmail->token = secret_free(gmail->token);
    spool_close(&gmail->spool);
    spool_close(&gmail->refused);
    free(gmail->batch);
    free(gmail);
}

static const struct target_operations operations = {
    .batched = true,
    .begin = gmail_begin,
    .append = gmail_append,
    .abort = gmail_abort,
    .end = gmail_end,
    .prepare = gmail_prepare,
    .place = gmail_place,
    .publish = gmail_publish,
    .outcome = gmail_outcome_of,
    .recover = gmail_recover,
    .recovered = gmail_recovered,
    .spool = gmail_spool,
    .free = target_free,
};

int target_gmail_create(const struct target_options *options, struct target **target_out,
                        struct error *error)
{
    struct gmail_target *gmail = calloc(1, sizeof *gmail);
    if (gmail == NULL) {
        return error_set(error, ERROR_TEMPORARY, 0, "out of memory");
    }
    gmail->target.operations = &operations;
    gmail->options = *options;
    gmail->described = options->described;
    gmail->spool.descriptor = gmail->refused.descriptor = -1;
    struct gmail_options own = {.url = gmail->described->gmail_url,
                                .user = options->place,
                                .cancel = options->stop,
                                .idle_s = options->time_limit_s};
    if (gmail_create(&own, &gmail->gmail, error) < 0 ||
        spool_open(&gmail->spool, options->state_folder, error) < 0 ||
        spool_open(&gmail->refused, options->state_folder, error) < 0) {
        target_free(&gmail->target);
        return -1;
    }
    *target_out = &gmail->target;
    return 0;
}
