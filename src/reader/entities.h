/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_READER_ENTITIES_H
#define RESTANTE_READER_ENTITIES_H

#include "base/bytes.h"

/* The character that a reference of HTML stands for, as `name` says it without '&' and ';': a name, "#NUMBER"
 * or "#xHEX". False where it is none that is known. A control character is U+FFFD. */
bool entity_decode(struct bytes name, uint32_t *code_out);

#endif
