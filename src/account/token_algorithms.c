/* SPDX-License-Identifier: MIT */
#include "account/token.h"

static const char *const names[TOKEN_ALGORITHM_COUNT] = {
#define TOKEN_ALGORITHM(identifier, name, type, curve) [TOKEN_##identifier] = name,
#include "account/token_algorithms.def"
#undef TOKEN_ALGORITHM
};

const char *token_algorithm_name(enum token_algorithm algorithm)
{
    return names[algorithm];
}

enum token_algorithm token_algorithm_find(struct bytes name)
{
    for (unsigned i = 0; i < TOKEN_ALGORITHM_COUNT; i++) {
        if (bytes_equal(bytes_of(names[i]), name)) {
            return (enum token_algorithm)i;
        }
    }
    return TOKEN_ALGORITHM_COUNT;
}
