/* SPDX-License-Identifier: MIT */
/* A worker: one loop, all its sessions, no privileges. It gets its sockets from the master and accepts until
 * it is drained; then it ends with its last session, or when the time for that is over. */
#include "server/worker.h"

#include <errno.h>
#include <stdlib.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/container_of.h"
#include "base/version.h"
#include "server/certificates.h"
#include "server/child.h"
#include "server/sandbox.h"
#include "server/session.h"

enum { WORKER_THREADS = 8 };

void worker_add(struct worker *worker, struct session *session)
{
    session->next = worker->sessions;
    if (session->next != NULL) {
        session->next->previous = session;
    }
    worker->sessions = session;
    worker->session_count++;
}

static void exit_if_drained(const struct worker *worker)
{
    if (worker->draining && worker->session_count == 0) {
        _exit(EX_OK);
    }
}

void worker_remove(struct worker *worker, struct session *session)
{
    if (session->previous != NULL) {
        session->previous->next = session->next;
    } else {
        worker->sessions = session->next;
    }
    if (session->next != NULL) {
        session->next->previous = session->previous;
    }
    worker->session_count--;
    exit_if_drained(worker);
}

static void on_idle(uv_idle_t *idle)
{
    struct worker *worker = idle->data;
    struct session *session = worker->rested;
    worker->rested = NULL;
    (void)uv_idle_stop(idle);
    while (session != NULL) {
        struct session *next = session->rested_next;
        session->rested = false;
        session_drive(session);
        session = next;
    }
}

void worker_rest(struct worker *worker, struct session *session)
{
    if (session->rested) {
        return;
    }
    session->rested = true;
    session->rested_next = worker->rested;
    worker->rested = session;
    (void)uv_idle_start(&worker->idle, on_idle);
}

void worker_forget_rest(struct worker *worker, struct session *session)
{
    for (struct session **link = &worker->rested; session->rested && *link != NULL;
         link = &(*link)->rested_next) {
        if (*link == session) {
            *link = session->rested_next;
            session->rested = false;
            return;
        }
    }
}

static void on_connection(uv_stream_t *listener, int status)
{
    if (status < 0) {
        log_write(LOG_LEVEL_ERROR, "accepting a connection: %s", uv_strerror(status));
        return;
    }
    session_accept(CONTAINER_OF(listener, struct listener, tcp));
}

static void on_listener_closed(uv_handle_t *handle)
{
    free(CONTAINER_OF(handle, struct listener, tcp));
}

static void listen_on(struct worker *worker, int descriptor, uint32_t kind)
{
    enum { BACKLOG = 4096 };
    struct listener *listener = calloc(1, sizeof *listener);
    size_t most = sizeof worker->listeners / sizeof worker->listeners[0];
    if (listener == NULL || worker->draining || worker->listener_count == most) {
        free(listener);
        (void)close(descriptor);
        return;
    }
    (void)uv_tcp_init(&worker->loop, &listener->tcp);
    listener->worker = worker;
    listener->kind = kind;
    int result = uv_tcp_open(&listener->tcp, descriptor);
    if (result == 0) {
        result = uv_listen((uv_stream_t *)&listener->tcp, BACKLOG, on_connection);
    }
    if (result < 0) {
        log_write(LOG_LEVEL_ERROR, "listening: %s", uv_strerror(result));
        uv_close((uv_handle_t *)&listener->tcp, on_listener_closed);
        return;
    }
    worker->listeners[worker->listener_count++] = listener;
}

static void end_sessions(struct worker *worker, bool all)
{
    struct session *next;
    for (struct session *session = worker->sessions; session != NULL; session = next) {
        next = session->next;
        if (all || (!session->closing && !session_is_logged_in(session))) {
            session_end(session, POP3_END_SHUTDOWN, "shutdown");
        }
    }
}

static void on_drain_timer(uv_timer_t *timer)
{
    struct worker *worker = timer->data;
    log_write(LOG_LEVEL_INFO, "%u sessions had not ended in time", worker->session_count);
    end_sessions(worker, true);
    (void)uv_timer_start(timer, on_drain_timer, 2000, 0);
}

/* The master keeps the sockets: what nobody has accepted yet waits there for the next worker. */
static void drain(struct worker *worker, uint64_t milliseconds)
{
    for (uint32_t i = 0; i < worker->listener_count; i++) {
        uv_close((uv_handle_t *)&worker->listeners[i]->tcp, on_listener_closed);
    }
    worker->listener_count = 0;
    worker->draining = true;
    if (milliseconds != UINT64_MAX) {
        end_sessions(worker, false); /* who has not logged in loses nothing */
        (void)uv_timer_start(&worker->drain_timer, on_drain_timer, milliseconds, 0);
    }
    exit_if_drained(worker);
}

/* New ones, for the connections that come; those that are there go on with theirs. */
static void take_certificates(struct worker *worker, int descriptor)
{
    struct error error;
    struct tls_context *context;
    if (certificates_use(descriptor, &worker->configuration, &worker->tickets, &context, &error) <
        0) {
        log_write(LOG_LEVEL_ERROR, "%s", error.text);
    } else {
        (void)tls_context_free(worker->tls);
        worker->tls = context;
    }
    (void)close(descriptor);
}

