/* SPDX-License-Identifier: MIT */
/* The order matters. Landlock binds the thread that asks for it and those that it starts, so it comes
 * before libuv's pool; seccomp binds all threads at once and forbids to start any, so it comes last. What
 * is loaded on first use (time zone, random numbers of OpenSSL and libsodium) is used before. */
#include "server/sandbox.h"

#include <errno.h>
#include <linux/landlock.h>
#include <openssl/rand.h>
#include <sodium.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

struct sandbox_support sandbox_support(void)
{
    long abi =
        syscall(SYS_landlock_create_ruleset, NULL, (size_t)0, LANDLOCK_CREATE_RULESET_VERSION);
    return (struct sandbox_support){.landlock = abi > 0 ? (int)abi : 0,
                                    .seccomp = sandbox_has_calls()};
}

static void do_nothing(uv_work_t *work)
{
    (void)work;
}

static void done(uv_work_t *work, int status)
{
    (void)work;
    (void)status;
}

/* The first job starts all threads of the pool and waits until they run. */
static int start_threads(uv_loop_t *loop, struct error *error)
{
    static uv_work_t work;
    if (uv_queue_work(loop, &work, do_nothing, done) < 0) {
        return error_set(error, ERROR_TEMPORARY, 0, "starting threads");
    }
    return 0;
}

static int warm_up(struct error *error)
{
    uint8_t octets[16];
    tzset();
    if (sodium_init() < 0 || RAND_bytes(octets, sizeof octets) != 1) {
        return error_set(error, ERROR_TEMPORARY, 0, "there are no random numbers");
    }
    return 0;
}

int sandbox_enter(const struct sandbox *sandbox, uv_loop_t *loop, int landlock_most,
                  struct error *error)
{
    struct sandbox_support support = sandbox_support();
    int abi = support.landlock < landlock_most ? support.landlock : landlock_most;
    if (warm_up(error) < 0) {
        return -1;
    }
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) {
        return error_set(error, ERROR_TEMPORARY, errno, "giving up new privileges");
    }
    if (abi > 0 && sandbox_close_files(sandbox, abi, error) < 0) {
        return -1;
    }
    if (start_threads(loop, error) < 0) {
        return -1;
    }
    return support.seccomp ? sandbox_close_calls(sandbox->role, error) : 0;
}
