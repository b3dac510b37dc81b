/* SPDX-License-Identifier: MIT */
/* restante show: one message, on a terminal that it cannot harm. */
#include <getopt.h>
#include <stdio.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/number.h"
#include "cli/cli.h"
#include "cli/options.h"
#include "cli/reading.h"
#include "reader/bounds.h"
#include "reader/content.h"
#include "reader/save.h"
#include "reader/text.h"
#include "reader/view.h"

struct show {
    struct reading reading;
    uint64_t number, part; /* part 0: none */
    const char *folder;    /* --save */
    bool is_raw, is_peek;
    struct mailbox *mailbox;
    struct source source;
};

static const char usage[] =
    "usage: restante show [--peek] NUMBER [ACCOUNT | --maildir DIR | --mbox FILE]\n"
    "       restante show --raw | --part N | --save DIR NUMBER [ACCOUNT | --maildir DIR | --mbox "
    "FILE]\n"
    "\n"
    "NUMBER is the one that `restante list' gives. restante-show(1) has the rest.\n";

/* Octets on their way to standard output: as they are, or, on a terminal, made harmless. */
struct way_out {
    bool is_terminal;
    uint8_t held[8];
    size_t held_size;
};

static int print_harmless(struct way_out *way, struct bytes octets, bool is_last,
                          struct error *error)
{
    g_autoptr(GString) joined = g_string_new_len((const char *)way->held, (gssize)way->held_size);
    g_autoptr(GString) text = g_string_new(NULL);
    (void)g_string_append_len(joined, (const char *)octets.data, (gssize)octets.size);
    struct bytes all = {.data = (const uint8_t *)joined->str, .size = joined->len};
    struct bytes rest = bytes_from(all, text_append_piece(text, all, TEXT_BODY, is_last));
    way->held_size = rest.size;
    if (rest.size > 0) {
        memcpy(way->held, rest.data, rest.size);
    }
    return reading_print(text, error);
}

static int send_out(void *context, struct bytes octets, struct error *error)
{
    struct way_out *way = context;
    return way->is_terminal ? print_harmless(way, octets, false, error)
                            : reading_write(octets, error);
}

static int finish_out(struct way_out *way, struct error *error)
{
    return way->is_terminal ? print_harmless(way, (struct bytes){0}, true, error) : 0;
}

static int show_raw(const struct show *show, struct error *error)
{
    static uint8_t block[64 * 1024];
    struct way_out way = {.is_terminal = isatty(STDOUT_FILENO) != 0};
    ssize_t got;
    for (uint64_t at = 0; (got = source_read(&show->source, at, block, sizeof block, error)) > 0;
         at += (uint64_t)got) {
        struct bytes octets = {.data = block, .size = (size_t)got};
        if (send_out(&way, octets, error) < 0) {
            return -1;
        }
    }
    return got < 0 ? -1 : finish_out(&way, error);
}

static int show_part(const struct show *show, const struct outline *outline, struct error *error)
{
    struct way_out way = {.is_terminal = isatty(STDOUT_FILENO) != 0};
    const struct part *part = outline_numbered(outline, show->part);
    if (part == NULL) {
        return error_set(error, ERROR_USAGE, 0, "there is no part %llu in that message",
                         (unsigned long long)show->part);
    }
    bool is_text = part_is(part, "text", "*") || part_is(part, "message", "*");
    if (way.is_terminal && !is_text) {
        return error_set(error, ERROR_USAGE, 0,
                         "part %llu is no text, so it does not go to a terminal; write > FILE",
                         (unsigned long long)show->part);
    }
    if (content_decode(&show->source, part, UINT64_MAX, send_out, &way, error) < 0) {
        return -1;
    }
    return finish_out(&way, error);
}

static int save(const struct show *show, const struct outline *outline, struct error *error)
{
    g_autoptr(GString) names = g_string_new(NULL);
    struct error other;
    int result = save_attachments(&show->source, outline, show->folder, names, error);
    int printed = reading_print(names, result == 0 ? error : &other);
    return result == 0 ? printed : result;
}

