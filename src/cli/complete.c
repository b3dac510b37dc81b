/* SPDX-License-Identifier: MIT */
/* restante complete: what the shells' completions in packaging/completions ask. So all shells offer what this
 * very program understands, and the files for them know no option. */
#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "cli/cli.h"
#include "cli/options.h"
#include "fetch/configuration.h"
#include "sasl/mechanism.h"

/* A command line up to the word that is completed. */
struct line {
    enum cli_command command;
    const char *configuration; /* of fetch; NULL: the usual one */
    const char *operands[2];   /* the first ones */
    size_t operand_count;
    bool has_options_ended; /* by -- */
    bool is_value;          /* the next word is the value of `option` */
    struct cli_option option;
};

static void offer_kind(const char *kind)
{
    (void)puts(kind);
}

static void offer(const char *word, const char *meaning)
{
    (void)printf("%s\t%s\n", word, meaning);
}

static bool find_option(enum cli_command command, const char *name, size_t size,
                        struct cli_option *option_out)
{
    for (size_t i = 0; cli_option_at(command, i, option_out); i++) {
        if (strlen(option_out->name) == size && strncmp(option_out->name, name, size) == 0) {
            return true;
        }
    }
    return false;
}

static bool find_letter(enum cli_command command, int letter, struct cli_option *option_out)
{
    for (size_t i = 0; cli_option_at(command, i, option_out); i++) {
        if (option_out->letter == letter) {
            return true;
        }
    }
    return false;
}

static void take_value(struct line *line, const char *value)
{
    line->is_value = false;
    if (line->command == CLI_FETCH && strcmp(line->option.name, "config") == 0) {
        line->configuration = value;
    }
}

static void take_long_option(struct line *line, const char *word)
{
    size_t size = strcspn(word, "=");
    if (!find_option(line->command, word, size, &line->option)) {
        return;
    }
    if (word[size] == '=') {
        take_value(line, word + size + 1);
    } else {
        line->is_value = line->option.argument != NULL && !line->option.may_be_bare;
    }
}

/* Letters of options, the last one perhaps with its value. */
static void take_letters(struct line *line, const char *word)
{
    for (; *word != '\0' && find_letter(line->command, *word, &line->option); word++) {
        if (line->option.argument != NULL) {
            if (word[1] != '\0') {
                take_value(line, word + 1);
            } else {
                line->is_value = true;
            }
            return;
        }
    }
}

static void take_word(struct line *line, const char *word)
{
    if (line->is_value) {
        take_value(line, word);
    } else if (line->has_options_ended || word[0] != '-' || word[1] == '\0') {
        if (line->operand_count < sizeof line->operands / sizeof *line->operands) {
            line->operands[line->operand_count] = word;
        }
        line->operand_count++;
    } else if (strcmp(word, "--") == 0) {
        line->has_options_ended = true;
    } else if (word[1] == '-') {
        take_long_option(line, word + 2);
    } else {
        take_letters(line, word + 1);
    }
}

static void offer_mechanisms(void)
{
    offer("USER", "the password, by USER and PASS");
    for (enum sasl_mechanism mechanism = 0; mechanism < SASL_MECHANISM_COUNT; mechanism++) {
        if (mechanism != SASL_EXTERNAL) {
            offer(sasl_mechanism_name(mechanism), "mechanism");
        }
    }
}

/* One alternative of an argument; of a placeholder what stands before its first capital. */
static void offer_alternative(const char *text, size_t size, const char *meaning)
{
    char word[64];
    size_t length = 0;
    while (length < size && length + 1 < sizeof word && !isupper((unsigned char)text[length])) {
        word[length] = text[length];
        length++;
    }
    word[length] = '\0';
    if (length > 0) {
        offer(word, meaning);
    } else if (size == strlen("MECHANISM") && strncmp(text, "MECHANISM", size) == 0) {
        offer_mechanisms();
    }
}

static void offer_values(const struct cli_option *option)
{
    const char *argument = option->argument;
    if (strcmp(argument, "FILE") == 0 || strcmp(argument, "DIR") == 0) {
        offer_kind(argument[0] == 'F' ? "files" : "folders");
        return;
    }
    offer_kind("words");
    while (*argument != '\0') {
        size_t size = strcspn(argument, "|");
        offer_alternative(argument, size, option->help);
        argument += size + (argument[size] == '|');
    }
}

