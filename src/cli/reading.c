/* SPDX-License-Identifier: MIT */
/* Whose mail is meant, and how it gets onto this person's terminal. */
#include "cli/reading.h"

#include <errno.h>
#include <gmime/gmime.h>
#include <langinfo.h>
#include <locale.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/number.h"
#include "reader/text.h"

enum { COLUMNS_DEFAULT = 80, COLUMNS_MOST = 10000 };

bool reading_take_account(struct reading *reading, int count, char **arguments)
{
    reading->account = arguments[0];
    return (reading->maildir != NULL) + (reading->mbox != NULL) + count <= 1;
}

void reading_begin(void)
{
    (void)setlocale(LC_ALL, ""); /* where that locale is not there, it stays "C": ASCII */
    (void)setlocale(LC_NUMERIC, "C");
    g_mime_init();
}

static void finish(gpointer place)
{
    place_finish(place);
}

static GArray *one_place(const struct reading *reading)
{
    GArray *places = g_array_new(FALSE, FALSE, sizeof(struct place));
    struct place place = {.type = reading->mbox != NULL ? MAILBOX_MBOX : MAILBOX_MAILDIR};
    place.path = g_strdup(reading->mbox != NULL ? reading->mbox : reading->maildir);
    place.account = g_strdup(place.path);
    g_array_set_clear_func(places, finish);
    (void)g_array_append_val(places, place);
    return places;
}

static int refuse_choice(const GArray *places, struct error *error)
{
    if (places->len == 0) {
        return error_set(error, ERROR_USAGE, 0,
                         "there is no account in fetch.conf and no Maildir in ~/Mail; "
                         "--maildir or --mbox names one");
    }
    g_autoptr(GString) names = g_string_new(NULL);
    for (guint i = 0; i < places->len; i++) {
        char shown[100];
        const char *name = g_array_index(places, struct place, i).account;
        g_string_append_printf(names, "%s%s", i == 0 ? "" : ", ",
                               bytes_escape(bytes_of(name), shown, sizeof shown));
    }
    return error_set(error, ERROR_USAGE, 0, "which account? There are: %s", names->str);
}

int reading_places(const struct reading *reading, bool only_one, GArray **places_out,
                   struct error *error)
{
    if (reading->maildir != NULL || reading->mbox != NULL) {
        *places_out = one_place(reading);
        return 0;
    }
    if (reading->account != NULL) {
        struct place place;
        if (places_find(reading->account, &place, error) < 0) {
            return -1;
        }
        *places_out = g_array_new(FALSE, FALSE, sizeof(struct place));
        g_array_set_clear_func(*places_out, finish);
        (void)g_array_append_val(*places_out, place);
        return 0;
    }
    GArray *places = places_all();
    if (places->len == 0 || (only_one && places->len != 1)) {
        int result = refuse_choice(places, error);
        g_array_unref(places);
        return result;
    }
    *places_out = places;
    return 0;
}

unsigned reading_columns(void)
{
    uint64_t columns;
    struct winsize size;
    if (isatty(STDOUT_FILENO) == 0) {
        return 0;
    }
    const char *said = getenv("COLUMNS");
    if (said != NULL && number_parse(bytes_of(said), COLUMNS_MOST, &columns) == 0 && columns > 0) {
        return (unsigned)columns;
    }
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) {
        return size.ws_col;
    }
    return COLUMNS_DEFAULT;
}

int reading_write(struct bytes octets, struct error *error)
{
    while (octets.size > 0) {
        ssize_t written = write(STDOUT_FILENO, octets.data, octets.size);
        if (written < 0 && errno == EINTR) {
            continue;
        }
        if (written < 0) {
            return error_from_errno(error, errno, "standard output");
        }
        octets = bytes_from(octets, (size_t)written);
    }
    return 0;
}

int reading_print(const GString *text, struct error *error)
{
    g_autoptr(GString) local = text_to_codeset(text, nl_langinfo(CODESET));
    return reading_write((struct bytes){.data = (const uint8_t *)local->str, .size = local->len},
                         error);
}
