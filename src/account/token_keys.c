/* SPDX-License-Identifier: MIT */
#include "account/token_keys.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <jansson.h>

#include "base/file.h"

enum { KEYS_MOST = 64, RSA_BITS_LEAST = 2048 };

struct token_key {
    cjose_jwk_t *key;
    uint32_t algorithms; /* bits */
};

struct token_keys {
    const char *path;
    struct stat facts; /* of the file as it was read */
    struct token_key list[KEYS_MOST];
    size_t count;
};

/* The algorithms that go with a key by its nature. */
static uint32_t natural_algorithms(const cjose_jwk_t *key)
{
    static const struct {
        cjose_jwk_kty_t type;
        cjose_jwk_ec_curve curve;
    } rows[] = {
#define TOKEN_ALGORITHM(identifier, name, type, curve)                                             \
    [TOKEN_##identifier] = {CJOSE_JWK_KTY_##type, CJOSE_JWK_EC_##curve},
#include "account/token_algorithms.def"
#undef TOKEN_ALGORITHM
    };
    cjose_err problem;
    uint32_t algorithms = 0;
    cjose_jwk_kty_t type = cjose_jwk_get_kty(key, &problem);
    if (type == CJOSE_JWK_KTY_RSA && cjose_jwk_get_keysize(key, &problem) < RSA_BITS_LEAST) {
        return 0;
    }
    for (unsigned i = 0; i < TOKEN_ALGORITHM_COUNT; i++) {
        if (rows[i].type == type &&
            (type == CJOSE_JWK_KTY_RSA || rows[i].curve == cjose_jwk_EC_get_curve(key, &problem))) {
            algorithms |= 1U << i;
        }
    }
    return algorithms;
}

/* And of those, what the key's owner wants it used for (RFC 7517 section 4). */
static uint32_t meant_algorithms(const json_t *text)
{
    const json_t *use = json_object_get(text, "use");
    const json_t *algorithm = json_object_get(text, "alg");
    const json_t *operations = json_object_get(text, "key_ops");
    bool verifies = operations == NULL;
    for (size_t i = 0; i < json_array_size(operations); i++) {
        const char *operation = json_string_value(json_array_get(operations, i));
        verifies |= operation != NULL && strcmp(operation, "verify") == 0;
    }
    if (!verifies ||
        (use != NULL && (!json_is_string(use) || strcmp(json_string_value(use), "sig") != 0))) {
        return 0;
    }
    if (algorithm == NULL) {
        return UINT32_MAX;
    }
    enum token_algorithm only = json_is_string(algorithm)
                                    ? token_algorithm_find(bytes_of(json_string_value(algorithm)))
                                    : TOKEN_ALGORITHM_COUNT;
    return only == TOKEN_ALGORITHM_COUNT ? 0 : 1U << only;
}

static void add(struct token_keys *keys, const json_t *text)
{
    cjose_err problem;
    char *own_text = json_dumps(text, JSON_COMPACT);
    cjose_jwk_t *key =
        own_text == NULL ? NULL : cjose_jwk_import(own_text, strlen(own_text), &problem);
    free(own_text);
    uint32_t algorithms = key == NULL ? 0 : natural_algorithms(key) & meant_algorithms(text);
    if (algorithms == 0 || keys->count == KEYS_MOST) {
        (void)cjose_jwk_release(key);
        return;
    }
    keys->list[keys->count++] = (struct token_key){.key = key, .algorithms = algorithms};
}

static void release_all(struct token_keys *keys)
{
    while (keys->count > 0) {
        (void)cjose_jwk_release(keys->list[--keys->count].key);
    }
}

static int parse(struct token_keys *keys, struct bytes text, struct error *error)
{
    json_error_t problem;
    json_t *set = json_loadb((const char *)text.data, text.size, JSON_REJECT_DUPLICATES, &problem);
    const json_t *list = json_object_get(set, "keys");
    if (!json_is_array(list)) {
        json_decref(set);
        return error_set(error, ERROR_CONFIGURATION, 0,
                         "%s is no JWK Set; it looks like {\"keys\": [...]}", keys->path);
    }
    for (size_t i = 0; i < json_array_size(list); i++) {
        add(keys, json_array_get(list, i));
    }
    json_decref(set);
    if (keys->count == 0) {
        return error_set(error, ERROR_CONFIGURATION, 0,
                         "%s has no key that a signature can be checked with: RSA of 2048 bits or "
                         "more, or EC",
                         keys->path);
    }
    return 0;
}

/* The facts are taken first: what changes behind them is seen the next time. */
static int load(struct token_keys *keys, struct error *error)
{
    struct token_keys fresh = {.path = keys->path};
    struct bytes text;
    if (stat(keys->path, &fresh.facts) < 0) {
        return error_set(error, ERROR_CONFIGURATION, errno, "%s", keys->path);
    }
    int result = file_read(keys->path, TOKEN_KEYS_FILE_OCTETS_MAX, &text);
    if (result < 0) {
        return error_set(error, ERROR_CONFIGURATION, -result, "%s", keys->path);
    }
    result = parse(&fresh, text, error);
    free((void *)(uintptr_t)text.data);
    if (result < 0) {
        release_all(&fresh);
        return -1;
    }
    release_all(keys);
    *keys = fresh;
    return 0;
}

int token_keys_create(const char *path, struct token_keys **keys_out, struct error *error)
{
    struct token_keys *keys = calloc(1, sizeof *keys);
    if (keys == NULL) {
        return error_set(error, ERROR_TEMPORARY, ENOMEM, "%s", path);
    }
    keys->path = path;
    if (load(keys, error) < 0) {
        free(keys);
        return -1;
    }
    *keys_out = keys;
    return 0;
}

struct token_keys *token_keys_free(struct token_keys *keys)
{
    if (keys != NULL) {
        release_all(keys);
        free(keys);
    }
    return NULL;
}

int token_keys_refresh(struct token_keys *keys, struct error *error)
{
    struct stat now;
    const struct stat *then = &keys->facts;
    if (stat(keys->path, &now) == 0 && now.st_dev == then->st_dev && now.st_ino == then->st_ino &&
        now.st_size == then->st_size && now.st_mtim.tv_sec == then->st_mtim.tv_sec &&
        now.st_mtim.tv_nsec == then->st_mtim.tv_nsec &&
        now.st_ctim.tv_sec == then->st_ctim.tv_sec &&
        now.st_ctim.tv_nsec == then->st_ctim.tv_nsec) {
        return 0;
    }
    return load(keys, error);
}

size_t token_keys_next(const struct token_keys *keys, size_t index, enum token_algorithm algorithm,
                       const char *id, const cjose_jwk_t **key_out)
{
    cjose_err problem;
    for (; index < keys->count; index++) {
        const struct token_key *key = &keys->list[index];
        const char *own = cjose_jwk_get_kid(key->key, &problem);
        if ((key->algorithms >> algorithm & 1) != 0 &&
            (id == NULL || (own != NULL && strcmp(own, id) == 0))) {
            *key_out = key->key;
            return index + 1;
        }
    }
    return SIZE_MAX;
}
