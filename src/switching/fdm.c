/* SPDX-License-Identifier: MIT */
/* fdm's configuration, by fdm.conf(5). Accounts of POP3, macros, includes and conditions are understood. Of actions
 * and rules only as much as tells a single place where all mail goes: restante has no rules. */
#include <stdlib.h>

#include "base/number.h"
#include "switching/foreign.h"
#include "switching/words.h"

enum { MACROS_MOST = 256, ACTIONS_MOST = 64, TEXT_OCTETS_MOST = 4096 };

struct macro {
    char *name; /* with its $ or % */
    char *value;
};

struct action {
    char *name, *option, *path;
};

struct parser {
    struct words words;
    const char *file;
    struct foreign *out;
    struct error *error;
    struct macro macros[MACROS_MOST];
    size_t macro_count;
    struct action actions[ACTIONS_MOST];
    size_t action_count;
    unsigned conditions,
        skipped; /* open ones; of those, from which on nothing counts, from 1; 0: none */
    unsigned rules;
    char *only_action; /* of `match all action NAME` */
    uint64_t most_octets;
};

static int mistake(struct parser *parser, unsigned line, const char *text)
{
    return foreign_mistake(parser->error, parser->file, line, "%s", text);
}

static const char *macro_value(const struct parser *parser, const char *name)
{
    for (size_t i = 0; i < parser->macro_count; i++) {
        if (strcmp(parser->macros[i].name, name) == 0) {
            return parser->macros[i].value;
        }
    }
    return NULL;
}

/* A text between "": escapes, and ${macros}. */
static char *expand(const struct parser *parser, struct bytes text)
{
    char *out = foreign_format("%s", "");
    size_t at = 0;
    while (at < text.size) {
        char one[2] = {(char)text.data[at++], '\0'};
        const char *more = one;
        AUTO_FREE char *name = NULL;
        if (one[0] == '\\' && at < text.size) {
            static const char letters[] = "rnt", octets[] = "\r\n\t";
            one[0] = (char)text.data[at++];
            const char *letter = one[0] == '\0' ? NULL : strchr(letters, one[0]);
            one[0] = letter == NULL ? one[0] : octets[letter - letters];
        } else if ((one[0] == '$' || one[0] == '%') && at < text.size && text.data[at] == '{') {
            size_t size = bytes_find(bytes_from(text, at + 1), '}');
            AUTO_FREE char *word = foreign_copy((struct bytes){text.data + at + 1, size});
            name = foreign_format("%c%s", one[0], word);
            more = macro_value(parser, name);
            more = more == NULL ? "" : more;
            at += size + 2;
        }
        if (strlen(out) + strlen(more) > TEXT_OCTETS_MOST) {
            break; /* macros that grow macros */
        }
        char *longer = foreign_format("%s%s", out, more);
        foreign_replace(&out, NULL);
        out = longer;
    }
    return out;
}

/* What follows `$(` up to its `)`: a command. NULL: it is not closed. */
static char *take_command(struct parser *parser)
{
    size_t from = parser->words.at;
    for (unsigned depth = 1;;) {
        struct word word = words_next(&parser->words);
        if (word.type == WORD_END || word.type == WORD_OPEN) {
            return NULL;
        }
        depth += word_is(&word, "(");
        depth -= word_is(&word, ")");
        if (depth == 0) {
            struct bytes command = {parser->words.text.data + from, parser->words.at - from - 1};
            return foreign_copy(command);
        }
    }
}

/* $name, ${name}, %name: `mark` is taken. NULL: no name follows. */
static char *take_macro_name(struct parser *parser, const struct word *mark)
{
    struct word word = words_next(&parser->words);
    bool is_braced = word_is(&word, "{");
    if (is_braced) {
        word = words_next(&parser->words);
    }
    if (word.type != WORD_PLAIN) {
        return NULL;
    }
    if (is_braced) {
        struct word close = words_next(&parser->words);
        if (!word_is(&close, "}")) {
            return NULL;
        }
    }
    AUTO_FREE char *name = foreign_copy(word.text);
    return foreign_format("%c%s", (char)mark->text.data[0], name);
}

