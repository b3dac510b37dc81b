/* SPDX-License-Identifier: MIT */
/* Many short sessions at once: connect, USER, PASS, STAT, QUIT, wait until the server closes, and again.
 * One epoll loop, no timers: it must cost less than what it measures. Each slot has a user of its own,
 * because a maildrop belongs to one session at a time. */
#include "load.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

enum step { GREETING, USER, PASS, STAT, QUIT, CLOSED };

enum { LINE_OCTETS = 512, EVENTS = 256 };

struct slot {
    struct link link;
    enum step step; /* whose reply is awaited */
    uint64_t began_us;
    size_t line_size;
    char line[LINE_OCTETS];
    char user_command[96];
    size_t user_size;
};

struct crowd {
    const struct load_options *options;
    struct load_result *result;
    int poll;
    uint64_t until_us;
    uint32_t open; /* slots with a connection */
    char pass_command[96];
    size_t pass_size;
    char stat_reply[48];
};

static int fail(const struct slot *slot, struct bytes line, struct error *error)
{
    static const char *const names[] = {"connecting", "USER", "PASS", "STAT", "QUIT", "QUIT"};
    char text[120];

    return error_set(error, ERROR_PROTOCOL, 0, "session of %.*s: wrong answer to %s: \"%s\"",
                     (int)slot->user_size - 7, slot->user_command + 5, names[slot->step],
                     bytes_escape(line, text, sizeof text));
}

static int begin(struct crowd *crowd, struct slot *slot, struct error *error)
{
    /* TLS keeps octets for itself, so it is asked until it has none, and may wait for room to send. */
    bool secure = crowd->options->target->security != LINK_PLAIN;
    struct epoll_event event = {.events = secure ? EPOLLIN | EPOLLOUT | EPOLLET : EPOLLIN,
                                .data.ptr = slot};

    slot->began_us = load_now_us();
    slot->step = GREETING;
    slot->line_size = 0;
    if (link_open(&slot->link, crowd->options->target, false, error) != 0) {
        return -1;
    }
    crowd->open++;
    if (epoll_ctl(crowd->poll, EPOLL_CTL_ADD, slot->link.descriptor, &event) != 0) {
        return error_from_errno(error, errno, "epoll_ctl");
    }
    return 0;
}

/* The server has closed. Closing the descriptor takes it out of the epoll set. */
static int finish(struct crowd *crowd, struct slot *slot, struct error *error)
{
    uint64_t now_us = load_now_us();

    link_close(&slot->link);
    crowd->open--;
    if (slot->step != CLOSED) {
        return fail(slot, bytes_of("(connection closed)"), error);
    }
    crowd->result->done++;
    if (load_times_add(&crowd->result->times, now_us - slot->began_us, error) != 0) {
        return -1;
    }
    return now_us < crowd->until_us ? begin(crowd, slot, error) : 0;
}

/* A whole reply is there: check it, send the next command. */
static int advance(struct crowd *crowd, struct slot *slot, struct error *error)
{
    struct bytes line = {(const uint8_t *)slot->line, slot->line_size};
    struct bytes command = {0};

    if (!load_reply_is(line, slot->step == STAT ? crowd->stat_reply : "+OK")) {
        return fail(slot, line, error);
    }
    switch (slot->step) {
    case GREETING:
        command = (struct bytes){(const uint8_t *)slot->user_command, slot->user_size};
        break;
    case USER:
        command = (struct bytes){(const uint8_t *)crowd->pass_command, crowd->pass_size};
        break;
    case PASS:
        command = bytes_of("STAT\r\n");
        break;
    case STAT:
        command = bytes_of("QUIT\r\n");
        break;
    case QUIT:
        break;
    case CLOSED:
        return fail(slot, line, error);
    }
    slot->step++;
    slot->line_size = 0;
    return command.size > 0 ? link_send(&slot->link, command, error) : 0;
}

static int take(struct crowd *crowd, struct slot *slot, ssize_t size, struct error *error)
{
    slot->line_size += (size_t)size;
    /* Commands are not pipelined: what comes is one line and ends with it. */
    if (slot->line[slot->line_size - 1] == '\n') {
        return advance(crowd, slot, error);
    }
    if (slot->line_size == sizeof slot->line) {
        return fail(slot, (struct bytes){(const uint8_t *)slot->line, slot->line_size}, error);
    }
    return 0;
}

static int hear(struct crowd *crowd, struct slot *slot, struct error *error)
{
    do {
        ssize_t size = link_receive(&slot->link, slot->line + slot->line_size,
                                    sizeof slot->line - slot->line_size, error);
        if (size == LINK_LATER) {
            return 0;
        }
        if (size <= 0) {
            return size == 0 ? finish(crowd, slot, error) : -1;
        }
        if (take(crowd, slot, size, error) != 0) {
            return -1;
        }
    } while (slot->link.tls != NULL);
    return 0;
}

static int serve(struct crowd *crowd, struct error *error)
{
    struct epoll_event events[EVENTS];

    while (crowd->open > 0) {
        int count = epoll_wait(crowd->poll, events, EVENTS, 30000);
        if (count <= 0) {
            return error_set(error, ERROR_TEMPORARY, count < 0 ? errno : 0,
                             "the server has been silent for 30 s");
        }
        for (int index = 0; index < count; index++) {
            if (hear(crowd, events[index].data.ptr, error) != 0) {
                return -1;
            }
        }
    }
    return 0;
}

int load_sessions(const struct load_options *options, struct load_result *result,
                  struct error *error)
{
    struct crowd crowd = {.options = options, .result = result};

    if (options->users < options->concurrency) {
        return error_set(error, ERROR_USAGE, 0, "each session at once needs a user of its own");
    }
    int status = load_first_ticket(options, error);
    uint64_t began_us = load_now_us();
    AUTO_FREE struct slot *slots = calloc(options->concurrency, sizeof *slots);
    AUTO_CLOSE int poll = epoll_create1(EPOLL_CLOEXEC);
    if (slots == NULL || poll < 0) {
        return error_from_errno(error, errno, "cannot begin");
    }
    crowd.poll = poll;
    crowd.until_us = began_us + options->duration_us;
    crowd.pass_size = (size_t)snprintf(crowd.pass_command, sizeof crowd.pass_command,
                                       "PASS %.64s\r\n", options->password);
    load_expected_stat(options, crowd.stat_reply, sizeof crowd.stat_reply);
    for (uint32_t index = 0; index < options->concurrency && status == 0; index++) {
        struct slot *slot = &slots[index];
        slot->user_size = (size_t)snprintf(slot->user_command, sizeof slot->user_command,
                                           "USER %s-%04u\r\n", options->corpus.name, index);
        status = begin(&crowd, slot, error);
    }
    if (status == 0) {
        status = serve(&crowd, error);
    }
    result->wall_us = load_now_us() - began_us;
    return status;
}
