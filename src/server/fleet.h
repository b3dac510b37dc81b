/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_SERVER_FLEET_H
#define RESTANTE_SERVER_FLEET_H

/* The processes that serve one reading of the configuration: one auth, and a worker in each slot. A reload
 * makes a second fleet; when all of it is ready, the first is drained and goes when its last session has
 * ended. What is shared by all fleets, and outlives them, is the harbour: sockets, limits, generations. */

#include "server/certificates.h"
#include "server/children.h"
#include "server/configuration.h"
#include "server/connection_limits.h"
#include "server/delegates.h"
#include "server/sockets.h"

struct harbour {
    uv_loop_t *loop;
    struct sockets sockets;
    int limits_descriptor;
    struct limits *limits;
    int generations_writable, generations_readable;
    struct tls_tickets tickets;
    bool numbers[LIMITS_MOST_PROCESSES]; /* those of workers that live */
};

struct fleet;

struct fleet_events {
    /* All processes are ready; the fleet serves. */
    void (*ready)(struct fleet *fleet);
    /* A process ended before the fleet was ever ready: it is broken up. */
    void (*failed)(struct fleet *fleet);
    /* A drained fleet's last process is gone: fleet_free it. */
    void (*over)(struct fleet *fleet);
    /* What is not the fleet's own business. */
    void (*message)(struct fleet *fleet, struct child_process *child,
                    const struct message *message);
};

struct fleet {
    struct harbour *harbour;
    const struct fleet_events *events;
    struct fleet *next;
    struct configuration configuration;
    struct sockets sockets;
    struct certificates certificates;
    int text; /* memfd of the configuration */
    char path[MESSAGE_PATH_SIZE];
    struct child_process *auth;
    struct child_process *workers[CONFIGURATION_MOST_WORKERS];
    struct delegates delegates;
    uint32_t processes; /* that live, without delegates and those of sources */
    struct fleet_source {
        struct child_process *process; /* NULL: none at this time */
        uint64_t start_at, pause_ms;   /* of the next one, where it ended by itself */
        bool was_silent;               /* for which it is being killed */
    } sources[CONFIGURATION_MOST_SOURCES * CONFIGURATION_MOST_SOURCE_PROCESSES];
    uint32_t source_count; /* that live */
    uv_timer_t restart_sources;
    uint32_t handles;   /* of timers that are open */
    uv_timer_t restart; /* of processes that ended as soon as they had begun */
    bool ready;
    bool failed;
    bool draining;
    bool killed; /* what ends now ends on purpose */
};

/* Starts the processes. `sockets` are copied, `certificates` are taken, on failure too; `text`
 * is the configuration's. NULL on failure. */
struct fleet *fleet_start(struct harbour *harbour, const struct fleet_events *events,
                          const struct configuration *configuration, const char *path,
                          struct bytes text, const struct sockets *sockets,
                          struct certificates *certificates, struct error *error);

/* Accepts no more; sessions may go on for `milliseconds` (UINT64_MAX: as long as they take). */
void fleet_drain(struct fleet *fleet, uint64_t milliseconds);

/* Kills what is left. */
void fleet_kill(struct fleet *fleet);

void fleet_send_to_workers(struct fleet *fleet, const struct message *message,
                           const struct child_process *except);

/* The worker with that number in the limits, or NULL. */
struct child_process *fleet_worker(const struct fleet *fleet, uint32_t number);

/* Hands the certificates, or the ticket keys of the harbour, to every worker anew. */
void fleet_send_certificates(struct fleet *fleet);
void fleet_send_tickets(struct fleet *fleet);

/* Hands a new log to every process. */
void fleet_send_log(struct fleet *fleet);

/* For fleet_sources.c and delegates.c. What every process gets first; where our lines go; is the fleet ready, or over, now
 * that a process is? */
void fleet_greet(const struct fleet *fleet, struct child_process *child);
void fleet_send_log_to(struct child_process *child);
void fleet_look_if_ready(struct fleet *fleet);
void fleet_look_if_over(struct fleet *fleet);

/* After `over` or `failed`. */
void fleet_free(struct fleet *fleet);

#endif
