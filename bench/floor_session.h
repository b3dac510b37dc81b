/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_BENCH_FLOOR_SESSION_H
#define RESTANTE_BENCH_FLOOR_SESSION_H

/* A session of the floor, whatever its connection is: commands come in, and replies go out as pieces of memory that
 * lives as long as the program. */

#include <uv.h>

#include "base/bytes.h"
#include "base/error.h"

struct floor_session;

/* What a connection does for its session. */
struct floor_connection {
    /* Sends the pieces. False: floor_session_sent follows when all are gone, and nothing is read till then. */
    bool (*send)(struct floor_session *session);
    /* Closes behind what was sent. */
    void (*close)(struct floor_session *session);
};

enum {
    FLOOR_INPUT_OCTETS = 32 * 1024, /* more than a TLS record and a part of a line */
    FLOOR_PIECES = 128              /* two a message: the line and the octets */
};

struct floor_session {
    const struct floor_connection *connection;
    const struct floor_maildrop *maildrop;
    uv_buf_t pieces[FLOOR_PIECES];
    unsigned piece_count;
    bool busy; /* pieces are under way; commands wait */
    bool closing;
    size_t input_size;
    char input[FLOOR_INPUT_OCTETS];
};

/* Loads what every session knows. 0 or -1. */
int floor_load_maildrops(const char *folder, struct error *error) MUST_CHECK;

/* Greets. */
void floor_session_start(struct floor_session *session, const struct floor_connection *connection);
/* How much floor_session_take would keep. */
size_t floor_session_room(const struct floor_session *session);
/* Obeys the lines that are there with these octets, which are copied. */
void floor_session_take(struct floor_session *session, struct bytes octets);
/* The pieces are gone: goes on with the lines that waited. */
void floor_session_sent(struct floor_session *session);

#endif
