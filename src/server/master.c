/* SPDX-License-Identifier: MIT */
/* The master: makes what outlives the processes, starts a fleet, and hears signals and requests. It reads
 * nothing that a stranger sent. */
#include "server/master.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sysexits.h>
#include <unistd.h>

#include "server/control_server.h"
#include "server/fleet.h"
#include "server/generations.h"
#include "server/log_target.h"
#include "server/preflight.h"
#include "server/readiness.h"

enum {
    LOOK_MS = 5000,
    TICKET_ROTATION_MS = 12 * 3600 * 1000, /* a key opens tickets for three times that */
};

enum { EXIT_MISTAKE = 2, KILL_AFTER_MS = 5000, MOST_REQUESTS = 64 };

/* A request that every auth process has to answer before it is answered. */
struct request {
    uint64_t ticket; /* 0: free */
    uint32_t outstanding;
    struct error error;
};

struct master {
    uv_loop_t loop;
    uv_signal_t signals[3];
    uv_timer_t kill_timer;
    uv_timer_t look_timer; /* at what others may have changed: certificates, the log daemon */
    uv_timer_t ticket_timer;
    const char *path;
    int ready_fd;
    struct harbour harbour;
    struct control_server control;
    struct fleet *fleets; /* that live; the first is the newest */
    struct fleet *serving;
    struct sockets next_sockets; /* of the fleet that is starting */
    bool reload_wanted;          /* when the one under way is done */
    bool stopping;
    int status;
    struct request requests[MOST_REQUESTS];
};

static struct master *master_of(const struct fleet *fleet)
{
    return fleet->harbour->loop->data;
}

static bool is_starting(const struct master *master)
{
    return master->fleets != NULL && !master->fleets->ready;
}

static void log_notes(const struct configuration_notes *notes, enum log_level level)
{
    const char *line = notes->text;
    while (*line != '\0') {
        int size = (int)strcspn(line, "\n");
        log_write(level, "%.*s", size, line);
        line += size + 1;
    }
}

static const struct fleet_events events;

static int start_fleet(struct master *master, const struct configuration *configuration,
                       struct bytes text, struct error *error)
{
    static struct configuration_notes notes;
    notes = (struct configuration_notes){0};
    if (sockets_prepare(&master->harbour.sockets, configuration, &master->next_sockets, error) <
        0) {
        return -1;
    }
    static struct certificates certificates; /* large */
    if (certificates_load(configuration, master->path, true, &certificates, &notes) < 0) {
        log_notes(&notes, LOG_LEVEL_ERROR);
        sockets_drop(&master->next_sockets, &master->harbour.sockets);
        return error_set(error, ERROR_CONFIGURATION, 0, "there is no certificate to serve with");
    }
    struct fleet *fleet = fleet_start(&master->harbour, &events, configuration, master->path, text,
                                      &master->next_sockets, &certificates, error);
    if (fleet == NULL) {
        sockets_drop(&master->next_sockets, &master->harbour.sockets);
        return -1;
    }
    fleet->next = master->fleets;
    master->fleets = fleet;
    return 0;
}

static void reopen_log(struct master *master, const struct configuration *configuration)
{
    struct error error;
    if (log_target_use(configuration, &error) < 0) {
        log_write(LOG_LEVEL_ERROR, "%s; the log goes on where it went", error.text);
        return;
    }
    for (struct fleet *fleet = master->fleets; fleet != NULL; fleet = fleet->next) {
        fleet_send_log(fleet);
    }
}

