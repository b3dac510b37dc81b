/* SPDX-License-Identifier: MIT */
#include "cli/fetch_output.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "cli/fetch_json.h"
#include "fetch/storer.h"

enum { BAR_WIDTH = 20, TEXT_SIZE = 1024, NAME_WIDTH = 16 };

void fetch_output_init(struct fetch_output *output)
{
    const char *terminal = getenv("TERM");
    *output = (struct fetch_output){0};
    output->is_terminal =
        isatty(STDERR_FILENO) == 1 && terminal != NULL && strcmp(terminal, "dumb") != 0;
}

static void erase_bars(struct fetch_output *output)
{
    if (output->drawn != 0) {
        (void)fprintf(stderr, "\033[%uA\r\033[J", output->drawn);
        output->drawn = 0;
    }
}

static unsigned terminal_width(void)
{
    struct winsize size;
    return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 20 ? size.ws_col : 80;
}

/* As people read it: 1.5 MB. */
static const char *format_octets(double octets, char out[16])
{
    static const char *const units[] = {"B", "kB", "MB", "GB", "TB"};
    size_t unit = 0;
    while (octets >= 1000 && unit + 1 < sizeof units / sizeof units[0]) {
        octets /= 1000;
        unit++;
    }
    (void)snprintf(out, 16, unit == 0 || octets >= 100 ? "%.0f %s" : "%.1f %s", octets,
                   units[unit]);
    return out;
}

static const char *format_time(double seconds, char out[16])
{
    unsigned whole = seconds > 359999 ? 359999 : (unsigned)seconds;
    if (whole >= 3600) {
        (void)snprintf(out, 16, "%u:%02u:%02u", whole / 3600, whole / 60 % 60, whole % 60);
    } else {
        (void)snprintf(out, 16, "%u:%02u", whole / 60, whole % 60);
    }
    return out;
}

static void draw_bar(const struct fetch_bar *bar, unsigned width)
{
    const struct fetch_progress *progress = &bar->progress;
    char line[256], name[NAME_WIDTH + 8], drawing[BAR_WIDTH + 1], octets[16], all[16], rate[16],
        left[16];
    double wanted = (double)progress->octets_wanted, fetched = (double)progress->octets_fetched;
    double share = wanted <= 0 ? 1 : fetched / wanted;
    double seconds = (double)progress->elapsed_ms / 1000;
    double speed = seconds > 0 ? fetched / seconds : 0;
    share = share > 1 ? 1 : share;
    for (int i = 0; i < BAR_WIDTH; i++) {
        drawing[i] = i < (int)(share * BAR_WIDTH) ? '#' : '-';
    }
    drawing[BAR_WIDTH] = '\0';
    int size = snprintf(line, sizeof line, "%-*s [%s] %u/%u  %s/%s  %s/s  %s left", NAME_WIDTH,
                        bytes_escape(bytes_of(bar->account->name), name, NAME_WIDTH), drawing,
                        progress->messages_fetched, progress->messages_wanted,
                        format_octets(fetched, octets), format_octets(wanted, all),
                        format_octets(speed, rate),
                        speed > 0 ? format_time((wanted - fetched) / speed, left) : "?");
    size = size > (int)width - 1 ? (int)width - 1 : size;
    (void)fprintf(stderr, "%.*s\n", size, line);
}

static void draw_bars(struct fetch_output *output)
{
    unsigned width = terminal_width();
    erase_bars(output);
    for (size_t i = 0; i < FETCH_OUTPUT_BARS; i++) {
        if (output->bars[i].account != NULL) {
            draw_bar(&output->bars[i], width);
            output->drawn++;
        }
    }
    (void)fflush(stderr);
}

static struct fetch_bar *bar_of(struct fetch_output *output, const struct fetch_account *account)
{
    struct fetch_bar *unused = NULL;
    for (size_t i = 0; i < FETCH_OUTPUT_BARS; i++) {
        if (output->bars[i].account == account) {
            return &output->bars[i];
        }
        unused = unused == NULL && output->bars[i].account == NULL ? &output->bars[i] : unused;
    }
    return unused;
}

static void show_progress(struct fetch_output *output, const struct fetch_report *report)
{
    struct fetch_bar *bar = bar_of(output, report->account);
    if (!output->is_terminal || output->quiet || output->json || output->verbose || bar == NULL ||
        report->progress->messages_wanted == 0) {
        return;
    }
    bar->account = report->account;
    bar->progress = *report->progress;
    draw_bars(output);
}

static void end_bar(struct fetch_output *output, const struct fetch_account *account)
{
    struct fetch_bar *bar = bar_of(output, account);
    erase_bars(output);
    if (bar != NULL) {
        *bar = (struct fetch_bar){0};
    }
}

static const char *name_of(const struct fetch_report *report, char *out, size_t capacity)
{
    return bytes_escape(bytes_of(report->account->name), out, capacity);
}

static void say(struct fetch_output *output, const struct fetch_report *report, const char *what,
                const char *text)
{
    char name[256];
    erase_bars(output);
    (void)fprintf(stderr, "restante: %s: %s%s\n", name_of(report, name, sizeof name), what, text);
}

