/* SPDX-License-Identifier: MIT */
/* The checkpassword interface (https://cr.yp.to/checkpwd/interface.html): descriptor 3 of the program gives
 * name, password and timestamp, a NUL behind each. It ends with 1 where they do not fit and with 111 where it cannot
 * say; else it becomes who they are, puts that into the environment, and runs its arguments. These are
 * ourselves (checkpassword_reply), who report environment and ids on descriptor 4. From Dovecot's extensions
 * come 3, for a name that is nobody's, and look-ups: AUTHORIZED=1 asks for one, AUTHORIZED=2 answers. */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <sodium.h>

#include "account/checkpassword_reply.h"
#include "account/source.h"
#include "base/number.h"

enum {
    ARGUMENTS_MOST = 32,
    QUESTION_OCTETS_MOST = 512, /* the interface says so */
    ENVIRONMENT_MOST = 8,
    FREE_DESCRIPTOR = 10, /* above those that the program finds open */
    STATUS_WRONG = 1,
    STATUS_UNKNOWN = 3,
    STATUS_TEMPORARY = 111,
};

struct source {
    char *words; /* which `arguments` point into */
    char *self;
    char *arguments[ARGUMENTS_MOST + 3];
    bool looks_up;
};

static struct source *close_source(struct source *source)
{
    if (source != NULL) {
        free(source->words);
        free(source->self);
        free(source);
    }
    return NULL;
}

static char *own_path(void)
{
    char path[SOURCE_PATH_SIZE];
    ssize_t size = readlink("/proc/self/exe", path, sizeof path - 1);
    return size <= 0 ? NULL : strndup(path, (size_t)size);
}

static int split(struct source *source, struct error *error)
{
    size_t count = 0;
    char *rest = source->words;
    for (char *word = strsep(&rest, " \t"); word != NULL; word = strsep(&rest, " \t")) {
        if (*word == '\0') {
            continue;
        }
        if (count == ARGUMENTS_MOST) {
            return error_set(error, ERROR_CONFIGURATION, 0,
                             "command has more than %d words; write them into a script",
                             ARGUMENTS_MOST);
        }
        source->arguments[count++] = word;
    }
    source->arguments[count++] = source->self;
    source->arguments[count] = (char *)(uintptr_t)CHECKPASSWORD_REPLY_COMMAND;
    return 0;
}

static int open_source(const struct source_options *options, struct source **source_out,
                       struct error *error)
{
    struct source *source = calloc(1, sizeof *source);
    if (source == NULL || (source->words = strdup(options->command)) == NULL ||
        (source->self = own_path()) == NULL) {
        (void)close_source(source);
        return error_set(error, ERROR_TEMPORARY, errno, "starting source command");
    }
    source->looks_up = options->command_looks_up;
    if (split(source, error) < 0) {
        (void)close_source(source);
        return -1;
    }
    if (access(source->arguments[0], X_OK) < 0) {
        (void)error_set(error, ERROR_CONFIGURATION, errno,
                        "command = %.200s cannot be run; write the path of a program that may be",
                        source->arguments[0]);
        (void)close_source(source);
        return -1;
    }
    *source_out = source;
    return 0;
}

/* What the program reads. The pipe holds more than that, so nobody is waited for. */
static int write_question(const struct source_question *question, int descriptor,
                          struct error *error)
{
    uint8_t text[QUESTION_OCTETS_MOST];
    char stamp[32];
    struct bytes password =
        question->password == NULL ? (struct bytes){0} : secret_octets(question->password);
    int stamp_size = snprintf(stamp, sizeof stamp, "%lld", (long long)time(NULL));
    struct bytes parts[] = {question->name, password, {(const uint8_t *)stamp, (size_t)stamp_size}};
    size_t size = 0;
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        if (parts[i].size >= sizeof text - size ||
            bytes_find(parts[i], '\0') < parts[i].size) { /* it could not be told to the program */
            sodium_memzero(text, sizeof text);
            return error_set(error, ERROR_BAD_CREDENTIALS, 0, "too long, or with a NUL");
        }
        if (parts[i].size > 0) {
            memcpy(text + size, parts[i].data, parts[i].size);
        }
        size += parts[i].size;
        text[size++] = '\0';
    }
    ssize_t written = write(descriptor, text, size);
    sodium_memzero(text, sizeof text);
    secret_wipe_stack();
    return written == (ssize_t)size
               ? 0
               : error_set(error, ERROR_TEMPORARY, errno, "telling the command what to check");
}

