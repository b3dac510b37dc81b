/* SPDX-License-Identifier: MIT */
/* What the host asks the server for. Commands about messages wait as numbers and become text when they may be
 * sent. Those that log in are written at once, alone: nothing of a stranger's argument is kept longer than
 * it takes to send it, and no octet of it can end the line. */
#include <pop3/client.h>

#include <assert.h>

#include "base/base64.h"
#include "pop3/client_session.h"

enum {
    COMMAND_OCTETS_MOST =
        32,               /* of a command that waits as numbers: TOP and two numbers of 10 digits */
    MECHANISM_OCTETS = 20 /* RFC 4422 section 3.1 */
};

enum {
    AUTH = 1U << POP3_CLIENT_AUTHORIZATION,
    TRAN = 1U << POP3_CLIENT_TRANSACTION,
};

/* Whether nothing else may be under way with it is up to the function that asks. */
static const struct {
    const char *keyword;
    unsigned states; /* where it is legal */
} commands[] = {
    [POP3_CLIENT_CONNECT] = {"", 0},
    [POP3_CLIENT_CAPA] = {"CAPA", AUTH | TRAN},
    [POP3_CLIENT_STLS] = {"STLS", AUTH},
    [POP3_CLIENT_UTF8] = {"UTF8", AUTH},
    [POP3_CLIENT_AUTH] = {"AUTH", AUTH},
    [POP3_CLIENT_USER] = {"USER", AUTH},
    [POP3_CLIENT_PASS] = {"PASS", AUTH},
    [POP3_CLIENT_APOP] = {"APOP", AUTH},
    [POP3_CLIENT_STAT] = {"STAT", TRAN},
    [POP3_CLIENT_LIST] = {"LIST", TRAN},
    [POP3_CLIENT_UIDL] = {"UIDL", TRAN},
    [POP3_CLIENT_TOP] = {"TOP", TRAN},
    [POP3_CLIENT_RETR] = {"RETR", TRAN},
    [POP3_CLIENT_DELE] = {"DELE", TRAN},
    [POP3_CLIENT_RSET] = {"RSET", TRAN},
    [POP3_CLIENT_NOOP] = {"NOOP", TRAN},
    [POP3_CLIENT_QUIT] = {"QUIT", AUTH | TRAN},
};

static void push(struct pop3_client *client, struct client_command command)
{
    uint32_t at = (client->queue_head + client->queue_count) % client->queue_capacity;
    assert(client->queue_count < client->queue_capacity);
    client->queue[at] = command;
    client->queue_count++;
    client->user_accepted = false; /* PASS follows USER directly */
}

static bool is_legal(const struct pop3_client *client, enum pop3_client_command command)
{
    return (commands[command].states >> client->state & 1U) != 0;
}

/* Is a reply to come that decides what may be asked for? Only CAPA, of what comes before the login, does not. */
static bool is_deciding(const struct pop3_client *client)
{
    uint8_t command =
        client->queue_count == 0 ? POP3_CLIENT_CAPA : client->queue[client->queue_head].command;
    return client->starttls_due ||
           (command <= POP3_CLIENT_APOP && command != POP3_CLIENT_CAPA && !client->closed);
}

/* A command that waits as numbers. */
static enum pop3_client_refusal ask(struct pop3_client *client, struct client_command command)
{
    if (is_deciding(client)) {
        return POP3_CLIENT_BUSY;
    }
    if (!is_legal(client, command.command)) {
        return POP3_CLIENT_WRONG_STATE;
    }
    if (pop3_client_room(client) == 0) {
        return POP3_CLIENT_BUSY;
    }
    push(client, command);
    return POP3_CLIENT_TAKEN;
}

/* May a command go out that must be alone? */
static enum pop3_client_refusal check_alone(const struct pop3_client *client,
                                            enum pop3_client_command command)
{
    if (is_deciding(client)) {
        return POP3_CLIENT_BUSY;
    }
    if (!is_legal(client, command)) {
        return POP3_CLIENT_WRONG_STATE;
    }
    bool alone = client->queue_count == 0 && client->output.written == 0;
    return alone ? POP3_CLIENT_TAKEN : POP3_CLIENT_BUSY;
}

/* Writes the one command that is under way now: its keyword, and up to two arguments that are not empty. */
static enum pop3_client_refusal write_alone(struct pop3_client *client,
                                            enum pop3_client_command command, struct bytes first,
                                            struct bytes second)
{
    struct bytes keyword = bytes_of(commands[command].keyword);
    const struct bytes arguments[] = {first, second};
    if (first.size > POP3_CLIENT_COMMAND_OCTETS || second.size > POP3_CLIENT_COMMAND_OCTETS ||
        keyword.size + 1 + first.size + (second.size == 0 ? 0 : 1 + second.size) + 2 >
            POP3_CLIENT_COMMAND_OCTETS) {
        return POP3_CLIENT_TOO_LONG;
    }
    buffer_append(&client->output, keyword);
    for (size_t i = 0; i < 2; i++) {
        if (arguments[i].size != 0) {
            buffer_append_octet(&client->output, ' ');
            buffer_append(&client->output, arguments[i]);
        }
    }
    buffer_append_text(&client->output, "\r\n");
    push(client, (struct client_command){.command = (uint8_t)command});
    client->sent++;
    return POP3_CLIENT_TAKEN;
}

