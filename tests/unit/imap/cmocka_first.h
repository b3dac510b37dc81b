/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_TESTS_CMOCKA_FIRST_H
#define RESTANTE_TESTS_CMOCKA_FIRST_H

/* What <cmocka.h> wants before it. */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

#endif
