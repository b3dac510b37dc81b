/* SPDX-License-Identifier: MIT */
/* What the server answers, outside messages: first lines, response codes (RFC 2449 section 8, RFC 3206), rows,
 * challenges (RFC 5034 section 4). Lenient where a server may mean nothing but what we understand (more
 * spaces, text behind a row), strict where a guess could put replies out of step with commands. */
#include <pop3/client.h>

#include "base/base64.h"
#include "base/number.h"
#include "pop3/client_session.h"

/* "+OK" or "-ERR", alone or with a space and more. */
static bool has_status(struct bytes line, const char *status, struct bytes *rest)
{
    size_t size = strlen(status);
    if (line.size < size || memcmp(line.data, status, size) != 0 ||
        (line.size > size && line.data[size] != ' ')) {
        return false;
    }
    *rest = bytes_from(line, size + 1);
    return true;
}

/* Is `code` this one, or below it in the hierarchy? */
static bool is_code(struct bytes code, const char *name)
{
    size_t size = strlen(name);
    struct bytes front = {.data = code.data, .size = size};
    return code.size >= size && (code.size == size || code.data[size] == '/') &&
           bytes_equal_ignoring_case(front, bytes_of(name));
}

static enum pop3_client_code code_of(struct bytes code)
{
    static const struct {
        const char *name;
        enum pop3_client_code code;
    } codes[] = {
        {"LOGIN-DELAY", POP3_CLIENT_CODE_LOGIN_DELAY},
        {"IN-USE", POP3_CLIENT_CODE_IN_USE},
        {"SYS/TEMP", POP3_CLIENT_CODE_SYS_TEMP},
        {"SYS/PERM", POP3_CLIENT_CODE_SYS_PERM},
        {"AUTH", POP3_CLIENT_CODE_AUTH},
        {"UTF8", POP3_CLIENT_CODE_UTF8},
    };
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
        if (is_code(code, codes[i].name)) {
            return codes[i].code;
        }
    }
    return POP3_CLIENT_CODE_OTHER;
}

/* Takes "[CODE]" and one space from the front of the text, if that is what it is. */
static void take_code(struct pop3_client_event *event, struct bytes *text)
{
    if (text->size == 0 || text->data[0] != '[') {
        return;
    }
    struct bytes code = bytes_from(*text, 1);
    code.size = bytes_find(code, ']');
    bool whole = 1 + code.size < text->size;
    for (size_t i = 0; i < code.size; i++) {
        whole = whole && code.data[i] > 0x20 && code.data[i] < 0x7f && code.data[i] != '[';
    }
    if (!whole || code.size == 0) {
        return;
    }
    event->u.reply.code = code_of(code);
    event->u.reply.code_text = (const char *)code.data;
    event->u.reply.code_size = code.size;
    *text = bytes_from(*text, code.size + 2);
    if (text->size != 0 && text->data[0] == ' ') {
        *text = bytes_from(*text, 1);
    }
}

/* A message's number and what LIST or UIDL says of it. */
static int parse_row(enum pop3_client_command command, struct bytes line, uint32_t *number,
                     uint64_t *octets, struct bytes *unique_id)
{
    uint64_t value;
    if (number_parse(client_take_word(&line), UINT32_MAX, &value) < 0 || value == 0) {
        return -1;
    }
    *number = (uint32_t)value;
    if (command == POP3_CLIENT_UIDL) {
        *unique_id = line;
        return 0;
    }
    return number_parse(client_take_word(&line), UINT64_MAX, octets);
}

/* What STAT, LIST n and UIDL n say in their first line. -1: it does not fit the command. */
static int parse_facts(struct pop3_client_event *event, struct bytes text)
{
    enum pop3_client_command command = event->u.reply.command;
    uint32_t number = 0;
    uint64_t count;
    struct bytes unique_id = {0};
    if (command == POP3_CLIENT_STAT) {
        if (number_parse(client_take_word(&text), UINT32_MAX, &count) < 0) {
            return -1;
        }
        event->u.reply.count = (uint32_t)count;
        return number_parse(client_take_word(&text), UINT64_MAX, &event->u.reply.octets);
    }
    bool row = command == POP3_CLIENT_LIST || command == POP3_CLIENT_UIDL;
    if (!row || event->u.reply.number == 0) {
        return 0;
    }
    if (parse_row(command, text, &number, &event->u.reply.octets, &unique_id) < 0 ||
        number != event->u.reply.number) {
        return -1;
    }
    event->u.reply.unique_id = (const char *)unique_id.data;
    event->u.reply.unique_id_size = unique_id.size;
    return 0;
}