/* Has it octets, and none that could end the line or the string of a server written in C? */
static bool is_text(struct bytes text)
{
    return text.size != 0 && bytes_find(text, '\r') == text.size &&
           bytes_find(text, '\n') == text.size && bytes_find(text, '\0') == text.size;
}

static bool consists_of(struct bytes text, const char *octets)
{
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] == '\0' || strchr(octets, text.data[i]) == NULL) {
            return false;
        }
    }
    return text.size != 0;
}

enum pop3_client_refusal pop3_client_stls(struct pop3_client *client)
{
    enum pop3_client_refusal refusal = check_alone(client, POP3_CLIENT_STLS);
    if (refusal == POP3_CLIENT_TAKEN && (client->encrypted || client->utf8)) {
        refusal = POP3_CLIENT_WRONG_STATE;
    }
    struct bytes none = {0};
    return refusal != POP3_CLIENT_TAKEN ? refusal
                                        : write_alone(client, POP3_CLIENT_STLS, none, none);
}

enum pop3_client_refusal pop3_client_utf8(struct pop3_client *client)
{
    enum pop3_client_refusal refusal = check_alone(client, POP3_CLIENT_UTF8);
    bool offered = (client->capabilities.set & POP3_CAPABILITY_UTF8) != 0;
    if (refusal == POP3_CLIENT_TAKEN && (!offered || client->utf8)) {
        refusal = POP3_CLIENT_WRONG_STATE;
    }
    struct bytes none = {0};
    return refusal != POP3_CLIENT_TAKEN ? refusal
                                        : write_alone(client, POP3_CLIENT_UTF8, none, none);
}

static enum pop3_client_refusal ask_with_text(struct pop3_client *client,
                                              enum pop3_client_command command, struct bytes text)
{
    enum pop3_client_refusal refusal = check_alone(client, command);
    if (refusal == POP3_CLIENT_TAKEN && !is_text(text)) {
        refusal = POP3_CLIENT_BAD_ARGUMENT;
    }
    return refusal != POP3_CLIENT_TAKEN ? refusal
                                        : write_alone(client, command, text, (struct bytes){0});
}

enum pop3_client_refusal pop3_client_user(struct pop3_client *client, const void *name, size_t size)
{
    return ask_with_text(client, POP3_CLIENT_USER, (struct bytes){.data = name, .size = size});
}

enum pop3_client_refusal pop3_client_pass(struct pop3_client *client, const void *password,
                                          size_t size)
{
    if (client->queue_count == 0 && !client->user_accepted) {
        return POP3_CLIENT_WRONG_STATE;
    }
    return ask_with_text(client, POP3_CLIENT_PASS, (struct bytes){.data = password, .size = size});
}

enum pop3_client_refusal pop3_client_apop(struct pop3_client *client, const void *name, size_t size,
                                          const char *digest)
{
    struct bytes text = {.data = name, .size = size};
    struct bytes digits = bytes_of(digest);
    enum pop3_client_refusal refusal = check_alone(client, POP3_CLIENT_APOP);
    if (refusal != POP3_CLIENT_TAKEN) {
        return refusal;
    }
    if (client->timestamp[0] == '\0') {
        return POP3_CLIENT_WRONG_STATE;
    }
    if (!is_text(text) || bytes_find(text, ' ') != text.size || digits.size != 32 ||
        !consists_of(digits, "0123456789abcdef")) {
        return POP3_CLIENT_BAD_ARGUMENT;
    }
    return write_alone(client, POP3_CLIENT_APOP, text, digits);
}

/* RFC 5034 section 4: the initial response goes with the command while the line may hold it, "=" where it is
 * empty; else it waits for an empty challenge. */
static enum pop3_client_refusal write_auth(struct pop3_client *client, struct bytes mechanism,
                                           const struct pop3_client_auth *auth)
{
    uint8_t memory[POP3_CLIENT_COMMAND_OCTETS];
    struct buffer encoded;
    struct bytes response = {.data = auth->response, .size = auth->response_size};
    size_t room = sizeof memory - strlen("AUTH  \r\n") - mechanism.size;
    buffer_init(&encoded, memory, room);
    client->initial = auth->response != NULL && base64_encoded_size(response.size) > room;
    if (auth->response != NULL && response.size == 0) {
        buffer_append_octet(&encoded, '=');
    } else if (auth->response != NULL && !client->initial) {
        base64_encode(&encoded, response);
    }
    client->response = client->initial ? response : (struct bytes){0};
    enum pop3_client_refusal refusal =
        write_alone(client, POP3_CLIENT_AUTH, mechanism, buffer_pending(&encoded));
    explicit_bzero(memory, sizeof memory);
    return refusal;
}

