/* SPDX-License-Identifier: MIT */
/* PAM's phases of authentication and of the account: is the password right, and may this account be used now? No
 * session is opened: no home is made, no limit set. Without a password only the system's users are found. */
#include <errno.h>
#include <pwd.h>
#include <security/pam_appl.h>
#include <stdio.h>
#include <stdlib.h>

#include "account/source.h"

struct source {
    const char *service;
    char *folder; /* of the service's file, where it is not the system's */
};

static struct source *close_source(struct source *source)
{
    if (source != NULL) {
        free(source->folder);
        free(source);
    }
    return NULL;
}

static int open_source(const struct source_options *options, struct source **source_out,
                       struct error *error)
{
    const char *name = strrchr(options->pam_service, '/');
    struct source *source = calloc(1, sizeof *source);
    if (source == NULL) {
        return error_set(error, ERROR_TEMPORARY, ENOMEM, "starting source pam");
    }
    source->service = name == NULL ? options->pam_service : name + 1;
    if (name != NULL) {
        source->folder = strndup(options->pam_service, (size_t)(name - options->pam_service));
        if (source->folder == NULL) {
            (void)close_source(source);
            return error_set(error, ERROR_TEMPORARY, ENOMEM, "starting source pam");
        }
    }
    *source_out = source;
    return 0;
}

static void wipe(struct pam_response *responses, int count)
{
    for (int i = 0; i < count; i++) {
        if (responses[i].resp != NULL) {
            explicit_bzero(responses[i].resp, strlen(responses[i].resp));
            free(responses[i].resp);
        }
    }
    free(responses);
}

/* The password answers what is not echoed; nobody is there to read or to answer anything else. */
static int converse(int count, const struct pam_message **messages,
                    struct pam_response **responses_out, void *owner)
{
    const struct source_question *question = owner;
    if (count <= 0 || count > PAM_MAX_NUM_MSG) {
        return PAM_CONV_ERR;
    }
    struct pam_response *responses = calloc((size_t)count, sizeof *responses);
    if (responses == NULL) {
        return PAM_BUF_ERR;
    }
    for (int i = 0; i < count; i++) {
        int style = messages[i]->msg_style;
        if (style == PAM_PROMPT_ECHO_OFF) {
            responses[i].resp = strdup((const char *)secret_octets(question->password).data);
        }
        if (style == PAM_PROMPT_ECHO_ON ||
            (style == PAM_PROMPT_ECHO_OFF && responses[i].resp == NULL)) {
            wipe(responses, count);
            return PAM_CONV_ERR;
        }
    }
    *responses_out = responses;
    return PAM_SUCCESS;
}

/* The server itself slows down who guesses; a process that sleeps answers nobody else. */
static void do_not_wait(int status, unsigned microseconds, void *owner)
{
    (void)status;
    (void)microseconds;
    (void)owner;
}

static int judge(pam_handle_t *handle, int status, struct error *error)
{
    switch (status) {
    case PAM_SUCCESS:
        return 0;
    case PAM_USER_UNKNOWN:
        return error_set(error, ERROR_NO_SUCH_USER, 0, "PAM knows no such user");
    case PAM_AUTH_ERR:
    case PAM_PERM_DENIED:
    case PAM_MAXTRIES:
    case PAM_ACCT_EXPIRED:
    case PAM_CRED_EXPIRED:
    case PAM_NEW_AUTHTOK_REQD: /* expired, and there is no way to give a new one */
        return error_set(error, ERROR_BAD_CREDENTIALS, 0, "PAM: %s", pam_strerror(handle, status));
    default:
        return error_set(error, ERROR_TEMPORARY, 0, "PAM: %s", pam_strerror(handle, status));
    }
}

