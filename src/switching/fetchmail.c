/* SPDX-License-Identifier: MIT */
/* fetchmail's run control file, by fetchmail(1), "The run control file". Server options come before users, and
 * a user has those of the server and of the defaults entry. No word is repeated in a message: what stands in
 * the wrong place may be a part of a password. */
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/number.h"
#include "switching/fetchmail_entry.h"
#include "switching/foreign.h"
#include "switching/words.h"

enum keyword {
    KEYWORD_NONE,
    KEYWORD_NOISE,
    KEYWORD_IGNORED, /* without an effect here */
    KEYWORD_NOTED,   /* without a counterpart */
    KEYWORD_VIA,
    KEYWORD_PROTOCOL,
    KEYWORD_PORT,
    KEYWORD_AUTH,
    KEYWORD_TIMEOUT,
    KEYWORD_USER,
    KEYWORD_LOCAL,
    KEYWORD_PASSWORD,
    KEYWORD_SMTPHOST,
    KEYWORD_MDA,
    KEYWORD_LMTP,
    KEYWORD_KEEP,
    KEYWORD_FLUSH,
    KEYWORD_FETCHALL,
    KEYWORD_LIMIT,
    KEYWORD_SSL,
    KEYWORD_SSLPROTO,
    KEYWORD_SSLCERTCK,
    KEYWORD_SSLCERTFILE
};

enum argument { FLAG, TEXT, NUMBER, LIST, ENVELOPE };

static const struct row {
    const char *word;
    enum keyword keyword;
    enum argument argument;
} rows[] = {
#define FETCHMAIL_WORD(word, keyword, argument) {word, KEYWORD_##keyword, argument},
#include "switching/fetchmail.def"
#undef FETCHMAIL_WORD
};

struct parser {
    struct words words;
    const char *file;
    struct foreign *out;
    struct error *error;
    struct fetchmail_entry defaults, server, user;
    bool has_defaults, has_server;
    char ids_file[FETCHMAIL_TEXT_OCTETS];
};

static const struct row *find_row(struct bytes word)
{
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (bytes_equal(word, bytes_of(rows[i].word))) {
            return &rows[i];
        }
    }
    return NULL;
}

static int mistake(struct parser *parser, unsigned line, const char *text)
{
    return foreign_mistake(parser->error, parser->file, line, "%s", text);
}

static bool begins_statement(const struct word *word)
{
    return word_is(word, "set") || word_is(word, "poll") || word_is(word, "skip") ||
           word_is(word, "server") || word_is(word, "defaults");
}

static uint32_t take_digits(struct bytes *text, const char *digits, size_t most)
{
    uint32_t value = 0;
    const char *digit;
    for (size_t i = 0; i < most && text->size != 0 && text->data[0] != '\0' &&
                       (digit = strchr(digits, text->data[0])) != NULL;
         i++) {
        uint32_t base = (uint32_t)strlen(digits);
        uint32_t number = (uint32_t)(digit - digits);
        value =
            base == 22 ? value * 16 + (number > 15 ? number - 6 : number) : value * base + number;
        *text = bytes_from(*text, 1);
    }
    return value;
}

/* The octet that an escape stands for, -1: none; `text` begins after the backslash. */
static int take_escape(struct bytes *text)
{
    static const char letters[] = "ntbr", octets[] = "\n\t\b\r";
    if (text->size == 0) {
        return -1;
    }
    uint8_t first = text->data[0];
    if (first == 'x' || first == 'X') {
        *text = bytes_from(*text, 1);
        return (int)(take_digits(text, "0123456789abcdefABCDEF", 2) & 0xFF);
    }
    if (first >= '0' && first <= '9') {
        return (int)(take_digits(text, first == '0' ? "01234567" : "0123456789", 3) & 0xFF);
    }
    *text = bytes_from(*text, 1);
    const char *letter = first == '\0' ? NULL : strchr(letters, first);
    return letter != NULL ? octets[letter - letters] : first == '\n' ? -1 : first;
}

/* 0, or -1 where it does not fit, or contains NUL. */
static int unescape(struct bytes text, char out[FETCHMAIL_TEXT_OCTETS])
{
    size_t size = 0;
    while (text.size != 0) {
        int octet = text.data[0];
        text = bytes_from(text, 1);
        if (octet == '\\') {
            octet = take_escape(&text);
        }
        if (octet == 0 || (octet > 0 && size + 1 == FETCHMAIL_TEXT_OCTETS)) {
            return -1;
        }
        if (octet > 0) {
            out[size++] = (char)octet;
        }
    }
    out[size] = '\0';
    return 0;
}

