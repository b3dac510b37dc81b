/* SPDX-License-Identifier: MIT */
#include "server/delegates.h"

#include <errno.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "server/fleet.h"

enum { LOOK_MS = 2000, ANSWER_MS = 10000 };

struct delegate_child {
    struct delegates *delegates;
    struct delegate_child *next;
    struct child_process *process;
    uint32_t uid, gid;
    char path[MESSAGE_PATH_SIZE];
    uint64_t given, taken; /* grants */
    bool leaving;          /* it was told to end: what is granted now is for its successor */
    uint64_t waits_since;  /* for an answer, or for its end */
};

static uint64_t now_of(const struct delegates *delegates)
{
    return uv_now(delegates->fleet->harbour->loop);
}

static int compare(const void *a, const void *b)
{
    const struct delegate_child *left = a;
    const struct delegate_child *right = b;
    if (left->uid != right->uid) {
        return left->uid < right->uid ? -1 : 1;
    }
    if (left->gid != right->gid) {
        return left->gid < right->gid ? -1 : 1;
    }
    return strcmp(left->path, right->path);
}

static void leave(struct delegate_child *child)
{
    if (!child->leaving) {
        child->leaving = true;
        child->waits_since = now_of(child->delegates);
        (void)tdelete(child, &child->delegates->tree, compare);
    }
}

static void unlink_child(struct delegate_child *child)
{
    struct delegate_child **link = &child->delegates->first;
    while (*link != child) {
        link = &(*link)->next;
    }
    *link = child->next;
}

/* It has had nothing to do for long, unless a grant is on its way. */
static void on_idle(struct delegate_child *child, uint64_t taken)
{
    struct message message = {.type = MESSAGE_END};
    if (taken == child->given) {
        leave(child);
        children_send(child->process, &message, -1);
    }
}

static void on_message(struct child_process *process, const struct message *message)
{
    struct delegate_child *child = process->owner;
    if (message->type == MESSAGE_TAKEN && message->ticket <= child->given) {
        child->taken = message->ticket;
        child->waits_since = now_of(child->delegates);
    } else if (message->type == MESSAGE_IDLE) {
        on_idle(child, message->ticket);
    } else {
        log_write(LOG_LEVEL_ERROR, "%s %d said what it may not say; it is killed", process->role,
                  process->process.pid);
        children_kill(process);
    }
}

static void on_gone(struct child_process *process, const char *how)
{
    struct delegate_child *child = process->owner;
    struct delegates *delegates = child->delegates;
    if (!child->leaving && !delegates->fleet->killed) {
        log_write(LOG_LEVEL_ERROR, "%s %d for uid %u %s; who reads mail by it has to log in again",
                  process->role, process->process.pid, child->uid, how);
    }
    leave(child);
    unlink_child(child);
    free(child);
    delegates->count--;
    if (delegates->first == NULL) {
        (void)uv_timer_stop(&delegates->look);
        fleet_look_if_over(delegates->fleet);
    }
}

static const struct child_events events = {.message = on_message, .gone = on_gone};

static void on_look(uv_timer_t *timer)
{
    const struct fleet *fleet = timer->data;
    const struct delegates *delegates = &fleet->delegates;
    uint64_t now = now_of(delegates);
    for (const struct delegate_child *child = delegates->first; child != NULL;
         child = child->next) {
        if ((child->leaving || child->taken != child->given) &&
            now - child->waits_since >= ANSWER_MS) {
            log_write(LOG_LEVEL_ERROR, "%s %d for uid %u does not answer; it is killed",
                      child->process->role, child->process->process.pid, child->uid);
            children_kill(child->process);
        }
    }
}

static void introduce(const struct delegates *delegates, struct delegate_child *child)
{
    struct message identity = {.type = MESSAGE_IDENTITY, .uid = child->uid, .gid = child->gid};
    struct message start = {.type = MESSAGE_START};
    (void)snprintf(identity.path, sizeof identity.path, "%s", child->path);
    fleet_greet(delegates->fleet, child->process);
    children_send(child->process, &identity, -1);
    children_send(child->process, &start, -1);
}

static struct delegate_child *start(struct delegates *delegates, const struct delegate_child *key,
                                    struct error *error)
{
    if (delegates->count >= delegates->fleet->configuration.connections) {
        (void)error_set(error, ERROR_LIMIT, 0, "there are as many delegates as connections may be");
        return NULL;
    }
    struct delegate_child *child = malloc(sizeof *child);
    if (child != NULL) {
        *child = *key;
    }
    if (child == NULL || tsearch(child, &delegates->tree, compare) == NULL) {
        free(child);
        (void)error_set(error, ERROR_TEMPORARY, ENOMEM, "starting a delegate");
        return NULL;
    }
    child->process =
        children_start(delegates->fleet->harbour->loop, "delegate", &events, child, error);
    if (child->process == NULL) {
        (void)tdelete(child, &delegates->tree, compare);
        free(child);
        return NULL;
    }
    child->next = delegates->first;
    delegates->first = child;
    delegates->count++;
    introduce(delegates, child);
    if (!uv_is_active((uv_handle_t *)&delegates->look)) {
        (void)uv_timer_start(&delegates->look, on_look, LOOK_MS, LOOK_MS);
    }
    return child;
}

void delegates_grant(struct delegates *delegates, const struct message *grant, int channel)
{
    const struct configuration *configuration = &delegates->fleet->configuration;
    struct delegate_child key = {.delegates = delegates, .uid = grant->uid, .gid = grant->gid};
    struct message message = {.type = MESSAGE_GRANT};
    struct error error;
    (void)snprintf(key.path, sizeof key.path, "%s", grant->path);
    if (!configuration->as_user || grant->uid < configuration->as_user_minimum || channel < 0) {
        log_write(LOG_LEVEL_ERROR, "auth granted a maildrop of uid %u, which it may not",
                  grant->uid);
        return;
    }
    struct delegate_child **found = tfind(&key, &delegates->tree, compare);
    struct delegate_child *child = found != NULL ? *found : start(delegates, &key, &error);
    if (child == NULL) {
        log_write(LOG_LEVEL_ERROR, "%s", error.text);
        return;
    }
    if (child->taken == child->given) {
        child->waits_since = now_of(delegates);
    }
    child->given++;
    (void)snprintf(message.name, sizeof message.name, "%s", grant->name);
    children_send(child->process, &message, channel);
}

void delegates_send_log(const struct delegates *delegates)
{
    for (const struct delegate_child *child = delegates->first; child != NULL;
         child = child->next) {
        fleet_send_log_to(child->process);
    }
}

void delegates_kill(struct delegates *delegates)
{
    for (const struct delegate_child *child = delegates->first; child != NULL;
         child = child->next) {
        children_kill(child->process);
    }
}

void delegates_init(struct delegates *delegates, struct fleet *fleet)
{
    *delegates = (struct delegates){.fleet = fleet};
    (void)uv_timer_init(fleet->harbour->loop, &delegates->look);
    delegates->look.data = fleet;
}
