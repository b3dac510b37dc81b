/* SPDX-License-Identifier: MIT */
/* The only place that makes a maildrop's path. No part of a user's name can leave its folder: each that
 * the pattern uses goes through user_name_check. */
#include "maildrop/path.h"

#include <stdlib.h>

#include "base/buffer.h"
#include "base/user_name.h"

const char *maildrop_path_in_home(const char *pattern)
{
    if (strncmp(pattern, "~/", 2) == 0) {
        return pattern + 1;
    }
    return strncmp(pattern, "%h/", 3) == 0 ? pattern + 2 : NULL;
}

int maildrop_path_check(const char *pattern, struct error *error)
{
    const char *rest = maildrop_path_in_home(pattern);
    if (rest == NULL) {
        rest = pattern;
    }
    if (rest[0] != '/') {
        return error_set(error, ERROR_CONFIGURATION, 0,
                         "a maildrop's path begins with '/', '~/' or '%%h/'");
    }
    for (const char *at = strchr(rest, '%'); at != NULL; at = strchr(at + 2, '%')) {
        if (at[1] == '\0' || strchr("und%", at[1]) == NULL) {
            return error_set(error, ERROR_CONFIGURATION, 0,
                             "in a maildrop's path '%%' stands before u, n, d or another '%%'");
        }
    }
    return 0;
}

static struct bytes part_of(struct bytes user, char letter)
{
    size_t at = user.size;
    while (at > 0 && user.data[at - 1] != '@') {
        at--;
    }
    if (letter == 'u') {
        return user;
    }
    if (letter == 'n') {
        return at == 0 ? user : (struct bytes){.data = user.data, .size = at - 1};
    }
    return at == 0 ? (struct bytes){0} : bytes_from(user, at);
}

static int append_part(struct buffer *buffer, struct bytes user, char letter, struct error *error)
{
    if (letter == '%') {
        buffer_append_octet(buffer, '%');
        return 0;
    }
    struct bytes part = part_of(user, letter);
    struct error wrong;
    if (user_name_check(part, &wrong) < 0) {
        return error_set(error, ERROR_NO_SUCH_USER, 0,
                         "the user name has no %%%c for the maildrop's path: %s", letter,
                         wrong.text);
    }
    buffer_append(buffer, part);
    return 0;
}

static int expand(const char *pattern, struct bytes user, struct buffer *buffer,
                  struct error *error)
{
    for (const char *at = pattern; *at != '\0'; at++) {
        if (*at != '%') {
            buffer_append_octet(buffer, (uint8_t)*at);
        } else if (append_part(buffer, user, *++at, error) < 0) {
            return -1;
        }
    }
    return 0;
}

/* The folder that the first part that differs between users is in: at least "/". */
static size_t fixed_part(const char *path, size_t size)
{
    while (size > 1 && path[size - 1] != '/') {
        size--;
    }
    while (size > 1 && path[size - 1] == '/') {
        size--;
    }
    return size;
}

int maildrop_path_expand(const char *pattern, const struct maildrop_owner *owner,
                         struct maildrop_path *path_out, struct error *error)
{
    bool own = owner->path != NULL;
    const char *in_home = own ? NULL : maildrop_path_in_home(pattern);
    const char *home = in_home == NULL ? "" : owner->home;
    if (home == NULL) {
        return error_set(error, ERROR_CONFIGURATION, 0,
                         "the account has no home folder for its maildrop to be in");
    }
    if (in_home != NULL) {
        pattern = in_home;
    }
    size_t capacity = strlen(home) + strlen(own ? owner->path : pattern) + 1;
    for (const char *at = pattern; !own && *at != '\0'; at++) {
        capacity += *at == '%' ? USER_NAME_OCTETS_MAX : 0;
    }
    char *path = malloc(capacity);
    if (path == NULL) {
        return error_set(error, ERROR_TEMPORARY, 0, "out of memory");
    }
    struct buffer buffer;
    buffer_init(&buffer, path, capacity);
    buffer_append_text(&buffer, home);
    if (own) {
        buffer_append_text(&buffer, owner->path);
    } else if (expand(pattern, bytes_of(owner->user), &buffer, error) < 0) {
        free(path);
        return -1;
    }
    while (buffer.written > 1 && path[buffer.written - 1] == '/') {
        buffer.written--;
    }
    buffer_append_octet(&buffer, '\0');
    const char *percent = own ? NULL : strchr(pattern, '%');
    size_t fixed = buffer.written - 1;
    if (percent != NULL) {
        fixed = strlen(home) + (size_t)(percent - pattern);
    }
    *path_out = (struct maildrop_path){.path = path, .fixed = fixed_part(path, fixed)};
    if (path[0] != '/') {
        free(path);
        return error_set(error, ERROR_CONFIGURATION, 0,
                         "the account's path of the maildrop does not begin with '/'");
    }
    return 0;
}
