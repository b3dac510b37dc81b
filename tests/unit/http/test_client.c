/* SPDX-License-Identifier: MIT */
/* Requests to a real server on the loopback, in the clear and under TLS. */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/pem.h>

#include "../net/certificates.h"
#include "../net/cmocka_first.h"
#include "base/module.h"
#include "http/http.h"
#include "server.h"

enum { PATIENCE_MS = 30000 };

/* The module is linked in. */
int __wrap_module_load(const char *name, const char *room, const void **interface_out,
                       struct error *error);
int __wrap_module_load(const char *name, const char *room, const void **interface_out,
                       struct error *error)
{
    (void)error;
    assert_string_equal(name, "http");
    assert_string_equal(room, "http");
    *interface_out = restante_module.interface;
    return 0;
}

static struct http_client *make_client(const char *ca_file, int cancel)
{
    struct http_client *client;
    struct error error;
    const struct http_client_options options = {.ca_file = ca_file, .cancel = cancel};
    assert_int_equal(http_client_create(&options, &client, &error), 0);
    return client;
}

static const char *url_of(const struct server *server, const char *path)
{
    static char url[256];
    (void)snprintf(url, sizeof url, "%s://127.0.0.1:%u/%s", server->tls == NULL ? "http" : "https",
                   server->port, path);
    return url;
}

static int get(const struct server *server, const char *ca_file, struct http_answer *answer,
               struct error *error)
{
    struct http_client *client = make_client(ca_file, -1);
    const struct http_request request = {.url = url_of(server, "s3cret?key=s3cret"),
                                         .timeout_ms = PATIENCE_MS,
                                         .octets_most = 100,
                                         .wanted = {"retry-after", "X-Missing"}};
    int result = http_perform(client, &request, answer, error);
    (void)http_client_free(client);
    return result;
}

static void test_get(void **state)
{
    static struct server server = {.answer = "HTTP/1.1 503 Busy\r\nContent-Length: 5\r\n"
                                             "Retry-After:  7 \r\n\r\nhello"};
    struct http_answer answer;
    struct error error;
    (void)state;
    server_start(&server);
    assert_int_equal(get(&server, NULL, &answer, &error), 0);
    server_stop(&server);
    assert_int_equal(answer.status, 503);
    assert_string_equal((const char *)answer.body.data, "hello");
    assert_int_equal(answer.body.size, 5);
    assert_string_equal(answer.fields[0], "7");
    assert_null(answer.fields[1]);
    assert_non_null(strstr(server.request, "GET /s3cret?key=s3cret HTTP/1.1\r\n"));
    assert_null(strstr(server.request, "Authorization"));
    http_answer_finish(&answer);
    assert_null(answer.body.data);
}

static void test_post(void **state)
{
    static struct server server = {.answer = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"};
    const struct http_field fields[] = {{"Content-Type", bytes_of("text/plain")}, {"X-Empty", {0}}};
    struct http_answer answer;
    struct error error;
    (void)state;
    server_start(&server);
    struct http_client *client = make_client(NULL, -1);
    const struct http_request request = {.method = HTTP_POST,
                                         .url = url_of(&server, ""),
                                         .fields = fields,
                                         .field_count = 2,
                                         .user = "me",
                                         .password = bytes_of("pass"),
                                         .body = {(const uint8_t *)"a\0b", 3},
                                         .timeout_ms = PATIENCE_MS};
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(http_perform(client, &request, &answer, &error), 0);
        assert_string_equal((const char *)answer.body.data, "");
        http_answer_finish(&answer);
    }
    (void)http_client_free(client);
    server_stop(&server);
    assert_int_equal(server.requests, 2);
    assert_int_equal(server.connections, 1); /* it was kept */
    assert_non_null(strstr(server.request, "POST / HTTP/1.1\r\n"));
    assert_non_null(strstr(server.request, "\r\nContent-Type: text/plain\r\n"));
    assert_non_null(strstr(server.request, "\r\nX-Empty:\r\n"));
    assert_non_null(strstr(server.request, "\r\nAuthorization: Basic bWU6cGFzcw==\r\n"));
    assert_null(strcasestr(server.request, "Expect:"));
    assert_memory_equal(server.request + server.request_size - 3, "a\0b", 3);
}

static ssize_t read_letters(void *owner, void *memory, size_t size)
{
    size_t *left = owner;
    if (*left == SIZE_MAX) {
        return -1;
    }
    size_t given = size < *left ? size : *left;
    memset(memory, 'm', given);
    *left -= given;
    return (ssize_t)given;
}

