/* SPDX-License-Identifier: MIT */
/* An empty file HOST:PORT.one-at-a-time says it; its time says since when. */
#include "fetch/host_memory.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/attributes.h"
#include "fetch/state_name.h"

/* malloc'ed; NULL: there is no place, or no memory. */
static char *path_of(const char *folder, const char *host, uint32_t port)
{
    struct error error;
    char *path = NULL;
    AUTO_FREE char *place = state_folder_of(folder, &error);
    AUTO_FREE char *name = NULL;
    if (place == NULL || asprintf(&path, "%s:%u", host, port) < 0) {
        return NULL;
    }
    name = state_name_of(path);
    free(path);
    path = NULL;
    if (name == NULL || asprintf(&path, "%s/%s.one-at-a-time", place, name) < 0) {
        return NULL;
    }
    return path;
}

bool host_memory_is_one_at_a_time(const char *folder, const char *host, uint32_t port)
{
    enum { SECONDS = HOST_MEMORY_DAYS * 86400 };
    struct stat facts;
    AUTO_FREE char *path = path_of(folder, host, port);
    return path != NULL && stat(path, &facts) == 0 && time(NULL) - facts.st_mtime < SECONDS;
}

void host_memory_set_one_at_a_time(const char *folder, const char *host, uint32_t port)
{
    AUTO_FREE char *path = path_of(folder, host, port);
    AUTO_CLOSE int file =
        path == NULL ? -1 : open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (file >= 0) {
        (void)futimens(file, NULL); /* at worst it is learnt again */
    }
}
