/* SPDX-License-Identifier: MIT */
#include "switching/words.h"

static bool is_one_of(uint8_t octet, const char *set)
{
    return octet != '\0' && strchr(set, octet) != NULL;
}

static void step(struct words *words)
{
    words->line += words->text.data[words->at] == '\n';
    words->at++;
}

static bool is_join(const struct words *words)
{
    return words->joins && words->text.data[words->at] == '\\' &&
           (words->at + 1 == words->text.size || words->text.data[words->at + 1] == '\n');
}

static void skip(struct words *words)
{
    while (words->at < words->text.size) {
        uint8_t octet = words->text.data[words->at];
        if (octet == '#') {
            while (words->at < words->text.size && words->text.data[words->at] != '\n') {
                words->at++;
            }
        } else if (is_one_of(octet, " \t\r\n\f\v") || is_one_of(octet, words->ignored) ||
                   is_join(words)) {
            step(words);
        } else {
            return;
        }
    }
}

static struct word quoted(struct words *words)
{
    struct word word = {
        .type = WORD_OPEN, .line = words->line, .quote = (char)words->text.data[words->at]};
    step(words);
    size_t from = words->at;
    while (words->at < words->text.size) {
        uint8_t octet = words->text.data[words->at];
        if (octet == (uint8_t)word.quote) {
            word.type = WORD_QUOTED;
            word.text = (struct bytes){words->text.data + from, words->at - from};
            step(words);
            return word;
        }
        step(words);
        if (octet == '\\' && words->escapes && word.quote == '"' && words->at < words->text.size) {
            step(words);
        }
    }
    return word;
}

struct word words_next(struct words *words)
{
    skip(words);
    if (words->at == words->text.size) {
        return (struct word){.type = WORD_END, .line = words->line};
    }
    uint8_t octet = words->text.data[words->at];
    if (octet == '"' || octet == '\'') {
        return quoted(words);
    }
    struct word word = {.type = WORD_PLAIN, .line = words->line};
    size_t from = words->at;
    if (is_one_of(octet, words->marks)) {
        word.type = WORD_MARK;
        words->at++;
    } else {
        while (words->at < words->text.size) {
            octet = words->text.data[words->at];
            if (is_one_of(octet, " \t\r\n\f\v") || is_one_of(octet, words->ignored) ||
                is_one_of(octet, words->marks)) {
                break;
            }
            words->at++;
        }
    }
    word.text = (struct bytes){words->text.data + from, words->at - from};
    return word;
}

struct word words_peek(const struct words *words)
{
    struct words copy = *words;
    return words_next(&copy);
}

bool word_is(const struct word *word, const char *text)
{
    return word->type != WORD_END && word->type != WORD_QUOTED && word->type != WORD_OPEN &&
           bytes_equal(word->text, bytes_of(text));
}
