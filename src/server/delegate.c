/* SPDX-License-Identifier: MIT */
/* The delegate process: started as root for one uid and one maildrop, it becomes that user before it reads
 * anything of his. The master sends a channel for each login that auth granted; no worker can ask for one. */
#include "server/delegate.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>
#include <unistd.h>

#include "server/child.h"
#include "server/delegate_state.h"
#include "server/sandbox.h"

/* The store counts a large maildrop with two threads; another is for another session's turn. */
enum { DELEGATE_THREADS = 4 };

static void on_idle(uv_timer_t *timer)
{
    const struct delegate *delegate = timer->data;
    struct message message = {.type = MESSAGE_IDLE, .ticket = delegate->grant_count};
    child_send(&message);
}

static void wait_for_grants(struct delegate *delegate)
{
    (void)uv_timer_start(&delegate->idle, on_idle, delegate->configuration.as_user_idle_ms,
                         delegate->configuration.as_user_idle_ms);
}

void delegate_grant_ended(struct delegate *delegate)
{
    if (--delegate->live_count == 0) {
        wait_for_grants(delegate);
    }
}

static void take_grant(struct delegate *delegate, const struct message *message, int channel)
{
    delegate->grant_count++;
    delegate->live_count++;
    (void)uv_timer_stop(&delegate->idle);
    struct message taken = {.type = MESSAGE_TAKEN, .ticket = delegate->grant_count};
    child_send(&taken);
    delegate_grant_serve(delegate, message->name, channel);
}

static void on_master(uv_poll_t *poll, int status, int events)
{
    (void)status;
    (void)events;
    struct delegate *delegate = poll->data;
    struct message message;
    int descriptor;
    while (child_receive(&message, &descriptor)) {
        if (message.type == MESSAGE_GRANT) {
            take_grant(delegate, &message, descriptor);
        } else if (message.type == MESSAGE_LOG) {
            child_take_log(&message, descriptor);
        } else if (message.type == MESSAGE_END) {
            _exit(EX_OK);
        } else {
            log_write(LOG_LEVEL_ERROR, "an unexpected message of type %u", message.type);
        }
    }
}

static int make_loop(struct delegate *delegate, struct error *error)
{
    struct maildrop_options options = {.path = "/"}; /* each grant is for a path of its own */
    if (uv_loop_init(&delegate->loop) < 0 || uv_timer_init(&delegate->loop, &delegate->idle) < 0 ||
        uv_poll_init(&delegate->loop, &delegate->master, CHILD_CHANNEL) < 0) {
        return error_set(error, ERROR_TEMPORARY, 0, "the loop cannot be made");
    }
    delegate->idle.data = delegate;
    delegate->master.data = delegate;
    executor_init(&delegate->executor, &delegate->loop, DELEGATE_THREADS);
    return maildrop_maildir_create(&options, &delegate->executor.interface, &delegate->store,
                                   error);
}

static int start(struct delegate *delegate, struct error *error)
{
    static struct child child; /* large, once */
    if (child_start("restante-delegate", &child, error) < 0) {
        return -1;
    }
    delegate->configuration = child.configuration;
    delegate->path = strdup(child.identity.path);
    if (delegate->path == NULL) {
        return error_set(error, ERROR_TEMPORARY, 0, "out of memory");
    }
    if (child_become(&child.identity, error) < 0 || make_loop(delegate, error) < 0) {
        return -1;
    }
    struct sandbox sandbox = {.role = SANDBOX_DELEGATE, .maildrop = delegate->path};
    if (sandbox_enter(&sandbox, &delegate->loop, SANDBOX_NEWEST, error) < 0) {
        return -1;
    }
    wait_for_grants(delegate);
    (void)uv_poll_start(&delegate->master, UV_READABLE, on_master);
    return 0;
}

int delegate_run(void)
{
    static struct delegate delegate;
    struct error error;
    if (start(&delegate, &error) < 0) {
        log_write(LOG_LEVEL_ERROR, "%s", error.text);
        return error_exit_status(error.kind);
    }
    (void)uv_run(&delegate.loop, UV_RUN_DEFAULT);
    return EX_SOFTWARE; /* the loop has always something to wait for */
}
