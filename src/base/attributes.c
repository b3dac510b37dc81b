/* SPDX-License-Identifier: MIT */
#include "base/attributes.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

void auto_close(const int *descriptor)
{
    if (*descriptor >= 0) {
        int saved = errno;
        (void)close(*descriptor); /* read-only or already fsynced: nothing is left to report */
        errno = saved;
    }
}

void auto_free(void *pointer_to_pointer)
{
    void **pointer = pointer_to_pointer;
    free(*pointer);
}
