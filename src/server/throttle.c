/* SPDX-License-Identifier: MIT */
/* Guessing passwords takes time: counts of failures that all workers share decide how long who has failed
 * waits for his next try. */
#include "base/user_name.h"
#include "sasl/prepare.h"
#include "server/session.h"

/* By address, and by the name that was given, prepared, in whatever case: whether it is anybody's must not show. */
static void name_key(struct bytes name, uint8_t key_out[LIMITS_KEY_SIZE])
{
    uint8_t lower[USER_NAME_OCTETS_MAX + 1], memory[SASL_PREPARED_OCTETS];
    struct bytes prepared;
    if (sasl_prepare(name, SASL_PREPARE_QUERY, memory, &prepared, NULL) == 0) {
        name = prepared;
    }
    size_t size = name.size < sizeof lower ? name.size : sizeof lower;
    for (size_t i = 0; i < size; i++) {
        uint8_t octet = name.data[i];
        lower[i] = octet >= 'A' && octet <= 'Z' ? (uint8_t)(octet - 'A' + 'a') : octet;
    }
    limits_user_key((struct bytes){.data = lower, .size = size}, key_out);
}

void throttle_count_failure(struct session *session)
{
    uint8_t key[LIMITS_KEY_SIZE];
    uint64_t now = uv_hrtime() / 1000000;
    address_key(&session->peer, key);
    limits_fail(session->worker->limits, LIMIT_ADDRESS, key, now);
    if (session->asked_name != NULL) {
        name_key(bytes_of(session->asked_name), key);
        limits_fail(session->worker->limits, LIMIT_USER, key, now);
    }
}

uint64_t throttle_ms(const struct session *session, struct bytes name)
{
    const struct worker *worker = session->worker;
    uint8_t key[LIMITS_KEY_SIZE];
    uint64_t now = uv_hrtime() / 1000000;
    address_key(&session->peer, key);
    uint32_t of_address = limits_failures(worker->limits, LIMIT_ADDRESS, key, now);
    if (of_address == 0) {
        return 0;
    }
    name_key(name, key);
    return limits_throttle_ms(of_address, limits_failures(worker->limits, LIMIT_USER, key, now),
                              worker->configuration.failure_delay_ms,
                              worker->configuration.failure_delay_max_ms);
}