/* A text or a number, malloc'ed; a command is not run, but given instead. */
static int take_text(struct parser *parser, char **text_out, char **command_out)
{
    struct word word = words_next(&parser->words);
    *text_out = *command_out = NULL;
    if (word.type == WORD_QUOTED && word.quote == '"') {
        *text_out = expand(parser, word.text);
    } else if (word.type == WORD_QUOTED || word.type == WORD_PLAIN) {
        *text_out = foreign_copy(word.text);
    } else if (word_is(&word, "$") || word_is(&word, "%")) {
        struct word next = words_peek(&parser->words);
        if (word_is(&next, "(")) {
            (void)words_next(&parser->words);
            *command_out = take_command(parser);
        } else {
            AUTO_FREE char *name = take_macro_name(parser, &word);
            const char *value = name == NULL ? NULL : macro_value(parser, name);
            *text_out = value == NULL ? NULL : foreign_format("%s", value);
        }
    }
    if (*text_out == NULL && *command_out == NULL) {
        return mistake(
            parser, word.line,
            "a \"text\", a number or a macro that is set above is missing here; correct it, as "
            "fdm.conf(5) has it");
    }
    return 0;
}

/* A text; a command makes it empty, and is noted. */
static int take_plain_text(struct parser *parser, struct foreign_notes *notes, const char *what,
                           char **out)
{
    unsigned line = parser->words.line;
    AUTO_FREE char *command = NULL;
    if (take_text(parser, out, &command) < 0) {
        return -1;
    }
    if (command != NULL) {
        foreign_note(notes, line,
                     "%s comes from a command, which is not run here: write what it prints", what);
        *out = foreign_format("%s", "");
    }
    return 0;
}

/* $name = value */
static int take_macro(struct parser *parser, const struct word *mark)
{
    char *value;
    char *name = take_macro_name(parser, mark);
    struct word equals = words_next(&parser->words);
    if (name == NULL || !word_is(&equals, "=") || parser->macro_count == MACROS_MOST) {
        free(name);
        return mistake(parser, mark->line, "this is no macro; write $name = \"text\"");
    }
    if (take_plain_text(parser, &parser->out->notes, name, &value) < 0) {
        free(name);
        return -1;
    }
    for (size_t i = 0; i < parser->macro_count; i++) {
        if (strcmp(parser->macros[i].name, name) == 0) {
            foreign_replace(&parser->macros[i].value, value);
            foreign_replace(&value, NULL);
            free(name);
            return 0;
        }
    }
    parser->macros[parser->macro_count++] = (struct macro){name, value};
    return 0;
}

/* "%h" is the home folder, other tags are known when a message comes only. */
static char *make_path(const char *path)
{
    if (strncmp(path, "%h/", 3) == 0) {
        return foreign_format("~/%s", path + 3);
    }
    if (strncmp(path, "%[home]/", 8) == 0) {
        return foreign_format("~/%s", path + 8);
    }
    return foreign_format("%s", path);
}

static bool is_type(const struct word *word)
{
    static const char *const types[] = {"disabled", "stdin",    "pop3", "pop3s",  "imap", "imaps",
                                        "maildir",  "maildirs", "mbox", "mboxes", "nntp", "nntps"};
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        if (word_is(word, types[i])) {
            return true;
        }
    }
    return false;
}

/* [user "x" | users { "x" ... }] */
static void skip_users(struct words *words)
{
    struct word word = words_peek(words);
    if (!word_is(&word, "user") && !word_is(&word, "users")) {
        return;
    }
    (void)words_next(words);
    word = words_next(words);
    bool is_list = word_is(&word, "{");
    while (is_list && word.type != WORD_END && word.type != WORD_OPEN && !word_is(&word, "}")) {
        word = words_next(words);
    }
}

/* In a rule, `account "name"` is a condition. */
static bool is_definition(const struct parser *parser)
{
    struct words ahead = parser->words;
    (void)words_next(&ahead);
    skip_users(&ahead);
    struct word word = words_next(&ahead);
    return is_type(&word);
}

struct pop3 {
    struct foreign_account *account;
    bool has_tls, starts_tls, unverified, keeps;
};