static int take_text(struct parser *parser, char out[FETCHMAIL_TEXT_OCTETS])
{
    struct word word = words_next(&parser->words);
    if (word.type == WORD_OPEN) {
        return mistake(parser, word.line, "a quoted text is not closed; write its closing quote");
    }
    if (word.type != WORD_PLAIN && word.type != WORD_QUOTED) {
        return mistake(parser, word.line,
                       "a word is missing here; correct it, as fetchmail(1) has it");
    }
    if (unescape(word.text, out) < 0) {
        return mistake(parser, word.line,
                       "a word is too long; write less than 1024 octets, without NUL");
    }
    return 0;
}

/* The words of a list end at a keyword: the first, and how many. */
static int take_list(struct parser *parser, char first[FETCHMAIL_TEXT_OCTETS], unsigned *count_out)
{
    char text[FETCHMAIL_TEXT_OCTETS];
    bool is_first = true;
    *count_out = 0;
    for (;;) {
        struct word word = words_peek(&parser->words);
        bool is_text = word.type == WORD_QUOTED || word.type == WORD_PLAIN;
        if (word_is(&word, "=") || word_is(&word, "*")) {
            (void)words_next(&parser->words);
            *count_out += 1; /* a mapping, or a wildcard: not one plain name */
            is_first = false;
            continue;
        }
        /* The first may look like a keyword: the lexer has been told to expect a name. */
        bool ends = word.type == WORD_PLAIN && !is_first &&
                    (find_row(word.text) != NULL || begins_statement(&word) ||
                     (word.text.size > 2 && memcmp(word.text.data, "no", 2) == 0 &&
                      find_row(bytes_from(word.text, 2)) != NULL) ||
                     word_is(&word, "no"));
        if (word.type == WORD_OPEN) {
            return mistake(parser, word.line,
                           "a quoted text is not closed; write its closing quote");
        }
        if (!is_text || ends) {
            return 0;
        }
        if (take_text(parser, is_first ? first : text) < 0) {
            return -1;
        }
        *count_out += 1;
        is_first = false;
    }
}

static void copy_entry(struct fetchmail_entry *to, const struct fetchmail_entry *from)
{
    *to = *from;
    to->account = foreign_account_create(from->poll[0] == '\0' ? "mail" : from->poll);
    if (from->account != NULL) {
        foreign_merge(to->account, from->account);
    }
}

static void drop_entry(struct fetchmail_entry *entry)
{
    entry->account = foreign_account_free(entry->account);
}

static void end_user(struct parser *parser)
{
    if (parser->user.account != NULL) {
        fetchmail_translate(parser->out, parser->ids_file, &parser->user);
        drop_entry(&parser->user);
    }
}

static void end_server(struct parser *parser)
{
    bool had_user = parser->server.has_user;
    end_user(parser);
    if (parser->has_server && !had_user) {
        fetchmail_translate(parser->out, parser->ids_file, &parser->server);
    }
    drop_entry(&parser->server);
    parser->has_server = false;
}

static int begin_server(struct parser *parser, const struct word *keyword)
{
    end_server(parser);
    if (word_is(keyword, "defaults")) {
        drop_entry(&parser->defaults);
        parser->defaults = (struct fetchmail_entry){.account = foreign_account_create("defaults")};
        parser->has_defaults = true;
        return 0;
    }
    copy_entry(&parser->server, &parser->defaults);
    parser->server.line = keyword->line;
    parser->server.skip = word_is(keyword, "skip");
    parser->has_server = true;
    if (take_text(parser, parser->server.poll) < 0) {
        return -1;
    }
    foreign_replace(&parser->server.account->name, parser->server.poll);
    return 0;
}

static struct fetchmail_entry *current(struct parser *parser)
{
    return parser->user.account != NULL ? &parser->user
           : parser->has_server         ? &parser->server
                                        : &parser->defaults;
}

static int begin_user(struct parser *parser, unsigned line)
{
    char name[FETCHMAIL_TEXT_OCTETS];
    if (take_text(parser, name) < 0) {
        return -1;
    }
    struct word word = words_peek(&parser->words);
    struct fetchmail_entry *entry = current(parser);
    if (parser->has_server) {
        end_user(parser);
        parser->server.has_user = true;
        copy_entry(&parser->user, &parser->server);
        entry = &parser->user;
        entry->line = line;
    }
    if (word_is(&word, "here")) { /* user ME here is ... there */
        (void)words_next(&parser->words);
        memcpy(entry->local, name, sizeof name);
        entry->local_names = 1;
        return 0;
    }
    foreign_set(entry->account, "user", "%s", name);
    return 0;
}

