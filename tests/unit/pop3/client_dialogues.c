/* SPDX-License-Identifier: MIT */
/* The client engine's driver of tests/dialogues, mirrored: it is asked for the commands of the C lines, fed
 * the S lines in pieces of every size, one command at a time and many at once, and the events that it tells,
 * written out as lines again, must be the S lines. TAP, one test a file.
 *
 * Which lines are played is a rule, not a list: those that the engine can speak, octet for octet, where its
 * session stands. The others (wrong on purpose, or commands that it has not) are skipped with their replies;
 * the last test holds how many were played, so that an engine that refuses everything is found out. */
#include <dirent.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/base64.h"
#include "base/number.h"
#include "client_host.h"
#include "dialogue.h"

enum { PIECES_MOST = 300, PAIRS_MOST = DIALOGUE_STATEMENTS_MOST, LINE_MOST = 30000 };

/* Commands of all files that must have been played, once each: measured, less a few. */
enum { PLAYED_LEAST = 200 };

/* A command and the S lines that answer it. */
struct pair {
    struct bytes line; /* without CR LF */
    unsigned first, end;
    unsigned at; /* in the file */
    bool whole;  /* nothing is missing of the reply */
};

struct run {
    const struct dialogue *dialogue;
    struct client_host host;
    bool pipelined;
    struct pair asked[PAIRS_MOST]; /* whose replies have not been fed */
    unsigned asked_count;
    unsigned played;
    char argument[LINE_MOST];
    uint8_t response[LINE_MOST], lent[LINE_MOST];
    char error[700];
};