/* Arguments of pop3 and pop3s, in any order, up to a word that is none of them. */
static int take_arguments(struct parser *parser, struct pop3 *pop3)
{
    static const char *const flags[] = {"new-only", "no-apop", "no-uidl", "insecure", "only"};
    struct foreign_account *account = pop3->account;
    for (;;) {
        struct word word = words_peek(&parser->words);
        AUTO_FREE char *key = foreign_copy(word.type == WORD_PLAIN ? word.text : (struct bytes){0});
        bool is_flag = false;
        for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++) {
            is_flag = is_flag || strcmp(key, flags[i]) == 0;
        }
        bool takes_text = strcmp(key, "server") == 0 || strcmp(key, "port") == 0 ||
                          strcmp(key, "user") == 0 || strcmp(key, "pass") == 0 ||
                          strcmp(key, "cache") == 0 || strcmp(key, "pipe") == 0;
        pop3->keeps = pop3->keeps || strcmp(key, "keep") == 0;
        pop3->starts_tls = pop3->starts_tls || strcmp(key, "starttls") == 0;
        pop3->unverified = pop3->unverified || strcmp(key, "no-verify") == 0;
        bool is_word = is_flag || strcmp(key, "keep") == 0 || strcmp(key, "starttls") == 0 ||
                       strcmp(key, "no-verify") == 0 || strcmp(key, "old-only") == 0;
        if (!takes_text && !is_word) {
            return 0;
        }
        (void)words_next(&parser->words);
        if (strcmp(key, "old-only") == 0) {
            foreign_note(&account->notes, word.line, "old-only: restante fetches what is new");
        }
        if (!takes_text) {
            continue;
        }
        char *text;
        AUTO_FREE char *command = NULL;
        if (take_text(parser, &text, &command) < 0) {
            return -1;
        }
        if (command != NULL && strcmp(key, "pass") == 0) {
            foreign_set(account, "password-command", "%s", command);
        } else if (command != NULL) {
            foreign_note(&account->notes, word.line,
                         "%s comes from a command, which is not run here: write what it prints",
                         key);
        } else if (strcmp(key, "pass") == 0) {
            foreign_replace(&account->password, text[0] == '\0' ? NULL : text);
        } else if (strcmp(key, "cache") == 0) {
            free(account->ids_file);
            account->ids_file = make_path(text);
        } else if (strcmp(key, "pipe") == 0) {
            foreign_note(&account->notes, word.line, "pop3 pipe: restante connects by TCP only");
        } else if (strcmp(key, "server") == 0) {
            foreign_set(account, "host", "%s", text);
        } else if (strcmp(key, "port") == 0 &&
                   (strcmp(text, "pop3") == 0 || strcmp(text, "pop3s") == 0)) {
            foreign_set(account, "port", "%d", strcmp(text, "pop3") == 0 ? 110 : 995);
        } else {
            foreign_set(account, strcmp(key, "port") == 0 ? "port" : "user", "%s", text);
        }
        foreign_replace(&text, NULL);
    }
}

static int take_account(struct parser *parser, unsigned line)
{
    AUTO_FREE char *name = NULL;
    if (take_plain_text(parser, &parser->out->notes, "the name of an account", &name) < 0) {
        return -1;
    }
    skip_users(&parser->words);
    struct word type = words_next(&parser->words);
    bool is_disabled = word_is(&type, "disabled");
    if (is_disabled) {
        type = words_next(&parser->words);
    }
    if (!word_is(&type, "pop3") && !word_is(&type, "pop3s")) {
        foreign_note(&parser->out->notes, line,
                     "an account that is not fetched by POP3 is left out");
        return 0;
    }
    if (parser->out->count == FOREIGN_ACCOUNTS_MOST) {
        return mistake(parser, line, "over 1000 accounts are too many; import a part");
    }
    struct pop3 pop3 = {.account = foreign_add(parser->out, name),
                        .has_tls = word_is(&type, "pop3s")};
    struct foreign_account *account = pop3.account;
    if (take_arguments(parser, &pop3) < 0) {
        return -1;
    }
    if (!pop3.has_tls) {
        foreign_set(account, "tls", "%s", pop3.starts_tls ? "stls" : "never");
    }
    if (pop3.unverified) {
        foreign_note(
            &account->notes, line,
            "no-verify: restante checks certificates; if that fails, write ca-file or fingerprint");
    }
    if (pop3.keeps) {
        foreign_set(account, "keep", "yes");
    }
    if (is_disabled) {
        foreign_note(
            &account->notes, line,
            "disabled: restante fetches all accounts where none is named, so this one too");
    }
    if (foreign_get(account, "user") == NULL ||
        (account->password == NULL && foreign_get(account, "password-command") == NULL)) {
        foreign_note(&account->notes, line,
                     "fdm takes what is not said from .netrc: write user, and password-file or "
                     "password-command");
    }
    return 0;
}