static void end_exchange(struct pop3_client *client)
{
    client->exchange = client->initial = client->cancel_due = false;
    client->response = (struct bytes){0};
    client->lent = (struct buffer){0};
}

static void log_in(struct pop3_client *client)
{
    client->state = POP3_CLIENT_TRANSACTION;
    client_ask_capabilities(client);
}

static void greet(struct pop3_client *client, bool ok, struct bytes text)
{
    if (!ok) {
        client_fail(client, POP3_CLIENT_ERROR_REFUSED, text);
        return;
    }
    client->state = POP3_CLIENT_AUTHORIZATION;
    client_find_timestamp(client, text);
    client_ask_capabilities(client);
}

/* The command has its reply in full; what changes with it. */
static void conclude(struct pop3_client *client, const struct client_command *command, bool ok,
                     struct bytes text)
{
    client_end_command(client);
    switch ((enum pop3_client_command)command->command) {
    case POP3_CLIENT_CONNECT:
        greet(client, ok, text);
        break;
    case POP3_CLIENT_CAPA:
        client_begin_capabilities(client);
        client->capabilities.absent = 1;
        client->capa_unknown = true;
        client->capabilities_due = true;
        break;
    case POP3_CLIENT_STLS:
        client->starttls_due = ok;
        break;
    case POP3_CLIENT_UTF8:
        client->utf8 = ok;
        break;
    case POP3_CLIENT_USER:
        client->user_accepted = ok;
        break;
    case POP3_CLIENT_AUTH:
        end_exchange(client);
        if (ok) {
            log_in(client);
        }
        break;
    case POP3_CLIENT_PASS:
    case POP3_CLIENT_APOP:
        if (ok) {
            log_in(client);
        }
        break;
    case POP3_CLIENT_QUIT:
        client_fail(client, POP3_CLIENT_ERROR_NONE, (struct bytes){0});
        break;
    case POP3_CLIENT_STAT:
    case POP3_CLIENT_LIST:
    case POP3_CLIENT_UIDL:
    case POP3_CLIENT_TOP:
    case POP3_CLIENT_RETR:
    case POP3_CLIENT_DELE:
    case POP3_CLIENT_RSET:
    case POP3_CLIENT_NOOP:
        break;
    }
}

/* What follows a first line; READING_REPLY if that was all. */
static enum client_reading what_follows(const struct client_command *command, bool ok)
{
    bool listing = command->command == POP3_CLIENT_LIST || command->command == POP3_CLIENT_UIDL;
    bool message = command->command == POP3_CLIENT_RETR || command->command == POP3_CLIENT_TOP;
    if (!ok) {
        return READING_REPLY;
    }
    if (command->command == POP3_CLIENT_CAPA) {
        return READING_CAPABILITIES;
    }
    if (message) {
        return READING_MESSAGE;
    }
    return listing && command->number == 0 ? READING_ROWS : READING_REPLY;
}

static uint32_t most_messages(const struct pop3_client *client)
{
    uint32_t most = client->options->max_messages;
    return most == 0 ? POP3_CLIENT_ROWS_MOST : most;
}

