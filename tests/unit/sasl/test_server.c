/* SPDX-License-Identifier: MIT */
/* What a client may not say. */
#include "cmocka_first.h"

#include <stdio.h>

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <sodium.h>

#include "sasl/server.h"

static const uint8_t exporter[32] = {1, 2, 3};

static struct sasl_server *server;
static struct sasl_event event;

static void create(enum sasl_mechanism mechanism, bool channel)
{
    struct sasl_facts facts = {.host = "host", .certificate = "alice", .chosen = NULL};
    if (channel) {
        facts.tls_exporter = (struct bytes){exporter, sizeof exporter};
        facts.plus_offered = true;
    }
    assert_int_equal(sasl_server_create(mechanism, &facts, &server, NULL), 0);
}

static enum sasl_event_type first(enum sasl_mechanism mechanism, bool channel, struct bytes message)
{
    create(mechanism, channel);
    sasl_server_begin(server, &message, &event);
    enum sasl_event_type type = event.type;
    server = sasl_server_free(server);
    return type;
}

#define ROW(text)                                                                                  \
    {                                                                                              \
        (const uint8_t *)(text), sizeof(text) - 1                                                  \
    }
#define TEXT(text) ((struct bytes)ROW(text))

static void test_plain_refuses(void **state)
{
    (void)state;
    static const struct bytes wrong[] = {
        ROW(""),
        ROW("\0"),
        ROW("\0alice"),
        ROW("alice"),
        ROW("\0\0secret"),
        ROW("\0al\nice\0s"),
        ROW("\0alice\0se\rcret"),
        ROW("\0alice\0se\ncret"),
        ROW("\0alice\0se\0cret"),
        ROW("bob\0alice\0secret"),
        ROW("\0../x\0secret"),
        ROW("\0.x\0secret"),
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        assert_int_equal(first(SASL_PLAIN, false, wrong[i]), SASL_EVENT_FAILED);
    }
    assert_int_equal(first(SASL_PLAIN, false, TEXT("Alice\0alice\0 s \xff")), SASL_EVENT_VERIFY);
}

static void test_scram_refuses_first(void **state)
{
    (void)state;
    static const struct bytes wrong[] = {
        ROW(""),
        ROW("n"),
        ROW("n,"),
        ROW("n,,"),
        ROW("n,,n=alice"),
        ROW("n,,n=alice,"),
        ROW("n,,n=alice,r="),
        ROW("n,,n=,r=x"),
        ROW("n,,r=x,n=alice"),
        ROW("x,,n=alice,r=x"),
        ROW("N,,n=alice,r=x"),
        ROW("nn,,n=alice,r=x"),
        ROW("n,,m=ext,n=alice,r=x"),
        ROW("n,,n=al=2cice,r=x"),
        ROW("n,,n=al=,r=x"),
        ROW("n,,n=al=3,r=x"),
        ROW("n,,n=al\0ice,r=x"),
        ROW("n,,n=alice,r=x\0"),
        ROW("n,,n=alice,r=x y"),
        ROW("n,,n=al\rice,r=x"),
        ROW("n,a=,n=alice,r=x"),
        ROW("n,a=bob,n=alice,r=x"),
        ROW("n,b=alice,n=alice,r=x"),
        ROW("n,,n=../alice,r=x"),
        ROW("n,,n=alice,r=\x7f"),
        ROW("p=tls-exporter,,n=alice,r=x"), /* without -PLUS nothing is bound */
        ROW("p=,,n=alice,r=x"),
        ROW("p,,n=alice,r=x"),
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        assert_int_equal(first(SASL_SCRAM_SHA_256, true, wrong[i]), SASL_EVENT_FAILED);
        assert_int_equal(first(SASL_SCRAM_SHA_256, false, wrong[i]), SASL_EVENT_FAILED);
    }
    assert_int_equal(first(SASL_SCRAM_SHA_256, true, TEXT("n,,n=alice,r=x")), SASL_EVENT_LOOKUP);
    assert_int_equal(first(SASL_SCRAM_SHA_256, true, TEXT("n,a=alice,n=alice,r=x,t=ext")),
                     SASL_EVENT_LOOKUP);
    assert_int_equal(first(SASL_SCRAM_SHA_256, false, TEXT("y,,n=alice,r=x")), SASL_EVENT_LOOKUP);
    assert_int_equal(first(SASL_SCRAM_SHA_256, true, TEXT("y,,n=alice,r=x")), SASL_EVENT_FAILED);
}

