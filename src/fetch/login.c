/* SPDX-License-Identifier: MIT */
/* From the greeting to TRANSACTION: STLS if the person wants it, whatever the server says, UTF8 where the server
 * has it, then the best way to log in that both have. */
#include <stdio.h>
#include <stdlib.h>

#include "base/container_of.h"
#include "fetch/task_state.h"
#include "sasl/client.h"
#include "sasl/prepare.h"

/* An exchange of SASL. What SCRAM computes from a password may take seconds, so a thread does it; who no longer
 * waits for it leaves the exchange to that thread. */
struct exchange {
    uv_work_t work;
    struct task *task; /* NULL: abandoned */
    struct sasl_client *client;
    enum sasl_mechanism mechanism;
    bool deriving;
    struct sasl_client_event event;
};

static void free_exchange(struct exchange *exchange)
{
    exchange->client = sasl_client_free(exchange->client);
    free(exchange);
}

static bool begin_stls(struct task *task)
{
    if (pop3_client_stls(task->client) != POP3_CLIENT_TAKEN) {
        task_fail(task, ERROR_PROTOCOL, "STLS cannot be asked for");
    }
    task->login.stls_asked = true;
    return true;
}

/* RFC 6856 section 2.1: mail with UTF-8 in its header comes as it is, neither refused nor as a surrogate. A
 * server that refuses UTF8 after all is used without it. */
static bool begin_utf8(struct task *task)
{
    task->login.utf8_asked = true;
    return pop3_client_utf8(task->client) == POP3_CLIENT_TAKEN;
}

/* RFC 6856 section 2.2: beyond ASCII only where the server announces UTF8 USER, and prepared. False: the task has
 * failed. */
static bool prepare(struct task *task, struct bytes text, enum sasl_prepare_use use,
                    uint8_t memory[SASL_PREPARED_OCTETS], struct bytes *prepared_out)
{
    uint32_t set = pop3_client_capabilities(task->client)->set;
    struct error error;
    if (sasl_prepare(text, use, memory, prepared_out, &error) < 0) {
        task_fail(task, ERROR_CONFIGURATION, "the user's name or password cannot be sent: %s",
                  error.text);
        return false;
    }
    if (prepared_out->data != memory || (set & POP3_CAPABILITY_UTF8_USER) != 0) {
        return true;
    }
    task_fail(task, ERROR_PERMANENT,
              "the server does not say that it takes letters beyond ASCII in a name or password by "
              "%s (UTF8 USER); if it has AUTH, write auth = PLAIN",
              task->login.name);
    return false;
}

static bool begin_user(struct task *task)
{
    uint8_t memory[SASL_PREPARED_OCTETS];
    struct bytes name;
    task->login.name = "USER";
    if (!prepare(task, bytes_of(task->account->user), SASL_PREPARE_QUERY, memory, &name)) {
        return true;
    }
    enum pop3_client_refusal refusal = pop3_client_user(task->client, name.data, name.size);
    if (refusal != POP3_CLIENT_TAKEN) {
        task_fail(task, ERROR_CONFIGURATION,
                  "the user's name cannot be sent: it is too long, or "
                  "has control characters");
    }
    return true;
}

static bool begin_apop(struct task *task)
{
    const char *timestamp = pop3_client_timestamp(task->client);
    uint8_t name_memory[SASL_PREPARED_OCTETS], memory[SASL_PREPARED_OCTETS];
    struct bytes user, password;
    char digest[SASL_APOP_DIGEST_SIZE];
    task->login.name = "APOP";
    if (!prepare(task, bytes_of(task->account->user), SASL_PREPARE_QUERY, name_memory, &user) ||
        !prepare(task, secret_octets(task->password), SASL_PREPARE_STORED, memory, &password)) {
        return true;
    }
    if (timestamp == NULL) {
        task_fail(task, ERROR_PERMANENT, "the server has no APOP; write another auth");
    } else if (sasl_apop_digest(bytes_of(timestamp), password, digest) < 0) {
        task_fail(task, ERROR_TEMPORARY, "no memory");
    } else if (pop3_client_apop(task->client, user.data, user.size, digest) != POP3_CLIENT_TAKEN) {
        task_fail(task, ERROR_CONFIGURATION, "the user's name cannot be sent by APOP");
    }
    if (password.data == memory) {
        explicit_bzero(memory, sizeof memory);
    }
    return true;
}

