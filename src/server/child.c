/* SPDX-License-Identifier: MIT */
/* What workers and auth have in common: how they begin, and how they talk to the master. */
#include "server/child.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "account/accounts.h"
#include "server/channel.h"

static int forbid_dumps(struct error *error)
{
    struct rlimit none = {0};
    if (prctl(PR_SET_DUMPABLE, 0) < 0 || setrlimit(RLIMIT_CORE, &none) < 0) {
        return error_set(error, ERROR_TEMPORARY, errno, "forbidding core dumps");
    }
    return 0;
}

static int take_configuration(struct child *child, const struct message *message, int descriptor,
                              struct error *error)
{
    struct stat facts;
    if (fstat(descriptor, &facts) < 0) {
        return error_set(error, ERROR_TEMPORARY, errno, "the configuration");
    }
    struct bytes text = {.size = (size_t)facts.st_size};
    void *memory = MAP_FAILED;
    if (text.size > 0) {
        memory = mmap(NULL, text.size, PROT_READ, MAP_PRIVATE, descriptor, 0);
        if (memory == MAP_FAILED) {
            return error_set(error, ERROR_TEMPORARY, errno, "the configuration");
        }
        text.data = memory;
    }
    struct configuration_notes notes;
    int result = configuration_parse(message->path, text, &child->configuration, &notes);
    if (memory != MAP_FAILED) {
        (void)munmap(memory, text.size);
    }
    if (result < 0) { /* the master has parsed the same text */
        return error_set(error, ERROR_CONFIGURATION, 0, "%.250s", notes.text);
    }
    return 0;
}

static int take_message(struct child *child, const struct message *message, int descriptor,
                        struct error *error)
{
    switch ((enum message_type)message->type) {
    case MESSAGE_CONFIGURATION: {
        int result = take_configuration(child, message, descriptor, error);
        (void)close(descriptor);
        return result;
    }
    case MESSAGE_LIMITS:
        child->limits = descriptor;
        child->process = message->process;
        return 0;
    case MESSAGE_GENERATIONS:
        child->generations = descriptor;
        return 0;
    case MESSAGE_AUTH:
        child->auth = descriptor;
        return 0;
    case MESSAGE_SOURCE:
        child->source = descriptor;
        child->source_index = message->kind;
        return 0;
    case MESSAGE_TICKETS:
        child_take_tickets(message, &child->tickets);
        return 0;
    case MESSAGE_CERTIFICATES:
        child->certificates = descriptor;
        return 0;
    case MESSAGE_LISTEN:
        if (child->listener_count == CHILD_MOST_LISTENERS) {
            (void)close(descriptor);
            return error_set(error, ERROR_LIMIT, 0, "too many listening sockets");
        }
        child->listener_kinds[child->listener_count] = message->kind;
        child->listeners[child->listener_count++] = descriptor;
        return 0;
    case MESSAGE_LOG:
        child_take_log(message, descriptor);
        return 0;
    case MESSAGE_IDENTITY:
        child->identity.uid = message->uid;
        child->identity.gid = message->gid;
        memcpy(child->identity.path, message->path, sizeof child->identity.path);
        return 0;
    case MESSAGE_START:
    case MESSAGE_DRAIN:
    case MESSAGE_FREED:
    case MESSAGE_REFRESH:
    case MESSAGE_LOOKUP:
    case MESSAGE_READY:
    case MESSAGE_KILL_SOURCE:
    case MESSAGE_GIVE_UP:
    case MESSAGE_REFRESHED:
    case MESSAGE_FOUND:
    case MESSAGE_GRANT:
    case MESSAGE_END:
    case MESSAGE_TAKEN:
    case MESSAGE_IDLE:
        break;
    }
    return error_set(error, ERROR_PROTOCOL, 0, "an unexpected message of type %u", message->type);
}