static int check(pam_handle_t *handle, const struct source_question *question,
                 char name_out[SOURCE_NAME_SIZE], struct error *error)
{
    const int flags = PAM_SILENT | PAM_DISALLOW_NULL_AUTHTOK;
    const void *user = NULL;
    int status = pam_set_item(handle, PAM_FAIL_DELAY, (const void *)(uintptr_t)do_not_wait);
    if (status == PAM_SUCCESS && question->address[0] != '\0') {
        status = pam_set_item(handle, PAM_RHOST, question->address);
    }
    if (status == PAM_SUCCESS) {
        status = pam_set_item(handle, PAM_TTY, question->service); /* some modules need one */
    }
    if (status == PAM_SUCCESS) {
        status = pam_authenticate(handle, flags);
    }
    if (status == PAM_SUCCESS) {
        status = pam_acct_mgmt(handle, flags);
    }
    if (status == PAM_SUCCESS) { /* modules may have changed it */
        status = pam_get_item(handle, PAM_USER, &user);
    }
    int result = judge(handle, status, error);
    if (result == 0 &&
        snprintf(name_out, SOURCE_NAME_SIZE, "%s", (const char *)user) >= SOURCE_NAME_SIZE) {
        result = error_set(error, ERROR_PERMANENT, 0, "PAM gives a name that is too long");
    }
    (void)pam_end(handle, status);
    return result;
}

static int authenticate(const struct source *source, const struct source_question *question,
                        char name_out[SOURCE_NAME_SIZE], struct error *error)
{
    struct bytes password = secret_octets(question->password);
    struct pam_conv conversation = {.conv = converse, .appdata_ptr = (void *)(uintptr_t)question};
    pam_handle_t *handle = NULL;
    if (password.size > PAM_MAX_RESP_SIZE - 1 || bytes_find(password, '\0') < password.size) {
        return error_set(error, ERROR_BAD_CREDENTIALS, 0, "too long, or with a NUL");
    }
    int status =
        source->folder == NULL
            ? pam_start(source->service, name_out, &conversation, &handle)
            : pam_start_confdir(source->service, name_out, &conversation, source->folder, &handle);
    if (status != PAM_SUCCESS) {
        return error_set(error, ERROR_TEMPORARY, 0, "PAM cannot start service %.200s",
                         source->service);
    }
    return check(handle, question, name_out, error);
}

/* 0, also where there is no such system user: then nothing is filled; or ERROR_TEMPORARY. */
static int take_system_user(struct source_answer *answer, bool *is_there_out, struct error *error)
{
    errno = 0;
    const struct passwd *user = getpwnam(answer->name);
    *is_there_out = user != NULL;
    if (user == NULL) {
        bool is_nobody = errno == 0 || errno == ENOENT || errno == ESRCH;
        return is_nobody ? 0 : error_set(error, ERROR_TEMPORARY, errno, "looking for system users");
    }
    if (strlen(user->pw_name) >= sizeof answer->name ||
        strlen(user->pw_dir) >= sizeof answer->home) {
        return error_set(error, ERROR_PERMANENT, 0, "the name or the home of the user is too long");
    }
    (void)snprintf(answer->name, sizeof answer->name, "%s", user->pw_name);
    (void)snprintf(answer->home, sizeof answer->home, "%s", user->pw_dir);
    answer->uid = user->pw_uid;
    answer->gid = user->pw_gid;
    return 0;
}

static int ask(struct source *source, const struct source_question *question,
               struct source_answer *answer_out, struct error *error)
{
    bool is_there;
    memcpy(answer_out->name, question->name.data, question->name.size);
    if (question->password != NULL && authenticate(source, question, answer_out->name, error) < 0) {
        return -1;
    }
    if (take_system_user(answer_out, &is_there, error) < 0) {
        return -1;
    }
    if (question->password == NULL && !is_there) {
        return error_set(error, ERROR_NO_SUCH_USER, 0, "there is no such system user");
    }
    return 0;
}

const struct source_functions source_pam = {
    .open = open_source,
    .ask = ask,
    .close = close_source,
};
