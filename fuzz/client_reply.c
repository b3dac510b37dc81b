/* SPDX-License-Identifier: MIT */
/* The door of POP3 servers: octets of a stranger, cut anywhere, and a host that asks as it likes.
 *
 * The first 16 octets of an input choose the options, what the host asks for and how the octets are cut (a
 * stream of bits, used again from its start), the rest is what the server says: so the S lines of a dialogue
 * behind 16 octets are a seed. What must hold, besides what the sanitizers see: no assert fails; the session
 * never hangs (each feed takes octets, or ends the session, or waits for an answer that is given); pointers in
 * events can be read; pieces of a message are pieces of what was fed, and a message that ends was ended by
 * CR LF `.` CR LF; replies are no more than commands; nothing is told that exceeds a limit; no line that
 * the client sends has an octet that was not asked for. */
#include <pop3/client.h>

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { CHOICE_OCTETS = 16, COMMANDS = 5, ROWS_MOST = 20, MESSAGE_MOST = 300, EVENTS_MOST = 3000 };

struct fuzz {
    const uint8_t *choices;
    size_t choice; /* bits used */
    struct pop3_client *client;
    struct pop3_client_options options;
    void *memory;
    void *lent;
    bool closed, in_message;
    unsigned asked, replied, rows, quiet;
    uint64_t message_octets;
    uint8_t last[5]; /* octets of the server before the place where it stands */
    unsigned sum;
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
    if (!condition) {
        abort();
    }
}

static unsigned choose(struct fuzz *fuzz, unsigned bits)
{
    unsigned value = 0;
    for (unsigned i = 0; i < bits; i++) {
        size_t bit = fuzz->choice++ % (8 * (CHOICE_OCTETS - 2)) + 16;
        value = value << 1 | (fuzz->choices[bit / 8] >> bit % 8 & 1U);
    }
    return value;
}

static void touch(struct fuzz *fuzz, const void *data, size_t size)
{
    const uint8_t *octets = data;
    for (size_t i = 0; i < size; i++) {
        fuzz->sum += octets[i];
    }
}

static void ask_to_log_in(struct fuzz *fuzz)
{
    static const char long_response[500] = "x";
    struct pop3_client *client = fuzz->client;
    struct pop3_client_auth auth = {
        .mechanism = "PLAIN", .memory = fuzz->lent, .memory_size = 3000};
    unsigned choice = choose(fuzz, 3);
    enum pop3_client_refusal refusal;
    if (choice == 0) {
        refusal = pop3_client_stls(client);
    } else if (choice <= 2) {
        auth.response = choice == 1 ? NULL : long_response;
        auth.response_size = choice == 1 ? 0 : sizeof long_response >> choose(fuzz, 4);
        refusal = pop3_client_auth(client, &auth);
    } else if (choice == 3) {
        refusal = pop3_client_apop(client, "alice", 5, "c4c9334bac560ecc979e58001b3e22fb");
    } else if (choice == 4 && pop3_client_utf8(client) == POP3_CLIENT_TAKEN) {
        refusal = POP3_CLIENT_TAKEN;
    } else if (pop3_client_pass(client, "secret", 6) == POP3_CLIENT_TAKEN) {
        refusal = POP3_CLIENT_TAKEN;
    } else {
        refusal = pop3_client_user(client, "alice", 5);
    }
    fuzz->asked += refusal == POP3_CLIENT_TAKEN;
}

