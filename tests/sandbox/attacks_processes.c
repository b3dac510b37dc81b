/* SPDX-License-Identifier: MIT */
/* Other processes: their memory, their life, and new ones. */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "attack.h"

/* Whatever the attack's own process does to itself, the secret of others stays. */
char attack_secret[32] = "the secret of another process";

static int attach(pid_t process)
{
    if (ptrace(PTRACE_SEIZE, process, NULL, NULL) < 0) {
        return -1;
    }
    return 0; /* ends with this process */
}

static int ptrace_master(const struct world *world)
{
    return attach(world->master);
}

static int ptrace_sibling(const struct world *world)
{
    return attach(world->sibling);
}

static int read_memory(const struct world *world)
{
    char found[sizeof attack_secret];
    struct iovec here = {.iov_base = found, .iov_len = sizeof found};
    struct iovec there = {.iov_base = attack_secret, .iov_len = sizeof found};
    return process_vm_readv(world->master, &here, 1, &there, 1, 0) == (ssize_t)sizeof found ? 0
                                                                                            : -1;
}

static int write_memory(const struct world *world)
{
    struct iovec here = {.iov_base = attack_secret, .iov_len = sizeof attack_secret};
    struct iovec there = here;
    return process_vm_writev(world->sibling, &here, 1, &there, 1, 0) > 0 ? 0 : -1;
}

static int kill_master(const struct world *world)
{
    return kill(world->master, SIGCONT); /* a harmless signal is as much allowed as any */
}

static int kill_sibling(const struct world *world)
{
    return kill(world->sibling, SIGCONT);
}

static int kill_all(const struct world *world)
{
    (void)world;
    return kill(-1, 0);
}

static int kill_thread_of_sibling(const struct world *world)
{
    return tgkill(world->sibling, world->sibling, SIGCONT);
}

static int queue_signal(const struct world *world)
{
    return sigqueue(world->master, SIGCONT, (union sigval){.sival_int = 0});
}

static int signal_by_pidfd(const struct world *world)
{
    int handle = (int)syscall(SYS_pidfd_open, world->sibling, 0U);
    return handle < 0 ? -1 : (int)syscall(SYS_pidfd_send_signal, handle, SIGCONT, NULL, 0U);
}

static int take_descriptor(const struct world *world)
{
    int handle = (int)syscall(SYS_pidfd_open, world->master, 0U);
    return handle < 0 || syscall(SYS_pidfd_getfd, handle, 2, 0U) < 0 ? -1 : 0;
}

static int signal_by_descriptor(const struct world *world)
{
    return fcntl(world->tcp, F_SETOWN, world->sibling);
}

static int make_process(const struct world *world)
{
    (void)world;
    pid_t process = fork();
    if (process == 0) {
        _exit(0);
    }
    return process < 0 ? -1 : 0;
}

static void *do_nothing(void *argument)
{
    return argument;
}

static int make_thread(const struct world *world)
{
    (void)world;
    pthread_t thread;
    errno = pthread_create(&thread, NULL, do_nothing, NULL);
    return errno == 0 ? 0 : -1;
}

static int execute(const struct world *world)
{
    (void)world;
    return execl("/bin/true", "true", (char *)NULL);
}

static int execute_from_mail(const struct world *world)
{
    char path[2 * WORLD_PATH];
    char *arguments[] = {(char *)(uintptr_t) "program", NULL};
    (void)snprintf(path, sizeof path, "%s/program", world->drop);
    return execve(path, arguments, environ);
}

static int execute_from_memory(const struct world *world)
{
    char buffer[8192];
    char *arguments[] = {(char *)(uintptr_t) "true", NULL};
    ssize_t size;
    int program = memfd_create("program", MFD_CLOEXEC);
    while (program >= 0 && (size = read(world->true_program, buffer, sizeof buffer)) > 0) {
        if (write(program, buffer, (size_t)size) != size) {
            return -1;
        }
    }
    return program < 0 ? -1
                       : (int)syscall(SYS_execveat, program, "", arguments, environ, AT_EMPTY_PATH);
}

static int map_executable(const struct world *world)
{
    (void)world;
    void *code =
        mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return code == MAP_FAILED ? -1 : 0;
}

static int make_executable(const struct world *world)
{
    (void)world;
    void *code = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return code == MAP_FAILED ? -1 : mprotect(code, 4096, PROT_READ | PROT_EXEC);
}

static int allow_dumps(const struct world *world)
{
    (void)world;
    return prctl(PR_SET_DUMPABLE, 1);
}

static int change_limit(const struct world *world)
{
    (void)world;
    struct rlimit limit;
    return getrlimit(RLIMIT_CORE, &limit) < 0 ? -1 : setrlimit(RLIMIT_CORE, &limit);
}

static int change_user(const struct world *world)
{
    (void)world;
    return setresuid(geteuid(), geteuid(), geteuid());
}

static int slow_sibling(const struct world *world)
{
    return setpriority(PRIO_PROCESS, (id_t)world->sibling, 19);
}

static int idle_sibling(const struct world *world)
{
    return sched_setscheduler(world->sibling, SCHED_IDLE, &(struct sched_param){0});
}

const struct attack attacks_on_processes[] = {
    {"ptrace-master", true, ptrace_master},
    {"ptrace-sibling", true, ptrace_sibling},
    {"read-memory", true, read_memory},
    {"write-memory", true, write_memory},
    {"kill-master", false, kill_master},
    {"kill-sibling", false, kill_sibling},
    {"kill-all", false, kill_all},
    {"kill-thread-of-sibling", false, kill_thread_of_sibling},
    {"queue-signal", false, queue_signal},
    {"signal-by-pidfd", false, signal_by_pidfd},
    {"take-descriptor", true, take_descriptor},
    {"signal-by-descriptor", false, signal_by_descriptor},
    {"make-process", false, make_process},
    {"make-thread", false, make_thread},
    {"execute", false, execute},
    {"execute-from-mail", false, execute_from_mail},
    {"execute-from-memory", false, execute_from_memory},
    {"map-executable", false, map_executable},
    {"make-executable", false, make_executable},
    {"allow-dumps", false, allow_dumps},
    {"change-limit", false, change_limit},
    {"slow-sibling", false, slow_sibling},
    {"idle-sibling", false, idle_sibling},
    {"change-user", false, change_user},
    {0},
};
