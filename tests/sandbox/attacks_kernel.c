/* SPDX-License-Identifier: MIT */
/* The parts of the kernel that intruders like best. */
#include <errno.h>
#include <linux/bpf.h>
#include <linux/io_uring.h>
#include <linux/keyctl.h>
#include <linux/perf_event.h>
#include <linux/userfaultfd.h>
#include <sched.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "attack.h"

static int call(long result)
{
    return result < 0 ? -1 : 0;
}

static int new_user_namespace(const struct world *world)
{
    (void)world;
    return unshare(CLONE_NEWUSER);
}

static int new_mount_namespace(const struct world *world)
{
    (void)world;
    return unshare(CLONE_NEWNS);
}

/* The process's namespace was made for this attack, as the others' was: see attack.c. */
static int mount_over(const struct world *world)
{
    return mount("none", world->mail, "tmpfs", 0, NULL);
}

static int change_root(const struct world *world)
{
    return chroot(world->mail);
}

static int set_up_io_uring(const struct world *world)
{
    (void)world;
    struct io_uring_params parameters;
    memset(&parameters, 0, sizeof parameters);
    return call(syscall(SYS_io_uring_setup, 4U, &parameters));
}

static int load_bpf(const struct world *world)
{
    (void)world;
    union bpf_attr attributes;
    memset(&attributes, 0, sizeof attributes);
    attributes.map_type = BPF_MAP_TYPE_ARRAY;
    attributes.key_size = 4;
    attributes.value_size = 4;
    attributes.max_entries = 1;
    return call(syscall(SYS_bpf, BPF_MAP_CREATE, &attributes, sizeof attributes));
}

static int open_perf_event(const struct world *world)
{
    (void)world;
    struct perf_event_attr attributes;
    memset(&attributes, 0, sizeof attributes);
    attributes.type = PERF_TYPE_SOFTWARE;
    attributes.size = sizeof attributes;
    attributes.config = PERF_COUNT_SW_TASK_CLOCK;
    attributes.exclude_kernel = 1;
    return call(syscall(SYS_perf_event_open, &attributes, 0, -1, -1, 0UL));
}

static int make_userfaultfd(const struct world *world)
{
    (void)world;
    return call(syscall(SYS_userfaultfd, UFFD_USER_MODE_ONLY));
}

static int read_keyring(const struct world *world)
{
    (void)world;
    return call(syscall(SYS_keyctl, KEYCTL_GET_KEYRING_ID, KEY_SPEC_PROCESS_KEYRING, 1));
}

static int add_key(const struct world *world)
{
    (void)world;
    return call(
        syscall(SYS_add_key, "user", "restante-attack", "x", 1UL, KEY_SPEC_PROCESS_KEYRING));
}

const struct attack attacks_on_kernel[] = {
    {"new-user-namespace", true, new_user_namespace},
    {"new-mount-namespace", true, new_mount_namespace},
    {"mount-over", true, mount_over},
    {"change-root", true, change_root},
    {"io-uring", false, set_up_io_uring},
    {"bpf", true, load_bpf},
    {"perf-event", true, open_perf_event},
    {"userfaultfd", false, make_userfaultfd},
    {"read-keyring", false, read_keyring},
    {"add-key", false, add_key},
    {0},
};
