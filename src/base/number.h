/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_BASE_NUMBER_H
#define RESTANTE_BASE_NUMBER_H

#include "base/attributes.h"
#include "base/bytes.h"

/* The one strict parser of decimal numbers: digits only, no sign, no blanks, no wrap-around.
 * Leading zeros are allowed. 0, or -1 where it is no number or exceeds `most`. */
int number_parse(struct bytes text, uint64_t most, uint64_t *value_out) MUST_CHECK;

/* A number with an optional unit K, M or G (powers of 1024): octets. */
int number_parse_size(struct bytes text, uint64_t *octets_out) MUST_CHECK;

/* A number with a unit ms, s, m, h or d (only "0" may go without): milliseconds, at most 366 days. */
int number_parse_duration(struct bytes text, uint64_t *milliseconds_out) MUST_CHECK;

/* Writes `value` in decimal, without NUL; returns how many octets, at most 20. */
size_t number_format(uint64_t value, uint8_t out[20]);

#endif