static struct exchange *make_exchange(struct task *task, enum sasl_mechanism mechanism)
{
    uint8_t exporter[TLS_EXPORTER_SIZE], unique[TLS_UNIQUE_SIZE];
    const struct tls *tls = stream_tls(&task->stream);
    struct sasl_client_identity identity = {.name = bytes_of(task->account->user),
                                            .password = secret_octets(task->password)};
    struct sasl_client_facts facts = {.offered =
                                          pop3_client_capabilities(task->client)->sasl_mechanisms,
                                      .host = task->account->host,
                                      .port = task->account->port};
    struct error error = {.text = "no memory", .kind = ERROR_TEMPORARY};
    struct exchange *exchange = calloc(1, sizeof *exchange);
    if (tls != NULL) {
        facts.tls_exporter = (struct bytes){exporter, tls_exporter(tls, exporter)};
        facts.tls_unique = (struct bytes){unique, tls_unique(tls, unique)};
    }
    if (exchange == NULL ||
        sasl_client_create(mechanism, &identity, &facts, &exchange->client, &error) < 0) {
        task_fail(task, error.kind, "%s: %s", task->login.name, error.text);
        free(exchange);
        return NULL;
    }
    exchange->task = task;
    exchange->mechanism = mechanism;
    return exchange;
}

static bool begin_sasl(struct task *task, enum sasl_mechanism mechanism)
{
    task->login.name = sasl_mechanism_name(mechanism);
    struct exchange *exchange = make_exchange(task, mechanism);
    if (exchange == NULL) {
        return true;
    }
    task->login.exchange = exchange;
    sasl_client_begin(exchange->client, &exchange->event);
    if (exchange->event.type == SASL_CLIENT_FAILED) {
        task_fail(task, exchange->event.error->kind, "%s", exchange->event.error->text);
        return true;
    }
    bool sends = exchange->event.type == SASL_CLIENT_SEND;
    struct pop3_client_auth auth = {.mechanism = task->login.name,
                                    .response = sends ? exchange->event.octets.data : NULL,
                                    .response_size = sends ? exchange->event.octets.size : 0};
    task->exchange = true;
    if (pop3_client_auth(task->client, &auth) != POP3_CLIENT_TAKEN) {
        task_fail(task, ERROR_PROTOCOL, "AUTH %s cannot be asked for", task->login.name);
    }
    return true;
}

static bool has_word(const char *list, const char *word)
{
    size_t size = strlen(word);
    for (const char *at = strstr(list, word); at != NULL; at = strstr(at + 1, word)) {
        if ((at == list || at[-1] == ' ') && (at[size] == '\0' || at[size] == ' ')) {
            return true;
        }
    }
    return false;
}

/* The best that both have. SASL_MECHANISM_COUNT: USER. */
static enum sasl_mechanism choose(const struct task *task)
{
    uint8_t octets[TLS_UNIQUE_SIZE > TLS_EXPORTER_SIZE ? TLS_UNIQUE_SIZE : TLS_EXPORTER_SIZE];
    const struct tls *tls = stream_tls(&task->stream);
    const char *offered = pop3_client_capabilities(task->client)->sasl_mechanisms;
    if (task->account->oauth != NULL) {
        return has_word(offered, "OAUTHBEARER") ? SASL_OAUTHBEARER : SASL_XOAUTH2;
    }
    if (task->login.fallback) {
        return has_word(offered, "PLAIN") ? SASL_PLAIN : SASL_MECHANISM_COUNT;
    }
    struct sasl_client_choice choice = {
        .password_allowed = true, /* under TLS, or the person has said tls = never */
        .has_binding =
            tls != NULL && (tls_exporter(tls, octets) != 0 || tls_unique(tls, octets) != 0)};
    return sasl_client_choose(offered, &choice);
}

bool login_step(struct task *task)
{
    const char *auth = task->account->auth;
    if (task->account->tls == FETCH_TLS_STLS && !task->login.encrypted) {
        return task->login.stls_asked ? false : begin_stls(task);
    }
    if (task->login.name != NULL) {
        return false;
    }
    if (!task->login.utf8_asked && begin_utf8(task)) {
        return true;
    }
    if (strcmp(auth, "APOP") == 0) {
        return begin_apop(task);
    }
    enum sasl_mechanism mechanism = SASL_MECHANISM_COUNT;
    if (strcmp(auth, "auto") == 0) {
        mechanism = choose(task);
    } else if (strcmp(auth, "USER") != 0) {
        mechanism = sasl_mechanism_find(bytes_of(auth));
    }
    return mechanism == SASL_MECHANISM_COUNT ? begin_user(task) : begin_sasl(task, mechanism);
}

