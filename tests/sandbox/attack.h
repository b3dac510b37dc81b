/* SPDX-License-Identifier: MIT */
#ifndef TESTS_SANDBOX_ATTACK_H
#define TESTS_SANDBOX_ATTACK_H

#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/un.h>

enum { WORLD_PATH = 128 };

/* What there is to attack: made before the sandbox closes, so that an attack fails for no other reason. */
struct world {
    char folder[64];
    char mail[WORLD_PATH];     /* the mail root */
    char drop[WORLD_PATH];     /* a maildrop in it */
    char outside[WORLD_PATH];  /* a folder beside it */
    char accounts[WORLD_PATH]; /* the accounts file */
    char key[WORLD_PATH];      /* the TLS key */
    pid_t master, sibling;     /* of the same user, not dumpable only by the sandbox's doing */
    int tcp, unix_stream;      /* fresh sockets, neither bound nor connected */
    uint16_t port;             /* somebody listens there */
    struct sockaddr_un named;  /* and there */
    struct sockaddr_un abstract;
    socklen_t abstract_size;
    int true_program; /* /bin/true, open for reading */
    struct {
        struct file_handle head;
        unsigned char room[128];
    } handle; /* of the accounts file */
};

struct attack {
    const char *name;
    bool root; /* only root could do it anyway */
    /* 0: it worked. Else -1 with errno. */
    int (*run)(const struct world *world);
};

/* In other processes' memory as in ours: what process_vm_readv looks for. */
extern char attack_secret[32];

extern const struct attack attacks_on_files[];
extern const struct attack attacks_on_processes[];
extern const struct attack attacks_on_network[];
extern const struct attack attacks_on_kernel[];

/* Makes all of it, for `user` if that is not 0; false, with a message, if something cannot be made. */
bool world_make(struct world *world, uid_t user);
void world_end(struct world *world);

#endif
