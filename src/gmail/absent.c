/* SPDX-License-Identifier: MIT */
/* Of a restante that is built without libcurl or jansson. */
#include "gmail/gmail.h"

static enum gmail_outcome refuse(struct error *error)
{
    (void)error_set(error, ERROR_CONFIGURATION, 0,
                    "this restante is built without Gmail; build it with libcurl and jansson");
    return GMAIL_FAILED;
}

int gmail_create(const struct gmail_options *options, struct gmail **gmail_out, struct error *error)
{
    (void)options;
    *gmail_out = NULL;
    (void)refuse(error);
    return -1;
}

struct gmail *gmail_free(struct gmail *gmail)
{
    (void)gmail;
    return NULL;
}

enum gmail_outcome gmail_import(struct gmail *gmail, struct bytes token,
                                const struct gmail_message *message, struct error *error)
{
    (void)gmail;
    (void)token;
    (void)message;
    return refuse(error);
}

enum gmail_outcome gmail_find(struct gmail *gmail, struct bytes token, const char *message_id,
                              bool *there_out, struct error *error)
{
    (void)gmail;
    (void)token;
    (void)message_id;
    *there_out = false;
    return refuse(error);
}

enum gmail_outcome gmail_label(struct gmail *gmail, struct bytes token, const char *name,
                               char id_out[GMAIL_LABEL_OCTETS], struct error *error)
{
    (void)gmail;
    (void)token;
    (void)name;
    id_out[0] = '\0';
    return refuse(error);
}

unsigned gmail_retry_after_s(const struct gmail *gmail)
{
    (void)gmail;
    return 0;
}
