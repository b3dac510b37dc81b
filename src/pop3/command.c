/* SPDX-License-Identifier: MIT */
/* The command table, the parser that it drives, and CAPA, which it answers (RFC 1939 section 3, RFC 2449
 * sections 3 to 6). A handler sees only commands that are legal here and now, with parsed numbers. */
#include "pop3/command.h"

#include "base/number.h"
#include "pop3/session.h"

enum {
    AUTH = 1U << POP3_AUTHORIZATION,
    TRAN = 1U << POP3_TRANSACTION,
};

/* In the order in which CAPA tells. */
static const struct command commands[] = {
    {"TOP", "TOP", TRAN, 2, 2, {ARGUMENT_MESSAGE, ARGUMENT_LINES}, OFFER_ALWAYS, handle_top},
    {"USER", "USER", AUTH, 1, 1, {ARGUMENT_NAME}, OFFER_PASSWORD, handle_user},
    {"PASS", NULL, AUTH, 1, 1, {ARGUMENT_REST}, OFFER_PASSWORD, handle_pass},
    {"APOP", NULL, AUTH, 2, 2, {ARGUMENT_NAME, ARGUMENT_TEXT}, OFFER_APOP, handle_apop},
    {"AUTH", "SASL", AUTH, 0, 2, {ARGUMENT_TEXT, ARGUMENT_TEXT}, OFFER_SASL, handle_auth},
    {"STLS", "STLS", AUTH, 0, 0, {0}, OFFER_STLS, handle_stls},
    {"UIDL", "UIDL", TRAN, 0, 1, {ARGUMENT_MESSAGE}, OFFER_ALWAYS, handle_uidl},
    {"UTF8", "UTF8", AUTH, 0, 0, {0}, OFFER_UTF8, handle_utf8},
    {"LANG", "LANG", AUTH | TRAN, 0, 1, {ARGUMENT_TEXT}, OFFER_ALWAYS, handle_lang},
    {"CAPA", NULL, AUTH | TRAN, 0, 0, {0}, OFFER_ALWAYS, handle_capa},
    {"XCLIENT", "XCLIENT", AUTH, 1, 1, {ARGUMENT_REST}, OFFER_XCLIENT, handle_xclient},
    {"STAT", NULL, TRAN, 0, 0, {0}, OFFER_ALWAYS, handle_stat},
    {"LIST", NULL, TRAN, 0, 1, {ARGUMENT_MESSAGE}, OFFER_ALWAYS, handle_list},
    {"RETR", NULL, TRAN, 1, 1, {ARGUMENT_MESSAGE}, OFFER_ALWAYS, handle_retr},
    {"DELE", NULL, TRAN, 1, 1, {ARGUMENT_MESSAGE}, OFFER_ALWAYS, handle_dele},
    {"NOOP", NULL, TRAN, 0, 0, {0}, OFFER_ALWAYS, handle_noop},
    {"RSET", NULL, TRAN, 0, 0, {0}, OFFER_ALWAYS, handle_rset},
    {"QUIT", NULL, AUTH | TRAN, 0, 0, {0}, OFFER_ALWAYS, handle_quit},
};

enum { COMMAND_COUNT = sizeof commands / sizeof commands[0] };

static const struct command *find(struct bytes keyword)
{
    for (size_t i = 0; i < COMMAND_COUNT && keyword.size > 0; i++) {
        bool may_be = ((keyword.data[0] ^ (uint8_t)commands[i].keyword[0]) & ~0x20) == 0;
        if (may_be && bytes_equal_ignoring_case(keyword, bytes_of(commands[i].keyword))) {
            return &commands[i];
        }
    }
    return NULL;
}

