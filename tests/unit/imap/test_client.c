/* SPDX-License-Identifier: MIT */
/* Sessions against what a server says, given in pieces of every size. */
#include "cmocka_first.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "imap/client.h"

#define READY     "* OK hi\r\n* CAPABILITY IMAP4rev1\r\nR1 OK\r\n"
#define LOGGED_IN READY "R2 OK in\r\n* CAPABILITY LITERAL+ UIDPLUS\r\nR3 OK\r\n"

static struct imap_client *client;
static void *memory;
static char written[100000];
static size_t piece = 1000;

static int setup(void **state)
{
    (void)state;
    memory = malloc(imap_client_size());
    client = imap_client_init(memory, &(struct imap_client_options){0});
    written[0] = '\0';
    piece = 1000;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    free(memory);
    return 0;
}

/* Until it is the host's turn, or the server has said all of `text`, which then begins behind what was taken. */
static struct imap_client_event step(const char **text)
{
    struct imap_client_event event;
    for (;;) {
        imap_client_next(client, &event);
        if (event.type == IMAP_CLIENT_WRITE) {
            size_t used = strlen(written);
            assert_true(used + event.octets.size < sizeof written);
            memcpy(written + used, event.octets.data, event.octets.size);
            written[used + event.octets.size] = '\0';
            imap_client_written(client, event.octets.size);
        } else if (event.type == IMAP_CLIENT_NEED_INPUT && **text != '\0') {
            struct bytes octets = bytes_of(*text);
            octets.size = octets.size < piece ? octets.size : piece;
            *text += imap_client_feed(client, octets);
        } else {
            return event;
        }
    }
}

/* The whole text, at a point where nothing is awaited. */
static void say(const char *text)
{
    struct bytes octets = bytes_of(text);
    assert_int_equal(imap_client_feed(client, octets), octets.size);
}

static enum imap_client_event_type turn(void)
{
    const char *nothing = "";
    return step(&nothing).type;
}

static void log_in(const char *text)
{
    const char *rest = text;
    assert_int_equal(step(&rest).type, IMAP_CLIENT_LOGIN);
    assert_int_equal(imap_client_login(client, bytes_of("u"), bytes_of("p\"\\")), 2);
    struct imap_client_event event = step(&rest);
    assert_int_equal(event.type, IMAP_CLIENT_RESULT);
    assert_int_equal(event.status, IMAP_OK);
    assert_int_equal(step(&rest).type, IMAP_CLIENT_IDLE);
    assert_string_equal(rest, "");
    assert_non_null(strstr(written, "R2 LOGIN \"u\" \"p\\\"\\\\\"\r\n"));
    written[0] = '\0';
}

static const struct imap_append append = {
    .mailbox = "B\u00fc", .flags = "\\Seen", .date = " 1-Jan-2024 00:00:00 +0000", .octets = 5};

static uint32_t give_message(void)
{
    uint32_t number = imap_client_append(client, &append);
    assert_int_not_equal(number, 0);
    assert_int_equal(turn(), IMAP_CLIENT_MESSAGE);
    assert_int_equal(imap_client_message(client, bytes_of("ab")), 2);
    assert_int_equal(turn(), IMAP_CLIENT_MESSAGE);
    assert_int_equal(imap_client_message(client, bytes_of("cdeX")), 3);
    assert_int_equal(turn(), IMAP_CLIENT_IDLE);
    return number;
}

