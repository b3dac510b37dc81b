/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_CLI_FETCH_JSON_H
#define RESTANTE_CLI_FETCH_JSON_H

#include <stdio.h>

#include "fetch/report.h"

/* Writes the report as one line of JSON, in ASCII: a program that reads it must survive any octets of a server.
 * restante-fetch(1) lists the fields. */
void fetch_json_write(FILE *out, const struct fetch_report *report);

#endif
