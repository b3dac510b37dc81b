/* SPDX-License-Identifier: MIT */
/* restante list: what mail is here, oldest first, so that the newest stands above the prompt. */
#include <getopt.h>
#include <stdio.h>
#include <sysexits.h>

#include "base/number.h"
#include "cli/cli.h"
#include "cli/options.h"
#include "cli/reading.h"
#include "reader/bounds.h"
#include "reader/text.h"
#include "reader/view.h"

enum {
    DATE_COLUMNS = 16,
    DAY_COLUMNS = 10,
    SIZE_COLUMNS = 5,
    FROM_COLUMNS = 24, /* where lines are not fitted */
    NARROW = 64,       /* terminals with fewer columns see the day only */
    FLUSH_OCTETS = 64 * 1024,
};

struct list {
    struct reading reading;
    uint64_t newest; /* how many at most; 0: all */
    bool is_json;
    unsigned columns; /* 0: lines are not cut */
    const char *account;
    struct mailbox *mailbox;
    unsigned number_columns;
    GString *out;
};

struct row {
    uint64_t number, size;
    struct summary summary;
};

static const char usage[] =
    "usage: restante list [--json] [-n COUNT] [ACCOUNT | --maildir DIR | --mbox FILE]\n"
    "\n"
    "The mail of ACCOUNT, or of all accounts, that was fetched: number, N if it is unread, date, "
    "sender,\n"
    "subject, size. `restante show NUMBER' shows one. restante-list(1) has the rest.\n";

static void append_time(GString *out, const struct summary *summary, const char *format)
{
    g_autoptr(GDateTime) date =
        summary->has_date ? g_date_time_new_from_unix_local(summary->date) : NULL;
    g_autofree char *text = date == NULL ? NULL : g_date_time_format(date, format);
    (void)g_string_append(out, text == NULL ? "-" : text);
}

static void append_fitted_line(const struct list *list, const struct row *row)
{
    GString *out = list->out;
    bool is_narrow = list->columns < NARROW;
    unsigned date_columns = is_narrow ? DAY_COLUMNS : DATE_COLUMNS;
    unsigned fixed = list->number_columns + 1 + 1 + 1 + date_columns + 1 + 1 + 1 + SIZE_COLUMNS;
    unsigned room = list->columns > fixed + 2 ? list->columns - fixed : 2;
    unsigned from = room / 3 > 30 ? 30 : room / 3;
    g_autoptr(GString) date = g_string_new(NULL);
    g_autoptr(GString) size = g_string_new(NULL);
    append_time(date, &row->summary, is_narrow ? "%Y-%m-%d" : "%Y-%m-%d %H:%M");
    text_append_size(size, row->size);
    g_string_append_printf(out, "%*llu %c ", (int)list->number_columns,
                           (unsigned long long)row->number,
                           mailbox_is_unread(list->mailbox, row->number) ? 'N' : ' ');
    text_append_fitted(out, date->str, date_columns, true);
    (void)g_string_append_c(out, ' ');
    text_append_fitted(out, row->summary.from, from, true);
    (void)g_string_append_c(out, ' ');
    text_append_fitted(out, row->summary.subject, room - from, true);
    g_string_append_printf(out, " %*s\n", SIZE_COLUMNS, size->str);
}

static void append_whole_line(const struct list *list, const struct row *row)
{
    GString *out = list->out;
    g_autoptr(GString) date = g_string_new(NULL);
    append_time(date, &row->summary, "%Y-%m-%d %H:%M");
    g_string_append_printf(
        out, "%*llu %c %-*s ", (int)list->number_columns, (unsigned long long)row->number,
        mailbox_is_unread(list->mailbox, row->number) ? 'N' : ' ', DATE_COLUMNS, date->str);
    (void)g_string_append(out, row->summary.from);
    for (unsigned i = text_columns(row->summary.from); i < FROM_COLUMNS; i++) {
        (void)g_string_append_c(out, ' ');
    }
    g_string_append_printf(out, " %s ", row->summary.subject);
    text_append_size(out, row->size);
    (void)g_string_append_c(out, '\n');
}

static void append_json_text(GString *out, const char *key, const char *value)
{
    g_string_append_printf(out, ",\"%s\":", key);
    if (value == NULL) {
        (void)g_string_append(out, "null");
    } else {
        text_append_json(out, bytes_of(value));
    }
}

