/* SPDX-License-Identifier: MIT */
/* Runs in a sandbox, a worker's if nothing else is said, and tries to get out: one process for each attack, in a
 * world of its own.
 *
 *     attack [--abi 1|2|...|max] [--no-sandbox] [--as-user NAME] [--auth | --delegate]
 *            [--only landlock|seccomp] [--list | ATTACK...]
 *
 * Prints `NAME DENIED` or `NAME SUCCEEDED` for each. With --no-sandbox every attack must succeed, or its
 * DENIED proves nothing. The world belongs to the attacker: file modes and users keep him from nothing, so
 * what denies is the sandbox alone. --only puts up one of the two fences. Exit status: 0 all was tried,
 * 2 an attack could not be tried. */
#include "attack.h"

#include <err.h>
#include <errno.h>
#include <getopt.h>
#include <grp.h>
#include <pwd.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include <uv.h>

#include "base/number.h"
#include "server/sandbox.h"

enum { EXIT_SUCCEEDED = 0, EXIT_DENIED = 41, EXIT_UNTRIED = 2 };

enum fences { FENCES_BOTH, FENCES_LANDLOCK, FENCES_SECCOMP, FENCES_NONE };

struct options {
    int abi;
    enum fences fences;
    enum sandbox_role role;
    const struct passwd *user; /* NULL: who called */
    bool list;
};

static const struct attack *const attacks[] = {attacks_on_files, attacks_on_processes,
                                               attacks_on_network, attacks_on_kernel};

/* What a process of the server has: the configuration as its file says it, and no user's privileges. */
static void parse_configuration(const struct world *world, struct configuration *out)
{
    static struct configuration_notes notes;
    char text[1024];
    (void)snprintf(text, sizeof text,
                   "[pop3]\nlisten = 127.0.0.1:0\n[maildrop]\npath = %s/%%u\n"
                   "[accounts]\nfile = %s\n",
                   world->mail, world->accounts);
    if (configuration_parse("attack.conf", bytes_of(text), out, &notes) < 0) {
        errx(EXIT_UNTRIED, "%s", notes.text);
    }
}

static void become(const struct passwd *user)
{
    if (user != NULL &&
        (setgroups(0, NULL) < 0 || setresgid(user->pw_gid, user->pw_gid, user->pw_gid) < 0 ||
         setresuid(user->pw_uid, user->pw_uid, user->pw_uid) < 0)) {
        err(EXIT_UNTRIED, "becoming %s", user->pw_name);
    }
}

static int put_up(const struct world *world, const struct options *options,
                  const struct configuration *configuration, struct error *error)
{
    static uv_loop_t loop;
    struct sandbox sandbox = {
        .role = options->role, .configuration = configuration, .maildrop = world->drop};
    struct sandbox_support support = sandbox_support();
    int abi = options->abi < support.landlock ? options->abi : support.landlock;
    (void)setenv("UV_USE_IO_URING", "0", 1);
    if (abi == 0 || !support.seccomp || (options->abi > abi && options->abi != SANDBOX_NEWEST)) {
        return error_set(error, ERROR_PERMANENT, 0, "this kernel has Landlock's ABI %d, %s seccomp",
                         support.landlock, support.seccomp ? "and" : "no");
    }
    switch (options->fences) {
    case FENCES_BOTH:
        if (uv_loop_init(&loop) < 0) {
            return error_set(error, ERROR_TEMPORARY, 0, "the loop cannot be made");
        }
        return sandbox_enter(&sandbox, &loop, options->abi, error);
    case FENCES_LANDLOCK:
        return sandbox_close_files(&sandbox, abi, error);
    case FENCES_SECCOMP:
        return sandbox_close_calls(options->role, error);
    case FENCES_NONE:
        break;
    }
    return 0;
}

static void attack_now(const struct world *world, const struct attack *attack,
                       const struct options *options)
{
    static struct configuration configuration;
    struct error error;
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    (void)alarm(30);
    /* Mounts of an attack that succeeds stay its own. */
    if (geteuid() == 0 &&
        (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)) {
        err(EXIT_UNTRIED, "a mount namespace");
    }
    become(options->user);
    parse_configuration(world, &configuration);
    if (options->fences != FENCES_NONE && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) {
        err(EXIT_UNTRIED, "no new privileges");
    }
    if (put_up(world, options, &configuration, &error) < 0) {
        errx(EXIT_UNTRIED, "%s", error.text);
    }
    _exit(attack->run(world) == 0 ? EXIT_SUCCEEDED : EXIT_DENIED);
}

