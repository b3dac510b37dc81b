/* SPDX-License-Identifier: MIT */
#include "switching/import.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "base/folder.h"
#include "fetch/configuration.h"
#include "fetch/state.h"
#include "switching/ids.h"
#include "switching/section.h"

enum { CONFIGURATION_OCTETS_MOST = 1 << 20, IDS_OCTETS_MOST = 256 << 20 };

struct import {
    const struct import_options *options;
    struct foreign foreign;
    struct fetch_configuration *configuration;
    char *folder; /* that fetch.conf is in */
    struct error *error;
};

static void report(const struct import *import, struct import_report content)
{
    import->options->report(import->options->owner, &content);
}

/* "~/" is the home folder. */
static char *expand_home(const char *path)
{
    const char *home = getenv("HOME");
    bool is_below = strncmp(path, "~/", 2) == 0 && home != NULL;
    return foreign_format("%s%s", is_below ? home : "", is_below ? path + 1 : path);
}

static int read_text(const char *path, size_t most, struct bytes *text_out)
{
    AUTO_FREE char *expanded = expand_home(path);
    return file_read(expanded, most, text_out);
}

static int include(void *owner, const char *path, struct bytes *text_out)
{
    (void)owner;
    return read_text(path, CONFIGURATION_OCTETS_MOST, text_out);
}

static int read_foreign(struct import *import)
{
    const char *file = import->options->file;
    struct bytes text;
    int result = read_text(file, CONFIGURATION_OCTETS_MOST, &text);
    if (result < 0) {
        return error_from_errno(import->error, -result, "%s", file);
    }
    import->foreign.include = include;
    import->foreign.program = import->options->program != FOREIGN_PROGRAMS
                                  ? import->options->program
                                  : foreign_program_guess(text);
    if (import->foreign.program == FOREIGN_PROGRAMS) {
        result = error_set(
            import->error, ERROR_CONFIGURATION, 0,
            "%s: it looks like no configuration of fetchmail, getmail, mpop or fdm; write "
            "--import-from PROGRAM if it is one",
            file);
    } else {
        result = foreign_parse(text, file, &import->foreign, import->error);
    }
    explicit_bzero((void *)(uintptr_t)text.data, text.size);
    free((void *)(uintptr_t)text.data);
    return result;
}

static int read_configuration(struct import *import)
{
    const char *path = import->options->configuration;
    AUTO_FREE char *found = path != NULL ? foreign_format("%s", path) : fetch_configuration_path();
    if (found == NULL) {
        return error_set(import->error, ERROR_CONFIGURATION, 0,
                         "there is no home folder for fetch.conf; write -c FILE");
    }
    const char *slash = strrchr(found, '/');
    import->folder =
        slash == NULL ? foreign_format(".") : foreign_format("%.*s", (int)(slash - found), found);
    /* Where a file is named that is not there, it begins to be with the import. */
    bool exists = faccessat(AT_FDCWD, found, F_OK, 0) == 0;
    if (fetch_configuration_load(import->configuration, exists || path == NULL ? path : found) <
            0 &&
        exists) {
        return error_set(import->error, ERROR_CONFIGURATION, 0, "%.*s",
                         (int)strcspn(import->configuration->mistakes, "\n"),
                         import->configuration->mistakes);
    }
    return 0;
}

/* The account of the same server and name, whatever its section is called. */
static const struct fetch_account *find_same(const struct import *import,
                                             const struct foreign_account *account)
{
    const char *host = foreign_get(account, "host");
    const char *user = foreign_get(account, "user");
    for (size_t i = 0; host != NULL && user != NULL && i < import->configuration->count; i++) {
        const struct fetch_account *other = import->configuration->accounts[i];
        if (other->host != NULL && other->user != NULL && strcasecmp(other->host, host) == 0 &&
            strcmp(other->user, user) == 0) {
            const char *port = foreign_get(account, "port");
            AUTO_FREE char *digits = foreign_format("%u", other->port);
            if (port == NULL || other->port == 0 || strcmp(port, digits) == 0) {
                return other;
            }
        }
    }
    return NULL;
}

/* Another account may have its name. */
static void find_name(struct import *import, struct foreign_account *account)
{
    AUTO_FREE char *name = foreign_format("%s", account->name);
    for (unsigned i = 2; fetch_configuration_find(import->configuration, account->name) != NULL;
         i++) {
        free(account->name);
        account->name = foreign_format("%s-%u", name, i);
    }
}

/* Makes folder/below and in it a private file that must not be there. */
static int write_new(struct import *import, const char *below, const char *name, const char *text,
                     char **path_out)
{
    AUTO_FREE char *folder = foreign_format("%s/%s", import->folder, below);
    AUTO_FREE char *path = foreign_format("%s/%s", folder, name);
    if (folder_make(folder, import->error) < 0) {
        return -1;
    }
    AUTO_CLOSE int file = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (file < 0) {
        return error_from_errno(import->error, errno, "%s", path);
    }
    size_t size = strlen(text);
    if (write(file, text, size) != (ssize_t)size || fsync(file) < 0) {
        int number = errno;
        (void)unlink(path);
        return error_from_errno(import->error, number == 0 ? EIO : number, "%s", path);
    }
    *path_out = path;
    path = NULL;
    return 0;
}