static int view(const struct show *show, const struct outline *outline, struct error *error)
{
    g_autoptr(GString) out = g_string_new(NULL);
    if (view_append(out, &show->source, outline, error) < 0 || reading_print(out, error) < 0) {
        return -1;
    }
    if (!show->is_peek) {
        struct error inner;
        if (mailbox_mark_read(show->mailbox, show->number, &inner) < 0) {
            (void)cli_fail(&inner); /* it was shown all the same */
        }
    }
    return 0;
}

static int show_message(const struct show *show, struct error *error)
{
    struct outline *outline;
    if (show->is_raw) {
        return show_raw(show, error);
    }
    bool is_view = show->part == 0 && show->folder == NULL;
    if (outline_read(&show->source, is_view ? READER_SECONDS : 0, &outline, error) < 0) {
        return -1;
    }
    int result;
    if (is_view) {
        result = view(show, outline, error);
    } else if (show->folder != NULL) {
        result = save(show, outline, error);
        if (result == 0 && outline->cut != 0) {
            result = error_set(error, ERROR_UNREADABLE, 0,
                               "the message has more parts than are looked at: not all was saved");
        }
    } else {
        result = show_part(show, outline, error);
    }
    (void)outline_free(outline);
    return result;
}

static int run(struct show *show, struct error *error)
{
    GArray *places;
    if (reading_places(&show->reading, true, &places, error) < 0) {
        return -1;
    }
    const struct place *place = &g_array_index(places, struct place, 0);
    int result = mailbox_open(place->type, place->path, &show->mailbox, error);
    g_array_unref(places);
    if (result < 0) {
        return -1;
    }
    uint64_t count = mailbox_count(show->mailbox);
    if (show->number == 0 || show->number > count) {
        result = error_set(error, ERROR_USAGE, 0, "there is no message %llu; there are %llu",
                           (unsigned long long)show->number, (unsigned long long)count);
    } else {
        result = mailbox_message(show->mailbox, show->number, &show->source, error);
        if (result == 0) {
            result = show_message(show, error);
            source_close(&show->source);
        }
    }
    show->mailbox = mailbox_close(show->mailbox);
    return result;
}

/* 0, or the exit status of a command line that makes no sense. */
static int take_option(struct show *show, int option)
{
    switch (option) {
    case CLI_SHOW_PEEK:
        show->is_peek = true;
        return 0;
    case CLI_SHOW_RAW:
        show->is_raw = true;
        return 0;
    case CLI_SHOW_SAVE:
        show->folder = optarg;
        return 0;
    case CLI_SHOW_MAILDIR:
        show->reading.maildir = optarg;
        return 0;
    case CLI_SHOW_MBOX:
        show->reading.mbox = optarg;
        return 0;
    case CLI_SHOW_PART:
        if (number_parse(bytes_of(optarg), UINT32_MAX, &show->part) == 0 && show->part > 0) {
            return 0;
        }
        return cli_usage("show", "--part wants a number, as [2: ...] has it");
    default:
        return cli_usage("show", "that option is not known");
    }
}

int cli_show(int argc, char **argv)
{
    struct show show = {0};
    int option;
    while ((option = cli_getopt(CLI_SHOW, argc, argv)) != CLI_NO_OPTION) {
        if (option == CLI_SHOW_HELP) {
            (void)fputs(usage, stdout);
            cli_print_options(CLI_SHOW);
            return EX_OK;
        }
        int status = take_option(&show, option);
        if (status != 0) {
            return status;
        }
    }
    if (optind == argc || number_parse(bytes_of(argv[optind]), UINT32_MAX, &show.number) < 0) {
        return cli_usage("show",
                         "the number of a message must be given, as `restante list' has it");
    }
    if (!reading_take_account(&show.reading, argc - optind - 1, argv + optind + 1)) {
        return cli_usage("show", "one account, --maildir or --mbox at most may be given");
    }
    if (show.is_raw + (show.part != 0) + (show.folder != NULL) > 1) {
        return cli_usage("show", "one of --raw, --part and --save at most may be given");
    }
    struct error error;
    reading_begin();
    return run(&show, &error) == 0 ? EX_OK : cli_fail(&error);
}
