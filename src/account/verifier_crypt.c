/* SPDX-License-Identifier: MIT */
/* {CRYPT} and its narrower names: libxcrypt checks them, whatever the method. Before that the shape is
 * compared with crypt(5) and the costs are read out of the setting, because crypt(3) would take a
 * truncated hash for one that fits no password, and any cost. */
#include <crypt.h>
#include <errno.h>
#include <stdlib.h>

#include <sodium.h>

#include "account/verifier_schemes.h"
#include "base/number.h"

enum {
    ROUNDS_DEFAULT = 5000, /* of sha-crypt without rounds= */
    ROUNDS_MIN = 1000,
    ROUNDS_MAX = 10 * 1000 * 1000,
    BCRYPT_COST_MIN = 4,
    BCRYPT_COST_MAX = 16, /* some seconds */
    DES_OCTETS = 13,
};

/* memory times passes of yescrypt and scrypt, in octets: some ten seconds */
#define SCRYPT_WORK_MAX (UINT64_C(1) << 34)

struct method {
    const char *prefix;
    size_t hash_octets; /* of the last field */
    int (*cost)(struct bytes setting, struct verifier_cost *cost_out, struct error *error);
};

static const char alphabet[] = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/* 0 to 63, or 64 for an octet that is none of crypt's. */
static uint32_t digit(struct bytes text, size_t at)
{
    if (at >= text.size) {
        return 64;
    }
    return (uint32_t)bytes_find(bytes_of(alphabet), text.data[at]);
}

static bool is_encoded(struct bytes text)
{
    for (size_t i = 0; i < text.size; i++) {
        if (digit(text, i) > 63) {
            return false;
        }
    }
    return true;
}

/* crypt(5)'s numbers of variable length: the first digit says how many follow. */
static int take_variable(struct bytes *text, uint32_t least, uint32_t *value_out)
{
    uint32_t start = 0, end = 47, bits = 0;
    size_t more = 0;
    uint32_t first = digit(*text, 0);
    if (first > 63) {
        return -1;
    }
    uint32_t value = least;
    while (first > end) {
        value += (end + 1 - start) << bits;
        start = end + 1;
        end = start + (62 - end) / 2;
        more++;
        bits += 6;
    }
    value += (first - start) << bits;
    for (size_t i = 1; i <= more; i++) {
        uint32_t next = digit(*text, i);
        if (next > 63) {
            return -1;
        }
        bits -= 6;
        value += next << bits;
    }
    *text = bytes_from(*text, 1 + more);
    *value_out = value;
    return 0;
}

static int scrypt_cost(uint32_t log2_n, uint64_t r, uint64_t p, uint64_t passes,
                       struct verifier_cost *cost_out, struct error *error)
{
    if (log2_n > 40 || r > UINT32_MAX / 128 || p > 1024 || passes > 1024 || r == 0 || p == 0 ||
        ((UINT64_C(128) * r) << log2_n) > VERIFIER_MEMORY_MAX) {
        return verifier_absurd(error, "the memory of the hash, in octets,", VERIFIER_MEMORY_MAX);
    }
    uint64_t memory = ((UINT64_C(128) * r) << log2_n) + UINT64_C(128) * r * p;
    if (memory * p * passes > SCRYPT_WORK_MAX) {
        return verifier_absurd(error, "the memory of the hash times its passes, in octets,",
                               SCRYPT_WORK_MAX);
    }
    cost_out->memory += memory;
    cost_out->work = p << 32 | passes;
    return 0;
}

static int yescrypt_cost(struct bytes setting, struct verifier_cost *cost_out, struct error *error)
{
    uint32_t flavour, log2_n, r, have = 0, p = 1, passes = 0, more = 0;
    if (take_variable(&setting, 0, &flavour) < 0 || take_variable(&setting, 1, &log2_n) < 0 ||
        take_variable(&setting, 1, &r) < 0) {
        return verifier_malformed(error, "a malformed yescrypt hash",
                                  "it is like $y$j9T$salt$hash");
    }
    bool is_whole = setting.size == 0 || setting.data[0] == '$' ||
                    (take_variable(&setting, 1, &have) == 0 &&
                     ((have & 1) == 0 || take_variable(&setting, 2, &p) == 0) &&
                     ((have & 2) == 0 || take_variable(&setting, 1, &passes) == 0) &&
                     ((have & 4) == 0 || take_variable(&setting, 1, &more) == 0) &&
                     ((have & 8) == 0 || take_variable(&setting, 1, &more) == 0));
    if (!is_whole || (setting.size > 0 && setting.data[0] != '$')) {
        return verifier_malformed(error, "a malformed yescrypt hash",
                                  "it is like $y$j9T$salt$hash");
    }
    if (more != 0) {
        return verifier_malformed(error, "a yescrypt hash with an upgrade or a ROM",
                                  "make one without");
    }
    return scrypt_cost(log2_n, r, p, (uint64_t)passes + 1, cost_out, error);
}

static int plain_scrypt_cost(struct bytes setting, struct verifier_cost *cost_out,
                             struct error *error)
{
    if (setting.size < 11 || !is_encoded((struct bytes){setting.data, 11})) {
        return verifier_malformed(error, "a malformed scrypt hash",
                                  "it is like $7$CU..../....salt$hash");
    }
    uint32_t r = 0, p = 0;
    for (size_t i = 0; i < 5; i++) {
        r |= digit(setting, 1 + i) << (6 * i);
        p |= digit(setting, 6 + i) << (6 * i);
    }
    return scrypt_cost(digit(setting, 0), r, p, 1, cost_out, error);
}