enum pop3_client_refusal pop3_client_auth(struct pop3_client *client,
                                          const struct pop3_client_auth *auth)
{
    struct bytes mechanism = bytes_of(auth->mechanism);
    enum pop3_client_refusal refusal = check_alone(client, POP3_CLIENT_AUTH);
    if (refusal != POP3_CLIENT_TAKEN) {
        return refusal;
    }
    if (mechanism.size > MECHANISM_OCTETS ||
        !consists_of(mechanism, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") ||
        auth->response_size > SIZE_MAX / 2) {
        return POP3_CLIENT_BAD_ARGUMENT;
    }
    refusal = write_auth(client, mechanism, auth);
    client->exchange = true;
    client->cancelled = false;
    buffer_init(&client->lent, auth->memory_size > sizeof client->line ? auth->memory : NULL,
                auth->memory_size);
    return refusal;
}

/* A command about message `number`, which must be one. */
static enum pop3_client_refusal ask_about(struct pop3_client *client,
                                          enum pop3_client_command command, uint32_t number,
                                          uint32_t lines)
{
    if (number == 0) {
        return POP3_CLIENT_BAD_ARGUMENT;
    }
    return ask(client, (struct client_command){
                           .command = (uint8_t)command, .number = number, .lines = lines});
}

enum pop3_client_refusal pop3_client_capa(struct pop3_client *client)
{
    return ask(client, (struct client_command){.command = POP3_CLIENT_CAPA});
}

enum pop3_client_refusal pop3_client_stat(struct pop3_client *client)
{
    return ask(client, (struct client_command){.command = POP3_CLIENT_STAT});
}

enum pop3_client_refusal pop3_client_list(struct pop3_client *client, uint32_t number)
{
    return ask(client, (struct client_command){.command = POP3_CLIENT_LIST, .number = number});
}

enum pop3_client_refusal pop3_client_uidl(struct pop3_client *client, uint32_t number)
{
    return ask(client, (struct client_command){.command = POP3_CLIENT_UIDL, .number = number});
}

enum pop3_client_refusal pop3_client_top(struct pop3_client *client, uint32_t number,
                                         uint32_t lines)
{
    return ask_about(client, POP3_CLIENT_TOP, number, lines);
}

enum pop3_client_refusal pop3_client_retr(struct pop3_client *client, uint32_t number)
{
    return ask_about(client, POP3_CLIENT_RETR, number, 0);
}

enum pop3_client_refusal pop3_client_dele(struct pop3_client *client, uint32_t number)
{
    return ask_about(client, POP3_CLIENT_DELE, number, 0);
}

enum pop3_client_refusal pop3_client_rset(struct pop3_client *client)
{
    return ask(client, (struct client_command){.command = POP3_CLIENT_RSET});
}

enum pop3_client_refusal pop3_client_noop(struct pop3_client *client)
{
    return ask(client, (struct client_command){.command = POP3_CLIENT_NOOP});
}

enum pop3_client_refusal pop3_client_quit(struct pop3_client *client)
{
    enum pop3_client_refusal refusal =
        ask(client, (struct client_command){.command = POP3_CLIENT_QUIT});
    if (refusal == POP3_CLIENT_TAKEN) {
        client->state = POP3_CLIENT_ENDED;
    }
    return refusal;
}

void client_ask_capabilities(struct pop3_client *client)
{
    if (client->options->ask_capa != 0 && !client->capa_unknown) {
        push(client, (struct client_command){.command = POP3_CLIENT_CAPA});
    }
}

static void write_command(struct buffer *out, const struct client_command *command)
{
    buffer_append_text(out, commands[command->command].keyword);
    if (command->number != 0) {
        buffer_append_octet(out, ' ');
        buffer_append_number(out, command->number);
    }
    if (command->command == POP3_CLIENT_TOP) {
        buffer_append_octet(out, ' ');
        buffer_append_number(out, command->lines);
    }
    buffer_append_text(out, "\r\n");
}

/* A response of an exchange goes out in as many steps as it takes; groups of 3 octets need no padding. */
static void write_response(struct pop3_client *client)
{
    size_t most = (buffer_room(&client->output) - 2) / 4 * 3;
    struct bytes part = client->response;
    part.size = part.size < most ? part.size : most;
    base64_encode(&client->output, part);
    client->response = bytes_from(client->response, part.size);
    if (client->response.size == 0) {
        buffer_append_text(&client->output, "\r\n");
        client->responding = false;
    }
}

void client_fill_output(struct pop3_client *client)
{
    if (client->output.written != 0) {
        return;
    }
    if (client->cancel_due) {
        buffer_append_text(&client->output, "*\r\n");
        client->cancel_due = false;
    } else if (client->responding) {
        write_response(client);
    }
    while (client->sent < client->queue_count &&
           (client->sent == 0 || pop3_client_pipelining(client)) &&
           buffer_room(&client->output) >= COMMAND_OCTETS_MOST) {
        uint32_t at = (client->queue_head + client->sent) % client->queue_capacity;
        write_command(&client->output, &client->queue[at]);
        client->sent++;
        if (client->sent > 1) {
            client_answered(client)->pipelined = 1;
            client->queue[at].pipelined = 1;
            client->was_pipelined = true;
        }
    }
}