static int take_local(struct parser *parser, struct fetchmail_entry *entry)
{
    char first[FETCHMAIL_TEXT_OCTETS] = "";
    unsigned count;
    if (take_list(parser, first, &count) < 0) {
        return -1;
    }
    struct word word = words_peek(&parser->words);
    if (word_is(&word, "there")) {
        foreign_set(entry->account, "user", "%s", first);
        return 0;
    }
    entry->local_names = count;
    memcpy(entry->local, first, sizeof first);
    return 0;
}

static int take_auth(struct fetchmail_entry *entry, const char *name, unsigned line)
{
    struct foreign_account *account = entry->account;
    if (strcmp(name, "cram-md5") == 0 || strcmp(name, "cram") == 0) {
        foreign_set(account, "auth", "CRAM-MD5");
    } else if (strcmp(name, "any") == 0 || strcmp(name, "password") == 0) {
        foreign_unset(account, "auth");
    } else {
        foreign_note(&account->notes, line,
                     "auth: restante has no such way to log in; auth = auto");
    }
    return 0;
}

static int take_text_option(struct parser *parser, struct fetchmail_entry *entry,
                            const struct row *row, unsigned line)
{
    char text[FETCHMAIL_TEXT_OCTETS];
    uint64_t number;
    if (take_text(parser, text) < 0) {
        return -1;
    }
    switch ((int)row->keyword) {
    case KEYWORD_VIA:
        memcpy(entry->via, text, sizeof text);
        return 0;
    case KEYWORD_PROTOCOL:
        memcpy(entry->protocol, text, sizeof text);
        return 0;
    case KEYWORD_PORT:
        if (strcmp(text, "pop3") == 0 || strcmp(text, "pop3s") == 0) {
            foreign_set(entry->account, "port", "%d", strcmp(text, "pop3") == 0 ? 110 : 995);
        } else if (number_parse(bytes_of(text), 65535, &number) < 0 || number == 0) {
            return mistake(parser, line, "the port is not known; write its number");
        } else {
            foreign_set(entry->account, "port", "%s", text);
        }
        return 0;
    case KEYWORD_AUTH:
        return take_auth(entry, text, line);
    case KEYWORD_PASSWORD:
        foreign_replace(&entry->account->password, text);
        sodium_memzero(text, sizeof text);
        return 0;
    case KEYWORD_MDA:
        memcpy(entry->mda, text, sizeof text);
        return 0;
    case KEYWORD_SSLPROTO:
        entry->without_tls = text[0] == '\0';
        return 0;
    case KEYWORD_SSLCERTFILE:
        if (foreign_is_path(text)) {
            foreign_set(entry->account, "ca-file", "%s", text);
        } else {
            foreign_note(&entry->account->notes, line,
                         "sslcertfile: write ca-file = and its whole path");
        }
        return 0;
    case KEYWORD_NOTED:
        foreign_note(&entry->account->notes, line, "%s has no counterpart", row->word);
        return 0;
    default:
        return 0;
    }
}

static void take_flag(struct fetchmail_entry *entry, const struct row *row, bool yes, unsigned line)
{
    switch ((int)row->keyword) {
    case KEYWORD_LMTP:
        entry->lmtp = yes;
        break;
    case KEYWORD_KEEP:
        entry->keep = yes;
        break;
    case KEYWORD_FLUSH:
        entry->flush = yes;
        break;
    case KEYWORD_FETCHALL:
        entry->fetchall = yes;
        break;
    case KEYWORD_SSL:
        entry->ssl = yes;
        break;
    case KEYWORD_SSLCERTCK:
        entry->certificates_unchecked = !yes;
        break;
    case KEYWORD_NOTED:
        if (yes) {
            foreign_note(&entry->account->notes, line, "%s has no counterpart", row->word);
        }
        break;
    default:
        break;
    }
}

static int take_number(struct parser *parser, struct fetchmail_entry *entry, const struct row *row,
                       unsigned line)
{
    char text[FETCHMAIL_TEXT_OCTETS];
    uint64_t number;
    if (take_text(parser, text) < 0) {
        return -1;
    }
    if (number_parse(bytes_of(text), UINT32_MAX, &number) < 0) {
        return mistake(parser, line, "a number is expected here; write its digits");
    }
    if (row->keyword == KEYWORD_TIMEOUT && number != 0) {
        foreign_set(entry->account, "timeout", "%llus",
                    (unsigned long long)(number > 3600 ? 3600 : number));
    } else if (row->keyword == KEYWORD_LIMIT) {
        foreign_set(entry->account, "max-size", "%llu", (unsigned long long)number);
    } else if (row->keyword == KEYWORD_NOTED) {
        foreign_note(&entry->account->notes, line, "%s has no counterpart", row->word);
    }
    return 0;
}

