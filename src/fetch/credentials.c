/* SPDX-License-Identifier: MIT */
/* What a task logs in with, before it connects: what the person was asked for, or from the account's source. */
#include <stdio.h>

#include "fetch/grant.h"
#include "fetch/password.h"
#include "fetch/task_state.h"

static void on_password(void *owner, struct bytes output, const struct error *error)
{
    struct task *task = owner;
    struct error reason;
    task->helper = NULL;
    if (error != NULL) {
        task_fail(task, ERROR_CONFIGURATION, "there is no password: %s", error->text);
    } else if (password_of_output(task->account, output, &task->password, &reason) < 0) {
        task_fail(task, reason.kind, "there is no password: %s", reason.text);
    }
    if (task->error.kind != ERROR_NONE) {
        task_finish_storer(task);
    } else {
        task_connect(task);
    }
}

static void on_token(void *owner, struct secret *token, const struct error *error)
{
    struct task *task = owner;
    task->token_request = NULL;
    task->password = token;
    if (error != NULL) {
        task_fail(task, error->kind, "there is no access token: %s", error->text);
        task_finish_storer(task);
    } else {
        task_connect(task);
    }
}

static void begin_token(struct task *task)
{
    struct oauth_grant grant;
    struct error error;
    fetch_grant_make(task->account, OAUTH_FOR_POP3, task->account->user, &grant);
    task->token_request = token_request_start(task->options.shared->loop, &grant, task->refused,
                                              on_token, task, &error);
    task->refused = NULL;
    if (task->token_request == NULL) {
        task_fail(task, error.kind, "there is no access token: %s", error.text);
        task_finish_storer(task);
    }
}

void credentials_ask(struct task *task)
{
    struct error error;
    int result = 0;
    task->phase = TASK_ASKING_PASSWORD;
    if (task->password == NULL && password_source(task->account) == PASSWORD_OF_OAUTH) {
        begin_token(task);
        return;
    }
    if (task->password == NULL && password_source(task->account) == PASSWORD_OF_COMMAND) {
        task->helper = password_run_command(task->options.shared->loop, task->account, on_password,
                                            task, &error);
        if (task->helper != NULL) {
            return;
        }
        result = -1;
    } else if (task->password == NULL && password_source(task->account) == PASSWORD_OF_FILE) {
        result = password_read_file(task->account->password_file, &task->password, &error);
    }
    if (result < 0) {
        task_fail(task, ERROR_CONFIGURATION, "there is no password: %s", error.text);
        task_finish_storer(task);
    } else {
        task_connect(task);
    }
}

void credentials_cancel(struct task *task)
{
    if (task->helper != NULL) {
        helper_cancel(task->helper);
    }
    if (task->token_request != NULL) {
        token_request_cancel(task->token_request);
    }
    task->helper = NULL;
    task->token_request = NULL;
}
