/* SPDX-License-Identifier: MIT */
/* Believes every name and password and has the replies ready. A user is called NAME or NAME-SOMETHING and has the
 * maildrop NAME of the corpus (corpus.h). */
#include "floor_session.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/number.h"
#include "corpus.h"

enum { MAILDROPS = 16 };

struct floor_maildrop {
    struct corpus corpus;
    char stat_reply[64];
};

static struct floor_maildrop maildrops[MAILDROPS];
static unsigned maildrop_count;

static const struct floor_maildrop *find_maildrop(struct bytes user)
{
    const uint8_t *dash = user.size > 0 ? memchr(user.data, '-', user.size) : NULL;
    size_t size = dash == NULL ? user.size : (size_t)(dash - user.data);

    for (unsigned index = 0; index < maildrop_count; index++) {
        const char *name = maildrops[index].corpus.name;
        if (strlen(name) == size && memcmp(name, user.data, size) == 0) {
            return &maildrops[index];
        }
    }
    return NULL;
}

static void reply(struct floor_session *session, const void *data, size_t size)
{
    session->pieces[session->piece_count++] = uv_buf_init((char *)(uintptr_t)data, (unsigned)size);
}

static void reply_text(struct floor_session *session, const char *text)
{
    reply(session, text, strlen(text));
}

static void retrieve(struct floor_session *session, struct bytes argument)
{
    const struct corpus *corpus = &session->maildrop->corpus;
    uint64_t number;

    if (number_parse(argument, corpus->messages, &number) != 0 || number == 0) {
        reply_text(session, "-ERR No such message\r\n");
        return;
    }
    size_t start = number == 1 ? 0 : corpus->ends[number - 2];
    reply_text(session, "+OK Message follows\r\n");
    reply(session, corpus->wire + start, corpus->ends[number - 1] - start);
}

static void obey(struct floor_session *session, struct bytes line)
{
    struct bytes argument =
        line.size > 5 ? (struct bytes){line.data + 5, line.size - 5} : (struct bytes){0};
    const char *keyword = line.size >= 4 ? (const char *)line.data : "none";

    if (strncasecmp(keyword, "RETR", 4) == 0 && session->maildrop != NULL) {
        retrieve(session, argument);
    } else if (strncasecmp(keyword, "STAT", 4) == 0 && session->maildrop != NULL) {
        reply_text(session, session->maildrop->stat_reply);
    } else if (strncasecmp(keyword, "USER", 4) == 0) {
        session->maildrop = find_maildrop(argument);
        reply_text(session, session->maildrop != NULL ? "+OK\r\n" : "-ERR Not here\r\n");
    } else if (strncasecmp(keyword, "PASS", 4) == 0) {
        reply_text(session, "+OK Mailbox locked and ready\r\n");
    } else if (strncasecmp(keyword, "NOOP", 4) == 0) {
        reply_text(session, "+OK\r\n");
    } else if (strncasecmp(keyword, "QUIT", 4) == 0) {
        reply_text(session, "+OK Goodbye\r\n");
        session->closing = true;
    } else {
        reply_text(session, "-ERR The floor does not know this\r\n");
    }
}

static void flush(struct floor_session *session)
{
    session->busy = !session->connection->send(session);
    if (!session->busy) {
        session->piece_count = 0;
    }
}

/* Obeys the lines that are there; replies go out together. */
static void proceed(struct floor_session *session)
{
    char *start = session->input;
    char *end = session->input + session->input_size;

    while (!session->busy && !session->closing) {
        char *newline = memchr(start, '\n', (size_t)(end - start));
        if (newline != NULL) {
            size_t size = (size_t)(newline - start);
            size -= size > 0 && newline[-1] == '\r' ? 1 : 0;
            obey(session, (struct bytes){(uint8_t *)start, size});
            start = newline + 1;
        }
        if (session->piece_count > 0 &&
            (newline == NULL || session->closing || session->piece_count + 2 > FLOOR_PIECES)) {
            flush(session);
        }
        if (newline == NULL) {
            break;
        }
    }
    session->input_size = (size_t)(end - start);
    memmove(session->input, start, session->input_size);
    if (session->closing && !session->busy) {
        session->connection->close(session);
    }
}

void floor_session_start(struct floor_session *session, const struct floor_connection *connection)
{
    session->connection = connection;
    session->maildrop = NULL;
    session->piece_count = 0;
    session->busy = session->closing = false;
    session->input_size = 0;
    reply_text(session, "+OK Restante ready\r\n");
    flush(session);
}

size_t floor_session_room(const struct floor_session *session)
{
    return FLOOR_INPUT_OCTETS - session->input_size;
}

void floor_session_take(struct floor_session *session, struct bytes octets)
{
    memcpy(session->input + session->input_size, octets.data, octets.size);
    session->input_size += octets.size;
    proceed(session);
}

void floor_session_sent(struct floor_session *session)
{
    session->busy = false;
    session->piece_count = 0;
    proceed(session);
}

int floor_load_maildrops(const char *folder, struct error *error)
{
    DIR *listing = opendir(folder);
    struct dirent *entry;
    int result = 0;

    if (listing == NULL) {
        return error_from_errno(error, errno, "%s", folder);
    }
    while (result == 0 && (entry = readdir(listing)) != NULL) {
        char *dot = strrchr(entry->d_name, '.');
        if (dot == NULL || strcmp(dot, ".sizes") != 0) {
            continue;
        }
        *dot = '\0';
        if (maildrop_count == MAILDROPS) {
            result = error_set(error, ERROR_LIMIT, 0, "%s: too many maildrops", folder);
            break;
        }
        struct floor_maildrop *maildrop = &maildrops[maildrop_count++];
        result = corpus_load(folder, entry->d_name, &maildrop->corpus, error);
        snprintf(maildrop->stat_reply, sizeof maildrop->stat_reply, "+OK %llu %llu\r\n",
                 (unsigned long long)maildrop->corpus.count,
                 (unsigned long long)maildrop->corpus.octets);
    }
    closedir(listing);
    return result;
}
