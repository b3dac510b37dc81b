/* SPDX-License-Identifier: MIT */
/* A connection that may wait, to a server that is a thread of the test. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "fetch/blocking_stream.h"

enum { MUCH = 300 * 1024, TIME_LIMIT_S = 20 };

static struct {
    bool in_the_clear_first; /* a line each way before TLS */
    bool never_secures;      /* takes connections, and says nothing */
    bool echoes;             /* MUCH octets, then ends */
    bool ends_rudely;        /* without close_notify */
    const char *says;
} script;

static struct bytes certificate, key;
static int listener;
static char place[64];
static pthread_t thread;
static struct blocking_stream stream;
static struct error error;

static SSL_CTX *make_context(void)
{
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());
    BIO *pem = BIO_new_mem_buf(certificate.data, (int)certificate.size);
    X509 *x509 = PEM_read_bio_X509(pem, NULL, NULL, NULL);
    BIO_free(pem);
    pem = BIO_new_mem_buf(key.data, (int)key.size);
    EVP_PKEY *private = PEM_read_bio_PrivateKey(pem, NULL, NULL, NULL);
    BIO_free(pem);
    (void)SSL_CTX_use_certificate(context, x509);
    (void)SSL_CTX_use_PrivateKey(context, private);
    X509_free(x509);
    EVP_PKEY_free(private);
    return context;
}

static void echo(SSL *ssl)
{
    static uint8_t octets[MUCH];
    size_t size = 0;
    while (size < MUCH) {
        int count = SSL_read(ssl, octets + size, (int)(MUCH - size));
        if (count <= 0) {
            return;
        }
        size += (size_t)count;
    }
    (void)SSL_write(ssl, octets, MUCH);
}

static void serve(int descriptor, SSL_CTX *context)
{
    char octet;
    if (script.never_secures) {
        while (recv(descriptor, &octet, 1, 0) > 0) {
        }
        return;
    }
    if (script.in_the_clear_first) {
        char line[4];
        (void)recv(descriptor, line, sizeof line, MSG_WAITALL);
        (void)send(descriptor, "OK\r\n", 4, MSG_NOSIGNAL);
    }
    SSL *ssl = SSL_new(context);
    (void)SSL_set_fd(ssl, descriptor);
    if (SSL_accept(ssl) == 1) {
        if (script.says != NULL) {
            (void)SSL_write(ssl, script.says, (int)strlen(script.says));
        }
        if (script.echoes) {
            echo(ssl);
        }
        if (!script.ends_rudely) {
            (void)SSL_shutdown(ssl);
        }
    }
    SSL_free(ssl);
}

static void *run(void *unused)
{
    (void)unused;
    SSL_CTX *context = make_context();
    for (;;) {
        int descriptor = accept(listener, NULL, NULL);
        if (descriptor < 0) {
            SSL_CTX_free(context);
            return NULL;
        }
        serve(descriptor, context);
        (void)close(descriptor);
    }
}

static int setup(void **state)
{
    (void)state;
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof address;
    memset(&script, 0, sizeof script);
    memset(&error, 0, sizeof error);
    stream = (struct blocking_stream){
        .descriptor = -1, .cancel = -1, .limit_s = TIME_LIMIT_S, .peer = "the server"};
    assert_int_equal(tls_make_self_signed("mail.example.org", &certificate, &key, &error), 0);
    listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(listener, 5), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &size), 0);
    (void)snprintf(place, sizeof place, "127.0.0.1:%u", ntohs(address.sin_port));
    assert_int_equal(pthread_create(&thread, NULL, run, NULL), 0);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    blocking_stream_close(&stream);
    (void)shutdown(listener, SHUT_RDWR);
    (void)pthread_join(thread, NULL);
    (void)close(listener);
    free((void *)(uintptr_t)certificate.data);
    free((void *)(uintptr_t)key.data);
    return 0;
}

static void connect_in_the_clear(void)
{
    if (blocking_stream_connect(&stream, place, &error) < 0) {
        fail_msg("%s", error.text);
    }
}

static int secure(const char *host)
{
    struct tls_client_context *context;
    struct tls_client_settings settings = {.ca = certificate};
    assert_int_equal(tls_client_context_create(&settings, &context, &error), 0);
    int result = blocking_stream_secure(&stream, context, host, &error);
    (void)tls_client_context_free(context);
    return result;
}

static void send_all(struct bytes octets)
{
    while (octets.size != 0) {
        ssize_t count = blocking_stream_send(&stream, octets, &error);
        assert_true(count > 0);
        octets = bytes_from(octets, (size_t)count);
    }
}

