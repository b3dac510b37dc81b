/* SPDX-License-Identifier: MIT */
#include "server/fleet.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "server/channel.h"
#include "server/fleet_sources.h"

enum { RESTART_MS = 1000, AUTH_END_MS = 5000, NO_NUMBER = LIMITS_MOST_PROCESSES };

static const struct child_events events;

/* A sealed file in memory: what was parsed by the master is what the children parse. */
static int make_text(struct bytes text, struct error *error)
{
    AUTO_CLOSE int descriptor =
        memfd_create("restante-configuration", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (descriptor < 0 || write(descriptor, text.data, text.size) != (ssize_t)text.size ||
        fcntl(descriptor, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) <
            0) {
        return error_set(error, ERROR_TEMPORARY, errno, "handing on the configuration");
    }
    int made = descriptor;
    descriptor = -1;
    return made;
}

static uint32_t take_number(struct harbour *harbour)
{
    uint32_t number = 0;
    while (number < LIMITS_MOST_PROCESSES && harbour->numbers[number]) {
        number++;
    }
    if (number < LIMITS_MOST_PROCESSES) {
        harbour->numbers[number] = true;
    }
    return number;
}

static void give_number(struct harbour *harbour, uint32_t number)
{
    if (number < LIMITS_MOST_PROCESSES) {
        limits_clear(harbour->limits, number);
        harbour->numbers[number] = false;
    }
}

static void send_descriptor(struct child_process *child, enum message_type type, int descriptor)
{
    struct message message = {.type = type, .process = child->number};
    children_send(child, &message, descriptor);
}

static void send_configuration(const struct fleet *fleet, struct child_process *child)
{
    struct message message = {.type = MESSAGE_CONFIGURATION};
    memcpy(message.path, fleet->path, sizeof message.path);
    children_send(child, &message, fleet->text);
}

/* Where our lines go, theirs go. */
void fleet_send_log_to(struct child_process *child)
{
    const struct log_output *output = log_current();
    struct message message = {
        .type = MESSAGE_LOG, .kind = output->target, .process = output->format};
    children_send(child, &message, output->descriptor);
}

void fleet_greet(const struct fleet *fleet, struct child_process *child)
{
    send_configuration(fleet, child);
    fleet_send_log_to(child);
}

static void send_tickets(const struct harbour *harbour, struct child_process *worker)
{
    struct message message = {.type = MESSAGE_TICKETS};
    memcpy(message.path, harbour->tickets.keys, sizeof harbour->tickets.keys);
    children_send(worker, &message, -1);
    explicit_bzero(&message, sizeof message);
}

/* A channel of their own between a worker and auth. */
static void introduce(struct fleet *fleet, struct child_process *worker)
{
    int ends[2];
    if (fleet->auth == NULL) {
        return; /* done when there is one again */
    }
    if (channel_pair(ends) < 0) {
        log_write(LOG_LEVEL_ERROR, "a channel between a worker and auth: %s", strerror(errno));
        children_kill(worker); /* without it, it is of no use; the next one tries again */
        return;
    }
    send_descriptor(fleet->auth, MESSAGE_AUTH, ends[0]);
    send_descriptor(worker, MESSAGE_AUTH, ends[1]);
    (void)close(ends[0]);
    (void)close(ends[1]);
}

/* The sockets that are this slot's; one beyond the last slot goes to those that there are, in turn. */
static void send_sockets(const struct fleet *fleet, struct child_process *worker, uint32_t slot)
{
    for (uint32_t i = 0; i < fleet->sockets.count; i++) {
        const struct socket_group *group = &fleet->sockets.groups[i];
        for (uint32_t j = slot; j < group->count; j += fleet->configuration.workers) {
            struct message message = {.type = MESSAGE_LISTEN, .kind = group->kind};
            children_send(worker, &message, group->sockets[j]);
        }
    }
}

static int start_auth(struct fleet *fleet, struct error *error)
{
    struct harbour *harbour = fleet->harbour;
    struct child_process *auth = children_start(harbour->loop, "auth", &events, fleet, error);
    if (auth == NULL) {
        return -1;
    }
    auth->number = NO_NUMBER;
    fleet->auth = auth;
    fleet->processes++;
    fleet_greet(fleet, auth);
    send_descriptor(auth, MESSAGE_GENERATIONS, harbour->generations_writable);
    send_descriptor(auth, MESSAGE_START, -1);
    fleet_sources_introduce(fleet);
    return 0;
}

static int start_worker(struct fleet *fleet, uint32_t slot, struct error *error)
{
    struct harbour *harbour = fleet->harbour;
    uint32_t number = take_number(harbour);
    if (number == NO_NUMBER) {
        return error_set(error, ERROR_LIMIT, 0,
                         "%d workers live, most of them draining; no more can be started",
                         LIMITS_MOST_PROCESSES);
    }
    struct child_process *worker = children_start(harbour->loop, "worker", &events, fleet, error);
    if (worker == NULL) {
        give_number(harbour, number);
        return -1;
    }
    worker->number = number;
    worker->slot = slot;
    fleet->workers[slot] = worker;
    fleet->processes++;
    fleet_greet(fleet, worker);
    send_descriptor(worker, MESSAGE_LIMITS, harbour->limits_descriptor);
    send_descriptor(worker, MESSAGE_GENERATIONS, harbour->generations_readable);
    send_tickets(harbour, worker);
    send_descriptor(worker, MESSAGE_CERTIFICATES, fleet->certificates.memory);
    introduce(fleet, worker);
    send_sockets(fleet, worker, slot);
    send_descriptor(worker, MESSAGE_START, -1);
    return 0;
}

/* Starts what is missing; what can't be started is tried again. */
static void restart(struct fleet *fleet);

static void on_restart(uv_timer_t *timer)
{
    restart(timer->data);
}

static void restart(struct fleet *fleet)
{
    struct error error;
    bool missing = false;
    if (fleet->auth == NULL) {
        if (start_auth(fleet, &error) < 0) {
            log_write(LOG_LEVEL_ERROR, "%s", error.text);
            missing = true;
        } else {
            for (uint32_t slot = 0; slot < fleet->configuration.workers; slot++) {
                if (fleet->workers[slot] != NULL) {
                    introduce(fleet, fleet->workers[slot]);
                }
            }
        }
    }
    for (uint32_t slot = 0; slot < fleet->configuration.workers && !fleet->draining; slot++) {
        if (fleet->workers[slot] == NULL && start_worker(fleet, slot, &error) < 0) {
            log_write(LOG_LEVEL_ERROR, "%s", error.text);
            missing = true;
        }
    }
    if (missing) {
        (void)uv_timer_start(&fleet->restart, on_restart, RESTART_MS, 0);
    }
}

/* While a slot has no worker, another one accepts what comes to its sockets. */
static void lend_sockets(const struct fleet *fleet, uint32_t slot)
{
    for (uint32_t i = 0; i < fleet->configuration.workers; i++) {
        if (fleet->workers[i] != NULL && fleet->workers[i]->ready) {
            send_sockets(fleet, fleet->workers[i], slot);
            return;
        }
    }
}

static bool is_ready(const struct fleet *fleet)
{
    bool ready = fleet->auth != NULL && fleet->auth->ready;
    for (uint32_t slot = 0; slot < fleet->configuration.workers; slot++) {
        ready = ready && fleet->workers[slot] != NULL && fleet->workers[slot]->ready;
    }
    return ready && fleet_sources_are_ready(fleet);
}

void fleet_look_if_ready(struct fleet *fleet)
{
    if (!fleet->ready && !fleet->failed && is_ready(fleet)) {
        fleet->ready = true;
        fleet->events->ready(fleet);
    }
}

static void on_message(struct child_process *child, const struct message *message)
{
    struct fleet *fleet = child->owner;
    if (message->type == MESSAGE_READY) {
        child->ready = true;
        fleet_look_if_ready(fleet);
    } else if (message->type == MESSAGE_GRANT && child == fleet->auth) {
        delegates_grant(&fleet->delegates, message, child->received);
    } else if (message->type == MESSAGE_KILL_SOURCE && child == fleet->auth) {
        fleet_sources_kill_one(fleet, message->process);
    } else {
        fleet->events->message(fleet, child, message);
    }
}

static void forget_child(struct fleet *fleet, const struct child_process *child)
{
    give_number(fleet->harbour, child->number);
    if (fleet->auth == child) {
        fleet->auth = NULL;
    }
    if (fleet->workers[child->slot] == child) {
        fleet->workers[child->slot] = NULL;
    }
    fleet->processes--;
}

static void on_auth_late(uv_timer_t *timer)
{
    struct fleet *fleet = timer->data;
    if (fleet->auth != NULL) {
        children_kill(fleet->auth);
    }
}

/* Auth stays as long as a worker may ask it, and then has something to write down. */
static void end_auth_if_alone(struct fleet *fleet)
{
    if (fleet->draining && fleet->processes == 1 && fleet->auth != NULL) {
        struct message message = {.type = MESSAGE_DRAIN};
        children_send(fleet->auth, &message, -1);
        (void)uv_timer_start(&fleet->restart, on_auth_late, AUTH_END_MS, 0);
    }
}

static void replace(struct fleet *fleet, const struct child_process *child)
{
    uint64_t lived = uv_now(fleet->harbour->loop) - child->started;
    if (child->ready && lived >= RESTART_MS) {
        restart(fleet);
        return;
    }
    if (child->number != NO_NUMBER) {
        lend_sockets(fleet, child->slot);
    }
    (void)uv_timer_start(&fleet->restart, on_restart, RESTART_MS, 0);
}

static void on_gone(struct child_process *child, const char *how)
{
    struct fleet *fleet = child->owner;
    bool expected = fleet->failed || fleet->killed || (fleet->draining && fleet->processes == 1) ||
                    (fleet->draining && strcmp(how, "ended with status 0") == 0);
    if (!expected) {
        log_write(LOG_LEVEL_ERROR, "%s %d %s%s", child->role, child->process.pid, how,
                  fleet->ready && !fleet->draining ? "; it is started again" : "");
    }
    forget_child(fleet, child);
    if (!fleet->ready && !fleet->failed) {
        fleet->failed = true;
        fleet_kill(fleet);
    } else if (fleet->ready && !fleet->draining) {
        replace(fleet, child);
    } else if (fleet->draining && !fleet->failed && fleet->auth == NULL && fleet->processes > 0) {
        restart(fleet); /* sessions go on that may log in */
    }
    end_auth_if_alone(fleet);
    fleet_look_if_over(fleet);
}

void fleet_look_if_over(struct fleet *fleet)
{
    if (fleet->processes > 0 || (!fleet->failed && !fleet->draining)) {
        return;
    }
    if (fleet->source_count + fleet->delegates.count > 0) {
        fleet->killed = true;
        fleet_sources_kill(fleet); /* nobody is left whom they could answer */
        delegates_kill(&fleet->delegates);
    } else if (fleet->failed) {
        fleet->events->failed(fleet);
    } else {
        fleet->events->over(fleet);
    }
}

static const struct child_events events = {.message = on_message, .gone = on_gone};

struct fleet *fleet_start(struct harbour *harbour, const struct fleet_events *fleet_events,
                          const struct configuration *configuration, const char *path,
                          struct bytes text, const struct sockets *sockets,
                          struct certificates *certificates, struct error *error)
{
    struct fleet *fleet = calloc(1, sizeof *fleet);
    if (fleet == NULL) {
        (void)error_set(error, ERROR_TEMPORARY, ENOMEM, "starting the processes");
        certificates_close(certificates);
        return NULL;
    }
    fleet->harbour = harbour;
    fleet->events = fleet_events;
    fleet->configuration = *configuration;
    fleet->sockets = *sockets;
    fleet->certificates = *certificates;
    (void)snprintf(fleet->path, sizeof fleet->path, "%s", path);
    fleet->text = make_text(text, error);
    if (fleet->text < 0) {
        certificates_close(&fleet->certificates);
        free(fleet);
        return NULL;
    }
    (void)uv_timer_init(harbour->loop, &fleet->restart);
    fleet->restart.data = fleet;
    (void)uv_timer_init(harbour->loop, &fleet->restart_sources);
    fleet->restart_sources.data = fleet;
    delegates_init(&fleet->delegates, fleet);
    fleet->handles = 3;
    int result = start_auth(fleet, error);
    if (result == 0) {
        result = fleet_sources_start(fleet, error);
    }
    for (uint32_t slot = 0; slot < configuration->workers && result == 0; slot++) {
        result = start_worker(fleet, slot, error);
    }
    if (result < 0) {
        fleet->failed = true;
        if (fleet->processes + fleet->source_count == 0) {
            fleet_free(fleet);
            return NULL;
        }
        log_write(LOG_LEVEL_ERROR, "%s", error->text);
        fleet_kill(fleet); /* `failed` follows */
    }
    return fleet;
}

void fleet_send_to_workers(struct fleet *fleet, const struct message *message,
                           const struct child_process *except)
{
    for (uint32_t slot = 0; slot < CONFIGURATION_MOST_WORKERS; slot++) {
        if (fleet->workers[slot] != NULL && fleet->workers[slot] != except) {
            children_send(fleet->workers[slot], message, -1);
        }
    }
}

struct child_process *fleet_worker(const struct fleet *fleet, uint32_t number)
{
    for (uint32_t slot = 0; slot < CONFIGURATION_MOST_WORKERS; slot++) {
        if (fleet->workers[slot] != NULL && fleet->workers[slot]->number == number) {
            return fleet->workers[slot];
        }
    }
    return NULL;
}

void fleet_send_certificates(struct fleet *fleet)
{
    for (uint32_t slot = 0; slot < CONFIGURATION_MOST_WORKERS; slot++) {
        if (fleet->workers[slot] != NULL) {
            send_descriptor(fleet->workers[slot], MESSAGE_CERTIFICATES, fleet->certificates.memory);
        }
    }
}

void fleet_send_tickets(struct fleet *fleet)
{
    for (uint32_t slot = 0; slot < CONFIGURATION_MOST_WORKERS; slot++) {
        if (fleet->workers[slot] != NULL) {
            send_tickets(fleet->harbour, fleet->workers[slot]);
        }
    }
}

void fleet_send_log(struct fleet *fleet)
{
    for (uint32_t slot = 0; slot < CONFIGURATION_MOST_WORKERS; slot++) {
        if (fleet->workers[slot] != NULL) {
            fleet_send_log_to(fleet->workers[slot]);
        }
    }
    if (fleet->auth != NULL) {
        fleet_send_log_to(fleet->auth);
    }
    fleet_sources_send_log(fleet);
    delegates_send_log(&fleet->delegates);
}

void fleet_drain(struct fleet *fleet, uint64_t milliseconds)
{
    struct message message = {.type = MESSAGE_DRAIN, .milliseconds = milliseconds};
    fleet->draining = true;
    fleet_send_to_workers(fleet, &message, NULL);
    end_auth_if_alone(fleet);
}

void fleet_kill(struct fleet *fleet)
{
    (void)uv_timer_stop(&fleet->restart);
    fleet->killed = true;
    for (uint32_t slot = 0; slot < CONFIGURATION_MOST_WORKERS; slot++) {
        if (fleet->workers[slot] != NULL) {
            children_kill(fleet->workers[slot]);
        }
    }
    if (fleet->auth != NULL) {
        children_kill(fleet->auth);
    }
    fleet_sources_kill(fleet);
    delegates_kill(&fleet->delegates);
}

static void on_timer_closed(uv_handle_t *handle)
{
    struct fleet *fleet = handle->data;
    if (--fleet->handles == 0) {
        free(fleet);
    }
}

void fleet_free(struct fleet *fleet)
{
    (void)close(fleet->text);
    certificates_close(&fleet->certificates);
    uv_close((uv_handle_t *)&fleet->restart, on_timer_closed);
    uv_close((uv_handle_t *)&fleet->restart_sources, on_timer_closed);
    uv_close((uv_handle_t *)&fleet->delegates.look, on_timer_closed);
}