static void begin_pass(struct task *task)
{
    uint8_t memory[SASL_PREPARED_OCTETS];
    struct bytes password;
    if (!prepare(task, secret_octets(task->password), SASL_PREPARE_QUERY, memory, &password)) {
        return;
    }
    if (pop3_client_pass(task->client, password.data, password.size) != POP3_CLIENT_TAKEN) {
        task_fail(task, ERROR_CONFIGURATION,
                  "the password cannot be sent by PASS: it is too long, "
                  "or has control characters");
    }
    if (password.data == memory) {
        explicit_bzero(memory, sizeof memory);
    }
}

/* What the server said of our token before it refused it; NULL: nothing. */
static const char *token_status(const struct task *task)
{
    const struct exchange *exchange = task->login.exchange;
    return exchange == NULL ? NULL : sasl_client_status(exchange->client);
}

/* The login was refused: why, in words. */
static void explain(struct task *task, const struct pop3_client_event *event)
{
    char text[200];
    struct bytes reply = {(const uint8_t *)event->u.reply.text, event->u.reply.text_size};
    (void)task_escape(reply, text, sizeof text);
    switch (event->u.reply.code) {
    case POP3_CLIENT_CODE_IN_USE:
        task_fail(task, ERROR_IN_USE, "another session has the mailbox open: %s", text);
        break;
    case POP3_CLIENT_CODE_LOGIN_DELAY:
        task_fail(task, ERROR_LOGIN_DELAY,
                  "the server wants more time between logins; try again later: %s", text);
        break;
    case POP3_CLIENT_CODE_SYS_TEMP:
        task_fail(task, ERROR_TEMPORARY, "the server has a problem: %s", text);
        break;
    case POP3_CLIENT_CODE_SYS_PERM:
        task_fail(task, ERROR_PERMANENT,
                  "the server has a problem that somebody there has to solve: %s", text);
        break;
    case POP3_CLIENT_CODE_NONE:
    case POP3_CLIENT_CODE_OTHER:
    case POP3_CLIENT_CODE_AUTH:
    case POP3_CLIENT_CODE_UTF8:
        if (task->token_renewed) {
            task_fail(task, ERROR_BAD_CREDENTIALS,
                      "the login as %s by %s was refused, with a fresh token too: %s; is POP3 "
                      "allowed for this account, and did %s authorize it? `restante fetch "
                      "--authorize %s' does it again",
                      task->account->user, task->login.name, text, task->account->user,
                      task->account->name);
            break;
        }
        if (token_status(task) != NULL) {
            task_fail(task, ERROR_BAD_CREDENTIALS,
                      "the login as %s by %s was refused: the token is \"%s\" to the server: %s",
                      task->account->user, task->login.name, token_status(task), text);
            break;
        }
        task_fail(task, ERROR_BAD_CREDENTIALS, "the login as %s by %s was refused: %s",
                  task->account->user, task->login.name, text);
        break;
    }
}

/* Our own session before this one may not have ended there yet. */
static bool waits_for_own_session(struct task *task, const struct pop3_client_event *event)
{
    if (event->u.reply.code != POP3_CLIENT_CODE_IN_USE || task->round == 1 ||
        task->in_use_retries == 5) {
        return false;
    }
    task->in_use_retries++;
    task->retry = true;
    task_disconnect(task);
    return true;
}

/* Some servers offer SCRAM and have no keys for this user. Under TLS, and if nothing says that the password was
 * wrong, it is sent as it is, as clients without SCRAM do. */
static bool falls_back(struct task *task, const struct pop3_client_event *event)
{
    const struct exchange *exchange = task->login.exchange;
    if (exchange == NULL || task->login.fallback || !task->login.encrypted ||
        strcmp(task->account->auth, "auto") != 0 || event->u.reply.cancelled ||
        event->u.reply.code != POP3_CLIENT_CODE_NONE ||
        sasl_mechanism_family(exchange->mechanism) != SASL_FAMILY_SCRAM) {
        return false;
    }
    login_finish(task);
    task->login.fallback = true;
    task->login.name = NULL;
    return true;
}

/* A token may end before it expires: it is taken back, or a clock is wrong. Another one is asked for, once. */
static bool renews_token(struct task *task, const struct pop3_client_event *event)
{
    const struct exchange *exchange = task->login.exchange;
    enum pop3_client_code code = event->u.reply.code;
    if (exchange == NULL || task->account->oauth == NULL || task->token_renewed ||
        (code != POP3_CLIENT_CODE_NONE && code != POP3_CLIENT_CODE_AUTH &&
         code != POP3_CLIENT_CODE_OTHER)) {
        return false;
    }
    task_note(task, "the server does not take the access token; another one is asked for");
    task->token_renewed = task->retry = true;
    task->refused = task->password;
    task->password = NULL;
    task_disconnect(task);
    return true;
}