static void test_pieces(void **state)
{
    static const char said[] =
        "* OK hi\r\n* CAPABILITY IMAP4rev1 AUTH=PLAIN AUTH=X SASL-IR APPENDLIMIT=77\r\nR1 OK\r\n"
        "R2 OK [CAPABILITY x] in\r\n* 3 EXISTS\r\n* CAPABILITY LITERAL+ BINARY\r\nR3 OK done\r\n";
    for (size_t i = 1; i < sizeof said; i++) {
        assert_int_equal(teardown(state), 0);
        assert_int_equal(setup(state), 0);
        piece = i;
        const char *rest = said;
        assert_int_equal(step(&rest).type, IMAP_CLIENT_LOGIN);
        assert_string_equal(imap_client_capabilities(client)->mechanisms, "PLAIN X");
        assert_int_equal(imap_client_capabilities(client)->append_limit, 77);
        assert_true(imap_client_capabilities(client)->sasl_ir);
        assert_int_equal(imap_client_login(client, bytes_of("u"), bytes_of("p")), 2);
        assert_int_equal(step(&rest).type, IMAP_CLIENT_RESULT);
        assert_int_equal(step(&rest).type, IMAP_CLIENT_IDLE);
        assert_true(imap_client_capabilities(client)->binary);
        assert_false(imap_client_capabilities(client)->sasl_ir); /* asked anew */
    }
}

static void test_appends_go_out_together(void **state)
{
    (void)state;
    log_in(LOGGED_IN);
    uint32_t first = give_message();
    uint32_t second = give_message();
    assert_string_equal(
        written, "R4 APPEND \"B&APw-\" (\\Seen) \" 1-Jan-2024 00:00:00 +0000\" {5+}\r\nabcde\r\n"
                 "R5 APPEND \"B&APw-\" (\\Seen) \" 1-Jan-2024 00:00:00 +0000\" {5+}\r\nabcde\r\n");
    const char *rest = "R5 NO [OVERQUOTA] full\r\nR4 OK [APPENDUID 7 12] done\r\n";
    rest += imap_client_feed(client, bytes_of(rest));
    struct imap_client_event event = step(&rest);
    assert_int_equal(event.type, IMAP_CLIENT_RESULT);
    assert_int_equal(event.number, second);
    assert_int_equal(event.code, IMAP_CODE_OVERQUOTA);
    assert_int_equal(imap_code_meaning(event.code), IMAP_MEANS_LATER);
    rest += imap_client_feed(client, bytes_of(rest));
    event = step(&rest);
    assert_int_equal(event.number, first);
    assert_int_equal(event.uid, 12);
    assert_int_equal(event.uid_validity, 7);
    event = step(&rest);
    assert_int_equal(event.type, IMAP_CLIENT_IDLE);
    assert_int_equal(event.outstanding, 0);
}

static void test_so_many_and_no_more(void **state)
{
    (void)state;
    log_in(LOGGED_IN);
    for (int i = 0; i < IMAP_APPENDS_MOST; i++) {
        (void)give_message();
    }
    assert_int_equal(imap_client_append(client, &append), 0);
    assert_int_equal(imap_client_examine(client, "x"), 0);
}

static void test_leave_is_waited_for(void **state)
{
    (void)state;
    log_in(READY "R2 OK in\r\n* CAPABILITY LITERAL-\r\nR3 OK\r\n");
    struct imap_append large = append;
    large.octets = 4097;
    assert_int_equal(imap_client_append(client, &large), 4);
    assert_int_equal(turn(), IMAP_CLIENT_NEED_INPUT);
    assert_non_null(strstr(written, "{4097}\r\n"));
    const char *rest = "+ go\r\n";
    assert_int_equal(step(&rest).type, IMAP_CLIENT_MESSAGE);
    static uint8_t octets[4097];
    assert_int_equal(imap_client_message(client, (struct bytes){octets, 4097}), 4097);
    assert_int_equal(turn(), IMAP_CLIENT_IDLE);
    large.octets = 4096; /* what LITERAL- lets follow */
    assert_int_equal(imap_client_append(client, &large), 5);
    assert_int_equal(turn(), IMAP_CLIENT_MESSAGE);
    assert_non_null(strstr(written, "{4096+}\r\n"));
}

static void test_refused_before_it_was_sent(void **state)
{
    (void)state;
    log_in(READY "R2 OK in\r\nR3 OK\r\n");
    assert_int_equal(imap_client_append(client, &append), 4);
    const char *rest = "R4 NO [TRYCREATE] none\r\n";
    struct imap_client_event event = step(&rest);
    assert_int_equal(event.type, IMAP_CLIENT_RESULT);
    assert_int_equal(event.code, IMAP_CODE_TRYCREATE);
    assert_int_equal(turn(), IMAP_CLIENT_IDLE);
    imap_client_end(client);
    event = step(&rest);
    assert_int_equal(event.type, IMAP_CLIENT_CLOSE);
    assert_int_equal(event.partial, 0);
}