static void more_than_records_hold_goes_both_ways(void **state)
{
    (void)state;
    static uint8_t sent[MUCH], received[MUCH + 1];
    size_t size = 0;
    script.echoes = true;
    for (size_t i = 0; i < MUCH; i++) {
        sent[i] = (uint8_t)(i * 7 + i / 251);
    }
    connect_in_the_clear();
    assert_null(blocking_stream_tls(&stream));
    assert_int_equal(secure("127.0.0.1"), 0);
    assert_non_null(blocking_stream_tls(&stream));
    send_all((struct bytes){sent, MUCH});
    for (;;) {
        /* less than a record, so that some of it is held back */
        ssize_t count = blocking_stream_receive(
            &stream, received + size, sizeof received - size < 1000 ? sizeof received - size : 1000,
            &error);
        assert_true(count >= 0);
        if (count == 0) {
            break;
        }
        size += (size_t)count;
    }
    assert_int_equal(size, MUCH);
    assert_memory_equal(sent, received, MUCH);
}

static void what_is_held_back_is_input(void **state)
{
    (void)state;
    char octet[1];
    script.says = "ab";
    script.echoes = true; /* waits for more from us */
    connect_in_the_clear();
    assert_int_equal(secure("localhost"), 0);
    assert_int_equal(blocking_stream_receive(&stream, octet, 1, &error), 1);
    assert_int_equal(octet[0], 'a');
    assert_true(blocking_stream_has_input(&stream));
    assert_int_equal(blocking_stream_receive(&stream, octet, 1, &error), 1);
    assert_int_equal(octet[0], 'b');
    assert_false(blocking_stream_has_input(&stream));
}

static void tls_begins_after_a_conversation_in_the_clear(void **state)
{
    (void)state;
    char line[4];
    script.in_the_clear_first = true;
    script.says = "secret";
    connect_in_the_clear();
    send_all(bytes_of("a b\n"));
    assert_int_equal(blocking_stream_receive(&stream, line, sizeof line, &error), 4);
    assert_memory_equal(line, "OK\r\n", 4);
    assert_int_equal(secure("mail.example.org"), 0);
    char said[16];
    assert_int_equal(blocking_stream_receive(&stream, said, sizeof said, &error), 6);
    assert_memory_equal(said, "secret", 6);
}

static void an_end_is_an_end_with_and_without_leave(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        char octet[1];
        script.ends_rudely = i == 1;
        connect_in_the_clear();
        assert_int_equal(secure("localhost"), 0);
        assert_int_equal(blocking_stream_receive(&stream, octet, 1, &error), 0);
        blocking_stream_close(&stream);
        blocking_stream_close(&stream);
    }
}

static void another_server_is_found_out(void **state)
{
    (void)state;
    static const char pinned[] = "00000000000000000000000000000000"
                                 "00000000000000000000000000000000";
    struct tls_client_context *context;
    connect_in_the_clear();
    assert_int_equal(secure("other.example.org"), -1);
    assert_int_equal(error.kind, ERROR_PERMANENT);
    blocking_stream_close(&stream);
    connect_in_the_clear();
    assert_int_equal(tls_client_context_create(&(struct tls_client_settings){.fingerprint = pinned},
                                               &context, &error),
                     0);
    assert_int_equal(blocking_stream_secure(&stream, context, "localhost", &error), -1);
    assert_int_equal(error.kind, ERROR_PERMANENT);
    (void)tls_client_context_free(context);
}

static void a_silent_server_costs_its_time_and_no_more(void **state)
{
    (void)state;
    script.never_secures = true;
    stream.limit_s = 1;
    connect_in_the_clear();
    assert_int_equal(secure("localhost"), -1);
    assert_int_equal(error.kind, ERROR_TEMPORARY);
    assert_string_equal(error.text, "the server did not answer within 1 s");
}

static void cancelling_ends_a_wait(void **state)
{
    (void)state;
    script.never_secures = true;
    stream.limit_s = 3600;
    connect_in_the_clear();
    stream.cancel = eventfd(1, EFD_CLOEXEC);
    assert_int_equal(secure("localhost"), -1);
    assert_non_null(strstr(error.text, "this run is to end"));
    (void)close(stream.cancel);
}

int main(void)
{
    (void)signal(SIGPIPE, SIG_IGN); /* of the server */
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(more_than_records_hold_goes_both_ways),
        TEST(what_is_held_back_is_input),
        TEST(tls_begins_after_a_conversation_in_the_clear),
        TEST(an_end_is_an_end_with_and_without_leave),
        TEST(another_server_is_found_out),
        TEST(a_silent_server_costs_its_time_and_no_more),
        TEST(cancelling_ends_a_wait),
    };
    return cmocka_run_group_tests_name("blocking_stream", tests, NULL, NULL);
}
