/* SPDX-License-Identifier: MIT */
/* JWTs that may not let in, each wrong in one thing only, and keys that come and go. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sodium.h>

#include "account/token_jwt.h"

#define NOW    1700000000
#define CLAIMS "\"iss\":\"https://id.example.org\",\"aud\":\"mail\",\"email\":\"alice@example.org\""
#define RIGHT  "{" CLAIMS ",\"exp\":1700000060}"

static cjose_jwk_t *rsa, *other, *weak, *p256, *p384;
static char folder[] = "/tmp/restante-jwt-XXXXXX";
static char path[64];
static struct token_keys *keys;
static struct token_options options;
static struct bytes name;
static struct token_verdict verdict;
static struct error error;

static cjose_jwk_t *make_rsa(size_t bits, const char *id)
{
    static const uint8_t exponent[] = {1, 0, 1};
    cjose_err problem;
    cjose_jwk_t *key = cjose_jwk_create_RSA_random(bits, exponent, sizeof exponent, &problem);
    assert_non_null(key);
    assert_true(cjose_jwk_set_kid(key, id, strlen(id), &problem));
    return key;
}

static cjose_jwk_t *make_ec(cjose_jwk_ec_curve curve, const char *id)
{
    cjose_err problem;
    cjose_jwk_t *key = cjose_jwk_create_EC_random(curve, &problem);
    assert_non_null(key);
    assert_true(cjose_jwk_set_kid(key, id, strlen(id), &problem));
    return key;
}

static void write_file(const char *text)
{
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    assert_int_equal(fputs(text, file) >= 0, true);
    assert_int_equal(fclose(file), 0);
}

/* The public half, with one more member perhaps. */
static char *public_text(const cjose_jwk_t *key, const char *member, const char *value)
{
    cjose_err problem;
    char *text = cjose_jwk_to_json(key, false, &problem);
    json_t *object = json_loads(text, 0, NULL);
    if (member != NULL) {
        assert_int_equal(
            json_object_set_new(object, member, json_loads(value, JSON_DECODE_ANY, NULL)), 0);
    }
    free(text);
    text = json_dumps(object, 0);
    json_decref(object);
    return text;
}

static void write_keys(const cjose_jwk_t *const list[], size_t count)
{
    char *text = NULL;
    size_t size;
    FILE *set = open_memstream(&text, &size);
    (void)fputs("{\"keys\":[", set);
    for (size_t i = 0; i < count; i++) {
        char *key = public_text(list[i], NULL, NULL);
        (void)fprintf(set, "%s%s", i == 0 ? "" : ",", key);
        free(key);
    }
    (void)fputs("]}", set);
    assert_int_equal(fclose(set), 0);
    write_file(text);
    free(text);
}

static int make_world(void **state)
{
    (void)state;
    assert_non_null(mkdtemp(folder));
    (void)snprintf(path, sizeof path, "%s/keys.json", folder);
    rsa = make_rsa(2048, "one");
    other = make_rsa(2048, "one"); /* of somebody else, and called the same */
    weak = make_rsa(1024, "weak");
    p256 = make_ec(CJOSE_JWK_EC_P_256, "p256");
    p384 = make_ec(CJOSE_JWK_EC_P_384, "p384");
    return 0;
}

static int remove_world(void **state)
{
    (void)state;
    cjose_jwk_t *const all[] = {rsa, other, weak, p256, p384};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        (void)cjose_jwk_release(all[i]);
    }
    (void)unlink(path);
    return rmdir(folder);
}

static int begin(void **state)
{
    (void)state;
    const cjose_jwk_t *const list[] = {rsa, p256, p384, weak};
    options = (struct token_options){.issuer = "https://id.example.org",
                                     .audience = "mail",
                                     .user_claim = "email",
                                     .scope = "",
                                     .algorithms = UINT32_MAX,
                                     .skew_s = 60};
    name = (struct bytes){0};
    write_keys(list, 4);
    assert_int_equal(token_keys_create(path, &keys, NULL), 0);
    return 0;
}

static int end(void **state)
{
    (void)state;
    keys = token_keys_free(keys);
    return 0;
}