/* False if it could not be tried. */
static bool try_attack(const struct attack *attack, const struct options *options)
{
    static struct world world; /* large */
    int status = 0;
    if (!world_make(&world, options->user == NULL ? 0 : options->user->pw_uid)) {
        err(EXIT_UNTRIED, "giving the world to its user");
    }
    (void)fflush(stdout);
    pid_t process = fork();
    if (process == 0) {
        attack_now(&world, attack, options);
    }
    if (process < 0 || waitpid(process, &status, 0) != process) {
        err(EXIT_UNTRIED, "a process for %s", attack->name);
    }
    world_end(&world);
    if (WIFEXITED(status) && WEXITSTATUS(status) == EXIT_SUCCEEDED) {
        (void)printf("%s SUCCEEDED\n", attack->name);
    } else if ((WIFEXITED(status) && WEXITSTATUS(status) == EXIT_DENIED) ||
               (WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS)) {
        (void)printf("%s DENIED\n", attack->name);
    } else {
        (void)printf("%s UNTRIED (wait status %#x)\n", attack->name, (unsigned)status);
        return false;
    }
    return true;
}

static bool is_wanted(const struct attack *attack, const struct options *options, char **names)
{
    if (attack->root && (geteuid() != 0 || options->user != NULL)) {
        return false;
    }
    for (char **name = names; *name != NULL; name++) {
        if (strcmp(*name, attack->name) == 0) {
            return true;
        }
    }
    return *names == NULL;
}

static int try_all(const struct options *options, char **names)
{
    int tried = 0;
    bool all = true;
    for (size_t i = 0; i < sizeof attacks / sizeof attacks[0]; i++) {
        for (const struct attack *attack = attacks[i]; attack->name != NULL; attack++) {
            if (is_wanted(attack, options, names)) {
                tried++;
                if (options->list) {
                    (void)puts(attack->name);
                } else if (!try_attack(attack, options)) {
                    all = false;
                }
            }
        }
    }
    return all && tried > 0 ? 0 : EXIT_UNTRIED;
}

static int parse_abi(const char *text)
{
    uint64_t abi = SANDBOX_NEWEST;
    if (strcmp(text, "max") != 0 && (number_parse(bytes_of(text), 99, &abi) < 0 || abi < 1)) {
        errx(EXIT_UNTRIED, "--abi takes a number or max");
    }
    return (int)abi;
}

static void take_user(const char *name, struct options *options)
{
    options->user = getpwnam(name);
    if (options->user == NULL || options->user->pw_uid == 0 || geteuid() != 0) {
        errx(EXIT_UNTRIED, "--as-user takes a user who is not root, from root");
    }
}

int main(int argc, char **argv)
{
    static const struct option names[] = {
        {"abi", required_argument, NULL, 'a'},     {"no-sandbox", no_argument, NULL, 'n'},
        {"as-user", required_argument, NULL, 'u'}, {"auth", no_argument, NULL, 'r'},
        {"delegate", no_argument, NULL, 'd'},      {"only", required_argument, NULL, 'o'},
        {"list", no_argument, NULL, 'l'},          {0}};
    struct options options = {.abi = SANDBOX_NEWEST, .role = SANDBOX_WORKER};
    int option;
    while ((option = getopt_long(argc, argv, "", names, NULL)) != -1) {
        switch (option) {
        case 'a':
            options.abi = parse_abi(optarg);
            break;
        case 'n':
            options.fences = FENCES_NONE;
            break;
        case 'u':
            take_user(optarg, &options);
            break;
        case 'r':
            options.role = SANDBOX_AUTH;
            break;
        case 'd':
            options.role = SANDBOX_DELEGATE;
            break;
        case 'o':
            options.fences = strcmp(optarg, "landlock") == 0 ? FENCES_LANDLOCK : FENCES_SECCOMP;
            break;
        case 'l':
            options.list = true;
            break;
        default:
            return EXIT_UNTRIED;
        }
    }
    return try_all(&options, argv + optind);
}