static void test_plus_refuses_first(void **state)
{
    (void)state;
    static const struct bytes wrong[] = {
        ROW("n,,n=alice,r=x"),
        ROW("y,,n=alice,r=x"),
        ROW("p=tls-unique,,n=alice,r=x"),
        ROW("p=tls-server-end-point,,n=alice,r=x"),
        ROW("p=TLS-EXPORTER,,n=alice,r=x"),
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        assert_int_equal(first(SASL_SCRAM_SHA_256_PLUS, true, wrong[i]), SASL_EVENT_FAILED);
    }
    struct bytes right = TEXT("p=tls-exporter,,n=alice,r=x");
    assert_int_equal(first(SASL_SCRAM_SHA_256_PLUS, true, right), SASL_EVENT_LOOKUP);
    assert_int_equal(first(SASL_SCRAM_SHA_256_PLUS, false, right), SASL_EVENT_FAILED);
}

/* A whole exchange up to the proof, by a client that is written here; then what `change` makes of its last
 * message. */
enum change {
    CHANGE_NOTHING,
    CHANGE_HEADER,
    CHANGE_NONCE,
    CHANGE_PROOF,
    CHANGE_NO_PROOF,
    CHANGE_EXTENSION,
    CHANGE_EMPTY_PROOF,
    CHANGE_AFTER
};

static size_t client_final(const struct scram_keys *client, enum change change, char out[1024])
{
    static const char bare[] = "n=alice,r=x";
    char text[1024], proof[64];
    uint8_t signature[SCRAM_KEY_OCTETS_MAX];
    struct bytes challenge = event.octets;
    int nonce = (int)bytes_find(challenge, ',');
    (void)snprintf(out, 1024, "c=%s,%.*s%s%s", change == CHANGE_HEADER ? "eSws" : "biws", nonce,
                   (const char *)challenge.data, change == CHANGE_NONCE ? "x" : "",
                   change == CHANGE_EXTENSION ? ",t=ignored" : "");
    int size = snprintf(text, sizeof text, "%s,%.*s,%s", bare, (int)challenge.size,
                        (const char *)challenge.data, out);
    assert_int_equal(scram_hmac(SCRAM_SHA_256, client->stored_key,
                                (struct bytes){(const uint8_t *)text, (size_t)size}, signature),
                     0);
    for (size_t i = 0; i < 32; i++) {
        signature[i] ^= client->server_key[i]; /* where the caller put the client's key */
    }
    signature[31] ^= change == CHANGE_PROOF;
    (void)sodium_bin2base64(proof, sizeof proof, signature, 32, sodium_base64_VARIANT_ORIGINAL);
    size_t end = strlen(out);
    if (change == CHANGE_EMPTY_PROOF) {
        proof[0] = '\0';
    }
    if (change != CHANGE_NO_PROOF) {
        (void)snprintf(out + end, 1024 - end, ",p=%s%s", proof,
                       change == CHANGE_AFTER ? ",x=y" : "");
    }
    return strlen(out);
}

static enum sasl_event_type last(enum change change)
{
    /* with a client's key of our choice: its hash is the stored key */
    struct scram_keys keys = {.iterations = 4096, .salt_size = 4, .salt = "salt"};
    struct scram_keys client = {.server_key = "any 32 octets will do for a key"};
    struct bytes message = TEXT("n,,n=alice,r=x");
    char final[1024];
    assert_int_equal(scram_digest(SCRAM_SHA_256, client.server_key, keys.stored_key), 0);
    memcpy(client.stored_key, keys.stored_key, sizeof keys.stored_key);
    create(SASL_SCRAM_SHA_256, false);
    sasl_server_begin(server, &message, &event);
    assert_int_equal(event.type, SASL_EVENT_LOOKUP);
    sasl_server_keys(server, &keys, 1, &event);
    assert_int_equal(event.type, SASL_EVENT_CHALLENGE);
    size_t size = client_final(&client, change, final);
    sasl_server_continue(server, (struct bytes){(const uint8_t *) final, size}, &event);
    return event.type;
}

static void test_scram_refuses_last(void **state)
{
    (void)state;
    for (unsigned change = CHANGE_NOTHING; change <= CHANGE_AFTER; change++) {
        bool good = change == CHANGE_NOTHING || change == CHANGE_EXTENSION;
        assert_int_equal(last((enum change)change),
                         good ? SASL_EVENT_CHALLENGE : SASL_EVENT_FAILED);
        server = sasl_server_free(server);
    }
}

