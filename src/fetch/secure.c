/* SPDX-License-Identifier: MIT */
/* TLS of a task: whom to trust. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "fetch/task_state.h"

enum { CA_OCTETS_MOST = 4 * 1024 * 1024 };

/* malloc'ed. */
static int read_file(const char *path, struct bytes *out, struct error *error)
{
    AUTO_CLOSE int file = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    uint8_t *data = malloc(CA_OCTETS_MOST);
    size_t size = 0;
    ssize_t got = file < 0 || data == NULL ? -1 : 1;
    while (got > 0 && size < CA_OCTETS_MOST) {
        got = read(file, data + size, CA_OCTETS_MOST - size);
        size += got > 0 ? (size_t)got : 0;
    }
    if (got < 0) {
        int number = errno;
        free(data);
        return error_set(error, ERROR_CONFIGURATION, number, "ca-file %s", path);
    }
    *out = (struct bytes){data, size};
    return 0;
}

int secure_prepare(struct task *task)
{
    const struct fetch_account *account = task->account;
    struct tls_client_settings settings = {.fingerprint = account->fingerprint, .protocol = "pop3"};
    struct error error;
    if (account->tls == FETCH_TLS_NEVER) {
        return 0;
    }
    if (account->ca_file != NULL && read_file(account->ca_file, &settings.ca, &error) < 0) {
        task_fail(task, error.kind, "%s", error.text);
        return -1;
    }
    int result = tls_client_context_create(&settings, &task->tls, &error);
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