/* A token with that header (what is not given is added) and those claims. */
static char *sign(const cjose_jwk_t *key, const char *algorithm, const char *more,
                  const char *claims)
{
    cjose_err problem;
    const char *text;
    char members[300];
    (void)snprintf(members, sizeof members, "{\"alg\":\"%s\"%s%s}", algorithm,
                   more[0] == '\0' ? "" : ",", more);
    json_t *header = json_loads(members, 0, NULL);
    assert_non_null(header);
    cjose_jws_t *jws = cjose_jws_sign(key, (cjose_header_t *)header, (const uint8_t *)claims,
                                      strlen(claims), &problem);
    assert_non_null(jws);
    assert_true(cjose_jws_export(jws, &text, &problem));
    char *token = strdup(text);
    cjose_jws_release(jws);
    json_decref(header);
    return token;
}

static int check(const char *token)
{
    const struct token_case of = {
        .options = &options, .origin = TOKEN_OF_JWT, .name = name, .now_s = NOW};
    error = (struct error){0};
    return token_jwt_check(keys, bytes_of(token), &of, &verdict, &error);
}

static void expect(char *token, const char *why)
{
    int result = check(token);
    free(token);
    if (why == NULL) {
        assert_string_equal(error.text, "");
        assert_int_equal(result, 0);
    } else {
        assert_int_equal(result, -1);
        assert_string_equal(error.text, why);
        assert_int_equal(error.kind, ERROR_BAD_CREDENTIALS);
    }
}

#define UNSIGNED  "the token is not signed by a key of its issuer, or says nothing"
#define ALGORITHM "the token is signed by an algorithm that is not accepted"

