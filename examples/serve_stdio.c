/* SPDX-License-Identifier: MIT */
/* Serves one maildrop from memory over standard input and output. User alice, password secret.
 *
 *     cc serve_stdio.c $(pkg-config --cflags --libs pop3) -o serve_stdio
 *     socat TCP-LISTEN:1110,reuseaddr,fork EXEC:./serve_stdio */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <pop3/pop3.h>

static const char *const messages[] = {
    "From: sender@example.com\nTo: alice@example.com\nSubject: Hello\n\nThe first.\n",
    "From: sender@example.com\nSubject: Dots\n\n.\n.. and so on\n",
};
enum { MESSAGE_COUNT = sizeof messages / sizeof messages[0], MARKS = (MESSAGE_COUNT + 7) / 8 };

static uint64_t octets_of(uint32_t number)
{
    struct pop3_octet_count count = {0, 0};
    pop3_octet_count_feed(&count, messages[number - 1], strlen(messages[number - 1]));
    return pop3_octet_count_end(&count);
}

static void authenticate(struct pop3_server *session, const struct pop3_server_event *event)
{
    if (event->u.authenticate.name_size == 5 && event->u.authenticate.response_size == 6 &&
        memcmp(event->u.authenticate.name, "alice", 5) == 0 &&
        memcmp(event->u.authenticate.response, "secret", 6) == 0) {
        pop3_server_authenticated(session);
    } else {
        pop3_server_failed(session, POP3_FAILURE_CREDENTIALS);
    }
}

static void look_up(struct pop3_server *session, uint32_t first, uint32_t count)
{
    static const char *const unique_ids[MESSAGE_COUNT] = {"hello", "dots"};
    struct pop3_row rows[POP3_ROWS_MOST];
    for (uint32_t i = 0; i < count; i++) {
        const char *id = unique_ids[first + i - 1];
        rows[i] = (struct pop3_row){octets_of(first + i), id, strlen(id)};
    }
    pop3_server_rows(session, rows, count);
}

static void write_out(struct pop3_server *session, const void *data, size_t size)
{
    ssize_t count = write(STDOUT_FILENO, data, size);
    if (count < 0) {
        pop3_server_end(session, POP3_END_PEER_GONE);
    } else {
        pop3_server_written(session, (size_t)count);
    }
}

/* Does what the session asks. CANCEL and STARTTLS never come: AUTH and STLS are not offered. */
static void answer(struct pop3_server *session, const struct pop3_server_event *event)
{
    static const char *rest = ""; /* of the message that is being read */
    static unsigned char output[65536], marks[MARKS];
    if (event->type == POP3_SERVER_WRITE) {
        write_out(session, event->u.write.data, event->u.write.size);
    } else if (event->type == POP3_SERVER_LEND) {
        int is_output = event->u.lend.purpose == POP3_LEND_OUTPUT;
        pop3_server_lent(session, is_output ? output : marks, is_output ? sizeof output : MARKS);
    } else if (event->type == POP3_SERVER_RETURN) {
        pop3_server_returned(session);
    } else if (event->type == POP3_SERVER_AUTHENTICATE) {
        authenticate(session, event);
    } else if (event->type == POP3_SERVER_OPEN) {
        pop3_server_opened(session, MESSAGE_COUNT, octets_of(1) + octets_of(2));
    } else if (event->type == POP3_SERVER_ROWS) {
        look_up(session, event->u.rows.first, event->u.rows.count);
    } else if (event->type == POP3_SERVER_SEND) {
        rest = messages[event->u.send.number - 1];
        pop3_server_message_opened(session, 0);
    } else if (event->type == POP3_SERVER_MESSAGE && *rest != '\0') {
        rest += pop3_server_message(session, rest, strlen(rest));
    } else if (event->type == POP3_SERVER_MESSAGE) {
        pop3_server_message_end(session);
    } else if (event->type == POP3_SERVER_STOP) {
        pop3_server_stopped(session);
    } else if (event->type == POP3_SERVER_COMMIT) {
        pop3_server_committed(session, 0);
    } else if (event->type == POP3_SERVER_RELEASE) {
        pop3_server_released(session);
    }
}

int main(void)
{
    const struct pop3_server_options options = {.greeting = "Example ready", .expire = "NEVER"};
    const struct pop3_server_connection connection = {.user_allowed = 1};
    char input[4096];
    size_t held = 0; /* octets of input that the session has not taken yet */
    void *memory = malloc(pop3_server_size());
    if (memory == NULL) {
        return EXIT_FAILURE;
    }
    struct pop3_server *session = pop3_server_init(memory, &options, &connection);
    struct pop3_server_event event;
    do {
        pop3_server_next(session, &event);
        if (event.type != POP3_SERVER_NEED_INPUT) {
            answer(session, &event);
            continue;
        }
        ssize_t size = held != 0 ? (ssize_t)held : read(STDIN_FILENO, input, sizeof input);
        if (size <= 0) {
            pop3_server_end(session, POP3_END_PEER_GONE);
            continue;
        }
        held = (size_t)size - pop3_server_feed(session, input, (size_t)size);
        memmove(input, input + size - held, held);
    } while (event.type != POP3_SERVER_CLOSE);
    free(memory);
    return EXIT_SUCCESS;
}
