/* SPDX-License-Identifier: MIT */
/* The text format 0.0.4. A timestamp that never was is 0: an alert on its age then fires, as it should. */
#include "fetch/metrics.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistr.h>

#include "base/file.h"
#include "fetch/state_name.h"

struct metric {
    const char *name, *type, *help;
    uint64_t (*value)(const struct fetch_status *status);
};

static uint64_t success(const struct fetch_status *status)
{
    return (uint64_t)status->success;
}

static uint64_t attempt(const struct fetch_status *status)
{
    return (uint64_t)status->attempt;
}

static uint64_t next(const struct fetch_status *status)
{
    return (uint64_t)status->next;
}

static uint64_t up(const struct fetch_status *status)
{
    return status->failures == 0 && status->success != 0;
}

static uint64_t failures(const struct fetch_status *status)
{
    return status->failures;
}

static uint64_t messages(const struct fetch_status *status)
{
    return status->messages;
}

static uint64_t octets(const struct fetch_status *status)
{
    return status->octets;
}

static const struct metric metrics[] = {
    {"restante_fetch_last_success_timestamp_seconds", "gauge",
     "When a run last did all that was to be done; 0: never.", success},
    {"restante_fetch_last_attempt_timestamp_seconds", "gauge", "When a run last ended; 0: never.",
     attempt},
    {"restante_fetch_next_attempt_timestamp_seconds", "gauge",
     "When the watcher tries again; 0: none is at work.", next},
    {"restante_fetch_up", "gauge", "1 if the last run that counts went well, else 0.", up},
    {"restante_fetch_consecutive_failures", "gauge", "Runs in a row that failed.", failures},
    {"restante_fetch_stored_messages_total", "counter", "Messages stored in all runs.", messages},
    {"restante_fetch_stored_bytes_total", "counter",
     "Octets of these messages, as the servers' lists say.", octets},
};

/* A label is UTF-8; a name that is not stands as its files do. */
static void write_label(FILE *out, const char *account)
{
    char *name = NULL;
    if (u8_check((const uint8_t *)account, strlen(account)) != NULL) {
        name = state_name_of(account);
        account = name == NULL ? "" : name;
    }
    for (; *account != '\0'; account++) {
        if (*account == '\n') {
            (void)fputs("\\n", out);
            continue;
        }
        if (*account == '\\' || *account == '"') {
            (void)fputc('\\', out);
        }
        (void)fputc(*account, out);
    }
    free(name);
}

char *metrics_format(const char *const *accounts, const struct fetch_status *statuses, size_t count)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    if (out == NULL) {
        return NULL;
    }
    for (size_t i = 0; i < sizeof metrics / sizeof metrics[0]; i++) {
        const struct metric *metric = &metrics[i];
        (void)fprintf(out, "# HELP %s %s\n# TYPE %s %s\n", metric->name, metric->help, metric->name,
                      metric->type);
        for (size_t j = 0; j < count; j++) {
            (void)fprintf(out, "%s{account=\"", metric->name);
            write_label(out, accounts[j]);
            (void)fprintf(out, "\"} %llu\n", (unsigned long long)metric->value(&statuses[j]));
        }
    }
    bool failed = ferror(out) != 0;
    if (fclose(out) != 0 || failed) {
        free(text);
        return NULL;
    }
    return text;
}

int metrics_write(const char *path, const char *folder, const char *const *accounts, size_t count,
                  struct error *error)
{
    /* Two writers that read at different times must not write in the other order. */
    AUTO_CLOSE int lock = status_lock(folder, error);
    AUTO_FREE struct fetch_status *statuses = calloc(count + 1, sizeof *statuses);
    struct error ignored; /* what cannot be read counts as never fetched, which is noticed */
    if (lock < 0) {
        return -1;
    }
    for (size_t i = 0; statuses != NULL && i < count; i++) {
        if (status_read(folder, accounts[i], &statuses[i], &ignored) < 0) {
            statuses[i] = (struct fetch_status){0};
        }
    }
    AUTO_FREE char *text = statuses == NULL ? NULL : metrics_format(accounts, statuses, count);
    if (text == NULL) {
        return error_set(error, ERROR_TEMPORARY, 0, "out of memory");
    }
    int result = file_replace(path, bytes_of(text), 0644); /* a collector is another user */
    return result < 0 ? error_from_errno(error, -result, "%s", path) : 0;
}