static void reload(struct master *master)
{
    static struct configuration configuration;
    static struct configuration_notes notes;
    struct bytes text;
    struct error error;
    if (master->stopping) {
        return;
    }
    if (is_starting(master)) {
        master->reload_wanted = true;
        return;
    }
    readiness_notify("RELOADING=1");
    reopen_log(master, &master->serving->configuration);
    int result = preflight_load(master->path, &configuration, &notes, &text);
    log_notes(&notes, result < 0 ? LOG_LEVEL_ERROR : LOG_LEVEL_WARNING);
    if (result == 0) {
        if (strcmp(configuration.state_dir, master->serving->configuration.state_dir) != 0) {
            log_write(LOG_LEVEL_WARNING, "state-dir changes only when the server is started anew");
        }
        reopen_log(master, &configuration);
        log_init("restante", configuration.log_level);
        result = start_fleet(master, &configuration, text, &error);
        free((void *)(uintptr_t)text.data);
        if (result < 0) {
            log_write(LOG_LEVEL_ERROR, "%s", error.text);
        }
    }
    if (result < 0) {
        log_write(LOG_LEVEL_ERROR, "not reloaded: the configuration as it was stays in use");
        readiness_notify("READY=1");
    }
}

static void stop(struct master *master, int status)
{
    master->status = status;
    uv_stop(&master->loop);
}

static void unlink_fleet(struct master *master, struct fleet *fleet)
{
    for (struct fleet **link = &master->fleets; *link != NULL; link = &(*link)->next) {
        if (*link == fleet) {
            *link = fleet->next;
            fleet_free(fleet);
            return;
        }
    }
}

static void on_ready(struct fleet *fleet)
{
    struct master *master = master_of(fleet);
    struct fleet *before = master->serving;
    static struct sockets old; /* large */
    old = master->harbour.sockets;
    master->serving = fleet;
    master->harbour.sockets = fleet->sockets;
    if (before == NULL) {
        readiness_tell(master->ready_fd, &fleet->sockets);
    } else {
        fleet_drain(before, UINT64_MAX);
        sockets_drop(&old, &master->harbour.sockets);
        log_write(LOG_LEVEL_INFO, "reloaded %s", master->path);
        readiness_notify("READY=1");
    }
    if (master->reload_wanted) {
        master->reload_wanted = false;
        reload(master);
    }
}

static void on_failed(struct fleet *fleet)
{
    struct master *master = master_of(fleet);
    static struct sockets failed; /* large */
    failed = fleet->sockets;
    sockets_drop(&failed, &master->harbour.sockets);
    unlink_fleet(master, fleet);
    if (master->serving == NULL) {
        stop(master, EX_SOFTWARE);
    } else if (!master->stopping) {
        log_write(LOG_LEVEL_ERROR, "not reloaded: the configuration as it was stays in use");
        readiness_notify("READY=1");
    }
    if (master->stopping && master->fleets == NULL) {
        stop(master, EX_OK);
    }
}

static void on_over(struct fleet *fleet)
{
    struct master *master = master_of(fleet);
    unlink_fleet(master, fleet);
    if (master->stopping && master->fleets == NULL) {
        stop(master, EX_OK);
    }
}

static struct request *find_request(struct master *master, uint64_t ticket)
{
    for (uint32_t i = 0; i < MOST_REQUESTS; i++) {
        if (master->requests[i].ticket == ticket) {
            return &master->requests[i];
        }
    }
    return NULL;
}

static void on_refreshed(struct master *master, const struct message *message)
{
    struct request *request = find_request(master, message->ticket);
    if (request == NULL) {
        return;
    }
    if (message->kind != ERROR_NONE) {
        (void)error_set(&request->error, (enum error_kind)message->kind, 0, "%.299s",
                        message->path);
    }
    if (--request->outstanding > 0) {
        return;
    }
    if (request->error.kind != ERROR_NONE) {
        control_server_refuse(&master->control, request->ticket, &request->error);
    } else {
        control_server_answer(&master->control, request->ticket, NULL);
    }
    request->ticket = 0;
}

static void on_found(struct master *master, const struct message *message)
{
    struct error error;
    char text[MESSAGE_NAME_SIZE + MESSAGE_PATH_SIZE + 64];
    char owner[48] = "";
    if (message->kind != ERROR_NONE) {
        (void)error_set(&error, (enum error_kind)message->kind, 0, "%.299s", message->path);
        control_server_refuse(&master->control, message->ticket, &error);
        return;
    }
    if (message->uid != ACCOUNT_NO_ID) {
        (void)snprintf(owner, sizeof owner, "uid %u gid %lld ", message->uid,
                       message->gid == ACCOUNT_NO_ID ? -1LL : (long long)message->gid);
    }
    (void)snprintf(text, sizeof text, "%suser %s%s%s", owner, message->name,
                   message->path[0] == '\0' ? "" : " path ", message->path);
    control_server_answer(&master->control, message->ticket, text);
}