/* The rest goes out all the same, else what follows would be taken for it. */
static void test_refused_while_it_is_sent(void **state)
{
    (void)state;
    log_in(LOGGED_IN);
    assert_int_equal(imap_client_append(client, &append), 4);
    assert_int_equal(turn(), IMAP_CLIENT_MESSAGE);
    say("R4 NO no\r\n");
    assert_int_equal(turn(), IMAP_CLIENT_RESULT);
    assert_int_equal(turn(), IMAP_CLIENT_MESSAGE);
    assert_int_equal(imap_client_message(client, bytes_of("abcde")), 5);
    assert_int_equal(turn(), IMAP_CLIENT_IDLE);
    assert_int_equal(imap_client_message(client, bytes_of("f")), 0);
    assert_non_null(strstr(written, "{5+}\r\nabcde\r\n"));
}

static void test_nothing_is_taken_before_it_is_whole(void **state)
{
    (void)state;
    log_in(LOGGED_IN);
    assert_int_equal(imap_client_append(client, &append), 4);
    assert_int_equal(turn(), IMAP_CLIENT_MESSAGE);
    assert_int_equal(imap_client_message(client, bytes_of("abcde")), 5);
    say("R4 OK done\r\n"); /* before anything of it was written */
    const char *rest = "";
    struct imap_client_event event = step(&rest);
    assert_int_equal(event.type, IMAP_CLIENT_CLOSE);
    assert_int_equal(event.error, IMAP_CLIENT_ERROR_RESPONSE);
    assert_int_equal(event.partial, 4);
}

static void test_what_was_cut_off(void **state)
{
    (void)state;
    log_in(LOGGED_IN);
    (void)give_message();
    assert_int_equal(imap_client_append(client, &append), 5);
    assert_int_equal(turn(), IMAP_CLIENT_MESSAGE);
    say("* BYE [UNAVAILABLE] going\r\n");
    const char *rest = "";
    struct imap_client_event event = step(&rest);
    assert_int_equal(event.type, IMAP_CLIENT_CLOSE);
    assert_int_equal(event.error, IMAP_CLIENT_ERROR_BYE);
    assert_int_equal(event.partial, 5); /* and 4 may be there */
    assert_memory_equal(event.text.data, "[UNAVAILABLE] going", event.text.size);
}

static struct imap_client_event answer(uint32_t number, const char *text)
{
    assert_int_not_equal(number, 0);
    struct imap_client_event event = step(&text);
    assert_string_equal(text, "");
    return event;
}

