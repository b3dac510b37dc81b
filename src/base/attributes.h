/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_BASE_ATTRIBUTES_H
#define RESTANTE_BASE_ATTRIBUTES_H

/* The only compiler extensions that the tree uses, behind names. */

#define MUST_CHECK __attribute__((warn_unused_result))
#define PRINTF_LIKE(format_index, first_arg)                                                       \
    __attribute__((format(printf, format_index, first_arg)))

/* What a shared object shows to others; all else is hidden. */
#define EXPORTED __attribute__((visibility("default")))

/* Large memory that is filled before it is read, in functions that run often: the hardened build clears all
 * other automatic variables. */
#if defined __has_attribute
#if __has_attribute(uninitialized)
#define UNINITIALIZED __attribute__((uninitialized))
#endif
#endif
#ifndef UNINITIALIZED
#define UNINITIALIZED
#endif

/* Scope cleanup for descriptors and heap memory outside the engines. */
#define AUTO_CLOSE __attribute__((cleanup(auto_close)))
#define AUTO_FREE  __attribute__((cleanup(auto_free)))

void auto_close(const int *descriptor);
void auto_free(void *pointer_to_pointer);

#endif
