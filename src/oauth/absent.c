/* SPDX-License-Identifier: MIT */
/* Of a restante that is built without libcurl or jansson: it knows what a grant is, and says that it cannot use it. */
#include "oauth/oauth.h"

static int refuse(const struct oauth_grant *grant, struct error *error)
{
    return error_set(
        error, ERROR_CONFIGURATION, 0,
        "%.100s: this restante is built without OAuth; write token-command = COMMAND, or "
        "build it with libcurl and jansson",
        grant->account);
}

int oauth_access_token(const struct oauth_grant *grant, const struct secret *refused,
                       struct secret **token_out, struct error *error)
{
    (void)refused;
    (void)token_out;
    return refuse(grant, error);
}

int oauth_authorize(const struct oauth_grant *grant, const struct oauth_person *person,
                    struct error *error)
{
    (void)person;
    return refuse(grant, error);
}

int oauth_is_authorized(const struct oauth_grant *grant, bool *is_out, struct error *error)
{
    *is_out = false;
    return refuse(grant, error);
}