static void ask(struct fuzz *fuzz)
{
    struct pop3_client *client = fuzz->client;
    enum pop3_client_refusal refusal = POP3_CLIENT_BUSY;
    if (pop3_client_state(client) == POP3_CLIENT_AUTHORIZATION && choose(fuzz, 2) != 0) {
        ask_to_log_in(fuzz);
        return;
    }
    switch (choose(fuzz, 4)) {
    case 0:
        refusal = pop3_client_capa(client);
        break;
    case 1:
        refusal = pop3_client_stat(client);
        break;
    case 2:
    case 3:
        refusal = pop3_client_list(client, choose(fuzz, 1));
        break;
    case 4:
    case 5:
        refusal = pop3_client_uidl(client, choose(fuzz, 1));
        break;
    case 6:
        refusal = pop3_client_top(client, 1, 0);
        break;
    case 7:
        refusal = pop3_client_dele(client, 1);
        break;
    case 8:
        refusal = pop3_client_noop(client);
        break;
    case 9:
        refusal = choose(fuzz, 1) != 0 ? pop3_client_rset(client) : pop3_client_quit(client);
        break;
    default:
        refusal = pop3_client_retr(client, 1 + choose(fuzz, 2));
    }
    fuzz->asked += refusal == POP3_CLIENT_TAKEN;
}

static void on_write(struct fuzz *fuzz, const struct pop3_client_event *event)
{
    static const char octets[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=*- \r\n";
    const char *text = event->u.write.data;
    require(event->u.write.size != 0);
    for (size_t i = 0; i < event->u.write.size; i++) {
        require(text[i] != '\0' && strchr(octets, text[i]) != NULL);
    }
    size_t size = event->u.write.size;
    pop3_client_written(fuzz->client, choose(fuzz, 1) != 0 ? size : (size + 1) / 2);
}

static void on_reply(struct fuzz *fuzz, const struct pop3_client_event *event)
{
    fuzz->replied++;
    fuzz->rows = 0;
    fuzz->message_octets = 0;
    require(fuzz->replied <= fuzz->asked);
    require(event->u.reply.count <= ROWS_MOST);
    touch(fuzz, event->u.reply.text, event->u.reply.text_size);
    touch(fuzz, event->u.reply.code_text, event->u.reply.code_size);
    touch(fuzz, event->u.reply.unique_id, event->u.reply.unique_id_size);
    /* CAPA goes out by itself after these. */
    bool begins =
        event->u.reply.command == POP3_CLIENT_CONNECT ||
        event->u.reply.command == POP3_CLIENT_STLS || event->u.reply.command == POP3_CLIENT_AUTH ||
        event->u.reply.command == POP3_CLIENT_PASS || event->u.reply.command == POP3_CLIENT_APOP;
    fuzz->asked += begins && event->u.reply.ok && fuzz->options.ask_capa;
}

static void on_challenge(struct fuzz *fuzz, const struct pop3_client_event *event)
{
    static const char response[3000] = "response";
    touch(fuzz, event->u.challenge.data, event->u.challenge.size);
    if (choose(fuzz, 2) == 0) {
        pop3_client_cancel(fuzz->client);
    } else {
        pop3_client_respond(fuzz->client, response, choose(fuzz, 1) != 0 ? 8 : sizeof response);
    }
}

/* One event; false if the server must speak, or the session is over. `fed` is what was fed last. */
static bool answer(struct fuzz *fuzz, const struct pop3_client_event *event, const uint8_t *fed,
                   size_t fed_size)
{
    switch (event->type) {
    case POP3_CLIENT_NEED_INPUT:
    case POP3_CLIENT_IDLE:
        return false;
    case POP3_CLIENT_CLOSE:
        touch(fuzz, event->u.close.text, event->u.close.text_size);
        fuzz->closed = true;
        return false;
    case POP3_CLIENT_WRITE:
        on_write(fuzz, event);
        return true;
    case POP3_CLIENT_REPLY:
        on_reply(fuzz, event);
        return true;
    case POP3_CLIENT_ROW:
        require(++fuzz->rows <= ROWS_MOST && event->u.row.number != 0);
        touch(fuzz, event->u.row.unique_id, event->u.row.unique_id_size);
        return true;
    case POP3_CLIENT_CAPABILITY:
        require(++fuzz->rows <= POP3_CLIENT_CAPABILITIES_MOST);
        touch(fuzz, event->u.capability.text, event->u.capability.text_size);
        return true;
    case POP3_CLIENT_MESSAGE: {
        const uint8_t *piece = event->u.message.data;
        fuzz->message_octets += event->u.message.size;
        require(event->u.message.size != 0 && fuzz->message_octets <= MESSAGE_MOST);
        bool inside = piece >= fed && piece + event->u.message.size <= fed + fed_size;
        require(inside || (event->u.message.size == 1 && *piece == '\r'));
        touch(fuzz, piece, event->u.message.size);
        return true;
    }
    case POP3_CLIENT_MESSAGE_END:
        require(event->u.message_end.octets == fuzz->message_octets);
        require(memcmp(fuzz->last, "\r\n.\r\n", 5) == 0);
        return true;
    case POP3_CLIENT_CAPABILITIES:
        require(strlen(event->u.capabilities->sasl_mechanisms) < POP3_CLIENT_TEXT_OCTETS);
        return true;
    case POP3_CLIENT_ROWS_END:
        require(event->u.rows_end.count == fuzz->rows);
        return true;
    case POP3_CLIENT_CHALLENGE:
        on_challenge(fuzz, event);
        return true;
    case POP3_CLIENT_STARTTLS:
        if (choose(fuzz, 1) != 0) {
            return false; /* and the next octets come too early */
        }
        pop3_client_tls_started(fuzz->client);
        return true;
    }
    abort();
}

static void run(struct fuzz *fuzz, const uint8_t *fed, size_t fed_size)
{
    struct pop3_client_event event;
    unsigned events = 0;
    do {
        if (choose(fuzz, 1) != 0) {
            ask(fuzz);
        }
        pop3_client_next(fuzz->client, &event);
        require(++events < EVENTS_MOST);
    } while (answer(fuzz, &event, fed, fed_size));
}

static void remember(struct fuzz *fuzz, const uint8_t *octets, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        memmove(fuzz->last, fuzz->last + 1, sizeof fuzz->last - 1);
        fuzz->last[sizeof fuzz->last - 1] = octets[i];
    }
}