static void obey_reply(struct pop3_client *client, struct bytes line)
{
    struct client_command command = *client_answered(client);
    struct bytes text;
    bool ok = has_status(line, "+OK", &text);
    /* Half a response is out: what the server made of it cannot be known. */
    if ((!ok && !has_status(line, "-ERR", &text)) || client->responding) {
        client_fail(client, POP3_CLIENT_ERROR_REPLY, line);
        return;
    }
    struct pop3_client_event *event = client_tell(client, POP3_CLIENT_REPLY);
    event->u.reply.command = (enum pop3_client_command)command.command;
    event->u.reply.number = command.number;
    event->u.reply.ok = ok;
    event->u.reply.pipelined = command.pipelined;
    event->u.reply.cancelled = client->exchange && client->cancelled;
    take_code(event, &text);
    event->u.reply.text = (const char *)text.data;
    event->u.reply.text_size = text.size;
    bool fits = !ok || parse_facts(event, text) == 0;
    if (!fits || event->u.reply.count > most_messages(client)) {
        client->event_due = false;
        client_fail(client, fits ? POP3_CLIENT_ERROR_MANY : POP3_CLIENT_ERROR_REPLY, line);
        return;
    }
    client->distrusted = client->distrusted || (!ok && command.pipelined);
    client->reading = what_follows(&command, ok);
    client->rows = 0;
    client->message_octets = 0;
    client->message = UNSTUFF_LINE_START;
    if (client->reading == READING_REPLY) {
        conclude(client, &command, ok, text);
    } else if (client->reading == READING_CAPABILITIES) {
        client_begin_capabilities(client);
    }
}

/* The line behind "+ ". RFC 5034 section 4: what is no base64 MUST be answered with "*". */
static void obey_challenge(struct pop3_client *client, uint8_t *text, size_t size)
{
    size_t decoded = 0;
    if (client->responding || client->cancelled) {
        client_fail(client, POP3_CLIENT_ERROR_REPLY, (struct bytes){0});
    } else if (base64_decode(text, size, &decoded) < 0 || (client->initial && decoded != 0)) {
        client_cancel(client);
    } else if (client->initial) {
        client->initial = false;
        client->responding = true;
    } else {
        client->challenge = (struct bytes){.data = text, .size = decoded};
        client->challenge_due = true;
    }
}

static void obey_row(struct pop3_client *client, struct bytes line)
{
    enum pop3_client_command command = (enum pop3_client_command)client_answered(client)->command;
    uint32_t number = 0;
    uint64_t octets = 0;
    struct bytes unique_id = {0};
    if (client->rows == most_messages(client)) {
        client_fail(client, POP3_CLIENT_ERROR_MANY, line);
        return;
    }
    if (parse_row(command, line, &number, &octets, &unique_id) < 0) {
        client_fail(client, POP3_CLIENT_ERROR_ROW, line);
        return;
    }
    client->rows++;
    struct pop3_client_event *event = client_tell(client, POP3_CLIENT_ROW);
    event->u.row.command = command;
    event->u.row.number = number;
    event->u.row.octets = octets;
    event->u.row.unique_id = (const char *)unique_id.data;
    event->u.row.unique_id_size = unique_id.size;
}

static void obey_capability(struct pop3_client *client, struct bytes line)
{
    if (client->rows == POP3_CLIENT_CAPABILITIES_MOST) {
        client_fail(client, POP3_CLIENT_ERROR_MANY, line);
        return;
    }
    client->rows++;
    client_add_capability(client, line);
    struct pop3_client_event *event = client_tell(client, POP3_CLIENT_CAPABILITY);
    event->u.capability.text = (const char *)line.data;
    event->u.capability.text_size = line.size;
}

static void end_listing(struct pop3_client *client)
{
    if (client->reading == READING_CAPABILITIES) {
        client->capabilities_due = true;
    } else {
        struct pop3_client_event *event = client_tell(client, POP3_CLIENT_ROWS_END);
        event->u.rows_end.command = (enum pop3_client_command)client_answered(client)->command;
        event->u.rows_end.count = client->rows;
    }
    client_end_command(client);
}

void client_obey_line(struct pop3_client *client, uint8_t *line, size_t size)
{
    struct bytes text = {.data = line, .size = size};
    if (client->reading == READING_REPLY) {
        if (client->exchange && size != 0 && line[0] == '+' && (size == 1 || line[1] == ' ')) {
            obey_challenge(client, line + (size == 1 ? 1 : 2), size == 1 ? 0 : size - 2);
        } else {
            obey_reply(client, text);
        }
        return;
    }
    if (size != 0 && line[0] == '.') {
        if (size == 1) {
            end_listing(client);
            return;
        }
        text = bytes_from(text, 1);
    }
    if (client->reading == READING_ROWS) {
        obey_row(client, text);
    } else {
        obey_capability(client, text);
    }
}
