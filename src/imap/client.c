/* SPDX-License-Identifier: MIT */
/* Commands and events. A command goes out whole; a message in pieces behind its APPEND. What the host may say next
 * follows from the state alone. An append counts as written only when its last octet is: before, no server can
 * have taken it. */
#include "imap/client.h"

#include <assert.h>
#include <stdio.h>

#include "base/base64.h"
#include "imap/client_session.h"
#include "imap/mailbox_name.h"

/* RFC 7888 section 5: what LITERAL- lets follow at once. */
enum { SMALL_LITERAL_OCTETS = 4096 };

size_t imap_client_size(void)
{
    return sizeof(struct imap_client);
}

struct imap_client *imap_client_init(void *memory, const struct imap_client_options *options)
{
    struct imap_client *client = memory;
    *client = (struct imap_client){.state = IMAP_STATE_GREETING, .options = *options};
    buffer_init(&client->output, client->output_memory, sizeof client->output_memory);
    return client;
}

void imap_client_set_state(struct imap_client *client, enum imap_state state)
{
    assert(client->state != IMAP_STATE_CLOSED);
    client->state = state;
}

void imap_client_close(struct imap_client *client, enum imap_client_error error)
{
    if (client->state != IMAP_STATE_CLOSED) {
        client->state = IMAP_STATE_CLOSED;
        client->error = error;
        buffer_consume(&client->output, buffer_pending(&client->output).size);
    }
}

void imap_client_end(struct imap_client *client)
{
    imap_client_close(client, client->state == IMAP_STATE_LOGOUT ? IMAP_CLIENT_ERROR_NONE
                                                                 : IMAP_CLIENT_ERROR_PEER_GONE);
}

const struct imap_capabilities *imap_client_capabilities(const struct imap_client *client)
{
    return &client->capabilities;
}

/* ---- input ---- */

static void take_octet(struct imap_client *client, uint8_t octet)
{
    bool ends = octet == '\n';
    if (ends && !client->after_cr) {
        imap_client_close(client, IMAP_CLIENT_ERROR_RESPONSE);
        return;
    }
    client->after_cr = octet == '\r';
    if (!ends) {
        if (client->line_size < sizeof client->line) {
            client->line[client->line_size++] = octet;
        } else {
            client->is_cut = true;
        }
        return;
    }
    struct bytes line = {client->line, client->line_size - (client->is_cut ? 0 : 1)};
    client->line_size = line.size;
    client->after_cr = false;
    if (!imap_client_take_line(client, line)) {
        client->line_size = 0;
        client->is_cut = false;
    }
}

/* Is it the host's turn, so that what the server says next must wait? Nothing may be said while TLS begins:
 * what is would be in the clear. */
static bool must_tell(const struct imap_client *client)
{
    return client->has_result || client->state == IMAP_STATE_LOGIN ||
           client->state == IMAP_STATE_CHALLENGE || client->state == IMAP_STATE_SECURING ||
           client->state == IMAP_STATE_CLOSED;
}

size_t imap_client_feed(struct imap_client *client, struct bytes octets)
{
    size_t taken = 0;
    while (taken < octets.size && !must_tell(client)) {
        if (++client->since_result > IMAP_RESPONSE_OCTETS) {
            imap_client_close(client, IMAP_CLIENT_ERROR_LIMIT);
        } else if (client->literal > 0) {
            client->literal--;
            taken++;
        } else {
            take_octet(client, octets.data[taken++]);
        }
    }
    return client->state == IMAP_STATE_CLOSED ? octets.size : taken;
}

/* ---- events ---- */

static void tell_close(const struct imap_client *client, struct imap_client_event *event)
{
    event->type = IMAP_CLIENT_CLOSE;
    event->error = client->error;
    event->partial = client->unwritten;
    event->text = (struct bytes){client->text, client->text_size};
}

static enum imap_client_event_type turn(const struct imap_client *client)
{
    switch (client->state) {
    case IMAP_STATE_SECURING:
        return IMAP_CLIENT_SECURE;
    case IMAP_STATE_LOGIN:
        return IMAP_CLIENT_LOGIN;
    case IMAP_STATE_CHALLENGE:
        return IMAP_CLIENT_CHALLENGE;
    case IMAP_STATE_IDLE:
        return IMAP_CLIENT_IDLE;
    case IMAP_STATE_MESSAGE:
        return IMAP_CLIENT_MESSAGE;
    case IMAP_STATE_CLOSED:
        return IMAP_CLIENT_CLOSE;
    case IMAP_STATE_GREETING:
    case IMAP_STATE_STARTTLS:
    case IMAP_STATE_CAPABILITY:
    case IMAP_STATE_AUTH:
    case IMAP_STATE_COMMAND:
    case IMAP_STATE_GO_AHEAD:
    case IMAP_STATE_LOGOUT:
        break;
    }
    return IMAP_CLIENT_NEED_INPUT;
}