/* action NAME maildir|mbox|pipe TEXT: remembered; of others it is only known that they are there. */
static int take_action(struct parser *parser)
{
    static const char *const options[] = {"maildir", "mbox", "pipe"};
    struct words ahead = parser->words;
    struct word name = words_next(&ahead);
    struct word type = words_next(&ahead);
    for (size_t i = 0; i < sizeof options / sizeof options[0]; i++) {
        if (name.type == WORD_QUOTED && word_is(&type, options[i]) &&
            parser->action_count < ACTIONS_MOST) {
            struct action *action = &parser->actions[parser->action_count];
            AUTO_FREE char *text = NULL;
            parser->words = ahead;
            if (take_plain_text(parser, &parser->out->notes, "the place of an action", &text) < 0) {
                return -1;
            }
            action->name = foreign_copy(name.text);
            action->option = foreign_format("%s", options[i]);
            action->path = i == 2 ? foreign_format("%s", text) : make_path(text);
            parser->action_count++;
            return 0;
        }
    }
    return 0;
}

static void take_rule(struct parser *parser)
{
    struct words ahead = parser->words;
    struct word all = words_next(&ahead);
    struct word action = words_next(&ahead);
    struct word name = words_next(&ahead);
    parser->rules++;
    if (word_is(&all, "all") && word_is(&action, "action") && name.type == WORD_QUOTED) {
        free(parser->only_action);
        parser->only_action = foreign_copy(name.text);
        parser->words = ahead;
    }
}

static int take_setting(struct parser *parser)
{
    struct word name = words_next(&parser->words);
    if (word_is(&name, "maximum-size")) {
        struct word size = words_next(&parser->words);
        size_t digits = 0;
        while (digits < size.text.size && size.text.data[digits] >= '0' &&
               size.text.data[digits] <= '9') {
            digits++;
        }
        struct word unit = words_peek(&parser->words);
        uint8_t letter = digits < size.text.size                          ? size.text.data[digits]
                         : unit.type == WORD_PLAIN && unit.text.size != 0 ? unit.text.data[0]
                                                                          : 0;
        unsigned shift = letter == 'K' || letter == 'k'   ? 10
                         : letter == 'M' || letter == 'm' ? 20
                         : letter == 'G' || letter == 'g' ? 30
                                                          : 0;
        if (number_parse((struct bytes){size.text.data, digits}, UINT32_MAX, &parser->most_octets) <
            0) {
            return mistake(parser, name.line, "maximum-size takes a size; write one, like 32M");
        }
        parser->most_octets <<= shift;
    } else if (word_is(&name, "proxy")) {
        foreign_note(&parser->out->notes, name.line, "proxy has no counterpart");
    }
    return 0;
}

static int parse_words(struct parser *parser);

static int take_include(struct parser *parser, unsigned line)
{
    AUTO_FREE char *name = NULL;
    struct bytes text = {0};
    if (take_plain_text(parser, &parser->out->notes, "the name of a file", &name) < 0) {
        return -1;
    }
    AUTO_FREE char *path = make_path(name);
    if (path[0] != '/' && path[0] != '~') {
        const char *slash = strrchr(parser->file, '/');
        char *beside = foreign_format("%.*s%s", slash == NULL ? 0 : (int)(slash - parser->file) + 1,
                                      parser->file, path);
        free(path);
        path = beside;
    }
    if (parser->out->include == NULL || parser->out->includes == FOREIGN_INCLUDES_MOST ||
        parser->out->include(parser->out->owner, path, &text) < 0) {
        return mistake(parser, line,
                       "the included file cannot be read; correct its name, or remove the line");
    }
    parser->out->includes++;
    struct words words = parser->words;
    const char *file = parser->file;
    parser->words.text = text;
    parser->words.at = 0;
    parser->words.line = 1;
    parser->file = path;
    int result = parse_words(parser);
    parser->words = words;
    parser->file = file;
    free((void *)(uintptr_t)text.data);
    return result;
}

