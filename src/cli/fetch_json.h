/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_CLI_FETCH_JSON_H
#define RESTANTE_CLI_FETCH_JSON_H

#include <stdio.h>

#include "fetch/report.h"

/* Writes the report as one line of JSON, in ASCII: a program that reads it must survive any octets of a server.
 * restante-fetch(1) lists the fields. */
void fetch_json_write(FILE *out, const struct fetch_report *report);

/* `,"key":"text"` and `,"key":number`, for other lines of the kind. */
void fetch_json_string(FILE *out, const char *key, struct bytes text);
void fetch_json_number(FILE *out, const char *key, uint64_t number);

#endif
