/* SPDX-License-Identifier: MIT */
/* Plays an intruder in a running worker, as root: takes the worker's own descriptors (pidfd_getfd) and says
 * through them what no worker says.
 *
 *     intruder WORKER master UID PATH     tells the master that a maildrop was granted
 *     intruder WORKER auth USER           asks auth to let USER in with a wrong password, and in no way at all
 *     intruder WORKER delegate            asks the delegates that the worker has channels to for nonsense
 *
 * Prints what came of each attempt: GOT and what it was, or NOTHING. Exit status 2: it could not be tried. */
#include <dirent.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/number.h"
#include "server/channel.h"
#include "server/delegate_messages.h"
#include "server/messages.h"

enum { EXIT_UNTRIED = 2, PATIENCE_MS = 20000, MOST_CHANNELS = 64 };

static int take_descriptor(pid_t worker, int descriptor)
{
    int process = (int)syscall(SYS_pidfd_open, worker, 0U);
    int taken = (int)syscall(SYS_pidfd_getfd, process, descriptor, 0U);
    if (process < 0 || taken < 0) {
        err(EXIT_UNTRIED, "descriptor %d of %d", descriptor, worker);
    }
    (void)close(process);
    return taken;
}

/* Those of the worker's sockets that keep the borders of messages, but for the one to the master. */
static size_t take_channels(pid_t worker, int channels_out[MOST_CHANNELS])
{
    char path[64];
    size_t count = 0;
    (void)snprintf(path, sizeof path, "/proc/%d/fd", worker);
    DIR *folder = opendir(path);
    if (folder == NULL) {
        err(EXIT_UNTRIED, "%s", path);
    }
    for (const struct dirent *entry; (entry = readdir(folder)) != NULL;) {
        uint64_t number;
        if (number_parse(bytes_of(entry->d_name), 100000, &number) < 0 || number == CHILD_CHANNEL) {
            continue;
        }
        int taken = take_descriptor(worker, (int)number);
        int type = 0;
        socklen_t size = sizeof type;
        if (getsockopt(taken, SOL_SOCKET, SO_TYPE, &type, &size) == 0 && type == SOCK_SEQPACKET &&
            count < MOST_CHANNELS) {
            channels_out[count++] = taken;
        } else {
            (void)close(taken);
        }
    }
    (void)closedir(folder);
    return count;
}

/* Octets of a message, 0 at the end or in vain. */
static size_t receive(int channel, void *message, size_t capacity, int *descriptor_out)
{
    struct pollfd wait = {.fd = channel, .events = POLLIN};
    *descriptor_out = -1;
    if (poll(&wait, 1, PATIENCE_MS) <= 0) {
        return 0;
    }
    ssize_t size = channel_receive(channel, message, capacity, descriptor_out);
    return size < 0 ? 0 : (size_t)size;
}

static int open_through(int channel)
{
    struct delegate_request request = {.version = DELEGATE_PROTOCOL_VERSION, .type = DELEGATE_OPEN};
    static struct delegate_reply reply;
    int descriptor;
    if (channel_send(channel, &request, sizeof request, -1) < 0 ||
        receive(channel, &reply, sizeof reply, &descriptor) == 0) {
        return -1;
    }
    return (int)reply.count;
}

static void attack_master(pid_t worker, const char *uid, const char *path)
{
    struct message message = {.type = MESSAGE_GRANT, .name = "intruder"};
    uint64_t number;
    int ends[2];
    if (number_parse(bytes_of(uid), UINT32_MAX, &number) < 0 || channel_pair(ends) < 0) {
        errx(EXIT_UNTRIED, "master UID PATH");
    }
    message.uid = message.gid = (uint32_t)number;
    (void)snprintf(message.path, sizeof message.path, "%s", path);
    if (channel_send(take_descriptor(worker, CHILD_CHANNEL), &message, sizeof message, ends[1]) <
        0) {
        err(EXIT_UNTRIED, "the master");
    }
    (void)close(ends[1]);
    int count = open_through(ends[0]);
    (void)printf(count < 0 ? "NOTHING\n" : "GOT a maildrop of %d messages\n", count);
}

static void ask_auth(int channel, enum auth_request_type type, const char *user, const char *secret)
{
    static struct auth_request request;
    static struct auth_result result;
    size_t name = strlen(user);
    size_t response = strlen(secret);
    int descriptor = -1;
    request = (struct auth_request){.version = AUTH_PROTOCOL_VERSION,
                                    .type = type,
                                    .id = UINT64_MAX - type,
                                    .name_size = (uint16_t)name,
                                    .response_size = (uint16_t)response,
                                    .address = "127.0.0.1"};
    memcpy(request.data, user, name);
    memcpy(request.data + name, secret, response);
    if (channel_send(channel, &request, offsetof(struct auth_request, data) + name + response, -1) <
        0) {
        err(EXIT_UNTRIED, "auth");
    }
    while (receive(channel, &result, sizeof result, &descriptor) > 0 && result.id != request.id) {
    }
    bool got = descriptor >= 0 || result.is_granted != 0 || result.path[0] != '\0' ||
               (result.kind == ERROR_NONE && result.is_challenge == 0);
    (void)puts(got ? "GOT a maildrop" : "NOTHING");
}

