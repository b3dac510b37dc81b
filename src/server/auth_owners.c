/* SPDX-License-Identifier: MIT */
/* Whose mail an account's is, where `as-user` is set. That of a system user no worker can open: for each login
 * that was found right a channel is made, one end for the worker, the other, by way of the master, for the
 * delegate that reads the maildrop as that user. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "maildrop/path.h"
#include "server/auth_state.h"
#include "server/channel.h"
#include "server/child.h"

static int expand(const struct auth *auth, const struct account *account, struct auth_owner *owner,
                  struct error *error)
{
    struct maildrop_owner of = {
        .user = account->name, .path = account->maildrop, .home = account->home};
    struct maildrop_path place;
    if (maildrop_path_expand(auth->configuration.path, &of, &place, error) < 0) {
        return -1;
    }
    int size = snprintf(owner->path, sizeof owner->path, "%s", place.path);
    free(place.path);
    return size < 0 || (size_t)size >= sizeof owner->path
               ? error_set(error, ERROR_PERMANENT, 0, "the maildrop's path is too long")
               : 0;
}

int auth_owner_of(const struct auth *auth, const struct account *account,
                  struct auth_owner *owner_out, struct error *error)
{
    const struct configuration *configuration = &auth->configuration;
    *owner_out = (struct auth_owner){.uid = ACCOUNT_NO_ID, .gid = ACCOUNT_NO_ID};
    if (!configuration->as_user || account->uid == ACCOUNT_NO_ID) {
        if (account->maildrop != NULL) {
            (void)snprintf(owner_out->path, sizeof owner_out->path, "%s", account->maildrop);
        }
        return 0;
    }
    if (account->uid < configuration->as_user_minimum || account->gid == 0) {
        return error_set(
            error, ERROR_PERMANENT, 0,
            "uid %u, gid %d: as-user-minimum in [maildrop] is %u, and nobody is served "
            "as group 0",
            account->uid, (int)account->gid, configuration->as_user_minimum);
    }
    owner_out->uid = account->uid;
    owner_out->gid = account->gid;
    return expand(auth, account, owner_out, error);
}

void auth_describe(const struct auth *auth, struct auth_result *result,
                   const struct account *account)
{
    struct auth_owner owner;
    struct error error;
    char name[160];
    (void)snprintf(result->user, sizeof result->user, "%s", account->name);
    if (auth_owner_of(auth, account, &owner, &error) < 0) {
        log_write(LOG_LEVEL_ERROR, "login of user=%s refused: %s",
                  bytes_escape(bytes_of(account->name), name, sizeof name), error.text);
        result->kind = ERROR_PERMANENT;
        result->may_cache = 0;
        return;
    }
    memcpy(result->path, owner.path, sizeof result->path);
    result->uid = owner.uid;
    result->gid = owner.gid;
    result->is_granted = owner.uid != ACCOUNT_NO_ID;
    if (result->is_granted != 0) {
        result->may_cache = 0; /* a worker must not be able to let in by itself */
    }
}

int auth_grant(const struct auth_result *result, struct error *error)
{
    struct message grant = {.type = MESSAGE_GRANT, .uid = result->uid, .gid = result->gid};
    int ends[2];
    _Static_assert(sizeof grant.name == sizeof result->user, "they are copied");
    _Static_assert(sizeof grant.path == sizeof result->path, "they are copied");
    if (channel_pair(ends) < 0) {
        return error_set(error, ERROR_TEMPORARY, errno, "a channel to a maildrop");
    }
    memcpy(grant.name, result->user, sizeof grant.name);
    memcpy(grant.path, result->path, sizeof grant.path);
    child_send_with(&grant, ends[1]);
    (void)close(ends[1]);
    return ends[0];
}