static void append_json(const struct list *list, const struct row *row)
{
    GString *out = list->out;
    g_autoptr(GDateTime) date =
        row->summary.has_date ? g_date_time_new_from_unix_utc(row->summary.date) : NULL;
    g_autofree char *text = date == NULL ? NULL : g_date_time_format(date, "%Y-%m-%dT%H:%M:%SZ");
    (void)g_string_append(out, "{\"account\":");
    text_append_json(out, bytes_of(list->account));
    g_string_append_printf(out, ",\"number\":%llu,\"unread\":%s,\"size\":%llu",
                           (unsigned long long)row->number,
                           mailbox_is_unread(list->mailbox, row->number) ? "true" : "false",
                           (unsigned long long)row->size);
    append_json_text(out, "date", text);
    append_json_text(out, "from", row->summary.from);
    append_json_text(out, "subject", row->summary.subject);
    append_json_text(out, "file", mailbox_file(list->mailbox, row->number));
    (void)g_string_append(out, "}\n");
}

static int flush(const struct list *list, size_t most, struct error *error)
{
    if (list->out->len <= most) {
        return 0;
    }
    int result = reading_print(list->out, error);
    (void)g_string_truncate(list->out, 0);
    return result;
}

/* One message; what is gone meanwhile is left out, what cannot be read is said. */
static int list_message(const struct list *list, uint64_t number, struct error *error)
{
    static uint8_t head[READER_LIST_HEADER_OCTETS];
    struct row row = {.number = number};
    size_t size;
    if (mailbox_head(list->mailbox, number, head, sizeof head, &size, &row.size, error) < 0) {
        if (error->kind == ERROR_GONE) {
            return 0;
        }
        (void)cli_fail(error);
        size = 0;
    }
    summary_read(&row.summary, (struct bytes){.data = head, .size = size});
    if (list->is_json) {
        append_json(list, &row);
    } else if (list->columns > 0) {
        append_fitted_line(list, &row);
    } else {
        append_whole_line(list, &row);
    }
    summary_finish(&row.summary);
    return flush(list, FLUSH_OCTETS, error);
}

static unsigned digits(uint64_t number)
{
    uint8_t text[20];
    return (unsigned)number_format(number, text);
}

static int list_place(struct list *list, const struct place *place, bool has_title,
                      struct error *error)
{
    if (mailbox_open(place->type, place->path, &list->mailbox, error) < 0) {
        return -1;
    }
    uint64_t count = mailbox_count(list->mailbox);
    uint64_t first = list->newest != 0 && count > list->newest ? count - list->newest + 1 : 1;
    list->account = place->account;
    list->number_columns = digits(count);
    if (has_title && !list->is_json) {
        text_append(list->out, bytes_of(place->account), TEXT_LINE);
        (void)g_string_append(list->out, ":\n");
    }
    int result = 0;
    for (uint64_t number = first; number <= count && result == 0; number++) {
        result = list_message(list, number, error);
    }
    if (result == 0) {
        result = flush(list, 0, error);
    }
    list->mailbox = mailbox_close(list->mailbox);
    return result;
}

/* An account whose mail cannot be read does not hide that of the others. */
static int list_all(struct list *list)
{
    GArray *places;
    struct error error;
    int status = EX_OK;
    list->columns = reading_columns();
    if (reading_places(&list->reading, false, &places, &error) < 0) {
        return cli_fail(&error);
    }
    list->out = g_string_new(NULL);
    for (guint i = 0; i < places->len; i++) {
        const struct place *place = &g_array_index(places, struct place, i);
        if (list_place(list, place, places->len > 1, &error) < 0) {
            status = cli_fail(&error);
            (void)g_string_truncate(list->out, 0);
        }
    }
    (void)g_string_free(list->out, TRUE);
    g_array_unref(places);
    return status;
}

int cli_list(int argc, char **argv)
{
    struct list list = {0};
    int option;
    while ((option = cli_getopt(CLI_LIST, argc, argv)) != CLI_NO_OPTION) {
        if (option == CLI_LIST_HELP) {
            (void)fputs(usage, stdout);
            cli_print_options(CLI_LIST);
            return EX_OK;
        }
        if (option == CLI_LIST_JSON) {
            list.is_json = true;
        } else if (option == CLI_LIST_MAILDIR) {
            list.reading.maildir = optarg;
        } else if (option == CLI_LIST_MBOX) {
            list.reading.mbox = optarg;
        } else if (option != CLI_LIST_NEWEST) {
            return cli_usage("list", "that option is not known");
        } else if (number_parse(bytes_of(optarg), UINT32_MAX, &list.newest) < 0 ||
                   list.newest == 0) {
            return cli_usage("list", "--newest wants a number, like 20");
        }
    }
    if (!reading_take_account(&list.reading, argc - optind, argv + optind)) {
        return cli_usage("list", "one account, --maildir or --mbox at most may be given");
    }
    reading_begin();
    return list_all(&list);
}