static void test_right(void **state)
{
    (void)state;
    static const char *const of_rsa[] = {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"};
    for (size_t i = 0; i < sizeof of_rsa / sizeof *of_rsa; i++) {
        expect(sign(rsa, of_rsa[i], "\"kid\":\"one\"", RIGHT), NULL);
        assert_string_equal(verdict.user, "alice@example.org");
        assert_int_equal(verdict.expires_s, NOW + 120);
        assert_false(verdict.lacks_scope);
        expect(sign(rsa, of_rsa[i], "", RIGHT), NULL);
    }
    expect(sign(p256, "ES256", "\"kid\":\"p256\",\"typ\":\"at+jwt\"", RIGHT), NULL);
    expect(sign(p384, "ES384", "\"typ\":\"jwt\"", RIGHT), NULL);
}

static void test_wrong_keys(void **state)
{
    (void)state;
    expect(sign(other, "RS256", "\"kid\":\"one\"", RIGHT), UNSIGNED);
    expect(sign(other, "RS256", "", RIGHT), UNSIGNED);
    expect(sign(rsa, "RS256", "\"kid\":\"two\"", RIGHT), UNSIGNED);
    expect(sign(rsa, "RS256", "\"kid\":\"\"", RIGHT), UNSIGNED);
    expect(sign(rsa, "RS256", "\"kid\":\"../../../../dev/null\"", RIGHT), UNSIGNED);
    expect(sign(rsa, "RS256", "\"kid\":\"keys.json\"", RIGHT), UNSIGNED);
    expect(sign(weak, "RS256", "\"kid\":\"weak\"", RIGHT), UNSIGNED);
    expect(sign(p384, "ES256", "\"kid\":\"p384\"", RIGHT), UNSIGNED);
    expect(sign(rsa, "RS256", "\"kid\":1", RIGHT), "the token has an id of a key that is no text");
    /* a key that the token brings along itself */
    expect(
        sign(other, "RS256", "\"jku\":\"https://evil.example\",\"jwk\":{\"kty\":\"RSA\"}", RIGHT),
        UNSIGNED);
}

static char *assemble(const char *header, const char *claims, const char *signature)
{
    char *token, first[400], second[400];
    (void)sodium_bin2base64(first, sizeof first, (const uint8_t *)header, strlen(header),
                            sodium_base64_VARIANT_URLSAFE_NO_PADDING);
    (void)sodium_bin2base64(second, sizeof second, (const uint8_t *)claims, strlen(claims),
                            sodium_base64_VARIANT_URLSAFE_NO_PADDING);
    assert_true(asprintf(&token, "%s.%s.%s", first, second, signature) > 0);
    return token;
}

static void test_algorithms(void **state)
{
    (void)state;
    cjose_err problem;
    static const char *const none[] = {"none", "None", "nOnE", "", "rs256", "EdDSA"};
    for (size_t i = 0; i < sizeof none / sizeof *none; i++) {
        char header[64];
        (void)snprintf(header, sizeof header, "{\"alg\":\"%s\"}", none[i]);
        expect(assemble(header, RIGHT, ""), ALGORITHM);
    }
    expect(assemble("{}", RIGHT, ""), ALGORITHM);
    expect(assemble("{\"alg\":1}", RIGHT, ""), ALGORITHM);
    /* what is public of the key as the secret: the text of it, and its file */
    char *text = public_text(rsa, NULL, NULL);
    cjose_jwk_t *secret = cjose_jwk_create_oct_spec((uint8_t *)text, strlen(text), &problem);
    expect(sign(secret, "HS256", "\"kid\":\"one\"", RIGHT), ALGORITHM);
    (void)cjose_jwk_release(secret);
    free(text);
    options.algorithms = 1U << TOKEN_ES256;
    expect(sign(rsa, "RS256", "", RIGHT), ALGORITHM);
    expect(sign(p256, "ES256", "", RIGHT), NULL);
}

static void test_headers(void **state)
{
    (void)state;
    expect(sign(rsa, "RS256", "\"crit\":[\"exp\"],\"exp\":1", RIGHT),
           "the token asks for an extension that is not known");
    expect(sign(rsa, "RS256", "\"typ\":\"dpop+jwt\"", RIGHT), "the token is of another type");
    expect(sign(rsa, "RS256", "\"typ\":1", RIGHT), "the token is of another type");
    static const char *const none[] = {
        "",        ".",        "..",          "a.b",   "a.b.c",  "e30",          "e30..",
        "e30.e30", "e30.e30.", "W10.e30.e30", "a b.c", "=.e30.", "e30.e30.e30.", "\x80.e30.e30"};
    for (size_t i = 0; i < sizeof none / sizeof *none; i++) {
        assert_int_equal(check(none[i]), -1);
        assert_int_equal(error.kind, ERROR_BAD_CREDENTIALS);
    }
    expect(assemble("{\"alg\":\"RS256\",\"alg\":\"RS256\"}", RIGHT, "AA"), "the token is no JWT");
    expect(assemble("{\"alg\":\"RS256\"}", RIGHT, ""), UNSIGNED);
    expect(assemble("{\"alg\":\"RS256\"}", RIGHT, "AA"), UNSIGNED);
    expect(sign(rsa, "RS256", "", "[]"), UNSIGNED);
    expect(sign(rsa, "RS256", "", "no JSON"), UNSIGNED);
    expect(sign(rsa, "RS256", "", "{\"exp\":1700000060,\"exp\":1," CLAIMS "}"), UNSIGNED);
}

/* One octet of it is another. */
static void test_each_octet_is_signed(void **state)
{
    (void)state;
    char *token = sign(p256, "ES256", "", RIGHT);
    size_t size = strlen(token);
    for (size_t i = 0; i < size; i++) {
        char octet = token[i];
        token[i] = octet == 'A' ? 'Q' : 'A';
        if (i + 1 < size) { /* of the last one, some bits say nothing */
            assert_int_equal(check(token), -1);
        }
        token[i] = octet;
    }
    expect(token, NULL);
}

static void test_claims(void **state)
{
    (void)state;
#define ISS "\"iss\":\"https://id.example.org\","
#define AUD "\"aud\":\"mail\","
#define EXP "\"exp\":1700000060,"
#define WHO "\"email\":\"alice@example.org\""
    static const struct {
        const char *claims, *why;
    } cases[] = {
        {"{" ISS AUD "\"exp\":1699999941," WHO "}", NULL}, /* 60 seconds of skew */
        {"{" ISS AUD "\"exp\":1699999940," WHO "}", "the token has expired"},
        {"{" ISS AUD "\"exp\":1699999940.5," WHO "}", NULL},
        {"{" ISS AUD WHO "}", "the token does not say when it expires"},
        {"{" ISS AUD "\"exp\":\"1700000060\"," WHO "}", "the token has an \"exp\" that is no time"},
        {"{" ISS AUD "\"exp\":null," WHO "}", "the token has an \"exp\" that is no time"},
        {"{" ISS AUD "\"exp\":-1," WHO "}", "the token has an \"exp\" that is no time"},
        {"{" ISS AUD "\"exp\":1e300," WHO "}", "the token has an \"exp\" that is no time"},
        {"{" ISS AUD EXP "\"nbf\":1700000060," WHO "}", NULL},
        {"{" ISS AUD EXP "\"nbf\":1700000061," WHO "}", "the token is not valid yet"},
        {"{" ISS AUD EXP "\"nbf\":\"0\"," WHO "}", "the token has an \"nbf\" that is no time"},
        {"{" AUD EXP WHO "}", "the token is of another issuer"},
        {"{\"iss\":\"https://id.example.org/\"," AUD EXP WHO "}", "the token is of another issuer"},
        {"{\"iss\":[\"https://id.example.org\"]," AUD EXP WHO "}",
         "the token is of another issuer"},
        {"{" ISS EXP WHO "}", "the token is for another audience"},
        {"{" ISS "\"aud\":\"mailer\"," EXP WHO "}", "the token is for another audience"},
        {"{" ISS "\"aud\":[\"x\",\"mail\"]," EXP WHO "}", NULL},
        {"{" ISS "\"aud\":[\"x\",[\"mail\"],1]," EXP WHO "}", "the token is for another audience"},
        {"{" ISS "\"aud\":{\"mail\":\"mail\"}," EXP WHO "}", "the token is for another audience"},
        {"{" ISS AUD EXP "\"sub\":\"alice\"}", "the token has no \"email\""},
        {"{" ISS AUD EXP "\"email\":[\"alice\"]}", "the token has no \"email\""},
        {"{" ISS AUD EXP "\"email\":\"\"}", "the token names somebody who cannot have an account"},
        {"{" ISS AUD EXP "\"email\":\"../alice\"}",
         "the token names somebody who cannot have an account"},
        {"{" ISS AUD EXP "\"email\":\"a\\nb\"}",
         "the token names somebody who cannot have an account"},
        {"{" ISS AUD EXP WHO ",\"email_verified\":true}", NULL},
        {"{" ISS AUD EXP WHO ",\"email_verified\":\"true\"}", NULL},
        {"{" ISS AUD EXP WHO ",\"email_verified\":false}",
         "the token has an address that its provider has not verified"},
        {"{" ISS AUD EXP WHO ",\"email_verified\":1}",
         "the token has an address that its provider has not verified"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        expect(sign(p256, "ES256", "", cases[i].claims), cases[i].why);
    }
}

static void test_names(void **state)
{
    (void)state;
    name = bytes_of("Alice@Example.ORG");
    expect(sign(p256, "ES256", "", RIGHT), NULL);
    assert_string_equal(verdict.user, "alice@example.org");
    name = bytes_of("bob@example.org");
    expect(sign(p256, "ES256", "", RIGHT), "the token is not of who the client says that it is");
    name = bytes_of("alice@example.or");
    expect(sign(p256, "ES256", "", RIGHT), "the token is not of who the client says that it is");
}

static void test_scopes(void **state)
{
    (void)state;
    static const struct {
        const char *more;
        bool lacks;
    } cases[] = {
        {"\"scope\":\"mail\"", false},
        {"\"scope\":\"a mail b\"", false},
        {"\"scope\":[\"a\",\"mail\"]", false},
        {"\"scp\":\"mail\"", false},
        {"\"scp\":[\"mail\"]", false},
        {"\"scope\":\"mailer\"", true},
        {"\"scope\":\"\"", true},
        {"\"scope\":1", true},
        {"\"scope\":\"a\",\"scp\":\"mail\"", true},
        {"\"x\":1", true},
    };
    options.scope = "mail";
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char claims[300];
        (void)snprintf(claims, sizeof claims, "{" ISS AUD EXP WHO ",%s}", cases[i].more);
        expect(sign(p256, "ES256", "", claims), NULL);
        assert_int_equal(verdict.lacks_scope, cases[i].lacks);
    }
}

static void test_rotation(void **state)
{
    (void)state;
    const cjose_jwk_t *const before[] = {rsa};
    const cjose_jwk_t *const after[] = {p256};
    write_keys(before, 1);
    assert_int_equal(token_keys_refresh(keys, &error), 0);
    expect(sign(p256, "ES256", "", RIGHT), UNSIGNED);
    expect(sign(rsa, "RS256", "", RIGHT), NULL);
    write_keys(after, 1);
    assert_int_equal(token_keys_refresh(keys, &error), 0);
    expect(sign(p256, "ES256", "", RIGHT), NULL);
    expect(sign(rsa, "RS256", "", RIGHT), UNSIGNED);
    write_file("{\"keys\":"); /* half of it is written yet */
    assert_int_equal(token_keys_refresh(keys, &error), -1);
    expect(sign(p256, "ES256", "", RIGHT), NULL);
    (void)unlink(path);
    assert_int_equal(token_keys_refresh(keys, &error), -1);
    expect(sign(p256, "ES256", "", RIGHT), NULL);
    write_keys(before, 1);
    assert_int_equal(token_keys_refresh(keys, &error), 0);
    expect(sign(p256, "ES256", "", RIGHT), UNSIGNED);
}

/* Keys that are in the file and still are not to be used. */
static void test_keys_that_are_left_out(void **state)
{
    (void)state;
    static const struct {
        const char *member, *value;
        bool used;
    } cases[] = {
        {"use", "\"sig\"", true},
        {"use", "\"enc\"", false},
        {"use", "1", false},
        {"alg", "\"RS256\"", true},
        {"alg", "\"RS512\"", false},
        {"alg", "\"HS256\"", false},
        {"alg", "1", false},
        {"key_ops", "[\"verify\"]", true},
        {"key_ops", "[\"encrypt\"]", false},
        {"key_ops", "1", false},
        {"kty", "\"oct\"", false},
        {"n", "\"\"", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *text;
        char *first = public_text(rsa, cases[i].member, cases[i].value);
        char *second = public_text(p256, NULL, NULL);
        assert_true(asprintf(&text, "{\"keys\":[%s,1,{},%s]}", first, second) > 0);
        write_file(text);
        assert_int_equal(token_keys_refresh(keys, &error), 0);
        expect(sign(rsa, "RS256", "", RIGHT), cases[i].used ? NULL : UNSIGNED);
        expect(sign(p256, "ES256", "", RIGHT), NULL);
        free(first);
        free(second);
        free(text);
    }
}

static void test_files_that_are_none(void **state)
{
    (void)state;
    struct token_keys *none;
    static const char *const texts[] = {"",
                                        "x",
                                        "{}",
                                        "[]",
                                        "{\"keys\":{}}",
                                        "{\"keys\":[]}",
                                        "{\"keys\":[{\"kty\":\"oct\",\"k\":\"AAAA\"}]}"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        write_file(texts[i]);
        assert_int_equal(token_keys_create(path, &none, &error), -1);
        assert_int_equal(error.kind, ERROR_CONFIGURATION);
        assert_non_null(strstr(error.text, path));
    }
    const cjose_jwk_t *const list[] = {weak};
    write_keys(list, 1);
    assert_int_equal(token_keys_create(path, &none, &error), -1);
    (void)unlink(path);
    assert_int_equal(token_keys_create(path, &none, &error), -1);
    assert_int_equal(error.number, ENOENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_right, begin, end),
        cmocka_unit_test_setup_teardown(test_wrong_keys, begin, end),
        cmocka_unit_test_setup_teardown(test_algorithms, begin, end),
        cmocka_unit_test_setup_teardown(test_headers, begin, end),
        cmocka_unit_test_setup_teardown(test_each_octet_is_signed, begin, end),
        cmocka_unit_test_setup_teardown(test_claims, begin, end),
        cmocka_unit_test_setup_teardown(test_names, begin, end),
        cmocka_unit_test_setup_teardown(test_scopes, begin, end),
        cmocka_unit_test_setup_teardown(test_rotation, begin, end),
        cmocka_unit_test_setup_teardown(test_keys_that_are_left_out, begin, end),
        cmocka_unit_test_setup_teardown(test_files_that_are_none, begin, end),
    };
    return cmocka_run_group_tests(tests, make_world, remove_world);
}
