/* SPDX-License-Identifier: MIT */
/* The client end of TLS against our server end, over loopback. */
#include "cmocka_first.h"

#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <string.h>

#include "certificates.h"
#include "ends.h"

static struct pair authority;

/* The highest version that contexts made from now on have; 0: the library's. */
static int highest_version;

SSL_CTX *__real_SSL_CTX_new(const SSL_METHOD *method);
SSL_CTX *__wrap_SSL_CTX_new(const SSL_METHOD *method);
int __wrap_X509_cmp_current_time(const ASN1_TIME *time);

SSL_CTX *__wrap_SSL_CTX_new(const SSL_METHOD *method)
{
    SSL_CTX *context = __real_SSL_CTX_new(method);
    assert_int_equal(SSL_CTX_set_max_proto_version(context, highest_version), 1);
    return context;
}

/* Our server end refuses to serve what has expired; the client has to see one. */
int __wrap_X509_cmp_current_time(const ASN1_TIME *time)
{
    (void)time;
    return 1;
}

static int make_authority(void **state)
{
    (void)state;
    authority =
        make_pair(&(struct wish){.common_name = "Authority", .begin_days = -10, .end_days = 1000});
    return 0;
}

static int free_authority(void **state)
{
    (void)state;
    free_pair(&authority);
    return 0;
}

static struct pair make_server(const char *common_name, const char *alternatives)
{
    return make_pair(&(struct wish){.common_name = common_name,
                                    .alternatives = alternatives,
                                    .begin_days = -2,
                                    .end_days = 100,
                                    .issuer = &authority});
}

static struct tls_tickets tickets;

/* The second may be NULL. */
static struct tls_context *serve_both(const struct pair *pair, const struct pair *second,
                                      struct bytes client_ca)
{
    struct tls_settings settings = {.identity_count = second == NULL ? 1 : 2,
                                    .protocol = "pop3",
                                    .tickets = &tickets,
                                    .client_ca = client_ca};
    struct tls_context *context;
    settings.identities[0].certificate = pair->certificate;
    settings.identities[0].key = pair->key;
    if (second != NULL) {
        settings.identities[1].certificate = second->certificate;
        settings.identities[1].key = second->key;
    }
    tls_make_ticket_key(tickets.keys[0]);
    tickets.count = 1;
    struct error error = {0};
    if (tls_context_create(&settings, &context, &error) < 0) {
        fail_msg("%s", error.text);
    }
    return context;
}

static struct tls_context *serve(const struct pair *pair, struct bytes client_ca)
{
    return serve_both(pair, NULL, client_ca);
}

static struct tls_client_context *trust(const struct tls_client_settings *settings)
{
    struct tls_client_context *context;
    struct error error = {0};
    if (tls_client_context_create(settings, &context, &error) < 0) {
        fail_msg("%s", error.text);
    }
    return context;
}

static struct tls_client_context *trust_authority(void)
{
    return trust(&(struct tls_client_settings){.ca = authority.certificate, .protocol = "pop3"});
}

/* Two ends and what they need; begun until the handshake has ended one way or the other. */
struct connection {
    struct listener listener;
    struct end server;
    struct end client;
};

static void begin(struct connection *connection, struct tls_context *server)
{
    *connection = (struct connection){.server = {.read_at_once = true, .tls = server},
                                      .client = {.read_at_once = true}};
    listen_on(&connection->listener, "127.0.0.1", &connection->server);
    connect_to(&connection->client, "127.0.0.1", connection->listener.port, 5000);
    run_until(&connection->client.connected);
    run_until(&connection->server.connected);
}

static void handshake(struct connection *connection, struct tls_client_context *context,
                      const char *host)
{
    struct end *client = &connection->client;
    assert_int_equal(stream_secure_client(&client->stream, context, host), 0);
    assert_false(client->secured || client->ended);
    for (uint32_t i = 0; i < 1000 && !client->secured && !client->ended; i++) {
        (void)uv_run(&loop, UV_RUN_ONCE);
    }
    assert_true(client->secured != client->ended);
}

static void finish(struct connection *connection)
{
    close_end(&connection->client);
    close_end(&connection->server);
    close_listener(&connection->listener);
}

static void expect_text(const struct connection *connection, const char *text)
{
    assert_string_equal(stream_error(&connection->client.stream)->text, text);
}