/* In the new process. */
_Noreturn static void run(const struct source *source, const struct source_question *question,
                          int questions, int replies)
{
    static char address[128], service[64];
    char *environment[ENVIRONMENT_MOST] = {(char *)(uintptr_t) "PATH=/usr/sbin:/usr/bin:/sbin:/bin",
                                           (char *)(uintptr_t) "PROTO=TCP"};
    size_t count = 2;
    sigset_t none;
    (void)snprintf(address, sizeof address, "TCPREMOTEIP=%s", question->address);
    (void)snprintf(service, sizeof service, "SERVICE=%s", question->service);
    environment[count++] = address;
    environment[count++] = service;
    if (question->is_tls) {
        environment[count++] = (char *)(uintptr_t) "SECURED=1";
    }
    if (question->password == NULL) {
        environment[count++] = (char *)(uintptr_t) "AUTHORIZED=1";
    }
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (int number = 1; number < NSIG; number++) {
        (void)signal(number, SIG_DFL);
    }
    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    (void)umask(077);
    int from = fcntl(questions, F_DUPFD_CLOEXEC, FREE_DESCRIPTOR);
    int to = fcntl(replies, F_DUPFD_CLOEXEC, FREE_DESCRIPTOR);
    if (chdir("/") == 0 && dup2(from, CHECKPASSWORD_QUESTION) >= 0 &&
        dup2(to, CHECKPASSWORD_REPLY) >= 0) {
        (void)execve(source->arguments[0], source->arguments, environment);
    }
    _exit(STATUS_TEMPORARY);
}

static int wait_for(pid_t process, int *status_out, struct error *error)
{
    pid_t ended;
    do {
        ended = waitpid(process, status_out, 0);
    } while (ended < 0 && errno == EINTR);
    return ended < 0 ? error_set(error, ERROR_TEMPORARY, errno, "waiting for the command") : 0;
}

static int take_report(const struct source *source, const struct source_question *question,
                       int descriptor, struct source_answer *answer_out, struct error *error)
{
    bool is_look_up = question->password == NULL;
    struct checkpassword_reply reply;
    if (checkpassword_reply_read(descriptor, &reply) < 0) {
        return error_set(error, ERROR_TEMPORARY, 0,
                         "%.200s ended with 0 and did not run its arguments", source->arguments[0]);
    }
    if (is_look_up && !reply.is_authorized) {
        return error_set(error, ERROR_PERMANENT, 0,
                         "%.200s cannot look up names: it did not set AUTHORIZED=2",
                         source->arguments[0]);
    }
    *answer_out = reply.answer;
    if (answer_out->name[0] == '\0') {
        memcpy(answer_out->name, question->name.data, question->name.size);
    }
    return 0;
}

static int judge(const struct source *source, const struct source_question *question, int status,
                 struct error *error)
{
    if (!WIFEXITED(status)) {
        return error_set(error, ERROR_TEMPORARY, 0, "%.200s was ended by signal %d",
                         source->arguments[0], WTERMSIG(status));
    }
    switch (WEXITSTATUS(status)) {
    case 0:
        return 0;
    case STATUS_WRONG:
        return question->password == NULL
                   ? error_set(error, ERROR_PERMANENT, 0, "%.200s cannot look up names",
                               source->arguments[0])
                   : error_set(error, ERROR_BAD_CREDENTIALS, 0, "the command says no");
    case STATUS_UNKNOWN:
        return error_set(error, ERROR_NO_SUCH_USER, 0, "the command knows no such user");
    default:
        return error_set(error, ERROR_TEMPORARY, 0, "%.200s ended with %d", source->arguments[0],
                         WEXITSTATUS(status));
    }
}

static int ask(struct source *source, const struct source_question *question,
               struct source_answer *answer_out, struct error *error)
{
    int questions[2], replies[2];
    int status;
    if (question->password == NULL && !source->looks_up) {
        return error_set(error, ERROR_PERMANENT, 0,
                         "it checks passwords and cannot look up names; see command-lookup");
    }
    if (pipe2(questions, O_CLOEXEC) < 0) {
        return error_set(error, ERROR_TEMPORARY, errno, "running the command");
    }
    AUTO_CLOSE int question_end = questions[0];
    int result = write_question(question, questions[1], error);
    (void)close(questions[1]);
    if (result < 0) {
        return -1;
    }
    if (pipe2(replies, O_CLOEXEC | O_NONBLOCK) < 0) {
        return error_set(error, ERROR_TEMPORARY, errno, "running the command");
    }
    AUTO_CLOSE int reply_end = replies[0];
    pid_t process = fork();
    if (process == 0) {
        run(source, question, question_end, replies[1]);
    }
    (void)close(replies[1]);
    if (process < 0) {
        return error_set(error, ERROR_TEMPORARY, errno, "running the command");
    }
    if (wait_for(process, &status, error) < 0 || judge(source, question, status, error) < 0) {
        return -1;
    }
    return take_report(source, question, reply_end, answer_out, error);
}

const struct source_functions source_command = {
    .open = open_source,
    .ask = ask,
    .close = close_source,
};
