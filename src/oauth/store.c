/* SPDX-License-Identifier: MIT */
#include "oauth/store.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sodium.h>

#include "base/folder.h"
#include "base/fs.h"
#include "base/private_file.h"
#include "oauth/keyring.h"

enum { PATIENCE_MS = 60000, STEP_MS = 50, KEPT_OCTETS_MAX = 4 * OAUTH_TOKEN_OCTETS_MAX };

static int find_folder(const char *given, char *out, size_t capacity, struct error *error)
{
    const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
    int size;
    if (given != NULL) {
        size = snprintf(out, capacity, "%s", given);
    } else if (state != NULL && state[0] == '/') {
        size = snprintf(out, capacity, "%s/restante/tokens", state);
    } else if (home != NULL && home[0] == '/') {
        size = snprintf(out, capacity, "%s/.local/state/restante/tokens", home);
    } else {
        return error_set(error, ERROR_CONFIGURATION, 0,
                         "neither XDG_STATE_HOME nor HOME says where tokens are to be kept");
    }
    return size >= 0 && (size_t)size < capacity
               ? 0
               : error_set(error, ERROR_CONFIGURATION, ENAMETOOLONG, "the folder of tokens");
}

/* The beginning of the user's name, for people who look, and a hash of what makes the grant. */
static void make_name(struct oauth_store *store, const struct oauth_grant *grant,
                      const struct oauth_endpoints *endpoints)
{
    const char *const parts[] = {endpoints->token, grant->client_id, grant->user, endpoints->scope,
                                 grant->service_account_file};
    uint8_t hash[16];
    char digits[2 * sizeof hash + 1];
    crypto_generichash_state state;
    (void)crypto_generichash_init(&state, NULL, 0, sizeof hash);
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        const char *part = parts[i] == NULL ? "" : parts[i];
        (void)crypto_generichash_update(&state, (const uint8_t *)part, strlen(part) + 1);
    }
    (void)crypto_generichash_final(&state, hash, sizeof hash);
    (void)sodium_bin2hex(digits, sizeof digits, hash, sizeof hash);
    size_t size = 0;
    for (const char *at = grant->user; *at != '\0' && size < 40; at++) {
        bool plain = (*at >= 'a' && *at <= 'z') || (*at >= 'A' && *at <= 'Z') ||
                     (*at >= '0' && *at <= '9') || *at == '@' || (*at == '.' && size != 0);
        store->name[size++] = plain ? *at : '_';
    }
    (void)snprintf(store->name + size, sizeof store->name - size, "-%s", digits);
}

static int wait_for_lock(const struct oauth_store *store, struct error *error)
{
    struct pollfd cancel = {.fd = store->cancel, .events = POLLIN};
    for (unsigned waited_ms = 0; flock(store->lock, LOCK_EX | LOCK_NB) < 0; waited_ms += STEP_MS) {
        if (errno != EWOULDBLOCK && errno != EINTR) {
            return error_from_errno(error, errno, "%s: its lock", store->place);
        }
        if (poll(&cancel, 1, STEP_MS) > 0) {
            return error_set(error, ERROR_TEMPORARY, 0, "given up, as this run is to end");
        }
        if (waited_ms >= PATIENCE_MS) {
            return error_set(error, ERROR_TEMPORARY, 0,
                             "%s: another process has had its lock for a minute", store->place);
        }
    }
    return 0;
}

static void file_name(const struct oauth_store *store, const char *ending, char out[96])
{
    (void)snprintf(out, 96, "%s%s", store->name, ending);
}

