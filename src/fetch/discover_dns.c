/* SPDX-License-Identifier: MIT */
/* SRV records by the C library's resolver, with the servers of resolv.conf: it follows no alias of its own and
 * ends by itself. RFC 2782, RFC 6186. */
#include <arpa/nameser.h>
#include <netdb.h>
#include <resolv.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fetch/discover_sources.h"

enum { ANSWER_OCTETS = 65535, FIXED_OCTETS = 6, RETRANSMIT_S = 3, TRIES = 2 };

bool discover_is_host(const char *name)
{
    static const char allowed[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.";
    size_t size = strspn(name, allowed);
    return name[size] == '\0' && size > 0 && size <= 253 && name[0] != '-' && name[0] != '.';
}

bool discover_is_within(const char *host, const char *domain)
{
    struct bytes all = bytes_of(host), end = bytes_of(domain);
    if (all.size > 0 && host[all.size - 1] == '.') {
        all.size--;
    }
    return all.size >= end.size &&
           bytes_equal_ignoring_case(bytes_from(all, all.size - end.size), end) &&
           (all.size == end.size || host[all.size - end.size - 1] == '.');
}

static int take_record(ns_msg *message, ns_rr *row, struct discover_records *records,
                       struct error *error)
{
    const uint8_t *data = ns_rr_rdata(*row);
    char target[NS_MAXDNAME];
    if (ns_rr_rdlen(*row) <= FIXED_OCTETS ||
        ns_name_uncompress(ns_msg_base(*message), ns_msg_end(*message), data + FIXED_OCTETS, target,
                           sizeof target) < 0) {
        return error_set(error, ERROR_PROTOCOL, 0, "the record makes no sense");
    }
    if (target[0] == '\0' || strcmp(target, ".") == 0) {
        records->is_refused = true;
        return 0;
    }
    size_t size = strlen(target);
    if (target[size - 1] == '.') {
        target[size - 1] = '\0';
    }
    if (!discover_is_host(target)) {
        return error_set(error, ERROR_PROTOCOL, 0, "the record names no host");
    }
    struct discover_record *record = &records->records[records->count++];
    record->priority = (uint16_t)ns_get16(data);
    record->weight = (uint16_t)ns_get16(data + 2);
    record->port = (uint16_t)ns_get16(data + 4);
    (void)snprintf(record->target, sizeof record->target, "%s", target);
    return 0;
}

/* Those of the lowest priority first; within one priority by lot, as the weights say (RFC 2782, page 3). */
static void put_in_order(struct discover_records *records)
{
    for (size_t i = 0; i + 1 < records->count; i++) {
        struct discover_record *rows = records->records, taken;
        uint32_t sum = 0;
        uint16_t least = UINT16_MAX;
        size_t chosen = i;
        for (size_t k = i; k < records->count; k++) {
            least = rows[k].priority < least ? rows[k].priority : least;
        }
        for (size_t k = i; k < records->count; k++) {
            /* The chance that this one takes the place of those before it is its share of the weight so far.
             * A weight of 0 has a small one. */
            uint32_t weight = rows[k].weight == 0 ? 1 : rows[k].weight * UINT32_C(256);
            if (rows[k].priority == least) {
                sum += weight;
                chosen = randombytes_uniform(sum) < weight ? k : chosen;
            }
        }
        taken = rows[chosen];
        rows[chosen] = rows[i];
        rows[i] = taken;
    }
}

static int read_answer(const uint8_t *answer, int size, struct discover_records *records,
                       struct error *error)
{
    ns_msg message;
    if (ns_initparse(answer, size, &message) < 0) {
        return error_set(error, ERROR_PROTOCOL, 0, "the answer makes no sense");
    }
    for (int i = 0; i < ns_msg_count(message, ns_s_an); i++) {
        ns_rr row;
        if (ns_parserr(&message, ns_s_an, i, &row) < 0) {
            return error_set(error, ERROR_PROTOCOL, 0, "the answer makes no sense");
        }
        if (ns_rr_type(row) == ns_t_srv && records->count < DISCOVER_RECORDS_MOST &&
            take_record(&message, &row, records, error) < 0) {
            return -1;
        }
    }
    put_in_order(records);
    return 0;
}

int discover_look_up(const char *service, const char *domain, struct discover_records *records_out,
                     struct error *error)
{
    struct __res_state state = {0};
    char name[DISCOVER_HOST_OCTETS + 32];
    *records_out = (struct discover_records){0};
    (void)snprintf(name, sizeof name, "%s.%s", service, domain);
    uint8_t *answer = malloc(ANSWER_OCTETS);
    if (answer == NULL || res_ninit(&state) < 0) {
        free(answer);
        return error_set(error, ERROR_TEMPORARY, 0, "DNS cannot be asked");
    }
    state.retrans = RETRANSMIT_S;
    state.retry = TRIES;
    int size = res_nquery(&state, name, ns_c_in, ns_t_srv, answer, ANSWER_OCTETS);
    int result = 0;
    if (size >= 0) {
        result = read_answer(answer, size, records_out, error);
    } else if (state.res_h_errno != HOST_NOT_FOUND && state.res_h_errno != NO_DATA) {
        result = error_set(error, ERROR_TEMPORARY, 0, "DNS gives no answer");
    }
    res_nclose(&state);
    free(answer);
    return result;
}
