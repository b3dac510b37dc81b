/* SPDX-License-Identifier: MIT */
/* The accounts of this person, for reading: of the retriever's configuration only where mail lies. */
#include "reader/places.h"

#include <dirent.h>
#include <ini.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/ini_lines.h"
#include "base/user_name.h"

enum { CONFIGURATION_OCTETS_MOST = 1024 * 1024 };

static void finish(gpointer place)
{
    place_finish(place);
}

void place_finish(struct place *place)
{
    g_free(place->account);
    g_free(place->path);
    *place = (struct place){0};
}

static struct place *find(GArray *places, const char *account)
{
    for (guint i = 0; i < places->len; i++) {
        struct place *place = &g_array_index(places, struct place, i);
        if (strcmp(place->account, account) == 0) {
            return place;
        }
    }
    return NULL;
}

static char *in_mail_folder(const char *account)
{
    return g_build_filename(g_get_home_dir(), "Mail", account, NULL);
}

static struct place *add(GArray *places, const char *account)
{
    struct place place = {.account = g_strdup(account), .path = in_mail_folder(account)};
    (void)g_array_append_val(places, place);
    return &g_array_index(places, struct place, places->len - 1);
}

static int take_option(void *context, const char *section, const char *key, const char *value)
{
    GArray *places = context;
    bool is_mbox = strcmp(key, "mbox") == 0;
    if (*section == '\0') {
        return 1;
    }
    struct place *place = find(places, section);
    if (place == NULL) {
        place = add(places, section);
    }
    if ((is_mbox || strcmp(key, "maildir") == 0) && *value != '\0') {
        g_free(place->path);
        place->path = g_str_has_prefix(value, "~/")
                          ? g_build_filename(g_get_home_dir(), value + 2, NULL)
                          : g_strdup(value);
        place->type = is_mbox ? MAILBOX_MBOX : MAILBOX_MAILDIR;
    }
    return 1;
}

static void ignore_mistake(struct ini_lines *lines, const char *text)
{
    (void)lines;
    (void)text;
}

static void read_file(GArray *places, const char *path)
{
    struct bytes text;
    if (file_read(path, CONFIGURATION_OCTETS_MOST, &text) == 0) {
        struct ini_lines lines = {.rest = text, .mistake = ignore_mistake};
        (void)ini_parse_stream(ini_lines_read, &lines, take_option, places);
        free((void *)(uintptr_t)text.data);
    }
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The names in a folder that `is_wanted` likes, in their order; none if it cannot be read. */
static GPtrArray *names_in(const char *folder,
                           bool (*is_wanted)(const char *folder, const char *name))
{
    GPtrArray *names = g_ptr_array_new_with_free_func(g_free);
    GDir *directory = g_dir_open(folder, 0, NULL);
    const char *name;
    while (directory != NULL && (name = g_dir_read_name(directory)) != NULL) {
        if (name[0] != '.' && is_wanted(folder, name)) {
            g_ptr_array_add(names, g_strdup(name));
        }
    }
    if (directory != NULL) {
        g_dir_close(directory);
    }
    g_ptr_array_sort(names, compare_names);
    return names;
}

static bool is_configuration(const char *folder, const char *name)
{
    (void)folder;
    return g_str_has_suffix(name, ".conf");
}

static bool is_maildir(const char *folder, const char *name)
{
    g_autofree char *path = g_build_filename(folder, name, "cur", NULL);
    return g_file_test(path, G_FILE_TEST_IS_DIR);
}

GArray *places_all(void)
{
    GArray *places = g_array_new(FALSE, FALSE, sizeof(struct place));
    g_array_set_clear_func(places, finish);
    g_autofree char *folder = g_build_filename(g_get_user_config_dir(), "restante", NULL);
    g_autofree char *path = g_build_filename(folder, "fetch.conf", NULL);
    g_autofree char *more = g_build_filename(folder, "conf.d", NULL);
    read_file(places, path);
    g_autoptr(GPtrArray) files = names_in(more, is_configuration);
    for (guint i = 0; i < files->len; i++) {
        g_autofree char *file = g_build_filename(more, g_ptr_array_index(files, i), NULL);
        read_file(places, file);
    }
    g_autofree char *mail = g_build_filename(g_get_home_dir(), "Mail", NULL);
    g_autoptr(GPtrArray) accounts = names_in(mail, is_maildir);
    for (guint i = 0; i < accounts->len; i++) {
        if (find(places, g_ptr_array_index(accounts, i)) == NULL) {
            (void)add(places, g_ptr_array_index(accounts, i));
        }
    }
    return places;
}

int places_find(const char *account, struct place *place_out, struct error *error)
{
    /* The rules for names that paths are made of. */
    if (user_name_check(bytes_of(account), error) < 0) {
        return error_set(error, ERROR_USAGE, 0,
                         "there cannot be such an account; --maildir names a folder");
    }
    g_autoptr(GArray) places = places_all();
    const struct place *found = find(places, account);
    *place_out =
        (struct place){.account = g_strdup(account),
                       .type = found == NULL ? MAILBOX_MAILDIR : found->type,
                       .path = found == NULL ? in_mail_folder(account) : g_strdup(found->path)};
    return 0;
}