static void offer_options(enum cli_command command)
{
    struct cli_option option;
    offer_kind("words");
    for (size_t i = 0; cli_option_at(command, i, &option); i++) {
        char word[64];
        (void)snprintf(word, sizeof word, "--%s", option.name);
        offer(word, option.help);
        if (option.letter != 0) {
            (void)snprintf(word, sizeof word, "-%c", option.letter);
            offer(word, option.help);
        }
    }
}

static bool is_harmless(const char *text)
{
    while (*text != '\0' && !iscntrl((unsigned char)*text)) {
        text++;
    }
    return *text == '\0';
}

/* A mistake in the file is for fetch to tell. */
static void offer_accounts(const char *path)
{
    struct fetch_configuration configuration = {0};
    (void)!fetch_configuration_load(&configuration, path);
    for (size_t i = 0; i < configuration.count; i++) {
        const struct fetch_account *account = configuration.accounts[i];
        if (is_harmless(account->name)) {
            bool has_host = account->host != NULL && is_harmless(account->host);
            offer(account->name, has_host ? account->host : "account");
        }
    }
    fetch_configuration_finish(&configuration);
}

static void offer_words_of_user(const struct line *line)
{
    if (line->operand_count == 0) {
        offer("add", "a new account");
        offer("passwd", "another password");
        offer("remove", "an account goes");
        offer("check", "is a password right?");
        offer("list", "all accounts");
        offer("app-password", "passwords for one device each");
        offer("rules", "from where and how an account may log in");
    } else if (line->operand_count == 1 && strcmp(line->operands[0], "app-password") == 0) {
        offer("add", "one more");
        offer("revoke", "it counts no more");
        offer("list", "those of an account");
    }
}

static void offer_operands(const struct line *line)
{
    offer_kind("words");
    if (line->command == CLI_USER) {
        offer_words_of_user(line);
    }
    if (line->command == CLI_FETCH || (line->command == CLI_TOKEN && line->operand_count == 0)) {
        offer_accounts(line->configuration);
    }
#ifdef RESTANTE_HAS_READER
    if ((line->command == CLI_LIST && line->operand_count == 0) ||
        (line->command == CLI_SHOW && line->operand_count == 1)) {
        offer_accounts(NULL);
    }
#endif
}

static void complete_word(struct line *line, const char *word)
{
    size_t size = strcspn(word, "=");
    bool is_option = !line->has_options_ended && word[0] == '-';
    if (line->is_value) {
        offer_values(&line->option);
    } else if (is_option && strncmp(word, "--", 2) == 0 && word[size] == '=') {
        if (find_option(line->command, word + 2, size - 2, &line->option) &&
            line->option.argument != NULL) {
            offer_values(&line->option);
        } else {
            offer_kind("words");
        }
    } else if (is_option) {
        offer_options(line->command);
    } else {
        offer_operands(line);
    }
}

static void offer_commands(void)
{
    offer_kind("words");
    for (enum cli_command command = 0; command < CLI_COMMANDS; command++) {
        offer(cli_command_name(command), cli_command_summary(command));
    }
    offer("--help", "the subcommands");
    offer("--version", "the version");
}

int cli_complete(int argc, char **argv)
{
    struct line line = {.command = CLI_COMMANDS};
    if (argc < 2) {
        (void)fputs("restante complete: the words of a command line must be given\n", stderr);
        return EX_USAGE;
    }
    if (argc == 2) {
        offer_commands();
        return EX_OK;
    }
    for (enum cli_command command = 0; command < CLI_COMMANDS; command++) {
        if (strcmp(argv[1], cli_command_name(command)) == 0) {
            line.command = command;
        }
    }
    if (line.command == CLI_COMMANDS) {
        offer_kind("words");
        return EX_OK;
    }
    for (int i = 2; i < argc - 1; i++) {
        take_word(&line, argv[i]);
    }
    complete_word(&line, argv[argc - 1]);
    return EX_OK;
}
