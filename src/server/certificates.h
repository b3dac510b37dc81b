/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_SERVER_CERTIFICATES_H
#define RESTANTE_SERVER_CERTIFICATES_H

/* Certificates and keys on their way from files to workers. The master reads and checks them, for workers
 * cannot reach the files; a worker gets them in a sealed piece of memory. */

#include <sys/stat.h>

#include "net/tls.h"
#include "server/configuration.h"

enum { CERTIFICATES_MOST_FILES = 2 * TLS_MOST_IDENTITIES + 1 };

struct certificates {
    int memory;                                 /* memfd: what a worker gets */
    struct stat files[CERTIFICATES_MOST_FILES]; /* as they were read */
    char paths[CERTIFICATES_MOST_FILES][CONFIGURATION_VALUE_SIZE];
    uint32_t count;
};

/* Reads what the configuration names; where it names nothing, a self-signed certificate in the state folder,
 * which is made if there is none yet. A mistake is noted in `notes` (file, line, remedy) and -1 returned.
 * With `make` false nothing is written, and what would be made is not looked at. */
int certificates_load(const struct configuration *configuration, const char *path, bool make,
                      struct certificates *out, struct configuration_notes *notes) MUST_CHECK;
void certificates_close(struct certificates *certificates);

/* Have the files changed since they were read? */
bool certificates_changed(const struct certificates *certificates);

/* In a worker: a context made from that memory, with the connection's protocol and tickets. */
int certificates_use(int memory, const struct configuration *configuration,
                     const struct tls_tickets *tickets, struct tls_context **context_out,
                     struct error *error) MUST_CHECK;

#endif