/* A worker asks all others, those of drained fleets too, for a maildrop, or has freed one. */
static void pass_on(struct master *master, struct child_process *from,
                    const struct message *message)
{
    struct message copy = *message;
    if (message->type == MESSAGE_GIVE_UP) {
        copy.process = from->number;
        for (struct fleet *fleet = master->fleets; fleet != NULL; fleet = fleet->next) {
            fleet_send_to_workers(fleet, &copy, from);
        }
        return;
    }
    for (struct fleet *fleet = master->fleets; fleet != NULL; fleet = fleet->next) {
        struct child_process *asker = fleet_worker(fleet, message->process);
        if (asker != NULL) {
            children_send(asker, &copy, -1);
        }
    }
}

static void on_message(struct fleet *fleet, struct child_process *child,
                       const struct message *message)
{
    struct master *master = master_of(fleet);
    if (message->type == MESSAGE_GIVE_UP || message->type == MESSAGE_FREED) {
        pass_on(master, child, message);
    } else if (message->type == MESSAGE_REFRESHED && child == fleet->auth) {
        on_refreshed(master, message);
    } else if (message->type == MESSAGE_FOUND && child == fleet->auth) {
        on_found(master, message);
    } else {
        log_write(LOG_LEVEL_ERROR, "%s %d said what it may not say; it is killed", child->role,
                  child->process.pid);
        children_kill(child);
    }
}

static const struct fleet_events events = {
    .ready = on_ready, .failed = on_failed, .over = on_over, .message = on_message};

static void request_refresh(struct master *master, uint64_t ticket)
{
    struct message message = {.type = MESSAGE_REFRESH, .ticket = ticket};
    struct request *request = find_request(master, 0);
    struct error error;
    if (request == NULL) {
        (void)error_set(&error, ERROR_TEMPORARY, 0, "too many requests at once");
        control_server_refuse(&master->control, ticket, &error);
        return;
    }
    *request = (struct request){.ticket = ticket};
    for (struct fleet *fleet = master->fleets; fleet != NULL; fleet = fleet->next) {
        if (fleet->auth != NULL && fleet->auth->ready) {
            request->outstanding++;
            children_send(fleet->auth, &message, -1);
        }
    }
    if (request->outstanding == 0) { /* what starts reads the file as it is then */
        request->ticket = 0;
        control_server_answer(&master->control, ticket, NULL);
    }
}

static void request_lookup(struct master *master, uint64_t ticket, const char *name)
{
    struct message message = {.type = MESSAGE_LOOKUP, .ticket = ticket};
    struct error error;
    if (master->serving == NULL || master->serving->auth == NULL) {
        (void)error_set(&error, ERROR_TEMPORARY, 0, "the server is starting");
        control_server_refuse(&master->control, ticket, &error);
    } else if (strlen(name) >= sizeof message.name) {
        (void)error_set(&error, ERROR_NO_SUCH_USER, 0, "the name is too long");
        control_server_refuse(&master->control, ticket, &error);
    } else {
        memcpy(message.name, name, strlen(name));
        children_send(master->serving->auth, &message, -1);
    }
}

static void on_request(struct control_server *server, uint64_t ticket, const char *line)
{
    struct master *master = server->owner;
    struct error error;
    if (strcmp(line, "accounts-changed") == 0) {
        request_refresh(master, ticket);
    } else if (strncmp(line, "lookup ", 7) == 0) {
        request_lookup(master, ticket, line + 7);
    } else {
        (void)error_set(&error, ERROR_USAGE, 0, "the server does not know this request");
        control_server_refuse(server, ticket, &error);
    }
}

static void on_kill_timer(uv_timer_t *timer)
{
    struct master *master = timer->data;
    for (struct fleet *fleet = master->fleets; fleet != NULL; fleet = fleet->next) {
        fleet_kill(fleet);
    }
}

