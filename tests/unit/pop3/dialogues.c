/* SPDX-License-Identifier: MIT */
/* The engine's driver of tests/dialogues: every file, its octets cut into pieces of every size, in
 * lockstep and all at once, with a roomy and with the smallest output. TAP, one test a file. */
#include <dirent.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/number.h"
#include "dialogue.h"
#include "host.h"

enum { PIECES_MOST = 700 }; /* octets; a piece that holds a whole line and more */

/* One way to run a dialogue. */
struct manner {
    bool pipelined;
    size_t feed_size, output_size, write_size, read_size;
    bool flush;
};

struct run {
    const struct dialogue *dialogue;
    struct manner manner;
    struct host host;
    char user[300], password[600];
    char mechanisms[100], timestamp[100];
    uint8_t *block; /* room for all input of the dialogue */
    char error[600];
};

static int fault(struct run *run, unsigned line, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static int fault(struct run *run, unsigned line, const char *format, ...)
{
    int used =
        snprintf(run->error, sizeof run->error, "line %u, %s, pieces of %zu, output of %zu: ", line,
                 run->manner.pipelined ? "all at once" : "lockstep", run->manner.feed_size,
                 run->manner.output_size);
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(run->error + used, sizeof run->error - (size_t)used, format, arguments);
    va_end(arguments);
    return -1;
}

/* "key = value": the value if it is that key. */
static bool is_key(struct bytes line, const char *key, struct bytes *value)
{
    size_t size = strlen(key);
    if (line.size < size + 3 || memcmp(line.data, key, size) != 0 ||
        memcmp(line.data + size, " = ", 3) != 0) {
        return false;
    }
    *value = bytes_from(line, size + 3);
    return true;
}

static bool is(struct bytes value, const char *text)
{
    return bytes_equal(value, bytes_of(text));
}

/* As a string of ours; cut if it is too long. */
static const char *copy(struct bytes text, char *out, size_t capacity)
{
    size_t size = text.size < capacity ? text.size : capacity - 1;
    if (size != 0) {
        memcpy(out, text.data, size);
    }
    out[size] = '\0';
    return out;
}

static int set_config(struct run *run, struct bytes line)
{
    static char expire[32];
    struct pop3_server_options *options = &run->host.options;
    struct bytes value;
    uint64_t number;
    if (is_key(line, "utf8", &value)) {
        options->utf8 = options->utf8_user = is(value, "yes");
    } else if (is_key(line, "max-bad-commands", &value)) {
        if (number_parse(value, UINT32_MAX, &number) < 0) {
            return -1;
        }
        options->max_bad_commands = (uint32_t)number;
    } else if (is_key(line, "expire", &value)) {
        options->expire = is(value, "never") ? "NEVER" : copy(value, expire, sizeof expire);
    } else if (is_key(line, "plaintext-login", &value)) {
        run->host.connection.user_allowed = !is(value, "never");
    } else {
        return -1;
    }
    return 0;
}

static int set_connection(struct run *run, struct bytes line)
{
    struct bytes value;
    uint64_t number;
    if (is_key(line, "sasl", &value)) {
        run->host.connection.sasl_mechanisms = copy(value, run->mechanisms, sizeof run->mechanisms);
    } else if (is_key(line, "timestamp", &value)) {
        run->host.connection.timestamp = copy(value, run->timestamp, sizeof run->timestamp);
    } else if (is_key(line, "starttls", &value)) {
        run->host.connection.starttls = is(value, "yes");
    } else if (is_key(line, "login-delay", &value) &&
               number_parse(value, UINT32_MAX, &number) == 0) {
        run->host.options.login_delay_seconds = (uint32_t)number;
    } else {
        return -1;
    }
    return 0;
}

static int prepare(struct run *run)
{
    const struct dialogue *dialogue = run->dialogue;
    struct host *host = &run->host;
    host_init(host);
    host->options.implementation = "Restante-test";
    host->options.expire = "NEVER";
    host->options.max_bad_commands = 10;
    host->connection.starttls = 1; /* as the server */
    host->user = copy(dialogue->user, run->user, sizeof run->user);
    host->password = copy(dialogue->password, run->password, sizeof run->password);
    host->password_size = dialogue->password.size;
    host->feed_size = run->manner.feed_size;
    host->output_size = run->manner.output_size;
    host->write_size = run->manner.write_size;
    host->read_size = run->manner.read_size;
    host->flush = run->manner.flush;
    for (unsigned i = 0; i < dialogue->config_count; i++) {
        if (set_config(run, dialogue->config[i]) < 0) {
            return fault(run, 0, "unknown Config");
        }
    }
    for (unsigned i = 0; i < dialogue->connection_count; i++) {
        if (set_connection(run, dialogue->connection[i]) < 0) {
            return fault(run, 0, "unknown Connection");
        }
    }
    for (unsigned i = 0; i < dialogue->message_count; i++) {
        struct pop3_octet_count count = {0};
        host_add_message(host, dialogue->messages[i].data, dialogue->messages[i].size);
        pop3_octet_count_feed(&count, dialogue->messages[i].data, dialogue->messages[i].size);
        uint64_t said = dialogue->message_octets[i];
        if (said != 0 && said != pop3_octet_count_end(&count)) {
            return fault(run, 0, "message %u has %llu octets", i + 1,
                         (unsigned long long)pop3_octet_count_end(&count));
        }
    }
    return 0;
}

static int check_line(struct run *run, const struct dialogue_statement *statement,
                      struct bytes *sent)
{
    size_t end = bytes_find(*sent, '\n');
    struct bytes line = {.data = sent->data, .size = end};
    bool whole = end < sent->size && end > 0 && sent->data[end - 1] == '\r';
    line.size -= whole ? 1 : 0;
    struct bytes start = line;
    if (statement->kind == 's' && start.size > statement->text.size) {
        start.size = statement->text.size;
    }
    if (!whole || !bytes_equal(start, statement->text)) {
        char got[200];
        char want[200];
        return fault(run, statement->line, "want \"%s\", got \"%s\"%s",
                     bytes_escape(statement->text, want, sizeof want),
                     bytes_escape(line, got, sizeof got), whole ? "" : " without CR LF");
    }
    *sent = bytes_from(*sent, end + 1);
    return 0;
}

static bool is_server(char kind)
{
    return kind == 'S' || kind == 's';
}

/* What was sent must be the S lines from *next on: those up to the next other statement, or all. */
static int check_sent(struct run *run, unsigned *next, bool all)
{
    const struct dialogue *dialogue = run->dialogue;
    struct bytes sent = {.data = run->host.sent, .size = run->host.sent_size};
    run->host.sent_size = 0;
    unsigned line = 0;
    while (*next < dialogue->statement_count) {
        const struct dialogue_statement *statement = &dialogue->statements[*next];
        line = statement->line;
        if (is_server(statement->kind) && check_line(run, statement, &sent) < 0) {
            return -1;
        }
        if (!is_server(statement->kind) && !all) {
            break;
        }
        ++*next;
    }
    if (sent.size != 0) {
        char got[200];
        return fault(run, line, "nothing more expected, got \"%s\"",
                     bytes_escape(sent, got, sizeof got));
    }
    return 0;
}

static int check_left(struct run *run, const struct dialogue_statement *statement)
{
    struct bytes rest = statement->text;
    for (unsigned i = 0; i < run->host.message_count; i++) {
        uint64_t number = 0;
        size_t end = bytes_find(rest, ' ');
        struct bytes digits = {.data = rest.data, .size = end};
        bool listed = number_parse(digits, 1000, &number) == 0 && number == i + 1;
        if (listed) {
            rest = bytes_from(rest, end + 1);
        }
        if (listed == run->host.messages[i].removed) {
            return fault(run, statement->line, "message %u is %s", i + 1,
                         listed ? "not there" : "still there");
        }
    }
    return 0;
}

static int set_answer(struct run *run, const struct dialogue_statement *statement)
{
    static const struct {
        const char *name;
        int type;
    } events[] = {{"authenticate", POP3_SERVER_AUTHENTICATE},
                  {"open", POP3_SERVER_OPEN},
                  {"rows", POP3_SERVER_ROWS},
                  {"send", POP3_SERVER_SEND},
                  {"message", POP3_SERVER_MESSAGE}};
    static const char *const failures[] = {"none",        "temporary",   "permanent", "in-use",
                                           "credentials", "login-delay", "gone",      "unreadable",
                                           "not-removed", "syntax"};
    size_t space = bytes_find(statement->text, ' ');
    struct bytes event = {.data = statement->text.data, .size = space};
    struct bytes answer = bytes_from(statement->text, space + 1);
    uint64_t number = 0;
    if (is(event, "commit") && number_parse(answer, 1000, &number) == 0) {
        run->host.not_removed = (uint32_t)number;
        return 0;
    }
    if (is(event, "lend-marks") || is(event, "lend-sasl")) {
        run->host.refuse = is(event, "lend-marks") ? POP3_LEND_MARKS : POP3_LEND_SASL;
        return 0;
    }
    for (size_t i = 0; i < sizeof events / sizeof events[0]; i++) {
        for (size_t k = 1; k < POP3_FAILURE_COUNT; k++) {
            if (is(event, events[i].name) && is(answer, failures[k])) {
                run->host.fail_type = events[i].type;
                run->host.failure = (enum pop3_failure)k;
                return 0;
            }
        }
    }
    return fault(run, statement->line, "unknown answer");
}

static int play_statement(struct run *run, const struct dialogue_statement *statement)
{
    switch (statement->kind) {
    case '-':
        return run->host.closed ? 0 : fault(run, statement->line, "the connection is open");
    case '!':
        host_end(&run->host, POP3_END_PEER_GONE);
        return 0;
    case 'L':
        return check_left(run, statement);
    case 'A':
        return set_answer(run, statement);
    default:
        return 0;
    }
}

/* The C statements from *next on as one piece of input. */
static void feed_block(struct run *run, unsigned *next, bool all)
{
    const struct dialogue *dialogue = run->dialogue;
    size_t size = 0;
    for (; *next < dialogue->statement_count; ++*next) {
        const struct dialogue_statement *statement = &dialogue->statements[*next];
        if (statement->kind == 'C' || statement->kind == 'c') {
            memcpy(run->block + size, statement->text.data, statement->text.size);
            size += statement->text.size;
        } else if (!all) {
            break;
        }
    }
    host_feed(&run->host, run->block, size);
}

static int play_lockstep(struct run *run)
{
    const struct dialogue *dialogue = run->dialogue;
    for (unsigned next = 0; next < dialogue->statement_count;) {
        char kind = dialogue->statements[next].kind;
        if (kind == 'C' || kind == 'c') {
            feed_block(run, &next, false);
        } else if (!is_server(kind)) {
            if (play_statement(run, &dialogue->statements[next++]) < 0) {
                return -1;
            }
        }
        if (check_sent(run, &next, false) < 0) {
            return -1;
        }
    }
    return 0;
}

static int play_pipelined(struct run *run)
{
    const struct dialogue *dialogue = run->dialogue;
    unsigned fed = 0;
    unsigned checked = 0;
    feed_block(run, &fed, true);
    if (check_sent(run, &checked, true) < 0) {
        return -1;
    }
    for (unsigned i = 0; i < dialogue->statement_count; i++) {
        if (play_statement(run, &dialogue->statements[i]) < 0) {
            return -1;
        }
    }
    return 0;
}

static void begin(struct run *run)
{
    struct host *host = &run->host;
    host_start(host);
    if (run->dialogue->start == DIALOGUE_TRANSACTION) {
        char line[1000];
        (void)snprintf(line, sizeof line, "USER %s\r\nPASS %s\r\n", host->user, host->password);
        host_feed_text(host, line);
    }
    if (run->dialogue->start != DIALOGUE_CONNECTED) {
        host->sent_size = 0;
    }
}

static int play(struct run *run)
{
    int result = prepare(run);
    if (result == 0) {
        begin(run);
        result = run->manner.pipelined ? play_pipelined(run) : play_lockstep(run);
        if (result == 0) {
            host_end(&run->host, POP3_END_PEER_GONE);
            result = run->host.sent_size == 0 ? 0 : fault(run, 0, "said more at the end");
        }
        host_finish(&run->host);
    }
    return result;
}

static bool answers_are_set(const struct dialogue *dialogue)
{
    for (unsigned i = 0; i < dialogue->statement_count; i++) {
        if (dialogue->statements[i].kind == 'A') {
            return true;
        }
    }
    return false;
}

static size_t input_size(const struct dialogue *dialogue)
{
    size_t size = 0;
    for (unsigned i = 0; i < dialogue->statement_count; i++) {
        char kind = dialogue->statements[i].kind;
        size += kind == 'C' || kind == 'c' ? dialogue->statements[i].text.size : 0;
    }
    return size;
}

/* All manners; the first that fails leaves its error. */
static int play_all(struct run *run)
{
    static const struct manner tight[] = {
        {false, 0, POP3_OUTPUT_LEAST_OCTETS, 1, 1, true},
        {false, 1, POP3_OUTPUT_LEAST_OCTETS, 7, 3, false},
        {true, 0, POP3_OUTPUT_LEAST_OCTETS, 0, 0, false},
        {true, 0, POP3_OUTPUT_LEAST_OCTETS + 1, 100, 13, true},
    };
    bool pipelined = run->dialogue->pipelined && !answers_are_set(run->dialogue);
    size_t most = input_size(run->dialogue);
    most = most < PIECES_MOST ? most : PIECES_MOST;
    for (size_t size = 0; size <= most; size++) {
        for (int all = 0; all < (pipelined ? 2 : 1); all++) {
            run->manner = (struct manner){
                .pipelined = all != 0, .feed_size = size, .output_size = size == 0 ? 65536 : 4096};
            if (play(run) < 0) {
                return -1;
            }
        }
    }
    for (size_t i = 0; i < sizeof tight / sizeof tight[0]; i++) {
        run->manner = tight[i];
        if ((pipelined || !tight[i].pipelined) && play(run) < 0) {
            return -1;
        }
    }
    return 0;
}

static bool test_file(unsigned number, const char *folder, const char *name)
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
        if (result == 0) {
            run->block = malloc(input_size(dialogue) + 1);
            result = run->block == NULL ? -1 : play_all(run);
            error = run->error;
            free(run->block);
        }
        dialogue_free(dialogue);
    }
    (void)printf("%sok %u - %.*s\n", result == 0 ? "" : "not ", number,
                 (int)(strlen(name) - strlen(".dialogue")), name);
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

/* dialogues FOLDER [NAME]: all files of the folder, or one. */
int main(int argc, char **argv)
{
    struct dirent **entries = NULL;
    int count = argc < 2 ? -1 : scandir(argv[1], &entries, is_dialogue, alphasort);
    if (count <= 0) {
        (void)fprintf(stderr, "usage: dialogues FOLDER [NAME]; no dialogue found\n");
        return 2;
    }
    unsigned run = 0;
    unsigned failed = 0;
    for (int i = 0; i < count; i++) {
        if (argc < 3 || strncmp(entries[i]->d_name, argv[2], strlen(argv[2])) == 0) {
            failed += test_file(++run, argv[1], entries[i]->d_name) ? 0 : 1;
        }
        free(entries[i]);
    }
    free(entries);
    (void)printf("1..%u\n", run);
    return failed == 0 && run != 0 ? 0 : 1;
}
