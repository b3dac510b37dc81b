/* SPDX-License-Identifier: MIT */
/* The system calls that are left (seccomp, by libseccomp). Three answers: allowed; ENOSYS for what is not
 * listed, so that a newer library takes the way that it has for older kernels; and death for what no
 * library of ours ever does, because from then on the code that runs is somebody else's, and a dead worker
 * is replaced and told of in the log. No process, thread, socket or executable memory is made anew. */
#include <errno.h>
#include <stddef.h>

#include "server/sandbox.h"

#ifdef HAVE_SECCOMP

#include <fcntl.h>
#include <seccomp.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__)
#define IS_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define IS_SANITIZED 1
#endif
#endif
#ifndef IS_SANITIZED
#define IS_SANITIZED 0
#endif

enum roles {
    WORKER = 1 << SANDBOX_WORKER,
    AUTH = 1 << SANDBOX_AUTH,
    DELEGATE = 1 << SANDBOX_DELEGATE,
    STORE = WORKER | DELEGATE,
    EVERY = WORKER | AUTH | DELEGATE
};

static const struct {
    unsigned roles;
    const char *name;
} allowed[] = {
#define CALL(roles, name) {roles, name},
#define FATAL(name)
#include "server/sandbox_calls.def"
#undef CALL
#undef FATAL
};

static const char *const fatal[] = {
#define CALL(roles, name)
#define FATAL(name) name,
#include "server/sandbox_calls.def"
#undef CALL
#undef FATAL
};

bool sandbox_has_calls(void)
{
    uint32_t action = SECCOMP_RET_KILL_PROCESS;
    return syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0U, &action) == 0;
}

/* 0, or a negated errno. Names that this machine or libseccomp does not know need no rule. */
static int add(scmp_filter_ctx filter, uint32_t action, const char *name)
{
    int number = seccomp_syscall_resolve_name(name);
    return number < 0 ? 0 : seccomp_rule_add(filter, action, number, 0);
}

static int add_lists(scmp_filter_ctx filter, unsigned role)
{
    int result = 0;
    /* A sanitizer's report starts a program that finds names and lines; it does without if it has to. */
    uint32_t death = IS_SANITIZED ? SCMP_ACT_ERRNO(EPERM) : SCMP_ACT_KILL_PROCESS;
    for (size_t i = 0; i < sizeof allowed / sizeof allowed[0] && result == 0; i++) {
        if ((allowed[i].roles & role) != 0) {
            result = add(filter, SCMP_ACT_ALLOW, allowed[i].name);
        }
    }
    for (size_t i = 0; i < sizeof fatal / sizeof fatal[0] && result == 0; i++) {
        result = add(filter, death, fatal[i]);
    }
    for (size_t i = 0; i < 3 && IS_SANITIZED && result == 0; i++) {
        static const char *const more[] = {"pipe", "pipe2", "readlink"};
        result = add(filter, SCMP_ACT_ALLOW, more[i]);
    }
    return result;
}

static struct scmp_arg_cmp is(unsigned argument, uint64_t value)
{
    return (struct scmp_arg_cmp){.arg = argument, .op = SCMP_CMP_EQ, .datum_a = value};
}

static struct scmp_arg_cmp lacks(unsigned argument, uint64_t flag)
{
    return (struct scmp_arg_cmp){.arg = argument, .op = SCMP_CMP_MASKED_EQ, .datum_a = flag};
}

/* Allowed where one argument is as it should be. */
static int add_conditions(scmp_filter_ctx filter, unsigned role)
{
    const struct {
        unsigned roles;
        int number;
        struct scmp_arg_cmp condition;
    } rules[] = {
        /* F_SETOWN and F_SETSIG, which send signals to others, are not among them. */
        {EVERY, SCMP_SYS(fcntl), is(1, F_GETFD)},
        {EVERY, SCMP_SYS(fcntl), is(1, F_SETFD)},
        {EVERY, SCMP_SYS(fcntl), is(1, F_GETFL)},
        {EVERY, SCMP_SYS(fcntl), is(1, F_SETFL)},
        {EVERY, SCMP_SYS(fcntl), is(1, F_DUPFD_CLOEXEC)},
        {EVERY, SCMP_SYS(mmap), lacks(2, PROT_EXEC)},
        {EVERY, SCMP_SYS(mprotect), lacks(2, PROT_EXEC)},
        {EVERY, SCMP_SYS(tgkill), is(0, (uint64_t)getpid())}, /* abort */
        {EVERY, SCMP_SYS(ioctl), is(1, FIONBIO)},
        {EVERY, SCMP_SYS(prlimit64), is(2, 0)},             /* getrlimit */
        {EVERY, SCMP_SYS(sendmsg), lacks(2, MSG_FASTOPEN)}, /* which connects a socket */
        {WORKER, SCMP_SYS(sendto), is(4, 0)},               /* send */
        {AUTH, SCMP_SYS(getpriority), is(1, 0)},            /* of the thread that asks */
        {AUTH, SCMP_SYS(setpriority), is(1, 0)},
        {AUTH, SCMP_SYS(sched_setscheduler), is(0, 0)},
        {AUTH, SCMP_SYS(socketpair), is(1, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK)},
    };
    int result = 0;
    for (size_t i = 0; i < sizeof rules / sizeof rules[0] && result == 0; i++) {
        if ((rules[i].roles & role) != 0) {
            result = seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, rules[i].number, 1,
                                            &rules[i].condition);
        }
    }
    return result;
}

int sandbox_close_calls(enum sandbox_role role, struct error *error)
{
    unsigned mask = 1U << role;
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(ENOSYS));
    if (filter == NULL) {
        return error_set(error, ERROR_TEMPORARY, 0, "seccomp: no memory for a filter");
    }
    /* All threads, and calls numbered as for another architecture are fatal; the tree is balanced. */
    int result = seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1);
    if (result == 0) {
        result = seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
    }
    if (result == 0) {
        (void)seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2);
        result = add_lists(filter, mask);
    }
    if (result == 0) {
        result = add_conditions(filter, mask);
    }
    if (result == 0) {
        result = seccomp_load(filter);
    }
    seccomp_release(filter);
    return result == 0 ? 0 : error_set(error, ERROR_TEMPORARY, -result, "seccomp");
}

#else

bool sandbox_has_calls(void)
{
    return false;
}

int sandbox_close_calls(enum sandbox_role role, struct error *error)
{
    (void)role;
    return error_set(error, ERROR_PERMANENT, ENOSYS, "seccomp: this build is without it");
}

#endif
