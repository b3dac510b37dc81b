/* SPDX-License-Identifier: MIT */
/* restante fetch --status: how the last runs of accounts went, as a table or as lines of JSON. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>

#include "cli/cli.h"
#include "cli/fetch_command.h"
#include "cli/fetch_json.h"
#include "fetch/metrics.h"
#include "fetch/status.h"

enum { TIME_SIZE = 32 };

struct row {
    const char *account;
    struct fetch_status status;
    enum status_health health;
};

static const char *format_time(int64_t seconds, char out[TIME_SIZE])
{
    struct tm parts;
    time_t when = (time_t)seconds;
    if (seconds == 0 || localtime_r(&when, &parts) == NULL ||
        strftime(out, TIME_SIZE, "%Y-%m-%d %H:%M:%S", &parts) == 0) {
        (void)snprintf(out, TIME_SIZE, "-");
    }
    return out;
}

static void show_row(const struct row *row, int width)
{
    const struct fetch_status *status = &row->status;
    char name[256], success[TIME_SIZE], attempt[TIME_SIZE], next[TIME_SIZE], stored[48];
    (void)snprintf(stored, sizeof stored, "%llu (%llu octets)",
                   (unsigned long long)status->messages, (unsigned long long)status->octets);
    (void)printf("%-*s  %-13s  %-19s  %-19s  %-19s  %8u  %s\n", width,
                 bytes_escape(bytes_of(row->account), name, sizeof name),
                 status_health_word(row->health), format_time(status->success, success),
                 format_time(status->attempt, attempt), format_time(status->next, next),
                 status->failures, stored);
    if (status->failures != 0) {
        (void)printf("%-*s  since %s: %s\n", width, "", format_time(status->failing_since, success),
                     status->reason);
    }
}

static void show_table(const struct row *rows, size_t count)
{
    int width = (int)strlen("ACCOUNT");
    for (size_t i = 0; i < count; i++) {
        char name[256];
        int size = (int)strlen(bytes_escape(bytes_of(rows[i].account), name, sizeof name));
        width = size > width ? size : width;
    }
    (void)printf("%-*s  %-13s  %-19s  %-19s  %-19s  %8s  %s\n", width, "ACCOUNT", "STATE",
                 "LAST SUCCESS", "LAST ATTEMPT", "NEXT", "FAILURES", "STORED");
    for (size_t i = 0; i < count; i++) {
        show_row(&rows[i], width);
    }
}

static void show_json(const struct row *row)
{
    const struct fetch_status *status = &row->status;
    (void)fputs("{\"event\":\"status\"", stdout);
    fetch_json_string(stdout, "account", bytes_of(row->account));
    fetch_json_string(stdout, "state", bytes_of(status_health_word(row->health)));
    fetch_json_number(stdout, "last_success", (uint64_t)status->success);
    fetch_json_number(stdout, "last_attempt", (uint64_t)status->attempt);
    fetch_json_number(stdout, "next_attempt", (uint64_t)status->next);
    fetch_json_number(stdout, "interval", status->interval_s);
    fetch_json_number(stdout, "failures", status->failures);
    fetch_json_number(stdout, "stored", status->messages);
    fetch_json_number(stdout, "stored_octets", status->octets);
    if (status->failures != 0) {
        fetch_json_number(stdout, "failing_since", (uint64_t)status->failing_since);
        fetch_json_number(stdout, "status", (uint64_t)error_exit_status(status->kind));
        fetch_json_string(stdout, "reason", bytes_of(status->reason));
    }
    (void)puts("}");
}

/* As for a run: what will not pass by itself counts more. */
static int exit_status(const struct row *rows, size_t count)
{
    int result = EX_OK;
    for (size_t i = 0; i < count; i++) {
        int status = rows[i].health == STATUS_WELL ? EX_OK : EX_TEMPFAIL;
        if (rows[i].health == STATUS_FAILING) {
            status = error_exit_status(rows[i].status.kind);
        }
        if (result == EX_OK || (result == EX_TEMPFAIL && status != EX_OK)) {
            result = status;
        }
    }
    return result;
}

static int read_rows(const struct fetch_command *command, struct row *rows)
{
    struct error error;
    int result = EX_OK;
    int64_t now = time(NULL);
    for (size_t i = 0; i < command->count; i++) {
        struct row *row = &rows[i];
        row->account = command->accounts[i].account->name;
        if (status_read(command->state_folder, row->account, &row->status, &error) < 0) {
            result = cli_fail(&error);
        }
        row->health = status_health(&row->status, now, command->most_age_ms / 1000);
    }
    return result;
}

static int write_metrics(const struct fetch_command *command)
{
    struct error error;
    AUTO_FREE const char **names = calloc(command->count + 1, sizeof *names);
    if (names == NULL) {
        return EX_OSERR;
    }
    for (size_t i = 0; i < command->count; i++) {
        names[i] = command->accounts[i].account->name;
    }
    return metrics_write(command->metrics, command->state_folder, names, command->count, &error) < 0
               ? cli_fail(&error)
               : EX_OK;
}

int fetch_show_status(struct fetch_command *command)
{
    int result = fetch_command_find_accounts(command);
    if (result != 0) {
        return result;
    }
    AUTO_FREE struct row *rows = calloc(command->count + 1, sizeof *rows);
    if (rows == NULL) {
        return EX_OSERR;
    }
    result = read_rows(command, rows);
    if (command->output.json) {
        for (size_t i = 0; i < command->count; i++) {
            show_json(&rows[i]);
        }
    } else {
        show_table(rows, command->count);
    }
    if (result == EX_OK && command->metrics != NULL) {
        result = write_metrics(command);
    }
    return result != EX_OK ? result : exit_status(rows, command->count);
}