/* The first signal lets sessions finish, the second does not. */
static void terminate(struct master *master)
{
    uint64_t grace = master->serving == NULL ? 0 : master->serving->configuration.grace_ms;
    if (master->stopping) {
        on_kill_timer(&master->kill_timer);
        return;
    }
    master->stopping = true;
    log_write(LOG_LEVEL_INFO, "stopping");
    readiness_notify("STOPPING=1");
    control_server_stop(&master->control);
    (void)uv_timer_start(&master->kill_timer, on_kill_timer, grace + KILL_AFTER_MS, 0);
    for (struct fleet *fleet = master->fleets; fleet != NULL; fleet = fleet->next) {
        if (fleet->ready) {
            fleet_drain(fleet, grace);
        } else {
            fleet->failed = true;
            fleet_kill(fleet);
        }
    }
}

static void on_signal(uv_signal_t *handle, int number)
{
    struct master *master = handle->loop->data;
    if (number == SIGHUP) {
        reload(master);
    } else {
        terminate(master);
    }
}

/* New certificates count for the connections that come; those that are there go on. */
static void look_at_certificates(struct master *master)
{
    struct fleet *fleet = master->serving;
    static struct configuration_notes notes;
    static struct certificates certificates; /* large */
    if (fleet == NULL || !certificates_changed(&fleet->certificates)) {
        return;
    }
    notes = (struct configuration_notes){0};
    if (certificates_load(&fleet->configuration, master->path, true, &certificates, &notes) < 0) {
        log_notes(&notes, LOG_LEVEL_ERROR);
        log_write(LOG_LEVEL_ERROR, "the certificates as they were stay in use");
        memcpy(fleet->certificates.files, certificates.files, sizeof certificates.files);
        return;
    }
    certificates_close(&fleet->certificates);
    fleet->certificates = certificates;
    fleet_send_certificates(fleet);
    log_write(LOG_LEVEL_INFO, "certificates read again");
}

static void on_look(uv_timer_t *timer)
{
    struct master *master = timer->data;
    look_at_certificates(master);
    if (master->serving != NULL && log_target_moved()) {
        reopen_log(master, &master->serving->configuration);
    }
}

static void on_ticket_timer(uv_timer_t *timer)
{
    struct master *master = timer->data;
    struct tls_tickets *tickets = &master->harbour.tickets;
    memmove(tickets->keys[1], tickets->keys[0], (TLS_TICKET_KEYS - 1) * TLS_TICKET_KEY_SIZE);
    tls_make_ticket_key(tickets->keys[0]);
    for (struct fleet *fleet = master->fleets; fleet != NULL; fleet = fleet->next) {
        fleet_send_tickets(fleet);
    }
}

static int make_loop(struct master *master, struct error *error)
{
    static const int numbers[] = {SIGTERM, SIGINT, SIGHUP};
    if (uv_loop_init(&master->loop) < 0 || uv_timer_init(&master->loop, &master->kill_timer) < 0 ||
        uv_timer_init(&master->loop, &master->look_timer) < 0 ||
        uv_timer_init(&master->loop, &master->ticket_timer) < 0) {
        return error_set(error, ERROR_TEMPORARY, 0, "the loop cannot be made");
    }
    master->loop.data = master;
    master->kill_timer.data = master;
    master->look_timer.data = master;
    master->ticket_timer.data = master;
    (void)uv_timer_start(&master->look_timer, on_look, LOOK_MS, LOOK_MS);
    (void)uv_timer_start(&master->ticket_timer, on_ticket_timer, TICKET_ROTATION_MS,
                         TICKET_ROTATION_MS);
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        (void)uv_signal_init(&master->loop, &master->signals[i]);
        (void)uv_signal_start(&master->signals[i], on_signal, numbers[i]);
    }
    return 0;
}

