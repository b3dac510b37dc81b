/* SPDX-License-Identifier: MIT */
/* Runs a command as if the kernel lacked something:
 *
 *     without landlock|seccomp COMMAND [ARGUMENT...] */
#include <err.h>
#include <errno.h>
#include <seccomp.h>
#include <string.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
    if (argc < 3 || filter == NULL) {
        errx(2, "usage: without landlock|seccomp COMMAND [ARGUMENT...]");
    }
    int number = strcmp(argv[1], "landlock") == 0
                     ? seccomp_syscall_resolve_name("landlock_create_ruleset")
                     : SCMP_SYS(seccomp);
    if (number < 0 || seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), number, 0) != 0 ||
        seccomp_load(filter) != 0) {
        errx(2, "%s cannot be taken away", argv[1]);
    }
    seccomp_release(filter);
    (void)execvp(argv[2], argv + 2);
    err(2, "%s", argv[2]);
}
