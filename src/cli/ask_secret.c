/* SPDX-License-Identifier: MIT */
/* The password is read octet by octet straight into its locked memory, so that no buffer of stdio keeps it.
 * Signals are blocked save in ppoll: one that comes at any moment is seen before the next octet is waited
 * for, and is raised again once the terminal echoes. */
#include "cli/ask_secret.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <termios.h>
#include <unistd.h>

static const int watched[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTSTP};
enum { WATCHED = sizeof watched / sizeof *watched };

static volatile sig_atomic_t caught;

struct signals {
    sigset_t mask; /* as it was */
    struct sigaction actions[WATCHED];
};

bool ask_secret_of_person(void)
{
    return isatty(STDIN_FILENO) == 1;
}

static void on_signal(int number)
{
    caught = number;
}

static void catch_signals(struct signals *before)
{
    struct sigaction action = {.sa_handler = on_signal};
    sigset_t blocked;
    caught = 0;
    (void)sigemptyset(&blocked);
    for (size_t i = 0; i < WATCHED; i++) {
        (void)sigaddset(&blocked, watched[i]);
    }
    (void)sigprocmask(SIG_BLOCK, &blocked, &before->mask);
    for (size_t i = 0; i < WATCHED; i++) {
        (void)sigaction(watched[i], NULL, &before->actions[i]);
        if (before->actions[i].sa_handler != SIG_IGN) {
            (void)sigaction(watched[i], &action, NULL);
        }
    }
}

static void release_signals(const struct signals *before)
{
    for (size_t i = 0; i < WATCHED; i++) {
        (void)sigaction(watched[i], &before->actions[i], NULL);
    }
    (void)sigprocmask(SIG_SETMASK, &before->mask, NULL);
    if (caught != 0) {
        (void)raise(caught); /* ends the process, or stops it until it is continued */
    }
}

/* 0 at the line end or the end of input, -1 on errors or on a signal. */
static int read_line(int descriptor, const sigset_t *mask, struct secret *secret,
                     struct error *error)
{
    bool has_return = false; /* a CR that is not known yet to belong to the line end */
    for (;;) {
        struct pollfd poll = {.fd = descriptor, .events = POLLIN};
        uint8_t octet;
        if (ppoll(&poll, 1, NULL, mask) < 0) {
            return error_set(error, ERROR_TEMPORARY, errno, "no password was read");
        }
        ssize_t got = read(descriptor, &octet, 1);
        if (got < 0) {
            return error_set(error, ERROR_TEMPORARY, errno, "no password was read");
        }
        if (got == 0 || octet == '\n') {
            return 0;
        }
        if (has_return && secret_append(secret, bytes_of("\r"), error) < 0) {
            return -1;
        }
        has_return = octet == '\r';
        if (!has_return &&
            secret_append(secret, (struct bytes){.data = &octet, .size = 1}, error) < 0) {
            return -1;
        }
    }
}

static void say(int terminal, const char *text)
{
    ssize_t written = write(terminal, text, strlen(text));
    (void)written; /* a prompt that cannot be shown is asked for all the same */
}

static int ask_person(const char *prompt, struct secret *secret, struct error *error)
{
    struct termios before, silent;
    struct signals signals;
    AUTO_CLOSE int terminal = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
    if (terminal < 0 || tcgetattr(terminal, &before) < 0) {
        return error_set(error, ERROR_USAGE, errno,
                         "no terminal to ask on; give the password on standard input");
    }
    silent = before;
    silent.c_lflag &= (tcflag_t) ~(ECHO | ECHOE | ECHOK | ECHONL);
    catch_signals(&signals);
    int result = -1;
    if (tcsetattr(terminal, TCSAFLUSH, &silent) < 0) {
        (void)error_set(error, ERROR_TEMPORARY, errno, "the terminal does not stop its echo");
    } else {
        say(terminal, prompt);
        result = read_line(terminal, &signals.mask, secret, error);
        say(terminal, "\n");
        (void)tcsetattr(terminal, TCSAFLUSH, &before); /* what is typed ahead is dropped unseen */
    }
    release_signals(&signals);
    return result;
}

int ask_secret(const char *prompt, struct secret **secret_out, struct error *error)
{
    struct secret *secret;
    if (secret_create((struct bytes){0}, &secret, error) < 0) {
        return -1;
    }
    int result;
    if (ask_secret_of_person()) {
        result = ask_person(prompt, secret, error);
    } else {
        sigset_t mask;
        (void)sigprocmask(SIG_SETMASK, NULL, &mask);
        result = read_line(STDIN_FILENO, &mask, secret, error);
    }
    if (result == 0 && secret_octets(secret).size == 0) {
        result = error_set(error, ERROR_USAGE, 0, "no password was given");
    }
    if (result < 0) {
        secret_free(secret);
        if (error->kind == ERROR_LIMIT) {
            error->kind = ERROR_USAGE; /* it is the password's fault, and will not pass */
        }
        return -1;
    }
    *secret_out = secret;
    return 0;
}
