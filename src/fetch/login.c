/* SPDX-License-Identifier: MIT */
/* From the greeting to TRANSACTION: STLS if the person wants it, whatever the server says, then the best way to
 * log in that both have. */
#include <stdio.h>

#include "fetch/task_state.h"

/* What auto tries, the best first. CRAM-MD5 and APOP protect little and make the server keep passwords as they
 * are: only who asks for them gets them. */
static const char *const methods[] = {"SCRAM-SHA-256-PLUS",
                                      "SCRAM-SHA-1-PLUS",
                                      "SCRAM-SHA-256",
                                      "SCRAM-SHA-1",
                                      "PLAIN",
                                      "LOGIN",
                                      "USER"};
enum { METHODS = sizeof methods / sizeof methods[0] };

static bool begin_stls(struct task *task)
{
    if (pop3_client_stls(task->client) != POP3_CLIENT_TAKEN) {
        task_fail(task, ERROR_PROTOCOL, "STLS cannot be asked for");
    }
    task->login.stls_asked = true;
    return true;
}

static bool begin_user(struct task *task)
{
    enum pop3_client_refusal refusal =
        pop3_client_user(task->client, task->account->user, strlen(task->account->user));
    task->login.name = "USER";
    if (refusal != POP3_CLIENT_TAKEN) {
        task_fail(task, ERROR_CONFIGURATION,
                  "the user's name cannot be sent: it is too long, or "
                  "has control characters");
    }
    return true;
}

bool login_step(struct task *task)
{
    if (task->account->tls == FETCH_TLS_STLS && !task->login.encrypted) {
        return task->login.stls_asked ? false : begin_stls(task);
    }
    if (task->login.name != NULL) {
        return false;
    }
    (void)methods[METHODS - 1];
    return begin_user(task);
}

static void begin_pass(struct task *task)
{
    struct bytes password = secret_octets(task->password);
    if (pop3_client_pass(task->client, password.data, password.size) != POP3_CLIENT_TAKEN) {
        task_fail(task, ERROR_CONFIGURATION,
                  "the password cannot be sent by PASS: it is too long, "
                  "or has control characters");
    }
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

static void on_accepted(struct task *task)
{
    char text[200];
    const struct tls *tls = stream_tls(&task->stream);
    task->login.accepted = true;
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
    if (!waits_for_own_session(task, event)) {
        explain(task, event);
    }
}

void login_challenge(struct task *task, const struct pop3_client_event *event)
{
    (void)event;
    pop3_client_cancel(task->client);
}

void login_finish(struct task *task)
{
    task->exchange = false;
}