static int sha_cost(struct bytes setting, struct verifier_cost *cost_out, struct error *error)
{
    static const char key[] = "rounds=";
    cost_out->work = ROUNDS_DEFAULT;
    if (setting.size < sizeof key - 1 || memcmp(setting.data, key, sizeof key - 1) != 0) {
        return 0;
    }
    struct bytes number = bytes_from(setting, sizeof key - 1);
    number.size = bytes_find(number, '$');
    if (number_parse(number, UINT32_MAX, &cost_out->work) < 0 || number.data[0] == '0' ||
        cost_out->work < ROUNDS_MIN) {
        return verifier_malformed(error, "a malformed sha-crypt hash",
                                  "it is like $6$rounds=5000$salt$hash");
    }
    if (cost_out->work > ROUNDS_MAX) {
        return verifier_absurd(error, "the count of sha-crypt rounds", ROUNDS_MAX);
    }
    return 0;
}

static int bcrypt_cost(struct bytes setting, struct verifier_cost *cost_out, struct error *error)
{
    static const char right[] = "it is like $2y$12$ and 53 octets more";
    struct bytes number = {setting.data, 2};
    if (setting.size < 3 || setting.data[2] != '$' ||
        number_parse(number, 99, &cost_out->work) < 0 || cost_out->work < BCRYPT_COST_MIN) {
        return verifier_malformed(error, "a malformed bcrypt hash", right);
    }
    if (cost_out->work > BCRYPT_COST_MAX) {
        return verifier_absurd(error, "the bcrypt cost", BCRYPT_COST_MAX);
    }
    return 0;
}

static int no_cost(struct bytes setting, struct verifier_cost *cost_out, struct error *error)
{
    (void)setting;
    (void)cost_out;
    (void)error;
    return 0;
}

static const struct method methods[] = {
    {"$y$", 43, yescrypt_cost}, {"$gy$", 43, yescrypt_cost}, {"$7$", 43, plain_scrypt_cost},
    {"$6$", 86, sha_cost},      {"$5$", 43, sha_cost},       {"$2a$", 53, bcrypt_cost},
    {"$2b$", 53, bcrypt_cost},  {"$2y$", 53, bcrypt_cost},   {"$1$", 22, no_cost},
};

static int find_method(struct bytes hash, const struct method **method_out, struct error *error)
{
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++) {
        struct bytes prefix = bytes_of(methods[i].prefix);
        if (hash.size > prefix.size && memcmp(hash.data, prefix.data, prefix.size) == 0) {
            *method_out = &methods[i];
            return 0;
        }
    }
    return verifier_malformed(error, "a hash of a crypt(3) method that is not served",
                              "use yescrypt ($y$), sha512-crypt ($6$) or bcrypt ($2y$)");
}

/* The shape that all methods but DES share: prefix, setting, '$', hash. */
static int check_shape(const struct method *method, struct bytes setting, struct error *error)
{
    size_t last = setting.size;
    while (last > 0 && setting.data[last - 1] != '$') {
        last--;
    }
    struct bytes tail = bytes_from(setting, last);
    if (last == 0) {
        return error_set(error, ERROR_CONFIGURATION, 0,
                         "a malformed %s hash: no '$' between its salt and the rest",
                         method->prefix);
    }
    if (tail.size != method->hash_octets || !is_encoded(tail)) {
        return error_set(
            error, ERROR_CONFIGURATION, 0,
            "a malformed %s hash: %zu of ./0-9A-Za-z follow its last '$', not %zu octets",
            method->prefix, method->hash_octets, tail.size);
    }
    return 0;
}

int verifier_crypt_examine(struct bytes hash, struct verifier_cost *cost_out, struct error *error)
{
    *cost_out =
        (struct verifier_cost){.scheme = VERIFIER_CRYPT, .memory = sizeof(struct crypt_data)};
    if (hash.size == DES_OCTETS && is_encoded(hash)) {
        cost_out->method = UINT32_MAX;
        return 0;
    }
    if (hash.size >= CRYPT_OUTPUT_SIZE) {
        return verifier_malformed(error, "a hash that is too long for crypt(3)",
                                  "is a ':' missing?");
    }
    const struct method *method;
    if (find_method(hash, &method, error) < 0) {
        return -1;
    }
    struct bytes setting = bytes_from(hash, strlen(method->prefix));
    if (check_shape(method, setting, error) < 0) {
        return -1;
    }
    cost_out->method = (uint32_t)(method - methods);
    return method->cost(setting, cost_out, error);
}

int verifier_crypt_check(struct bytes hash, const struct secret *secret, struct error *error)
{
    char setting[CRYPT_OUTPUT_SIZE] = {0};
    memcpy(setting, hash.data, hash.size);
    struct bytes password = secret_octets(secret);
    struct crypt_data *data = calloc(1, sizeof *data);
    if (data == NULL) {
        return error_set(error, ERROR_TEMPORARY, 0, "no memory for a hash");
    }
    errno = 0;
    const char *made = crypt_rn((const char *)password.data, setting, data, (int)sizeof *data);
    int number = made == NULL ? errno : 0;
    bool right =
        made != NULL && strlen(made) == hash.size && sodium_memcmp(made, setting, hash.size) == 0;
    sodium_memzero(data, sizeof *data);
    free(data);
    if (right) {
        return 0;
    }
    switch (number) {
    case 0:
    case ERANGE: /* longer than crypt(3) takes */
        return error_set(error, ERROR_BAD_CREDENTIALS, 0, "wrong password");
    case EINVAL:
        return error_set(error, ERROR_CONFIGURATION, 0,
                         "crypt(3) refuses the hash: make a new one");
    default:
        return error_set(error, ERROR_TEMPORARY, number, "crypt(3) fails");
    }
}