/* TEXT_NONE if the connection allows it, else why not. */
static enum text check_offer(const struct pop3_server *session, enum offer offer)
{
    const struct pop3_server_connection *connection = session->connection;
    bool offered = true;
    enum text otherwise = TEXT_NOT_OFFERED;
    switch (offer) {
    case OFFER_ALWAYS:
        break;
    case OFFER_PASSWORD:
        offered = connection->user_allowed != 0;
        otherwise = connection->encrypted ? TEXT_NOT_OFFERED : TEXT_NEEDS_TLS;
        break;
    case OFFER_APOP:
        offered = connection->timestamp != NULL;
        break;
    case OFFER_SASL:
        offered = connection->sasl_mechanisms != NULL;
        break;
    case OFFER_STLS:
        offered = connection->starttls != 0;
        otherwise = connection->encrypted ? TEXT_ALREADY_TLS : TEXT_NOT_OFFERED;
        break;
    case OFFER_UTF8:
        offered = session->options->utf8 != 0;
        break;
    case OFFER_XCLIENT:
        offered = connection->xclient != 0 && !session->client_taken;
        break;
    }
    return offered ? TEXT_NONE : otherwise;
}

static bool has_8bit(struct bytes octets)
{
    uint8_t all = 0;
    for (size_t i = 0; i < octets.size; i++) {
        all |= octets.data[i];
    }
    return all >= 0x80;
}

static struct reply check_message(const struct pop3_server *session, struct bytes text,
                                  uint64_t *number)
{
    if (number_parse(text, UINT64_MAX, number) < 0 || *number == 0) {
        return reply_of(TEXT_NO_MESSAGE_NUMBER);
    }
    if (*number > session->count) {
        return (struct reply){.text = TEXT_NO_SUCH_MESSAGE, .numbers = {session->count}};
    }
    if (session_is_marked(session, *number)) {
        return (struct reply){.text = TEXT_IS_MARKED, .numbers = {*number}};
    }
    return reply_of(TEXT_NONE);
}

static struct reply check_argument(const struct pop3_server *session, enum argument_kind kind,
                                   struct bytes text, uint64_t *number)
{
    switch (kind) {
    case ARGUMENT_TEXT:
    case ARGUMENT_NAME:
    case ARGUMENT_REST:
        break;
    case ARGUMENT_MESSAGE:
        return check_message(session, text, number);
    case ARGUMENT_LINES:
        if (number_parse(text, UINT64_MAX, number) < 0) {
            return reply_of(TEXT_NO_LINE_NUMBER);
        }
        break;
    }
    return reply_of(TEXT_NONE);
}

/* Cuts what follows the keyword into arguments. False if they are more than there can be. */
static bool split(struct bytes rest, bool takes_rest, struct arguments *arguments)
{
    if (takes_rest) {
        arguments->count = rest.size == 0 ? 0 : 1;
        arguments->text[0] = rest;
        return true;
    }
    while (rest.size != 0) {
        size_t end = bytes_find(rest, ' ');
        if (end != 0) {
            if (arguments->count == COMMAND_ARGUMENTS_MOST) {
                return false;
            }
            arguments->text[arguments->count++] = (struct bytes){.data = rest.data, .size = end};
        }
        rest = bytes_from(rest, end + 1);
    }
    return true;
}

static struct reply parse_arguments(const struct pop3_server *session,
                                    const struct command *command, struct bytes rest,
                                    struct arguments *arguments)
{
    *arguments = (struct arguments){0};
    bool fits = split(rest, command->kinds[0] == ARGUMENT_REST, arguments);
    if (!fits || arguments->count > command->most) {
        return reply_of(TEXT_TOO_MANY);
    }
    if (arguments->count < command->least) {
        return reply_of(TEXT_MISSING);
    }
    for (unsigned i = 0; i < arguments->count; i++) {
        struct reply reply =
            check_argument(session, command->kinds[i], arguments->text[i], &arguments->numbers[i]);
        if (reply.text != TEXT_NONE) {
            return reply;
        }
    }
    return reply_of(TEXT_NONE);
}

static bool allows_8bit(const struct command *command)
{
    return command->kinds[0] == ARGUMENT_NAME || command->kinds[0] == ARGUMENT_REST;
}