static void show_message(struct fetch_output *output, const struct fetch_report *report)
{
    char text[TEXT_SIZE], octets[32] = "size unknown", name[256];
    bool planned =
        report->outcome == OUTCOME_WOULD_FETCH || report->outcome == OUTCOME_WOULD_DELETE;
    if (report->octets != STORER_OCTETS_UNKNOWN) {
        (void)snprintf(octets, sizeof octets, "%llu octets", (unsigned long long)report->octets);
    }
    (void)snprintf(text, sizeof text, "message %u (%s): %s%s%s", report->number, octets,
                   fetch_outcome_word(report->outcome), report->text == NULL ? "" : ": ",
                   report->text == NULL ? "" : report->text);
    if (planned) {
        erase_bars(output);
        (void)printf("%s: %s\n", name_of(report, name, sizeof name), text);
    } else if (fetch_outcome_is_bad(report->outcome) || output->verbose) {
        say(output, report, "", text);
    }
}

static void show_result(struct fetch_output *output, const struct fetch_report *report)
{
    char name[256];
    if (!output->quiet) {
        erase_bars(output);
        (void)printf("%s: %s\n", name_of(report, name, sizeof name), report->text);
    }
}

static bool is_field(struct bytes line, const char *name)
{
    size_t size = strlen(name);
    struct bytes front = {line.data, size};
    return line.size > size && line.data[size] == ':' &&
           bytes_equal_ignoring_case(front, bytes_of(name));
}

/* The field from line on, with the lines that continue it. */
static size_t field_size(struct bytes rest)
{
    size_t size = bytes_find(rest, '\n') + 1;
    while (size < rest.size && (rest.data[size] == ' ' || rest.data[size] == '\t')) {
        size += bytes_find(bytes_from(rest, size), '\n') + 1;
    }
    return size < rest.size ? size : rest.size;
}

static void show_field(struct bytes field)
{
    uint8_t unfolded[TEXT_SIZE];
    char text[TEXT_SIZE];
    size_t size = 0;
    for (size_t i = 0; i < field.size && size < sizeof unfolded; i++) {
        if (field.data[i] != '\r' && field.data[i] != '\n') {
            unfolded[size++] = field.data[i] == '\t' ? ' ' : field.data[i];
        }
    }
    (void)printf("    %s\n", bytes_escape((struct bytes){unfolded, size}, text, sizeof text));
}

static void show_header(const struct fetch_report *report)
{
    static const char *const shown[] = {"Date", "From", "Subject"};
    char name[256];
    struct bytes rest = report->data;
    (void)printf("%s: message %u, %llu octets\n", name_of(report, name, sizeof name),
                 report->number, (unsigned long long)report->octets);
    while (rest.size != 0) {
        struct bytes field = {rest.data, field_size(rest)};
        for (size_t i = 0; i < sizeof shown / sizeof shown[0]; i++) {
            if (is_field(field, shown[i])) {
                show_field(field);
            }
        }
        rest = bytes_from(rest, field.size);
    }
}

static void show_dialogue(struct fetch_output *output, const struct fetch_report *report)
{
    char text[TEXT_SIZE], name[256];
    erase_bars(output);
    (void)fprintf(stderr, "%s %c: %s\n", name_of(report, name, sizeof name),
                  report->type == REPORT_SENT ? 'C' : 'S',
                  bytes_escape(report->data, text, sizeof text));
}

static void show_done(struct fetch_output *output, const struct fetch_report *report)
{
    const struct fetch_progress *progress = report->progress;
    const uint32_t *outcomes = progress->outcomes;
    char octets[16], text[160];
    bool chatty = output->watching ? outcomes[OUTCOME_STORED] != 0 || outcomes[OUTCOME_DELETED] != 0
                                   : output->is_terminal;
    end_bar(output, report->account);
    if (output->quiet || !(chatty || output->verbose)) {
        return;
    }
    (void)snprintf(text, sizeof text, "%u new messages stored (%s), %u deleted there, %u left",
                   outcomes[OUTCOME_STORED],
                   format_octets((double)progress->octets_fetched, octets),
                   outcomes[OUTCOME_DELETED], outcomes[OUTCOME_LEFT]);
    say(output, report, "", text);
    draw_bars(output);
}

static void show(struct fetch_output *output, const struct fetch_report *report)
{
    bool chatty = (output->is_terminal || output->verbose) && !output->quiet;
    switch (report->type) {
    case REPORT_FAILED:
    case REPORT_WARNING:
        say(output, report, "", report->text);
        break;
    case REPORT_WATCH:
        if (!output->quiet) {
            say(output, report, "", report->text);
        }
        break;
    case REPORT_NOTE:
        if (chatty) {
            say(output, report, "", report->text);
        }
        break;
    case REPORT_RESULT:
        show_result(output, report);
        break;
    case REPORT_LOGIN:
        if (output->verbose) {
            say(output, report, "", report->text);
        }
        break;
    case REPORT_LISTED:
    case REPORT_PROGRESS:
        show_progress(output, report);
        break;
    case REPORT_MESSAGE:
        show_message(output, report);
        break;
    case REPORT_HEADER:
        show_header(report);
        break;
    case REPORT_SENT:
    case REPORT_RECEIVED:
        show_dialogue(output, report);
        break;
    case REPORT_DONE:
        show_done(output, report);
        break;
    }
}

void fetch_output_report(void *owner, const struct fetch_report *report)
{
    struct fetch_output *output = owner;
    bool is_dialogue = report->type == REPORT_SENT || report->type == REPORT_RECEIVED;
    if (!output->json || is_dialogue) {
        show(output, report);
    } else {
        fetch_json_write(stdout, report);
    }
}
