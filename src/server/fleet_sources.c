/* SPDX-License-Identifier: MIT */
#include "server/fleet_sources.h"

#include <signal.h>
#include <unistd.h>

#include "server/channel.h"

enum { RESTART_LEAST_MS = 1000, RESTART_MOST_MS = 30000, LIVED_MS = 10000 };

static uint32_t count_of(const struct fleet *fleet)
{
    return fleet->configuration.sources.asked * fleet->configuration.source_processes;
}

/* Of process `number`: its source's place in the list. */
static uint32_t source_of(const struct fleet *fleet, uint32_t number)
{
    return number / fleet->configuration.source_processes;
}

static bool is_wanted(const struct fleet *fleet, uint32_t number)
{
    return !configuration_is_file(&fleet->configuration, source_of(fleet, number));
}

static const char *name_of(const struct fleet *fleet, uint32_t number)
{
    return fleet->configuration.sources.list[source_of(fleet, number)];
}

static void introduce(struct fleet *fleet, struct child_process *process)
{
    struct message message = {
        .type = MESSAGE_SOURCE, .kind = source_of(fleet, process->slot), .process = process->slot};
    int ends[2];
    if (channel_pair(ends) < 0) {
        children_kill(process); /* the next one tries again */
        return;
    }
    if (fleet->auth != NULL) {
        children_send(fleet->auth, &message, ends[0]);
    }
    children_send(process, &message, ends[1]);
    (void)close(ends[0]);
    (void)close(ends[1]);
}

static const struct child_events events;

static int start_one(struct fleet *fleet, uint32_t number, struct error *error)
{
    struct child_process *process =
        children_start(fleet->harbour->loop, "source", &events, fleet, error);
    if (process == NULL) {
        return -1;
    }
    process->slot = number;
    fleet->sources[number].process = process;
    fleet->source_count++;
    fleet_greet(fleet, process);
    introduce(fleet, process);
    struct message start = {.type = MESSAGE_START};
    children_send(process, &start, -1);
    return 0;
}

int fleet_sources_start(struct fleet *fleet, struct error *error)
{
    for (uint32_t number = 0; number < count_of(fleet); number++) {
        if (is_wanted(fleet, number) && start_one(fleet, number, error) < 0) {
            return -1;
        }
    }
    return 0;
}

bool fleet_sources_are_ready(const struct fleet *fleet)
{
    for (uint32_t number = 0; number < count_of(fleet); number++) {
        const struct child_process *process = fleet->sources[number].process;
        if (is_wanted(fleet, number) && (process == NULL || !process->ready)) {
            return false;
        }
    }
    return true;
}

void fleet_sources_introduce(struct fleet *fleet)
{
    for (uint32_t number = 0; number < count_of(fleet); number++) {
        if (fleet->sources[number].process != NULL) {
            introduce(fleet, fleet->sources[number].process);
        }
    }
}

/* What it has started is in its group. */
static void kill_group(struct child_process *process)
{
    (void)kill(-process->process.pid, SIGKILL);
    children_kill(process);
}

void fleet_sources_kill_one(struct fleet *fleet, uint32_t number)
{
    if (number >= count_of(fleet) || fleet->sources[number].process == NULL) {
        return;
    }
    struct fleet_source *source = &fleet->sources[number];
    log_write(LOG_LEVEL_ERROR, "source %s %d has not answered in time; it is killed",
              name_of(fleet, number), source->process->process.pid);
    source->was_silent = true;
    kill_group(source->process);
}

void fleet_sources_kill(struct fleet *fleet)
{
    (void)uv_timer_stop(&fleet->restart_sources);
    for (uint32_t number = 0; number < count_of(fleet); number++) {
        if (fleet->sources[number].process != NULL) {
            kill_group(fleet->sources[number].process);
        }
    }
}

void fleet_sources_send_log(struct fleet *fleet)
{
    for (uint32_t number = 0; number < count_of(fleet); number++) {
        if (fleet->sources[number].process != NULL) {
            fleet_send_log_to(fleet->sources[number].process);
        }
    }
}

static void on_message(struct child_process *process, const struct message *message)
{
    if (message->type != MESSAGE_READY) {
        log_write(LOG_LEVEL_ERROR, "%s %d said what it may not say; it is killed", process->role,
                  process->process.pid);
        children_kill(process);
        return;
    }
    process->ready = true;
    fleet_look_if_ready(process->owner);
}

static void restart(struct fleet *fleet);

static void on_restart(uv_timer_t *timer)
{
    restart(timer->data);
}

/* Starts those whose time has come, and waits for the others. */
static void restart(struct fleet *fleet)
{
    uint64_t now = uv_now(fleet->harbour->loop);
    uint64_t next = UINT64_MAX;
    struct error error;
    for (uint32_t number = 0; number < count_of(fleet); number++) {
        struct fleet_source *source = &fleet->sources[number];
        if (!is_wanted(fleet, number) || source->process != NULL) {
            continue;
        }
        if (source->start_at <= now && start_one(fleet, number, &error) < 0) {
            log_write(LOG_LEVEL_ERROR, "%s", error.text);
            source->start_at = now + RESTART_LEAST_MS;
        }
        if (source->process == NULL && source->start_at < next) {
            next = source->start_at;
        }
    }
    if (next != UINT64_MAX) {
        (void)uv_timer_start(&fleet->restart_sources, on_restart, next - now, 0);
    }
}

static void replace(struct fleet *fleet, const struct child_process *process, bool is_stale)
{
    struct fleet_source *source = &fleet->sources[process->slot];
    uint64_t now = uv_now(fleet->harbour->loop);
    if (is_stale || source->was_silent || now - process->started >= LIVED_MS) {
        source->pause_ms = 0;
    } else {
        source->pause_ms = source->pause_ms == 0 ? RESTART_LEAST_MS : source->pause_ms * 2;
        source->pause_ms = source->pause_ms > RESTART_MOST_MS ? RESTART_MOST_MS : source->pause_ms;
    }
    source->start_at = now + source->pause_ms;
    source->was_silent = false;
    restart(fleet);
}

static void on_gone(struct child_process *process, const char *how)
{
    struct fleet *fleet = process->owner;
    struct fleet_source *source = &fleet->sources[process->slot];
    bool is_stale = strcmp(how, "ended with status 0") == 0;
    bool expected = fleet->failed || fleet->killed || source->was_silent || is_stale;
    if (!expected) {
        log_write(LOG_LEVEL_ERROR, "source %s %d %s%s", name_of(fleet, process->slot),
                  process->process.pid, how, fleet->ready ? "; it is started again" : "");
    }
    source->process = NULL;
    fleet->source_count--;
    if (!fleet->ready && !fleet->failed) {
        fleet->failed = true;
        fleet_kill(fleet);
    } else if (!fleet->failed && !fleet->killed && fleet->auth != NULL) {
        replace(fleet, process, is_stale);
    }
    fleet_look_if_over(fleet);
}

static const struct child_events events = {.message = on_message, .gone = on_gone};