static void feed(struct fuzz *fuzz, const uint8_t *data, size_t size)
{
    size_t piece = size == 0 ? 0 : 1 + fuzz->choices[1] % size;
    for (size_t at = 0; at < size && !fuzz->closed;) {
        size_t part = piece < size - at ? piece : size - at;
        uint8_t *copy = malloc(part);
        require(copy != NULL);
        memcpy(copy, data + at, part);
        for (size_t used = 0; used < part && !fuzz->closed;) {
            size_t taken = pop3_client_feed(fuzz->client, copy + used, part - used);
            require(taken <= part - used);
            remember(fuzz, copy + used, taken);
            fuzz->quiet = taken == 0 ? fuzz->quiet + 1 : 0;
            require(fuzz->quiet < 3);
            run(fuzz, copy, part);
            used += taken;
        }
        free(copy);
        at += part;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < CHOICE_OCTETS) {
        return -1;
    }
    struct fuzz fuzz = {
        .choices = data,
        .asked = 1, /* the greeting */
        .memory = malloc(pop3_client_size(COMMANDS)),
        .lent = malloc(3000),
        .options = {.max_messages = ROWS_MOST,
                    .max_message_octets = MESSAGE_MOST,
                    .ask_capa = data[0] & 1,
                    .encrypted = data[0] >> 1 & 1,
                    .one_at_a_time = data[0] >> 2 & 1},
    };
    require(fuzz.memory != NULL && fuzz.lent != NULL);
    fuzz.client = pop3_client_init(fuzz.memory, COMMANDS, &fuzz.options);
    run(&fuzz, NULL, 0);
    feed(&fuzz, data + CHOICE_OCTETS, size - CHOICE_OCTETS);
    pop3_client_end(fuzz.client);
    struct pop3_client_event event;
    for (unsigned i = 0; !fuzz.closed; i++) {
        pop3_client_next(fuzz.client, &event);
        require(i < 3);
        fuzz.closed = event.type == POP3_CLIENT_CLOSE;
    }
    free(fuzz.memory);
    free(fuzz.lent);
    return 0;
}