void imap_client_next(struct imap_client *client, struct imap_client_event *event_out)
{
    struct bytes pending = buffer_pending(&client->output);
    if (client->has_result) {
        *event_out = client->result;
        event_out->type = IMAP_CLIENT_RESULT;
        event_out->text = (struct bytes){client->text, client->text_size};
        client->has_result = false;
        client->result = (struct imap_client_event){0};
        return;
    }
    *event_out = (struct imap_client_event){.outstanding = client->open_count};
    if (client->state == IMAP_STATE_CLOSED) {
        tell_close(client, event_out);
    } else if (pending.size > 0) {
        event_out->type = IMAP_CLIENT_WRITE;
        event_out->octets = pending;
    } else {
        event_out->type = turn(client);
        event_out->wanted = client->wanted;
        event_out->octets = (struct bytes){client->challenge, client->challenge_size};
    }
}

void imap_client_written(struct imap_client *client, size_t count)
{
    buffer_consume(&client->output, count);
    if (buffer_pending(&client->output).size == 0 && client->state != IMAP_STATE_MESSAGE &&
        client->state != IMAP_STATE_GO_AHEAD) {
        client->unwritten = 0;
    }
}

/* ---- commands ---- */

static uint32_t begin(struct imap_client *client, const char *verb)
{
    char tag[16];
    client->number++;
    (void)snprintf(tag, sizeof tag, "R%u ", client->number);
    buffer_append_text(&client->output, tag);
    buffer_append_text(&client->output, verb);
    return client->number;
}

static uint32_t finish(struct imap_client *client, enum imap_state state)
{
    buffer_append_text(&client->output, "\r\n");
    assert(!client->output.overflow);
    client->since_result = 0;
    imap_client_set_state(client, state);
    return client->number;
}

static bool is_printable(struct bytes text)
{
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] < ' ' || text.data[i] > '~') {
            return false;
        }
    }
    return true;
}

/* A quoted string: RFC 9051 section 4.3. */
static void append_quoted(struct buffer *out, struct bytes text)
{
    buffer_append_octet(out, '"');
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] == '"' || text.data[i] == '\\') {
            buffer_append_octet(out, '\\');
        }
        buffer_append_octet(out, text.data[i]);
    }
    buffer_append_octet(out, '"');
}

void imap_client_ask_capabilities(struct imap_client *client)
{
    client->capabilities = (struct imap_capabilities){0};
    (void)begin(client, "CAPABILITY");
    (void)finish(client, IMAP_STATE_CAPABILITY);
}

void imap_client_secured(struct imap_client *client)
{
    assert(client->state == IMAP_STATE_SECURING);
    imap_client_ask_capabilities(client);
}

uint32_t imap_client_login(struct imap_client *client, struct bytes user, struct bytes password)
{
    if (client->state != IMAP_STATE_LOGIN || client->capabilities.login_disabled ||
        !is_printable(user) || !is_printable(password) || user.size > 2000 ||
        password.size > 2000) {
        return 0;
    }
    (void)begin(client, "LOGIN ");
    append_quoted(&client->output, user);
    buffer_append_octet(&client->output, ' ');
    append_quoted(&client->output, password);
    return finish(client, IMAP_STATE_AUTH);
}

uint32_t imap_client_authenticate(struct imap_client *client, const char *mechanism,
                                  struct bytes response)
{
    bool has_response = response.data != NULL;
    if (client->state != IMAP_STATE_LOGIN || response.size > IMAP_RESPOND_OCTETS) {
        return 0;
    }
    (void)begin(client, "AUTHENTICATE ");
    buffer_append_text(&client->output, mechanism);
    client->has_response = has_response && !client->capabilities.sasl_ir;
    client->response = response;
    if (has_response && client->capabilities.sasl_ir) {
        buffer_append_octet(&client->output, ' ');
        if (response.size == 0) {
            buffer_append_octet(&client->output, '='); /* RFC 4959 section 3 */
        }
        base64_encode(&client->output, response);
    }
    return finish(client, IMAP_STATE_AUTH);
}

int imap_client_respond(struct imap_client *client, struct bytes response)
{
    assert(client->state == IMAP_STATE_CHALLENGE);
    if (response.size > IMAP_RESPOND_OCTETS) {
        return -1;
    }
    base64_encode(&client->output, response);
    (void)finish(client, IMAP_STATE_AUTH);
    return 0;
}

void imap_client_cancel(struct imap_client *client)
{
    assert(client->state == IMAP_STATE_CHALLENGE);
    buffer_append_text(&client->output, "*");
    (void)finish(client, IMAP_STATE_AUTH);
}

static bool is_idle(const struct imap_client *client)
{
    return client->state == IMAP_STATE_IDLE && client->open_count == 0;
}

uint32_t imap_client_list_root(struct imap_client *client)
{
    if (!is_idle(client)) {
        return 0;
    }
    (void)begin(client, "LIST \"\" \"\"");
    return finish(client, IMAP_STATE_COMMAND);
}

