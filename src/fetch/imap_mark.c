/* SPDX-License-Identifier: MIT */
/* A server may still be at work on what a lost connection brought it, so that what is not found is looked for again
 * until patience ends. */
#include "fetch/imap_mark.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { PATIENCE_MS = 3000, PAUSE_MS = 250 };

void imap_mark_write(const struct imap_mark *mark, char place_out[TARGET_PLACE_OCTETS])
{
    (void)snprintf(place_out, TARGET_PLACE_OCTETS, "imap %u %u %llu %s", mark->uid_validity,
                   mark->uid_from, (unsigned long long)mark->octets, mark->id);
}

bool imap_mark_parse(const char *place, struct imap_mark *mark_out)
{
    unsigned long long octets = 0;
    int end = 0;
    if (sscanf(place, "imap %u %u %llu %n", &mark_out->uid_validity, &mark_out->uid_from, &octets,
               &end) != 3 ||
        end == 0 || strlen(place + end) >= sizeof mark_out->id) {
        return false;
    }
    mark_out->octets = octets;
    memcpy(mark_out->id, place + end, strlen(place + end) + 1);
    return true;
}

static int64_t now_ms(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now); /* cannot fail for this clock */
    return now.tv_sec * INT64_C(1000) + now.tv_nsec / 1000000;
}

void imap_finder_be_patient(struct imap_finder *finder)
{
    finder->patience_end_ms = now_ms() + PATIENCE_MS;
}

static bool claim(struct imap_finder *finder, uint32_t uid)
{
    for (size_t i = 0; i < finder->claim_count; i++) {
        if (finder->claims[i] == uid) {
            return false;
        }
    }
    if (finder->claim_count < IMAP_MARK_CLAIMS) {
        finder->claims[finder->claim_count++] = uid;
    }
    return true;
}

static int search(struct imap_finder *finder, const struct imap_mark *mark, bool *there_out,
                  struct error *error)
{
    struct imap_client_event result;
    bool same = mark->uid_validity != 0 && mark->uid_validity == finder->session->uid_validity;
    struct imap_criteria criteria = {
        .uid_from = same ? mark->uid_from : 0, .octets = mark->octets, .value = bytes_of(mark->id)};
    if (mark->id[0] != '\0') {
        criteria.field = mark->octets == 0 ? IMAP_MARK_FIELD : "Message-ID";
    }
    *there_out = false;
    if (imap_session_search(finder->session, &criteria, &result, error) < 0) {
        return -1;
    }
    for (uint32_t i = 0; i < result.found_count && !*there_out; i++) {
        /* n:* has the last message, whatever its UID: RFC 9051 section 9, seq-range */
        *there_out = result.found[i] >= criteria.uid_from && claim(finder, result.found[i]);
    }
    return 0;
}

static int pause_search(struct imap_finder *finder, struct error *error)
{
    struct pollfd polled = {.fd = finder->cancel, .events = POLLIN};
    if (poll(&polled, 1, PAUSE_MS) > 0) {
        return error_set(error, ERROR_TEMPORARY, 0, "given up, as this run is to end");
    }
    return imap_session_refresh(finder->session, error);
}

int imap_finder_look_up(struct imap_finder *finder, const struct imap_mark *mark, bool *there_out,
                        struct error *error)
{
    for (;;) {
        bool is_last = now_ms() >= finder->patience_end_ms;
        if (imap_session_open(finder->session, error) < 0 ||
            search(finder, mark, there_out, error) < 0) {
            return -1;
        }
        if (*there_out || is_last) {
            return 0;
        }
        if (pause_search(finder, error) < 0) {
            return -1;
        }
    }
}
