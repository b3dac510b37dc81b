/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_POP3_COMMAND_H
#define RESTANTE_POP3_COMMAND_H

#include "base/bytes.h"
#include "pop3/replies.h"

struct pop3_server;

enum { COMMAND_ARGUMENTS_MOST = 2 };

enum argument_kind {
    ARGUMENT_TEXT,    /* printable, 7-bit */
    ARGUMENT_NAME,    /* 8-bit octets too */
    ARGUMENT_REST,    /* every octet after the first space, further spaces included */
    ARGUMENT_MESSAGE, /* the number of a message that is there and not marked */
    ARGUMENT_LINES    /* a number from 0 */
};

/* What must be true of the connection. */
enum offer {
    OFFER_ALWAYS,
    OFFER_PASSWORD,
    OFFER_APOP,
    OFFER_SASL,
    OFFER_STLS,
    OFFER_UTF8,
    OFFER_XCLIENT
};

struct arguments {
    unsigned count;
    struct bytes text[COMMAND_ARGUMENTS_MOST];
    uint64_t numbers[COMMAND_ARGUMENTS_MOST]; /* of those of a number's kind */
};

/* A row of the one table that parsing, legality and CAPA are made of. */
struct command {
    char keyword[8];
    const char *capability; /* its tag in CAPA, NULL: none */
    unsigned states;        /* bits 1 << enum pop3_state, where it is legal */
    unsigned least, most;   /* arguments */
    enum argument_kind kinds[COMMAND_ARGUMENTS_MOST];
    enum offer offer;
    struct reply (*handler)(struct pop3_server *session, const struct arguments *arguments);
};

/* Checks the line (without its line end) against the table. On success *command_out is the command and
 * the reply TEXT_NONE; else the reply says what is wrong. A message number that is not there is an error
 * too, and the reply helps to find one that is. */
struct reply command_parse(const struct pop3_server *session, struct bytes line,
                           const struct command **command_out, struct arguments *arguments_out);

/* Appends the line of the `index`th capability that there is, if it is true now; false if there are no
 * more. */
bool command_append_capability(const struct pop3_server *session, unsigned index,
                               struct buffer *out);

#endif
