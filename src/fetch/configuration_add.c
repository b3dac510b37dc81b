/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/folder.h"
#include "fetch/configuration.h"

enum { FILE_OCTETS_MOST = 1024 * 1024 };

static int check_new(const char *path, const char *name, struct error *error)
{
    struct fetch_configuration configuration = {0};
    int result = fetch_configuration_load(&configuration, path);
    if (result < 0) {
        (void)error_set(error, ERROR_CONFIGURATION, 0, "%.300s has a mistake: mend it first", path);
    } else if (fetch_configuration_find(&configuration, name) != NULL) {
        result = error_set(error, ERROR_USAGE, 0, "there is an account [%.100s] already", name);
    }
    fetch_configuration_finish(&configuration);
    return result;
}

static int append(const char *path, const char *section, struct error *error)
{
    struct bytes before = {0};
    struct stat facts = {.st_mode = 0600};
    char *text = NULL;
    int result = stat(path, &facts) < 0 && errno != ENOENT ? -errno : 0;
    bool is_new = facts.st_nlink == 0;
    if (result == 0 && !is_new) {
        result = file_read(path, FILE_OCTETS_MOST, &before);
    }
    if (result == 0) {
        bool ends = before.size == 0 || before.data[before.size - 1] == '\n';
        int size = asprintf(&text, "%.*s%s%s%s", (int)before.size, (const char *)before.data,
                            ends ? "" : "\n", before.size == 0 ? "" : "\n", section);
        result = size < 0 ? -ENOMEM : file_replace(path, bytes_of(text), facts.st_mode & 0777);
        free(size < 0 ? NULL : text);
    }
    free((void *)(uintptr_t)before.data);
    return result < 0 ? error_from_errno(error, -result, "%.300s", path) : 0;
}

int fetch_configuration_add(const char *path, const char *name, const char *section,
                            struct error *error)
{
    char *place = path == NULL ? fetch_configuration_path() : strdup(path);
    char *real = NULL;
    if (place == NULL) {
        return error_set(error, ERROR_CONFIGURATION, 0, "there is no home for fetch.conf");
    }
    int result = folder_make_for(place, error);
    if (result == 0 && (real = realpath(place, NULL)) == NULL && errno != ENOENT) {
        result = error_from_errno(error, errno, "%.300s", place);
    }
    /* A file that is missing is an account's mistake for who reads it by its path. */
    if (result == 0 && real != NULL) {
        result = check_new(place, name, error);
    }
    if (result == 0) {
        result = append(real == NULL ? place : real, section, error);
    }
    free(real);
    free(place);
    return result;
}