static int take_condition(struct parser *parser, const struct word *word)
{
    bool negated = word_is(word, "ifndef");
    if (word_is(word, "endif")) {
        if (parser->conditions == 0) {
            return mistake(parser, word->line, "endif without ifdef; remove it");
        }
        parser->skipped = parser->skipped == parser->conditions ? 0 : parser->skipped;
        parser->conditions--;
        return 0;
    }
    struct word mark = words_next(&parser->words);
    bool is_macro = word_is(&mark, "$") || word_is(&mark, "%");
    AUTO_FREE char *name = is_macro ? take_macro_name(parser, &mark) : NULL;
    if (name == NULL) {
        return mistake(parser, word->line, "a condition asks for a macro; write ifdef $name");
    }
    parser->conditions++;
    if (parser->skipped == 0 && (macro_value(parser, name) != NULL) == negated) {
        parser->skipped = parser->conditions;
    }
    return 0;
}

static int take_word(struct parser *parser, const struct word *word)
{
    if (word->type == WORD_OPEN) {
        return mistake(parser, word->line, "a quoted text is not closed; write its closing quote");
    }
    if (word_is(word, "ifdef") || word_is(word, "ifndef") || word_is(word, "endif")) {
        return take_condition(parser, word);
    }
    if (parser->skipped != 0) {
        return 0;
    }
    if (word_is(word, "$") || word_is(word, "%")) {
        struct words ahead = parser->words;
        struct word name = words_next(&ahead);
        struct word equals = words_next(&ahead);
        return name.type == WORD_PLAIN && word_is(&equals, "=") ? take_macro(parser, word) : 0;
    }
    if (word_is(word, "account")) {
        return is_definition(parser) ? take_account(parser, word->line) : 0;
    }
    if (word_is(word, "action")) {
        return take_action(parser);
    }
    if (word_is(word, "match")) {
        take_rule(parser);
        return 0;
    }
    if (word_is(word, "include")) {
        return take_include(parser, word->line);
    }
    return word_is(word, "set") ? take_setting(parser) : 0;
}

static int parse_words(struct parser *parser)
{
    for (;;) {
        struct word word = words_next(&parser->words);
        if (word.type == WORD_END) {
            return 0;
        }
        if (take_word(parser, &word) < 0) {
            return -1;
        }
    }
}

static const struct action *only_place(const struct parser *parser)
{
    for (size_t i = 0;
         parser->rules == 1 && parser->only_action != NULL && i < parser->action_count; i++) {
        const struct action *action = &parser->actions[i];
        bool has_tag = strcmp(action->option, "pipe") != 0 && strchr(action->path, '%') != NULL;
        bool is_place = strcmp(action->option, "pipe") == 0 || foreign_is_path(action->path);
        if (strcmp(action->name, parser->only_action) == 0 && is_place && !has_tag) {
            return action;
        }
    }
    return NULL;
}

static void finish_accounts(struct parser *parser)
{
    const struct action *place = only_place(parser);
    for (size_t i = 0; i < parser->out->count; i++) {
        struct foreign_account *account = parser->out->accounts[i];
        if (parser->most_octets != 0) {
            foreign_set(account, "max-size", "%llu", (unsigned long long)parser->most_octets);
        }
        if (place != NULL) {
            foreign_set(account,
                        strcmp(place->option, "maildir") == 0 ? "maildir"
                        : strcmp(place->option, "mbox") == 0  ? "mbox"
                                                              : "pipe",
                        "%s", place->path);
        } else {
            foreign_note(
                &account->notes, 0,
                "restante has no rules (match): all mail goes into one place, a Maildir unless you "
                "write mbox, pipe or lmtp; a filter of mail can stand in the pipe");
        }
    }
}

int foreign_parse_fdm(struct bytes text, const char *file, struct foreign *out, struct error *error)
{
    struct parser *parser = calloc(1, sizeof *parser);
    if (parser == NULL) {
        abort();
    }
    parser->words = (struct words){
        .text = text, .line = 1, .marks = "$%=!~+(),<>{}*", .ignored = "", .escapes = true};
    parser->file = file;
    parser->out = out;
    parser->error = error;
    int result = parse_words(parser);
    if (result == 0) {
        finish_accounts(parser);
    }
    for (size_t i = 0; i < parser->macro_count; i++) {
        free(parser->macros[i].name);
        foreign_replace(&parser->macros[i].value, NULL);
    }
    for (size_t i = 0; i < parser->action_count; i++) {
        free(parser->actions[i].name);
        free(parser->actions[i].option);
        free(parser->actions[i].path);
    }
    free(parser->only_action);
    free(parser);
    return result;
}
