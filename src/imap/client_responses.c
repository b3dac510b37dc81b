/* SPDX-License-Identifier: MIT */
/* What the server says (RFC 9051 section 7). Of untagged data only that is looked at which was asked for; a server
 * may say more at any time, and that is passed over. */
#include <string.h>

#include "base/base64.h"
#include "base/number.h"
#include "imap/client_session.h"

/* The first word of `text`, which then begins behind its blank. */
static struct bytes take_word(struct bytes *text)
{
    struct bytes word = {text->data, bytes_find(*text, ' ')};
    *text = bytes_from(*text, word.size + 1);
    return word;
}

static bool is(struct bytes word, const char *text)
{
    return bytes_equal_ignoring_case(word, bytes_of(text));
}

static bool begins(struct bytes word, const char *text)
{
    size_t size = strlen(text);
    return word.size > size && is((struct bytes){word.data, size}, text);
}

static uint32_t number_of(struct bytes text)
{
    uint64_t number = 0;
    return number_parse(text, UINT32_MAX, &number) < 0 ? 0 : (uint32_t)number;
}

static void keep_text(struct imap_client *client, struct bytes text)
{
    client->text_size = text.size < sizeof client->text ? text.size : sizeof client->text;
    if (client->text_size > 0) {
        memcpy(client->text, text.data, client->text_size);
    }
}

/* It is no IMAP, or not what may come now. */
static void fail(struct imap_client *client, struct bytes line)
{
    keep_text(client, line);
    imap_client_close(client, IMAP_CLIENT_ERROR_RESPONSE);
}

/* ---- response codes ---- */