static void expect_failure(struct tls_context *server, struct tls_client_context *context,
                           const char *host, const char *text)
{
    struct connection connection;
    begin(&connection, server);
    handshake(&connection, context, host);
    assert_true(connection.client.ended);
    expect_text(&connection, text);
    assert_int_equal(stream_error(&connection.client.stream)->kind, ERROR_PERMANENT);
    assert_null(stream_tls(&connection.client.stream));
    run_until(&connection.server.ended); /* the alert */
    assert_int_equal(connection.server.received_size, 0);
    finish(&connection);
}

static void expect_bindings_equal(const struct connection *connection, bool is_1_3)
{
    const struct tls *client = stream_tls(&connection->client.stream);
    const struct tls *server = stream_tls(&connection->server.stream);
    uint8_t exporters[2][TLS_EXPORTER_SIZE];
    uint8_t uniques[2][TLS_UNIQUE_SIZE];
    assert_int_equal(tls_is_1_3(client), is_1_3);
    assert_int_equal(tls_exporter(client, exporters[0]), TLS_EXPORTER_SIZE);
    assert_int_equal(tls_exporter(server, exporters[1]), TLS_EXPORTER_SIZE);
    assert_memory_equal(exporters[0], exporters[1], TLS_EXPORTER_SIZE);
    size_t size = tls_unique(client, uniques[0]);
    assert_int_equal(size, is_1_3 ? 0 : 12);
    assert_int_equal(tls_unique(server, uniques[1]), size);
    assert_memory_equal(uniques[0], uniques[1], size);
}

static void exchange(struct connection *connection)
{
    assert_true(stream_write(&connection->server.stream, bytes_of("+OK\r\n")));
    assert_true(stream_write(&connection->client.stream, bytes_of("QUIT\r\n")));
    while (connection->client.received_size < 5 || connection->server.received_size < 6) {
        (void)uv_run(&loop, UV_RUN_ONCE);
    }
    assert_memory_equal(connection->client.received, "+OK\r\n", 5);
    assert_memory_equal(connection->server.received, "QUIT\r\n", 6);
}

static void connect_once(struct tls_context *server, struct tls_client_context *context,
                         const char *host, bool resumed)
{
    struct connection connection;
    begin(&connection, server);
    handshake(&connection, context, host);
    assert_true(connection.client.secured);
    run_until(&connection.server.secured);
    assert_int_equal(tls_is_resumed(stream_tls(&connection.client.stream)), resumed);
    exchange(&connection);
    expect_bindings_equal(&connection, highest_version == 0);
    close_end(&connection.server);
    run_until(&connection.client.ended);
    assert_int_equal(stream_error(&connection.client.stream)->kind, ERROR_NONE);
    close_end(&connection.client);
    close_listener(&connection.listener);
}

/* Each version, whole and resumed; no session goes to another host. */
static void test_versions_and_sessions(void **state)
{
    (void)state;
    static const int versions[] = {0, TLS1_2_VERSION};
    for (size_t i = 0; i < sizeof versions / sizeof versions[0]; i++) {
        highest_version = versions[i];
        struct pair pair = make_server("x", "DNS:mail.example.org,DNS:pop.example.org");
        struct tls_context *server = serve(&pair, (struct bytes){0});
        struct tls_client_context *context = trust_authority();
        connect_once(server, context, "mail.example.org", false);
        connect_once(server, context, "mail.example.org", true);
        connect_once(server, context, "pop.example.org", false);
        connect_once(server, context, "mail.example.org", false);
        (void)tls_client_context_free(context);
        (void)tls_context_free(server);
        free_pair(&pair);
    }
    highest_version = 0;
}

