/* SPDX-License-Identifier: MIT */
/* A proxy logs in for its client: what it may hand on by mistake ends the session, and XCLIENT says who the
 * client is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "host.h"

static struct host *host_of_proxy(bool xclient)
{
    struct host *host = host_new(2);
    host->connection.proxied = 1;
    host->connection.xclient = xclient;
    return host;
}

/* Whether the session goes on after these octets, fed at once. */
static bool goes_on(const char *octets)
{
    struct host *host = host_of_proxy(true);
    host_start(host);
    host_feed_text(host, octets);
    bool open = !host->closed;
    assert_true(open || strstr(host_sent(host), "-ERR Ask CAPA") != NULL);
    assert_int_equal(pop3_server_counters(host->session)->pipelined, !open);
    host_delete(host);
    return open;
}

static void test_line_ends_in_credentials(void **state)
{
    (void)state;
    assert_true(goes_on("USER alice\r\n"));
    assert_false(goes_on("USER alice\r\nPASS secret\r\n"));
    assert_false(goes_on("USER alice\r\n "));
    assert_false(goes_on("USER alice\nX"));
    assert_false(goes_on("USER \r\nQUIT\r\n"));
    assert_false(goes_on("USER a\x01\r\nCAPA\r\nUSER b\r\n"));
    assert_false(goes_on("NONSENSE\r\nCAPA\r\n"));
    assert_false(goes_on("XCLIENT ADDR=1.2.3.4\r\nUSER alice\r\nPASS secret\r\n"));
    assert_true(goes_on("XCLIENT ADDR=1.2.3.4\r\nUSER alice\r\n"));
    assert_true(goes_on("CAPA\r\nUSER alice\r\nPASS secret\r\nSTAT\r\n"));
}

/* PASS with a command behind it logs nobody in, and a long line is over with its first octets. */
static void test_nothing_is_done(void **state)
{
    (void)state;
    struct host *host = host_of_proxy(false);
    host_start(host);
    host_feed_text(host, "USER alice\r\n");
    host_feed_text(host, "PASS secret\r\nDELE 1\r\n");
    assert_true(host->closed);
    assert_int_equal(host->events[POP3_SERVER_AUTHENTICATE], 0);
    host_delete(host);
    char line[600];
    memset(line, 'x', sizeof line);
    memcpy(line, "USER ", 5);
    host = host_of_proxy(false);
    host_start(host);
    host_feed(host, line, sizeof line);
    assert_true(host->closed);
    host_delete(host);
}

static void test_pipelining_after_login(void **state)
{
    (void)state;
    struct host *host = host_of_proxy(false);
    host_start(host);
    host_feed_text(host, "USER alice\r\n");
    host_feed_text(host, "PASS secret\r\n");
    host_feed_text(host, "STAT\r\nLIST\r\nQUIT\r\n");
    assert_true(host->closed && host->committed);
    assert_int_equal(pop3_server_counters(host->session)->pipelined, 0);
    host_delete(host);
}

static void check_xclient(const char *parameters, const char *address, unsigned port)
{
    struct pop3_server_event event;
    char command[200];
    struct host *host = host_of_proxy(true);
    (void)snprintf(command, sizeof command, "XCLIENT %s\r\n", parameters);
    host_start(host);
    host_run_to(host, command, POP3_SERVER_CLIENT);
    pop3_server_next(host->session, &event);
    assert_int_equal(event.u.client.address_size, strlen(address));
    assert_memory_equal(event.u.client.address, address, strlen(address));
    assert_int_equal(event.u.client.port, port);
    host_run(host);
    host_delete(host);
}

static void test_xclient(void **state)
{
    (void)state;
    check_xclient("ADDR=192.0.2.1 PORT=40000", "192.0.2.1", 40000);
    check_xclient("addr=::1", "::1", 0);
    check_xclient("SESSION=a TTL=4  PORT=65535 FORWARD=eA== ADDR=not-an-address", "not-an-address",
                  65535);
}

static void test_xclient_once(void **state)
{
    (void)state;
    struct host *host = host_of_proxy(true);
    host_start(host);
    host_feed_text(host, "XCLIENT PORT=1\r\n");
    host_feed_text(host, "XCLIENT ADDR=::1 PORT=65536\r\n");
    host_feed_text(host, "XCLIENT\r\n");
    assert_int_equal(host->events[POP3_SERVER_CLIENT], 0);
    host_feed_text(host, "XCLIENT ADDR=::1 PORT=1\r\n");
    assert_int_equal(host->events[POP3_SERVER_CLIENT], 1);
    host_feed_text(host, "XCLIENT ADDR=::2 PORT=1\r\n");
    assert_int_equal(host->events[POP3_SERVER_CLIENT], 1);
    host_delete(host);
    host = host_new(2); /* nobody's proxy */
    host_start(host);
    host_feed_text(host, "XCLIENT ADDR=::1 PORT=1\r\n");
    assert_int_equal(host->events[POP3_SERVER_CLIENT], 0);
    host_delete(host);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_line_ends_in_credentials),
        cmocka_unit_test(test_nothing_is_done),
        cmocka_unit_test(test_pipelining_after_login),
        cmocka_unit_test(test_xclient),
        cmocka_unit_test(test_xclient_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
