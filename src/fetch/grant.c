/* SPDX-License-Identifier: MIT */
#include "fetch/grant.h"

void fetch_grant_make(const struct fetch_account *account, enum oauth_use use, const char *user,
                      struct oauth_grant *grant_out)
{
    *grant_out = (struct oauth_grant){.account = account->name,
                                      .user = user,
                                      .use = use,
                                      .provider = account->oauth,
                                      .flow = account->oauth_flow,
                                      .client_id = account->oauth_client_id,
                                      .client_secret_file = account->oauth_client_secret_file,
                                      .tenant = account->oauth_tenant,
                                      .scope = account->oauth_scope,
                                      .service_account_file = account->oauth_service_account,
                                      .authorize_url = account->oauth_authorize_url,
                                      .token_url = account->oauth_token_url,
                                      .device_url = account->oauth_device_url,
                                      .issuer = account->oauth_issuer,
                                      .keyring = account->oauth_keyring,
                                      .cancel = -1};
}

size_t fetch_grants_list(const struct fetch_account *account,
                         struct oauth_grant grants_out[FETCH_GRANTS_MAX])
{
    size_t count = 0;
    if (account->oauth != NULL) {
        fetch_grant_make(account, OAUTH_FOR_POP3, account->user, &grants_out[count++]);
    }
    return count;
}