static void test_commands(void **state)
{
    (void)state;
    log_in(LOGGED_IN);
    struct imap_client_event event =
        answer(imap_client_list_root(client), "* LIST (\\Noselect) \"\\\\\" \"\"\r\nR4 OK\r\n");
    assert_int_equal(event.separator, '\\');
    event = answer(imap_client_list_root(client), "* LIST (\\Noselect) NIL \"\"\r\nR5 OK\r\n");
    assert_int_equal(event.separator, 0);
    event = answer(imap_client_examine(client, "a\"b"),
                   "* FLAGS (x)\r\n* LIST () \"/\" {7}\r\nR6 OK\r\n x\r\n"
                   "* OK [UIDVALIDITY 5] {9}\r\n* OK [UIDNEXT 9] y\r\nR6 OK [READ-ONLY] z\r\n");
    assert_int_equal(event.uid_validity, 5);
    assert_int_equal(event.uid_next, 9);
    assert_int_equal(event.code, IMAP_CODE_OTHER);
    struct imap_criteria criteria = {
        .uid_from = 9, .octets = 100, .field = "Message-ID", .value = bytes_of("a\"b")};
    event = answer(imap_client_search(client, &criteria), "* SEARCH 9 x 12\r\nR7 OK\r\n");
    assert_int_equal(event.found_count, 2);
    assert_int_equal(event.found[1], 12);
    event = answer(imap_client_create(client, "c"), "R8 NO [ALREADYEXISTS] there\r\n");
    assert_int_equal(event.code, IMAP_CODE_ALREADYEXISTS);
    event = answer(imap_client_subscribe(client, "c"), "R9 BAD what\r\n");
    assert_int_equal(event.status, IMAP_BAD);
    criteria.value = bytes_of("a\r\nR1 DELETE INBOX");
    assert_int_equal(imap_client_search(client, &criteria), 0);
    assert_int_equal(imap_client_examine(client, "a\r\nb"), 0);
    imap_client_logout(client);
    const char *rest = "* BYE\r\nR10 OK\r\n";
    event = step(&rest);
    assert_int_equal(event.type, IMAP_CLIENT_CLOSE);
    assert_int_equal(event.error, IMAP_CLIENT_ERROR_NONE);
    assert_string_equal(written,
                        "R4 LIST \"\" \"\"\r\nR5 LIST \"\" \"\"\r\nR6 EXAMINE \"a\\\"b\"\r\n"
                        "R7 UID SEARCH ALL UID 9:* LARGER 99 SMALLER 101 HEADER "
                        "Message-ID \"a\\\"b\"\r\nR8 CREATE \"c\"\r\n"
                        "R9 SUBSCRIBE \"c\"\r\nR10 LOGOUT\r\n");
}

static void test_exchanges(void **state)
{
    (void)state;
    const char *rest = READY "+ \r\n+ Y2hhbGxlbmdl\r\nR2 NO [AUTHENTICATIONFAILED] no\r\n";
    assert_int_equal(step(&rest).type, IMAP_CLIENT_LOGIN);
    assert_int_equal(imap_client_authenticate(client, "X", bytes_of("first")), 2);
    struct imap_client_event event = step(&rest);
    assert_int_equal(event.type, IMAP_CLIENT_CHALLENGE);
    assert_int_equal(event.octets.size, 9);
    assert_memory_equal(event.octets.data, "challenge", 9);
    assert_int_equal(imap_client_respond(client, bytes_of("second")), 0);
    event = step(&rest);
    assert_int_equal(event.type, IMAP_CLIENT_RESULT);
    assert_int_equal(event.code, IMAP_CODE_AUTHENTICATIONFAILED);
    assert_int_equal(step(&rest).type, IMAP_CLIENT_LOGIN);
    assert_non_null(strstr(written, "R2 AUTHENTICATE X\r\nZmlyc3Q=\r\nc2Vjb25k\r\n"));
    assert_int_equal(imap_client_authenticate(client, "Y", (struct bytes){0}), 3);
    rest = "+ \r\nR3 BAD cancelled\r\n";
    assert_int_equal(step(&rest).type, IMAP_CLIENT_CHALLENGE);
    imap_client_cancel(client);
    assert_int_equal(step(&rest).type, IMAP_CLIENT_RESULT);
    assert_non_null(strstr(written, "R3 AUTHENTICATE Y\r\n*\r\n"));
}

static void test_first_responses(void **state)
{
    (void)state;
    const char *rest = "* OK hi\r\n* CAPABILITY SASL-IR LOGINDISABLED\r\nR1 OK\r\n";
    assert_int_equal(step(&rest).type, IMAP_CLIENT_LOGIN);
    assert_int_equal(imap_client_login(client, bytes_of("u"), bytes_of("p")), 0);
    assert_int_equal(imap_client_authenticate(client, "X", bytes_of("")), 2);
    (void)turn();
    assert_non_null(strstr(written, "R2 AUTHENTICATE X =\r\n"));
}

