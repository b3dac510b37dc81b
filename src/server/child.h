/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_SERVER_CHILD_H
#define RESTANTE_SERVER_CHILD_H

#include "net/tls.h"
#include "server/configuration.h"
#include "server/messages.h"

enum { CHILD_MOST_LISTENERS = 4 * CONFIGURATION_MOST_LISTEN * CONFIGURATION_MOST_WORKERS };

/* What the master gave to a child before MESSAGE_START. Descriptors are -1 where none came. */
struct child {
    struct configuration configuration;
    uint32_t process; /* its number in the limits */
    int limits;
    int generations;
    int auth;
    int source; /* to auth, of a process of a source */
    uint32_t source_index;
    int certificates;
    struct tls_tickets tickets;
    struct child_identity {
        uint32_t uid, gid; /* ACCOUNT_NO_ID: the system knows the group */
        char path[MESSAGE_PATH_SIZE];
    } identity; /* of a delegate */
    int listeners[CHILD_MOST_LISTENERS];
    uint32_t listener_kinds[CHILD_MOST_LISTENERS]; /* LISTENER_ bits */
    uint32_t listener_count;
};

/* The first thing in a child's life: no core dumps, nobody may trace it, it dies with the master; then it
 * takes what the master sends. `name` is borrowed for the log. */
int child_start(const char *name, struct child *child_out, struct error *error) MUST_CHECK;

/* As root, becomes `user` for good; else nothing. */
int child_drop_privileges(const char *user, struct error *error) MUST_CHECK;

/* Becomes the system user of a delegate for good. Must be root, and that user must not. */
int child_become(const struct child_identity *identity, struct error *error) MUST_CHECK;

/* Takes one message; false: none is there. The end of the channel ends the process: without a master
 * there is nothing to do. A descriptor is the caller's, or -1. */
bool child_receive(struct message *message, int *descriptor_out);

/* To the master; one that does not read for long is as good as dead, and so are we. The descriptor stays the
 * caller's. */
void child_send(const struct message *message);
void child_send_with(const struct message *message, int descriptor);

/* The keys in a MESSAGE_TICKETS. */
void child_take_tickets(const struct message *message, struct tls_tickets *tickets_out);

/* Puts the log where a MESSAGE_LOG says. Takes the descriptor. */
void child_take_log(const struct message *message, int descriptor);

#endif