/* Three secrets, of which the client has number `had`, and the host refuses number `refused`. */
static void prove_one_of_three(size_t had, size_t refused)
{
    struct scram_keys keys[3];
    struct scram_keys client = {.server_key = "any 32 octets will do for a key"};
    struct bytes message = TEXT("n,,n=alice,r=x");
    char final[1024];
    for (size_t i = 0; i < 3; i++) {
        keys[i] = (struct scram_keys){.iterations = 4096, .salt_size = 4, .salt = "salt"};
        memset(keys[i].stored_key, (int)i, sizeof keys[i].stored_key);
    }
    if (had < 3) {
        assert_int_equal(scram_digest(SCRAM_SHA_256, client.server_key, keys[had].stored_key), 0);
        memcpy(client.stored_key, keys[had].stored_key, sizeof client.stored_key);
    }
    create(SASL_SCRAM_SHA_256, false);
    sasl_server_begin(server, &message, &event);
    sasl_server_keys(server, keys, 3, &event);
    sasl_server_refuse(server, refused);
    size_t size = client_final(&client, CHANGE_NOTHING, final);
    sasl_server_continue(server, (struct bytes){(const uint8_t *) final, size}, &event);
    if (had == 3 || had == refused) {
        assert_int_equal(event.type, SASL_EVENT_FAILED);
        assert_int_equal(event.octets.size, 0);
        assert_int_equal(event.secret, had == 3 ? SASL_SECRETS_MAX : had);
    } else {
        uint8_t signature[SCRAM_KEY_OCTETS_MAX];
        assert_int_equal(event.type, SASL_EVENT_CHALLENGE);
        assert_memory_equal(event.octets.data, "v=", 2);
        assert_int_equal(sodium_base642bin(signature, sizeof signature,
                                           (const char *)event.octets.data + 2,
                                           event.octets.size - 2, NULL, NULL, NULL,
                                           sodium_base64_VARIANT_ORIGINAL),
                         0);
        sasl_server_continue(server, TEXT(""), &event);
        assert_int_equal(event.type, SASL_EVENT_DONE);
        assert_int_equal(event.secret, had);
    }
    server = sasl_server_free(server);
}

static void test_scram_says_which_secret(void **state)
{
    (void)state;
    for (size_t had = 0; had <= 3; had++) {
        for (size_t refused = 0; refused < 3; refused++) {
            prove_one_of_three(had, refused);
        }
    }
}

static void test_cram_says_which_secret(void **state)
{
    (void)state;
    const struct bytes passwords[] = {TEXT("one"), TEXT("two"), TEXT("three")};
    for (size_t had = 0; had <= 3; had++) {
        struct bytes password = had < 3 ? passwords[had] : bytes_of("four");
        uint8_t digest[16];
        char digits[33], message[64];
        create(SASL_CRAM_MD5, false);
        sasl_server_begin(server, NULL, &event);
        assert_non_null(HMAC(EVP_md5(), password.data, (int)password.size, event.octets.data,
                             event.octets.size, digest, NULL));
        (void)sodium_bin2hex(digits, sizeof digits, digest, sizeof digest);
        (void)snprintf(message, sizeof message, "alice %s", digits);
        sasl_server_continue(server, bytes_of(message), &event);
        assert_int_equal(event.type, SASL_EVENT_LOOKUP);
        sasl_server_passwords(server, passwords, 3, &event);
        assert_int_equal(event.type, had < 3 ? SASL_EVENT_DONE : SASL_EVENT_FAILED);
        assert_int_equal(event.secret, had < 3 ? had : SASL_SECRETS_MAX);
        server = sasl_server_free(server);
    }
}

static void test_nothing_comes_after_the_end(void **state)
{
    (void)state;
    assert_int_equal(last(CHANGE_NOTHING), SASL_EVENT_CHALLENGE);
    sasl_server_continue(server, TEXT("x"), &event);
    assert_int_equal(event.type, SASL_EVENT_FAILED);
    sasl_server_continue(server, TEXT(""), &event);
    assert_int_equal(event.type, SASL_EVENT_FAILED);
    server = sasl_server_free(server);
}

static void test_nonces_differ(void **state)
{
    (void)state;
    uint8_t earlier[64] = {0};
    for (int i = 0; i < 2; i++) {
        assert_int_equal(last(CHANGE_PROOF), SASL_EVENT_FAILED);
        server = sasl_server_free(server);
        create(SASL_CRAM_MD5, false);
        sasl_server_begin(server, NULL, &event);
        assert_in_range(event.octets.size, 8, 63);
        assert_memory_not_equal(event.octets.data, earlier, event.octets.size);
        memcpy(earlier, event.octets.data, event.octets.size);
        server = sasl_server_free(server);
    }
}

static void test_cram_refuses(void **state)
{
    (void)state;
    static const struct bytes wrong[] = {
        ROW(""),
        ROW("alice"),
        ROW(" b913a602c7eda7a495b4e6e7334d3890"),
        ROW("alice b913a602c7eda7a495b4e6e7334d389"),
        ROW("b913a602c7eda7a495b4e6e7334d3890"),
        ROW("../x b913a602c7eda7a495b4e6e7334d3890"),
        ROW("a\nb b913a602c7eda7a495b4e6e7334d3890"),
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        create(SASL_CRAM_MD5, false);
        sasl_server_begin(server, NULL, &event);
        sasl_server_continue(server, wrong[i], &event);
        assert_int_equal(event.type, SASL_EVENT_FAILED);
        server = sasl_server_free(server);
    }
    assert_int_equal(first(SASL_CRAM_MD5, false, TEXT("alice b913a602c7eda7a495b4e6e7334d3890")),
                     SASL_EVENT_FAILED); /* an initial response, where the server speaks first */
}

