/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_BASE_CONTAINER_OF_H
#define RESTANTE_BASE_CONTAINER_OF_H

#include <stddef.h>

/* The struct of `type` whose `member` is at `pointer`. */
#define CONTAINER_OF(pointer, type, member)                                                        \
    ((type *)(void *)((char *)(pointer)-offsetof(type, member)))

#endif