static void test_body_of_a_reader(void **state)
{
    static struct server server = {.answer = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"};
    size_t left = 50000;
    struct http_answer answer;
    struct error error;
    (void)state;
    server_start(&server);
    struct http_client *client = make_client(NULL, -1);
    const struct http_request request = {.method = HTTP_PUT,
                                         .url = url_of(&server, ""),
                                         .read = read_letters,
                                         .reader = &left,
                                         .body_octets = 50000,
                                         .timeout_ms = PATIENCE_MS};
    assert_int_equal(http_perform(client, &request, &answer, &error), 0);
    http_answer_finish(&answer);
    left = SIZE_MAX;
    assert_int_equal(http_perform(client, &request, &answer, &error), -1);
    assert_non_null(strstr(error.text, "cannot be read"));
    (void)http_client_free(client);
    server_stop(&server);
    assert_non_null(strstr(server.request, "PUT / HTTP/1.1\r\n"));
    assert_int_equal(server.requests, 1);
}

static void expect_failure(struct server *server, enum error_kind kind, const char *text)
{
    struct http_answer answer;
    struct error error;
    server_start(server);
    assert_int_equal(get(server, NULL, &answer, &error), -1);
    server_stop(server);
    assert_int_equal(error.kind, kind);
    assert_non_null(strstr(error.text, text));
    assert_non_null(strstr(error.text, "127.0.0.1"));
    assert_null(strstr(error.text, "s3cret"));
}

static void test_bad_answers(void **state)
{
    static struct server large = {.answer = "HTTP/1.1 200 OK\r\nContent-Length: 101\r\n\r\n",
                                  .flood = 101};
    static struct server endless = {.answer = "HTTP/1.1 200 OK\r\n\r\n", .flood = 1 << 20};
    static struct server cut = {.answer = "HTTP/1.1 200 OK\r\nContent-Length: 90\r\n\r\n",
                                .flood = 1};
    static struct server other = {.answer = "220 ready\r\n", .flood = 1};
    (void)state;
    expect_failure(&large, ERROR_LIMIT, "over 100 octets");
    expect_failure(&endless, ERROR_LIMIT, "over 100 octets");
    expect_failure(&cut, ERROR_TEMPORARY, "");
    expect_failure(&other, ERROR_PROTOCOL, "");
}

static void test_silence(void **state)
{
    static struct server server;
    struct http_answer answer;
    struct error error;
    (void)state;
    server_start(&server);
    struct http_client *client = make_client(NULL, -1);
    struct http_request request = {.url = url_of(&server, ""), .timeout_ms = 200};
    assert_int_equal(http_perform(client, &request, &answer, &error), -1);
    assert_int_equal(error.kind, ERROR_TEMPORARY);
    assert_non_null(strstr(error.text, "timed out"));
    (void)http_client_free(client);
    server_stop(&server);
}

static void *cancel(void *context)
{
    (void)usleep(100000);
    (void)!write(*(const int *)context, "x", 1);
    return NULL;
}

static void test_cancelled(void **state)
{
    static struct server server;
    struct http_answer answer;
    struct error error;
    pthread_t thread;
    int ends[2];
    (void)state;
    server_start(&server);
    assert_int_equal(pipe(ends), 0);
    struct http_client *client = make_client(NULL, ends[0]);
    const struct http_request request = {.url = url_of(&server, ""), .timeout_ms = PATIENCE_MS};
    assert_int_equal(pthread_create(&thread, NULL, cancel, &ends[1]), 0);
    assert_int_equal(http_perform(client, &request, &answer, &error), -1);
    assert_non_null(strstr(error.text, "given up"));
    assert_int_equal(pthread_join(thread, NULL), 0);
    (void)http_client_free(client);
    server_stop(&server);
    (void)close(ends[0]);
    (void)close(ends[1]);
}

static void test_redirections(void **state)
{
    static struct server last = {.answer = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"};
    static struct server first = {0};
    static char answer_of_first[200];
    const struct http_field field = {"Authorization", bytes_of("Bearer s3cret")};
    struct http_answer answer;
    struct error error;
    (void)state;
    server_start(&last);
    (void)snprintf(
        answer_of_first, sizeof answer_of_first,
        "HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: http://localhost:%u/\r\n\r\n",
        last.port);
    first.answer = answer_of_first;
    server_start(&first);
    struct http_client *client = make_client(NULL, -1);
    struct http_request request = {
        .url = url_of(&first, ""), .fields = &field, .field_count = 1, .timeout_ms = PATIENCE_MS};
    assert_int_equal(http_perform(client, &request, &answer, &error), 0);
    assert_int_equal(answer.status, 302);
    http_answer_finish(&answer);
    request.redirections_most = 1;
    assert_int_equal(http_perform(client, &request, &answer, &error), 0);
    assert_int_equal(answer.status, 200);
    http_answer_finish(&answer);
    (void)http_client_free(client);
    server_stop(&first);
    server_stop(&last);
    assert_int_equal(last.requests, 1);
    assert_null(strstr(last.request, "s3cret")); /* another host's */
    assert_non_null(strstr(first.request, "s3cret"));
}

static void test_environment(void **state)
{
    static struct server server = {.answer = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"};
    struct http_answer answer;
    struct error error;
    (void)state;
    assert_int_equal(setenv("http_proxy", "http://127.0.0.1:9", 1), 0);
    assert_int_equal(setenv("ALL_PROXY", "http://127.0.0.1:9", 1), 0);
    server_start(&server);
    assert_int_equal(get(&server, NULL, &answer, &error), 0);
    http_answer_finish(&answer);
    server_stop(&server);
    assert_int_equal(unsetenv("http_proxy"), 0);
    assert_int_equal(unsetenv("ALL_PROXY"), 0);
}

static SSL_CTX *tls_of(const struct pair *pair, char file[32])
{
    SSL_CTX *tls = SSL_CTX_new(TLS_server_method());
    BIO *certificate_text = BIO_new_mem_buf(pair->certificate.data, (int)pair->certificate.size);
    BIO *key_text = BIO_new_mem_buf(pair->key.data, (int)pair->key.size);
    X509 *certificate = PEM_read_bio_X509(certificate_text, NULL, NULL, NULL);
    EVP_PKEY *key = PEM_read_bio_PrivateKey(key_text, NULL, NULL, NULL);
    assert_int_equal(SSL_CTX_use_certificate(tls, certificate), 1);
    assert_int_equal(SSL_CTX_use_PrivateKey(tls, key), 1);
    X509_free(certificate);
    EVP_PKEY_free(key);
    (void)BIO_free(certificate_text);
    (void)BIO_free(key_text);
    int descriptor = mkstemp(memcpy(file, "/tmp/restante-http-XXXXXX", 26));
    assert_int_equal(write(descriptor, pair->certificate.data, pair->certificate.size),
                     (ssize_t)pair->certificate.size);
    (void)close(descriptor);
    return tls;
}

static void test_tls(void **state)
{
    char file[32], other_file[32];
    struct pair pair = make_pair(&(struct wish){.common_name = "127.0.0.1",
                                                .alternatives = "IP:127.0.0.1",
                                                .begin_days = -1,
                                                .end_days = 1});
    struct pair other = make_pair(&(struct wish){.common_name = "pop.example",
                                                 .alternatives = "DNS:pop.example",
                                                 .begin_days = -1,
                                                 .end_days = 1});
    static struct server server = {.answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"};
    static struct server named_otherwise = {.answer = ""};
    struct http_answer answer;
    struct error error;
    (void)state;
    server.tls = tls_of(&pair, file);
    named_otherwise.tls = tls_of(&other, other_file);
    server_start(&server);
    assert_int_equal(get(&server, file, &answer, &error), 0);
    assert_int_equal(answer.body.size, 2);
    http_answer_finish(&answer);
    assert_int_equal(get(&server, NULL, &answer, &error), -1);
    assert_int_equal(error.kind, ERROR_PERMANENT);
    assert_null(strstr(error.text, "s3cret"));
    assert_int_equal(get(&server, "/nowhere/ca.pem", &answer, &error), -1);
    assert_int_equal(error.kind, ERROR_CONFIGURATION);
    assert_non_null(strstr(error.text, "/nowhere/ca.pem"));
    server_stop(&server);
    assert_int_equal(server.requests, 1);
    server_start(&named_otherwise);
    assert_int_equal(get(&named_otherwise, other_file, &answer, &error), -1);
    assert_int_equal(error.kind, ERROR_PERMANENT);
    server_stop(&named_otherwise);
    assert_int_equal(named_otherwise.requests, 0);
    SSL_CTX_free(server.tls);
    SSL_CTX_free(named_otherwise.tls);
    (void)unlink(file);
    (void)unlink(other_file);
    free_pair(&pair);
    free_pair(&other);
}

static void test_refused_requests(void **state)
{
    struct http_answer answer;
    struct error error;
    const struct http_field split = {"X-One", bytes_of("two\r\nX-Three: s3cret")};
    struct http_client *client = make_client(NULL, -1);
    struct http_request request = {.url = "http://example.org/", .timeout_ms = PATIENCE_MS};
    (void)state;
    assert_int_equal(http_perform(client, &request, &answer, &error), -1);
    assert_int_equal(error.kind, ERROR_CONFIGURATION);
    request = (struct http_request){.url = "http://127.0.0.1:9/",
                                    .fields = &split,
                                    .field_count = 1,
                                    .timeout_ms = PATIENCE_MS};
    assert_int_equal(http_perform(client, &request, &answer, &error), -1);
    assert_int_equal(error.kind, ERROR_CONFIGURATION);
    assert_null(strstr(error.text, "s3cret"));
    (void)http_client_free(client);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_get),
        cmocka_unit_test(test_post),
        cmocka_unit_test(test_body_of_a_reader),
        cmocka_unit_test(test_bad_answers),
        cmocka_unit_test(test_silence),
        cmocka_unit_test(test_cancelled),
        cmocka_unit_test(test_redirections),
        cmocka_unit_test(test_environment),
        cmocka_unit_test(test_tls),
        cmocka_unit_test(test_refused_requests),
    };
    (void)signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
