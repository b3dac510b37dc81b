/* SPDX-License-Identifier: MIT */
/* The names under which an account's state is kept. Two accounts never share one: the escape is one to one,
 * and the hash stands only in names that are too long otherwise. */
#include "fetch/state_name.h"

#include <sodium.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    NAME_OCTETS_MOST = 200, /* leaves room for ".quarantine" and the like below NAME_MAX */
    HASH_OCTETS = 16,
    KEPT_OCTETS = NAME_OCTETS_MOST - 2 * HASH_OCTETS - 2
};

static bool is_plain(const char *account, size_t at)
{
    char octet = account[at];
    bool is_letter = (octet >= 'a' && octet <= 'z') || (octet >= 'A' && octet <= 'Z');
    bool is_digit = octet >= '0' && octet <= '9';
    return is_letter || is_digit || (octet == '.' && at != 0) ||
           (octet != '\0' && strchr("@-_+", octet) != NULL);
}

char *state_name_of(const char *account)
{
    size_t size = strlen(account);
    char *name = malloc(3 * size + 1);
    if (name == NULL) {
        return NULL;
    }
    size_t used = 0;
    for (size_t i = 0; i < size; i++) {
        if (is_plain(account, i)) {
            name[used++] = account[i];
        } else {
            used += (size_t)snprintf(name + used, 4, "%%%02X", (uint8_t)account[i]);
        }
    }
    name[used] = '\0';
    if (used > NAME_OCTETS_MOST) {
        uint8_t hash[HASH_OCTETS];
        char digits[2 * HASH_OCTETS + 1];
        (void)crypto_generichash(hash, sizeof hash, (const uint8_t *)account, size, NULL, 0);
        (void)sodium_bin2hex(digits, sizeof digits, hash, sizeof hash);
        /* "%=" stands in no escape. */
        (void)snprintf(name + KEPT_OCTETS, 3 * size + 1 - KEPT_OCTETS, "%%=%s", digits);
    }
    return name;
}

char *state_folder_of(const char *folder, struct error *error)
{
    const char *parts[] = {folder, NULL, NULL};
    const char *state = getenv("XDG_STATE_HOME");
    const char *home = getenv("HOME");
    if (folder == NULL && state != NULL && state[0] == '/') {
        /* The XDG specification: relative paths are to be ignored. */
        parts[0] = state;
        parts[1] = "/restante/fetch";
    } else if (folder == NULL && home != NULL && home[0] == '/') {
        parts[0] = home;
        parts[1] = "/.local/state/restante/fetch";
    } else if (folder == NULL) {
        (void)error_set(error, ERROR_CONFIGURATION, 0,
                        "neither XDG_STATE_HOME nor HOME says where the state is to be kept");
        return NULL;
    }
    const char *tail = parts[1] == NULL ? "" : parts[1];
    size_t size = strlen(parts[0]) + strlen(tail) + 1;
    char *path = malloc(size);
    if (path == NULL) {
        (void)error_set(error, ERROR_TEMPORARY, 0, "out of memory");
        return NULL;
    }
    (void)snprintf(path, size, "%s%s", parts[0], tail);
    return path;
}