struct reply command_parse(const struct pop3_server *session, struct bytes line,
                           const struct command **command_out, struct arguments *arguments_out)
{
    struct bytes keyword = {.data = line.data, .size = bytes_find(line, ' ')};
    struct bytes rest = bytes_from(line, keyword.size + 1);
    if (keyword.size > 1 && keyword.data[keyword.size - 1] == ':') {
        keyword.size--; /* some clients write "LIST: 1" */
    }
    const struct command *command = find(keyword);
    if (bytes_find(line, '\0') < line.size ||
        has_8bit(command != NULL && allows_8bit(command) ? keyword : line)) {
        return reply_of(TEXT_BAD_OCTET);
    }
    if (command == NULL) {
        return reply_of(TEXT_UNKNOWN_COMMAND);
    }
    if ((command->states & 1U << session->state) == 0) {
        return reply_of(session->state == POP3_AUTHORIZATION ? TEXT_LOG_IN_FIRST : TEXT_ALREADY_IN);
    }
    enum text refused = check_offer(session, command->offer);
    if (refused != TEXT_NONE) {
        return reply_of(refused);
    }
    *command_out = command;
    return parse_arguments(session, command, rest, arguments_out);
}

/* Is the command's capability told in this state? RFC 2449 section 5: what AUTHORIZATION offers is told
 * in both. STLS alone is told only where it is legal (RFC 2595 section 8). */
static bool is_announced(const struct pop3_server *session, const struct command *command)
{
    if (command->capability == NULL || check_offer(session, command->offer) != TEXT_NONE) {
        return false;
    }
    return (command->offer != OFFER_STLS && command->offer != OFFER_XCLIENT) ||
           session->state == POP3_AUTHORIZATION;
}

static void append_command(const struct pop3_server *session, const struct command *command,
                           struct buffer *out)
{
    const char *argument = "";
    if (command->offer == OFFER_SASL) {
        argument = session->connection->sasl_mechanisms;
    } else if (command->offer == OFFER_UTF8 && session->options->utf8_user != 0) {
        argument = "USER";
    }
    reply_append_line(out, bytes_of(command->capability), bytes_of(argument));
}

enum behaviour {
    BEHAVIOUR_RESP_CODES,
    BEHAVIOUR_AUTH_RESP_CODE,
    BEHAVIOUR_PIPELINING,
    BEHAVIOUR_LOGIN_DELAY,
    BEHAVIOUR_EXPIRE,
    BEHAVIOUR_IMPLEMENTATION,
    BEHAVIOUR_COUNT
};

/* A capability that is no command, if it is announced. */
static void append_behaviour(const struct pop3_server *session, enum behaviour behaviour,
                             struct buffer *out)
{
    static const char *const tags[BEHAVIOUR_COUNT] = {
        "RESP-CODES", "AUTH-RESP-CODE", "PIPELINING", "LOGIN-DELAY", "EXPIRE", "IMPLEMENTATION"};
    const struct pop3_server_options *options = session->options;
    uint8_t digits[20];
    struct bytes argument = {0};
    bool announced = true;
    if (behaviour == BEHAVIOUR_LOGIN_DELAY) {
        announced = options->login_delay_seconds != 0;
        argument.data = digits;
        argument.size = number_format(options->login_delay_seconds, digits);
    } else if (behaviour == BEHAVIOUR_EXPIRE) {
        announced = options->expire != NULL;
        argument = announced ? bytes_of(options->expire) : argument;
    } else if (behaviour == BEHAVIOUR_IMPLEMENTATION) {
        announced = options->implementation != NULL && session->state == POP3_TRANSACTION;
        argument = announced ? bytes_of(options->implementation) : argument;
    }
    if (announced) {
        reply_append_line(out, bytes_of(tags[behaviour]), argument);
    }
}

bool command_append_capability(const struct pop3_server *session, unsigned index,
                               struct buffer *out)
{
    if (index >= COMMAND_COUNT) {
        index -= COMMAND_COUNT;
        if (index < BEHAVIOUR_COUNT) {
            append_behaviour(session, (enum behaviour)index, out);
        }
        return index < BEHAVIOUR_COUNT;
    }
    if (is_announced(session, &commands[index])) {
        append_command(session, &commands[index], out);
    }
    return true;
}