int child_start(const char *name, struct child *child_out, struct error *error)
{
    log_init(name, LOG_LEVEL_INFO);
    (void)signal(SIGPIPE, SIG_IGN);
    (void)signal(SIGXFSZ, SIG_IGN);
    (void)signal(SIGHUP, SIG_IGN); /* the master's business, also when a terminal sends it to all */
    (void)signal(SIGINT, SIG_IGN);
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    (void)setenv("UV_USE_IO_URING", "0", 1); /* newer libuv would, and the sandbox forbids it */
    *child_out = (struct child){
        .limits = -1, .generations = -1, .auth = -1, .source = -1, .certificates = -1};
    if (fcntl(CHILD_CHANNEL, F_SETFD, FD_CLOEXEC) < 0) {
        return error_set(error, ERROR_USAGE, 0, "only restante serve starts this");
    }
    if (forbid_dumps(error) < 0) {
        return -1;
    }
    for (;;) {
        struct pollfd poll_channel = {.fd = CHILD_CHANNEL, .events = POLLIN};
        struct message message;
        int descriptor;
        if (poll(&poll_channel, 1, -1) < 0 || !child_receive(&message, &descriptor)) {
            continue;
        }
        if (message.type == MESSAGE_START) {
            break;
        }
        if (take_message(child_out, &message, descriptor, error) < 0) {
            return -1;
        }
    }
    log_init(name, child_out->configuration.log_level);
    return 0;
}

/* `name` NULL: the user is in no groups but `gid`. */
static int become(const char *name, uid_t uid, gid_t gid, struct error *error)
{
    int groups = name != NULL ? initgroups(name, gid) : setgroups(1, &gid);
    if (groups < 0 || setresgid(gid, gid, gid) < 0 || setresuid(uid, uid, uid) < 0) {
        return error_set(error, ERROR_TEMPORARY, errno, "becoming user %s (uid %u)",
                         name != NULL ? name : "", uid);
    }
    if (uid != 0 && setuid(0) == 0) {
        return error_set(error, ERROR_PERMANENT, 0, "root could be regained after becoming uid %u",
                         uid);
    }
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* a change of user clears it */
    return forbid_dumps(error);
}

int child_drop_privileges(const char *user, struct error *error)
{
    if (geteuid() != 0) {
        return 0;
    }
    errno = 0;
    const struct passwd *entry = getpwnam(user);
    if (entry == NULL) {
        return error_set(error, ERROR_CONFIGURATION, errno, "there is no system user %s", user);
    }
    return become(user, entry->pw_uid, entry->pw_gid, error);
}

int child_become(const struct child_identity *identity, struct error *error)
{
    const struct passwd *entry = getpwuid(identity->uid);
    gid_t gid = identity->gid;
    if (geteuid() != 0 || identity->uid == 0) {
        return error_set(error, ERROR_PERMANENT, 0, "uid %u cannot become uid %u", geteuid(),
                         identity->uid);
    }
    if (gid == ACCOUNT_NO_ID) {
        if (entry == NULL) {
            return error_set(error, ERROR_CONFIGURATION, 0,
                             "neither the account nor the system says a group for uid %u",
                             identity->uid);
        }
        gid = entry->pw_gid;
    }
    return become(entry != NULL ? entry->pw_name : NULL, identity->uid, gid, error);
}

bool child_receive(struct message *message, int *descriptor_out)
{
    ssize_t size = channel_receive(CHILD_CHANNEL, message, sizeof *message, descriptor_out);
    if (size == (ssize_t)sizeof *message) {
        return true;
    }
    if (size < 0 && errno == EAGAIN) {
        return false;
    }
    if (size == 0) {
        _exit(EX_OK);
    }
    log_write(LOG_LEVEL_ERROR, "the channel to the master is broken");
    _exit(EX_SOFTWARE);
}

void child_send(const struct message *message)
{
    child_send_with(message, -1);
}

void child_send_with(const struct message *message, int descriptor)
{
    for (int tries = 0; channel_send(CHILD_CHANNEL, message, sizeof *message, descriptor) < 0;
         tries++) {
        struct pollfd poll_channel = {.fd = CHILD_CHANNEL, .events = POLLOUT};
        if (errno != EAGAIN || tries == 10 || poll(&poll_channel, 1, 1000) < 0) {
            log_write(LOG_LEVEL_ERROR, "the master does not answer");
            _exit(EX_SOFTWARE);
        }
    }
}

void child_take_tickets(const struct message *message, struct tls_tickets *tickets_out)
{
    _Static_assert(sizeof tickets_out->keys <= sizeof message->path, "they travel there");
    memcpy(tickets_out->keys, message->path, sizeof tickets_out->keys);
    tickets_out->count = TLS_TICKET_KEYS;
}

void child_take_log(const struct message *message, int descriptor)
{
    struct log_output output = {.target = (enum log_target)message->kind,
                                .format = (enum log_format)message->process,
                                .descriptor = descriptor};
    if (descriptor >= 0) {
        log_use(&output);
    }
}