int oauth_store_open(struct oauth_store *store, const struct oauth_grant *grant,
                     const struct oauth_endpoints *endpoints, struct error *error)
{
    char folder[300], name[96];
    *store = (struct oauth_store){
        .folder = -1, .lock = -1, .keyring = grant->keyring, .cancel = grant->cancel};
    if (find_folder(grant->tokens_folder, folder, sizeof folder, error) < 0 ||
        folder_make(folder, error) < 0) {
        return -1;
    }
    make_name(store, grant, endpoints);
    (void)snprintf(store->place, sizeof store->place, "%s%s%s",
                   store->keyring ? "the keyring's " : folder, store->keyring ? "" : "/",
                   store->name);
    file_name(store, ".lock", name);
    store->folder = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (store->folder >= 0) {
        store->lock = openat(store->folder, name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    }
    int result = store->lock < 0 ? error_from_errno(error, errno, "%s/%s", folder, name)
                                 : wait_for_lock(store, error);
    if (result < 0) {
        oauth_store_close(store);
    }
    return result;
}

void oauth_store_close(struct oauth_store *store)
{
    if (store->lock >= 0) {
        (void)close(store->lock); /* and it is free */
    }
    if (store->folder >= 0) {
        (void)close(store->folder);
    }
    store->lock = store->folder = -1;
}

static int read_file(const struct oauth_store *store, uint8_t *memory, struct bytes *out,
                     struct error *error)
{
    char path[sizeof store->place + sizeof ".json"];
    struct error reason;
    (void)snprintf(path, sizeof path, "%s.json", store->place);
    ssize_t size = private_file_read(store->folder, path, memory, KEPT_OCTETS_MAX, &reason);
    if (size < 0 && reason.number != ENOENT) {
        *error = reason;
        return -1;
    }
    *out = (struct bytes){memory, size < 0 ? 0 : (size_t)size};
    return 0;
}

int oauth_store_load(const struct oauth_store *store, struct oauth_tokens *tokens_out,
                     struct error *error)
{
    struct bytes text;
    uint8_t *memory = malloc(KEPT_OCTETS_MAX);
    *tokens_out = (struct oauth_tokens){0};
    if (memory == NULL) {
        return error_set(error, ERROR_TEMPORARY, ENOMEM, "reading tokens");
    }
    int result = store->keyring
                     ? oauth_keyring_load(store->name, memory, KEPT_OCTETS_MAX, &text, error)
                     : read_file(store, memory, &text, error);
    if (result == 0 && text.size != 0 && oauth_tokens_read(text, tokens_out) < 0) {
        result = error_set(error, ERROR_CORRUPT, 0,
                           "%s: what is kept there are no tokens; authorize again", store->place);
    }
    explicit_bzero(memory, KEPT_OCTETS_MAX);
    free(memory);
    return result;
}

/* A new file in the old one's place, both durable. */
static int write_file(const struct oauth_store *store, const char *text, struct error *error)
{
    char draft[96], name[96];
    file_name(store, ".new", draft);
    file_name(store, ".json", name);
    AUTO_CLOSE int file =
        openat(store->folder, draft, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    int result = file < 0 ? -errno : fs_write_full(&fs_real, file, text, strlen(text), 0);
    if (result >= 0 &&
        (ftruncate(file, (off_t)strlen(text)) < 0 || fsync(file) < 0 ||
         renameat(store->folder, draft, store->folder, name) < 0 || fsync(store->folder) < 0)) {
        result = -errno;
    }
    return result < 0 ? error_from_errno(error, -result, "%s.json", store->place) : 0;
}

int oauth_store_save(const struct oauth_store *store, const struct oauth_tokens *tokens,
                     struct error *error)
{
    char *text = oauth_tokens_write(tokens);
    if (text == NULL) {
        return error_set(error, ERROR_TEMPORARY, ENOMEM, "keeping tokens");
    }
    int result = store->keyring ? oauth_keyring_save(store->name, text, error)
                                : write_file(store, text, error);
    explicit_bzero(text, strlen(text));
    free(text);
    return result;
}

int oauth_store_begin(const struct oauth_store *store, struct error *error)
{
    char draft[96];
    if (pwrite(store->lock, "asking\n", 7, 0) != 7) {
        return error_from_errno(error, errno, "%s: its lock", store->place);
    }
    if (store->keyring) {
        return 0;
    }
    file_name(store, ".new", draft);
    AUTO_CLOSE int file =
        openat(store->folder, draft, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    int number = file < 0 ? errno : posix_fallocate(file, 0, KEPT_OCTETS_MAX);
    if (number != 0 && number != EOPNOTSUPP && number != EINVAL) {
        oauth_store_end(store);
        return error_from_errno(error, number, "%s: there would be no room for a new token",
                                store->place);
    }
    return 0;
}

void oauth_store_end(const struct oauth_store *store)
{
    char draft[96];
    file_name(store, ".new", draft);
    (void)unlinkat(store->folder, draft, 0);
    (void)!ftruncate(store->lock, 0);
}

bool oauth_store_was_cut_off(const struct oauth_store *store)
{
    struct stat facts;
    return fstat(store->lock, &facts) == 0 && facts.st_size != 0;
}