static const struct {
    const char *name;
    enum imap_meaning meaning;
} codes[] = {
#define IMAP_CODE(identifier, name, meaning)                                                       \
    [IMAP_CODE_##identifier] = {name, IMAP_MEANS_##meaning},
#include "imap/codes.def"
#undef IMAP_CODE
};

enum imap_meaning imap_code_meaning(enum imap_code code)
{
    return code < IMAP_CODE_OTHER ? codes[code].meaning : IMAP_MEANS_NOTHING;
}

static enum imap_code code_of(struct bytes word)
{
    for (unsigned i = IMAP_CODE_NONE + 1; i < IMAP_CODE_OTHER; i++) {
        if (is(word, codes[i].name)) {
            return (enum imap_code)i;
        }
    }
    return IMAP_CODE_OTHER;
}

/* A code in brackets, if `text` begins with one; `arguments_out` is what follows its name. */
static enum imap_code take_code(struct bytes text, struct bytes *arguments_out)
{
    size_t end = bytes_find(text, ']');
    if (text.size == 0 || text.data[0] != '[' || end == text.size) {
        *arguments_out = (struct bytes){0};
        return IMAP_CODE_NONE;
    }
    *arguments_out = (struct bytes){text.data + 1, end - 1};
    return code_of(take_word(arguments_out));
}

static void use_code(struct imap_client *client, enum imap_code code, struct bytes arguments)
{
    if (code == IMAP_CODE_UIDVALIDITY) {
        client->result.uid_validity = number_of(arguments);
    } else if (code == IMAP_CODE_UIDNEXT) {
        client->result.uid_next = number_of(arguments);
    } else if (code == IMAP_CODE_APPENDUID) {
        client->result.uid_validity = number_of(take_word(&arguments));
        client->result.uid = number_of(arguments);
    }
}

/* ---- untagged data ---- */

static void add_mechanism(struct imap_capabilities *capabilities, struct bytes name)
{
    size_t used = strlen(capabilities->mechanisms);
    if (used + name.size + 2 <= sizeof capabilities->mechanisms &&
        memchr(name.data, '\0', name.size) == NULL) {
        if (used > 0) {
            capabilities->mechanisms[used++] = ' ';
        }
        memcpy(capabilities->mechanisms + used, name.data, name.size);
        capabilities->mechanisms[used + name.size] = '\0';
    }
}

static void take_capabilities(struct imap_capabilities *capabilities, struct bytes text)
{
    while (text.size > 0) {
        struct bytes word = take_word(&text);
        capabilities->sasl_ir |= is(word, "SASL-IR");
        capabilities->literal_plus |= is(word, "LITERAL+");
        capabilities->literal_minus |= is(word, "LITERAL-") || is(word, "IMAP4rev2");
        capabilities->uid_plus |= is(word, "UIDPLUS");
        capabilities->binary |= is(word, "BINARY");
        capabilities->login_disabled |= is(word, "LOGINDISABLED");
        if (begins(word, "AUTH=")) {
            add_mechanism(capabilities, bytes_from(word, 5));
        } else if (begins(word, "APPENDLIMIT=") && number_parse(bytes_from(word, 12), UINT64_MAX,
                                                                &capabilities->append_limit) < 0) {
            capabilities->append_limit = 0;
        }
    }
}

/* The line was cut, so its last number may be too. */
static void take_found(struct imap_client *client, struct bytes text)
{
    if (client->is_cut) {
        imap_client_close(client, IMAP_CLIENT_ERROR_LIMIT);
        return;
    }
    while (text.size > 0) {
        uint32_t uid = number_of(take_word(&text));
        if (uid != 0 && client->result.found_count < IMAP_FOUND_MOST) {
            client->result.found[client->result.found_count++] = uid;
        }
    }
}

/* (flags) "separator" name, or NIL for none: RFC 9051 section 7.3.1. */
static void take_list(struct imap_client *client, struct bytes text)
{
    text = bytes_from(text, bytes_find(text, ')') + 1);
    text = bytes_from(text, text.size > 0 && text.data[0] == ' ' ? 1 : 0);
    if (text.size > 2 && text.data[0] == '"') {
        bool is_escaped = text.data[1] == '\\';
        client->result.separator = (char)text.data[is_escaped ? 2 : 1];
    }
}

static bool is_asking(const struct imap_client *client)
{
    return client->state == IMAP_STATE_COMMAND;
}

static void on_untagged(struct imap_client *client, struct bytes text)
{
    struct bytes arguments;
    struct bytes word = take_word(&text);
    enum imap_code code = take_code(text, &arguments);
    if (is(word, "BYE")) {
        keep_text(client, text);
        imap_client_close(client, client->state == IMAP_STATE_LOGOUT ? IMAP_CLIENT_ERROR_NONE
                                                                     : IMAP_CLIENT_ERROR_BYE);
    } else if (is(word, "CAPABILITY") && client->state == IMAP_STATE_CAPABILITY) {
        take_capabilities(&client->capabilities, text);
    } else if (is(word, "OK") && is_asking(client)) {
        use_code(client, code, arguments);
    } else if (is(word, "SEARCH") && is_asking(client)) {
        take_found(client, text);
    } else if (is(word, "LIST") && is_asking(client)) {
        take_list(client, text);
    }
}

static void on_greeting(struct imap_client *client, struct bytes line)
{
    struct bytes text = bytes_from(line, 2);
    struct bytes word = take_word(&text);
    bool is_untagged = line.size > 2 && line.data[0] == '*' && line.data[1] == ' ';
    if (is_untagged && is(word, "BYE")) {
        keep_text(client, text);
        imap_client_close(client, IMAP_CLIENT_ERROR_BYE);
    } else if (is_untagged && is(word, "PREAUTH") && client->options.starttls) {
        imap_client_close(client, IMAP_CLIENT_ERROR_PREAUTH);
    } else if (is_untagged && (is(word, "OK") || is(word, "PREAUTH"))) {
        client->logged_in = is(word, "PREAUTH");
        if (client->options.starttls) {
            buffer_append_text(&client->output, "R0 STARTTLS\r\n");
            imap_client_set_state(client, IMAP_STATE_STARTTLS);
        } else {
            imap_client_ask_capabilities(client);
        }
    } else {
        fail(client, line);
    }
}

/* ---- what a command is answered ---- */

static void tell_result(struct imap_client *client, uint32_t number, enum imap_status status,
                        struct bytes text)
{
    struct bytes arguments;
    enum imap_code code = take_code(text, &arguments);
    use_code(client, code, arguments);
    keep_text(client, text);
    client->result.number = number;
    client->result.status = status;
    client->result.code = code;
    client->has_result = true;
    client->since_result = 0;
}

/* Results of appends come in any order. Nothing is taken before it was given out whole. */
static bool end_append(struct imap_client *client, uint32_t number, enum imap_status status)
{
    uint32_t at = 0;
    while (at < client->open_count && client->open[at] != number) {
        at++;
    }
    if (at == client->open_count || (status == IMAP_OK && number == client->unwritten)) {
        return false;
    }
    client->open_count--;
    memmove(client->open + at, client->open + at + 1,
            (client->open_count - at) * sizeof client->open[0]);
    if (client->state == IMAP_STATE_GO_AHEAD && number == client->unwritten) {
        client->wanted = 0;
        client->unwritten = 0;
        imap_client_set_state(client, IMAP_STATE_IDLE);
    }
    return true;
}

static void end_starttls(struct imap_client *client, enum imap_status status, struct bytes text)
{
    if (status == IMAP_OK) {
        imap_client_set_state(client, IMAP_STATE_SECURING);
    } else {
        fail(client, text);
    }
}

static void end_command(struct imap_client *client, uint32_t number, enum imap_status status,
                        struct bytes text)
{
    if (client->state == IMAP_STATE_CAPABILITY) {
        imap_client_set_state(client, client->logged_in ? IMAP_STATE_IDLE : IMAP_STATE_LOGIN);
        return;
    }
    tell_result(client, number, status, text);
    if (client->state == IMAP_STATE_AUTH && status != IMAP_OK) {
        imap_client_set_state(client, IMAP_STATE_LOGIN);
    } else if (client->state == IMAP_STATE_AUTH) {
        client->logged_in = true; /* what it can do may be more now: RFC 9051 section 6.2 */
        imap_client_ask_capabilities(client);
    } else {
        imap_client_set_state(client, IMAP_STATE_IDLE);
    }
}

/* Is a command other than APPEND under way that may be answered now? */
static bool is_answerable(const struct imap_client *client)
{
    return client->state == IMAP_STATE_CAPABILITY || client->state == IMAP_STATE_AUTH ||
           client->state == IMAP_STATE_COMMAND;
}

static void on_tagged(struct imap_client *client, struct bytes line)
{
    struct bytes text = line;
    struct bytes tag = bytes_from(take_word(&text), 1);
    struct bytes word = take_word(&text);
    uint64_t number = 0;
    enum imap_status status = is(word, "OK") ? IMAP_OK : is(word, "NO") ? IMAP_NO : IMAP_BAD;
    if (line.data[0] != 'R' || number_parse(tag, UINT32_MAX, &number) < 0 ||
        (status == IMAP_BAD && !is(word, "BAD"))) {
        fail(client, line);
    } else if (client->state == IMAP_STATE_STARTTLS && number == 0) {
        end_starttls(client, status, text);
    } else if (client->state == IMAP_STATE_LOGOUT && number == client->number) {
        imap_client_close(client, IMAP_CLIENT_ERROR_NONE);
    } else if (is_answerable(client) && number == client->number) {
        end_command(client, (uint32_t)number, status, text);
    } else if (end_append(client, (uint32_t)number, status)) {
        tell_result(client, (uint32_t)number, status, text);
    } else {
        fail(client, line);
    }
}

/* RFC 9051 section 7.6. */
static void on_continuation(struct imap_client *client, struct bytes line)
{
    struct bytes text = bytes_from(line, 2);
    if (client->state == IMAP_STATE_GO_AHEAD) {
        imap_client_set_state(client, IMAP_STATE_MESSAGE);
        return;
    }
    if (client->state != IMAP_STATE_AUTH || client->is_cut) {
        fail(client, line);
        return;
    }
    memcpy(client->challenge, text.size == 0 ? line.data : text.data, text.size);
    if (base64_decode(client->challenge, text.size, &client->challenge_size) < 0) {
        fail(client, line);
        return;
    }
    imap_client_set_state(client, IMAP_STATE_CHALLENGE);
    if (client->has_response) {
        client->has_response = false;
        if (imap_client_respond(client, client->response) < 0) {
            fail(client, line);
        }
    }
}

/* Octets of the literal that the line ends in; false: it ends. Human text is never a literal. */
static bool ends_in_literal(struct bytes line, uint64_t *octets_out)
{
    struct bytes text = bytes_from(line, 2);
    struct bytes word = take_word(&text);
    bool is_data = line.size > 2 && line.data[0] == '*' && !is(word, "OK") && !is(word, "NO") &&
                   !is(word, "BAD") && !is(word, "BYE") && !is(word, "PREAUTH");
    size_t at = line.size;
    if (!is_data || line.data[line.size - 1] != '}') {
        return false;
    }
    while (at > 0 && line.data[at - 1] != '{') {
        at--;
    }
    struct bytes digits = {line.data + at, line.size - 1 - at};
    return at > 0 && number_parse(digits, IMAP_RESPONSE_OCTETS, octets_out) == 0;
}

bool imap_client_take_line(struct imap_client *client, struct bytes line)
{
    if (client->state == IMAP_STATE_GREETING) {
        on_greeting(client, line);
    } else if (!client->is_cut && ends_in_literal(line, &client->literal)) {
        return true;
    } else if (line.size > 0 && line.data[0] == '+') {
        on_continuation(client, line);
    } else if (line.size > 2 && line.data[0] == '*' && line.data[1] == ' ') {
        on_untagged(client, bytes_from(line, 2));
    } else if (line.size > 0) {
        on_tagged(client, line);
    } else {
        fail(client, line);
    }
    return false;
}
