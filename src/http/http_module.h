/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_HTTP_HTTP_MODULE_H
#define RESTANTE_HTTP_HTTP_MODULE_H

/* What the module gives to http.c: the functions of http.h of these names. */

#include "base/module.h"
#include "http/http.h"

struct http_interface {
    int (*create)(const struct http_client_options *options, struct http_client **client_out,
                  struct error *error);
    struct http_client *(*free)(struct http_client *client);
    int (*perform)(struct http_client *client, const struct http_request *request,
                   struct http_answer *answer_out, struct error *error);
};

#endif