static void attack_auth(pid_t worker, const char *user)
{
    int channels[MOST_CHANNELS];
    if (take_channels(worker, channels) != 1) {
        errx(EXIT_UNTRIED, "the worker has other channels than the one to auth");
    }
    /* The worker must not take what we wait for. */
    (void)kill(worker, SIGSTOP);
    ask_auth(channels[0], AUTH_PASSWORD, user, "wrong");
    ask_auth(channels[0], AUTH_PASSWORD, user, "");
    ask_auth(channels[0], AUTH_APOP, user, "00000000000000000000000000000000");
    ask_auth(channels[0], AUTH_CONTINUE, user, user);
    (void)kill(worker, SIGKILL);
}

static int make_file(size_t size)
{
    int file = memfd_create("marks", MFD_CLOEXEC);
    if (file < 0 || ftruncate(file, (off_t)size) < 0) {
        err(EXIT_UNTRIED, "a file");
    }
    return file;
}

/* Each of these ends the channel, so the next worker's channel has the next one's turn. */
static void attack_delegate(int channel, size_t turn)
{
    int ends[2];
    if (pipe(ends) < 0) {
        err(EXIT_UNTRIED, "a pipe");
    }
    const struct {
        struct delegate_request request;
        int descriptor;
    } attacks[] = {
        {{.type = DELEGATE_ROWS, .index = 0, .count = UINT32_MAX}, -1},
        {{.type = DELEGATE_ROWS, .index = UINT32_MAX, .count = 2}, -1},
        {{.type = DELEGATE_ROWS, .index = 0, .count = 2}, -1},
        {{.type = DELEGATE_READ, .index = 1}, -1},
        {{.type = DELEGATE_READ, .index = UINT32_MAX}, -1},
        {{.type = DELEGATE_CHECK, .index = 1}, -1},
        {{.type = DELEGATE_SENT, .octets = 1}, -1},
        {{.type = DELEGATE_OPEN}, -1},
        {{.type = 99}, -1},
        {{.type = DELEGATE_COMMIT, .count = 1}, ends[0]},
        {{.type = DELEGATE_COMMIT, .count = 2}, make_file(2)},
        {{.type = DELEGATE_COMMIT, .count = 1}, make_file(2)},
        {{.type = DELEGATE_COMMIT, .count = 1}, make_file(0)},
    };
    if (turn >= sizeof attacks / sizeof attacks[0]) {
        (void)puts("OVER");
        return;
    }
    struct delegate_request request = attacks[turn].request;
    static struct delegate_reply reply;
    int descriptor;
    request.version = DELEGATE_PROTOCOL_VERSION;
    if (channel_send(channel, &request, sizeof request, attacks[turn].descriptor) < 0) {
        err(EXIT_UNTRIED, "a delegate");
    }
    size_t size = receive(channel, &reply, sizeof reply, &descriptor);
    (void)printf(size == 0 ? "NOTHING\n" : "GOT %zu octets\n", size);
}

int main(int argc, char **argv)
{
    uint64_t worker = 0;
    if (argc < 3 || number_parse(bytes_of(argv[1]), INT32_MAX, &worker) < 0) {
        errx(EXIT_UNTRIED, "WORKER master|auth|delegate ...");
    }
    if (strcmp(argv[2], "master") == 0 && argc == 5) {
        attack_master((pid_t)worker, argv[3], argv[4]);
    } else if (strcmp(argv[2], "auth") == 0 && argc == 4) {
        attack_auth((pid_t)worker, argv[3]);
    } else if (strcmp(argv[2], "delegate") == 0 && argc == 4) {
        int channels[MOST_CHANNELS];
        uint64_t turn = 0;
        size_t count = take_channels((pid_t)worker, channels);
        if (count != 2 || number_parse(bytes_of(argv[3]), 1000, &turn) < 0) {
            errx(EXIT_UNTRIED, "%zu channels", count);
        }
        (void)kill((pid_t)worker, SIGSTOP);
        /* The one to auth came first. */
        attack_delegate(channels[1], (size_t)turn);
        (void)kill((pid_t)worker, SIGCONT);
    } else {
        errx(EXIT_UNTRIED, "WORKER master|auth|delegate ...");
    }
    return 0;
}
