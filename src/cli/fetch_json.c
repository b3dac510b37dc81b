/* SPDX-License-Identifier: MIT */
#include "cli/fetch_json.h"

#include "fetch/storer.h"

/* Octets above 0x7E stand as the character of that number: an id need not be UTF-8. */
void fetch_json_string(FILE *out, const char *key, struct bytes text)
{
    (void)fprintf(out, ",\"%s\":\"", key);
    for (size_t i = 0; i < text.size; i++) {
        uint8_t octet = text.data[i];
        if (octet == '"' || octet == '\\') {
            (void)fprintf(out, "\\%c", octet);
        } else if (octet >= 0x20 && octet < 0x7f) {
            (void)fputc(octet, out);
        } else {
            (void)fprintf(out, "\\u%04x", octet);
        }
    }
    (void)fputc('"', out);
}

void fetch_json_number(FILE *out, const char *key, uint64_t number)
{
    (void)fprintf(out, ",\"%s\":%llu", key, (unsigned long long)number);
}

static void write_octets(FILE *out, uint64_t octets)
{
    if (octets != STORER_OCTETS_UNKNOWN) {
        fetch_json_number(out, "octets", octets);
    }
}

static void write_progress(FILE *out, const struct fetch_progress *progress)
{
    fetch_json_number(out, "listed", progress->messages_listed);
    fetch_json_number(out, "wanted", progress->messages_wanted);
    fetch_json_number(out, "wanted_octets", progress->octets_wanted);
    fetch_json_number(out, "fetched", progress->messages_fetched);
    fetch_json_number(out, "fetched_octets", progress->octets_fetched);
    fetch_json_number(out, "stored", progress->outcomes[OUTCOME_STORED]);
    fetch_json_number(out, "deleted", progress->outcomes[OUTCOME_DELETED]);
    fetch_json_number(out, "left", progress->outcomes[OUTCOME_LEFT]);
    fetch_json_number(
        out, "refused",
        (uint64_t)progress->outcomes[OUTCOME_REFUSED] + progress->outcomes[OUTCOME_QUARANTINED] +
            progress->outcomes[OUTCOME_DEFERRED] + progress->outcomes[OUTCOME_FAILED]);
    fetch_json_number(out, "elapsed_ms", progress->elapsed_ms);
}

void fetch_json_write(FILE *out, const struct fetch_report *report)
{
    static const char *const names[] = {
        [REPORT_NOTE] = "note",       [REPORT_WARNING] = "warning",
        [REPORT_RESULT] = "result",   [REPORT_LOGIN] = "login",
        [REPORT_LISTED] = "listed",   [REPORT_PROGRESS] = "progress",
        [REPORT_MESSAGE] = "message", [REPORT_HEADER] = "header",
        [REPORT_SENT] = "sent",       [REPORT_RECEIVED] = "received",
        [REPORT_FAILED] = "failed",   [REPORT_DONE] = "done",
        [REPORT_WATCH] = "watch"};
    (void)fprintf(out, "{\"event\":\"%s\"", names[report->type]);
    fetch_json_string(out, "account", bytes_of(report->account->name));
    if (report->type == REPORT_MESSAGE || report->type == REPORT_HEADER) {
        fetch_json_number(out, "number", report->number);
        write_octets(out, report->octets);
        fetch_json_string(out, "unique_id", report->unique_id);
    }
    if (report->type == REPORT_MESSAGE) {
        fetch_json_string(out, "outcome", bytes_of(fetch_outcome_word(report->outcome)));
    }
    if (report->type == REPORT_HEADER) {
        fetch_json_string(out, "header", report->data);
    }
    if (report->text != NULL) {
        fetch_json_string(out, "text", bytes_of(report->text));
    }
    if (report->progress != NULL) {
        write_progress(out, report->progress);
    }
    if (report->type == REPORT_FAILED || report->type == REPORT_DONE) {
        fetch_json_number(out, "status",
                          report->kind == ERROR_NONE ? 0
                                                     : (uint64_t)error_exit_status(report->kind));
    }
    (void)fputs("}\n", out);
    (void)fflush(out);
}