static uint32_t about_mailbox(struct imap_client *client, const char *verb, const char *mailbox)
{
    char name[IMAP_MAILBOX_OCTETS];
    if (!is_idle(client) || imap_mailbox_name_encode(mailbox, name, sizeof name) < 0) {
        return 0;
    }
    (void)begin(client, verb);
    append_quoted(&client->output, bytes_of(name));
    return finish(client, IMAP_STATE_COMMAND);
}

uint32_t imap_client_examine(struct imap_client *client, const char *mailbox)
{
    return about_mailbox(client, "EXAMINE ", mailbox);
}

uint32_t imap_client_create(struct imap_client *client, const char *mailbox)
{
    return about_mailbox(client, "CREATE ", mailbox);
}

uint32_t imap_client_subscribe(struct imap_client *client, const char *mailbox)
{
    return about_mailbox(client, "SUBSCRIBE ", mailbox);
}

uint32_t imap_client_search(struct imap_client *client, const struct imap_criteria *criteria)
{
    char text[128];
    if (!is_idle(client) || !is_printable(criteria->value) || criteria->value.size > 2000) {
        return 0;
    }
    (void)begin(client, "UID SEARCH ALL");
    if (criteria->uid_from > 1) {
        (void)snprintf(text, sizeof text, " UID %u:*", criteria->uid_from);
        buffer_append_text(&client->output, text);
    }
    if (criteria->octets > 0) {
        (void)snprintf(text, sizeof text, " LARGER %llu SMALLER %llu",
                       (unsigned long long)criteria->octets - 1,
                       (unsigned long long)criteria->octets + 1);
        buffer_append_text(&client->output, text);
    }
    if (criteria->field != NULL) {
        (void)snprintf(text, sizeof text, " HEADER %.60s ", criteria->field);
        buffer_append_text(&client->output, text);
        append_quoted(&client->output, criteria->value);
    }
    return finish(client, IMAP_STATE_COMMAND);
}

bool imap_are_flags(const char *text)
{
    static const char *const system[] = {"Answered", "Deleted", "Draft", "Flagged", "Seen"};
    while (*text != '\0') {
        bool is_system = *text == '\\';
        struct bytes word = {(const uint8_t *)text + is_system, strcspn(text, " ") - is_system};
        bool known = !is_system;
        for (size_t i = 0; i < sizeof system / sizeof *system; i++) {
            known = known || bytes_equal_ignoring_case(word, bytes_of(system[i]));
        }
        for (size_t i = 0; i < word.size; i++) {
            known = known && word.data[i] > ' ' && word.data[i] < 0x7F &&
                    strchr("(){%*\"\\]", word.data[i]) == NULL;
        }
        if (!known || word.size == 0) {
            return false;
        }
        text += word.size + is_system;
        text += *text == ' ';
    }
    return true;
}

/* May the message follow its command at once? RFC 7888 sections 4 and 5. */
static bool may_follow(const struct imap_client *client, uint64_t octets)
{
    return client->capabilities.literal_plus ||
           (client->capabilities.literal_minus && octets <= SMALL_LITERAL_OCTETS);
}

uint32_t imap_client_append(struct imap_client *client, const struct imap_append *append)
{
    char name[IMAP_MAILBOX_OCTETS];
    char text[64];
    bool follows = may_follow(client, append->octets);
    if (client->state != IMAP_STATE_IDLE || client->open_count == IMAP_APPENDS_MOST ||
        append->octets == 0 || (append->is_binary && !client->capabilities.binary) ||
        strlen(append->flags) > 1000 || strlen(append->date) > 40 ||
        imap_mailbox_name_encode(append->mailbox, name, sizeof name) < 0) {
        return 0;
    }
    (void)begin(client, "APPEND ");
    append_quoted(&client->output, bytes_of(name));
    buffer_append_text(&client->output, " (");
    buffer_append_text(&client->output, append->flags);
    buffer_append_text(&client->output, ") \"");
    buffer_append_text(&client->output, append->date);
    (void)snprintf(text, sizeof text, "\" %s{%llu%s}", append->is_binary ? "~" : "",
                   (unsigned long long)append->octets, follows ? "+" : "");
    buffer_append_text(&client->output, text);
    client->open[client->open_count++] = client->number;
    client->wanted = append->octets;
    client->unwritten = client->number;
    return finish(client, follows ? IMAP_STATE_MESSAGE : IMAP_STATE_GO_AHEAD);
}

size_t imap_client_message(struct imap_client *client, struct bytes octets)
{
    if (client->state != IMAP_STATE_MESSAGE) {
        return 0;
    }
    size_t room = buffer_room(&client->output) - 2; /* for the line's end */
    size_t size = octets.size < room ? octets.size : room;
    size = size < client->wanted ? size : (size_t)client->wanted;
    buffer_append(&client->output, (struct bytes){octets.data, size});
    client->wanted -= size;
    if (client->wanted == 0) {
        (void)finish(client, IMAP_STATE_IDLE);
    }
    return size;
}

void imap_client_logout(struct imap_client *client)
{
    assert(is_idle(client) || client->state == IMAP_STATE_LOGIN);
    (void)begin(client, "LOGOUT");
    (void)finish(client, IMAP_STATE_LOGOUT);
}