static void test_starttls(void **state)
{
    (void)state;
    client = imap_client_init(memory, &(struct imap_client_options){.starttls = true});
    const char *rest = "* OK hi\r\nR0 OK go\r\n* CAPABILITY AUTH=EVIL\r\nR1 OK\r\n";
    assert_int_equal(step(&rest).type, IMAP_CLIENT_SECURE);
    assert_string_equal(written, "R0 STARTTLS\r\n");
    assert_string_equal(rest, "* CAPABILITY AUTH=EVIL\r\nR1 OK\r\n"); /* the host drops it */
    imap_client_secured(client);
    rest = "* CAPABILITY AUTH=GOOD\r\nR1 OK\r\n";
    assert_int_equal(step(&rest).type, IMAP_CLIENT_LOGIN);
    assert_string_equal(imap_client_capabilities(client)->mechanisms, "GOOD");
}

static void test_sessions_that_end(void **state)
{
    static const struct {
        bool starttls;
        const char *said;
        enum imap_client_error error;
    } cases[] = {
        {false, "* BYE no\r\n", IMAP_CLIENT_ERROR_BYE},
        {false, "220 smtp\r\n", IMAP_CLIENT_ERROR_RESPONSE},
        {false, "* OK hi\n", IMAP_CLIENT_ERROR_RESPONSE},
        {false, "\r\n", IMAP_CLIENT_ERROR_RESPONSE},
        {false, "* OK hi\r\nR2 OK\r\n", IMAP_CLIENT_ERROR_RESPONSE},
        {false, "* OK hi\r\nR1 WHAT\r\n", IMAP_CLIENT_ERROR_RESPONSE},
        {false, "* OK hi\r\n+ go\r\n", IMAP_CLIENT_ERROR_RESPONSE},
        {true, "* PREAUTH in\r\n", IMAP_CLIENT_ERROR_PREAUTH},
        {true, "* OK hi\r\nR0 NO not here\r\n", IMAP_CLIENT_ERROR_RESPONSE},
        {false, "* OK hi\r\n", IMAP_CLIENT_ERROR_PEER_GONE},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(teardown(state), 0);
        assert_int_equal(setup(state), 0);
        client =
            imap_client_init(memory, &(struct imap_client_options){.starttls = cases[i].starttls});
        const char *rest = cases[i].said;
        struct imap_client_event event = step(&rest);
        if (event.type == IMAP_CLIENT_NEED_INPUT) {
            imap_client_end(client);
            event = step(&rest);
        }
        assert_int_equal(event.type, IMAP_CLIENT_CLOSE);
        assert_int_equal(event.error, cases[i].error);
    }
}

static void test_floods(void **state)
{
    (void)state;
    static char block[65536];
    memset(block, 'x', sizeof block);
    static const char *const begins[] = {"* ", "* LIST () {4194304}\r\n", "* SEARCH "};
    for (size_t i = 0; i < sizeof begins / sizeof *begins; i++) {
        assert_int_equal(teardown(state), 0);
        assert_int_equal(setup(state), 0);
        log_in(LOGGED_IN);
        assert_int_equal(imap_client_examine(client, "x"), 4);
        const char *rest = begins[i];
        struct imap_client_event event = step(&rest);
        for (int n = 0; n < 70 && event.type == IMAP_CLIENT_NEED_INPUT; n++) {
            (void)imap_client_feed(client, (struct bytes){(uint8_t *)block, sizeof block});
            event = step(&rest);
        }
        assert_int_equal(event.type, IMAP_CLIENT_CLOSE);
        assert_int_equal(event.error, IMAP_CLIENT_ERROR_LIMIT);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_pieces),
        TEST(test_appends_go_out_together),
        TEST(test_so_many_and_no_more),
        TEST(test_leave_is_waited_for),
        TEST(test_refused_before_it_was_sent),
        TEST(test_refused_while_it_is_sent),
        TEST(test_nothing_is_taken_before_it_is_whole),
        TEST(test_what_was_cut_off),
        TEST(test_commands),
        TEST(test_exchanges),
        TEST(test_first_responses),
        TEST(test_starttls),
        TEST(test_sessions_that_end),
        TEST(test_floods),
    };
    return cmocka_run_group_tests_name("client", tests, NULL, NULL);
}