static void test_login(void **state)
{
    (void)state;
    create(SASL_LOGIN, false);
    sasl_server_begin(server, NULL, &event);
    assert_true(bytes_equal(event.octets, bytes_of("Username:")));
    sasl_server_continue(server, TEXT("alice"), &event);
    assert_true(bytes_equal(event.octets, bytes_of("Password:")));
    sasl_server_continue(server, TEXT("se cret"), &event);
    assert_int_equal(event.type, SASL_EVENT_VERIFY);
    assert_true(bytes_equal(event.password, bytes_of("se cret")));
    server = sasl_server_free(server);
    assert_int_equal(first(SASL_LOGIN, false, TEXT("al\0ice")), SASL_EVENT_FAILED);
    assert_int_equal(first(SASL_LOGIN, false, TEXT("alice")), SASL_EVENT_CHALLENGE);
    create(SASL_LOGIN, false);
    struct bytes name = TEXT("alice");
    sasl_server_begin(server, &name, &event);
    sasl_server_continue(server, TEXT("se\0cret"), &event);
    assert_int_equal(event.type, SASL_EVENT_FAILED);
    server = sasl_server_free(server);
}

static void test_external(void **state)
{
    (void)state;
    assert_int_equal(first(SASL_EXTERNAL, false, TEXT("")), SASL_EVENT_DONE);
    assert_int_equal(first(SASL_EXTERNAL, false, TEXT("alice")), SASL_EVENT_DONE);
    assert_int_equal(first(SASL_EXTERNAL, false, TEXT("bob")), SASL_EVENT_FAILED);
    struct sasl_facts nobody = {.host = "host"};
    struct bytes message = TEXT("");
    assert_int_equal(sasl_server_create(SASL_EXTERNAL, &nobody, &server, NULL), 0);
    sasl_server_begin(server, &message, &event);
    assert_int_equal(event.type, SASL_EVENT_FAILED);
    server = sasl_server_free(server);
}

/* Messages as long as the room is, and longer: whatever is in them, an answer and no more. */
static void test_long_messages(void **state)
{
    (void)state;
    static uint8_t message[SASL_MESSAGE_OCTETS_MAX + 1];
    for (size_t size = 0; size <= sizeof message; size++) {
        memset(message, 'x', sizeof message);
        memcpy(message, "n,,n=alice,r=", 13);
        create(SASL_SCRAM_SHA_256, false);
        struct bytes octets = {message, size};
        sasl_server_begin(server, &octets, &event);
        if (event.type == SASL_EVENT_LOOKUP) {
            struct scram_keys keys = {.iterations = 4096, .salt_size = SCRAM_SALT_OCTETS_MAX};
            sasl_server_keys(server, &keys, 1, &event);
        }
        if (size > 14 && size < 500) {
            assert_int_equal(event.type, SASL_EVENT_CHALLENGE);
        } else if (size > SASL_MESSAGE_OCTETS_MAX) {
            assert_int_equal(event.type, SASL_EVENT_FAILED);
        }
        server = sasl_server_free(server);
    }
}

/* The most that PLAIN may have, a name twice and a password, and one octet more. */
static void test_longest_plain(void **state)
{
    (void)state;
    static uint8_t message[SASL_MESSAGE_OCTETS_MAX + 1];
    memset(message, 'x', sizeof message);
    message[255] = message[511] = '\0';
    struct bytes most = {message, SASL_MESSAGE_OCTETS_MAX};
    assert_int_equal(first(SASL_PLAIN, false, most), SASL_EVENT_VERIFY);
    most.size++;
    assert_int_equal(first(SASL_PLAIN, false, most), SASL_EVENT_FAILED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain_refuses),
        cmocka_unit_test(test_scram_refuses_first),
        cmocka_unit_test(test_plus_refuses_first),
        cmocka_unit_test(test_scram_refuses_last),
        cmocka_unit_test(test_scram_says_which_secret),
        cmocka_unit_test(test_cram_says_which_secret),
        cmocka_unit_test(test_nothing_comes_after_the_end),
        cmocka_unit_test(test_nonces_differ),
        cmocka_unit_test(test_cram_refuses),
        cmocka_unit_test(test_login),
        cmocka_unit_test(test_external),
        cmocka_unit_test(test_long_messages),
        cmocka_unit_test(test_longest_plain),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