static int take_list_option(struct parser *parser, struct fetchmail_entry *entry,
                            const struct row *row, unsigned line)
{
    char first[FETCHMAIL_TEXT_OCTETS] = "";
    unsigned count;
    if (row->keyword == KEYWORD_LOCAL) {
        return take_local(parser, entry);
    }
    if (take_list(parser, first, &count) < 0) {
        return -1;
    }
    if (row->keyword == KEYWORD_SMTPHOST) {
        memcpy(entry->smtphost, first, sizeof first);
    } else {
        foreign_note(&entry->account->notes, line, "%s has no counterpart", row->word);
    }
    return 0;
}

static int take_option(struct parser *parser, const struct row *row, bool yes, unsigned line)
{
    struct fetchmail_entry *entry = current(parser);
    if (entry->account == NULL) {
        return mistake(parser, line, "an option before the first server; write poll NAME above it");
    }
    if (row->keyword == KEYWORD_USER) {
        return begin_user(parser, line);
    }
    if (!yes && row->keyword == KEYWORD_NOTED && row->argument == ENVELOPE) {
        return 0;
    }
    switch (row->argument) {
    case FLAG:
        take_flag(entry, row, yes, line);
        return 0;
    case NUMBER:
        return take_number(parser, entry, row, line);
    case LIST:
        return take_list_option(parser, entry, row, line);
    case ENVELOPE: {
        struct word word = words_peek(&parser->words);
        uint64_t number;
        if (word.type == WORD_PLAIN && number_parse(word.text, UINT32_MAX, &number) == 0) {
            (void)words_next(&parser->words);
        }
        return take_text_option(parser, entry, row, line);
    }
    case TEXT:
        return take_text_option(parser, entry, row, line);
    }
    return 0;
}

/* set [no] NAME [=] [VALUE] */
static int take_global(struct parser *parser)
{
    static const char *const flags[] = {"bouncemail",   "spambounce",  "softbounce",   "syslog",
                                        "invisible",    "showdots",    "nobouncemail", "nosyslog",
                                        "nospambounce", "nosoftbounce"};
    char value[FETCHMAIL_TEXT_OCTETS];
    struct word name = words_next(&parser->words);
    if (word_is(&name, "no")) {
        name = words_next(&parser->words);
    }
    for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++) {
        if (word_is(&name, flags[i])) {
            return 0;
        }
    }
    struct word mark = words_peek(&parser->words);
    if (word_is(&mark, "=")) {
        (void)words_next(&parser->words);
    }
    if (take_text(parser, value) < 0) {
        return -1;
    }
    if (word_is(&name, "idfile")) {
        memcpy(parser->ids_file, value, sizeof value);
    } else if (word_is(&name, "daemon")) {
        foreign_note(&parser->out->notes, name.line,
                     "set daemon %s: restante fetch --watch %ss does that", value, value);
    }
    return 0;
}

static int take_statement(struct parser *parser, const struct word *word)
{
    if (word->type == WORD_OPEN) {
        return mistake(parser, word->line, "a quoted text is not closed; write its closing quote");
    }
    if (word_is(word, "set")) {
        return take_global(parser);
    }
    if (begins_statement(word)) {
        return begin_server(parser, word);
    }
    struct word keyword = *word;
    bool yes = !word_is(word, "no");
    if (!yes) {
        keyword = words_next(&parser->words);
    }
    const struct row *row = keyword.type == WORD_PLAIN ? find_row(keyword.text) : NULL;
    if (row == NULL && yes && word->type == WORD_PLAIN && word->text.size > 2 &&
        memcmp(word->text.data, "no", 2) == 0) {
        row = find_row(bytes_from(word->text, 2));
        yes = false;
    }
    if (row == NULL) {
        return mistake(
            parser, word->line,
            "there is a word that fetchmail has not; put a text that begins with a digit, or "
            "has blanks or one of = ; : , in it, between \"quotes\"");
    }
    return row->keyword == KEYWORD_NOISE ? 0 : take_option(parser, row, yes, word->line);
}

int foreign_parse_fetchmail(struct bytes text, const char *file, struct foreign *out,
                            struct error *error)
{
    struct parser *parser = calloc(1, sizeof *parser);
    if (parser == NULL) {
        abort();
    }
    parser->words =
        (struct words){.text = text, .line = 1, .marks = "=", .ignored = ";:,", .joins = true};
    parser->file = file;
    parser->out = out;
    parser->error = error;
    int result = 0;
    while (result == 0) {
        struct word word = words_next(&parser->words);
        if (word.type == WORD_END) {
            break;
        }
        result = take_statement(parser, &word);
    }
    if (result == 0) {
        end_server(parser);
    }
    drop_entry(&parser->user);
    drop_entry(&parser->server);
    drop_entry(&parser->defaults);
    free(parser);
    return result;
}