static int write_password(struct import *import, struct foreign_account *account)
{
    char *path = NULL;
    if (account->password == NULL) {
        return 0;
    }
    foreign_unset(account, "password-command");
    if (import->options->dry_run) {
        path = foreign_format("%s/passwords/%s", import->folder, account->name);
    } else if (write_new(import, "passwords", account->name, account->password, &path) < 0) {
        return -1;
    }
    foreign_set(account, "password-file", "%s", path);
    report(import, (struct import_report){.type = IMPORT_PASSWORD,
                                          .account = account->name,
                                          .path = import->options->dry_run ? NULL : path});
    free(path);
    return 0;
}

static int take_section(struct import *import, struct foreign_account *account)
{
    AUTO_FREE char *file = foreign_format("%s.conf", account->name);
    AUTO_FREE char *path = NULL;
    AUTO_FREE char *before = section_make(&import->foreign, account, import->error);
    if (before == NULL || write_password(import, account) < 0) {
        return -1;
    }
    AUTO_FREE char *text = section_make(&import->foreign, account, import->error);
    if (text == NULL ||
        (!import->options->dry_run && write_new(import, "conf.d", file, text, &path) < 0)) {
        return -1;
    }
    report(import,
           (struct import_report){
               .type = IMPORT_SECTION, .account = account->name, .path = path, .text = text});
    return 0;
}

struct adding {
    struct state *state;
    enum state_status status;
    int64_t now;
    size_t added, known;
    struct error *error;
};

static int note_row(void *owner, const struct state_row *row)
{
    (void)row;
    *(bool *)owner = true;
    return 0;
}

static int add_id(void *owner, struct bytes unique_id, int64_t retrieved_s)
{
    struct adding *adding = owner;
    bool is_known = false;
    if (state_each_of_id(adding->state, unique_id, note_row, &is_known, adding->error) < 0) {
        return -1;
    }
    if (is_known) {
        adding->known++;
        return 0;
    }
    int64_t when = retrieved_s == 0 || retrieved_s > adding->now ? adding->now : retrieved_s;
    struct state_row row = {.unique_id = unique_id,
                            .octets = STATE_OCTETS_UNKNOWN,
                            .status = adding->status,
                            .first_seen = when,
                            .stored = when};
    adding->added++;
    return state_put(adding->state, &row, adding->error);
}

static int add_ids(struct import *import, const struct foreign_account *account, const char *name,
                   struct bytes text)
{
    struct adding adding = {.status = account->deletes_retrieved ? STATE_STORED : STATE_SEEN,
                            .now = time(NULL),
                            .error = import->error};
    if (state_open(import->options->state_folder, name, import->options->dry_run, &adding.state,
                   import->error) < 0) {
        return -1;
    }
    int result = foreign_ids_each(text, account->ids_file, import->foreign.program, account, add_id,
                                  &adding, import->error);
    if (result == 0 && import->foreign.program == FOREIGN_GETMAIL && adding.added != 0) {
        result = state_set_fact(adding.state, STATE_FACT_DASHED, "yes", import->error);
    }
    if (result == 0 && !import->options->dry_run) {
        result = state_commit(adding.state, import->error);
    }
    (void)state_close(adding.state);
    if (result == 0) {
        report(import, (struct import_report){.type = IMPORT_IDS,
                                              .account = name,
                                              .path = account->ids_file,
                                              .added = adding.added,
                                              .known = adding.known});
    }
    return result < 0 ? -1 : 0;
}

static int take_ids(struct import *import, const struct foreign_account *account, const char *name)
{
    struct bytes text = {0};
    int result =
        account->ids_file == NULL ? -ENOENT : read_text(account->ids_file, IDS_OCTETS_MOST, &text);
    if (result == -ENOENT) {
        report(import, (struct import_report){
                           .type = IMPORT_NO_IDS, .account = name, .path = account->ids_file});
        return 0;
    }
    if (result < 0) {
        return error_from_errno(import->error, -result, "%s", account->ids_file);
    }
    result = add_ids(import, account, name, text);
    free((void *)(uintptr_t)text.data);
    return result;
}

static int take_account(struct import *import, struct foreign_account *account)
{
    const struct fetch_account *same = find_same(import, account);
    if (same != NULL) {
        report(import, (struct import_report){
                           .type = IMPORT_KEPT, .account = same->name, .path = same->file});
        return take_ids(import, account, same->name);
    }
    find_name(import, account);
    /* The ids first: a section without them would fetch all anew. */
    return take_ids(import, account, account->name) < 0 ? -1 : take_section(import, account);
}

int import_run(const struct import_options *options, struct error *error)
{
    struct import import = {.options = options,
                            .error = error,
                            .configuration = calloc(1, sizeof *import.configuration)};
    int result = -1;
    if (import.configuration == NULL) {
        return error_set(error, ERROR_TEMPORARY, 0, "out of memory");
    }
    if (read_foreign(&import) == 0 && read_configuration(&import) == 0) {
        result = 0;
        for (size_t i = 0; i < import.foreign.notes.count; i++) {
            report(&import, (struct import_report){.type = IMPORT_NOTE,
                                                   .text = import.foreign.notes.lines[i]});
        }
        for (size_t i = 0; result == 0 && i < import.foreign.count; i++) {
            result = take_account(&import, import.foreign.accounts[i]);
        }
        if (result == 0 && import.foreign.count == 0) {
            result = error_set(error, ERROR_CONFIGURATION, 0,
                               "%s: there is no account of POP3 in it", options->file);
        }
    }
    foreign_finish(&import.foreign);
    fetch_configuration_finish(import.configuration);
    free(import.configuration);
    free(import.folder);
    return result;
}