static void take_message(struct worker *worker, const struct message *message, int descriptor)
{
    if (message->type == MESSAGE_LISTEN) {
        listen_on(worker, descriptor, message->kind);
    } else if (message->type == MESSAGE_TICKETS) {
        child_take_tickets(message, &worker->tickets);
    } else if (message->type == MESSAGE_CERTIFICATES) {
        take_certificates(worker, descriptor);
    } else if (message->type == MESSAGE_AUTH) {
        auth_client_connect(&worker->auth, descriptor);
    } else if (message->type == MESSAGE_LOG) {
        child_take_log(message, descriptor);
    } else if (message->type == MESSAGE_DRAIN) {
        drain(worker, message->milliseconds);
    } else if (message->type == MESSAGE_FREED) {
        holders_freed(&worker->holders, message->ticket);
    } else if (message->type == MESSAGE_GIVE_UP) {
        if (holders_give_up(&worker->holders, message->device, message->inode)) {
            struct message reply = {
                .type = MESSAGE_FREED, .process = message->process, .ticket = message->ticket};
            child_send(&reply);
        }
    } else {
        log_write(LOG_LEVEL_ERROR, "an unexpected message of type %u", message->type);
    }
}

static void on_master(uv_poll_t *poll, int status, int events)
{
    (void)status;
    (void)events;
    struct worker *worker = poll->data;
    struct message message;
    int descriptor;
    while (child_receive(&message, &descriptor)) {
        take_message(worker, &message, descriptor);
    }
}

static int make_shared(struct worker *worker, const struct child *child, struct error *error)
{
    worker->configuration = child->configuration;
    worker->process = child->process;
    mail_roots_of(&worker->configuration, &worker->roots);
    worker->generations = generations_map(child->generations);
    if (worker->generations == NULL) {
        return error_set(error, ERROR_TEMPORARY, errno, "shared memory");
    }
    if (limits_map(child->limits, &worker->limits, error) < 0 ||
        child_drop_privileges(worker->configuration.user, error) < 0 ||
        verification_cache_create(&worker->cache, error) < 0) {
        return -1;
    }
    worker->tickets = child->tickets;
    if (certificates_use(child->certificates, &worker->configuration, &worker->tickets,
                         &worker->tls, error) < 0) {
        return -1;
    }
    (void)close(child->certificates);
    struct maildrop_options options = {.path = worker->configuration.path};
    executor_init(&worker->executor, &worker->loop, WORKER_THREADS);
    return maildrop_maildir_create(&options, &worker->executor.interface, &worker->store, error);
}

/* libuv keeps a descriptor in reserve for when no more are to be had; the first stream opens it, which the
 * sandbox would not allow. */
static void open_reserve(struct worker *worker)
{
    static uv_tcp_t stream;
    (void)uv_tcp_init(&worker->loop, &stream);
    uv_close((uv_handle_t *)&stream, NULL);
}

static int make_loop(struct worker *worker, struct error *error)
{
    if (uv_loop_init(&worker->loop) < 0 || stream_loop_init(&worker->streams, &worker->loop) < 0 ||
        uv_idle_init(&worker->loop, &worker->idle) < 0 ||
        uv_timer_init(&worker->loop, &worker->drain_timer) < 0 ||
        uv_poll_init(&worker->loop, &worker->master, CHILD_CHANNEL) < 0 ||
        uv_poll_start(&worker->master, UV_READABLE, on_master) < 0) {
        return error_set(error, ERROR_TEMPORARY, 0, "the loop cannot be made");
    }
    worker->idle.data = worker;
    worker->drain_timer.data = worker;
    worker->master.data = worker;
    worker->auth.loop = &worker->loop;
    open_reserve(worker);
    return 0;
}

static int start(struct worker *worker, struct error *error)
{
    static struct child child; /* large, once */
    struct sandbox sandbox = {.role = SANDBOX_WORKER, .configuration = &worker->configuration};
    if (child_start("restante-worker", &child, error) < 0 ||
        make_shared(worker, &child, error) < 0 || make_loop(worker, error) < 0 ||
        sandbox_enter(&sandbox, &worker->loop, SANDBOX_NEWEST, error) < 0) {
        return -1;
    }
    worker->options = (struct pop3_server_options){
        .greeting = "Restante ready",
        .implementation = "Restante-" RESTANTE_VERSION,
        .expire = worker->configuration.expire,
        .login_delay_seconds = (uint32_t)((worker->configuration.login_delay_ms + 999) / 1000),
        .max_bad_commands = worker->configuration.max_bad_commands,
        .utf8 = worker->configuration.utf8,
        .utf8_user = worker->configuration.utf8,
    };
    if (gethostname(worker->host, sizeof worker->host - 1) < 0) {
        memcpy(worker->host, "localhost", sizeof "localhost");
    }
    auth_client_connect(&worker->auth, child.auth);
    for (uint32_t i = 0; i < child.listener_count; i++) {
        listen_on(worker, child.listeners[i], child.listener_kinds[i]);
    }
    return 0;
}

int worker_run(void)
{
    static struct worker worker;
    struct error error;
    if (start(&worker, &error) < 0) {
        log_write(LOG_LEVEL_ERROR, "%s", error.text);
        return error_exit_status(error.kind);
    }
    struct message ready = {.type = MESSAGE_READY};
    child_send(&ready);
    (void)uv_run(&worker.loop, UV_RUN_DEFAULT);
    return EX_SOFTWARE; /* the loop has always something to wait for */
}
