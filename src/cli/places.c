/* SPDX-License-Identifier: MIT */
/* Where the mail of this person's accounts lies: the retriever's configuration says it, and ~/Mail has more. */
#include "cli/places.h"

#include <stdlib.h>
#include <string.h>

#include "base/user_name.h"
#include "fetch/configuration.h"

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

static void add(GArray *places, const char *account, enum mailbox_type type, const char *path)
{
    struct place place = {.account = g_strdup(account), .type = type, .path = g_strdup(path)};
    (void)g_array_append_val(places, place);
}

/* What goes to a command or to a server does not stay here, but may have before. */
static void add_account(GArray *places, const char *name, const char *maildir, const char *mbox)
{
    char *usual = maildir == NULL && mbox == NULL ? fetch_account_usual_maildir(name) : NULL;
    if (mbox != NULL) {
        add(places, name, MAILBOX_MBOX, mbox);
    } else if (maildir != NULL || usual != NULL) {
        add(places, name, MAILBOX_MAILDIR, maildir != NULL ? maildir : usual);
    }
    free(usual);
}

static bool has_path(const GArray *places, const char *path)
{
    bool has = false;
    for (guint i = 0; i < places->len && !has; i++) {
        has = strcmp(g_array_index(places, struct place, i).path, path) == 0;
    }
    return has;
}

static bool is_maildir(const char *folder, const char *name)
{
    g_autofree char *path = g_build_filename(folder, name, "cur", NULL);
    return g_file_test(path, G_FILE_TEST_IS_DIR);
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The names of the Maildirs in a folder, in their order; none if it cannot be read. */
static GPtrArray *maildirs_in(const char *folder)
{
    GPtrArray *names = g_ptr_array_new_with_free_func(g_free);
    GDir *directory = g_dir_open(folder, 0, NULL);
    const char *name;
    while (directory != NULL && (name = g_dir_read_name(directory)) != NULL) {
        if (name[0] != '.' && is_maildir(folder, name)) {
            g_ptr_array_add(names, g_strdup(name));
        }
    }
    if (directory != NULL) {
        g_dir_close(directory);
    }
    g_ptr_array_sort(names, compare_names);
    return names;
}

GArray *places_all(void)
{
    GArray *places = g_array_new(FALSE, FALSE, sizeof(struct place));
    g_array_set_clear_func(places, finish);
    struct fetch_configuration configuration = {0};
    /* Of mistakes the retriever complains; what can be read counts. */
    (void)!fetch_configuration_load(&configuration, NULL);
    for (size_t i = 0; i < configuration.count; i++) {
        const struct fetch_account *account = configuration.accounts[i];
        add_account(places, account->name, account->maildir, account->mbox);
    }
    fetch_configuration_finish(&configuration);
    g_autofree char *mail = g_build_filename(g_get_home_dir(), "Mail", NULL);
    g_autoptr(GPtrArray) accounts = maildirs_in(mail);
    for (guint i = 0; i < accounts->len; i++) {
        const char *name = g_ptr_array_index(accounts, i);
        g_autofree char *path = g_build_filename(mail, name, NULL);
        if (find(places, name) == NULL && !has_path(places, path)) {
            add(places, name, MAILBOX_MAILDIR, path);
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
    if (find(places, account) == NULL) {
        add_account(places, account, NULL, NULL);
    }
    const struct place *found = find(places, account);
    if (found == NULL) {
        return error_set(error, ERROR_USAGE, 0,
                         "there is no home folder for ~/Mail; --maildir names a folder");
    }
    *place_out = (struct place){
        .account = g_strdup(account), .type = found->type, .path = g_strdup(found->path)};
    return 0;
}
