/* SPDX-License-Identifier: MIT */
/* TLS of a task: whom to trust. */
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "fetch/task_state.h"

enum { CA_OCTETS_MOST = 4 * 1024 * 1024 };

int secure_prepare(struct task *task)
{
    const struct fetch_account *account = task->account;
    struct tls_client_settings settings = {.fingerprint = account->fingerprint, .protocol = "pop3"};
    struct error error;
    if (account->tls == FETCH_TLS_NEVER) {
        return 0;
    }
    int result =
        account->ca_file == NULL ? 0 : file_read(account->ca_file, CA_OCTETS_MOST, &settings.ca);
    if (result < 0) {
        task_fail(task, ERROR_CONFIGURATION, "ca-file %s: %s", account->ca_file, strerror(-result));
        return -1;
    }
    result = tls_client_context_create(&settings, &task->tls, &error);
    free((void *)(uintptr_t)settings.ca.data);
    if (result < 0) {
        task_fail(task, error.kind, "TLS: %s", error.text);
    }
    return result;
}

int secure_begin(struct task *task)
{
    if (stream_secure_client(&task->stream, task->tls, task->account->host) < 0) {
        task_fail(task, stream_error(&task->stream)->kind, "%s", stream_error(&task->stream)->text);
        return -1;
    }
    return 0;
}

void secure_finish(struct task *task)
{
    task->tls = tls_client_context_free(task->tls);
}