static void on_accepted(struct task *task)
{
    char text[200];
    struct error error;
    if (task->login.exchange != NULL &&
        sasl_client_finish(task->login.exchange->client, &error) < 0) {
        task_fail(task, error.kind, "%s", error.text);
        return;
    }
    const struct tls *tls = stream_tls(&task->stream);
    task->login.accepted = true;
    task->token_renewed = false;
    task->in_use_retries = 0;
    (void)snprintf(text, sizeof text, "logged in by %s over %s", task->login.name,
                   tls == NULL ? "an unencrypted connection" : tls_version(tls));
    struct fetch_report report = {.type = REPORT_LOGIN, .text = text};
    task_report(task, &report);
    login_finish(task);
    survey_begin(task);
}

void login_reply(struct task *task, const struct pop3_client_event *event)
{
    char text[200];
    struct bytes reply = {(const uint8_t *)event->u.reply.text, event->u.reply.text_size};
    switch ((unsigned)event->u.reply.command) {
    case POP3_CLIENT_CONNECT:
        return; /* -ERR comes again with CLOSE */
    case POP3_CLIENT_STLS:
        if (!event->u.reply.ok) {
            task_fail(task, ERROR_PERMANENT,
                      "the server does not start TLS, so the password is not sent: %s",
                      task_escape(reply, text, sizeof text));
        }
        return;
    case POP3_CLIENT_UTF8:
        if (!event->u.reply.ok) {
            task_note(task, "the server announces UTF8 and refuses it: %s",
                      task_escape(reply, text, sizeof text));
        }
        return;
    case POP3_CLIENT_USER:
        if (event->u.reply.ok) {
            begin_pass(task);
            return;
        }
        break;
    default:
        if (event->u.reply.ok) {
            on_accepted(task);
            return;
        }
    }
    if (!waits_for_own_session(task, event) && !falls_back(task, event) &&
        !renews_token(task, event)) {
        explain(task, event);
    }
}

/* Does what the exchange says. False: it takes a while. */
static bool answer(struct task *task, struct exchange *exchange)
{
    switch (exchange->event.type) {
    case SASL_CLIENT_SEND:
        pop3_client_respond(task->client, exchange->event.octets.data, exchange->event.octets.size);
        return true;
    case SASL_CLIENT_DERIVE:
        return false;
    case SASL_CLIENT_WAIT:
        task_fail(task, ERROR_PROTOCOL, "%s: the server's challenge makes no sense",
                  task->login.name);
        return true;
    case SASL_CLIENT_FAILED:
        task_fail(task, exchange->event.error->kind, "%s", exchange->event.error->text);
        return true;
    }
    return true;
}

static void derive(uv_work_t *work)
{
    struct exchange *exchange = CONTAINER_OF(work, struct exchange, work);
    sasl_client_derive(exchange->client, &exchange->event);
}

static void on_derived(uv_work_t *work, int status)
{
    struct exchange *exchange = CONTAINER_OF(work, struct exchange, work);
    struct task *task = exchange->task;
    (void)status; /* nobody cancels it */
    exchange->deriving = false;
    if (task == NULL) {
        free_exchange(exchange);
        return;
    }
    task->last_ms = uv_now(task->options.shared->loop);
    (void)answer(task, exchange);
    conversation_drive(task);
}

bool login_challenge(struct task *task, const struct pop3_client_event *event)
{
    struct exchange *exchange = task->login.exchange;
    struct bytes challenge = {event->u.challenge.data, event->u.challenge.size};
    if (exchange->deriving) {
        return false;
    }
    struct fetch_report report = {.type = REPORT_RECEIVED, .data = bytes_of("+ ***")};
    if (task->options.dialogue) {
        task_report(task, &report);
    }
    sasl_client_continue(exchange->client, challenge, &exchange->event);
    if (answer(task, exchange)) {
        return true;
    }
    exchange->deriving = true;
    if (uv_queue_work(task->options.shared->loop, &exchange->work, derive, on_derived) < 0) {
        exchange->deriving = false;
        task_fail(task, ERROR_TEMPORARY, "no memory");
    }
    return false;
}

void login_finish(struct task *task)
{
    struct exchange *exchange = task->login.exchange;
    task->exchange = false;
    task->login.exchange = NULL;
    if (exchange != NULL && exchange->deriving) {
        exchange->task = NULL;
    } else if (exchange != NULL) {
        free_exchange(exchange);
    }
}
