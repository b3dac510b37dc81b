/* SPDX-License-Identifier: MIT */
#include "http/http.h"

#include <pthread.h>

#include "http/http_module.h"

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static const void *module; /* a struct http_interface; NULL: not loaded */

static const struct http_interface *interface(void)
{
    return module;
}

static int load(struct error *error)
{
    (void)pthread_mutex_lock(&mutex);
    int result = module != NULL ? 0 : module_load("http", "http", &module, error);
    (void)pthread_mutex_unlock(&mutex);
    return result;
}

int http_client_create(const struct http_client_options *options, struct http_client **client_out,
                       struct error *error)
{
    return load(error) < 0 ? -1 : interface()->create(options, client_out, error);
}

struct http_client *http_client_free(struct http_client *client)
{
    return client == NULL ? NULL : interface()->free(client);
}

int http_perform(struct http_client *client, const struct http_request *request,
                 struct http_answer *answer_out, struct error *error)
{
    return interface()->perform(client, request, answer_out, error);
}
