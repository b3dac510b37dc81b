/* SPDX-License-Identifier: MIT */
/* The accounts file in the auth process: loaded, watched, loaded anew. Each change that counts raises its
 * generation, which voids what workers remember; which verifiers it has tells them what to offer. */
#include <errno.h>
#include <libgen.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "account/source.h"
#include "account/verifier.h"
#include "server/auth_state.h"

enum { LOOK_MS = 1000 };

uint64_t auth_accounts_generation(const struct auth *auth)
{
    return atomic_load(&auth->generations->accounts_file);
}

static void log_mistakes(const struct accounts *accounts)
{
    uint32_t count = 0;
    for (const char *text; (text = accounts_mistake(accounts, count)) != NULL; count++) {
        log_write(LOG_LEVEL_WARNING, "%s", text);
    }
    if (accounts_facts(accounts).mistakes > count) {
        log_write(LOG_LEVEL_WARNING, "%u more lines of the accounts file have mistakes",
                  accounts_facts(accounts).mistakes - count);
    }
}

static uint32_t verifiers_of(uint32_t schemes)
{
    uint32_t verifiers = 0;
    verifiers |= (schemes & 1U << VERIFIER_PLAIN) != 0 ? SASL_VERIFIER_TEXT : 0U;
    verifiers |= (schemes & 1U << VERIFIER_SCRAM_SHA_256) != 0 ? SASL_VERIFIER_SCRAM_SHA_256 : 0U;
    verifiers |= (schemes & 1U << VERIFIER_SCRAM_SHA_1) != 0 ? SASL_VERIFIER_SCRAM_SHA_1 : 0U;
    verifiers |=
        (schemes & (1U << VERIFIER_CRYPT | 1U << VERIFIER_ARGON2)) != 0 ? SASL_VERIFIER_HASH : 0U;
    return verifiers;
}

/* Who checks passwords itself needs to see them; what a database has, nobody knows beforehand. */
static uint32_t verifiers_of_sources(const struct configuration *configuration)
{
    uint32_t verifiers = 0;
    for (uint32_t i = 0; i < configuration->sources.count; i++) {
        const struct source_type *type = source_type_find(bytes_of(configuration->sources.list[i]));
        if (type != NULL) {
            verifiers |= SASL_VERIFIER_HASH;
            verifiers |= type->checks_passwords ? 0U
                                                : SASL_VERIFIER_TEXT | SASL_VERIFIER_SCRAM_SHA_256 |
                                                      SASL_VERIFIER_SCRAM_SHA_1;
        }
    }
    return verifiers;
}

/* What workers see, in this order: who offers by the new file asks the new file. */
static void publish(struct auth *auth)
{
    atomic_store(&auth->generations->verifiers,
                 verifiers_of(accounts_facts(auth->accounts).schemes) |
                     verifiers_of_sources(&auth->configuration));
    atomic_fetch_add(&auth->generations->accounts_file, 1);
}

int auth_accounts_refresh(struct auth *auth, struct error *error)
{
    if (!configuration_has_file(&auth->configuration) || accounts_is_current(auth->accounts)) {
        return 0;
    }
    struct accounts *loaded;
    if (accounts_load(auth->configuration.accounts_file, &loaded, error) < 0) {
        return -1;
    }
    bool changed = !accounts_equal(auth->accounts, loaded);
    (void)accounts_free(auth->accounts);
    auth->accounts = loaded;
    if (changed) {
        publish(auth);
        log_write(LOG_LEVEL_INFO, "accounts read again: %u in %s", accounts_facts(loaded).count,
                  auth->configuration.accounts_file);
        log_mistakes(loaded);
    }
    return 0;
}

void auth_accounts_refresh_and_log(struct auth *auth)
{
    struct error error;
    static char told[sizeof error.text]; /* a mistake that stays is not told each second */
    if (auth_accounts_refresh(auth, &error) == 0) {
        told[0] = '\0';
    } else if (strcmp(told, error.text) != 0) {
        memcpy(told, error.text, sizeof told);
        log_write(LOG_LEVEL_ERROR, "%s; the accounts as they were before stay in use", error.text);
    }
}

static void on_watch(uv_fs_event_t *watch, const char *file, int events, int status)
{
    (void)file;
    (void)events;
    (void)status;
    auth_accounts_refresh_and_log(watch->data);
}

static void on_look(uv_timer_t *timer)
{
    auth_accounts_refresh_and_log(timer->data);
}

/* The folder is watched, for the file is replaced by rename; and looked at each second, for network file
 * systems tell nothing. */
static void watch(struct auth *auth)
{
    char path[CONFIGURATION_VALUE_SIZE];
    memcpy(path, auth->configuration.accounts_file, sizeof path);
    auth->watch.data = auth;
    auth->look.data = auth;
    if (uv_fs_event_init(&auth->loop, &auth->watch) < 0 ||
        uv_fs_event_start(&auth->watch, on_watch, dirname(path), 0) < 0) {
        log_write(LOG_LEVEL_WARNING, "%s cannot be watched, only looked at each second", path);
    }
    (void)uv_timer_init(&auth->loop, &auth->look);
    (void)uv_timer_start(&auth->look, on_look, LOOK_MS, LOOK_MS);
}

/* Nobody is in the file: for a name that is in no source there is a decoy all the same. */
static int load_nobody(struct accounts **accounts_out, struct error *error)
{
    int empty = memfd_create("restante-no-accounts", MFD_CLOEXEC);
    if (empty < 0) {
        return error_set(error, ERROR_TEMPORARY, errno, "memory for no accounts");
    }
    if (accounts_load_descriptor(empty, "no accounts file", accounts_out, error) < 0) {
        (void)close(empty);
        return -1;
    }
    return 0;
}

int auth_accounts_start(struct auth *auth, struct error *error)
{
    if (!configuration_has_file(&auth->configuration)) {
        if (load_nobody(&auth->accounts, error) < 0) {
            return -1;
        }
        publish(auth);
        return 0;
    }
    if (accounts_load(auth->configuration.accounts_file, &auth->accounts, error) < 0) {
        return -1;
    }
    log_mistakes(auth->accounts);
    publish(auth); /* what workers remembered from an auth before this one may have changed since */
    watch(auth);
    return 0;
}