static void test_names(void **state)
{
    (void)state;
    static const struct {
        const char *common_name;
        const char *alternatives;
        const char *host;
        const char *text; /* NULL: it fits */
    } rows[] = {
        {"x", "DNS:mail.example.org", "mail.example.org", NULL},
        {"x", "DNS:MAIL.Example.org", "mail.EXAMPLE.org.", NULL},
        {"x", "DNS:*.example.org", "mail.example.org", NULL},
        {"mail.example.org", NULL, "mail.example.org", NULL},
        {"x", "IP:127.0.0.1", "127.0.0.1", NULL},
        {"x", "IP:::1", "[::1]", NULL},
        {"x", "DNS:*.example.org", "a.mail.example.org",
         "a.mail.example.org: the certificate is not for it, but for *.example.org"},
        {"x", "DNS:*.example.org", "example.org",
         "example.org: the certificate is not for it, but for *.example.org"},
        {"x", "DNS:m*.example.org", "mail.example.org",
         "mail.example.org: the certificate is not for it, but for m*.example.org"},
        {"x", "DNS:mail.*.org", "mail.example.org",
         "mail.example.org: the certificate is not for it, but for mail.*.org"},
        {"mail.example.org", "DNS:a.example.org,DNS:b.example.org,IP:192.0.2.1,IP:2001:db8::1",
         "mail.example.org",
         "mail.example.org: the certificate is not for it, but for a.example.org, b.example.org, "
         "192.0.2.1, 2001:db8::1"},
        {"mail.example.org", "email:postmaster@example.org", "mail.example.org",
         "mail.example.org: the certificate is not for it, but for no host"},
        {"mail.example.org", "URI:pop3://mail.example.org", "mail.example.org",
         "mail.example.org: the certificate is not for it, but for no host"},
        {"other.example.org", NULL, "mail.example.org",
         "mail.example.org: the certificate is not for it, but for other.example.org"},
        {"127.0.0.1", NULL, "127.0.0.1",
         "127.0.0.1: the certificate is not for it, but for 127.0.0.1"},
        {"x", "DNS:127.0.0.1", "127.0.0.1",
         "127.0.0.1: the certificate is not for it, but for 127.0.0.1"},
        {"x", "IP:127.0.0.2", "127.0.0.1",
         "127.0.0.1: the certificate is not for it, but for 127.0.0.2"},
        {"a\x1b[31m\"", NULL, "mail.example.org",
         "mail.example.org: the certificate is not for it, but for a\\x1b[31m\\x22"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct pair pair = make_server(rows[i].common_name, rows[i].alternatives);
        struct tls_context *server = serve(&pair, (struct bytes){0});
        struct tls_client_context *context = trust_authority();
        if (rows[i].text == NULL) {
            connect_once(server, context, rows[i].host, false);
        } else {
            expect_failure(server, context, rows[i].host, rows[i].text);
        }
        (void)tls_client_context_free(context);
        (void)tls_context_free(server);
        free_pair(&pair);
    }
}

/* The server has a certificate for each name, and must be told which is wanted. */
static void test_the_name_is_sent(void **state)
{
    (void)state;
    struct pair first = make_server("x", "DNS:mail.example.org");
    struct pair second = make_server("x", "DNS:pop.example.org");
    struct tls_context *server = serve_both(&first, &second, (struct bytes){0});
    struct tls_client_context *context = trust_authority();
    connect_once(server, context, "mail.example.org", false);
    connect_once(server, context, "pop.example.org", false);
    (void)tls_client_context_free(context);
    (void)tls_context_free(server);
    free_pair(&first);
    free_pair(&second);
}

static const char *date_of(long days)
{
    static char text[16];
    time_t at = time(NULL) + days * 86400;
    struct tm tm;
    assert_true(strftime(text, sizeof text, "%Y-%m-%d", gmtime_r(&at, &tm)) > 0);
    return text;
}

static void test_times(void **state)
{
    (void)state;
    static const struct {
        long begin;
        long end;
        long told;
        const char *before;
        const char *after;
    } rows[] = {
        {-20, -10, -10, "mail.example.org: the certificate expired on ", ""},
        {10, 20, 10, "mail.example.org: the certificate is not valid before ",
         "; is the clock of this device right?"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct pair pair = make_pair(&(struct wish){.common_name = "x",
                                                    .alternatives = "DNS:mail.example.org",
                                                    .begin_days = rows[i].begin,
                                                    .end_days = rows[i].end,
                                                    .issuer = &authority});
        struct tls_context *server = serve(&pair, (struct bytes){0});
        struct tls_client_context *context = trust_authority();
        char text[200];
        (void)snprintf(text, sizeof text, "%s%s%s", rows[i].before, date_of(rows[i].told),
                       rows[i].after);
        expect_failure(server, context, "mail.example.org", text);
        (void)tls_client_context_free(context);
        (void)tls_context_free(server);
        free_pair(&pair);
    }
}

static void test_unknown_authority(void **state)
{
    (void)state;
    struct pair pair = make_server("x", "DNS:mail.example.org");
    struct tls_context *server = serve(&pair, (struct bytes){0});
    struct tls_client_context *context = trust(&(struct tls_client_settings){0});
    expect_failure(server, context, "mail.example.org",
                   "mail.example.org: the certificate comes from a CA that is not trusted here");
    (void)tls_client_context_free(context);
    (void)tls_context_free(server);
    free_pair(&pair);
}

/* With colons and capitals, as it is told, and as other programs write it. */
static void test_fingerprints(void **state)
{
    (void)state;
    struct pair pair = make_pair(&(struct wish){
        .common_name = "self", .alternatives = "DNS:other", .begin_days = -20, .end_days = -10});
    struct tls_context *server = serve(&pair, (struct bytes){0});
    struct tls_client_context *context = trust(&(struct tls_client_settings){0});
    char plain[65];
    char told[96] = "";
    char text[300];
    fingerprint_of(&pair, plain);
    for (size_t i = 0; i < 32; i++) {
        unsigned value = 0;
        assert_int_equal(sscanf(plain + 2 * i, "%2x", &value), 1);
        (void)snprintf(told + 3 * i, sizeof told - 3 * i, i < 31 ? "%02X:" : "%02X", value);
    }
    (void)snprintf(text, sizeof text,
                   "mail.example.org: the certificate is self-signed, nobody vouches for it; its "
                   "fingerprint is %s",
                   told);
    expect_failure(server, context, "mail.example.org", text);
    (void)tls_client_context_free(context);

    const char *const pins[] = {plain, told};
    for (size_t i = 0; i < 2; i++) {
        context = trust(&(struct tls_client_settings){.fingerprint = pins[i]});
        connect_once(server, context, "mail.example.org", false);
        (void)tls_client_context_free(context);
    }
    plain[10] = plain[10] == '0' ? '1' : '0';
    context = trust(&(struct tls_client_settings){.fingerprint = plain, .ca = pair.certificate});
    (void)snprintf(text, sizeof text,
                   "mail.example.org: the certificate is not the pinned one; its fingerprint is %s",
                   told);
    expect_failure(server, context, "mail.example.org", text);
    (void)tls_client_context_free(context);
    (void)tls_context_free(server);
    free_pair(&pair);
}

static void test_least_version(void **state)
{
    (void)state;
    struct pair pair = make_server("x", "DNS:mail.example.org");
    highest_version = TLS1_2_VERSION;
    struct tls_context *server = serve(&pair, (struct bytes){0});
    highest_version = 0;
    struct tls_client_context *context =
        trust(&(struct tls_client_settings){.ca = authority.certificate, .only_1_3 = true});
    struct connection connection;
    begin(&connection, server);
    handshake(&connection, context, "mail.example.org");
    assert_true(connection.client.ended);
    expect_text(&connection, "mail.example.org: TLS failed: the server has no version of TLS that "
                             "is allowed here");
    finish(&connection);
    (void)tls_client_context_free(context);
    (void)tls_context_free(server);
    free_pair(&pair);
}

static void test_protocol_is_offered(void **state)
{
    (void)state;
    struct pair pair = make_server("x", "DNS:mail.example.org");
    struct tls_context *server = serve(&pair, (struct bytes){0});
    struct tls_client_context *context =
        trust(&(struct tls_client_settings){.ca = authority.certificate, .protocol = "imap"});
    struct connection connection;
    begin(&connection, server);
    handshake(&connection, context, "mail.example.org");
    assert_true(connection.client.ended);
    expect_text(&connection,
                "mail.example.org: TLS failed: the server does not offer this protocol");
    finish(&connection);
    (void)tls_client_context_free(context);
    (void)tls_context_free(server);
    free_pair(&pair);
}

static void test_client_certificate(void **state)
{
    (void)state;
    struct pair pair = make_server("x", "DNS:mail.example.org");
    struct pair own = make_server("alice", NULL);
    struct tls_context *server = serve(&pair, authority.certificate);
    struct tls_client_context *context = trust(&(struct tls_client_settings){
        .ca = authority.certificate, .certificate = own.certificate, .key = own.key});
    struct connection connection;
    char name[64];
    begin(&connection, server);
    handshake(&connection, context, "mail.example.org");
    run_until(&connection.server.secured);
    assert_true(
        tls_peer_name(stream_tls(&connection.server.stream), TLS_NAME_COMMON, name, sizeof name));
    assert_string_equal(name, "alice");
    finish(&connection);
    (void)tls_client_context_free(context);
    (void)tls_context_free(server);
    free_pair(&own);
    free_pair(&pair);
}

/* As after STLS: plaintext, then TLS on both ends. */
static void test_plaintext_first(void **state)
{
    (void)state;
    struct pair pair = make_server("x", "DNS:mail.example.org");
    struct tls_context *server = serve(&pair, (struct bytes){0});
    struct tls_client_context *context = trust_authority();
    struct connection connection;
    begin(&connection, NULL);
    exchange(&connection);
    connection.client.received_size = connection.server.received_size = 0;
    assert_int_equal(stream_secure(&connection.server.stream, server, (struct bytes){0}), 0);
    handshake(&connection, context, "mail.example.org");
    assert_true(connection.client.secured);
    run_until(&connection.server.secured);
    exchange(&connection);
    finish(&connection);
    (void)tls_client_context_free(context);
    (void)tls_context_free(server);
    free_pair(&pair);
}

/* Plaintext where TLS has to be is no data, whether it comes before or within the handshake. */
static void test_plaintext_instead(void **state)
{
    (void)state;
    struct tls_client_context *context = trust_authority();
    for (uint32_t i = 0; i < 2; i++) {
        struct connection connection;
        begin(&connection, NULL);
        if (i == 0) {
            assert_true(stream_write(&connection.server.stream, bytes_of("+OK injected\r\n")));
        } else {
            stream_read(&connection.client.stream, false);
            assert_true(stream_write(&connection.server.stream, bytes_of("+OK injected\r\n")));
            run_for(20);
            stream_read(&connection.client.stream, true);
        }
        handshake(&connection, context, "mail.example.org");
        assert_true(connection.client.ended);
        expect_text(&connection,
                    "mail.example.org: TLS failed: what the server sent is not TLS; it "
                    "may expect plaintext on this port");
        assert_int_equal(stream_error(&connection.client.stream)->kind, ERROR_PROTOCOL);
        assert_int_equal(connection.client.received_size, 0);
        finish(&connection);
    }
    (void)tls_client_context_free(context);
}

static void test_handshake_that_stalls_or_is_cut(void **state)
{
    (void)state;
    struct tls_client_context *context = trust_authority();
    for (uint32_t i = 0; i < 2; i++) {
        struct connection connection;
        begin(&connection, NULL);
        assert_int_equal(
            stream_secure_client(&connection.client.stream, context, "mail.example.org"), 0);
        run_for(50);
        assert_false(connection.client.secured || connection.client.ended);
        assert_true(connection.server.received_size > 100); /* its first message */
        if (i == 1) {
            close_end(&connection.server);
            run_until(&connection.client.ended);
            expect_text(&connection, "the server closed the connection during the TLS handshake");
            close_end(&connection.client);
        } else {
            close_end(&connection.client);
            assert_false(connection.client.ended);
            close_end(&connection.server);
        }
        close_listener(&connection.listener);
    }
    (void)tls_client_context_free(context);
}

static void test_settings(void **state)
{
    (void)state;
    static const char digits63[] =
        "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1";
    static const char letters[] =
        "g00102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
    static const char digits65[] =
        "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f2";
    const struct {
        struct tls_client_settings settings;
        const char *text;
    } rows[] = {
        {{.fingerprint = digits63}, "a fingerprint is the 64 hexadecimal digits of a SHA-256 hash"},
        {{.fingerprint = letters}, "a fingerprint is the 64 hexadecimal digits of a SHA-256 hash"},
        {{.fingerprint = digits65}, "a fingerprint is the 64 hexadecimal digits of a SHA-256 hash"},
        {{.fingerprint = ""}, "a fingerprint is the 64 hexadecimal digits of a SHA-256 hash"},
        {{.ca = bytes_of("rubbish")}, "the CA file holds no certificate in PEM: no start line"},
        {{.certificate = bytes_of("rubbish")}, "the certificate cannot be used: no start line"},
        {{.certificate = authority.certificate, .key = bytes_of("x")},
         "the key cannot be read (it must be PEM, without a password): unsupported"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct tls_client_context *context;
        struct error error = {0};
        assert_int_equal(tls_client_context_create(&rows[i].settings, &context, &error), -1);
        assert_int_equal(error.kind, ERROR_CONFIGURATION);
        assert_string_equal(error.text, rows[i].text);
    }
    struct tls_client_context *context = trust_authority();
    static const char *const hosts[] = {"", "m\xc3\xa4il.example.org", "mail example", "[]"};
    for (size_t i = 0; i < sizeof hosts / sizeof hosts[0]; i++) {
        struct error error = {0};
        assert_null(tls_connect(context, hosts[i], &error));
        assert_int_equal(error.kind, ERROR_CONFIGURATION);
    }
    (void)tls_client_context_free(context);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, begin_loop, finish_loop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_versions_and_sessions),
        TEST(test_names),
        TEST(test_the_name_is_sent),
        TEST(test_times),
        TEST(test_unknown_authority),
        TEST(test_fingerprints),
        TEST(test_least_version),
        TEST(test_protocol_is_offered),
        TEST(test_client_certificate),
        TEST(test_plaintext_first),
        TEST(test_plaintext_instead),
        TEST(test_handshake_that_stalls_or_is_cut),
        TEST(test_settings),
    };
    return cmocka_run_group_tests_name("tls_client", tests, make_authority, free_authority);
}
