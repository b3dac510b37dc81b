/* SPDX-License-Identifier: MIT */
/* What a status says, and its form as a text: a line of form and version, then lines `key value`. */
#include "fetch/status.h"

#include <stdio.h>

#include "base/number.h"

static const char heading[] = "restante-fetch-status 1";

/* It stands in one line, and is shown on terminals. */
static void set_reason(struct fetch_status *status, struct bytes text)
{
    size_t size = text.size < STATUS_REASON_SIZE ? text.size : STATUS_REASON_SIZE - 1;
    for (size_t i = 0; i < size; i++) {
        bool control = text.data[i] < ' ' || text.data[i] == 0x7f;
        status->reason[i] = control ? '?' : (char)text.data[i];
    }
    status->reason[size] = '\0';
}

bool status_counts(enum error_kind kind)
{
    return kind != ERROR_IN_USE && kind != ERROR_LOGIN_DELAY;
}

void status_add(struct fetch_status *status, const struct fetch_result *result)
{
    status->messages += result->messages;
    status->octets += result->octets;
    if (result->interrupted) {
        return;
    }
    status->attempt = result->ended;
    if (!status_counts(result->kind)) {
        return;
    }
    status->kind = result->kind;
    if (result->kind == ERROR_NONE) {
        status->success = result->ended;
        status->failing_since = 0;
        status->failures = 0;
        status->reason[0] = '\0';
        return;
    }
    if (status->failures == 0) {
        status->failing_since = result->ended;
    }
    status->failures += status->failures < UINT32_MAX;
    set_reason(status, bytes_of(result->reason));
}

enum status_health status_health(const struct fetch_status *status, int64_t now,
                                 uint64_t most_age_s)
{
    if (status->failures != 0) {
        return STATUS_FAILING;
    }
    if (status->success == 0) {
        return STATUS_NEVER;
    }
    if (most_age_s == 0) {
        most_age_s = STATUS_INTERVALS_MOST * status->interval_s;
    }
    bool stale =
        most_age_s != 0 && now > status->success && (uint64_t)(now - status->success) > most_age_s;
    return stale ? STATUS_STALE : STATUS_WELL;
}

const char *status_health_word(enum status_health health)
{
    static const char *const words[] = {[STATUS_WELL] = "well",
                                        [STATUS_NEVER] = "never fetched",
                                        [STATUS_STALE] = "stale",
                                        [STATUS_FAILING] = "failing"};
    return words[health];
}

size_t status_format(const struct fetch_status *status, char out[STATUS_TEXT_SIZE])
{
    int size =
        snprintf(out, STATUS_TEXT_SIZE,
                 "%s\nattempt %lld\nsuccess %lld\nfailing-since %lld\nfailures %u\nkind %s\n"
                 "messages %llu\noctets %llu\nnext %lld\ninterval %llu\nreason %s\n",
                 heading, (long long)status->attempt, (long long)status->success,
                 (long long)status->failing_since, status->failures, error_metric(status->kind),
                 (unsigned long long)status->messages, (unsigned long long)status->octets,
                 (long long)status->next, (unsigned long long)status->interval_s, status->reason);
    return (size_t)size; /* each number has at most 20 digits */
}

static int parse_time(struct bytes value, int64_t *out)
{
    uint64_t number;
    if (number_parse(value, INT64_MAX, &number) < 0) {
        return -1;
    }
    *out = (int64_t)number;
    return 0;
}

static int parse_kind(struct bytes value, enum error_kind *out)
{
    for (unsigned kind = ERROR_NONE; kind < ERROR_KIND_COUNT; kind++) {
        if (bytes_equal(value, bytes_of(error_metric((enum error_kind)kind)))) {
            *out = (enum error_kind)kind;
            return 0;
        }
    }
    *out = ERROR_TEMPORARY; /* a newer version's */
    return 0;
}

static int parse_count(struct bytes value, uint32_t *out)
{
    uint64_t number;
    if (number_parse(value, UINT32_MAX, &number) < 0) {
        return -1;
    }
    *out = (uint32_t)number;
    return 0;
}

static int take(struct fetch_status *status, struct bytes key, struct bytes value)
{
    const struct {
        const char *key;
        int64_t *time;
        uint64_t *number;
    } fields[] = {{"attempt", &status->attempt, NULL},
                  {"success", &status->success, NULL},
                  {"failing-since", &status->failing_since, NULL},
                  {"next", &status->next, NULL},
                  {"messages", NULL, &status->messages},
                  {"octets", NULL, &status->octets},
                  {"interval", NULL, &status->interval_s}};
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        if (bytes_equal(key, bytes_of(fields[i].key))) {
            return fields[i].time != NULL ? parse_time(value, fields[i].time)
                                          : number_parse(value, UINT64_MAX, fields[i].number);
        }
    }
    if (bytes_equal(key, bytes_of("failures"))) {
        return parse_count(value, &status->failures);
    }
    if (bytes_equal(key, bytes_of("kind"))) {
        return parse_kind(value, &status->kind);
    }
    if (bytes_equal(key, bytes_of("reason"))) {
        set_reason(status, value);
    }
    return 0;
}

int status_parse(struct bytes text, struct fetch_status *out)
{
    bool first = true;
    *out = (struct fetch_status){0};
    while (text.size != 0) {
        struct bytes line = {text.data, bytes_find(text, '\n')};
        if (line.size == text.size) {
            return -1; /* cut off */
        }
        text = bytes_from(text, line.size + 1);
        struct bytes key = {line.data, bytes_find(line, ' ')};
        if (first ? !bytes_equal(line, bytes_of(heading))
                  : take(out, key, bytes_from(line, key.size + 1)) < 0) {
            return -1;
        }
        first = false;
    }
    return first ? -1 : 0;
}
