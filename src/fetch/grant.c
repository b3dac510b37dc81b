/* SPDX-License-Identifier: MIT */
#include "fetch/grant.h"

#include <string.h>

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
                                      .ca_file = account->oauth_ca_file,
                                      .keyring = account->oauth_keyring,
                                      .cancel = -1};
}

void fetch_grant_make_gmail(const struct fetch_account *account, struct oauth_grant *grant_out)
{
    bool is_custom = account->oauth != NULL && strcmp(account->oauth, "custom") == 0;
    fetch_grant_make(account, OAUTH_FOR_GMAIL, account->gmail, grant_out);
    if (!is_custom) {
        grant_out->provider = "google";
        grant_out->scope = NULL; /* what is given is POP3's */
    }
}

void fetch_grant_make_imap(const struct fetch_account *account, struct oauth_grant *grant_out)
{
    bool is_shared = account->oauth == NULL || strcmp(account->oauth, account->imap_oauth) == 0;
    bool is_custom = strcmp(account->imap_oauth, "custom") == 0;
    fetch_grant_make(account, OAUTH_FOR_IMAP, account->imap_user, grant_out);
    grant_out->provider = account->imap_oauth;
    if (!is_shared) {
        grant_out->client_id = grant_out->client_secret_file = NULL;
        grant_out->service_account_file = grant_out->tenant = grant_out->issuer = NULL;
        grant_out->authorize_url = grant_out->token_url = grant_out->device_url = NULL;
        grant_out->ca_file = NULL;
    }
    if (!is_custom) {
        grant_out->scope = NULL; /* what is given is POP3's */
    }
    if (account->imap_oauth_client_id != NULL) {
        grant_out->client_id = account->imap_oauth_client_id;
        grant_out->client_secret_file = NULL; /* the other client's */
    }
    if (account->imap_oauth_client_secret_file != NULL) {
        grant_out->client_secret_file = account->imap_oauth_client_secret_file;
    }
    if (account->imap_oauth_scope != NULL) {
        grant_out->scope = account->imap_oauth_scope;
    }
}

size_t fetch_grants_list(const struct fetch_account *account,
                         struct oauth_grant grants_out[FETCH_GRANTS_MAX])
{
    size_t count = 0;
    if (account->oauth != NULL) {
        fetch_grant_make(account, OAUTH_FOR_POP3, account->user, &grants_out[count++]);
    }
    if (account->gmail != NULL && account->gmail_token_command == NULL) {
        fetch_grant_make_gmail(account, &grants_out[count++]);
    }
    if (account->imap != NULL && account->imap_oauth != NULL) {
        fetch_grant_make_imap(account, &grants_out[count++]);
    }
    return count;
}
