/* SPDX-License-Identifier: MIT */
/* A command that runs beside the loop: what it prints, how it ends, and that it ends. */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fetch/helper.h"

struct answer {
    char output[HELPER_OUTPUT_SIZE + 1];
    char error[sizeof((struct error *)NULL)->text];
    int calls;
};

static void on_done(void *owner, struct bytes output, const struct error *error)
{
    struct answer *answer = owner;
    answer->calls++;
    memcpy(answer->output, output.data, output.size);
    answer->output[output.size] = '\0';
    (void)snprintf(answer->error, sizeof answer->error, "%s", error == NULL ? "" : error->text);
}

/* Borrowed until the next one. */
static const struct answer *run(const char *command, const char *input, uint64_t timeout_ms)
{
    const char *const arguments[] = {"/bin/sh", "-c", command, NULL};
    const struct helper_options options = {
        .arguments = arguments, .input = bytes_of(input), .timeout_ms = timeout_ms};
    static struct answer answer; /* large */
    struct error error;
    uv_loop_t loop;
    memset(&answer, 0, sizeof answer);
    assert_int_equal(uv_loop_init(&loop), 0);
    assert_non_null(helper_start(&loop, &options, on_done, &answer, &error));
    (void)uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&loop), 0);
    assert_int_equal(answer.calls, 1);
    return &answer;
}

static void test_it_reads_and_prints(void **state)
{
    (void)state;
    const struct answer *answer = run("cat; echo .", "octets", 10000);
    assert_string_equal(answer->output, "octets.\n");
    assert_string_equal(answer->error, "");
}

static void test_its_end_is_told(void **state)
{
    (void)state;
    assert_non_null(strstr(run("exit 3", "", 10000)->error, "status 3"));
    assert_non_null(strstr(run("kill -9 $$", "", 10000)->error, "signal 9"));
    assert_non_null(strstr(run("yes", "", 300)->error, "did not end within 0.3 s"));
    assert_non_null(strstr(run("yes | head -c 9000", "", 10000)->error, "over 8448 octets"));
}

/* With what it has started. */
static void test_what_hangs_is_ended(void **state)
{
    (void)state;
    char path[] = "/tmp/restante-helper-XXXXXX";
    char command[200], text[32] = "";
    int descriptor = mkstemp(path);
    assert_true(descriptor >= 0);
    FILE *file = fdopen(descriptor, "r");
    (void)snprintf(command, sizeof command, "sleep 100 & echo $! >%s; wait; echo late", path);
    uint64_t before_ms = uv_hrtime() / 1000000;
    const struct answer *answer = run(command, "", 300);
    assert_true(uv_hrtime() / 1000000 - before_ms < 5000);
    assert_non_null(strstr(answer->error, "did not end within 0.3 s"));
    assert_string_equal(answer->output, "");
    assert_non_null(fgets(text, sizeof text, file));
    (void)fclose(file);
    (void)remove(path);
    text[strcspn(text, "\n")] = '\0';
    bool is_there = true;
    for (int i = 0; i < 200 && is_there; i++) {
        /* until who adopted it has reaped it */
        char status[64], state_of[256] = "";
        (void)snprintf(status, sizeof status, "/proc/%s/stat", text);
        FILE *stat = fopen(status, "r");
        is_there = stat != NULL && fgets(state_of, sizeof state_of, stat) != NULL &&
                   strstr(state_of, ") Z ") == NULL;
        if (stat != NULL) {
            (void)fclose(stat);
        }
        uv_sleep(10);
    }
    assert_false(is_there);
}

static void test_a_child_that_stays_holds_up_nobody(void **state)
{
    (void)state;
    uint64_t before_ms = uv_hrtime() / 1000000;
    const struct answer *answer = run("sleep 3 & echo take", "", 10000);
    assert_true(uv_hrtime() / 1000000 - before_ms < 2500);
    assert_string_equal(answer->output, "take\n");
    assert_string_equal(answer->error, "");
}

static void test_who_cancels_hears_nothing(void **state)
{
    (void)state;
    const char *const arguments[] = {"/bin/sh", "-c", "echo x; sleep 100", NULL};
    const struct helper_options options = {.arguments = arguments, .timeout_ms = 10000};
    struct answer answer = {0};
    struct error error;
    uv_loop_t loop;
    assert_int_equal(uv_loop_init(&loop), 0);
    struct helper *helper = helper_start(&loop, &options, on_done, &answer, &error);
    assert_non_null(helper);
    helper_cancel(helper);
    (void)uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&loop), 0);
    assert_int_equal(answer.calls, 0);
}

static void test_what_is_no_program_is_told_at_once(void **state)
{
    (void)state;
    const char *const arguments[] = {"/nonexistent/program", NULL};
    const struct helper_options options = {.arguments = arguments, .timeout_ms = 10000};
    struct answer answer = {0};
    struct error error;
    uv_loop_t loop;
    assert_int_equal(uv_loop_init(&loop), 0);
    assert_null(helper_start(&loop, &options, on_done, &answer, &error));
    assert_non_null(strstr(error.text, "/nonexistent/program' cannot be run"));
    (void)uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&loop), 0);
    assert_int_equal(answer.calls, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_it_reads_and_prints),
        cmocka_unit_test(test_its_end_is_told),
        cmocka_unit_test(test_what_hangs_is_ended),
        cmocka_unit_test(test_a_child_that_stays_holds_up_nobody),
        cmocka_unit_test(test_who_cancels_hears_nothing),
        cmocka_unit_test(test_what_is_no_program_is_told_at_once),
    };
    return cmocka_run_group_tests_name("helper", tests, NULL, NULL);
}
