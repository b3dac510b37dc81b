/* SPDX-License-Identifier: MIT */
/* When app passwords were used last. A login only notes it; what is new is written a second later, for all at
 * once, through a descriptor that is older than the sandbox. As only the date is kept, that is once a day
 * for each. */
#include <stdio.h>
#include <time.h>

#include "account/account_secrets.h"
#include "account/last_uses.h"
#include "server/auth_state.h"

enum { BATCH_MS = 1000 };

void auth_uses_open(struct auth *auth)
{
    char path[CONFIGURATION_VALUE_SIZE + sizeof LAST_USES_FILE + 1];
    struct error error;
    (void)snprintf(path, sizeof path, "%s/%s", auth->configuration.state_dir, LAST_USES_FILE);
    if (last_uses_open(path, true, &auth->uses, &error) < 0) {
        log_write(LOG_LEVEL_WARNING, "%s; nobody will know when app passwords were used last",
                  error.text);
    }
}

void auth_uses_write(struct auth *auth)
{
    struct error error;
    if (auth->uses != NULL && last_uses_write(auth->uses, &error) < 0) {
        log_write(error_log_level(error.kind), "%s", error.text);
    }
}

static void on_batch(uv_timer_t *timer)
{
    auth_uses_write(timer->data);
}

int auth_uses_start(struct auth *auth)
{
    auth->uses_timer.data = auth;
    return uv_timer_init(&auth->loop, &auth->uses_timer);
}

void auth_uses_note(struct auth *auth, const struct account *account, size_t number)
{
    struct bytes verifiers[ACCOUNT_SECRETS_MAX];
    uint8_t fingerprint[SECRET_FINGERPRINT_OCTETS];
    char date[LAST_USE_DATE_SIZE];
    struct timespec now;
    struct tm parts;
    if (auth->uses == NULL || number == ACCOUNT_MAIN_SECRET ||
        number >= account_verifiers(account, verifiers)) {
        return;
    }
    (void)clock_gettime(CLOCK_REALTIME, &now);
    if (gmtime_r(&now.tv_sec, &parts) == NULL ||
        strftime(date, sizeof date, "%Y-%m-%d", &parts) == 0) {
        return; /* no clock that a date can be made of */
    }
    account_fingerprint(bytes_of(account->name), verifiers[number], fingerprint);
    if (last_uses_note(auth->uses, fingerprint, date) &&
        !uv_is_active((uv_handle_t *)&auth->uses_timer)) {
        (void)uv_timer_start(&auth->uses_timer, on_batch, BATCH_MS, 0);
    }
}