static int fault(struct run *run, unsigned line, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static int fault(struct run *run, unsigned line, const char *format, ...)
{
    int used = snprintf(run->error, sizeof run->error, "line %u, %s, pieces of %zu: ", line,
                        run->pipelined ? "many at once" : "one at a time", run->host.feed_size);
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(run->error + used, sizeof run->error - (size_t)used, format, arguments);
    va_end(arguments);
    return -1;
}

static bool is_server(char kind)
{
    return kind == 'S' || kind == 's';
}

static bool has_keyword(struct bytes line, const char *keyword)
{
    struct bytes front = {.data = line.data, .size = bytes_find(line, ' ')};
    return bytes_equal_ignoring_case(front, bytes_of(keyword));
}

/* Does a reply of +OK to this line go on to a line of a dot? */
static bool is_multiline(struct bytes line)
{
    bool alone = bytes_find(line, ' ') == line.size;
    return has_keyword(line, "RETR") || has_keyword(line, "TOP") || has_keyword(line, "CAPA") ||
           (alone && (has_keyword(line, "LIST") || has_keyword(line, "UIDL") ||
                      has_keyword(line, "LANG") || has_keyword(line, "AUTH")));
}

static bool begins_with(struct bytes text, const char *front)
{
    return text.size >= strlen(front) && memcmp(text.data, front, strlen(front)) == 0;
}

/* The S lines from pair->first on that answer it. False where there are none. */
static bool find_reply(const struct dialogue *dialogue, struct pair *pair)
{
    unsigned next = pair->first;
    pair->whole = true;
    if (next == dialogue->statement_count || !is_server(dialogue->statements[next].kind)) {
        return false;
    }
    bool more = is_multiline(pair->line) && begins_with(dialogue->statements[next].text, "+OK");
    for (next++; more; next++) {
        if (next == dialogue->statement_count || !is_server(dialogue->statements[next].kind)) {
            pair->whole = false;
            break;
        }
        more = !bytes_equal(dialogue->statements[next].text, bytes_of("."));
    }
    pair->end = next;
    return true;
}

/* The line's arguments from the n-th space on. */
static struct bytes argument(struct bytes line, unsigned index)
{
    for (unsigned i = 0; i < index; i++) {
        line = bytes_from(line, bytes_find(line, ' ') + 1);
    }
    return line;
}

static struct bytes word(struct bytes text)
{
    text.size = bytes_find(text, ' ');
    return text;
}

/* Base64 as the engine would write it, decoded. */
static int decode(struct run *run, struct bytes text, size_t *size)
{
    if (text.size > sizeof run->response) {
        return -1;
    }
    if (text.size != 0) {
        memcpy(run->response, text.data, text.size);
    }
    return base64_decode(run->response, text.size, size);
}

static enum pop3_client_refusal speak_auth(struct run *run, struct bytes line)
{
    struct bytes mechanism = word(argument(line, 1));
    struct bytes initial = argument(line, 2);
    struct pop3_client_auth auth = {.memory = run->lent, .memory_size = sizeof run->lent};
    (void)snprintf(run->argument, sizeof run->argument, "%.*s", (int)mechanism.size,
                   (const char *)mechanism.data);
    auth.mechanism = run->argument;
    if (line.size + 2 > POP3_CLIENT_COMMAND_OCTETS) {
        return POP3_CLIENT_BAD_ARGUMENT; /* a server is liberal: the client sends such a one apart */
    }
    if (initial.size != 0) {
        bool empty = bytes_equal(initial, bytes_of("="));
        if (!empty && decode(run, initial, &auth.response_size) < 0) {
            return POP3_CLIENT_BAD_ARGUMENT;
        }
        auth.response = run->response;
    }
    return pop3_client_auth(run->host.client, &auth);
}

/* Commands with numbers, in the one way that the engine writes them. */
static enum pop3_client_refusal speak_numbers(struct run *run, struct bytes line)
{
    struct pop3_client *client = run->host.client;
    uint64_t number = 0;
    uint64_t lines = 0;
    char text[60];
    struct bytes first = word(argument(line, 1));
    struct bytes second = argument(line, 2);
    if (first.size != 0 && number_parse(first, UINT32_MAX, &number) < 0) {
        return POP3_CLIENT_BAD_ARGUMENT;
    }
    if (second.size != 0 && number_parse(second, UINT32_MAX, &lines) < 0) {
        return POP3_CLIENT_BAD_ARGUMENT;
    }
    struct bytes keyword = word(line);
    int size = snprintf(text, sizeof text, "%.*s", (int)(keyword.size < 8 ? keyword.size : 8),
                        (const char *)keyword.data);
    if (number != 0) {
        size += snprintf(text + size, sizeof text - (size_t)size, " %u", (unsigned)number);
    }
    if (has_keyword(line, "TOP")) {
        (void)snprintf(text + size, sizeof text - (size_t)size, " %u", (unsigned)lines);
    }
    if (!bytes_equal(line, bytes_of(text))) {
        return POP3_CLIENT_BAD_ARGUMENT;
    }
    if (has_keyword(line, "LIST")) {
        return pop3_client_list(client, (uint32_t)number);
    }
    if (has_keyword(line, "UIDL")) {
        return pop3_client_uidl(client, (uint32_t)number);
    }
    if (has_keyword(line, "RETR")) {
        return pop3_client_retr(client, (uint32_t)number);
    }
    return has_keyword(line, "DELE") ? pop3_client_dele(client, (uint32_t)number)
                                     : pop3_client_top(client, (uint32_t)number, (uint32_t)lines);
}

static enum pop3_client_refusal speak_apop(struct run *run, struct bytes line)
{
    struct bytes name = word(argument(line, 1));
    struct bytes digest = argument(line, 2);
    if (digest.size > 100) {
        return POP3_CLIENT_BAD_ARGUMENT;
    }
    (void)snprintf(run->argument, sizeof run->argument, "%.*s", (int)digest.size,
                   digest.size == 0 ? "" : (const char *)digest.data);
    return pop3_client_apop(run->host.client, name.data, name.size, run->argument);
}

static enum pop3_client_refusal speak_plain(struct pop3_client *client, struct bytes line)
{
    static const struct {
        const char *line;
        enum pop3_client_refusal (*ask)(struct pop3_client *client);
    } plain[] = {{"CAPA", pop3_client_capa}, {"STLS", pop3_client_stls}, {"UTF8", pop3_client_utf8},
                 {"STAT", pop3_client_stat}, {"RSET", pop3_client_rset}, {"NOOP", pop3_client_noop},
                 {"QUIT", pop3_client_quit}};
    for (size_t i = 0; i < sizeof plain / sizeof plain[0]; i++) {
        if (bytes_equal(line, bytes_of(plain[i].line))) {
            return plain[i].ask(client);
        }
    }
    return POP3_CLIENT_BAD_ARGUMENT;
}

static enum pop3_client_refusal speak_command(struct run *run, struct bytes line)
{
    static const char *const keywords[] = {"USER", "PASS", "APOP", "AUTH", "LIST",
                                           "UIDL", "RETR", "DELE", "TOP"};
    struct bytes keyword = word(line);
    struct bytes rest = argument(line, 1);
    for (size_t i = 0; i < sizeof keywords / sizeof keywords[0]; i++) {
        if (!bytes_equal(keyword, bytes_of(keywords[i]))) {
            continue;
        }
        switch (i) {
        case 0:
            return pop3_client_user(run->host.client, rest.data, rest.size);
        case 1:
            return pop3_client_pass(run->host.client, rest.data, rest.size);
        case 2:
            return speak_apop(run, line);
        case 3:
            return speak_auth(run, line);
        default:
            return speak_numbers(run, line);
        }
    }
    return speak_plain(run->host.client, line);
}

/* A line of an exchange. */
static enum pop3_client_refusal speak_response(struct run *run, struct bytes line)
{
    size_t size = 0;
    if (bytes_equal(line, bytes_of("*"))) {
        pop3_client_cancel(run->host.client);
        return POP3_CLIENT_TAKEN;
    }
    if (decode(run, line, &size) < 0) {
        return POP3_CLIENT_BAD_ARGUMENT;
    }
    pop3_client_respond(run->host.client, run->response, size);
    return POP3_CLIENT_TAKEN;
}

static void feed_line(struct run *run, uint8_t *block, size_t *size, struct bytes line)
{
    (void)run;
    if (line.size != 0) {
        memcpy(block + *size, line.data, line.size);
    }
    memcpy(block + *size + line.size, "\r\n", 2);
    *size += line.size + 2;
}

/* Feeds the replies of all that was asked, and compares what they became. */
static int settle(struct run *run)
{
    static uint8_t block[1U << 20];
    size_t size = 0;
    unsigned at = run->asked_count == 0 ? 0 : run->asked[0].at;
    bool starttls = false;
    for (unsigned i = 0; i < run->asked_count; i++) {
        for (unsigned k = run->asked[i].first; k < run->asked[i].end; k++) {
            feed_line(run, block, &size, run->dialogue->statements[k].text);
        }
        starttls = has_keyword(run->asked[i].line, "STLS");
    }
    run->asked_count = 0;
    uint64_t begun = run->host.events[POP3_CLIENT_STARTTLS];
    client_host_feed(&run->host, block, size);
    struct bytes want = {.data = block, .size = size};
    struct bytes got = {.data = run->host.said, .size = run->host.said_size};
    char shown_want[200];
    char shown_got[200];
    bool equal = bytes_equal(got, want);
    (void)bytes_escape(want, shown_want, sizeof shown_want);
    (void)bytes_escape(got, shown_got, sizeof shown_got);
    bool ok = size != 0 && block[0] == '+';
    client_host_forget(&run->host);
    if (!equal) {
        return fault(run, at, "fed \"%s\", understood \"%s\"", shown_want, shown_got);
    }
    if ((run->host.events[POP3_CLIENT_STARTTLS] != begun) != (starttls && ok)) {
        return fault(run, at, "STARTTLS at the wrong time");
    }
    return 0;
}

/* What the client wrote must be the line. */
static int check_sent(struct run *run, const struct pair *pair)
{
    char got[200];
    char want[200];
    struct bytes sent = {.data = run->host.sent, .size = run->host.sent_size};
    bool equal = sent.size == pair->line.size + 2 && sent.data[sent.size - 2] == '\r' &&
                 sent.data[sent.size - 1] == '\n' &&
                 (pair->line.size == 0 || memcmp(sent.data, pair->line.data, pair->line.size) == 0);
    (void)bytes_escape(sent, got, sizeof got);
    run->host.sent_size = 0;
    return equal ? 0
                 : fault(run, pair->at, "want \"%s\" sent, got \"%s\"",
                         bytes_escape(pair->line, want, sizeof want), got);
}

/* Asks for one command. 1: it cannot be spoken. */
static int play_pair(struct run *run, const struct pair *pair)
{
    bool exchange = run->host.challenged;
    enum pop3_client_refusal refusal =
        exchange ? speak_response(run, pair->line) : speak_command(run, pair->line);
    if (refusal == POP3_CLIENT_BUSY) {
        if (run->asked_count == 0) {
            return fault(run, pair->at, "refused as busy, with nothing under way");
        }
        if (settle(run) < 0) {
            return -1;
        }
        return play_pair(run, pair);
    }
    if (refusal != POP3_CLIENT_TAKEN) {
        return 1;
    }
    run->asked[run->asked_count++] = *pair;
    run->played++;
    client_host_run(&run->host);
    if (check_sent(run, pair) < 0) {
        return -1;
    }
    return run->pipelined && !exchange && !has_keyword(pair->line, "AUTH") ? 0 : settle(run);
}

/* C lines from *next on, with the S lines behind them. 1: the rest of the file cannot be played. */
static int play_block(struct run *run, unsigned *next)
{
    const struct dialogue *dialogue = run->dialogue;
    unsigned line = *next;
    unsigned end = line;
    while (end < dialogue->statement_count &&
           strchr("Cc", dialogue->statements[end].kind) != NULL) {
        end++;
    }
    unsigned reply = end;
    if (run->host.events[POP3_CLIENT_REPLY] == 0) { /* the greeting comes first */
        struct pair greeting = {.first = reply};
        if (!find_reply(dialogue, &greeting)) {
            return 1;
        }
        run->asked[run->asked_count++] = greeting;
        run->asked[0].end = ++reply;
        if (settle(run) < 0) {
            return -1;
        }
    }
    for (; line < end; line++) {
        const struct dialogue_statement *statement = &dialogue->statements[line];
        struct pair pair = {.line = statement->text, .first = reply, .at = statement->line};
        pair.line.size -= statement->kind == 'C' ? 2 : 0;
        if (statement->kind != 'C' || bytes_find(pair.line, '\n') < pair.line.size ||
            !find_reply(dialogue, &pair)) {
            break; /* half a line, two, or none: which reply is whose cannot be told */
        }
        reply = pair.end;
        bool exchange = run->host.challenged;
        int result = play_pair(run, &pair);
        if (result < 0 || (result == 1 && exchange) || (result == 0 && !pair.whole)) {
            return result < 0 || settle(run) < 0 ? -1 : 1;
        }
    }
    if (settle(run) < 0) {
        return -1;
    }
    while (reply < dialogue->statement_count && is_server(dialogue->statements[reply].kind)) {
        reply++;
    }
    *next = reply;
    return 0;
}

/* What the dialogue takes for granted has been said. */
static int begin(struct run *run)
{
    struct client_host *host = &run->host;
    client_host_start(host);
    if (run->dialogue->start != DIALOGUE_CONNECTED) {
        client_host_feed_text(host, "+OK ready\r\n");
    }
    if (run->dialogue->start == DIALOGUE_TRANSACTION) {
        if (run->pipelined) {
            if (pop3_client_capa(host->client) != POP3_CLIENT_TAKEN) {
                return -1;
            }
            client_host_run(host);
            client_host_feed_text(host, "+OK\r\nPIPELINING\r\n.\r\n");
        }
        if (pop3_client_user(host->client, "alice", 5) != POP3_CLIENT_TAKEN) {
            return -1;
        }
        client_host_run(host);
        client_host_feed_text(host, "+OK\r\n");
        if (pop3_client_pass(host->client, "secret", 6) != POP3_CLIENT_TAKEN) {
            return -1;
        }
        client_host_run(host);
        client_host_feed_text(host, "+OK\r\n");
    }
    client_host_forget(host);
    return 0;
}

/* After the last line: QUIT has closed the session, or the peer does; then it is no clean end. */
static int finish(struct run *run)
{
    struct client_host *host = &run->host;
    bool quit = pop3_client_state(host->client) == POP3_CLIENT_ENDED && host->closed;
    pop3_client_end(host->client);
    client_host_run(host);
    enum pop3_client_error want = quit ? POP3_CLIENT_ERROR_NONE : POP3_CLIENT_ERROR_PEER_GONE;
    return host->closed && host->error == want
               ? 0
               : fault(run, 0, "ended with error %d, not %d", (int)host->error, (int)want);
}

static int play(struct run *run, size_t feed_size, bool pipelined)
{
    client_host_init(&run->host);
    run->host.feed_size = feed_size;
    run->pipelined = pipelined;
    run->asked_count = 0;
    run->played = 0;
    int result = begin(run) < 0 ? fault(run, 0, "cannot begin") : 0;
    for (unsigned next = 0; result == 0 && next < run->dialogue->statement_count;) {
        char kind = run->dialogue->statements[next].kind;
        if (kind == 'C' || kind == 'c' || is_server(kind)) {
            result = play_block(run, &next);
        } else {
            next++;
        }
    }
    result = result < 0 ? -1 : finish(run);
    client_host_finish(&run->host);
    return result;
}

static bool test_file(unsigned number, const char *folder, const char *name, unsigned *played)
{
    char path[4096];
    struct dialogue *dialogue = malloc(sizeof *dialogue);
    struct run *run = calloc(1, sizeof *run);
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    int result = -1;
    const char *error = "no memory";
    if (dialogue != NULL && run != NULL) {
        run->dialogue = dialogue;
        result = dialogue_read(dialogue, path);
        error = dialogue->error;
        for (size_t size = 0; size <= PIECES_MOST && result == 0; size++) {
            error = run->error;
            result = play(run, size, false) < 0 || play(run, size, true) < 0 ? -1 : 0;
        }
        *played += run->played;
        dialogue_free(dialogue);
    }
    (void)printf("%sok %u - %.*s\n", result == 0 ? "" : "not ", number,
                 (int)(strlen(name) - strlen(".dialogue")), name);
    (void)printf("# %u commands\n", run == NULL ? 0 : run->played);
    if (result < 0) {
        (void)printf("# %s: %s\n", name, error);
    }
    (void)fflush(stdout);
    free(run);
    free(dialogue);
    return result == 0;
}

static int is_dialogue(const struct dirent *entry)
{
    const char *dot = strrchr(entry->d_name, '.');
    return dot != NULL && strcmp(dot, ".dialogue") == 0;
}

/* client_dialogues FOLDER [NAME]: all files of the folder, or one. */
int main(int argc, char **argv)
{
    struct dirent **entries = NULL;
    int count = argc < 2 ? -1 : scandir(argv[1], &entries, is_dialogue, alphasort);
    if (count <= 0) {
        (void)fprintf(stderr, "usage: client_dialogues FOLDER [NAME]; no dialogue found\n");
        return 2;
    }
    unsigned run = 0;
    unsigned failed = 0;
    unsigned played = 0;
    for (int i = 0; i < count; i++) {
        if (argc < 3 || strncmp(entries[i]->d_name, argv[2], strlen(argv[2])) == 0) {
            failed += test_file(++run, argv[1], entries[i]->d_name, &played) ? 0 : 1;
        }
        free(entries[i]);
    }
    free(entries);
    if (argc < 3) {
        bool enough = played >= PLAYED_LEAST;
        failed += enough ? 0 : 1;
        (void)printf("%sok %u - the client speaks most of what the dialogues hold\n# %u commands\n",
                     enough ? "" : "not ", ++run, played);
    }
    (void)printf("1..%u\n", run);
    return failed == 0 && run != 0 ? 0 : 1;
}