static int make_harbour(struct master *master, const struct configuration *configuration,
                        struct error *error)
{
    struct harbour *harbour = &master->harbour;
    harbour->loop = &master->loop;
    harbour->tickets.count = TLS_TICKET_KEYS;
    for (uint32_t i = 0; i < TLS_TICKET_KEYS; i++) {
        tls_make_ticket_key(harbour->tickets.keys[i]);
    }
    harbour->limits_descriptor = limits_create(configuration->connections, error);
    if (harbour->limits_descriptor < 0 ||
        limits_map(harbour->limits_descriptor, &harbour->limits, error) < 0) {
        return -1;
    }
    return generations_create(&harbour->generations_writable, &harbour->generations_readable,
                              error);
}

/* A session in a maildrop has up to four descriptors open: connection, lock, index, message. */
static void raise_descriptor_limit(const struct configuration *configuration)
{
    rlim_t wanted = (rlim_t)configuration->connections * 4 + 512;
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) < 0) {
        return;
    }
    if (files.rlim_max < wanted) {
        struct rlimit raised = {.rlim_cur = wanted, .rlim_max = wanted};
        if (setrlimit(RLIMIT_NOFILE, &raised) == 0) {
            return;
        }
        log_write(
            LOG_LEVEL_WARNING,
            "a process may open %llu descriptors, and %u connections may need %llu; raise the "
            "limit (ulimit -n, LimitNOFILE=) or write fewer connections",
            (unsigned long long)files.rlim_max, configuration->connections,
            (unsigned long long)wanted);
    }
    files.rlim_cur = files.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &files);
}

static void prepare_process(const struct configuration *configuration)
{
    (void)signal(SIGPIPE, SIG_IGN);
    (void)signal(SIGXFSZ, SIG_IGN);
    (void)prctl(PR_SET_DUMPABLE, 0); /* neither can fail */
    (void)setrlimit(RLIMIT_CORE, &(struct rlimit){0});
    raise_descriptor_limit(configuration);
    if (geteuid() != 0) {
        log_write(LOG_LEVEL_WARNING,
                  "started without root: all processes run as one user, so a worker that is taken "
                  "over can reach the accounts file");
    }
}

static int start(struct master *master, const struct configuration *configuration,
                 struct bytes text, struct error *error)
{
    const struct passwd *user = geteuid() == 0 ? getpwnam(configuration->user) : NULL;
    if (make_loop(master, error) < 0 || make_harbour(master, configuration, error) < 0) {
        return -1;
    }
    master->control = (struct control_server){
        .user = user == NULL ? geteuid() : user->pw_uid, .owner = master, .request = on_request};
    if (control_server_start(&master->control, &master->loop, configuration->state_dir, error) <
        0) {
        return -1;
    }
    if (start_fleet(master, configuration, text, error) < 0) {
        control_server_stop(&master->control);
        return -1;
    }
    return 0;
}

int master_run(const char *path, int ready_fd)
{
    static struct master master;
    static struct configuration configuration;
    static struct configuration_notes notes;
    struct bytes text;
    struct error error;
    log_init("restante", LOG_LEVEL_INFO);
    int result = preflight_load(path, &configuration, &notes, &text);
    if (result == 0 && log_target_use(&configuration, &error) < 0) {
        configuration_note(&notes, true, path, configuration_line(&configuration, "target"), "%s",
                           error.text);
        result = -1;
    }
    if (result < 0) {
        (void)fputs(notes.text, stderr);
        return EXIT_MISTAKE;
    }
    log_init("restante", configuration.log_level);
    log_notes(&notes, LOG_LEVEL_WARNING);
    master.path = path;
    master.ready_fd = ready_fd;
    if (ready_fd >= 0 && fcntl(ready_fd, F_SETFD, FD_CLOEXEC) < 0) {
        (void)fprintf(stderr, "restante: --ready-fd %d: %s\n", ready_fd, strerror(errno));
        return EX_USAGE;
    }
    prepare_process(&configuration);
    result = start(&master, &configuration, text, &error);
    free((void *)(uintptr_t)text.data);
    if (result < 0) {
        log_write(LOG_LEVEL_ERROR, "%s", error.text);
        return error_exit_status(error.kind);
    }
    (void)uv_run(&master.loop, UV_RUN_DEFAULT);
    log_write(LOG_LEVEL_INFO, "stopped");
    return master.status;
}
